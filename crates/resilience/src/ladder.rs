//! Where the policy would have the degradation ladder, from what is in service.
//!
//! It goes down when something has been out for a little while, and comes back up by itself
//! when nothing has been out for a longer one. Between the two it stays, so that a channel that
//! flaps does not make the checkout flap: a scope that has gone down stays there for `up_after`
//! at least, and goes further down at once if things get worse.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use domain::{ChannelId, Level, Method, Reach, Timestamp};
use serde::{Deserialize, Serialize};

/// When the policy moves, and how far it may go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LadderSettings {
    /// Whether health moves the ladder at all.
    pub automatic: bool,
    /// How long things must be out before it goes down, in milliseconds.
    pub down_after_ms: u64,
    /// How long things must be in service before it comes up, in milliseconds.
    pub up_after_ms: u64,
    /// The lowest rung that the policy goes to by itself.
    pub lowest: Level,
}

impl Default for LadderSettings {
    fn default() -> Self {
        LadderSettings {
            automatic: true,
            down_after_ms: 1_000,
            up_after_ms: 60_000,
            lowest: Level::Assisted,
        }
    }
}

/// A channel and method as the ladder sees it; they come in the merchant's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneSight {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
    /// Whether a payment would be tried on it now.
    pub in_service: bool,
}

/// A move of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// For whom.
    pub reach: Reach,
    /// From where.
    pub from: Level,
    /// To where.
    pub to: Level,
    /// Why, in a few words.
    pub why: String,
}

/// The policy's memory: what each scope wanted lately, and where it stands.
#[derive(Clone, Debug, Default)]
pub struct LadderPolicy {
    rungs: BTreeMap<Reach, Rung>,
}

#[derive(Clone, Debug, Default)]
struct Rung {
    level: Level,
    /// What was wanted, and since when: changes only, oldest first.
    wanted: VecDeque<(Timestamp, Level)>,
}

impl LadderPolicy {
    /// A memory of levels that were in force before a restart, so that it goes on from there.
    pub fn resume(levels: impl IntoIterator<Item = (Reach, Level)>) -> LadderPolicy {
        let rung = |level| Rung { level, wanted: VecDeque::new() };
        LadderPolicy { rungs: levels.into_iter().map(|(r, level)| (r, rung(level))).collect() }
    }

    /// Where the policy has a scope.
    pub fn level(&self, reach: &Reach) -> Level {
        self.rungs.get(reach).map_or(Level::Normal, |rung| rung.level)
    }

    /// Every scope that is not at the top.
    pub fn levels(&self) -> impl Iterator<Item = (&Reach, Level)> {
        self.rungs.iter().map(|(r, rung)| (r, rung.level)).filter(|(_, l)| *l > Level::Normal)
    }

    /// Why a scope is where it is, in a few words.
    pub fn why(&self, reach: &Reach) -> String {
        why(reach, self.level(reach))
    }

    /// Looks at what is in service, and says what moves. To be called at least every second;
    /// a clock that went back only makes it wait.
    pub fn look(
        &mut self,
        lanes: &[LaneSight],
        settings: &LadderSettings,
        now: Timestamp,
    ) -> Vec<Move> {
        let wanted = if settings.automatic { wishes(lanes) } else { BTreeMap::new() };
        // A scope that is not there any more wants nothing.
        let gone: Vec<Reach> =
            self.rungs.keys().filter(|reach| !wanted.contains_key(reach)).cloned().collect();
        let gone = gone.into_iter().map(|reach| (reach, Level::Normal));
        let mut moves = Vec::new();
        for (reach, level) in wanted.into_iter().chain(gone) {
            let rung = self.rungs.entry(reach.clone()).or_default();
            let from = rung.level;
            rung.see(level.min(settings.lowest), settings, now);
            if rung.level != from {
                let (to, why) = (rung.level, why(&reach, rung.level));
                moves.push(Move { reach, from, to, why });
            }
        }
        self.rungs.retain(|_, rung| !rung.is_idle());
        moves
    }
}

impl Rung {
    fn is_idle(&self) -> bool {
        let calm = |(_, level): &(Timestamp, Level)| *level == Level::Normal;
        self.level == Level::Normal && self.wanted.iter().all(calm)
    }

    fn see(&mut self, level: Level, settings: &LadderSettings, now: Timestamp) {
        // Steps of the clock: nothing that was seen may lie in the future.
        self.wanted.iter_mut().for_each(|(at, _)| *at = (*at).min(now));
        if self.wanted.back().is_none_or(|(_, last)| *last != level) {
            self.wanted.push_back((now, level));
        }
        let up_after = Duration::from_millis(settings.up_after_ms);
        let down_after = Duration::from_millis(settings.down_after_ms);
        self.forget(up_after.max(down_after), now);
        if let Some(deep) = self.over(down_after, now, Iterator::min)
            && deep > self.level
        {
            self.level = deep;
        } else if let Some(shallow) = self.over(up_after, now, Iterator::max)
            && shallow < self.level
        {
            self.level = shallow;
        }
    }

    /// The least or greatest of what was wanted throughout the last `span`; `None` while less
    /// than that is known.
    #[expect(clippy::needless_lifetimes, reason = "without a name it is any lifetime's iterator")]
    fn over<'r>(
        &'r self,
        span: Duration,
        now: Timestamp,
        pick: impl Fn(Box<dyn Iterator<Item = Level> + 'r>) -> Option<Level>,
    ) -> Option<Level> {
        let from = now - span;
        let at_start = self.wanted.iter().rposition(|(at, _)| *at <= from)?;
        pick(Box::new(self.wanted.iter().skip(at_start).map(|(_, level)| *level)))
    }

    /// Keeps what lies within `span`, and the last one before it.
    fn forget(&mut self, span: Duration, now: Timestamp) {
        let from = now - span;
        while self.wanted.get(1).is_some_and(|(at, _)| *at <= from) {
            self.wanted.pop_front();
        }
    }
}

/// What each scope would have, were nothing to be waited for.
fn wishes(lanes: &[LaneSight]) -> BTreeMap<Reach, Level> {
    let is_online = |lane: &&LaneSight| lane.method != Method::BankTransfer;
    let works = |lane: &&LaneSight| lane.in_service;
    let online: Vec<&LaneSight> = lanes.iter().filter(is_online).collect();
    let transfer = lanes.iter().any(|lane| lane.method == Method::BankTransfer && lane.in_service);
    let any_online = online.iter().copied().any(|lane| lane.in_service);
    let none = match (any_online, transfer) {
        (true, _) => Level::OtherMethod,
        (false, true) => Level::Transfer,
        // Whoever ranks high may ask for help as soon as everybody else has to wait.
        (false, false) => Level::Assisted,
    };
    let mut wishes = BTreeMap::new();
    for method in online.iter().map(|lane| lane.method) {
        let mut of_method = online.iter().copied().filter(|lane| lane.method == method);
        let first = of_method.clone().next().is_some_and(|lane| lane.in_service);
        let level = match (first, of_method.any(|lane| lane.in_service)) {
            (true, _) => Level::Normal,
            (false, true) => Level::Rerouted,
            (false, false) => none,
        };
        wishes.insert(Reach::Method(method), level);
    }
    for lane in &online {
        let channel = || Reach::Channel(lane.channel.clone());
        let out = !online.iter().filter(|l| l.channel == lane.channel).copied().any(|l| works(&l));
        let level = if out { Level::Rerouted } else { Level::Normal };
        wishes.insert(channel(), level);
    }
    if !online.is_empty() {
        let level = if any_online { Level::Normal } else { none };
        wishes.insert(Reach::All, level);
    }
    wishes
}

fn why(reach: &Reach, level: Level) -> String {
    let what = match level {
        Level::Normal => return format!("{reach}: in service again"),
        Level::Rerouted => "another channel carries it",
        Level::OtherMethod => "no channel of it is in service, another method is",
        Level::Transfer => "nothing online is in service, a transfer is possible",
        Level::Held | Level::Assisted => "nothing is in service",
    };
    format!("{reach}: {what}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + ms * 1_000)
    }

    fn lane(channel: &str, method: Method, in_service: bool) -> LaneSight {
        LaneSight { channel: ChannelId::new(channel).unwrap(), method, in_service }
    }

    /// Two channels of Alipay, one of WeChat Pay, a bank.
    fn town(works: [bool; 4]) -> Vec<LaneSight> {
        vec![
            lane("alipay-a", Method::Alipay, works[0]),
            lane("alipay-b", Method::Alipay, works[1]),
            lane("wechat", Method::WechatPay, works[2]),
            lane("bank", Method::BankTransfer, works[3]),
        ]
    }

    fn settled(works: [bool; 4], reach: &Reach) -> Level {
        let (mut policy, settings) = (LadderPolicy::default(), LadderSettings::default());
        for ms in [0, 500, 1_000, 1_500] {
            policy.look(&town(works), &settings, at(ms));
        }
        policy.level(reach)
    }

    #[test]
    fn each_loss_has_its_rung() {
        let alipay = Reach::Method(Method::Alipay);
        let (y, n) = (true, false);
        assert_eq!(settled([y, y, y, y], &alipay), Level::Normal);
        assert_eq!(settled([y, n, y, y], &alipay), Level::Normal, "the preferred one works");
        assert_eq!(settled([n, y, y, y], &alipay), Level::Rerouted);
        assert_eq!(settled([n, n, y, y], &alipay), Level::OtherMethod);
        assert_eq!(settled([n, n, n, y], &alipay), Level::Transfer);
        assert_eq!(settled([n, n, n, n], &alipay), Level::Assisted);
        assert_eq!(settled([n, n, y, y], &Reach::All), Level::Normal);
        assert_eq!(settled([n, n, n, y], &Reach::All), Level::Transfer);
        assert_eq!(settled([n, n, n, n], &Reach::All), Level::Assisted);
        let channel = Reach::Channel(ChannelId::new("alipay-b").unwrap());
        assert_eq!(settled([y, n, y, y], &channel), Level::Rerouted);
    }

    #[test]
    fn it_goes_down_soon_and_comes_up_later_and_says_why() {
        let (mut policy, settings) = (LadderPolicy::default(), LadderSettings::default());
        let alipay = Reach::Method(Method::Alipay);
        let out = town([false, false, true, true]);
        let mine = |moves: Vec<Move>| moves.into_iter().find(|m| m.reach == alipay);
        assert_eq!(mine(policy.look(&out, &settings, at(0))), None);
        assert_eq!(mine(policy.look(&out, &settings, at(999))), None);
        let down = mine(policy.look(&out, &settings, at(1_000))).unwrap();
        assert_eq!((down.from, down.to), (Level::Normal, Level::OtherMethod));
        assert_eq!(down.why, "method alipay: no channel of it is in service, another method is");
        let back = town([true; 4]);
        assert_eq!(mine(policy.look(&back, &settings, at(2_000))), None);
        assert_eq!(mine(policy.look(&back, &settings, at(61_999))), None);
        let up = mine(policy.look(&back, &settings, at(62_000))).unwrap();
        assert_eq!((up.from, up.to), (Level::OtherMethod, Level::Normal));
        assert!(policy.rungs.is_empty());
    }

    #[test]
    fn after_a_restart_it_comes_up_from_where_it_was() {
        let mut policy = LadderPolicy::resume([(Reach::All, Level::Held)]);
        let settings = LadderSettings::default();
        assert_eq!(policy.look(&town([true; 4]), &settings, at(0)), []);
        let moves = policy.look(&town([true; 4]), &settings, at(60_000));
        assert_eq!((moves[0].from, moves[0].to), (Level::Held, Level::Normal));
    }

    #[test]
    fn it_goes_no_lower_than_it_may_and_nowhere_when_it_may_not() {
        let settings = LadderSettings { lowest: Level::Transfer, ..Default::default() };
        let off = LadderSettings { automatic: false, ..Default::default() };
        for (settings, deepest) in [(settings, Level::Transfer), (off, Level::Normal)] {
            let mut policy = LadderPolicy::default();
            for ms in [0, 1_000, 2_000] {
                policy.look(&town([false; 4]), &settings, at(ms));
            }
            assert_eq!(policy.level(&Reach::All), deepest);
        }
    }

    proptest! {
        /// However channels flap: a scope that has gone down stays there for `up_after` at least.
        #[test]
        fn flapping_is_bounded(
            steps in prop::collection::vec((any::<[bool; 4]>(), 0_i64..5_000), 1..200)
        ) {
            let settings = LadderSettings { up_after_ms: 20_000, ..Default::default() };
            let (mut policy, mut ms) = (LadderPolicy::default(), 0);
            let mut down_at: BTreeMap<Reach, i64> = BTreeMap::new();
            for (works, wait) in steps {
                ms += wait;
                for step in policy.look(&town(works), &settings, at(ms)) {
                    if step.to > step.from {
                        down_at.insert(step.reach, ms);
                    } else if let Some(down) = down_at.get(&step.reach) {
                        prop_assert!(ms - down >= 20_000, "{step:?} after {} ms", ms - down);
                    }
                }
            }
        }

        /// However channels flap and the clock steps: it always comes back, and forgets.
        #[test]
        fn it_always_comes_back(
            steps in prop::collection::vec((any::<[bool; 4]>(), -9_000_i64..9_000), 1..100)
        ) {
            let settings = LadderSettings::default();
            let (mut policy, mut ms) = (LadderPolicy::default(), 0);
            for (works, wait) in steps {
                ms += wait;
                policy.look(&town(works), &settings, at(ms));
            }
            for wait in [0, 60_000] {
                policy.look(&town([true; 4]), &settings, at(ms + wait));
            }
            prop_assert!(policy.rungs.is_empty(), "{policy:?}");
        }
    }
}
