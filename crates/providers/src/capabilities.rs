//! What a channel can do: one table, stated once in its provider's folder and narrowed by its
//! settings.
//!
//! Routing reads it to leave out what cannot take a payment, with the reason; the money rules
//! read it through [`domain::ChannelRules`]; people read it through `evergate channels list
//! --capabilities`. What is not here: prices, which are the merchant's own, and health.

use std::fmt;
use std::time::Duration;

use domain::{
    ChannelRules, Currency, Flow, Method, Money, NotFound, ProviderOrderNo, RefundLimits, Schedule,
};

/// A channel's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The provider's name, such as `alipay`.
    pub provider: &'static str,
    /// The methods that it takes, each with the flows that it knows.
    pub methods: Vec<(Method, Flow)>,
    /// The currencies that it takes, each with its limits; the first is its usual one.
    pub amounts: Vec<AmountLimits>,
    /// How long its orders may live.
    pub expiry: ExpiryLimits,
    /// When to ask what became of an order: the provider's own advice.
    pub query_schedule: Schedule,
    /// Whether a create call without an answer may be sent again under the same number.
    pub resend_create: Resend,
    /// What the end of an unpaid order rests on.
    pub closing: Closing,
    /// What "we do not know this number" proves.
    pub not_found: NotFound,
    /// What refunds it takes.
    pub refunds: RefundLimits,
    /// What it takes for an order number.
    pub order_number: NumberRule,
    /// What it takes for a refund number.
    pub refund_number: NumberRule,
    /// What it tells unasked.
    pub notifications: Notifications,
    /// Rows of this table that no document or experiment has confirmed.
    pub unverified: &'static [Row],
}

/// A row of the table, to point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// [`Capabilities::amounts`].
    Amounts,
    /// [`Capabilities::expiry`].
    Expiry,
    /// [`Capabilities::resend_create`].
    ResendCreate,
    /// [`Capabilities::not_found`].
    NotFound,
    /// [`RefundLimits::within`].
    RefundsWithin,
    /// [`Capabilities::refund_number`].
    RefundNumber,
}

impl Row {
    /// The name that lists and the API use.
    pub fn name(self) -> &'static str {
        match self {
            Row::Amounts => "amounts",
            Row::Expiry => "expiry",
            Row::ResendCreate => "resend_create",
            Row::NotFound => "not_found",
            Row::RefundsWithin => "refunds.within_s",
            Row::RefundNumber => "refund_number",
        }
    }
}

/// What amounts of a currency a channel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmountLimits {
    /// The currency.
    pub currency: Currency,
    /// The smallest amount in minor units; at least 1.
    pub least_minor: i64,
    /// The largest.
    pub most_minor: i64,
}

impl AmountLimits {
    /// The same limits for several currencies.
    pub fn same(currencies: &[Currency], least_minor: i64, most_minor: i64) -> Vec<AmountLimits> {
        let limits = |&currency| AmountLimits { currency, least_minor, most_minor };
        currencies.iter().map(limits).collect()
    }
}

/// How long a provider's orders may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryLimits {
    /// Whether the provider is told the order's end and refuses payment after it. Where it is
    /// not, the end that Evergate keeps is brought about by a close.
    pub told: bool,
    /// The shortest life; zero when none is stated.
    pub shortest: Duration,
    /// The longest; `None` when the order does not end by itself.
    pub longest: Option<Duration>,
    /// The end is told in units of this.
    pub granularity: Duration,
}

/// Whether the same create call may be sent again under its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// No: a repeat is refused, or might be another order.
    Never,
    /// While the provider remembers the first, for this long.
    Within(Duration),
    /// As long as the order is unpaid and not closed.
    WhileOpen,
}

impl Resend {
    /// The name that lists and the API use.
    pub fn name(self) -> &'static str {
        match self {
            Resend::Never => "never",
            Resend::Within(_) => "within",
            Resend::WhileOpen => "while_open",
        }
    }
}

/// What makes sure that an order of a presented flow cannot be paid any more. It says what an
/// operator may expect; the money rules believe answers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// A close call whose answer, or a query after it, proves the end.
    Proven,
    /// There is no close call: the order lapses at the end that it was made with, and until
    /// then rule 2 guards (UnionPay's cashier).
    LapseOnly,
    /// There is no close call, and none is needed: the customer only approves, and money moves
    /// by a capture of ours, which a closed attempt never makes (PayPal).
    NeverCaptured,
}

impl Closing {
    /// The name that lists and the API use.
    pub fn name(self) -> &'static str {
        match self {
            Closing::Proven => "proven",
            Closing::LapseOnly => "lapse_only",
            Closing::NeverCaptured => "never_captured",
        }
    }
}

/// What a provider takes for a number of ours: ASCII letters and digits, and perhaps more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRule {
    /// The fewest signs.
    pub least: usize,
    /// The most.
    pub most: usize,
    /// Signs besides letters and digits.
    pub signs: &'static str,
    /// Where a number may stand once only.
    pub unique: Unique,
}

impl NumberRule {
    /// A rule; does not compile where it would refuse Evergate's own numbers.
    pub const fn new(least: usize, most: usize, signs: &'static str, unique: Unique) -> NumberRule {
        assert!(
            least <= ProviderOrderNo::LEN && ProviderOrderNo::LEN <= most,
            "the provider would refuse the numbers that Evergate makes"
        );
        NumberRule { least, most, signs, unique }
    }

    /// Whether the provider takes this number.
    pub fn takes(&self, number: &str) -> bool {
        let known = |b: u8| b.is_ascii_alphanumeric() || self.signs.as_bytes().contains(&b);
        (self.least..=self.most).contains(&number.len()) && number.bytes().all(known)
    }
}

/// Where a number may stand once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// At the account, for ever.
    Account,
    /// At the account and transaction time: a number and its time name an order together.
    AccountAndTime,
    /// With the payment that is refunded.
    Payment,
    /// Nowhere: the provider keeps it as a note, and a key of ours makes repeats harmless for as
    /// long as [`Resend`] says.
    Note,
}

impl Unique {
    /// The name that lists and the API use.
    pub fn name(self) -> &'static str {
        match self {
            Unique::Account => "account",
            Unique::AccountAndTime => "account_and_time",
            Unique::Payment => "payment",
            Unique::Note => "note",
        }
    }
}

/// What a provider tells unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notifications {
    /// That an order is paid.
    pub payments: bool,
    /// What became of a refund.
    pub refunds: bool,
    /// Whether what it tells of a payment states the amount, so that it books the payment by
    /// itself (rule 7). Where it does not, it is a hint, and a question follows.
    pub states_amount: bool,
}

/// Why a channel cannot take a payment that it has the method for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not take the currency.
    Currency(Currency),
    /// Less than it takes.
    Below(Money),
    /// More than it takes.
    Above(Money),
    /// The payment's end is too near for an order that could not be ended in time.
    TooShort {
        /// The shortest life of an order.
        shortest: Duration,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Currency(currency) => write!(f, "does not take {currency}"),
            Unfit::Below(least) => write!(f, "takes {least} at least"),
            Unfit::Above(most) => write!(f, "takes {most} at most"),
            Unfit::TooShort { shortest } => {
                let secs = shortest.as_secs();
                write!(f, "its orders live {secs} s at least and cannot be closed before")
            }
        }
    }
}

impl Capabilities {
    /// A table of these methods and currencies in which everything else goes; for tests and
    /// models that state what they differ in.
    pub fn plain(
        provider: &'static str,
        methods: Vec<(Method, Flow)>,
        currencies: &[Currency],
    ) -> Capabilities {
        let number = NumberRule::new(1, 64, "-_", Unique::Account);
        Capabilities {
            provider,
            methods,
            amounts: AmountLimits::same(currencies, 1, 1_000_000),
            expiry: ExpiryLimits {
                told: true,
                shortest: Duration::from_secs(60),
                longest: Some(Duration::from_secs(86_400)),
                granularity: Duration::from_secs(1),
            },
            query_schedule: ChannelRules::default().query_schedule,
            resend_create: Resend::WhileOpen,
            closing: Closing::Proven,
            not_found: NotFound::default(),
            refunds: RefundLimits::default(),
            order_number: number,
            refund_number: number,
            notifications: Notifications { payments: true, refunds: true, states_amount: true },
            unverified: &[],
        }
    }

    /// Whether this channel can take this payment at all, given time enough.
    pub fn takes(&self, method: Method, flow: Flow, money: Money) -> bool {
        self.has(method, flow) && self.unfit_for(money).is_none()
    }

    /// Whether it has this method in this flow.
    pub fn has(&self, method: Method, flow: Flow) -> bool {
        self.methods.contains(&(method, flow))
    }

    /// Why it does not take this amount, if so.
    pub fn unfit_for(&self, money: Money) -> Option<Unfit> {
        let Some(limits) = self.limits(money.currency()) else {
            return Some(Unfit::Currency(money.currency()));
        };
        let bound = |minor| Money::new(minor, money.currency()).unwrap_or(money);
        if money.minor() < limits.least_minor {
            return Some(Unfit::Below(bound(limits.least_minor)));
        }
        (money.minor() > limits.most_minor).then(|| Unfit::Above(bound(limits.most_minor)))
    }

    /// The limits of a currency, where it is taken.
    pub fn limits(&self, currency: Currency) -> Option<&AmountLimits> {
        self.amounts.iter().find(|limits| limits.currency == currency)
    }

    /// How long an order may live whose payment ends in `left`: shortened to the longest life,
    /// lengthened to the shortest where the payment's end closes it anyway.
    ///
    /// # Errors
    /// When no order could end in time.
    pub fn life(&self, left: Duration) -> Result<Duration, Unfit> {
        let ExpiryLimits { shortest, longest, .. } = self.expiry;
        if left < shortest && self.closing == Closing::LapseOnly {
            return Err(Unfit::TooShort { shortest });
        }
        let left = left.max(shortest);
        Ok(longest.map_or(left, |longest| left.min(longest)))
    }

    /// What the money rules read of it.
    pub fn rules(&self) -> ChannelRules {
        ChannelRules {
            query_schedule: self.query_schedule.clone(),
            not_found: self.not_found,
            refunds: self.refunds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn table() -> Capabilities {
        let methods = vec![(Method::Alipay, Flow::Presented)];
        Capabilities::plain("test", methods, &[Currency::CNY, Currency::USD])
    }

    #[test]
    fn limits_are_the_currencys_own() {
        let mut table = table();
        table.amounts[1].least_minor = 50;
        let money = |minor, currency| Money::new(minor, currency).unwrap();
        assert_eq!(table.unfit_for(money(1, Currency::CNY)), None);
        let below = table.unfit_for(money(49, Currency::USD)).unwrap();
        assert_eq!(below.to_string(), "takes 0.50 USD at least");
        let above = table.unfit_for(money(1_000_001, Currency::CNY)).unwrap();
        assert_eq!(above.to_string(), "takes 10000.00 CNY at most");
        let yen = money(100, "JPY".parse().unwrap());
        assert_eq!(table.unfit_for(yen).unwrap().to_string(), "does not take JPY");
        assert!(!table.takes(Method::Card, Flow::Presented, money(1, Currency::CNY)));
    }

    #[test]
    fn rule_5_an_order_that_nobody_can_close_never_outlives_its_payment() {
        let mut table = table();
        assert_eq!(table.life(secs(900)), Ok(secs(900)));
        assert_eq!(table.life(secs(90_000)), Ok(secs(86_400)), "shortening is always safe");
        assert_eq!(table.life(secs(10)), Ok(secs(60)), "the payment's end closes it");
        table.closing = Closing::NeverCaptured;
        assert_eq!(table.life(secs(10)), Ok(secs(60)), "nobody captures it");
        table.closing = Closing::LapseOnly;
        assert_eq!(table.life(secs(10)), Err(Unfit::TooShort { shortest: secs(60) }));
        assert_eq!(table.life(secs(60)), Ok(secs(60)));
    }

    #[test]
    fn number_rules_know_their_signs_and_lengths() {
        let rule = NumberRule::new(6, 32, "_-|*", Unique::Account);
        assert!(rule.takes("a_-|*9") && rule.takes(&"x".repeat(32)));
        assert!(!rule.takes("a_-|*") && !rule.takes(&"x".repeat(33)) && !rule.takes("订单订单"));
        assert!(!rule.takes("a.bcdef"));
    }
}
