//! What a rule is made of: its filter, its fault as written in JSON or TOML, and its validation.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StringDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Effect, Fault, Forgery};
use crate::books::ProviderKind;

/// What a call is for, the same words for every provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Making an order: precreate, page pay, prepay, creating an intent.
    Create,
    /// Confirming a Stripe intent.
    Confirm,
    /// Reading an order back, lists and searches included.
    Query,
    /// Closing an unpaid order (Alipay close, WeChat Pay close).
    Close,
    /// Alipay cancel, Stripe cancel.
    Cancel,
    /// Capturing an authorised Stripe intent or an approved PayPal order.
    Capture,
    /// Asking for a refund.
    Refund,
    /// Reading a refund back.
    RefundQuery,
    /// PayPal's access token.
    Token,
    /// WeChat Pay's platform certificates, PayPal's webhook certificate.
    Certificates,
    /// The shopper's own payment on the provider's page.
    Pay,
    /// A notification from the provider to the merchant.
    Notify,
    /// Fetching a statement.
    Statement,
    /// Anything else: events, payment methods, balance.
    Other,
}

impl Operation {
    const ALL: [Self; 14] = [
        Self::Create,
        Self::Confirm,
        Self::Query,
        Self::Close,
        Self::Cancel,
        Self::Capture,
        Self::Refund,
        Self::RefundQuery,
        Self::Token,
        Self::Certificates,
        Self::Pay,
        Self::Notify,
        Self::Statement,
        Self::Other,
    ];
}

/// A call, as far as rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultRequest<'a> {
    /// Whose protocol it speaks.
    pub provider: ProviderKind,
    /// The account's name, not its id at the provider.
    pub account: &'a str,
    /// What it is for.
    pub operation: Operation,
    /// What the customer pays with: `alipay`, `wechat_pay`, `card`; when known.
    pub method: Option<&'a str>,
    /// The customer's bank; when known.
    pub bank: Option<&'a str>,
}

/// A filter value: one, or a list of which any may match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: PartialEq> OneOrMany<T> {
    fn has(&self, value: &T) -> bool {
        self.0.contains(value)
    }
}

impl<T> From<T> for OneOrMany<T> {
    fn from(value: T) -> Self {
        Self(vec![value])
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        T::deserialize(StringDeserializer::new(value.to_owned())).map(OneOrMany::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany)
    }
}

/// Which calls a rule is about; an absent field matches everything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleMatch {
    /// Providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<OneOrMany<ProviderKind>>,
    /// Account names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<OneOrMany<String>>,
    /// Operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OneOrMany<Operation>>,
    /// Payment methods; a call whose method is unknown does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<OneOrMany<String>>,
    /// Banks; a call whose bank is unknown does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<OneOrMany<String>>,
    /// How likely a matching call is hit, 0 to 1; absent means always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Start of the window, milliseconds after the rule was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// End of the window (exclusive), milliseconds after the rule was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

impl RuleMatch {
    pub(super) fn covers(&self, request: &FaultRequest<'_>) -> bool {
        fn word(filter: &Option<OneOrMany<String>>, value: Option<&str>) -> bool {
            filter.as_ref().is_none_or(|wanted| {
                value.is_some_and(|value| wanted.0.iter().any(|w| w.eq_ignore_ascii_case(value)))
            })
        }
        self.provider.as_ref().is_none_or(|wanted| wanted.has(&request.provider))
            && self.operation.as_ref().is_none_or(|wanted| wanted.has(&request.operation))
            && word(&self.account, Some(request.account))
            && word(&self.method, request.method)
            && word(&self.bank, request.bank)
    }
}

/// A fault with the calls that it is played on.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// A name to remove it by; one is given when absent.
    #[serde(default, skip_serializing)]
    pub id: Option<String>,
    /// Which calls.
    #[serde(default, rename = "match")]
    pub matches: RuleMatch,
    /// What happens to them.
    pub fault: Fault,
}

impl FaultRule {
    /// A rule that plays `fault` on every call it can act on.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { id: None, matches: RuleMatch::default(), fault }
    }

    /// The same rule, for one provider only.
    #[must_use]
    pub fn at(mut self, provider: ProviderKind) -> Self {
        self.matches.provider = Some(provider.into());
        self
    }

    /// The same rule, for one operation only.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.matches.operation = Some(operation.into());
        self
    }

    /// Refuses a rule that could never act or has values out of range.
    ///
    /// # Errors
    /// The first field that is wrong and why.
    pub fn validate(&self) -> Result<(), Invalid> {
        if let Some(p) = self.matches.probability
            && !(0.0..=1.0).contains(&p)
        {
            return Err(Invalid::new("match.probability", format!("{p} is not within 0 and 1")));
        }
        if let Some(until) = self.matches.until_ms
            && until <= self.matches.from_ms.unwrap_or(0)
        {
            return Err(Invalid::new("match.until_ms", "the window ends before it starts"));
        }
        self.validate_fault()?;
        if !self.can_act() {
            let why = format!("`{}` cannot act on any matching call", self.fault.kind());
            return Err(Invalid::new("fault", why));
        }
        Ok(())
    }

    fn validate_fault(&self) -> Result<(), Invalid> {
        match &self.fault {
            Fault::HttpStatus { status, .. } if !(400..600).contains(status) => {
                Err(Invalid::new("fault.status", format!("{status} is not within 400 and 599")))
            }
            Fault::BusinessError { status: Some(status), .. } if !(400..600).contains(status) => {
                Err(Invalid::new("fault.status", format!("{status} is not within 400 and 599")))
            }
            Fault::BusinessError { code, .. } if code.is_empty() => {
                Err(Invalid::new("fault.code", "is empty"))
            }
            Fault::DuplicateNotification { copies } if !(1..=100).contains(copies) => {
                Err(Invalid::new("fault.copies", format!("{copies} is not within 1 and 100")))
            }
            _ => Ok(()),
        }
    }

    fn can_act(&self) -> bool {
        let providers = self.matches.provider.as_ref();
        let operations = self.matches.operation.as_ref();
        ProviderKind::ALL
            .iter()
            .filter(|provider| providers.is_none_or(|wanted| wanted.has(provider)))
            .any(|provider| {
                Operation::ALL
                    .iter()
                    .filter(|operation| operations.is_none_or(|wanted| wanted.has(operation)))
                    .any(|operation| self.fault.acts_on(*provider, *operation))
            })
    }
}

/// A rule or scenario that is refused, with the field to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// Dotted path of the field.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// A fault as written: every field of every kind, each checked against its kind afterwards.
///
/// serde's own tagged enums let stray fields through on kinds that have none.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    delay_ms: Option<u64>,
    byte_interval_ms: Option<u64>,
    status: Option<u16>,
    effect: Option<Effect>,
    code: Option<String>,
    sub_code: Option<String>,
    copies: Option<u32>,
    forgery: Option<Forgery>,
    alone: Option<bool>,
    probe: Option<bool>,
}

impl Written {
    fn fields(&self) -> Vec<&'static str> {
        [
            ("delay_ms", self.delay_ms.is_some()),
            ("byte_interval_ms", self.byte_interval_ms.is_some()),
            ("status", self.status.is_some()),
            ("effect", self.effect.is_some()),
            ("code", self.code.is_some()),
            ("sub_code", self.sub_code.is_some()),
            ("copies", self.copies.is_some()),
            ("forgery", self.forgery.is_some()),
            ("alone", self.alone.is_some()),
            ("probe", self.probe.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, present)| present.then_some(name))
        .collect()
    }

    fn read(self) -> Result<Fault, String> {
        let needs = |field: &str| format!("fault `{}` needs `{field}`", self.kind);
        let (allowed, fault): (&[&str], Fault) = match self.kind.as_str() {
            "refuse" => (&[], Fault::Refuse),
            "black_hole" => (&[], Fault::BlackHole),
            "slow" => {
                let delay_ms = self.delay_ms.ok_or_else(|| needs("delay_ms"))?;
                (&["delay_ms"], Fault::Slow { delay_ms })
            }
            "drip" => {
                let byte_interval_ms =
                    self.byte_interval_ms.ok_or_else(|| needs("byte_interval_ms"))?;
                (&["byte_interval_ms"], Fault::Drip { byte_interval_ms })
            }
            "http_status" => {
                let status = self.status.ok_or_else(|| needs("status"))?;
                let effect = self.effect.unwrap_or_default();
                (&["status", "effect"], Fault::HttpStatus { status, effect })
            }
            "business_error" => {
                let code = self.code.clone().ok_or_else(|| needs("code"))?;
                let (sub_code, status) = (self.sub_code.clone(), self.status);
                (&["code", "sub_code", "status"], Fault::BusinessError { code, sub_code, status })
            }
            "success_then_timeout" => (&[], Fault::SuccessThenTimeout),
            "duplicate_notification" => {
                let copies = self.copies.unwrap_or(1);
                (&["copies"], Fault::DuplicateNotification { copies })
            }
            "late_notification" => {
                let delay_ms = self.delay_ms.ok_or_else(|| needs("delay_ms"))?;
                (&["delay_ms"], Fault::LateNotification { delay_ms })
            }
            "forged_notification" => {
                let forgery = self.forgery.unwrap_or_default();
                let alone = self.alone.unwrap_or(false);
                (&["forgery", "alone"], Fault::ForgedNotification { forgery, alone })
            }
            "missing_notification" => (&[], Fault::MissingNotification),
            "expired_certificate" => (&[], Fault::ExpiredCertificate),
            "wrong_signature" => {
                (&["probe"], Fault::WrongSignature { probe: self.probe.unwrap_or(false) })
            }
            "maintenance" => (&[], Fault::Maintenance),
            "truncated_body" => (&[], Fault::TruncatedBody),
            "lying_query" => (&[], Fault::LyingQuery),
            "wrong_line" => (&[], Fault::WrongLine),
            other => return Err(format!("unknown fault kind `{other}`; known: {KINDS}")),
        };
        match self.fields().into_iter().find(|field| !allowed.contains(field)) {
            Some(stray) => Err(format!("fault `{}` has no field `{stray}`", self.kind)),
            None => Ok(fault),
        }
    }
}

const KINDS: &str = "refuse, black_hole, slow, drip, http_status, business_error, \
    success_then_timeout, duplicate_notification, late_notification, forged_notification, \
    missing_notification, expired_certificate, wrong_signature, maintenance, truncated_body, \
    lying_query, wrong_line";

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FaultVisitor)
    }
}

struct FaultVisitor;

impl<'de> Visitor<'de> for FaultVisitor {
    type Value = Fault;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault's kind, or an object with `kind` and that kind's fields")
    }

    fn visit_str<E: serde::de::Error>(self, kind: &str) -> Result<Fault, E> {
        Written { kind: kind.to_owned(), ..Written::default() }.read().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fault, A::Error> {
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        written.read().map_err(serde::de::Error::custom)
    }
}
