//! The operators' console: its rooms, and the parts that all of them are made of.
//!
//! A new room is a line in [`Room`], a template that extends the shell, and a view. Tables and
//! charts are parts: a room fills them and never writes HTML.

mod part;
mod rooms;
mod words;

use domain::Locale;

pub use part::{Cell, Chart, Head, Row, Table, Tile, Tone};
pub use rooms::{Audit, Channels, LadderRoom, Overview, PaymentRoom, Payments};
pub use rooms::{audit, channels, ladder, overview, payment, payments, sign_in, table};

/// The console's style sheet.
pub const CSS: &str = include_str!("../../assets/console.css");

/// Its script.
pub const JS: &str = include_str!("../../assets/console.js");

/// uPlot 1.6.32 (MIT: see [`UPLOT_LICENSE`]), compressed with gzip.
pub const UPLOT_JS_GZ: &[u8] = include_bytes!("../../assets/vendor/uplot.min.js.gz");

/// Its style sheet.
pub const UPLOT_CSS: &str = include_str!("../../assets/vendor/uplot.min.css");

/// Its licence.
pub const UPLOT_LICENSE: &str = include_str!("../../assets/vendor/uplot-LICENSE.txt");

/// A room of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// How things are.
    Overview,
    /// Channels, their health, and who took them out.
    Channels,
    /// Payments and their stories.
    Payments,
    /// The degradation ladder and paused features.
    Ladder,
    /// Who did what.
    Audit,
}

impl Room {
    /// Every room, in the order of the navigation.
    pub const ALL: [Room; 5] =
        [Room::Overview, Room::Channels, Room::Payments, Room::Ladder, Room::Audit];

    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            Room::Overview => "/console",
            Room::Channels => "/console/channels",
            Room::Payments => "/console/payments",
            Room::Ladder => "/console/ladder",
            Room::Audit => "/console/audit",
        }
    }
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Takes channels out and back, moves levels, pauses features.
    Operator,
    /// As an operator; and is the second person where one is needed.
    Approver,
}

impl Role {
    /// Whether the forms that change something are shown. The server checks again.
    pub fn may_operate(self) -> bool {
        self >= Role::Operator
    }
}

/// What surrounds a room.
#[derive(Clone, Debug)]
pub struct Shell<'a> {
    /// The operator's language.
    pub locale: Locale,
    /// Which room.
    pub room: Room,
    /// Who is signed in.
    pub operator: &'a str,
    /// What they may do.
    pub role: Role,
    /// The token that forms carry.
    pub csrf: &'a str,
    /// What came of the last form.
    pub told: Option<&'a str>,
}

#[cfg(test)]
mod tests;
