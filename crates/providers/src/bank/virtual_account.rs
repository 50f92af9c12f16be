//! Virtual account numbers: one number per payment under an account of the merchant's bank.
//!
//! Only the construction is here: prefix, serial number, check digits. Which serial numbers are
//! given out is the ledger's business, and whether a bank credits such numbers at all is a
//! matter of the merchant's contract with it.

use serde::{Deserialize, Serialize};

use super::reference::narrow;

/// How a bank's virtual account numbers are built: `prefix`, a serial number of a fixed number
/// of digits, then check digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualAccounts {
    /// The digits that all of them begin with, from the bank's contract.
    pub prefix: String,
    /// The number of digits of the serial number: 4 to 18.
    pub serial_digits: u8,
    /// The check digits at the end, where the bank's scheme has them.
    #[serde(default)]
    pub check: AccountCheck,
}

/// The check digits at the end of a virtual account number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountCheck {
    /// None: a wrong digit is another account's number.
    #[default]
    None,
    /// One digit, as on bank cards (ISO/IEC 7812-1, annex B).
    Luhn,
    /// Two digits, as in IBANs and creditor references (ISO 7064 MOD 97-10).
    Mod97,
}

impl AccountCheck {
    fn len(self) -> usize {
        match self {
            AccountCheck::None => 0,
            AccountCheck::Luhn => 1,
            AccountCheck::Mod97 => 2,
        }
    }

    fn of(self, digits: &str) -> String {
        match self {
            AccountCheck::None => String::new(),
            AccountCheck::Luhn => ((10 - luhn_sum(digits) % 10) % 10).to_string(),
            AccountCheck::Mod97 => format!("{:02}", 98 - mod97(&format!("{digits}00"))),
        }
    }
}

/// The sum of a number whose check digit is still to come.
fn luhn_sum(digits: &str) -> u32 {
    let value = |b: u8| u32::from(b.wrapping_sub(b'0'));
    let doubled = |v: u32| if v > 4 { 2 * v - 9 } else { 2 * v };
    let weigh = |(i, b): (usize, u8)| if i % 2 == 0 { doubled(value(b)) } else { value(b) };
    digits.bytes().rev().enumerate().map(weigh).sum()
}

fn mod97(digits: &str) -> u32 {
    digits.bytes().fold(0, |sum, b| (sum * 10 + u32::from(b.wrapping_sub(b'0'))) % 97)
}

impl VirtualAccounts {
    /// Where the scheme is wrong: field, rule, fix.
    pub fn mistake(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let digits = !self.prefix.is_empty() && self.prefix.bytes().all(|b| b.is_ascii_digit());
        if !digits || self.prefix.len() > 20 {
            return Some((
                "virtual_accounts.prefix",
                "it must be 1 to 20 digits",
                "copy the prefix from the bank's contract",
            ));
        }
        if !(4..=18).contains(&self.serial_digits) {
            return Some((
                "virtual_accounts.serial_digits",
                "it must be 4 to 18",
                "the number's length less the prefix and the check digits",
            ));
        }
        (self.len() > 34).then_some((
            "virtual_accounts.serial_digits",
            "prefix, serial number and check digits together are longer than 34 digits",
            "shorten the serial number",
        ))
    }

    fn len(&self) -> usize {
        self.prefix.len() + usize::from(self.serial_digits) + self.check.len()
    }

    /// The account number with the serial number `n`; `None` when all are used up.
    pub fn number(&self, n: u64) -> Option<String> {
        let width = usize::from(self.serial_digits);
        let serial = format!("{n:0width$}");
        if serial.len() > width {
            return None;
        }
        let body = format!("{}{serial}", self.prefix);
        let check = self.check.of(&body);
        Some(body + &check)
    }

    /// The serial number of an account number, if it is one of this scheme.
    pub fn serial(&self, account: &str) -> Option<u64> {
        let rest = account.strip_prefix(&self.prefix)?;
        let (serial, _) = rest.split_at_checked(usize::from(self.serial_digits))?;
        if !serial.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n: u64 = serial.parse().ok()?;
        (self.number(n)? == account).then_some(n)
    }

    /// Every account number of this scheme in a text, in order and once each. Spaces, hyphens
    /// and full width count for nothing; a number inside a longer row of digits is none.
    pub fn find(&self, text: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for run in digit_runs(text) {
            if self.serial(&run).is_some() && !found.contains(&run) {
                found.push(run);
            }
        }
        found
    }
}

/// Rows of digits, each as it stands between spaces and, of several such, joined with all that
/// follow it: banks write long numbers in groups.
fn digit_runs(text: &str) -> Vec<String> {
    const GROUPS_MAX: usize = 12;
    let plain: String = text.chars().map(narrow).collect();
    let mut runs = Vec::new();
    for row in plain.split(|c: char| !c.is_ascii_digit() && !c.is_whitespace() && c != '-') {
        let groups: Vec<&str> =
            row.split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty()).collect();
        for start in 0..groups.len() {
            for end in start + 1..=groups.len().min(start + GROUPS_MAX) {
                runs.push(groups[start..end].concat());
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scheme(check: AccountCheck) -> VirtualAccounts {
        VirtualAccounts { prefix: "621700".into(), serial_digits: 10, check }
    }

    #[test]
    fn check_digits_are_those_of_published_examples() {
        // ISO/IEC 7812-1's example, and the MOD 97-10 example of ISO 7064.
        assert_eq!(AccountCheck::Luhn.of("7992739871"), "3");
        assert_eq!(AccountCheck::Mod97.of("794"), "44");
    }

    #[test]
    fn a_scheme_that_cannot_work_says_why() {
        let with = |prefix: &str, serial_digits| VirtualAccounts {
            prefix: prefix.into(),
            serial_digits,
            check: AccountCheck::Luhn,
        };
        assert_eq!(with("", 8).mistake().unwrap().0, "virtual_accounts.prefix");
        assert_eq!(with("62A", 8).mistake().unwrap().0, "virtual_accounts.prefix");
        assert_eq!(with("62", 3).mistake().unwrap().0, "virtual_accounts.serial_digits");
        assert!(with(&"6".repeat(20), 18).mistake().is_some());
        assert_eq!(with("62", 8).mistake(), None);
        assert_eq!(with("62", 4).number(10_000), None, "used up");
    }

    proptest! {
        #[test]
        fn every_number_is_found_in_what_banks_make_of_it(
            n in 0..10_000_000_000_u64, check in 0..3_usize, group in 3..8_usize,
        ) {
            let scheme = scheme([AccountCheck::None, AccountCheck::Luhn, AccountCheck::Mod97][check]);
            let number = scheme.number(n).unwrap();
            prop_assert_eq!(scheme.serial(&number), Some(n));
            let grouped: Vec<String> =
                number.as_bytes().chunks(group).map(|c| String::from_utf8_lossy(c).into()).collect();
            let text = format!("转账至 {} 货款2026年", grouped.join(" "));
            prop_assert!(scheme.find(&text).contains(&number));
        }

        #[test]
        fn a_wrong_digit_is_no_number(n in 0..10_000_000_000_u64, at in 0..17_usize, by in 1..10_u8) {
            for check in [AccountCheck::Luhn, AccountCheck::Mod97] {
                let scheme = scheme(check);
                let mut digits = scheme.number(n).unwrap().into_bytes();
                digits[at] = b'0' + (digits[at] - b'0' + by) % 10;
                let wrong = String::from_utf8(digits).unwrap();
                prop_assert_eq!(scheme.serial(&wrong), None);
            }
        }

        #[test]
        fn no_text_panics_the_finder(text: String) {
            let _ = scheme(AccountCheck::Mod97).find(&text);
        }
    }
}
