//! Parts of rooms: tables, tiles, charts.

/// How a figure or state is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be watched.
    Warn,
    /// Wrong.
    Bad,
}

impl std::fmt::Display for Tone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
        })
    }
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its columns.
    pub heads: Vec<Head>,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Row>,
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
    pub text: String,
    /// What stands under it.
    pub small: Option<String>,
    /// Where it leads.
    pub link: Option<String>,
    /// How it is to be taken.
    pub tone: Option<Tone>,
    /// Whether it is a figure.
    pub number: bool,
}

impl Table {
    /// An empty table; titles that begin with `#` are of figures.
    pub fn new(titles: &[&str]) -> Table {
        let head = |title: &&str| Head {
            text: title.trim_start_matches('#').to_owned(),
            number: title.starts_with('#'),
        };
        Table { heads: titles.iter().map(head).collect(), rows: Vec::new() }
    }

    /// With one more row.
    pub fn push(&mut self, id: Option<String>, cells: Vec<Cell>) {
        self.rows.push(Row { id, cells });
    }
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }

    /// A figure.
    pub fn number(text: impl ToString) -> Cell {
        Cell { text: text.to_string(), number: true, ..Cell::default() }
    }

    /// With a word under it.
    #[must_use]
    pub fn with(self, small: impl Into<String>) -> Cell {
        Cell { small: Some(small.into()).filter(|s: &String| !s.is_empty()), ..self }
    }

    /// That leads somewhere.
    #[must_use]
    pub fn to(self, link: impl Into<String>) -> Cell {
        Cell { link: Some(link.into()), ..self }
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
    /// How it is to be taken.
    pub tone: Tone,
}

/// A live chart: one line a channel.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Its title.
    pub title: String,
    /// The name of its figure in the answer of `/console/series`.
    pub figure: &'static str,
    /// How the script writes it: `share`, `rate`, `ms` or `count`.
    pub unit: &'static str,
}
