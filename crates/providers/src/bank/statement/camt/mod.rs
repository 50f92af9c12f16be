//! ISO 20022's `camt.053`, in every version since 02: by local names, whatever the namespace.

mod entry;
mod tree;

use domain::Currency;
use jiff::civil::Date;

use super::common::{Mistakes, check_sum, minor, some};
use super::{Direction, Entry, Skipped, Statement};
use tree::Node;

pub(super) fn read(bytes: &[u8], mistakes: &mut Mistakes) -> Vec<Statement> {
    let mut sheets: Vec<Sheet> = Vec::new();
    tree::walk(bytes, mistakes, |statement, node, mistakes| {
        if sheets.len() <= statement {
            sheets.push(Sheet::new(node.line));
        }
        if let Some(sheet) = sheets.last_mut() {
            sheet.take(node, mistakes);
        }
    });
    sheets.into_iter().filter_map(|sheet| sheet.statement(mistakes)).collect()
}

/// A statement on its way.
struct Sheet {
    line: u32,
    account: Option<String>,
    currency: Option<Currency>,
    number: Option<String>,
    from: Option<Date>,
    to: Option<Date>,
    opening: Option<i64>,
    /// The closing balance of the period before, which opens this one where nothing else does.
    before: Option<i64>,
    closing: Option<i64>,
    entries: Vec<Entry>,
    skipped: Vec<Skipped>,
}

impl Sheet {
    fn new(line: u32) -> Sheet {
        Sheet {
            line,
            account: None,
            currency: None,
            number: None,
            from: None,
            to: None,
            opening: None,
            before: None,
            closing: None,
            entries: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Takes one child of `Stmt`.
    fn take(&mut self, node: &Node, mistakes: &mut Mistakes) {
        match node.name.as_str() {
            "Id" => self.number = self.number.take().or_else(|| some(&node.text)),
            "ElctrncSeqNb" | "LglSeqNb" => self.number = some(&node.text),
            "FrToDt" => {
                self.from = node.text_of(&["FrDtTm"]).and_then(day);
                self.to = node.text_of(&["ToDtTm"]).and_then(day);
            }
            "Acct" => {
                self.account = account_of(node);
                self.currency = node.text_of(&["Ccy"]).and_then(|c| c.parse().ok());
            }
            "Bal" => self.balance(node, mistakes),
            "Ntry" => entry::read(
                node,
                self.account.as_deref(),
                mistakes,
                &mut self.entries,
                &mut self.skipped,
            ),
            _ => {}
        }
    }

    fn balance(&mut self, node: &Node, mistakes: &mut Mistakes) {
        let kind = node.text_of(&["Tp", "CdOrPrtry", "Cd"]).unwrap_or_default();
        if !matches!(kind, "OPBD" | "PRCD" | "CLBD") {
            return;
        }
        let Some((minor, currency)) = signed_amount(node, mistakes) else { return };
        match self.currency {
            Some(known) if known != currency => {
                let rule = "its currency is not that of the account";
                mistakes.add(node.line, "Bal/Amt", rule, "export the file again, or ask the bank");
                return;
            }
            _ => self.currency = Some(currency),
        }
        match kind {
            "OPBD" => self.opening = self.opening.or(Some(minor)),
            "PRCD" => self.before = self.before.or(Some(minor)),
            _ => self.closing = Some(minor),
        }
    }

    fn statement(self, mistakes: &mut Mistakes) -> Option<Statement> {
        let Some(account) = self.account else {
            let rule = "the statement does not say whose account it is";
            mistakes.add(self.line, "Stmt/Acct/Id", rule, "export the file again");
            return None;
        };
        let Some(currency) = self.currency.or(self.entries.first().map(|e| e.amount.currency()))
        else {
            let rule = "neither account, balances nor entries say the currency";
            mistakes.add(self.line, "Stmt/Acct/Ccy", rule, "export the file again");
            return None;
        };
        for entry in self.entries.iter().filter(|e| e.amount.currency() != currency) {
            let rule = "its currency is not that of the account";
            mistakes.add(entry.line, "Ntry/Amt", rule, "export the file again, or ask the bank");
        }
        let statement = Statement {
            account,
            currency,
            number: self.number,
            from: self.from,
            to: self.to,
            opening_minor: self.opening.or(self.before),
            closing_minor: self.closing,
            entries: self.entries,
            skipped: self.skipped,
        };
        check_sum(&statement, self.line, "Stmt/Bal", mistakes);
        Some(statement)
    }
}

/// The `Id` inside an account element.
fn account_of(node: &Node) -> Option<String> {
    let paths: [&[&str]; 2] = [&["Id", "IBAN"], &["Id", "Othr", "Id"]];
    paths.iter().find_map(|path| node.text_of(path).and_then(some))
}

/// An `Amt` with its currency.
fn amount(node: &Node, line: u32, field: &str, mistakes: &mut Mistakes) -> Option<(i64, Currency)> {
    let amount = plain_amount(node);
    if amount.is_none() {
        let rule = "it must be a number with the currency's decimals, and a Ccy attribute";
        mistakes.add(line, field, rule, "export the file again, or ask the bank");
    }
    amount
}

fn plain_amount(amt: &Node) -> Option<(i64, Currency)> {
    let currency: Currency = amt.currency.as_deref()?.parse().ok()?;
    Some((minor(amt.text.trim(), currency)?, currency))
}

fn direction(node: &Node) -> Option<Direction> {
    match node.text_of(&["CdtDbtInd"])? {
        "CRDT" => Some(Direction::Credit),
        "DBIT" => Some(Direction::Debit),
        _ => None,
    }
}

fn signed_amount(node: &Node, mistakes: &mut Mistakes) -> Option<(i64, Currency)> {
    let (minor, currency) = match node.child("Amt") {
        Some(amt) => amount(amt, node.line, &format!("{}/Amt", node.name), mistakes)?,
        None => {
            let field = format!("{}/Amt", node.name);
            mistakes.add(node.line, &field, "it is missing", "export the file again");
            return None;
        }
    };
    let Some(direction) = direction(node) else {
        let field = format!("{}/CdtDbtInd", node.name);
        mistakes.add(node.line, &field, "it must be CRDT or DBIT", "export the file again");
        return None;
    };
    Some((direction.sign() * minor, currency))
}

/// The day of an ISO 8601 date or date and time, as the bank writes it.
fn day(text: &str) -> Option<Date> {
    text.trim().get(..10)?.parse().ok()
}

/// The day of a choice of `Dt` and `DtTm`.
fn day_of(node: &Node, name: &str) -> Option<Date> {
    let choice = node.child(name)?;
    choice.text_of(&["Dt"]).or_else(|| choice.text_of(&["DtTm"])).and_then(day)
}
