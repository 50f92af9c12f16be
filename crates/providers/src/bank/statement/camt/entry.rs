//! `Ntry`, an entry, with its details.

use std::collections::HashSet;

use domain::{Currency, Money};
use jiff::civil::Date;

use super::super::common::{Mistakes, joined, shown, some};
use super::super::identity::real_reference;
use super::super::{Direction, Entry, Party, Skipped, Why};
use super::tree::Node;
use super::{account_of, day_of, direction, plain_amount, signed_amount};

/// What all details of one entry share.
struct Whole<'n> {
    node: &'n Node,
    minor: i64,
    currency: Currency,
    direction: Direction,
    reversal: bool,
    booked_on: Date,
    value_on: Option<Date>,
    reference: Option<String>,
    account: Option<&'n str>,
}

pub(super) fn read(
    node: &Node,
    account: Option<&str>,
    mistakes: &mut Mistakes,
    entries: &mut Vec<Entry>,
    skipped: &mut Vec<Skipped>,
) {
    let mut skip = |why| skipped.push(Skipped { line: node.line, why });
    let status = node.text_of(&["Sts", "Cd"]).or_else(|| node.text_of(&["Sts"]));
    match status {
        Some("BOOK") => {}
        Some("PDNG" | "FUTR") => return skip(Why::Pending),
        Some("INFO") => return skip(Why::Information),
        _ => {
            let rule = "it must be BOOK, PDNG, FUTR or INFO";
            mistakes.add(node.line, "Ntry/Sts", rule, "export the file again, or ask the bank");
            return;
        }
    }
    let Some((signed, currency)) = signed_amount(node, mistakes) else { return };
    if signed == 0 {
        return skip(Why::ZeroAmount);
    }
    let value_on = day_of(node, "ValDt");
    let Some(booked_on) = day_of(node, "BookgDt").or(value_on) else {
        let rule = "it is missing or no date";
        mistakes.add(node.line, "Ntry/BookgDt", rule, "export the file again, or ask the bank");
        return;
    };
    let whole = Whole {
        node,
        minor: signed.abs(),
        currency,
        direction: if signed > 0 { Direction::Credit } else { Direction::Debit },
        reversal: matches!(node.text_of(&["RvslInd"]), Some("true" | "1")),
        booked_on,
        value_on,
        reference: node.text_of(&["AcctSvcrRef"]).and_then(real_reference),
        account,
    };
    whole.split(mistakes, entries);
}

/// One detail as a part of an entry: its element, amount and direction.
type Part<'n> = (&'n Node, i64, Direction);

impl Whole<'_> {
    fn split(&self, mistakes: &mut Mistakes, entries: &mut Vec<Entry>) {
        let details: Vec<&Node> =
            self.node.all("NtryDtls").flat_map(|details| details.all("TxDtls")).collect();
        let before = entries.len();
        match self.parts(&details) {
            Some(parts) if parts.len() > 1 => {
                if self.adds_up(&parts, mistakes) {
                    let references = self.references(&details);
                    for ((detail, minor, direction), reference) in parts.into_iter().zip(references)
                    {
                        entries.extend(self.entry(&[detail], minor, direction, reference));
                    }
                }
            }
            _ => {
                let reference = self.reference.clone().or_else(|| match details[..] {
                    [one] => own_reference(one, "AcctSvcrRef").or(own_reference(one, "TxId")),
                    _ => None,
                });
                entries.extend(self.entry(&details, self.minor, self.direction, reference));
                if entries.len() == before {
                    self.too_large(mistakes);
                }
            }
        }
    }

    fn too_large(&self, mistakes: &mut Mistakes) {
        let rule = "the amount is above 1,000,000,000,000 minor units";
        mistakes.add(self.node.line, "Ntry/Amt", rule, "ask the bank");
    }

    /// The details with their amounts, where every one has an amount in the account's currency;
    /// else the entry stays whole, and all their texts go with it.
    fn parts<'n>(&self, details: &[&'n Node]) -> Option<Vec<Part<'n>>> {
        let stated = self.node.all("NtryDtls").filter_map(|d| d.text_of(&["Btch", "NbOfTxs"]));
        let stated: usize = stated.filter_map(|n| n.parse::<usize>().ok()).sum();
        if stated > details.len() {
            return None;
        }
        details
            .iter()
            .map(|detail| {
                let paths: [&[&str]; 2] = [&["Amt"], &["AmtDtls", "TxAmt", "Amt"]];
                let amt = paths.iter().find_map(|path| detail.at(path))?;
                let (minor, currency) = plain_amount(amt)?;
                let direction = direction(detail).unwrap_or(self.direction);
                (currency == self.currency && minor > 0).then_some((*detail, minor, direction))
            })
            .collect()
    }

    fn adds_up(&self, parts: &[Part<'_>], mistakes: &mut Mistakes) -> bool {
        let sum: i64 = parts.iter().map(|(_, minor, way)| way.sign() * minor).sum();
        let difference = sum - self.direction.sign() * self.minor;
        if difference != 0 {
            let rule = format!(
                "the {} details do not add up to the entry: {} differ",
                parts.len(),
                shown(difference, self.currency)
            );
            mistakes.add(self.node.line, "Ntry/NtryDtls", &rule, "ask the bank, or export again");
        }
        difference == 0
    }

    /// A reference for each detail of a batch: its own where all have different ones, else the
    /// entry's with the detail's number.
    fn references(&self, details: &[&Node]) -> Vec<Option<String>> {
        for name in ["AcctSvcrRef", "TxId"] {
            let own: Vec<Option<String>> =
                details.iter().map(|detail| own_reference(detail, name)).collect();
            let different: HashSet<&String> = own.iter().flatten().collect();
            if different.len() == details.len() {
                return own;
            }
        }
        let numbered = |at| self.reference.as_ref().map(|reference| format!("{reference}#{at}"));
        (1..=details.len()).map(numbered).collect()
    }

    fn entry(
        &self,
        details: &[&Node],
        minor: i64,
        direction: Direction,
        bank_reference: Option<String>,
    ) -> Option<Entry> {
        let parties = details.iter().find_map(|detail| detail.child("RltdPties"));
        // A reversal names the parties of the entry that it takes back.
        let came = (direction == Direction::Credit) != self.reversal;
        let sides = if came { ["Dbtr", "Cdtr"] } else { ["Cdtr", "Dbtr"] };
        let own = parties.and_then(|p| party(p, sides[1]).account);
        let first = |path: &[&str]| details.iter().find_map(|d| d.text_of(path));
        Some(Entry {
            line: details.first().filter(|_| details.len() == 1).map_or(self.node.line, |d| d.line),
            bank_reference,
            booked_on: self.booked_on,
            value_on: self.value_on,
            amount: Money::new(minor, self.currency).ok()?,
            direction,
            reversal: self.reversal,
            counterparty: parties.map(|p| party(p, sides[0])).unwrap_or_default(),
            virtual_account: own.filter(|own| came && Some(own.as_str()) != self.account),
            text: self.text(details),
            end_to_end: first(&["Refs", "EndToEndId"]).and_then(real_reference),
            occurrence: 1,
        })
    }

    fn text(&self, details: &[&Node]) -> String {
        let remittance = joined(details.iter().flat_map(|detail| remittance(detail)));
        if !remittance.is_empty() {
            return remittance;
        }
        let additional = joined(details.iter().filter_map(|d| d.text_of(&["AddtlTxInf"])));
        match additional.is_empty() {
            true => joined(self.node.text_of(&["AddtlNtryInf"])),
            false => additional,
        }
    }
}

fn own_reference(detail: &Node, name: &str) -> Option<String> {
    detail.text_of(&["Refs", name]).and_then(real_reference)
}

/// Unstructured texts first, then the structured creditor's reference and what is added to it.
fn remittance(detail: &Node) -> Vec<&str> {
    let Some(information) = detail.child("RmtInf") else { return Vec::new() };
    let free = information.all("Ustrd").map(|node| node.text.as_str());
    let structured = information.all("Strd").flat_map(|strd| {
        let reference = strd.text_of(&["CdtrRefInf", "Ref"]);
        let added = strd.all("AddtlRmtInf").map(|node| node.text.as_str());
        reference.into_iter().chain(added)
    });
    free.chain(structured).collect()
}

/// Name and account of one side; newer versions put the name into `Pty`.
fn party(parties: &Node, side: &str) -> Party {
    let names: [&[&str]; 2] = [&[side, "Pty", "Nm"], &[side, "Nm"]];
    let name = names.iter().find_map(|path| parties.text_of(path)).and_then(some);
    let account = parties.child(&format!("{side}Acct")).and_then(account_of);
    Party { name, account }
}
