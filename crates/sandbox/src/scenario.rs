//! Scenarios: named scripts of timed fault rules, from TOML or JSON.

use serde::{Deserialize, Serialize};

use crate::books::Millis;
use crate::faults::{Fault, FaultPlan, FaultRule, Invalid, RuleMatch};

/// A script of faults. Times are seconds from the moment it is loaded.
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
const EMBEDDED: [(&str, &str); 8] = [
    ("alipay-outage", include_str!("../scenarios/alipay-outage.toml")),
    ("brownout", include_str!("../scenarios/brownout.toml")),
    ("wechat-hang", include_str!("../scenarios/wechat-hang.toml")),
    ("notifications-lost", include_str!("../scenarios/notifications-lost.toml")),
    ("unionpay-night", include_str!("../scenarios/unionpay-night.toml")),
    ("paypal-token-outage", include_str!("../scenarios/paypal-token-outage.toml")),
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
        let mut plan = FaultPlan::default();
        for (index, (step, rule)) in self.steps.iter().zip(self.rules()).enumerate() {
            let at = |field: &str| format!("step[{index}].{field}");
            // 30 years fit any scenario, and keep the arithmetic within range.
            let sane = |seconds: f64| (0.0..1e9).contains(&seconds);
            if !sane(step.at_s) || !sane(step.until_s) || step.until_s <= step.at_s {
                return Err(Invalid::new(at("until_s"), "needs 0 <= at_s < until_s, in seconds"));
            }
            if step.matches.from_ms.is_some() || step.matches.until_ms.is_some() {
                return Err(Invalid::new(at("match"), "at_s and until_s already say when"));
            }
            plan.add(rule, 0).map_err(|why| Invalid::new(at(&why.field), why.reason))?;
        }
        Ok(())
    }
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
    }
}
