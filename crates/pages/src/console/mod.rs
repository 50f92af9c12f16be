//! The operators' console: its rooms, and the parts that all of them are made of.
//!
//! A room is a list of [`Block`]s of [`Part`]s, which one template writes. A new room is a line
//! in [`Room`] with its name in [`Words::room`], and a function of the server that fills parts;
//! no HTML, no script. What is in a [`Block::live`] block is renewed by the script as things
//! change: it fetches the same page again and takes the block of the same name from it.
//!
//! Not here: routes, sessions, what is true.

mod part;
mod phrases;
mod words;

use std::sync::LazyLock;

use askama::Template;
use domain::Locale;

pub use part::{
    Block, Cell, Chart, Charts, Field, Form, Head, Input, Line, Moment, Part, Pick, Piece, Row,
    Table, Tile, Tone,
};
pub use phrases::phrase;
pub use words::Words;

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

/// Changes with the assets, so that browsers may keep those of one version for ever.
pub fn mark() -> &'static str {
    static MARK: LazyLock<String> = LazyLock::new(|| {
        let assets = [CSS.as_bytes(), JS.as_bytes(), UPLOT_JS_GZ, UPLOT_CSS.as_bytes()];
        // FNV-1a: nobody gains by making it collide.
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        let hash = assets.concat().iter().fold(0xcbf2_9ce4_8422_2325, step);
        format!("{hash:016x}")
    });
    &MARK
}

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
pub struct Shell {
    /// The operator's language.
    pub locale: Locale,
    /// Which room.
    pub room: Room,
    /// Its address with what was asked for, to come back to.
    pub here: String,
    /// Who is signed in.
    pub operator: String,
    /// What they may do.
    pub role: Role,
    /// The token that forms carry.
    pub csrf: String,
    /// What came of the last form.
    pub told: Option<(String, Tone)>,
}

/// A room as it is filled.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Its heading, when it is not the room's name.
    pub title: Option<String>,
    /// Where it belongs: a room above it.
    pub above: Option<(String, String)>,
    /// Whether it follows what happens.
    pub live: bool,
    /// What it is made of.
    pub blocks: Vec<Block>,
}

#[derive(Template)]
#[template(path = "console/room.html")]
struct Page<'a> {
    shell: &'a Shell,
    view: &'a View,
    words: Words,
}

impl Page<'_> {
    fn title(&self) -> &str {
        self.view.title.as_deref().unwrap_or_else(|| self.words.room(self.shell.room))
    }

    fn name_of(&self, room: &Room) -> &'static str {
        self.words.room(*room)
    }

    fn role(&self) -> &'static str {
        self.words.role(self.shell.role)
    }
}

/// A room as a whole page.
pub fn page(shell: &Shell, view: &View) -> String {
    // Writing to a String cannot fail.
    Page { shell, view, words: Words(shell.locale) }.render().unwrap_or_default()
}

/// The page to sign in at.
#[derive(Clone, Debug)]
pub struct Door<'a> {
    /// The visitor's language.
    pub locale: Locale,
    /// The token that the form carries.
    pub csrf: &'a str,
    /// The name that was typed before.
    pub name: &'a str,
    /// What to tell: why it did not work, or that one has signed out.
    pub told: Option<(String, Tone)>,
    /// Where to go afterwards.
    pub next: &'a str,
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct DoorPage<'a> {
    door: &'a Door<'a>,
    words: Words,
}

/// The page to sign in at.
pub fn sign_in(door: &Door<'_>) -> String {
    DoorPage { door, words: Words(door.locale) }.render().unwrap_or_default()
}

/// A page that only says why there is nothing else.
#[derive(Template)]
#[template(path = "console/stop.html")]
struct StopPage<'a> {
    title: &'a str,
    text: &'a str,
    words: Words,
}

/// A page for what cannot be shown: the reason, and a way back.
pub fn stop(locale: Locale, title: &str, text: &str) -> String {
    StopPage { title, text, words: Words(locale) }.render().unwrap_or_default()
}

#[cfg(test)]
mod tests;
