//! `:61:`, the line of an entry.

use domain::{Currency, Money};
use jiff::civil::Date;

use super::super::common::{joined, minor};
use super::super::identity::real_reference;
use super::super::{Direction, Entry, Party};
use super::fields::Tagged;

/// An entry; `Ok(None)` when no money moved.
///
/// # Errors
/// The rule that the line breaks.
pub(super) fn entry(field: &Tagged<'_>, currency: Currency) -> Result<Option<Entry>, &'static str> {
    let mut lines = field.value.splitn(2, '\n');
    let (first, supplement) = (lines.next().unwrap_or_default(), lines.next());
    let (value_on, rest) = leading_day(first).ok_or("it must begin with a date, YYMMDD")?;
    let (entry_day, rest) = entry_day(rest, value_on)?;
    let ((direction, reversal), rest) =
        mark(rest).ok_or("after the dates it must have C, D, RC or RD")?;
    let rest = rest.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(rest.len());
    let (figures, rest) = rest.split_at(end);
    // Without a comma it is whole only where the kind of transaction follows: `1.000,00` is not.
    let whole = figures.contains(',') || rest.starts_with(['N', 'S', 'F']);
    let minor = amount(figures, currency)
        .filter(|_| whole)
        .ok_or("the amount must be digits with a comma, with the currency's decimals")?;
    if minor == 0 {
        return Ok(None);
    }
    let amount = Money::new(minor, currency).map_err(|_| "the amount is above the limit")?;
    // Four characters say the kind of transaction: S, N or F and a code.
    let references = rest.get(4..).unwrap_or_default();
    let (customer, bank) = references.split_once("//").unwrap_or((references, ""));
    Ok(Some(Entry {
        line: field.line,
        bank_reference: real_reference(bank),
        booked_on: entry_day.unwrap_or(value_on),
        value_on: Some(value_on),
        amount,
        direction,
        reversal,
        counterparty: Party::default(),
        virtual_account: None,
        text: joined(supplement),
        end_to_end: real_reference(customer),
        occurrence: 1,
    }))
}

fn leading_day(text: &str) -> Option<(Date, &str)> {
    let (digits, rest) = text.split_at_checked(6)?;
    Some((day(digits)?, rest))
}

/// `YYMMDD`; MT940 has no other century than this one.
pub(super) fn day(text: &str) -> Option<Date> {
    if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| text[at..at + 2].parse::<i8>().ok();
    Date::new(2000 + i16::from(part(0)?), part(2)?, part(4)?).ok()
}

/// `MMDD` in the year that brings it nearest to the day of value; `None` where it is left out.
fn entry_day(text: &str, value_on: Date) -> Result<(Option<Date>, &str), &'static str> {
    let Some((digits, rest)) =
        text.split_at_checked(4).filter(|(d, _)| d.bytes().all(|b| b.is_ascii_digit()))
    else {
        return Ok((None, text));
    };
    let part = |at: usize| digits[at..at + 2].parse::<i8>().unwrap_or(0);
    let near = (-1..=1_i16).filter_map(|years| {
        let day = Date::new(value_on.year() + years, part(0), part(2)).ok()?;
        let apart = day.since(value_on).ok()?.get_days().abs();
        Some((apart, day))
    });
    let day = near.min().ok_or("the entry date is no day, MMDD")?.1;
    Ok((Some(day), rest))
}

fn mark(text: &str) -> Option<((Direction, bool), &str)> {
    // RC takes back a credit: the money goes.
    [
        ("RC", (Direction::Debit, true)),
        ("RD", (Direction::Credit, true)),
        ("C", (Direction::Credit, false)),
        ("D", (Direction::Debit, false)),
    ]
    .into_iter()
    .find_map(|(mark, way)| text.strip_prefix(mark).map(|rest| (way, rest)))
}

/// Minor units of digits with one comma. SWIFT wants the comma always; some banks leave it out
/// of whole amounts, and the file's balances show whether that was meant.
pub(super) fn amount(text: &str, currency: Currency) -> Option<i64> {
    let (whole, part) = text.split_once(',').unwrap_or((text, ""));
    let whole = if whole.is_empty() && !part.is_empty() { "0" } else { whole };
    if part.contains(',') {
        return None;
    }
    minor(&format!("{whole}.{part}"), currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Option<Entry>, &'static str> {
        entry(&Tagged { line: 1, tag: "61", value: value.into() }, Currency::CNY)
    }

    #[test]
    fn every_part_of_the_line_is_read() {
        let entry = read("2511281201CR1234,5NTRFE2E-77//BANK-9\nsupplement").unwrap().unwrap();
        assert_eq!(entry.value_on, Some(jiff::civil::date(2025, 11, 28)));
        assert_eq!(entry.booked_on, jiff::civil::date(2025, 12, 1));
        assert_eq!((entry.amount.minor(), entry.direction), (123_450, Direction::Credit));
        assert_eq!(entry.end_to_end.as_deref(), Some("E2E-77"));
        assert_eq!(entry.bank_reference.as_deref(), Some("BANK-9"));
        assert_eq!(entry.text, "supplement");
    }

    #[test]
    fn the_entry_day_is_in_the_year_nearest_to_the_day_of_value() {
        let booked = |value: &str| read(value).unwrap().unwrap().booked_on.to_string();
        assert_eq!(booked("2512310102C1,NTRFNONREF"), "2026-01-02");
        assert_eq!(booked("2601011231C1,NTRFNONREF"), "2025-12-31");
        assert_eq!(booked("240301C1,NTRFNONREF"), "2024-03-01");
        assert_eq!(booked("2402290229C1,NTRFNONREF"), "2024-02-29");
    }

    #[test]
    fn marks_say_the_way_of_the_money() {
        for (mark, direction, reversal) in [
            ("C", Direction::Credit, false),
            ("D", Direction::Debit, false),
            ("RC", Direction::Debit, true),
            ("RD", Direction::Credit, true),
            ("CR", Direction::Credit, false),
            ("DR", Direction::Debit, false),
        ] {
            let entry = read(&format!("251128{mark}1,00NMSCNONREF")).unwrap().unwrap();
            assert_eq!((entry.direction, entry.reversal), (direction, reversal), "{mark}");
        }
    }

    #[test]
    fn a_line_that_is_none_says_which_rule_it_breaks() {
        for (line, rule) in [
            ("", "date"),
            ("251328C1,NTRF", "date"),
            ("2511281345C1,NTRF", "entry date"),
            ("251128X1,NTRF", "C, D, RC or RD"),
            ("251128C,NTRF", "comma"),
            ("251128CNTRF", "comma"),
            ("251128C1.000,00NTRF", "comma"),
            ("251128C1,234NTRF", "decimals"),
            ("251128C99999999999999,NTRF", "amount"),
        ] {
            assert!(read(line).unwrap_err().contains(rule), "{line}");
        }
        assert_eq!(read("251128C0,00NTRF"), Ok(None));
        let whole = read("251128C100NTRF29-11-2025 10:05//B4G2").unwrap().unwrap();
        assert_eq!((whole.amount.minor(), whole.bank_reference.as_deref()), (10_000, Some("B4G2")));
    }
}
