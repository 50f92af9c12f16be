//! How a bank writes its statements: the settings of each format.

use domain::Currency;
use serde::{Deserialize, Serialize};

/// The format of a bank's statement files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values, or tabs or semicolons, with columns as configured.
    Csv(Box<CsvFormat>),
    /// ISO 20022 bank-to-customer statements, `camt.053.001.02` and later.
    Camt053(Camt053Format),
    /// SWIFT customer statements, MT940.
    Mt940(Mt940Format),
}

/// CAMT.053 needs no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camt053Format {}

/// How a bank writes MT940.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mt940Format {
    /// The characters of the file; SWIFT's own are all ASCII.
    #[serde(default)]
    pub encoding: Encoding,
}

/// The characters of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// GBK, as Windows in China writes it.
    Gbk,
    /// GB 18030, which holds all of GBK.
    Gb18030,
    /// Windows-1252, which holds ISO 8859-1's printable characters.
    Windows1252,
}

/// How a bank writes its CSV files. Every column is found by its title, or by its number from 1
/// where the file has no titles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvFormat {
    /// Begin from one of [`PRESETS`](super::PRESETS); fields that are given here replace its.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The characters of the file. Default: `utf8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// What stands between two fields: one ASCII character. Default: `,`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// What encloses a field that holds a delimiter: one ASCII character. Default: `"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<char>,
    /// Lines before the titles (or before the first entry) that are no entries. Where titles are
    /// given, the line of titles is searched for within these and the 20 lines after. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_lines: Option<u32>,
    /// Whether there is a line of titles. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// What a line at the end begins with that is no entry: `合计`, `Total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footers: Option<Vec<String>>,
    /// How dates are written, tried in order: `%Y-%m-%d`, `%Y%m%d`, `%d.%m.%y`, with times if
    /// the column holds them (`%Y%m%d %H:%M:%S`). Default: `%Y-%m-%d`, `%Y%m%d`, `%Y/%m/%d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<Vec<String>>,
    /// What stands before the decimals of an amount: `.` or `,`. Default: `.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// What stands between thousands; spaces and apostrophes are always allowed. Default: the
    /// other one of `,` and `.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// The account, where no column says it. Without either it stays empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The currency, where no column says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Whether the newest entry comes first; only the check of balances needs to know. Default:
    /// found out from the dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_first: Option<bool>,
    /// Which column holds what.
    #[serde(default)]
    pub columns: Columns,
    /// The words of the direction column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
}

/// A column: its title, several titles of which the file has one, or its number from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// By its number, from 1.
    Number(u16),
    /// By its title, without regard to case, width and spaces.
    Title(String),
    /// By the first of several titles that the file has.
    Titles(Vec<String>),
}

/// Which column of a CSV file holds what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// The day of booking. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booked_on: Option<Column>,
    /// The day of value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_on: Option<Column>,
    /// The amount: signed, or with `direction` beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Column>,
    /// What says whether `amount` came or went, by the [`Words`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Column>,
    /// Money that came, where it has a column of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<Column>,
    /// Money that went, where it has a column of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debit: Option<Column>,
    /// What the account held after the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Column>,
    /// The currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Column>,
    /// The statement's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Column>,
    /// The bank's own id of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_reference: Option<Column>,
    /// The other side's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterparty_name: Option<Column>,
    /// The other side's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterparty_account: Option<Column>,
    /// The account that the sender named: a virtual account of the payee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_account: Option<Column>,
    /// The sender's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<Column>,
    /// The remittance text: one column, or several that are joined by a space.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<Column>,
}

/// The words of a direction column, compared without regard to case, width and spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Money that came. Default: `贷`, `贷方`, `收入`, `转入`, `C`, `CR`, `Credit` and the like.
    pub credit: Vec<String>,
    /// Money that went. Default: `借`, `借方`, `支出`, `转出`, `D`, `DR`, `Debit` and the like.
    pub debit: Vec<String>,
    /// The bank takes back a credit: `RC`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credit_reversal: Vec<String>,
    /// The bank takes back a debit: `RD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debit_reversal: Vec<String>,
}

impl Default for Words {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Words {
            credit: list(&[
                "贷", "贷方", "收", "收入", "转入", "存入", "来账", "C", "CR", "CRDT", "Credit",
            ]),
            debit: list(&[
                "借", "借方", "支", "支出", "转出", "支取", "往账", "D", "DR", "DBIT", "Debit",
            ]),
            credit_reversal: list(&["RC"]),
            debit_reversal: list(&["RD"]),
        }
    }
}

impl Format {
    /// Every mistake in the settings; none when files can be read with them.
    pub fn check(&self) -> Vec<FormatMistake> {
        match self {
            Format::Csv(format) => super::csv::Plan::of(format).err().unwrap_or_default(),
            Format::Camt053(_) | Format::Mt940(_) => Vec::new(),
        }
    }
}

/// One mistake in a format's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}; {fix}")]
pub struct FormatMistake {
    /// The field, such as `columns.amount`.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
    /// What to do about it.
    pub fix: String,
}
