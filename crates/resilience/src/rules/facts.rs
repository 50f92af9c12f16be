//! What a rule can ask about: the names in conditions.

use std::collections::{BTreeMap, HashMap};

use cel::common::types::{CelInt, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use domain::{Currency, Flow, Locale, MerchantId, Method, Purpose, Tier, Timestamp};
use jiff::tz::TimeZone;

/// The kind of a value in a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Text,
    /// A text that is always one of these.
    OneOf(&'static [&'static str]),
    Texts,
    Ints,
    /// Texts by their names.
    Notes,
}

impl Kind {
    /// Without the words.
    pub(super) fn plain(self) -> Kind {
        match self {
            Kind::OneOf(_) => Kind::Text,
            other => other,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self.plain() {
            Kind::Bool => "a condition",
            Kind::Int => "a whole number",
            Kind::Texts | Kind::Ints => "a list",
            Kind::Notes => "metadata",
            _ => "a text",
        }
    }

    pub(super) fn advice(self) -> &'static str {
        match self.plain() {
            Kind::Bool => "compare it with something, such as method == 'alipay'",
            Kind::Int => "write the number without quotes",
            Kind::Notes => "write metadata.name or metadata['name']",
            _ => "write the text in quotes, such as 'icbc'",
        }
    }
}

const METHODS: &[&str] = &["alipay", "wechat_pay", "union_pay", "card", "paypal", "bank_transfer"];
const FLOWS: &[&str] = &["presented", "direct"];
const TIERS: &[&str] = &["standard", "vip"];
const LOCALES: &[&str] = &["zh", "en"];
const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Every name with its kind, in the order that messages list them.
const NAMES: [(&str, Kind); 13] = [
    ("method", Kind::OneOf(METHODS)),
    ("amount_minor", Kind::Int),
    ("currency", Kind::Text),
    ("issuer", Kind::Text),
    ("purpose", Kind::Text),
    ("tier", Kind::OneOf(TIERS)),
    ("flow", Kind::OneOf(FLOWS)),
    ("locale", Kind::OneOf(LOCALES)),
    ("merchant", Kind::Text),
    ("time", Kind::Text),
    ("weekday", Kind::OneOf(WEEKDAYS)),
    ("date", Kind::Text),
    ("metadata", Kind::Notes),
];

/// A payment on one method, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `method`: what it would be paid with.
    pub method: Method,
    /// `amount_minor`: how much, in minor units.
    pub amount_minor: i64,
    /// `currency`: such as `CNY`.
    pub currency: Currency,
    /// `issuer`: the customer's bank, or an empty text.
    pub issuer: &'a str,
    /// `purpose`: `checkout`, `renewal`, `top_up`, `instalment`, `synthetic`, or a name of the
    /// merchant's.
    pub purpose: Purpose,
    /// `tier`: `standard` or `vip`.
    pub tier: Tier,
    /// `flow`: `presented` or `direct`.
    pub flow: Flow,
    /// `locale`: `zh` or `en`.
    pub locale: Locale,
    /// `merchant`: who collects; an empty text when nobody is named.
    pub merchant: Option<&'a MerchantId>,
    /// `metadata`: the merchant's notes.
    pub metadata: &'a BTreeMap<String, String>,
    /// `time` (`09:05`), `weekday` (`mon`) and `date` (`2026-11-24`), in `zone`.
    pub now: Timestamp,
    /// Where the clock hangs.
    pub zone: &'a TimeZone,
}

impl Facts<'_> {
    pub(super) fn kind_of(name: &str) -> Option<Kind> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    pub(super) fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    fn local(&self) -> jiff::civil::DateTime {
        let at = jiff::Timestamp::from_microsecond(self.now.as_micros());
        at.map_or_else(
            // Beyond the year 9999 the time of day matters to nobody.
            |_| jiff::civil::DateTime::MAX,
            |at| self.zone.to_datetime(at),
        )
    }

    fn notes<'b>(&self) -> CowVal<'b, 'b> {
        let entry = |(name, text): (&String, &String)| {
            let value: Box<dyn Val> = Box::new(CelString::from(text.clone()));
            (CelMapKey::from(name.clone()), value)
        };
        let map: HashMap<_, _> = self.metadata.iter().map(entry).collect();
        CowVal::owned(CelMap::from(map))
    }
}

fn text<'b>(text: &'b str) -> CowVal<'b, 'b> {
    CowVal::owned(CelString::from(text))
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variable {
            "method" => text(self.method.name()),
            "amount_minor" => CowVal::owned(CelInt::from(self.amount_minor)),
            "currency" => text(self.currency.code()),
            "issuer" => text(self.issuer),
            "purpose" => text(self.purpose.name()),
            "tier" => text(if self.tier == Tier::Vip { "vip" } else { "standard" }),
            "flow" => text(if self.flow == Flow::Direct { "direct" } else { "presented" }),
            "locale" => text(if self.locale == Locale::En { "en" } else { "zh" }),
            "merchant" => text(self.merchant.map_or("", MerchantId::as_str)),
            "time" => {
                let local = self.local();
                let time = format!("{:02}:{:02}", local.hour(), local.minute());
                CowVal::owned(CelString::from(time))
            }
            "weekday" => {
                let day = self.local().weekday().to_monday_zero_offset();
                text(WEEKDAYS[usize::try_from(day).unwrap_or(0) % 7])
            }
            "date" => CowVal::owned(CelString::from(self.local().date().to_string())),
            "metadata" => self.notes(),
            _ => return None,
        };
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_value_and_every_word_is_a_real_one() {
        let (metadata, zone) = (BTreeMap::new(), TimeZone::UTC);
        let facts = Facts {
            method: Method::Alipay,
            amount_minor: 1,
            currency: Currency::CNY,
            issuer: "",
            purpose: Purpose::TopUp,
            tier: Tier::Vip,
            flow: Flow::Direct,
            locale: Locale::En,
            merchant: None,
            metadata: &metadata,
            now: Timestamp::EPOCH,
            zone: &zone,
        };
        for (name, _) in NAMES {
            assert!(facts.resolve(name).is_some(), "{name}");
        }
        assert_eq!(METHODS, Method::ALL.map(Method::name));
    }
}
