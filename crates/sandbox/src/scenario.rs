//! Scenarios: named scripts of timed fault rules, from TOML or JSON.
//!
//! A scenario may also say what an operator of the gateway does and who comes to pay. The
//! sandbox has neither; whoever plays the whole story (`evergate demo`) reads it here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::books::Millis;
use crate::faults::{Fault, FaultPlan, FaultRule, Invalid, RuleMatch};

/// A script of faults, and of what people do meanwhile. Times are seconds from the moment it is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A short name, as in the file's name.
    pub name: String,
    /// What happens, for people.
    pub description: Description,
    /// How long until everything is calm again, seconds.
    pub duration_s: f64,
    /// What happens when; none at all is a calm day.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
    /// What the gateway's operator does, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator: Vec<OperatorStep>,
    /// Who comes to pay, where it is not the usual crowd.
    #[serde(default, skip_serializing_if = "Shoppers::is_usual")]
    pub shoppers: Shoppers,
}

/// One act of the gateway's operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorStep {
    /// When.
    pub at_s: f64,
    /// What.
    pub does: OperatorAct,
}

/// What an operator does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OperatorAct {
    /// States a planned absence.
    PlanMaintenance {
        /// Of this channel; of all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
        /// Of this method; of all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<String>,
        /// For this bank's customers; for everyone when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// From then.
        from_s: f64,
        /// Until then.
        until_s: f64,
        /// Why, in the words of the audit log.
        reason: String,
    },
    /// Takes a channel out of service.
    Disable {
        /// The channel.
        channel: String,
        /// Why.
        reason: String,
    },
    /// Puts a configuration in force, in stages, in which this channel has a key that its
    /// provider does not know; the provider is not asked first.
    PushWrongKey {
        /// The channel.
        channel: String,
        /// Why, in the words of the history.
        reason: String,
    },
    /// Puts a channel back into service.
    Enable {
        /// The channel.
        channel: String,
        /// Why.
        reason: String,
    },
}

/// Who comes to pay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shoppers {
    /// How many of a hundred prefer a method; methods that are not named share the rest as usual.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prefer: BTreeMap<String, u32>,
    /// Methods that every shopper takes when nothing else is left, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

impl Shoppers {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// A text in both of the project's languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// 中文
    pub zh: String,
    /// English.
    pub en: String,
}

/// One fault for one stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A name for the rule; `scenario-step` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Start.
    pub at_s: f64,
    /// End.
    pub until_s: f64,
    /// Which calls; its own `from_ms` and `until_ms` have to be absent.
    #[serde(default, rename = "match")]
    pub matches: RuleMatch,
    /// What happens to them.
    pub fault: Fault,
}

/// The scenarios that come with the sandbox, by name.
const EMBEDDED: [(&str, &str); 11] = [
    ("alipay-outage", include_str!("../scenarios/alipay-outage.toml")),
    ("brownout", include_str!("../scenarios/brownout.toml")),
    ("wechat-hang", include_str!("../scenarios/wechat-hang.toml")),
    ("notifications-lost", include_str!("../scenarios/notifications-lost.toml")),
    ("unionpay-night", include_str!("../scenarios/unionpay-night.toml")),
    ("expired-certificate", include_str!("../scenarios/expired-certificate.toml")),
    ("wrong-key", include_str!("../scenarios/wrong-key.toml")),
    ("paypal-token-outage", include_str!("../scenarios/paypal-token-outage.toml")),
    ("offline", include_str!("../scenarios/offline.toml")),
    ("all-down", include_str!("../scenarios/all-down.toml")),
    ("calm", include_str!("../scenarios/calm.toml")),
];

impl Scenario {
    /// Names of the scenarios that come with the sandbox.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        EMBEDDED.iter().map(|(name, _)| *name).collect()
    }

    /// A scenario that comes with the sandbox.
    #[must_use]
    pub fn embedded(name: &str) -> Option<Self> {
        let (_, text) = EMBEDDED.iter().find(|(known, _)| *known == name)?;
        Some(Self::from_toml(text).expect("a test reads every embedded scenario"))
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// The field or line that is wrong and why.
    pub fn from_toml(text: &str) -> Result<Self, Invalid> {
        let scenario: Self =
            toml::from_str(text).map_err(|why| Invalid::new("scenario", why.to_string()))?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// Reads JSON, of the same shape.
    ///
    /// # Errors
    /// The field or line that is wrong and why.
    pub fn from_json(text: &str) -> Result<Self, Invalid> {
        let scenario: Self =
            serde_json::from_str(text).map_err(|why| Invalid::new("scenario", why.to_string()))?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// The same scenario, `factor` times as long, so that a short demo meets all of it.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        scaled.duration_s *= factor;
        for step in &mut scaled.steps {
            step.at_s *= factor;
            step.until_s *= factor;
        }
        for step in &mut scaled.operator {
            step.at_s *= factor;
            if let OperatorAct::PlanMaintenance { from_s, until_s, .. } = &mut step.does {
                (*from_s, *until_s) = (*from_s * factor, *until_s * factor);
            }
        }
        scaled
    }

    /// When the first fault starts, seconds; `None` on a calm day.
    #[must_use]
    pub fn first_fault_s(&self) -> Option<f64> {
        self.steps.iter().map(|step| step.at_s).reduce(f64::min)
    }

    /// The rules of this scenario, started at `now_ms`; for the simulator as well.
    #[must_use]
    pub fn plan(&self, now_ms: Millis) -> FaultPlan {
        let mut plan = FaultPlan::default();
        for rule in self.rules() {
            plan.add(rule, now_ms).expect("a scenario is validated when it is read");
        }
        plan
    }

    fn rules(&self) -> impl Iterator<Item = FaultRule> {
        self.steps.iter().enumerate().map(|(index, step)| {
            let mut matches = step.matches.clone();
            matches.from_ms = Some(to_ms(step.at_s));
            matches.until_ms = Some(to_ms(step.until_s).max(to_ms(step.at_s) + 1));
            let id = step.id.clone().unwrap_or_else(|| format!("{}-{}", self.name, index + 1));
            FaultRule { id: Some(id), matches, fault: step.fault.clone() }
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.name.is_empty() {
            return Err(Invalid::new("name", "is empty"));
        }
        self.validate_people()?;
        let mut plan = FaultPlan::default();
        for (index, (step, rule)) in self.steps.iter().zip(self.rules()).enumerate() {
            let at = |field: &str| format!("step[{index}].{field}");
            if !is_span(step.at_s, step.until_s) {
                return Err(Invalid::new(at("until_s"), "needs 0 <= at_s < until_s, in seconds"));
            }
            if step.matches.from_ms.is_some() || step.matches.until_ms.is_some() {
                return Err(Invalid::new(at("match"), "at_s and until_s already say when"));
            }
            plan.add(rule, 0).map_err(|why| Invalid::new(at(&why.field), why.reason))?;
        }
        Ok(())
    }

    fn validate_people(&self) -> Result<(), Invalid> {
        for (index, step) in self.operator.iter().enumerate() {
            let at = |field: &str| format!("operator[{index}].{field}");
            if !is_sane(step.at_s) {
                return Err(Invalid::new(at("at_s"), "needs 0 <= at_s, in seconds"));
            }
            if let OperatorAct::PlanMaintenance { from_s, until_s, .. } = step.does
                && !is_span(from_s, until_s)
            {
                let why = "needs 0 <= from_s < until_s, in seconds";
                return Err(Invalid::new(at("does.until_s"), why));
            }
        }
        if self.shoppers.prefer.values().map(|share| u64::from(*share)).sum::<u64>() > 100 {
            return Err(Invalid::new("shoppers.prefer", "the shares are more than 100 in all"));
        }
        Ok(())
    }
}

/// 30 years fit any scenario, and keep the arithmetic within range.
fn is_sane(seconds: f64) -> bool {
    (0.0..1e9).contains(&seconds)
}

fn is_span(from_s: f64, until_s: f64) -> bool {
    is_sane(from_s) && is_sane(until_s) && from_s < until_s
}

fn to_ms(seconds: f64) -> u64 {
    (seconds * 1_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_scenario_reads_and_has_its_files_name() {
        for (name, text) in EMBEDDED {
            let scenario = Scenario::from_toml(text).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(scenario.name, name);
            assert!(scenario.steps.iter().all(|step| step.until_s <= scenario.duration_s));
            let json = serde_json::to_string(&scenario).unwrap();
            assert_eq!(Scenario::from_json(&json).unwrap(), scenario);
        }
    }

    #[test]
    fn mistakes_name_their_step() {
        let head = "name = 'x'\ndescription = { zh = '', en = '' }\nduration_s = 9\n[[step]]\n";
        for (step, field) in [
            ("at_s = 5\nuntil_s = 5\nfault = 'refuse'", "step[0].until_s"),
            ("at_s = 1\nuntil_s = 5\nfault = 'refuse'\nmatch = { from_ms = 4 }", "step[0].match"),
            (
                "at_s = 1\nuntil_s = 5\nfault = 'refuse'\nmatch = { probability = 2.0 }",
                "step[0].match.probability",
            ),
            ("at_s = 1\nuntil_s = 5\nfault = 'explode'", "scenario"),
            (
                "at_s = 1\nuntil_s = 5\nfault = 'refuse'\n[[operator]]\nat_s = 1\n\
                 does = { kind = 'plan_maintenance', from_s = 4, until_s = 4, reason = 'x' }",
                "operator[0].does.until_s",
            ),
            (
                "at_s = 1\nuntil_s = 5\nfault = 'refuse'\n[[operator]]\nat_s = 1\n\
                 does = { kind = 'disable', chanel = 'a', reason = 'x' }",
                "scenario",
            ),
            (
                "at_s = 1\nuntil_s = 5\nfault = 'refuse'\n[shoppers]\n\
                 prefer = { paypal = 60, card = 41 }",
                "shoppers.prefer",
            ),
        ] {
            let error = Scenario::from_toml(&format!("{head}{step}")).unwrap_err();
            assert_eq!(error.field, field, "{error}");
        }
    }

    #[test]
    fn scaling_stretches_everything() {
        let scenario = Scenario::embedded("alipay-outage").unwrap();
        let half = scenario.scaled(0.5);
        assert_eq!(half.first_fault_s().unwrap() * 2.0, scenario.first_fault_s().unwrap());
        assert_eq!(half.duration_s * 2.0, scenario.duration_s);
        let night = Scenario::embedded("unionpay-night").unwrap();
        let of = |scenario: &Scenario| match &scenario.operator[0] {
            OperatorStep { at_s, does: OperatorAct::PlanMaintenance { from_s, until_s, .. } } => {
                [*at_s, *from_s, *until_s]
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(of(&night.scaled(0.5)).map(|s| s * 2.0), of(&night));
    }
}
