//! The lines of a CSV file, by a plan.

use std::collections::BTreeMap;

use csv::StringRecord;
use domain::{Currency, Money};
use jiff::civil::Date;

use super::super::common::{Mistakes, decode, joined, number, shown, some};
use super::super::identity::real_reference;
use super::super::{Column, CsvFormat, Direction, Entry, Party, Skipped, Statement, Why};
use super::plan::{Field, Mapped, Plan};
use super::value::{clean, day_of, plain, same};

/// So many lines after the skipped ones are searched for the titles.
const HEADER_WITHIN: usize = 20;
/// No bank writes as much into one field; a quotation mark that is never closed does.
const FIELD_MAX: usize = 4_096;

pub(in super::super) fn read(
    bytes: &[u8],
    format: &CsvFormat,
    mistakes: &mut Mistakes,
) -> Vec<Statement> {
    let plan = match Plan::of(format) {
        Ok(plan) => plan,
        Err(wrong) => {
            for m in wrong {
                mistakes.add(1, &m.field, &m.rule, &m.fix);
            }
            return Vec::new();
        }
    };
    let Some(text) = decode(bytes, plan.encoding, mistakes) else { return Vec::new() };
    let rows = rows(&text, &plan);
    let Some((layout, first)) = layout(&rows, &plan, mistakes) else { return Vec::new() };
    let mut sheets = Sheets::default();
    for row in &rows[first..] {
        if mistakes.full() {
            break;
        }
        Reading { plan: &plan, layout: &layout, row, mistakes }.row(&mut sheets);
    }
    sheets.statements(&plan, mistakes)
}

/// One record and the line on which it begins.
struct Row {
    line: u32,
    record: StringRecord,
}

impl Row {
    fn is_blank(&self) -> bool {
        self.record.iter().all(|field| clean(field).is_empty())
    }
}

fn rows(text: &str, plan: &Plan) -> Vec<Row> {
    let skip = plan.skip_lines as usize;
    let start: usize = text.split_inclusive('\n').take(skip).map(str::len).sum();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(plan.delimiter)
        .quote(plan.quote)
        .from_reader(&text.as_bytes()[start..]);
    // The reader's only error is text that is not UTF-8, and this is.
    let records = reader.records().map_while(Result::ok);
    records
        .map(|record| {
            let line = record.position().map_or(1, csv::Position::line);
            Row { line: number(skip + usize::try_from(line).unwrap_or(usize::MAX / 2)), record }
        })
        .collect()
}

/// Where each field stands, by the index of its column.
struct Layout {
    columns: Vec<(Field, usize, String)>,
}

impl Layout {
    fn of(&self, field: Field) -> Option<(usize, &str)> {
        let found = self.columns.iter().find(|(f, _, _)| *f == field)?;
        Some((found.1, &found.2))
    }
}

/// The layout and the index of the first row after the titles.
fn layout(rows: &[Row], plan: &Plan, mistakes: &mut Mistakes) -> Option<(Layout, usize)> {
    let place = |mapped: &Mapped, titles: Option<&StringRecord>| {
        let (at, title) = position(&mapped.column, titles)?;
        Some((mapped.field, at, title))
    };
    if !plan.header {
        let columns = plan.columns.iter().filter_map(|m| place(m, None)).collect();
        return Some((Layout { columns }, 0));
    }
    let missing = |row: &Row| -> Vec<&Mapped> {
        let lacks = |m: &&Mapped| m.must && position(&m.column, Some(&row.record)).is_none();
        plan.columns.iter().filter(lacks).collect()
    };
    let candidates = rows.iter().take(HEADER_WITHIN).enumerate().filter(|(_, row)| !row.is_blank());
    let Some((at, row)) = candidates.min_by_key(|(_, row)| missing(row).len()) else {
        mistakes.add(
            1,
            "header",
            "the file has no line of titles",
            "check that it is the right file",
        );
        return None;
    };
    let lacking = missing(row);
    if !lacking.is_empty() {
        for mapped in lacking {
            let rule = format!("no column has the title {}", titles(&mapped.column));
            let fix =
                "compare the titles with the settings, and `skip_lines`, `delimiter`, `encoding`";
            mistakes.add(row.line, &format!("columns.{}", mapped.field.name()), &rule, fix);
        }
        return None;
    }
    let columns = plan.columns.iter().filter_map(|m| place(m, Some(&row.record))).collect();
    Some((Layout { columns }, at + 1))
}

fn position(column: &Column, titles: Option<&StringRecord>) -> Option<(usize, String)> {
    let by_title = |wanted: &String| {
        let at = titles?.iter().position(|title| same(clean(title), wanted))?;
        Some((at, wanted.clone()))
    };
    match column {
        Column::Number(number) => {
            let at = usize::from(*number).checked_sub(1)?;
            Some((at, format!("column {number}")))
        }
        Column::Title(title) => by_title(title),
        Column::Titles(all) => all.iter().find_map(by_title),
    }
}

fn titles(column: &Column) -> String {
    match column {
        Column::Number(number) => number.to_string(),
        Column::Title(title) => format!("`{title}`"),
        Column::Titles(titles) => {
            titles.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// One row on its way to an entry.
struct Reading<'r> {
    plan: &'r Plan,
    layout: &'r Layout,
    row: &'r Row,
    mistakes: &'r mut Mistakes,
}

/// Which way the money of a row went: the direction, and whether the bank takes an entry back.
type Way = (Direction, bool);

impl Reading<'_> {
    fn row(&mut self, sheets: &mut Sheets) {
        if self.row.is_blank() {
            return;
        }
        if self.is_footer() {
            sheets.skip(self.row.line, Why::Footer);
            return;
        }
        if self.row.record.iter().any(|field| field.len() > FIELD_MAX) {
            let rule = "a field is longer than 4096 bytes; a quotation mark is not closed";
            self.wrong(
                "file",
                rule,
                "mend the line, or set `quote` to a sign that the file has not",
            );
            return;
        }
        let (currency, booked_on, value_on) =
            (self.currency(), self.booked_on(), self.day(Field::ValueOn));
        let (Some(currency), Some(booked_on)) = (currency, booked_on) else { return };
        let balance = self.balance(currency);
        let Some(moved) = self.movement(currency) else { return };
        let key = (self.account(), currency);
        match moved {
            None => sheets.skip(self.row.line, Why::ZeroAmount),
            Some((amount, way)) => {
                let entry = self.entry(booked_on, value_on, amount, way);
                sheets.of.entry(key).or_default().push((entry, balance));
            }
        }
    }

    fn is_footer(&self) -> bool {
        let Some(first) = self.row.record.iter().map(clean).find(|f| !f.is_empty()) else {
            return false;
        };
        self.plan.footers.iter().any(|footer| plain(first).starts_with(&plain(footer)))
    }

    fn wrong(&mut self, field: &str, rule: &str, fix: &str) {
        self.mistakes.add(self.row.line, field, rule, fix);
    }

    /// A field's title and text; `None` where it is not mapped or blank.
    fn get(&self, field: Field) -> Option<(&str, &str)> {
        let (at, title) = self.layout.of(field)?;
        let text = clean(self.row.record.get(at).unwrap_or_default());
        (!text.is_empty()).then_some((title, text))
    }

    fn text(&self, field: Field) -> Option<String> {
        self.get(field).map(|(_, text)| text.to_owned())
    }

    fn title(&self, field: Field) -> String {
        self.layout.of(field).map_or(field.name().to_owned(), |(_, title)| title.to_owned())
    }

    fn booked_on(&mut self) -> Option<Date> {
        if self.get(Field::BookedOn).is_none() {
            let title = self.title(Field::BookedOn);
            let fix = "if the line is no entry, add how it begins to `footers`";
            self.wrong(&title, "the day of booking is missing", fix);
            return None;
        }
        self.day(Field::BookedOn)
    }

    fn day(&mut self, field: Field) -> Option<Date> {
        let (title, text) = self.get(field)?;
        let day = day_of(text, &self.plan.dates);
        if day.is_none() {
            let title = title.to_owned();
            let rule = format!("it is no date of the forms {}", self.plan.dates.join(", "));
            let fix =
                "add the form to `dates`; if the line is no entry, its beginning to `footers`";
            self.wrong(&title, &rule, fix);
        }
        day
    }

    fn currency(&mut self) -> Option<Currency> {
        let Some((title, text)) = self.get(Field::Currency) else {
            if self.plan.currency.is_none() {
                let title = self.title(Field::Currency);
                self.wrong(&title, "the currency is missing", "set `currency` in the settings");
            }
            return self.plan.currency;
        };
        let title = title.to_owned();
        let code = match plain(text).as_str() {
            "人民币" | "人民币元" | "rmb" | "156" => "CNY".to_owned(),
            other => other.to_ascii_uppercase(),
        };
        let currency = code.parse().ok();
        if currency.is_none() {
            let fix = "leave `columns.currency` out and set `currency`, if all lines have one";
            self.wrong(&title, "it is no ISO 4217 code such as CNY", fix);
        }
        currency
    }

    fn account(&self) -> String {
        let told = self.text(Field::Account).or_else(|| self.plan.account.clone());
        told.unwrap_or_default()
    }

    fn balance(&mut self, currency: Currency) -> Option<i64> {
        self.amount(Field::Balance, currency)
    }

    /// Signed minor units of a column; blank is `None` without a mistake.
    fn amount(&mut self, field: Field, currency: Currency) -> Option<i64> {
        let (title, text) = self.get(field)?;
        if text.chars().all(|c| matches!(c, '-' | '—' | '–' | '/')) {
            return None;
        }
        let minor = self.plan.numbers.minor(text, currency);
        if minor.is_none() {
            let title = title.to_owned();
            let rule = format!("it is no amount in {currency} with the decimal sign that is set");
            self.wrong(&title, &rule, "look at `decimal` and `thousands` in the settings");
        }
        minor
    }

    /// How much moved, and which way. The outer `None` is a mistake, the inner no movement.
    fn movement(&mut self, currency: Currency) -> Option<Option<(Money, Way)>> {
        let before = self.mistakes.list.len();
        let (minor, way) = if self.plan.has(Field::Amount) {
            let minor = self.amount(Field::Amount, currency).unwrap_or(0);
            (minor, self.way()?)
        } else {
            self.two_columns(currency)?
        };
        if self.mistakes.list.len() > before {
            return None;
        }
        let way = match (way, minor < 0) {
            // A signed column tells the way; elsewhere a minus takes an entry back.
            (None, negative) => {
                (if negative { Direction::Debit } else { Direction::Credit }, false)
            }
            (Some((direction, _)), true) => (direction.reversed(), true),
            (Some(way), false) => way,
        };
        self.money(minor.abs(), currency).map(|money| money.map(|money| (money, way)))
    }

    fn money(&mut self, minor: i64, currency: Currency) -> Option<Option<Money>> {
        if minor == 0 {
            return Some(None);
        }
        let money = Money::new(minor, currency).ok();
        if money.is_none() {
            let rule = "the amount is above 1,000,000,000,000 minor units";
            self.wrong("amount", rule, "check `decimal` in the settings");
        }
        money.map(Some)
    }

    /// What the direction column says; `Some(None)` where there is none.
    fn way(&mut self) -> Option<Option<Way>> {
        if !self.plan.has(Field::Direction) {
            return Some(None);
        }
        let word = self.text(Field::Direction).unwrap_or_default();
        let words = &self.plan.words;
        let is = |list: &[String]| list.iter().any(|w| same(w, &word));
        let way = match () {
            () if is(&words.credit) => (Direction::Credit, false),
            () if is(&words.debit) => (Direction::Debit, false),
            () if is(&words.credit_reversal) => (Direction::Debit, true),
            () if is(&words.debit_reversal) => (Direction::Credit, true),
            () => {
                let title = self.title(Field::Direction);
                let rule = "it is none of the words for credit and debit";
                self.wrong(&title, rule, "add the word to `words.credit` or `words.debit`");
                return None;
            }
        };
        Some(Some(way))
    }

    fn two_columns(&mut self, currency: Currency) -> Option<(i64, Option<Way>)> {
        let credit = self.amount(Field::Credit, currency).unwrap_or(0);
        let debit = self.amount(Field::Debit, currency).unwrap_or(0);
        match (credit, debit) {
            (_, 0) => Some((credit, Some((Direction::Credit, false)))),
            (0, _) => Some((debit, Some((Direction::Debit, false)))),
            _ => {
                let title = self.title(Field::Credit);
                let rule = "the line has a credit and a debit";
                self.wrong(&title, rule, "check which columns they are");
                None
            }
        }
    }

    fn entry(&self, booked_on: Date, value_on: Option<Date>, amount: Money, way: Way) -> Entry {
        let texts = self.layout.columns.iter().filter(|(field, _, _)| *field == Field::Text);
        let texts = texts.map(|(_, at, _)| clean(self.row.record.get(*at).unwrap_or_default()));
        Entry {
            line: self.row.line,
            bank_reference: self.get(Field::BankReference).and_then(|(_, t)| real_reference(t)),
            booked_on,
            value_on,
            amount,
            direction: way.0,
            reversal: way.1,
            counterparty: Party {
                name: self.text(Field::CounterpartyName),
                account: self.text(Field::CounterpartyAccount),
            },
            virtual_account: self.text(Field::VirtualAccount),
            text: joined(texts),
            end_to_end: self.get(Field::EndToEnd).and_then(|(_, t)| real_reference(t)),
            occurrence: 1,
        }
    }
}

/// An entry and the balance after it.
type Balanced = (Entry, Option<i64>);

/// The entries of each account and currency, with the balance after each.
#[derive(Default)]
struct Sheets {
    of: BTreeMap<(String, Currency), Vec<Balanced>>,
    skipped: Vec<Skipped>,
}

impl Sheets {
    fn skip(&mut self, line: u32, why: Why) {
        self.skipped.push(Skipped { line, why });
    }

    fn statements(mut self, plan: &Plan, mistakes: &mut Mistakes) -> Vec<Statement> {
        let mut skipped = std::mem::take(&mut self.skipped);
        if self.of.is_empty() {
            // A day without entries is a statement too, where the settings say whose.
            if let Some(currency) = plan.currency {
                self.of.insert((plan.account.clone().unwrap_or_default(), currency), Vec::new());
            }
        }
        let sheets = self.of.into_iter();
        sheets
            .map(|((account, currency), rows)| {
                let chain = chain(&rows, currency, plan, mistakes);
                let entries: Vec<Entry> = rows.into_iter().map(|(entry, _)| entry).collect();
                Statement {
                    account: some(&account).unwrap_or_default(),
                    currency,
                    number: None,
                    from: entries.iter().map(|e| e.booked_on).min(),
                    to: entries.iter().map(|e| e.booked_on).max(),
                    opening_minor: chain.map(|c| c.0),
                    closing_minor: chain.map(|c| c.1),
                    entries,
                    skipped: std::mem::take(&mut skipped),
                }
            })
            .collect()
    }
}

/// Opening and closing balance, where every line tells its balance; a step that does not fit is
/// a mistake.
fn chain(
    rows: &[Balanced],
    currency: Currency,
    plan: &Plan,
    mistakes: &mut Mistakes,
) -> Option<(i64, i64)> {
    let told: Option<Vec<(&Entry, i64)>> =
        rows.iter().map(|(entry, balance)| balance.map(|b| (entry, b))).collect();
    let forward = told.filter(|told| !told.is_empty())?;
    let backward: Vec<(&Entry, i64)> = forward.iter().rev().copied().collect();
    let (first, second) = match plan.newest_first {
        Some(true) => (backward, None),
        Some(false) => (forward, None),
        None if forward[0].0.booked_on > forward[forward.len() - 1].0.booked_on => {
            (backward, Some(forward))
        }
        None => (forward, Some(backward)),
    };
    let broken = broken_steps(&first);
    let second = second.filter(|rows| !broken.is_empty() && broken_steps(rows).is_empty());
    let (rows, broken) = second.map_or((first, broken), |rows| (rows, Vec::new()));
    for (line, difference) in broken {
        let rule = format!(
            "the balance is not that of the line before and this amount: {} differ",
            shown(difference, currency)
        );
        let fix = "a line is missing or read wrongly; look at the columns, and at `newest_first`";
        mistakes.add(line, "balance", &rule, fix);
    }
    let opening = rows[0].1 - moved(rows[0].0);
    Some((opening, rows[rows.len() - 1].1))
}

fn moved(entry: &Entry) -> i64 {
    entry.direction.sign() * entry.amount.minor()
}

fn broken_steps(rows: &[(&Entry, i64)]) -> Vec<(u32, i64)> {
    let difference = |pair: &[(&Entry, i64)]| pair[1].1 - pair[0].1 - moved(pair[1].0);
    let steps = rows.windows(2).map(|pair| (pair[1].0.line, difference(pair)));
    steps.filter(|(_, difference)| *difference != 0).collect()
}
