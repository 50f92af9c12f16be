//! The degradation ladder as it is set: how far customers are led from the ordinary way to
//! pay, for whom, by whom, and until when; and beside it the gates of features.
//!
//! A level is never forever: every descent ends by itself, whoever made it. What health would
//! have the level be is decided elsewhere; here is only what is in force.

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Locale, Method, Purpose, Timestamp};

/// A rung of the ladder. Every rung offers what the rungs above it offer as well.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As usual.
    #[default]
    Normal,
    /// Another channel of the same method carries it; the customer sees nothing.
    Rerouted,
    /// Another method is offered.
    OtherMethod,
    /// A transfer from the customer's bank account is offered.
    Transfer,
    /// The order is kept, to be paid later.
    Held,
    /// Staff help customers of rank [`Tier::Vip`](crate::Tier::Vip).
    Assisted,
}

impl Level {
    /// Every level, from the top of the ladder down.
    pub const ALL: [Level; 6] = [
        Level::Normal,
        Level::Rerouted,
        Level::OtherMethod,
        Level::Transfer,
        Level::Held,
        Level::Assisted,
    ];

    /// The name that the API, configuration and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Level::Normal => "normal",
            Level::Rerouted => "rerouted",
            Level::OtherMethod => "other_method",
            Level::Transfer => "transfer",
            Level::Held => "held",
            Level::Assisted => "assisted",
        }
    }

    /// What people call it, in their language.
    pub fn label(self, locale: Locale) -> &'static str {
        match (self, locale) {
            (Level::Normal, Locale::Zh) => "正常",
            (Level::Normal, Locale::En) => "as usual",
            (Level::Rerouted, Locale::Zh) => "静默切换",
            (Level::Rerouted, Locale::En) => "rerouted silently",
            (Level::OtherMethod, Locale::Zh) => "提供其他方式",
            (Level::OtherMethod, Locale::En) => "another method offered",
            (Level::Transfer, Locale::Zh) => "提供银行转账",
            (Level::Transfer, Locale::En) => "bank transfer offered",
            (Level::Held, Locale::Zh) => "保留订单",
            (Level::Held, Locale::En) => "order held, pay later",
            (Level::Assisted, Locale::Zh) => "人工协助",
            (Level::Assisted, Locale::En) => "staff-assisted",
        }
    }

    /// Its number, 0 to 5.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl std::str::FromStr for Level {
    type Err = crate::InvalidText;
    /// By name or number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let meant = |l: &Level| l.name() == text || l.number().to_string() == text;
        Level::ALL.into_iter().find(meant).ok_or(crate::InvalidText {
            rule: "a level is one of normal, rerouted, other_method, transfer, held, assisted, \
                   or its number from 0 to 5",
        })
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// For whom a level is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Reach {
    /// Everybody.
    All,
    /// Who pays by this method.
    Method(Method),
    /// Whose payment this channel would carry.
    Channel(ChannelId),
    /// Payments for this purpose.
    Purpose(Purpose),
}

/// A payment as far as levels and gates are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The method that the customer asks for.
    pub method: Method,
    /// The channel that would carry it, where that is settled.
    pub channel: Option<&'a ChannelId>,
    /// Why the merchant collects.
    pub purpose: Purpose,
}

impl Reach {
    /// Whether a payment is meant.
    pub fn covers(&self, passage: &Passage<'_>) -> bool {
        match self {
            Reach::All => true,
            Reach::Method(method) => *method == passage.method,
            Reach::Channel(channel) => passage.channel == Some(channel),
            Reach::Purpose(purpose) => *purpose == passage.purpose,
        }
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reach::All => f.write_str("all"),
            Reach::Method(method) => write!(f, "method {method}"),
            Reach::Channel(channel) => write!(f, "channel {channel}"),
            Reach::Purpose(purpose) => write!(f, "purpose {purpose}"),
        }
    }
}

impl std::str::FromStr for Reach {
    type Err = crate::InvalidText;
    /// `all`, `method:alipay`, `channel:alipay-main` or `purpose:renewal`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = "a scope is all, method:<method>, channel:<channel> or purpose:<purpose>";
        if text == "all" {
            return Ok(Reach::All);
        }
        match text.split_once(':') {
            Some(("method", name)) => name.parse().map(Reach::Method),
            Some(("channel", name)) => ChannelId::new(name).map(Reach::Channel),
            Some(("purpose", name)) => name.parse().map(Reach::Purpose),
            _ => Err(crate::InvalidText { rule }),
        }
    }
}

/// Who moved a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by", content = "name")]
pub enum Mover {
    /// What is known of health. Moves it back up by itself.
    Policy,
    /// A runbook.
    Runbook(String),
    /// A person, whose word in a scope counts instead of the policy's.
    Operator(String),
}

/// A level that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descent {
    /// For whom.
    pub reach: Reach,
    /// How far.
    pub level: Level,
    /// Who moved it.
    pub mover: Mover,
    /// Why.
    pub reason: String,
    /// When.
    pub since: Timestamp,
    /// When it ends by itself, whatever happens.
    pub until: Timestamp,
}

impl Descent {
    fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.until
    }

    fn is_of_policy(&self) -> bool {
        self.mover == Mover::Policy
    }
}

/// A feature that is paused (rule 9): no payment for this purpose is charged until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What is paused.
    pub purpose: Purpose,
    /// Who paused it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub since: Timestamp,
    /// When it opens by itself.
    pub until: Timestamp,
}

/// Levels and gates in force. At most one descent for each reach by the policy, and one by
/// people and runbooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ladder {
    /// Levels below the top.
    pub descents: Vec<Descent>,
    /// Paused features.
    pub gates: Vec<Gate>,
}

impl Ladder {
    /// Whether nothing was ever set, or all of it was lifted.
    pub fn is_empty(&self) -> bool {
        self.descents.is_empty() && self.gates.is_empty()
    }

    /// The descents in force.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Descent> {
        self.descents.iter().filter(move |d| self.counts(d, now))
    }

    /// The deepest level that a payment meets, and the descent that says so. In one reach a
    /// person's or runbook's word counts instead of the policy's, upwards as well.
    pub fn level(&self, passage: &Passage<'_>, now: Timestamp) -> (Level, Option<&Descent>) {
        let counts = |d: &&Descent| d.reach.covers(passage) && self.counts(d, now);
        let deepest = self.descents.iter().filter(counts).max_by_key(|d| d.level);
        (deepest.map_or(Level::Normal, |d| d.level), deepest)
    }

    /// Whether a descent is in force and nobody's word stands before it.
    fn counts(&self, descent: &Descent, now: Timestamp) -> bool {
        let overruled = |other: &Descent| {
            other.reach == descent.reach && !other.is_of_policy() && other.is_in_force(now)
        };
        descent.is_in_force(now) && !(descent.is_of_policy() && self.descents.iter().any(overruled))
    }

    /// Whether people or a runbook have led payments away from a method of a channel, and how:
    /// what health says of it is then not asked. The policy bars nothing, so that what is out
    /// goes on being probed and can come back.
    ///
    /// A channel at any level is not used; a method from [`Level::OtherMethod`] on. For everybody
    /// or a purpose, [`Level::Transfer`] leaves transfers, and from [`Level::Held`] on nothing is
    /// left but to keep the order.
    pub fn bars(&self, passage: &Passage<'_>, now: Timestamp) -> Option<&Descent> {
        let barred = |d: &&Descent| {
            let online = passage.method != Method::BankTransfer;
            match (&d.reach, d.level) {
                (_, Level::Normal) => false,
                (Reach::Channel(_), _) => true,
                (Reach::Method(_), level) => level >= Level::OtherMethod,
                (Reach::All | Reach::Purpose(_), level) => {
                    level >= Level::Held || (level == Level::Transfer && online)
                }
            }
        };
        let mut spoken = self.descents.iter().filter(|d| !d.is_of_policy() && d.is_in_force(now));
        spoken.find(|d| d.reach.covers(passage) && barred(d))
    }

    /// The gate that keeps a purpose from being charged, if there is one.
    pub fn paused(&self, purpose: Purpose, now: Timestamp) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.purpose == purpose && now < gate.until)
    }

    /// With one more descent; the same kind of mover's for the same reach is replaced, what has
    /// ended is dropped. A policy's move to the top leaves nothing behind.
    #[must_use]
    pub fn descend(&self, new: Descent, now: Timestamp) -> Ladder {
        let mut next = self.lift(&new.reach, new.is_of_policy(), now);
        if new.level > Level::Normal || !new.is_of_policy() {
            next.descents.push(new);
        }
        next
    }

    /// Without the policy's descent for a reach, or without people's.
    #[must_use]
    pub fn lift(&self, reach: &Reach, policy: bool, now: Timestamp) -> Ladder {
        let mut next = self.swept(now);
        next.descents.retain(|d| !(d.reach == *reach && d.is_of_policy() == policy));
        next
    }

    /// With a feature paused; an earlier pause of it is replaced.
    #[must_use]
    pub fn pause(&self, new: Gate, now: Timestamp) -> Ladder {
        let mut next = self.resume(new.purpose, now);
        next.gates.push(new);
        next
    }

    /// With a feature charged again. The same twice is the same as once.
    #[must_use]
    pub fn resume(&self, purpose: Purpose, now: Timestamp) -> Ladder {
        let mut next = self.swept(now);
        next.gates.retain(|gate| gate.purpose != purpose);
        next
    }

    fn swept(&self, now: Timestamp) -> Ladder {
        let mut next = self.clone();
        next.descents.retain(|d| d.is_in_force(now));
        next.gates.retain(|gate| now < gate.until);
        next
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn descent(reach: Reach, level: Level, mover: Mover) -> Descent {
        let until = NOW + Duration::from_secs(60);
        Descent { reach, level, mover, reason: "outage".into(), since: NOW, until }
    }

    fn person() -> Mover {
        Mover::Operator("li".into())
    }

    fn by(method: Method) -> Passage<'static> {
        Passage { method, channel: None, purpose: Purpose::Checkout }
    }

    #[test]
    fn the_deepest_level_that_covers_a_payment_counts() {
        let alipay = Reach::Method(Method::Alipay);
        let ladder = Ladder::default()
            .descend(descent(Reach::All, Level::Rerouted, Mover::Policy), NOW)
            .descend(descent(alipay, Level::Transfer, Mover::Policy), NOW);
        let level = |method| ladder.level(&by(method), NOW).0;
        assert_eq!(level(Method::Alipay), Level::Transfer);
        assert_eq!(level(Method::Card), Level::Rerouted);
    }

    #[test]
    fn a_persons_word_counts_instead_of_the_policys_in_both_directions() {
        for (policy, person_s) in [(Level::Held, Level::Normal), (Level::Rerouted, Level::Held)] {
            let ladder = Ladder::default()
                .descend(descent(Reach::All, policy, Mover::Policy), NOW)
                .descend(descent(Reach::All, person_s, person()), NOW);
            assert_eq!(ladder.level(&by(Method::Card), NOW).0, person_s);
            let lifted = ladder.lift(&Reach::All, false, NOW);
            assert_eq!(lifted.level(&by(Method::Card), NOW).0, policy);
        }
    }

    #[test]
    fn everything_ends_by_itself() {
        let ladder =
            Ladder::default().descend(descent(Reach::All, Level::Held, person()), NOW).pause(
                Gate {
                    purpose: Purpose::Renewal,
                    by: "li".into(),
                    reason: "double charges feared".into(),
                    since: NOW,
                    until: NOW + Duration::from_secs(60),
                },
                NOW,
            );
        assert!(ladder.paused(Purpose::Renewal, NOW).is_some());
        assert!(ladder.paused(Purpose::TopUp, NOW).is_none());
        let later = NOW + Duration::from_secs(60);
        assert_eq!(ladder.level(&by(Method::Card), later), (Level::Normal, None));
        assert!(ladder.paused(Purpose::Renewal, later).is_none());
        assert!(ladder.resume(Purpose::TopUp, later).is_empty());
    }

    #[test]
    fn the_policys_way_back_to_the_top_leaves_nothing() {
        let ladder = Ladder::default()
            .descend(descent(Reach::All, Level::Held, Mover::Policy), NOW)
            .descend(descent(Reach::All, Level::Normal, Mover::Policy), NOW);
        assert!(ladder.is_empty());
    }

    #[test]
    fn people_bar_ways_and_the_policy_bars_none() {
        let alipay = Reach::Method(Method::Alipay);
        let bars = |reach: &Reach, level, mover, method| {
            let ladder = Ladder::default().descend(descent(reach.clone(), level, mover), NOW);
            ladder.bars(&by(method), NOW).is_some()
        };
        assert!(bars(&alipay, Level::OtherMethod, person(), Method::Alipay));
        assert!(!bars(&alipay, Level::Rerouted, person(), Method::Alipay));
        assert!(!bars(&alipay, Level::OtherMethod, person(), Method::Card));
        assert!(!bars(&alipay, Level::Assisted, Mover::Policy, Method::Alipay));
        assert!(bars(&Reach::All, Level::Transfer, person(), Method::Card));
        assert!(!bars(&Reach::All, Level::Transfer, person(), Method::BankTransfer));
        assert!(bars(&Reach::All, Level::Held, person(), Method::BankTransfer));
        let renewals = Reach::Purpose(Purpose::Renewal);
        assert!(!bars(&renewals, Level::Held, person(), Method::Card), "a checkout");
    }

    #[test]
    fn scopes_read_back() {
        for text in ["all", "method:card", "channel:alipay-main", "purpose:donation"] {
            let reach: Reach = text.parse().unwrap();
            assert_eq!(reach.to_string(), text.replace(':', " "));
        }
        assert!("method:gold".parse::<Reach>().is_err() && "everyone".parse::<Reach>().is_err());
    }

    #[test]
    fn names_and_numbers_read_back() {
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
            assert_eq!(level.number().to_string().parse(), Ok(level));
        }
        assert!("6".parse::<Level>().is_err());
    }
}
