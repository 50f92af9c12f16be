//! Rooms: a view each, and its HTML.

use askama::Template;
use domain::{Level, Locale};

use super::words::Words;
use super::{Chart, Room, Shell, Table, Tile};

/// How things are.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Figures of all channels together.
    pub tiles: Vec<Tile>,
    /// Channels in short.
    pub channels: Table,
    /// Charts; [`Overview::charts`] has the usual ones.
    pub charts: Vec<Chart>,
}

impl Overview {
    /// Success rate, traffic, latency and unknowns, a line for each channel.
    pub fn charts(locale: Locale) -> Vec<Chart> {
        let words = Words(locale);
        let chart = |title: &str, figure, unit| Chart { title: title.to_owned(), figure, unit };
        vec![
            chart(words.success_rate(), "success", "share"),
            chart(words.traffic(), "traffic", "rate"),
            chart(words.latency(), "p95", "ms"),
            chart(words.unknowns(), "unknown", "count"),
        ]
    }
}

/// Channels and their health.
#[derive(Clone, Debug)]
pub struct Channels {
    /// One row for each channel and method.
    pub channels: Table,
    /// Names to choose from.
    pub names: Vec<String>,
    /// Methods to choose from, by name and label.
    pub methods: Vec<(&'static str, &'static str)>,
}

/// A search for payments.
#[derive(Clone, Debug)]
pub struct Payments {
    /// What was asked for.
    pub query: String,
    /// Statuses by name and label, and whether they are asked for.
    pub statuses: Vec<(&'static str, String, bool)>,
    /// Channels, and whether they are asked for.
    pub channels: Vec<(String, bool)>,
    /// What was found.
    pub payments: Table,
    /// Where older ones are.
    pub next: Option<String>,
}

/// One payment.
#[derive(Clone, Debug)]
pub struct PaymentRoom {
    /// Its id.
    pub id: String,
    /// Amount, status, method, channel.
    pub tiles: Vec<Tile>,
    /// Its attempts: channel, state, why.
    pub attempts: Table,
    /// Its refunds.
    pub refunds: Table,
    /// What happened, oldest first.
    pub story: Table,
}

/// The ladder and the gates.
#[derive(Clone, Debug)]
pub struct LadderRoom {
    /// Levels in force.
    pub levels: Table,
    /// For whom a level can be moved, by value and label.
    pub reaches: Vec<(String, String)>,
    /// Paused features.
    pub gates: Table,
    /// What can be paused, by name and label.
    pub purposes: Vec<(&'static str, String)>,
}

/// Who did what.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Newest first.
    pub lines: Table,
}

macro_rules! rooms {
    ($($(#[$doc:meta])* $name:ident($view:ty, $page:ident, $path:literal);)*) => {$(
        #[derive(Template)]
        #[template(path = $path)]
        struct $page<'a> { shell: &'a Shell<'a>, view: &'a $view, words: Words }

        $(#[$doc])*
        pub fn $name(shell: &Shell<'_>, view: &$view) -> String {
            let words = Words(shell.locale);
            $page { shell, view, words }.render().unwrap_or_default()
        }
    )*};
}

rooms! {
    /// The overview.
    overview(Overview, OverviewPage, "console/overview.html");
    /// Channels.
    channels(Channels, ChannelsPage, "console/channels.html");
    /// Payments.
    payments(Payments, PaymentsPage, "console/payments.html");
    /// One payment.
    payment(PaymentRoom, PaymentPage, "console/payment.html");
    /// The ladder.
    ladder(LadderRoom, LadderPage, "console/ladder.html");
    /// The audit log.
    audit(Audit, AuditPage, "console/audit.html");
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage {
    words: Words,
    wrong: bool,
}

/// The page to sign in at; `wrong` after a name or password that is not known.
pub fn sign_in(locale: Locale, wrong: bool) -> String {
    SignInPage { words: Words(locale), wrong }.render().unwrap_or_default()
}

#[derive(Template)]
#[template(
    source = "{% import \"console/table.html\" as part %}{% call part::table(view, words) %}{% endcall %}",
    ext = "html"
)]
struct TablePart<'a> {
    view: &'a Table,
    words: Words,
}

/// One table by itself, for the script's refresh.
pub fn table(locale: Locale, view: &Table) -> String {
    TablePart { view, words: Words(locale) }.render().unwrap_or_default()
}
