//! The key by which an entry is known again when a file comes twice, or two files overlap.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::{Direction, Entry};

impl Entry {
    /// A key of 32 hexadecimal digits: the same for the same entry of the same account in every
    /// file that holds it, wherever in the file it stands.
    ///
    /// Where the bank gave the entry a reference, the key is made of that, the day, the amount
    /// and the direction, so that another description of the entry (other columns, another
    /// format) is still the same entry. Where it gave none, of everything that was told. Both
    /// count entries that are else alike, by `occurrence`.
    ///
    /// What no key can tell apart: entries without a reference that are alike in everything,
    /// where a bank gives a day's in several files that do not overlap.
    pub fn identity(&self, account: &str) -> String {
        let account: String = account.split_whitespace().collect();
        let key = format!("{account}\u{1f}{}\u{1f}{}", self.likeness(), self.occurrence);
        hex::encode(&digest(&SHA256, key.as_bytes()).as_ref()[..16])
    }

    /// What two entries have in common that only the occurrence tells apart.
    fn likeness(&self) -> String {
        match &self.bank_reference {
            Some(reference) => format!("{}\u{1f}{reference}", self.movement()),
            None => self.content(),
        }
    }

    fn movement(&self) -> String {
        let (amount, way) =
            (self.amount, if self.direction == Direction::Credit { 'C' } else { 'D' });
        let currency = amount.currency();
        format!("{}|{currency}|{}|{way}|{}", self.booked_on, amount.minor(), self.reversal)
    }

    /// Everything that the bank told about it, and nothing about the file.
    fn content(&self) -> String {
        let told = [
            self.bank_reference.as_deref(),
            self.counterparty.name.as_deref(),
            self.counterparty.account.as_deref(),
            self.virtual_account.as_deref(),
            Some(self.text.as_str()),
            self.end_to_end.as_deref(),
        ];
        let told = told.map(Option::unwrap_or_default).join("\u{1f}");
        let value = self.value_on.map(|d| d.to_string()).unwrap_or_default();
        format!("{}\u{1f}{value}\u{1f}{told}", self.movement())
    }
}

/// Numbers the entries of a statement that are alike, in an order that the file's own does not
/// change. Each statement counts for itself, so that one that stands in a file twice gives
/// nothing new; pages of one are joined before.
pub(super) fn number_occurrences(entries: &mut [Entry]) {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_cached_key(|i| entries[*i].content());
    let mut seen: HashMap<String, u32> = HashMap::new();
    for i in order {
        let count = seen.entry(entries[i].likeness()).or_default();
        *count += 1;
        entries[i].occurrence = *count;
    }
}

/// The bank's reference, unless it is one of the words that stand for none.
pub(super) fn real_reference(text: &str) -> Option<String> {
    let text = text.trim();
    let none = ["NONREF", "NOTPROVIDED", "NONE", "NULL", "N/A"];
    let blank = text.chars().all(|c| matches!(c, '0' | '-' | '/' | ' '));
    (!blank && !none.iter().any(|word| text.eq_ignore_ascii_case(word))).then(|| text.to_owned())
}
