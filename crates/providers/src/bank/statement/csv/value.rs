//! Single values of a CSV file: words, days, amounts.

use domain::Currency;
use jiff::civil::Date;
use jiff::fmt::strtime::BrokenDownTime;

use crate::bank::reference::narrow;

use super::super::common::minor;

/// How amounts are written.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    pub(super) decimal: char,
    pub(super) thousands: char,
}

/// A field without blanks, tabs, and the wrapping with which spreadsheets are kept from reading
/// a long number as one: `="6222..."`, or an apostrophe in front.
pub(super) fn clean(field: &str) -> &str {
    let field = field.trim();
    let inner = field.strip_prefix("=\"").and_then(|f| f.strip_suffix('"')).unwrap_or(field);
    inner.strip_prefix(['\'', '`']).unwrap_or(inner).trim()
}

/// A word as it is compared: half width, lower case, no blanks.
pub(super) fn plain(text: &str) -> String {
    let narrowed = text.chars().map(narrow).filter(|c| !c.is_whitespace());
    narrowed.flat_map(char::to_lowercase).collect()
}

/// Whether two words are the same but for case, width and blanks.
pub(super) fn same(a: &str, b: &str) -> bool {
    plain(a) == plain(b)
}

/// A day in one format; the time of day is read and dropped. A year of two digits under `%Y`
/// would be one of the first century, and is none.
pub(super) fn day(text: &str, format: &str) -> Option<Date> {
    let day = BrokenDownTime::parse(format, text).ok()?.to_date().ok()?;
    (1990..2190).contains(&day.year()).then_some(day)
}

/// A day in the first format that fits.
pub(super) fn day_of(text: &str, formats: &[String]) -> Option<Date> {
    let text: String = clean(text).chars().map(narrow).collect();
    formats.iter().find_map(|format| day(&text, format))
}

impl Numbers {
    /// Signed minor units. Signs may stand before or after, or be brackets; signs and codes of
    /// currencies and blanks count for nothing. Thousands are only read in threes, so that a
    /// wrongly set decimal sign is noticed. `None` when it is no amount.
    pub(super) fn minor(self, text: &str, currency: Currency) -> Option<i64> {
        let drop =
            |c: &char| c.is_whitespace() || matches!(c, '¥' | '￥' | '$' | '€' | '£' | '\'' | '’');
        let text: String = clean(text).chars().filter(|c| !drop(c)).map(narrow).collect();
        let text = text.replace(['−', '–'], "-");
        let text = text.strip_prefix(currency.code()).unwrap_or(&text);
        let text = text.strip_suffix(currency.code()).unwrap_or(text);
        let (sign, digits) = signed(text)?;
        let (whole, part) = digits.split_once(self.decimal).unwrap_or((digits, ""));
        let whole = self.ungrouped(whole)?;
        let plain = if part.is_empty() { whole } else { format!("{whole}.{part}") };
        minor(&plain, currency).map(|minor| sign * minor)
    }

    fn ungrouped(self, whole: &str) -> Option<String> {
        let groups: Vec<&str> = whole.split(self.thousands).collect();
        let good = groups.len() == 1
            || ((1..=3).contains(&groups[0].len()) && groups[1..].iter().all(|g| g.len() == 3));
        // `.50` is written by some for 0.50.
        let joined = groups.concat();
        good.then(|| if joined.is_empty() { "0".to_owned() } else { joined })
    }
}

fn signed(text: &str) -> Option<(i64, &str)> {
    let bracketed = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    let (sign, digits) = match (bracketed, text.strip_prefix('-'), text.strip_suffix('-')) {
        (Some(digits), _, _) => (-1, digits),
        (_, Some(_), Some(_)) => return None,
        (_, Some(digits), _) | (_, _, Some(digits)) => (-1, digits),
        _ => (1, text.strip_prefix('+').or(text.strip_suffix('+')).unwrap_or(text)),
    };
    (digits.chars().any(|c| c.is_ascii_digit())).then_some((sign, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: Numbers = Numbers { decimal: '.', thousands: ',' };
    const COMMA: Numbers = Numbers { decimal: ',', thousands: '.' };

    #[test]
    fn amounts_are_read_as_banks_write_them() {
        for (text, minor) in [
            ("1,234.50", 123_450),
            ("1234.5", 123_450),
            ("￥1，234．50", 123_450),
            ("-0.01", -1),
            ("12.00-", -1_200),
            ("(12.00)", -1_200),
            ("+12", 1_200),
            ("CNY 12.00", 1_200),
            ("1 234.50", 123_450),
            ("1'234.50", 123_450),
            ("=\"12.00\"", 1_200),
            ("\t12.00", 1_200),
            (".50", 50),
            ("12.5000", 1_250),
            ("１２．００", 1_200),
        ] {
            assert_eq!(POINT.minor(text, Currency::CNY), Some(minor), "{text}");
        }
        assert_eq!(COMMA.minor("1.234,50", Currency::CNY), Some(123_450));
        assert_eq!(POINT.minor("1,234", "JPY".parse().unwrap()), Some(1_234));
    }

    #[test]
    fn what_may_be_another_amount_is_none() {
        for text in
            ["", "-", "12,50", "1.234,50", "1,23,456", "--1", "-1-", "1e3", "12.345", "a", "1.2.3"]
        {
            assert_eq!(POINT.minor(text, Currency::CNY), None, "{text}");
        }
        for text in ["1,234.50", "12.50", "1,234"] {
            assert_eq!(COMMA.minor(text, Currency::CNY), None, "{text}");
        }
    }

    #[test]
    fn days_are_read_in_the_first_format_that_fits() {
        let formats = ["%Y-%m-%d", "%Y%m%d", "%Y年%m月%d日"].map(str::to_owned);
        for text in
            ["2026-11-24", "20261124", "2026年11月24日", "２０２６－１１－２４", "\t20261124"]
        {
            assert_eq!(day_of(text, &formats), Some(jiff::civil::date(2026, 11, 24)), "{text}");
        }
        assert_eq!(day_of("24.11.2026", &formats), None);
        assert_eq!(day_of("2026-11-31", &formats), None);
    }
}
