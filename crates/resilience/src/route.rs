//! The order in which channels are tried.
//!
//! The customer's preferred method comes first. Within a method an operator's word comes first,
//! then the merchant's rules, then what the board expects of each lane, its price and its
//! latency; where nothing tells lanes apart, the channel that the merchant ranked first.
//! Same-method failover is silent; another method is offered only because the merchant listed
//! it. What is left out is returned with its reason, so that every attempt can say why it went
//! where it went.

use std::borrow::Cow;

use domain::{ChannelId, Controls, Method, Timestamp};

use crate::issuers::OnLane;
use crate::{Board, CellKey, Decision, HealthState, Issuer, Lane, Request, Standing, Why};

/// A channel and method that could take the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
}

/// A candidate, why it is where it is, and what was known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// The candidate.
    pub candidate: Candidate,
    /// Why it is where it is, in a few words.
    pub why: Cow<'static, str>,
    /// Why it is out, if it is.
    pub out: Option<Out>,
    /// Its health; `None` when it did not matter any more.
    pub state: Option<HealthState>,
    /// Expected success, in (0, 1).
    pub success: Option<f64>,
    /// What the payment would cost on it, in minor units, where the price is known.
    pub fee_minor: Option<i64>,
}

/// Why a candidate is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Out {
    /// It was tried for this payment before.
    Tried,
    /// An operator disabled it.
    Disabled,
    /// A rule does not allow it.
    Ruled,
    /// It is down, or has no room.
    Unwell,
}

/// The order to try, and what was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Best first.
    pub order: Vec<Weighed>,
    /// Left out.
    pub excluded: Vec<Weighed>,
    /// Why the first of the order, by health; `None` when there is nothing to try.
    pub why: Option<Why>,
}

/// The payment, as far as its way is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The customer's issuer, where known.
    pub issuer: Option<Issuer>,
    /// What the payment would cost on each candidate, in minor units, in their order; what is
    /// missing has no known price. Empty: the merchant's order stands for prices.
    pub fees: &'a [Option<i64>],
    /// Where the rules put each candidate, in their order; what is missing stands plainly.
    pub standings: &'a [Standing<'a>],
    /// Whether it may be spent on a probe.
    pub spare: bool,
    /// A fresh number in `[0, 1)`, for ramps, probes and exploration.
    pub dice: f64,
    /// When.
    pub now: Timestamp,
}

/// A candidate that may be tried.
struct Open<'a> {
    candidate: &'a Candidate,
    lane: Lane,
    fee: Option<i64>,
    place: Place<'a>,
}

/// Where a candidate stands before its health is looked at; smaller is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    /// An operator put it first; the newest word counts most.
    First(usize, &'a str),
    Ruled(Standing<'a>),
}

impl Place<'_> {
    /// Candidates of one step are chosen among by their health.
    fn same_step(&self, other: &Self) -> bool {
        match (self, other) {
            (Place::Ruled(a), Place::Ruled(b)) => a.same_step(b),
            (Place::First(a, _), Place::First(b, _)) => a == b,
            _ => false,
        }
    }

    /// Whether price and latency may change the order here.
    fn is_open(&self) -> bool {
        matches!(self, Place::Ruled(Standing::Plain | Standing::Avoided(_)))
    }

    fn told(&self) -> Cow<'static, str> {
        match self {
            Place::First(_, by) => format!("preferred by {by}").into(),
            Place::Ruled(Standing::Preferred { rule, .. }) => {
                format!("put first by rule {rule}").into()
            }
            Place::Ruled(Standing::Avoided(rule)) => format!("put last by rule {rule}").into(),
            Place::Ruled(_) => Cow::Borrowed("in service"),
        }
    }
}

/// Orders candidates. They come in the merchant's order: by method preference, then by the
/// channel's rank. `tried` were tried for this payment before.
///
/// The choice is among the lanes of the first method that has one in service: another method
/// is never imposed while the preferred one works. It does not work for a customer whose bank
/// is away on every lane of it, as announced or as learned: the next method is asked then. What an operator or a rule puts first is
/// taken while it is sound; while it ails, ramps or is down, what comes next is weighed beside
/// it, so that health decides. An operator's preference counts even against a rule; a disabled
/// channel is out whatever anybody prefers. What is beyond a lane's headroom is not tried.
///
/// When every candidate is unwell, one is tried all the same, the one that is to be probed
/// first: a refusal for certain would lose the payment for certain (fail open). Only one: when
/// everything fails the cause is common, and trying on would multiply the load by the number of
/// channels just when there is least to spare. What a rule does not allow is not tried even
/// then.
pub fn plan(
    candidates: &[Candidate],
    tried: &[Candidate],
    board: &mut Board,
    controls: &Controls,
    occasion: &Occasion<'_>,
) -> Plan {
    let now = occasion.now;
    let mut plan = Plan::default();
    let mut open: Vec<Open<'_>> = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let fee = occasion.fees.get(index).copied().flatten();
        let standing = occasion.standings.get(index).copied().unwrap_or(Standing::Plain);
        match place(candidate, standing, tried, controls, now) {
            Ok(place) => {
                let key = CellKey { channel: candidate.channel.clone(), method: candidate.method };
                open.push(Open { candidate, lane: board.lane(&key, now), fee, place });
            }
            Err((out, why)) => plan.excluded.push(Weighed {
                candidate: candidate.clone(),
                why,
                out: Some(out),
                state: None,
                success: None,
                fee_minor: fee,
            }),
        }
    }
    for group in open.chunk_by_mut(|a, b| a.candidate.method == b.candidate.method) {
        group.sort_by_key(|open| open.place);
    }
    let best = best_method(&open, board, occasion);
    plan.why = best.map(|decision| decision.why);
    arrange(&mut plan, &open, best, board, now);
    if plan.order.is_empty() && tried.is_empty() {
        let best = fail_open(&open, board, now);
        plan.why = best.map(|_| Why::FailOpen);
        plan.order.extend(best.map(|best| Weighed {
            why: Cow::Borrowed("all are out: one is tried all the same"),
            ..weighed(best, board)
        }));
    }
    plan
}

/// The same for a payment that there is not: no probe is spent, and the board is afterwards as
/// it was before.
pub fn plan_quietly(
    candidates: &[Candidate],
    board: &mut Board,
    controls: &Controls,
    occasion: &Occasion<'_>,
) -> Plan {
    let leaders = board.leaders.clone();
    let lane = |board: &mut Board, candidate: &Candidate| {
        let key = CellKey { channel: candidate.channel.clone(), method: candidate.method };
        let lane = board.lane(&key, occasion.now);
        (lane, board.at(lane).carried)
    };
    let carried: Vec<(Lane, bool)> = candidates.iter().map(|c| lane(board, c)).collect();
    let occasion = Occasion { spare: false, ..*occasion };
    let plan = plan(candidates, &[], board, controls, &occasion);
    board.leaders = leaders;
    for (lane, carried) in carried {
        board.lanes[usize::from(lane.0)].cell.carried = carried;
    }
    plan
}

/// Where a candidate stands, or why it is out.
fn place<'a>(
    candidate: &Candidate,
    standing: Standing<'a>,
    tried: &[Candidate],
    controls: &'a Controls,
    now: Timestamp,
) -> Result<Place<'a>, (Out, Cow<'static, str>)> {
    let Candidate { channel, method } = candidate;
    if tried.contains(candidate) {
        return Err((Out::Tried, "already tried for this payment".into()));
    }
    if let Some(o) = controls.disabled(channel, *method, now) {
        return Err((Out::Disabled, format!("disabled by {}: {}", o.by, o.reason).into()));
    }
    match (controls.preferred(channel, *method, now), standing) {
        (Some((place, by)), _) => Ok(Place::First(place, &by.by)),
        (None, Standing::Out(rule)) => {
            Err((Out::Ruled, format!("not allowed by rule {rule}").into()))
        }
        (None, standing) => Ok(Place::Ruled(standing)),
    }
}

/// The choice of the first method that has one for this customer's bank; of the first that has
/// any, where none has.
fn best_method(open: &[Open<'_>], board: &mut Board, occasion: &Occasion<'_>) -> Option<Decision> {
    let mut stopgap = None;
    for group in open.chunk_by(|a, b| a.candidate.method == b.candidate.method) {
        let Some(decision) = best_of(group, board, occasion) else { continue };
        if !board.shuns(decision.lane, occasion) {
            let why = if stopgap.is_some() { Why::Issuer } else { decision.why };
            return Some(Decision { why, ..decision });
        }
        stopgap = stopgap.or(Some(decision));
    }
    stopgap
}

/// The choice among candidates of one method, unless all are out and none is due for a probe.
fn best_of(group: &[Open<'_>], board: &mut Board, occasion: &Occasion<'_>) -> Option<Decision> {
    let Occasion { issuer, dice, now, spare, .. } = *occasion;
    let mut lanes: Vec<Lane> = Vec::with_capacity(group.len());
    let mut fees: Vec<Option<i64>> = Vec::new();
    for step in group.chunk_by(|a, b| a.place.same_step(&b.place)) {
        lanes.extend(step.iter().map(|open| open.lane));
        let is_last = lanes.len() == group.len();
        let is_sound = |open: &Open<'_>| board.is_sound(open.lane, issuer, now);
        if !is_last && !step.iter().any(is_sound) {
            continue;
        }
        // Prices are weighed among equals only, and only where some are known.
        let first = lanes.len() == step.len() && step.iter().all(|open| open.place.is_open());
        if first && step.iter().any(|open| open.fee.is_some()) {
            fees.extend(step.iter().map(|open| open.fee));
        }
        let alive = |lane: &Lane| {
            !board.at(*lane).state.is_out() || (spare && board.at(*lane).probe_due(now))
        };
        if !lanes.iter().any(alive) {
            return None;
        }
        let request = Request { candidates: &lanes, fees: &fees, issuer, spare, dice, now };
        let decision = board.choose(&request);
        if decision.is_some() || is_last {
            return decision;
        }
    }
    None
}

impl Board {
    /// Whether a lane is out for this customer's bank, and this payment is not to probe it.
    fn shuns(&self, lane: Lane, occasion: &Occasion<'_>) -> bool {
        let Some(issuer) = occasion.issuer.filter(|_| !self.issuers.all_fine()) else {
            return false;
        };
        match self.issuers.on_lane(lane, issuer, occasion.now) {
            OnLane::Fine | OnLane::Doubtful => false,
            OnLane::Out { probe_due } => !(probe_due && occasion.spare),
        }
    }

    /// Whether a lane can be taken without a look at any other.
    fn is_sound(&self, lane: Lane, issuer: Option<Issuer>, now: Timestamp) -> bool {
        let glance = self.glance(lane);
        let fine = |issuer| self.issuers.on_lane(lane, issuer, now) == OnLane::Fine;
        matches!(glance.state, HealthState::Healthy | HealthState::Suspect)
            && !glance.ails
            && self.has_room(lane, now)
            && issuer.is_none_or(|issuer| self.issuers.all_fine() || fine(issuer))
    }
}

/// The best first, then what is in service in its order; the rest is left out.
fn arrange(
    plan: &mut Plan,
    open: &[Open<'_>],
    best: Option<Decision>,
    board: &Board,
    now: Timestamp,
) {
    let best = best.map(|decision| decision.lane);
    let first = open.iter().filter(|open| Some(open.lane) == best);
    let rest = open.iter().filter(|open| Some(open.lane) != best);
    for each in first.chain(rest) {
        let state = board.at(each.lane).state;
        let chosen = Some(each.lane) == best;
        let has_room = board.has_room(each.lane, now);
        if has_room && (chosen || !state.is_out()) {
            plan.order.push(weighed(each, board));
        } else {
            let why = if has_room { state.name() } else { "at its limit" };
            let out = Some(Out::Unwell);
            plan.excluded.push(Weighed { why: Cow::Borrowed(why), out, ..weighed(each, board) });
        }
    }
}

fn weighed(open: &Open<'_>, board: &Board) -> Weighed {
    let glance = board.glance(open.lane);
    Weighed {
        candidate: open.candidate.clone(),
        why: open.place.told(),
        out: None,
        state: Some(glance.state),
        success: Some(glance.expected.mean),
        fee_minor: open.fee,
    }
}

/// The one that is to be probed first, of those that are within their headroom. A cap because
/// it is slow keeps nobody from the last channel there is.
fn fail_open<'o, 'a>(open: &'o [Open<'a>], board: &Board, now: Timestamp) -> Option<&'o Open<'a>> {
    let fits = open.iter().filter(|open| board.within_headroom(open.lane, now));
    fits.min_by_key(|open| board.at(open.lane).next_probe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Observation, Settings};

    fn candidate(channel: &str, method: Method) -> Candidate {
        Candidate { channel: ChannelId::new(channel).unwrap(), method }
    }

    fn fell(board: &mut Board, candidate: &Candidate, now: Timestamp) {
        let key = CellKey { channel: candidate.channel.clone(), method: candidate.method };
        (0..5).for_each(|_| board.record(&key, Observation::Bad, now));
    }

    fn occasion(now: Timestamp) -> Occasion<'static> {
        Occasion { issuer: None, fees: &[], standings: &[], spare: true, dice: 0.5, now }
    }

    fn planned(both: &[Candidate], tried: &[Candidate], board: &mut Board, now: Timestamp) -> Plan {
        plan(both, tried, board, &Controls::default(), &occasion(now))
    }

    fn ordered(plan: &Plan) -> Vec<&str> {
        plan.order.iter().map(|w| w.candidate.channel.as_str()).collect()
    }

    #[test]
    fn a_down_channel_is_left_out_and_said_so() {
        let now = Timestamp::from_secs(10);
        let both = [candidate("alipay", Method::Alipay), candidate("stripe", Method::Alipay)];
        let mut board = Board::new(Settings::default());
        fell(&mut board, &both[0], now);
        let plan = planned(&both, &[], &mut board, now);
        assert_eq!(ordered(&plan), ["stripe"]);
        assert_eq!(plan.excluded[0].why, "down");
    }

    #[test]
    fn when_all_are_down_the_one_to_be_probed_first_is_tried_and_nothing_after_it() {
        let now = Timestamp::from_secs(10);
        let both = [candidate("alipay", Method::Alipay), candidate("stripe", Method::Alipay)];
        let mut board = Board::new(Settings::default());
        fell(&mut board, &both[1], now);
        fell(&mut board, &both[0], now + std::time::Duration::from_secs(1));
        let now = now + std::time::Duration::from_secs(2);
        assert_eq!(ordered(&planned(&both, &[], &mut board, now)), ["stripe"]);
        assert!(planned(&both, &both[1..], &mut board, now).order.is_empty());
    }

    #[test]
    fn a_channel_that_just_failed_is_followed_by_one_that_is_well() {
        let now = Timestamp::from_secs(10);
        let both = [candidate("alipay", Method::Alipay), candidate("stripe", Method::Alipay)];
        let mut board = Board::new(Settings::default());
        assert_eq!(ordered(&planned(&both, &both[..1], &mut board, now)), ["stripe"]);
    }

    const THREE: [&str; 3] = ["a", "b", "c"];

    fn three() -> Vec<Candidate> {
        THREE.map(|name| candidate(name, Method::Alipay)).to_vec()
    }

    fn put_first(step: u16, place: u16) -> Standing<'static> {
        Standing::Preferred { step, place, rule: "r" }
    }

    fn by_hand(channel: &str, now: Timestamp) -> domain::Override {
        domain::Override {
            channel: ChannelId::new(channel).unwrap(),
            method: None,
            by: "li".into(),
            reason: "contract".into(),
            since: now,
            until: None,
        }
    }

    #[test]
    fn an_operators_word_comes_before_rules_and_rules_before_the_merchants_order() {
        let now = Timestamp::from_secs(10);
        let mut board = Board::new(Settings::default());
        let standings = [Standing::Avoided("night"), Standing::Out("law"), put_first(0, 0)];
        let asked = Occasion { standings: &standings, ..occasion(now) };
        let plan =
            |board: &mut Board, controls: &Controls| plan(&three(), &[], board, controls, &asked);
        let ruled = plan(&mut board, &Controls::default());
        assert_eq!(ordered(&ruled), ["c", "a"]);
        assert_eq!(ruled.excluded[0].why, "not allowed by rule law");
        let preferred = Controls::default().prefer(by_hand("b", now), now);
        assert_eq!(ordered(&plan(&mut board, &preferred)), ["b", "c", "a"]);
        let disabled = preferred.disable(by_hand("b", now), now);
        assert_eq!(ordered(&plan(&mut board, &disabled)), ["c", "a"], "disabled is disabled");
    }

    #[test]
    fn health_decides_among_what_rules_allow() {
        let now = Timestamp::from_secs(10);
        let mut board = Board::new(Settings::default());
        let standings = [Standing::Plain, put_first(0, 0), put_first(1, 0)];
        let asked = Occasion { standings: &standings, ..occasion(now) };
        let none = Controls::default();
        fell(&mut board, &three()[1], now);
        let found = plan(&three(), &[], &mut board, &none, &asked);
        assert_eq!(ordered(&found), ["c", "a"]);
        assert_eq!(found.excluded[0].why, "down");
    }

    #[test]
    fn a_rule_fails_open_within_itself_only() {
        let now = Timestamp::from_secs(10);
        let mut board = Board::new(Settings::default());
        let standings = [Standing::Out("law"), Standing::Plain, Standing::Out("law")];
        let asked = Occasion { standings: &standings, ..occasion(now) };
        fell(&mut board, &three()[1], now);
        let found = plan(&three(), &[], &mut board, &Controls::default(), &asked);
        assert_eq!(ordered(&found), ["b"], "it is down, and the only one that the rule allows");
        assert_eq!(found.why, Some(Why::FailOpen));
        assert_eq!(found.order[0].state.map(HealthState::name), Some("down"));
        let out = [Standing::Out("law"); 3];
        let asked = Occasion { standings: &out, ..occasion(now) };
        assert!(plan(&three(), &[], &mut board, &Controls::default(), &asked).order.is_empty());
    }

    #[test]
    fn a_bank_that_is_away_on_all_lanes_of_a_method_is_sent_to_the_next_method() {
        let now = Timestamp::from_secs(10);
        let mut board = Board::new(Settings::default());
        let both = [candidate("unionpay", Method::UnionPay), candidate("alipay", Method::Alipay)];
        let key = CellKey { channel: both[0].channel.clone(), method: both[0].method };
        let lane = board.lane(&key, now);
        let (icbc, later) = (Issuer::of("ICBC"), now + std::time::Duration::from_secs(60));
        board.announce_issuer_absences(vec![(lane, icbc, now, later)]);
        let of = |bank, board: &mut Board, many: &[Candidate]| {
            let asked = Occasion { issuer: Some(Issuer::of(bank)), ..occasion(now) };
            plan(many, &[], board, &Controls::default(), &asked)
        };
        let theirs = of("ICBC", &mut board, &both);
        assert_eq!((ordered(&theirs), theirs.why), (vec!["alipay", "unionpay"], Some(Why::Issuer)));
        assert_eq!(ordered(&of("CCB", &mut board, &both)), ["unionpay", "alipay"]);
        let only = of("ICBC", &mut board, &both[..1]);
        assert_eq!(ordered(&only), ["unionpay"], "a refusal for certain would lose it for certain");
    }

    #[test]
    fn asking_changes_nothing() {
        let now = Timestamp::from_secs(10);
        let mut board = Board::new(Settings::default());
        (0..2).for_each(|n| fell(&mut board, &three()[n], now));
        let real = plan(&three(), &[], &mut board, &Controls::default(), &occasion(now));
        let later = now + std::time::Duration::from_secs(3_600);
        let before = format!("{board:?}");
        for both in [&three()[..], &three()[..2], &three()[1..]] {
            plan_quietly(both, &mut board, &Controls::default(), &occasion(later));
        }
        let after = format!("{board:?}");
        let quiet = plan_quietly(&three(), &mut board, &Controls::default(), &occasion(now));
        assert_eq!(ordered(&quiet), ordered(&real));
        assert_eq!(before, after);
    }
}
