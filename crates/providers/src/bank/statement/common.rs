//! What the readers share: collected mistakes, characters, plain numbers, the sum of a statement.

use domain::{Currency, Money};
use encoding_rs::{GB18030, GBK, WINDOWS_1252};

use super::{Encoding, LineMistake, Statement};

/// So many mistakes are told; a wrong setting makes every line one.
const MISTAKES_MAX: usize = 200;

#[derive(Default)]
pub(super) struct Mistakes {
    pub(super) list: Vec<LineMistake>,
}

impl Mistakes {
    pub(super) fn add(&mut self, line: u32, field: &str, rule: &str, fix: &str) {
        if self.list.len() < MISTAKES_MAX {
            let (field, rule, fix) = (field.to_owned(), rule.to_owned(), fix.to_owned());
            self.list.push(LineMistake { line, field, rule, fix });
        }
    }

    pub(super) fn full(&self) -> bool {
        self.list.len() >= MISTAKES_MAX
    }
}

/// The text of a file. Lines are decoded one by one, which every encoding here allows (no
/// character of theirs holds the byte of a line's end), so that a mistake has its line.
pub(super) fn decode(bytes: &[u8], encoding: Encoding, mistakes: &mut Mistakes) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    for (at, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let decoded = match encoding {
            Encoding::Utf8 => std::str::from_utf8(line).ok().map(Into::into),
            Encoding::Gbk => GBK.decode_without_bom_handling_and_without_replacement(line),
            Encoding::Gb18030 => GB18030.decode_without_bom_handling_and_without_replacement(line),
            Encoding::Windows1252 => {
                WINDOWS_1252.decode_without_bom_handling_and_without_replacement(line)
            }
        };
        let Some(decoded) = decoded else {
            let rule = "the line has bytes that are no characters in the set encoding";
            let fix = "set `encoding` to the file's: utf8, gbk, gb18030 or windows1252";
            mistakes.add(number(at + 1), "encoding", rule, fix);
            return None;
        };
        text.push_str(&decoded);
    }
    Some(text)
}

/// A line's number; files are too small for it to overflow.
pub(super) fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Minor units of a plain decimal number: digits, and a point before the decimals. `None` when
/// it is something else, has more decimals than the currency, or is above what Evergate handles.
pub(super) fn minor(text: &str, currency: Currency) -> Option<i64> {
    let decimals = currency.decimals() as usize;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let kept = part.trim_end_matches('0');
    let whole = whole.trim_start_matches('0');
    if kept.len() > decimals || whole.len() > 13 {
        return None;
    }
    let minor: i64 = format!("0{whole}{kept:0<decimals$}").parse().ok()?;
    (minor <= 100 * Money::MAX_MINOR).then_some(minor)
}

/// Minor units as a person reads them, with a sign.
pub(super) fn shown(minor: i64, currency: Currency) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let amount = Money::new(minor.saturating_abs(), currency);
    amount.map_or_else(|_| format!("{sign}{}", minor.abs()), |m| format!("{sign}{}", m.to_major()))
}

/// Whether opening and closing balance agree with the entries, where both are told.
pub(super) fn check_sum(statement: &Statement, line: u32, field: &str, mistakes: &mut Mistakes) {
    let (Some(opening), Some(closing)) = (statement.opening_minor, statement.closing_minor) else {
        return;
    };
    let moved: i64 = statement.entries.iter().map(|e| e.direction.sign() * e.amount.minor()).sum();
    let difference = closing.saturating_sub(opening.saturating_add(moved));
    if difference != 0 {
        let currency = statement.currency;
        let rule = format!(
            "opening balance {} and the {} entries make {}, but the closing balance is {}: {} differ",
            shown(opening, currency),
            statement.entries.len(),
            shown(opening.saturating_add(moved), currency),
            shown(closing, currency),
            shown(difference, currency),
        );
        let fix =
            "an entry is missing, or read wrongly; export the file again and check the format";
        mistakes.add(line, field, &rule, fix);
    }
}

/// Parts of a text, joined by one space; so is every other row of blanks and line ends.
pub(super) fn joined<'t>(parts: impl IntoIterator<Item = &'t str>) -> String {
    let words: Vec<&str> = parts.into_iter().flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// A text, unless nothing is in it.
pub(super) fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
