//! SWIFT's MT940, bare or in its envelope.
//!
//! What is read leniently, because banks write it so: lines of any length, references longer
//! than sixteen characters, tags that are not known (they are passed over). What is not: amounts,
//! dates, marks, balances.

mod details;
mod fields;
mod line;

use domain::Currency;
use jiff::civil::Date;

use super::common::{Mistakes, check_sum, decode, joined, shown, some};
use super::{Entry, Mt940Format, Skipped, Statement, Why};
use fields::{Tagged, fields};

pub(super) fn read(bytes: &[u8], format: &Mt940Format, mistakes: &mut Mistakes) -> Vec<Statement> {
    let Some(text) = decode(bytes, format.encoding, mistakes) else { return Vec::new() };
    let mut pages: Vec<Page> = Vec::new();
    for field in fields(&text) {
        if field.tag == "20" {
            pages.push(Page::new(field.line));
        }
        match pages.last_mut() {
            Some(page) => page.take(&field, mistakes),
            None => {
                let rule = "the statement does not begin with :20:";
                mistakes.add(field.line, &field.name(), rule, "export the file again, whole");
                return Vec::new();
            }
        }
    }
    let whole: Vec<Page> = pages.into_iter().filter(|page| page.is_whole(mistakes)).collect();
    whole
        .into_iter()
        .fold(Vec::new(), |done, page| page.join(done, mistakes))
        .into_iter()
        .map(|p| p.0)
        .collect()
}

/// A balance field: `:60F:` and its like.
#[derive(Clone, Copy)]
struct Balance {
    minor: i64,
    day: Date,
    currency: Currency,
    /// Whether it stands between two pages of one statement.
    intermediate: bool,
}

impl Balance {
    /// `C` or `D`, `YYMMDD`, a currency, and an amount with a comma.
    fn read(field: &Tagged<'_>) -> Option<Balance> {
        let value = field.value.trim();
        let (mark, rest) = value.split_at_checked(1)?;
        let (day, rest) = rest.split_at_checked(6)?;
        let (currency, amount) = rest.split_at_checked(3)?;
        let currency: Currency = currency.parse().ok()?;
        let sign = match mark {
            "C" => 1,
            "D" => -1,
            _ => return None,
        };
        let minor = sign * line::amount(amount.trim_end(), currency)?;
        let intermediate = field.tag.ends_with('M');
        Some(Balance { minor, day: line::day(day)?, currency, intermediate })
    }
}

/// One message: a statement, or a page of one.
struct Page {
    line: u32,
    account: Option<String>,
    number: Option<String>,
    opening: Option<Balance>,
    closing: Option<Balance>,
    entries: Vec<Entry>,
    skipped: Vec<Skipped>,
    /// Whether the last `:61:` may still get its `:86:`.
    open: bool,
}

/// A statement so far, and whether its last page says that another follows.
type Open = (Statement, bool);

impl Page {
    fn new(line: u32) -> Page {
        Page {
            line,
            account: None,
            number: None,
            opening: None,
            closing: None,
            entries: Vec::new(),
            skipped: Vec::new(),
            open: false,
        }
    }

    fn take(&mut self, field: &Tagged<'_>, mistakes: &mut Mistakes) {
        match field.tag {
            "25" | "25P" => self.account = field.value.lines().next().and_then(some),
            "28" | "28C" => self.number = some(&field.value),
            "60F" | "60M" => self.opening = balance(field, mistakes),
            "61" => self.entry(field, mistakes),
            "86" => self.details(field),
            "62F" | "62M" => {
                self.closing = balance(field, mistakes);
                self.open = false;
            }
            _ => self.open = false,
        }
    }

    fn entry(&mut self, field: &Tagged<'_>, mistakes: &mut Mistakes) {
        self.open = false;
        let Some(opening) = self.opening else {
            let rule = "it comes before a readable opening balance, which says the currency";
            mistakes.add(field.line, ":61:", rule, "export the file again, whole");
            return;
        };
        match line::entry(field, opening.currency) {
            Ok(Some(entry)) => {
                self.entries.push(entry);
                self.open = true;
            }
            Ok(None) => self.skipped.push(Skipped { line: field.line, why: Why::ZeroAmount }),
            Err(rule) => {
                let fix = "export the file again; if it stays so, ask the bank";
                mistakes.add(field.line, ":61:", rule, fix);
            }
        }
    }

    fn details(&mut self, field: &Tagged<'_>) {
        if !self.open {
            return;
        }
        if let Some(entry) = self.entries.last_mut() {
            let told = details::read(&field.value);
            entry.text = joined([told.text.as_str(), entry.text.as_str()]);
            entry.counterparty = told.party;
            entry.end_to_end = told.end_to_end.or(entry.end_to_end.take());
        }
        self.open = false;
    }

    fn is_whole(&self, mistakes: &mut Mistakes) -> bool {
        let told = [
            (":25:", self.account.is_some()),
            (":60F:", self.opening.is_some()),
            (":62F:", self.closing.is_some()),
        ];
        for (field, _) in told.iter().filter(|(_, told)| !told) {
            let rule = "it is missing or not readable; the file may have been cut off";
            mistakes.add(self.line, field, rule, "export the file again, whole");
        }
        told.iter().all(|(_, told)| *told)
    }

    /// Checks the page's sum, and joins it to the page before or begins a statement with it.
    fn join(self, mut done: Vec<Open>, mistakes: &mut Mistakes) -> Vec<Open> {
        let (Some(opening), Some(closing)) = (self.opening, self.closing) else { return done };
        let page = Statement {
            account: self.account.unwrap_or_default(),
            currency: opening.currency,
            number: self.number,
            from: self.entries.iter().map(|e| e.booked_on).min(),
            to: Some(closing.day),
            opening_minor: Some(opening.minor),
            closing_minor: Some(closing.minor),
            entries: self.entries,
            skipped: self.skipped,
        };
        if closing.currency != opening.currency {
            let rule = "its currency is not that of the opening balance";
            mistakes.add(self.line, ":62F:", rule, "export the file again");
        }
        check_sum(&page, self.line, ":62F:", mistakes);
        match done.last_mut().filter(|(before, more)| {
            *more && opening.intermediate && before.account == page.account
        }) {
            Some((before, more)) => {
                continues(before, &page, self.line, mistakes);
                *more = closing.intermediate;
                before.to = page.to;
                before.closing_minor = page.closing_minor;
                before.entries.extend(page.entries);
                before.skipped.extend(page.skipped);
            }
            None => done.push((page, closing.intermediate)),
        }
        done
    }
}

fn continues(before: &Statement, page: &Statement, line: u32, mistakes: &mut Mistakes) {
    let (Some(closed), Some(opened)) = (before.closing_minor, page.opening_minor) else { return };
    if closed != opened {
        let difference = shown(opened.saturating_sub(closed), page.currency);
        let rule =
            format!("the page does not go on where the one before ended: {difference} differ");
        mistakes.add(line, ":60M:", &rule, "a page is missing; export the file again, whole");
    }
}

fn balance(field: &Tagged<'_>, mistakes: &mut Mistakes) -> Option<Balance> {
    let balance = Balance::read(field);
    if balance.is_none() {
        let rule = "it must be C or D, YYMMDD, a currency and an amount with a comma: \
                    C261124CNY1234,56";
        mistakes.add(field.line, &field.name(), rule, "export the file again");
    }
    balance
}
