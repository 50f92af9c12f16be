//! The parts that rooms are made of: headings, notes, tiles, charts, tables, facts and forms.
//!
//! A room fills them and never writes HTML, so every text in them is escaped in one place and
//! every table, chart and form looks and works alike.

use domain::Timestamp;

/// How a figure or state is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be watched.
    Warn,
    /// Wrong.
    Bad,
    /// Neither: over, or of no weight.
    Quiet,
}

impl std::fmt::Display for Tone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Quiet => "quiet",
        })
    }
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Words.
    Text(String),
    /// A moment: written in UTC, and by the script in the reader's own zone.
    Time(Moment),
    /// Words that lead somewhere.
    Link {
        /// The words.
        text: String,
        /// Where to, on this server.
        to: String,
    },
    /// A number or name to be copied as it stands.
    Code(String),
}

/// A point in time as a page writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment(pub Timestamp);

impl Moment {
    fn written(self, form: &str) -> Option<String> {
        // Only times outside the years -9999 to 9999 fail, which are no dates to anyone.
        let at = jiff::Timestamp::from_microsecond(self.0.as_micros()).ok()?;
        Some(jiff::tz::Offset::UTC.to_datetime(at).strftime(form).to_string())
    }

    /// RFC 3339, for the script.
    pub fn iso(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%SZ").unwrap_or_default()
    }

    /// In UTC, for people.
    pub fn utc(self) -> String {
        self.written("%Y-%m-%d %H:%M:%S UTC").unwrap_or_else(|| "–".to_owned())
    }
}

/// Words, times and links in a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line(pub Vec<Piece>);

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Line(vec![Piece::Text(text.to_owned())])
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Line(vec![Piece::Text(text)])
    }
}

impl From<Timestamp> for Line {
    fn from(at: Timestamp) -> Self {
        Line(vec![Piece::Time(Moment(at))])
    }
}

impl Line {
    /// A number or name to be copied.
    pub fn code(text: impl ToString) -> Line {
        Line(vec![Piece::Code(text.to_string())])
    }

    /// Words that lead somewhere.
    pub fn link(text: impl Into<String>, to: impl Into<String>) -> Line {
        Line(vec![Piece::Link { text: text.into(), to: to.into() }])
    }

    /// With more after it.
    #[must_use]
    pub fn and(mut self, more: impl Into<Line>) -> Line {
        self.0.extend(more.into().0);
        self
    }

    /// Words with one moment among them, where `{}` stands.
    pub fn at(words: &str, at: Timestamp) -> Line {
        match words.split_once("{}") {
            Some((before, after)) => Line::from(before).and(at).and(after),
            None => Line::from(words).and(" ").and(at),
        }
    }
}

/// A table. On a narrow screen each row becomes a card, with the titles beside its cells.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What it is a table of, for those who do not see where it stands.
    pub caption: String,
    /// Its columns.
    pub heads: Vec<Head>,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Row>,
    /// What is said when it has no rows.
    pub empty: Option<String>,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its title.
    pub text: String,
    /// Whether figures stand in it, to be aligned at the right.
    pub number: bool,
}

/// A row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Where links point to.
    pub id: Option<String>,
    /// Its cells.
    pub cells: Vec<Cell>,
}

/// A cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// What stands in it.
    pub line: Line,
    /// What stands under it.
    pub small: Vec<Line>,
    /// How it is to be taken.
    pub tone: Option<Tone>,
    /// Whether it is a figure.
    pub number: bool,
}

impl Table {
    /// An empty table; titles that begin with `#` are of figures.
    pub fn new(caption: &str, titles: &[&str]) -> Table {
        let head = |title: &&str| Head {
            text: title.trim_start_matches('#').to_owned(),
            number: title.starts_with('#'),
        };
        Table {
            caption: caption.to_owned(),
            heads: titles.iter().map(head).collect(),
            ..Table::default()
        }
    }

    /// With one more row.
    pub fn push(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row { id: None, cells });
    }

    /// Each cell with the title of its column.
    pub(super) fn titled<'t>(&'t self, row: &'t Row) -> Vec<(&'t str, &'t Cell)> {
        let titles = self.heads.iter().map(|head| head.text.as_str());
        titles.chain(std::iter::repeat("")).zip(&row.cells).collect()
    }
}

impl<L: Into<Line>> From<L> for Cell {
    fn from(line: L) -> Self {
        Cell { line: line.into(), ..Cell::default() }
    }
}

impl Cell {
    /// A figure.
    pub fn number(text: impl ToString) -> Cell {
        Cell { number: true, ..Cell::from(text.to_string()) }
    }

    /// With a line under it.
    #[must_use]
    pub fn with(mut self, small: impl Into<Line>) -> Cell {
        let small = small.into();
        if small.0.iter().any(|piece| !matches!(piece, Piece::Text(text) if text.is_empty())) {
            self.small.push(small);
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.0.is_empty() && self.small.is_empty()
    }

    /// That is to be taken so.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Cell {
        Cell { tone: Some(tone), ..self }
    }
}

/// A figure with its name.
#[derive(Clone, Debug)]
pub struct Tile {
    /// What it says.
    pub name: String,
    /// The figure with its unit.
    pub figure: String,
    /// What stands under it.
    pub small: Option<String>,
    /// How it is to be taken.
    pub tone: Tone,
}

/// A live chart: one line a channel.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Its title.
    pub title: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// The name of its figure in the answer of the series.
    pub figure: &'static str,
    /// How the script writes it: `share`, `rate`, `ms` or `count`.
    pub unit: &'static str,
}

/// Charts of one series.
#[derive(Clone, Debug)]
pub struct Charts {
    /// Where the series is, such as `/console/series?span=15m`.
    pub series: String,
    /// The charts.
    pub charts: Vec<Chart>,
}

/// A form. Those that are posted carry the session's token.
#[derive(Clone, Debug)]
pub struct Form {
    /// Names it among the forms of its page; links point to it.
    pub id: &'static str,
    /// Its title; a search has none.
    pub title: String,
    /// What it does, honestly.
    pub about: Vec<String>,
    /// Where it goes.
    pub action: String,
    /// Whether it only asks.
    pub search: bool,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The words on its button.
    pub button: String,
}

/// A field of a form.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name that is sent.
    pub name: &'static str,
    /// What is asked.
    pub label: String,
    /// Whatever helps to answer.
    pub hint: Option<String>,
    /// What was wrong with the answer before: the rule, and how to mend it.
    pub mistake: Option<String>,
    /// How it is answered.
    pub input: Input,
}

/// How a field is answered.
#[derive(Clone, Debug)]
pub enum Input {
    /// Words.
    Text {
        /// What was typed before.
        value: String,
        /// The most characters.
        max: u16,
        /// Whether it must be answered.
        required: bool,
    },
    /// One of several, from a list.
    Select(Vec<Pick>),
    /// One of a few, all seen.
    Radio(Vec<Pick>),
    /// A box to tick.
    Check {
        /// Whether it is ticked.
        ticked: bool,
        /// The words beside it.
        words: String,
    },
    /// When it ends: one of a few spans, or a time. Sent as `NAME`, `NAME_at` and `NAME_zone`.
    End {
        /// The spans; the last one stands for the time.
        spans: Vec<Pick>,
        /// The time that was typed before, `2026-11-24T18:00`.
        at: String,
        /// Its zone: minutes that UTC is ahead of it, as browsers count.
        zone: String,
    },
}

/// One of several answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The value that is sent.
    pub value: String,
    /// What people read.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl Pick {
    /// One of several answers.
    pub fn new(value: impl Into<String>, label: impl Into<String>, chosen: &str) -> Pick {
        let value = value.into();
        Pick { chosen: value == chosen, value, label: label.into() }
    }
}

impl Field {
    /// A field without hint or mistake.
    pub fn new(name: &'static str, label: impl Into<String>, input: Input) -> Field {
        Field { name, label: label.into(), hint: None, mistake: None, input }
    }

    /// With help.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Field {
        Field { hint: Some(hint.into()), ..self }
    }

    /// With what was wrong before.
    #[must_use]
    pub fn wrong(self, mistake: Option<String>) -> Field {
        Field { mistake, ..self }
    }

    /// What screen readers read with the field, by id, within a form.
    pub(super) fn described(&self, form: &str) -> String {
        let of = |what: &str, there: bool| there.then(|| format!("{form}-{}-{what}", self.name));
        let ids = [of("mistake", self.mistake.is_some()), of("hint", self.hint.is_some())];
        ids.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// A part of a room.
#[derive(Clone, Debug)]
pub enum Part {
    /// A heading.
    Heading(String),
    /// A line to be read.
    Note(Line, Option<Tone>),
    /// Figures.
    Tiles(Vec<Tile>),
    /// Live charts.
    Charts(Charts),
    /// A table.
    Table(Table),
    /// Names and values.
    Facts(Vec<(String, Line)>),
    /// Lines one under the other, with their title.
    Lines(String, Vec<Line>),
    /// A form.
    Form(Form),
    /// Where to go on: words, address, and whether it is where one is.
    Links(Vec<(String, String, bool)>),
}

/// Parts that belong together.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Its name, when the script is to renew it as things change.
    pub live: Option<&'static str>,
    /// Whether it stands apart, as a card.
    pub card: bool,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Block {
    /// Parts that the script renews as things change.
    pub fn live(name: &'static str, parts: Vec<Part>) -> Block {
        Block { live: Some(name), card: false, parts }
    }

    /// Parts that stay as they are.
    pub fn still(parts: Vec<Part>) -> Block {
        Block { live: None, card: false, parts }
    }

    /// Parts that stand apart.
    pub fn card(parts: Vec<Part>) -> Block {
        Block { live: None, card: true, parts }
    }
}
