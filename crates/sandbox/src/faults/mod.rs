//! Fault models: which call goes wrong, how, and when. Pure: no socket, clock or generator of its own.
//!
//! A [`FaultPlan`] holds rules; [`FaultPlan::decide`] is asked once for every call with the time
//! and a generator, and names the fault to play. What a fault *does* to bytes on a wire is left to
//! the HTTP skin of this crate, and what it does to a virtual provider to the simulator.

mod rule;

use rand::Rng;
pub use rule::{FaultRequest, FaultRule, Invalid, OneOrMany, Operation, RuleMatch};
use serde::{Deserialize, Serialize};

use crate::books::{Millis, ProviderKind};

/// Whether a failing call failed before or after it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing happened in the books.
    #[default]
    Before,
    /// The books changed, although the answer says failure.
    After,
}

/// How a forged notification is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// Well formed, signed by a stranger's key.
    #[default]
    WrongKey,
    /// A genuine notification whose body was changed after it was signed.
    Tampered,
    /// No signature at all.
    Unsigned,
}

/// One way in which a provider fails. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The connection is dropped before anything is processed; no byte is answered.
    Refuse,
    /// The call is taken, not processed and never answered.
    BlackHole,
    /// The call takes effect at once; its answer comes late.
    Slow {
        /// How late the answer is.
        delay_ms: u64,
    },
    /// The answer comes one byte at a time.
    Drip {
        /// Pause before each byte.
        byte_interval_ms: u64,
    },
    /// An HTTP error status with the provider's error body.
    HttpStatus {
        /// The status, 400 to 599.
        status: u16,
        /// Before or after the effect.
        effect: Effect,
    },
    /// A business error in the provider's own shape, without effect.
    BusinessError {
        /// Alipay's `code`, WeChat Pay's `code`, Stripe's `error.code`, PayPal's issue (its
        /// `name` where `sub_code` or a status other than 422 is given).
        code: String,
        /// Alipay's `sub_code`; Stripe's `decline_code`; PayPal's issue. WeChat Pay has none.
        sub_code: Option<String>,
        /// HTTP status, where the provider's error has one of its own (WeChat Pay, Stripe).
        status: Option<u16>,
    },
    /// The call takes effect and is never answered.
    SuccessThenTimeout,
    /// Each notification is delivered several times over.
    DuplicateNotification {
        /// Extra deliveries.
        copies: u32,
    },
    /// Notifications start late.
    LateNotification {
        /// How late.
        delay_ms: u64,
    },
    /// A forged notification goes out before the genuine one.
    ForgedNotification {
        /// How it is forged.
        forgery: Forgery,
        /// `true`: the genuine one is never sent.
        alone: bool,
    },
    /// The notification is lost, resends included.
    MissingNotification,
    /// The platform certificate that is shown and signed with has expired (WeChat Pay).
    ExpiredCertificate,
    /// The answer's signature is broken (Alipay, WeChat Pay).
    WrongSignature {
        /// WeChat Pay's own probe: a signature that starts `WECHATPAY/SIGNTEST/`.
        probe: bool,
    },
    /// The provider's answer for planned maintenance; the window is the rule's.
    Maintenance,
    /// The answer breaks off in the middle of its body, after the effect.
    TruncatedBody,
    /// A query says "unpaid" whatever the books say.
    LyingQuery,
    /// A line of the statement states another amount than was paid.
    WrongLine,
}

impl Fault {
    /// The name used in JSON and TOML.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::BlackHole => "black_hole",
            Self::Slow { .. } => "slow",
            Self::Drip { .. } => "drip",
            Self::HttpStatus { .. } => "http_status",
            Self::BusinessError { .. } => "business_error",
            Self::SuccessThenTimeout => "success_then_timeout",
            Self::DuplicateNotification { .. } => "duplicate_notification",
            Self::LateNotification { .. } => "late_notification",
            Self::ForgedNotification { .. } => "forged_notification",
            Self::MissingNotification => "missing_notification",
            Self::ExpiredCertificate => "expired_certificate",
            Self::WrongSignature { .. } => "wrong_signature",
            Self::Maintenance => "maintenance",
            Self::TruncatedBody => "truncated_body",
            Self::LyingQuery => "lying_query",
            Self::WrongLine => "wrong_line",
        }
    }

    fn is_about_notifications(&self) -> bool {
        matches!(
            self,
            Self::DuplicateNotification { .. }
                | Self::LateNotification { .. }
                | Self::ForgedNotification { .. }
                | Self::MissingNotification
        )
    }

    /// Whether the fault can act on a call of this kind at this provider.
    ///
    /// Stripe and PayPal sign no answers and only WeChat Pay shows certificates, so those faults have
    /// nothing to act on elsewhere.
    #[must_use]
    pub fn acts_on(&self, provider: ProviderKind, operation: Operation) -> bool {
        if operation == Operation::Notify {
            return self.is_about_notifications();
        }
        match self {
            _ if self.is_about_notifications() => false,
            Self::LyingQuery => operation == Operation::Query,
            Self::WrongLine => operation == Operation::Statement,
            _ if operation == Operation::Pay => matches!(
                self,
                Self::Refuse
                    | Self::BlackHole
                    | Self::Slow { .. }
                    | Self::HttpStatus { .. }
                    | Self::BusinessError { .. }
                    | Self::SuccessThenTimeout
                    | Self::Maintenance
            ),
            Self::WrongSignature { probe: true } => provider == ProviderKind::WechatPay,
            Self::ExpiredCertificate => {
                matches!(provider, ProviderKind::WechatPay | ProviderKind::UnionPay)
            }
            Self::WrongSignature { probe: false } => {
                !matches!(provider, ProviderKind::Stripe | ProviderKind::Paypal)
            }
            _ => true,
        }
    }
}

/// A rule in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActiveRule {
    /// The rule's name, unique in its plan.
    pub id: String,
    /// The moment that the rule's `from_ms` and `until_ms` count from.
    pub added_at_ms: Millis,
    /// What it does.
    #[serde(flatten)]
    pub rule: FaultRule,
}

impl ActiveRule {
    fn covers(&self, now_ms: Millis) -> bool {
        let elapsed = now_ms.saturating_sub(self.added_at_ms);
        let from = self.rule.matches.from_ms.unwrap_or(0);
        let until = self.rule.matches.until_ms.unwrap_or(u64::MAX);
        elapsed >= 0 && (from..until).contains(&elapsed.unsigned_abs())
    }
}

/// An ordered set of rules; the first that covers a call decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FaultPlan {
    rules: Vec<ActiveRule>,
    next_id: u64,
}

impl FaultPlan {
    /// Adds a rule at `now_ms`, which its window counts from, and returns its id.
    ///
    /// # Errors
    /// [`Invalid`] when the rule could never act, or its id is taken.
    pub fn add(&mut self, rule: FaultRule, now_ms: Millis) -> Result<String, Invalid> {
        rule.validate()?;
        let id = match &rule.id {
            Some(id) if self.rules.iter().any(|active| active.id == *id) => {
                return Err(Invalid::new("id", format!("a rule named `{id}` is already in force")));
            }
            Some(id) => id.clone(),
            None => self.free_id(),
        };
        self.rules.push(ActiveRule { id: id.clone(), added_at_ms: now_ms, rule });
        Ok(id)
    }

    fn free_id(&mut self) -> String {
        loop {
            self.next_id += 1;
            let id = format!("fault-{}", self.next_id);
            if self.rules.iter().all(|active| active.id != id) {
                return id;
            }
        }
    }

    /// Removes a rule; `false` when there is none of that id.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.rules.len();
        self.rules.retain(|active| active.id != id);
        self.rules.len() < before
    }

    /// Removes every rule and says how many there were.
    pub fn clear(&mut self) -> usize {
        std::mem::take(&mut self.rules).len()
    }

    /// The rules in force, in the order in which they are tried.
    #[must_use]
    pub fn rules(&self) -> &[ActiveRule] {
        &self.rules
    }

    /// The fault to play on this call, if any.
    ///
    /// Only a rule with a probability below one draws from `rng`, so that adding certain rules
    /// leaves the draws of an old seed where they were. A rule that loses its draw leaves the
    /// call to the rules after it.
    pub fn decide<R: Rng + ?Sized>(
        &self,
        request: &FaultRequest<'_>,
        now_ms: Millis,
        rng: &mut R,
    ) -> Option<Fault> {
        self.rules
            .iter()
            .filter(|active| active.covers(now_ms))
            .filter(|active| active.rule.fault.acts_on(request.provider, request.operation))
            .filter(|active| active.rule.matches.covers(request))
            .find(|active| wins(active.rule.matches.probability, rng))
            .map(|active| active.rule.fault.clone())
    }
}

fn wins<R: Rng + ?Sized>(probability: Option<f64>, rng: &mut R) -> bool {
    match probability {
        None => true,
        Some(p) if p >= 1.0 => true,
        // 53 bits fill a double's mantissa, so every draw is exact and uniform in [0, 1).
        Some(p) => ((rng.next_u64() >> 11) as f64) / ((1_u64 << 53) as f64) < p,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn call(operation: Operation) -> FaultRequest<'static> {
        FaultRequest {
            provider: ProviderKind::Alipay,
            account: "alipay-main",
            operation,
            method: Some("alipay"),
            bank: None,
        }
    }

    fn rule(json: serde_json::Value) -> FaultRule {
        serde_json::from_value(json).unwrap()
    }

    fn decide(plan: &FaultPlan, operation: Operation, now: Millis) -> Option<Fault> {
        plan.decide(&call(operation), now, &mut ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn windows_are_half_open_and_relative() {
        let mut plan = FaultPlan::default();
        plan.add(
            rule(
                serde_json::json!({"match": {"from_ms": 100, "until_ms": 200}, "fault": "refuse"}),
            ),
            1_000,
        )
        .unwrap();
        assert_eq!(decide(&plan, Operation::Create, 1_099), None);
        assert_eq!(decide(&plan, Operation::Create, 1_100), Some(Fault::Refuse));
        assert_eq!(decide(&plan, Operation::Create, 1_200), None);
        assert_eq!(decide(&plan, Operation::Create, 900), None);
    }

    #[test]
    fn notification_faults_touch_only_notifications() {
        let mut plan = FaultPlan::default();
        plan.add(rule(serde_json::json!({"fault": "missing_notification"})), 0).unwrap();
        assert_eq!(decide(&plan, Operation::Create, 0), None);
        assert_eq!(decide(&plan, Operation::Notify, 0), Some(Fault::MissingNotification));
    }

    #[test]
    fn a_fault_that_cannot_act_leaves_the_call_to_the_next_rule() {
        let mut plan = FaultPlan::default();
        plan.add(rule(serde_json::json!({"fault": "lying_query"})), 0).unwrap();
        plan.add(rule(serde_json::json!({"fault": {"kind": "slow", "delay_ms": 5}})), 0).unwrap();
        assert_eq!(decide(&plan, Operation::Create, 0), Some(Fault::Slow { delay_ms: 5 }));
        assert_eq!(decide(&plan, Operation::Query, 0), Some(Fault::LyingQuery));
    }

    #[test]
    fn probability_is_about_right_and_replays() {
        let mut plan = FaultPlan::default();
        plan.add(rule(serde_json::json!({"match": {"probability": 0.25}, "fault": "refuse"})), 0)
            .unwrap();
        let draw = || {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            (0..4_000)
                .filter(|_| plan.decide(&call(Operation::Create), 0, &mut rng).is_some())
                .count()
        };
        assert!((900..1_100).contains(&draw()));
        assert_eq!(draw(), draw());
    }

    #[test]
    fn filters_take_one_or_many() {
        let mut plan = FaultPlan::default();
        plan.add(
            rule(serde_json::json!({
                "match": {"provider": ["alipay", "stripe"], "operation": "create", "method": "alipay"},
                "fault": "black_hole"
            })),
            0,
        )
        .unwrap();
        assert_eq!(decide(&plan, Operation::Create, 0), Some(Fault::BlackHole));
        assert_eq!(decide(&plan, Operation::Close, 0), None);
        let wechat = FaultRequest { provider: ProviderKind::WechatPay, ..call(Operation::Create) };
        assert_eq!(plan.decide(&wechat, 0, &mut ChaCha8Rng::seed_from_u64(1)), None);
    }

    #[test]
    fn ids_are_unique_and_removable() {
        let mut plan = FaultPlan::default();
        let named = rule(serde_json::json!({"id": "fault-1", "fault": "refuse"}));
        plan.add(named.clone(), 0).unwrap();
        assert!(plan.add(named, 0).is_err());
        let next = plan.add(rule(serde_json::json!({"fault": "refuse"})), 0).unwrap();
        assert_eq!(next, "fault-2");
        assert!(plan.remove("fault-1"));
        assert!(!plan.remove("fault-1"));
        assert_eq!(plan.clear(), 1);
    }

    #[test]
    fn rules_that_can_never_act_are_refused() {
        for (json, field) in [
            (
                serde_json::json!({"match": {"probability": 1.5}, "fault": "refuse"}),
                "match.probability",
            ),
            (
                serde_json::json!({"match": {"from_ms": 5, "until_ms": 5}, "fault": "refuse"}),
                "match.until_ms",
            ),
            (
                serde_json::json!({"match": {"provider": "stripe"}, "fault": "wrong_signature"}),
                "fault",
            ),
            (
                serde_json::json!({"match": {"operation": "create"}, "fault": "missing_notification"}),
                "fault",
            ),
            (serde_json::json!({"fault": {"kind": "http_status", "status": 200}}), "fault.status"),
        ] {
            let error = FaultPlan::default().add(rule(json.clone()), 0).unwrap_err();
            assert_eq!(error.field, field, "{json}");
        }
    }

    #[test]
    fn unknown_fields_and_kinds_are_refused() {
        for json in [
            serde_json::json!({"fault": "explode"}),
            serde_json::json!({"fault": {"kind": "refuse", "delay_ms": 4}}),
            serde_json::json!({"fault": {"kind": "slow"}}),
            serde_json::json!({"fault": "slow"}),
            serde_json::json!({"fault": "refuse", "match": {"providr": "alipay"}}),
            serde_json::json!({"fault": "refuse", "match": {"provider": "alypay"}}),
            serde_json::json!({"fault": "refuse", "matches": {}}),
        ] {
            assert!(serde_json::from_value::<FaultRule>(json.clone()).is_err(), "{json}");
        }
    }
}
