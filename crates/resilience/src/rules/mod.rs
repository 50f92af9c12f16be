//! Rules from configuration: which channels a payment may, should or had better not take.
//!
//! Rules are read from the top for each method that the payment can be paid with. The first
//! rule whose condition holds decides, and reading ends there unless the rule says
//! `continue`, which lets later ones add to it. A rule
//!
//! * `only` keeps to its channels: nothing else is tried, even if none of them works;
//! * `prefer` puts its channels before the others, in their order;
//! * `avoid` puts its channels behind the others, for when nothing else works;
//! * `split` shares payments out by weight, by a hash of the payment: the same payment always
//!   falls on the same channel, and the other channels of the split stand behind it.
//!
//! A rule orders and narrows what could take the payment anyway. It cannot bring back what an
//! operator has disabled, and health decides among what it allows. A condition that cannot be
//! evaluated skips its rule and is told: no payment is lost for a rule.

mod expression;
mod facts;

use std::collections::{BTreeMap, BTreeSet};

use domain::{ChannelId, PaymentId};
use serde::{Deserialize, Serialize};

pub use expression::{DEPTH_MAX, TEXT_MAX, Wrong};
use expression::{Expression, Scope};
pub use facts::Facts;

/// The most rules of one configuration.
pub const RULES_MAX: usize = 200;
/// The largest weight of a channel in a split.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// A rule as it is written in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleText {
    /// What operators call it; 1 to 60 characters, once in a configuration.
    pub name: String,
    /// The condition; absent: always.
    pub when: Option<String>,
    /// What follows from it.
    pub then: Then,
    /// Whether the rules below are read as well.
    #[serde(rename = "continue")]
    pub goes_on: bool,
}

/// What a rule does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Then {
    /// Nothing but these.
    pub only: Vec<ChannelId>,
    /// These first, in this order.
    pub prefer: Vec<ChannelId>,
    /// These last.
    pub avoid: Vec<ChannelId>,
    /// These first, shared out by weight; not beside `prefer`.
    pub split: BTreeMap<ChannelId, u32>,
}

impl Then {
    fn channels(&self) -> impl Iterator<Item = (&'static str, &ChannelId)> {
        let only = self.only.iter().map(|c| ("then.only", c));
        let prefer = self.prefer.iter().map(|c| ("then.prefer", c));
        let avoid = self.avoid.iter().map(|c| ("then.avoid", c));
        let split = self.split.keys().map(|c| ("then.split", c));
        only.chain(prefer).chain(avoid).chain(split)
    }
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {index}: {field}: {rule}")]
pub struct InvalidRule {
    /// Which rule, from 0.
    pub index: usize,
    /// The setting in it, such as `when` or `then.split`.
    pub field: &'static str,
    /// For a condition: the character in its text, from 1.
    pub at: Option<usize>,
    /// The rule that it breaks.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

#[derive(Clone, Debug)]
struct Rule {
    name: String,
    when: Option<Expression>,
    then: Then,
    goes_on: bool,
}

/// Rules that were read and checked.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Reads rules for a gateway with these channels.
    ///
    /// # Errors
    /// Every mistake of every rule.
    pub fn read(texts: &[RuleText], channels: &[ChannelId]) -> Result<Rules, Vec<InvalidRule>> {
        let mut wrong = Vec::new();
        let mut rules = Vec::with_capacity(texts.len());
        let mut names = BTreeSet::new();
        for (index, text) in texts.iter().enumerate() {
            check_name(index, text, &mut names, &mut wrong);
            check_then(index, &text.then, channels, &mut wrong);
            let when = text.when.as_deref().map(Expression::read).transpose();
            match when {
                Ok(when) => {
                    let (name, then) = (text.name.clone(), text.then.clone());
                    rules.push(Rule { name, when, then, goes_on: text.goes_on });
                }
                Err(Wrong { at, rule, fix }) => {
                    wrong.push(InvalidRule { index, field: "when", at: Some(at), rule, fix });
                }
            }
        }
        if texts.len() > RULES_MAX {
            let rule = format!("there are more than {RULES_MAX} rules");
            wrong.push(mistake(RULES_MAX, "name", &rule, "join rules that do the same by ||"));
        }
        if wrong.is_empty() { Ok(Rules { rules }) } else { Err(wrong) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the rules say of a payment on one method. `payment` decides where it falls in a
    /// split; without one, the larger share.
    pub fn judge(&self, facts: &Facts<'_>, payment: Option<PaymentId>) -> Ruling<'_> {
        let mut ruling = Ruling::default();
        let scope = Scope::of(facts);
        for rule in &self.rules {
            match rule.when.as_ref().map_or(Ok(true), |when| when.holds(&scope)) {
                Ok(false) => {}
                Ok(true) => {
                    ruling.matched.push(Matched { rule, share: rule.share(payment) });
                    if !rule.goes_on {
                        break;
                    }
                }
                Err(why) => ruling.failed.push(FailedRule { rule: &rule.name, why }),
            }
        }
        ruling
    }
}

impl Rule {
    /// The channel of the split that a payment falls on.
    fn share(&self, payment: Option<PaymentId>) -> Option<&ChannelId> {
        let total: u64 = self.then.split.values().map(|w| u64::from(*w)).sum();
        let Some(payment) = payment else {
            let largest = self.then.split.iter().rev().max_by_key(|(_, weight)| **weight);
            return largest.map(|(channel, _)| channel);
        };
        let mut point = hash(&self.name, payment).checked_rem(total)?;
        for (channel, weight) in &self.then.split {
            match point.checked_sub(u64::from(*weight)) {
                Some(rest) => point = rest,
                None => return Some(channel),
            }
        }
        None
    }
}

/// FNV-1a over the rule's name and the payment's id, mixed once more because FNV's low bits
/// follow the last bytes. The name keeps two splits apart: a payment that falls on the small
/// side of one is not bound to fall on the small side of the other.
fn hash(name: &str, payment: PaymentId) -> u64 {
    let bytes = name.bytes().chain(payment.uuid().as_u128().to_be_bytes());
    let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    mixed ^ (mixed >> 33)
}

#[derive(Clone, Debug)]
struct Matched<'r> {
    rule: &'r Rule,
    share: Option<&'r ChannelId>,
}

/// A rule that was skipped because its condition could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRule<'r> {
    /// Its name.
    pub rule: &'r str,
    /// Why, in a few words.
    pub why: String,
}

/// What the rules say of a payment on one method.
#[derive(Clone, Debug, Default)]
pub struct Ruling<'r> {
    matched: Vec<Matched<'r>>,
    failed: Vec<FailedRule<'r>>,
}

/// Where a channel stands by the rules; smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing<'r> {
    /// Put forward.
    Preferred {
        /// By which step of the rules.
        step: u16,
        /// Its place within the step.
        place: u16,
        /// The rule.
        rule: &'r str,
    },
    /// Nothing was said.
    Plain,
    /// Put behind by the rule of this name.
    Avoided(&'r str),
    /// Not allowed by the rule of this name.
    Out(&'r str),
}

impl Standing<'_> {
    /// Whether the rules make no difference between two channels, but for the order in which
    /// they are named.
    pub(crate) fn same_step(&self, other: &Standing<'_>) -> bool {
        match (self, other) {
            (Standing::Preferred { step: a, .. }, Standing::Preferred { step: b, .. }) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl<'r> Ruling<'r> {
    /// The rules that hold, by their names.
    pub fn matched(&self) -> impl Iterator<Item = &'r str> {
        self.matched.iter().map(|m| m.rule.name.as_str())
    }

    /// The rules that were skipped.
    pub fn failed(&self) -> &[FailedRule<'r>] {
        &self.failed
    }

    /// The rules that hold, each with what it does.
    pub fn actions(&self) -> impl Iterator<Item = (&'r str, String)> {
        self.matched.iter().map(|m| (m.rule.name.as_str(), m.action()))
    }

    /// Where a channel stands. An earlier rule's word counts before a later one's.
    pub fn standing(&self, channel: &ChannelId) -> Standing<'r> {
        let mut found = Standing::Plain;
        let mut step = 0;
        for Matched { rule, share } in &self.matched {
            let then = &rule.then;
            if !then.only.is_empty() && !then.only.contains(channel) {
                return Standing::Out(&rule.name);
            }
            if found == Standing::Plain {
                found = rule.standing(channel, *share, step);
            }
            step += 2;
        }
        found
    }
}

impl Rule {
    fn standing(&self, channel: &ChannelId, share: Option<&ChannelId>, step: u16) -> Standing<'_> {
        let (then, rule) = (&self.then, self.name.as_str());
        if let Some(place) = then.prefer.iter().position(|c| c == channel) {
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            return Standing::Preferred { step, place, rule };
        }
        if then.split.contains_key(channel) {
            let step = if share == Some(channel) { step } else { step + 1 };
            return Standing::Preferred { step, place: 0, rule };
        }
        if then.avoid.contains(channel) { Standing::Avoided(rule) } else { Standing::Plain }
    }
}

impl Matched<'_> {
    fn action(&self) -> String {
        let then = &self.rule.then;
        let listed = |word: &str, list: &[ChannelId]| {
            let names: Vec<&str> = list.iter().map(ChannelId::as_str).collect();
            (!list.is_empty()).then(|| format!("{word} {}", names.join(", ")))
        };
        let split = self.share.map(|share| {
            let parts: Vec<String> = then.split.iter().map(|(c, w)| format!("{c} {w}")).collect();
            format!("split {}: {share}", parts.join(", "))
        });
        let parts = [
            listed("only", &then.only),
            listed("prefer", &then.prefer),
            listed("avoid", &then.avoid),
            split,
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

fn mistake(index: usize, field: &'static str, rule: &str, fix: &str) -> InvalidRule {
    InvalidRule { index, field, at: None, rule: rule.to_owned(), fix: fix.to_owned() }
}

fn check_name<'t>(
    index: usize,
    text: &'t RuleText,
    names: &mut BTreeSet<&'t str>,
    wrong: &mut Vec<InvalidRule>,
) {
    let length = text.name.chars().count();
    if !(1..=60).contains(&length) || text.name.chars().any(char::is_control) {
        let rule = "it must be 1 to 60 characters";
        let fix = "name the rule so that operators know it again, such as \"large orders\"";
        wrong.push(mistake(index, "name", rule, fix));
    } else if !names.insert(&text.name) {
        wrong.push(mistake(index, "name", "two rules have this name", "rename one of them"));
    }
}

fn check_then(index: usize, then: &Then, channels: &[ChannelId], wrong: &mut Vec<InvalidRule>) {
    let mut note = |field, rule: &str, fix: &str| wrong.push(mistake(index, field, rule, fix));
    if then.channels().next().is_none() {
        let fix = "such as then = { prefer = [\"alipay-main\"] }";
        note("then", "it needs one of only, prefer, avoid or split", fix);
    }
    for (field, channel) in then.channels().filter(|(_, c)| !channels.contains(c)) {
        let known: Vec<&str> = channels.iter().map(ChannelId::as_str).collect();
        let rule = format!("there is no channel `{channel}`");
        note(field, &rule, &format!("the channels are {}", known.join(", ")));
    }
    if !then.prefer.is_empty() && !then.split.is_empty() {
        note(
            "then.split",
            "it cannot stand beside prefer",
            "make two rules, the first with continue",
        );
    }
    let weight = |w: &u32| (1..=WEIGHT_MAX).contains(w);
    if !then.split.values().all(weight) {
        let fix = "only the proportions count: 70 and 30 are 70 % and 30 %";
        note("then.split", "a weight must be 1 to 1,000,000", fix);
    }
    let ordered = then.prefer.iter().chain(then.split.keys());
    if ordered.clone().any(|c| then.avoid.contains(c)) {
        note("then.avoid", "a channel is both put first and avoided", "name it once");
    }
    let outside = |c: &ChannelId| !then.only.is_empty() && !then.only.contains(c);
    if ordered.chain(&then.avoid).any(outside) {
        note("then.only", "it leaves out a channel that the rule also orders", "name it here too");
    }
}

#[cfg(test)]
mod tests;
