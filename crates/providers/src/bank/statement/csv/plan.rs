//! Settings with a preset and defaults filled in, checked.

use domain::Currency;
use jiff::civil::{DateTime, date};

use super::super::{Column, Columns, CsvFormat, Encoding, FormatMistake, Words};
use super::presets::{PRESETS, preset};
use super::value::{Numbers, same};

/// How a file is read: settings that hold together.
pub(in super::super) struct Plan {
    pub(super) encoding: Encoding,
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    pub(super) skip_lines: u32,
    pub(super) header: bool,
    pub(super) footers: Vec<String>,
    pub(super) dates: Vec<String>,
    pub(super) numbers: Numbers,
    pub(super) account: Option<String>,
    pub(super) currency: Option<Currency>,
    pub(super) newest_first: Option<bool>,
    pub(super) columns: Vec<Mapped>,
    pub(super) words: Words,
}

/// A column and what it holds.
#[derive(Clone)]
pub(super) struct Mapped {
    pub(super) field: Field,
    pub(super) column: Column,
    /// Whether a file without it is refused: what the settings name is, what a preset adds is
    /// not, unless no entry can be read without it.
    pub(super) must: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    BookedOn,
    ValueOn,
    Amount,
    Direction,
    Credit,
    Debit,
    Balance,
    Currency,
    Account,
    BankReference,
    CounterpartyName,
    CounterpartyAccount,
    VirtualAccount,
    EndToEnd,
    Text,
}

impl Field {
    /// Its name in the settings.
    pub(super) fn name(self) -> &'static str {
        match self {
            Field::BookedOn => "booked_on",
            Field::ValueOn => "value_on",
            Field::Amount => "amount",
            Field::Direction => "direction",
            Field::Credit => "credit",
            Field::Debit => "debit",
            Field::Balance => "balance",
            Field::Currency => "currency",
            Field::Account => "account",
            Field::BankReference => "bank_reference",
            Field::CounterpartyName => "counterparty_name",
            Field::CounterpartyAccount => "counterparty_account",
            Field::VirtualAccount => "virtual_account",
            Field::EndToEnd => "end_to_end",
            Field::Text => "text",
        }
    }

    fn needed(self) -> bool {
        matches!(
            self,
            Field::BookedOn | Field::Amount | Field::Direction | Field::Credit | Field::Debit
        )
    }
}

struct Found(Vec<FormatMistake>);

impl Found {
    fn add(&mut self, field: &str, rule: &str, fix: &str) {
        let (field, rule, fix) = (field.to_owned(), rule.to_owned(), fix.to_owned());
        self.0.push(FormatMistake { field, rule, fix });
    }
}

impl Plan {
    /// # Errors
    /// Every mistake in the settings.
    pub(in super::super) fn of(format: &CsvFormat) -> Result<Plan, Vec<FormatMistake>> {
        let mut found = Found(Vec::new());
        let base = base(format, &mut found);
        let columns = columns(&format.columns, &base.columns);
        let decimal = format.decimal.or(base.decimal).unwrap_or('.');
        let other = if decimal == '.' { ',' } else { '.' };
        let plan = Plan {
            encoding: format.encoding.or(base.encoding).unwrap_or_default(),
            delimiter: ascii("delimiter", format.delimiter.or(base.delimiter), b',', &mut found),
            quote: ascii("quote", format.quote.or(base.quote), b'"', &mut found),
            skip_lines: format.skip_lines.or(base.skip_lines).unwrap_or(0),
            header: format.header.or(base.header).unwrap_or(true),
            footers: format.footers.clone().or(base.footers).unwrap_or_default(),
            dates: format.dates.clone().or(base.dates).unwrap_or_else(default_dates),
            numbers: Numbers {
                decimal,
                thousands: format.thousands.or(base.thousands).unwrap_or(other),
            },
            account: format.account.clone().or(base.account),
            currency: format.currency.or(base.currency),
            newest_first: format.newest_first.or(base.newest_first),
            columns,
            words: format.words.clone().or(base.words).unwrap_or_default(),
        };
        plan.check(&mut found);
        if found.0.is_empty() { Ok(plan) } else { Err(found.0) }
    }

    pub(super) fn has(&self, field: Field) -> bool {
        self.columns.iter().any(|m| m.field == field)
    }

    fn check(&self, found: &mut Found) {
        self.check_signs(found);
        self.check_dates(found);
        self.check_amounts(found);
        self.check_columns(found);
        if self.currency.is_none() && !self.has(Field::Currency) {
            let fix = "set `currency = \"CNY\"`, or the column in `columns.currency`";
            found.add("currency", "nothing says which currency the amounts are in", fix);
        }
        if self.footers.iter().any(|f| f.trim().is_empty()) {
            found.add("footers", "an empty text is at the beginning of every line", "remove it");
        }
    }

    fn check_signs(&self, found: &mut Found) {
        let Numbers { decimal, thousands } = self.numbers;
        if !matches!(decimal, '.' | ',') {
            found.add("decimal", "it must be `.` or `,`", "look at an amount in the file");
        }
        if thousands == decimal || thousands.is_ascii_digit() || thousands == '-' {
            let rule = "it must be another sign than `decimal`, and no digit or minus";
            found.add("thousands", rule, "leave it out if the file has none");
        }
        if self.delimiter == self.quote {
            found.add(
                "quote",
                "it is the delimiter as well",
                "leave out `quote`, mostly it is `\"`",
            );
        }
        if self.skip_lines > 1_000 {
            found.add("skip_lines", "it is above 1000", "count the lines before the titles");
        }
    }

    fn check_dates(&self, found: &mut Found) {
        if self.dates.is_empty() {
            found.add("dates", "the list is empty", "write one like `%Y-%m-%d`, or leave it out");
        }
        for format in &self.dates {
            if !is_date_format(format) {
                let rule = format!("`{format}` does not give a year, month and day");
                let fix = "use %Y (or %y), %m and %d, as in `%Y-%m-%d` or `%d.%m.%y %H:%M`";
                found.add("dates", &rule, fix);
            }
        }
    }

    fn check_amounts(&self, found: &mut Found) {
        let (amount, direction) = (self.has(Field::Amount), self.has(Field::Direction));
        let (credit, debit) = (self.has(Field::Credit), self.has(Field::Debit));
        if !self.has(Field::BookedOn) {
            let fix = "set it to the title of the date's column";
            found.add("columns.booked_on", "it is required", fix);
        }
        let told = amount || (credit && debit);
        if !told {
            let fix = "set `columns.amount`, or both `columns.credit` and `columns.debit`";
            found.add("columns.amount", "nothing says how much an entry is", fix);
        }
        if amount && (credit || debit) {
            let fix = "keep `columns.amount`, or `columns.credit` and `columns.debit`";
            found.add("columns.amount", "the amount would be told twice", fix);
        }
        if direction && !amount {
            let fix = "set `columns.amount` as well, or leave it out";
            found.add("columns.direction", "it goes with one column of amounts", fix);
        }
        let Words { credit, debit, credit_reversal, debit_reversal } = &self.words;
        let all: Vec<&String> =
            credit.iter().chain(debit).chain(credit_reversal).chain(debit_reversal).collect();
        for (at, word) in all.iter().enumerate() {
            if all[..at].iter().any(|other| same(other, word)) {
                let rule = format!("the word `{word}` stands twice");
                found.add("words", &rule, "give each word one meaning");
            }
        }
    }

    fn check_columns(&self, found: &mut Found) {
        for mapped in &self.columns {
            let field = format!("columns.{}", mapped.field.name());
            match &mapped.column {
                Column::Number(0) => {
                    found.add(&field, "columns count from 1", "write 1 for the first column");
                }
                Column::Number(_) => {}
                Column::Title(title) if title.trim().is_empty() => {
                    found.add(&field, "the title is empty", "copy it from the file");
                }
                Column::Titles(titles) if titles.iter().all(|t| t.trim().is_empty()) => {
                    found.add(&field, "the list of titles is empty", "copy one from the file");
                }
                Column::Title(_) | Column::Titles(_) if !self.header => {
                    let fix = "write the column's number, from 1";
                    found.add(&field, "a file without titles has no column of that title", fix);
                }
                Column::Title(_) | Column::Titles(_) => {}
            }
        }
    }
}

fn base(format: &CsvFormat, found: &mut Found) -> CsvFormat {
    let Some(name) = &format.preset else { return CsvFormat::default() };
    preset(name).unwrap_or_else(|| {
        let rule = format!("there is no preset `{name}`");
        found.add("preset", &rule, &format!("use one of {}", PRESETS.join(", ")));
        CsvFormat::default()
    })
}

fn ascii(field: &str, given: Option<char>, default: u8, found: &mut Found) -> u8 {
    let Some(given) = given else { return default };
    match u8::try_from(given) {
        Ok(byte)
            if byte.is_ascii()
                && !byte.is_ascii_alphanumeric()
                && !matches!(byte, b'\n' | b'\r') =>
        {
            byte
        }
        _ => {
            found.add(field, "it must be one ASCII sign", "write it like `;` or a tab, `\\t`");
            default
        }
    }
}

fn default_dates() -> Vec<String> {
    ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d"].map(str::to_owned).into()
}

/// Whether a day that is written in a format can be read back from it.
fn is_date_format(format: &str) -> bool {
    let sample: DateTime = date(2026, 11, 24).at(13, 14, 15, 0);
    let read_back = |text: String| super::value::day(&text, format);
    jiff::fmt::strtime::format(format, sample).ok().and_then(read_back) == Some(sample.date())
}

fn columns(own: &Columns, base: &Columns) -> Vec<Mapped> {
    // Whoever names a way to tell amounts replaces the preset's whole way.
    let own_amounts = own.amount.is_some() || own.credit.is_some() || own.debit.is_some();
    let amounts = |column: &Option<Column>| if own_amounts { None } else { column.clone() };
    let pairs = [
        (Field::BookedOn, &own.booked_on, base.booked_on.clone()),
        (Field::ValueOn, &own.value_on, base.value_on.clone()),
        (Field::Amount, &own.amount, amounts(&base.amount)),
        (Field::Direction, &own.direction, amounts(&base.direction)),
        (Field::Credit, &own.credit, amounts(&base.credit)),
        (Field::Debit, &own.debit, amounts(&base.debit)),
        (Field::Balance, &own.balance, base.balance.clone()),
        (Field::Currency, &own.currency, base.currency.clone()),
        (Field::Account, &own.account, base.account.clone()),
        (Field::BankReference, &own.bank_reference, base.bank_reference.clone()),
        (Field::CounterpartyName, &own.counterparty_name, base.counterparty_name.clone()),
        (Field::CounterpartyAccount, &own.counterparty_account, base.counterparty_account.clone()),
        (Field::VirtualAccount, &own.virtual_account, base.virtual_account.clone()),
        (Field::EndToEnd, &own.end_to_end, base.end_to_end.clone()),
    ];
    let mut mapped: Vec<Mapped> = pairs
        .into_iter()
        .filter_map(|(field, own, base)| {
            let must = own.is_some() || field.needed();
            own.clone().or(base).map(|column| Mapped { field, column, must })
        })
        .collect();
    let (texts, must) = if own.text.is_empty() { (&base.text, false) } else { (&own.text, true) };
    mapped.extend(texts.iter().map(|c| Mapped { field: Field::Text, column: c.clone(), must }));
    mapped
}
