//! The settings of a bank channel: an account of the merchant's that customers transfer to.

use std::time::Duration;

use domain::{Answer, Bilingual, Currency, Money, Notice, Operation, Timestamp};
use serde::Deserialize;

use super::VirtualAccounts;
use super::statement::Format;
use crate::config::Mistakes;
use crate::{
    Acknowledgement, CallLimits, Capabilities, Delivery, Forged, Provider, Reply, Roots, Stamp,
    Step, Unsupported, Verdict,
};

/// One account at a bank. It has no address: nothing is called, and its statements are its
/// only word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankSettings {
    /// Whose account it is, as customers must write it.
    pub payee: Names,
    /// The bank's name.
    pub bank: Names,
    /// The account's number or IBAN.
    pub account: String,
    /// How statement files name the account, where they name it otherwise.
    pub statement_account: Option<String>,
    /// The bank's BIC or CNAPS code, where transfers need one.
    pub bank_code: Option<String>,
    /// The currencies of the account; CNY by default.
    #[serde(default = "currencies")]
    pub currencies: Vec<Currency>,
    /// The smallest amount in minor units.
    #[serde(default = "amount_min")]
    pub amount_min_minor: i64,
    /// The largest amount in minor units.
    #[serde(default = "amount_max")]
    pub amount_max_minor: i64,
    /// How long a transfer may take, in hours: a payment by one lives so long.
    #[serde(default = "pay_within")]
    pub pay_within_hours: u32,
    /// How a transfer says which payment it is for.
    #[serde(default)]
    pub identify_by: IdentifyBy,
    /// How virtual account numbers are built, where there are any.
    pub virtual_accounts: Option<VirtualAccounts>,
    /// The first and last serial number that may be given out; all by default.
    pub virtual_range: Option<(u64, u64)>,
    /// For how many days after its payment's end a virtual account is not given out again.
    #[serde(default = "quarantine")]
    pub quarantine_days: u32,
    /// By how many minor units a transfer may fall short and still be enough.
    #[serde(default)]
    pub short_max_minor: i64,
    /// What becomes of what comes beyond the amount.
    #[serde(default)]
    pub over: Spare,
    /// What becomes of parts when their payment ends.
    #[serde(default)]
    pub part: Spare,
    /// What becomes of a transfer for a payment that has ended.
    #[serde(default)]
    pub late: LateTransfer,
    /// The zone of the bank's booking days, in minutes east of UTC; China's by default.
    #[serde(default = "utc_offset")]
    pub utc_offset_minutes: i32,
    /// The formats of the bank's statement files; CAMT.053 and MT940 by default.
    #[serde(default)]
    pub statements: Vec<Format>,
}

/// A text in one language for all, or in both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// The same in both.
    One(String),
    /// Each in its own.
    Both {
        /// Chinese.
        zh: String,
        /// English.
        en: String,
    },
}

impl Names {
    /// In both languages.
    pub fn both(&self) -> Bilingual {
        match self.clone() {
            Names::One(text) => Bilingual { zh: text.clone(), en: text },
            Names::Both { zh, en } => Bilingual { zh, en },
        }
    }
}

/// How a transfer says which payment it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifyBy {
    /// By a code that the customer writes into the transfer.
    #[default]
    Reference,
    /// By an account number of its own.
    VirtualAccount,
}

/// What becomes of money that no payment needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spare {
    /// It is to be sent back.
    #[default]
    Return,
    /// It is kept until a person decides.
    Hold,
}

/// What becomes of a transfer for a payment that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateTransfer {
    /// It is counted, and the payment's own policy says whether it is fulfilled or refunded.
    #[default]
    Settle,
    /// It waits for a person.
    Suspense,
}

fn currencies() -> Vec<Currency> {
    vec![Currency::CNY]
}

fn amount_min() -> i64 {
    1
}

fn amount_max() -> i64 {
    Money::MAX_MINOR
}

fn pay_within() -> u32 {
    72
}

fn quarantine() -> u32 {
    180
}

fn utc_offset() -> i32 {
    480
}

impl BankSettings {
    /// How long a transfer may take.
    pub fn pay_within(&self) -> Duration {
        Duration::from_secs(u64::from(self.pay_within_hours) * 3600)
    }

    /// For how long a virtual account is not given out again.
    pub fn quarantine(&self) -> Duration {
        Duration::from_secs(u64::from(self.quarantine_days) * 86_400)
    }

    /// What stands for the channel where a codec is asked for, and limits that nothing uses.
    pub(crate) fn codec(&self, mistakes: &mut Mistakes) -> (Offline, CallLimits) {
        self.check(mistakes);
        let limits = CallLimits {
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            max_in_flight: 256,
            max_per_second: None,
            roots: Roots::None,
        };
        (
            Offline {
                capabilities: super::capabilities::table(self),
                account: self.account.clone(),
            },
            limits,
        )
    }

    fn check(&self, mistakes: &mut Mistakes) {
        for (field, names) in [("payee", &self.payee), ("bank", &self.bank)] {
            let Bilingual { zh, en } = names.both();
            if [zh, en].iter().any(|text| text.trim().is_empty() || text.chars().count() > 140) {
                mistakes.add(field, "it must be 1 to 140 characters", "write it as on the account");
            }
        }
        let plain = |text: &str, max| {
            (1..=max).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-'))
        };
        if !plain(&self.account, 42) {
            mistakes.add(
                "account",
                "it must be 1 to 42 letters and digits",
                "write the account's number or IBAN",
            );
        }
        if self.bank_code.as_deref().is_some_and(|code| !plain(code, 14)) {
            mistakes.add(
                "bank_code",
                "it must be 1 to 14 letters and digits",
                "write the bank's BIC, or its 12-digit CNAPS code",
            );
        }
        if self.currencies.is_empty() {
            mistakes.add("currencies", "the list is empty", "name the account's currency");
        }
        let (least, most) = (self.amount_min_minor, self.amount_max_minor);
        if least < 1 || most < least || most > Money::MAX_MINOR {
            mistakes.add(
                "amount_min_minor",
                "the limits must hold 1 <= amount_min_minor <= amount_max_minor <= 1000000000000",
                "write both in minor units (fen, cents)",
            );
        }
        mistakes.within("pay_within_hours", self.pay_within_hours.into(), 1, 24 * 60);
        mistakes.within("quarantine_days", self.quarantine_days.into(), 1, 3_650);
        if self.short_max_minor < 0 || self.short_max_minor >= least {
            mistakes.add(
                "short_max_minor",
                "it must be at least 0 and less than amount_min_minor",
                "raise amount_min_minor, or lower the tolerance",
            );
        }
        if self.utc_offset_minutes.abs() > 14 * 60 {
            mistakes.add("utc_offset_minutes", "it must be -840 to 840", "write 480 for China");
        }
        for (n, format) in self.statements.iter().enumerate() {
            for mistake in format.check() {
                let field = format!("statements[{n}].{}", mistake.field);
                mistakes.add(&field, &mistake.rule, &mistake.fix);
            }
        }
        self.check_accounts(mistakes);
    }

    fn check_accounts(&self, mistakes: &mut Mistakes) {
        match (&self.virtual_accounts, self.identify_by) {
            (None, IdentifyBy::VirtualAccount) => mistakes.add(
                "virtual_accounts",
                "it is required where identify_by is virtual_account",
                "add `virtual_accounts = { prefix = \"...\", serial_digits = 8 }`",
            ),
            (Some(scheme), _) => {
                if let Some((field, rule, fix)) = scheme.mistake() {
                    mistakes.add(field, rule, fix);
                }
            }
            (None, IdentifyBy::Reference) => {}
        }
        if self.virtual_range.is_some_and(|(first, last)| first > last) {
            mistakes.add(
                "virtual_range",
                "the first serial number is above the last",
                "write it as [first, last]",
            );
        }
    }
}

/// The codec of a channel that is never called. The ledger answers for it; should anything ask
/// here all the same, it is told so and nothing is sent.
pub(crate) struct Offline {
    capabilities: Capabilities,
    account: String,
}

const OFFLINE: &str = "a bank channel has no address: the ledger answers for it";

impl Provider for Offline {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn request(&self, _op: &Operation, _stamp: &Stamp) -> Result<Verdict, Unsupported> {
        Err(Unsupported(OFFLINE.to_owned()))
    }

    fn reply(&self, op: &Operation, _step: &Step, _reply: &Reply, _stamp: &Stamp) -> Verdict {
        let answer: Answer = op.unknown(domain::Fault::new("offline", OFFLINE));
        Verdict::Done(answer)
    }

    fn notice(&self, _delivery: &Delivery, _now: Timestamp) -> Result<Notice, Forged> {
        Err(Forged::Account("a bank channel takes no notifications"))
    }

    fn acknowledge(&self, _accepted: bool) -> Acknowledgement {
        Acknowledgement { status: 404, content_type: "text/plain", body: "" }
    }

    fn account(&self) -> String {
        self.account.clone()
    }
}
