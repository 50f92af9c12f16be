//! The order in which channels are tried.
//!
//! The customer's preferred method comes first, and within a method the channel that the
//! merchant ranked first. Same-method failover is silent; another method is offered only
//! because the merchant listed it. What is left out is returned with its reason, so that every
//! attempt can say why it went where it went.

use domain::{ChannelId, Controls, Method, Timestamp};

use crate::{Board, CellKey, Decision, Issuer, Lane, Request, Why};

/// A channel and method that could take the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
}

/// A candidate that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// The candidate.
    pub candidate: Candidate,
    /// In a few words.
    pub why: String,
}

/// The order to try, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Best first.
    pub order: Vec<Candidate>,
    /// Why the first of them comes first.
    pub why: Option<Why>,
    /// Left out.
    pub excluded: Vec<Excluded>,
}

/// Orders candidates. They come in the merchant's order: by method preference, then by the
/// channel's rank. `tried` were tried for this payment before. `dice` is a fresh number in
/// `[0, 1)`, for ramps, probes and exploration.
///
/// The choice is among the lanes of the first method that has one in service: another method
/// is never imposed while the preferred one works. What is beyond a lane's headroom is not
/// tried.
///
/// When every candidate is unwell, one is tried all the same, the one that is to be probed
/// first: a refusal for certain would lose the payment for certain (fail open). Only one: when
/// everything fails the cause is common, and trying on would multiply the load by the number of
/// channels just when there is least to spare.
pub fn plan(
    candidates: &[Candidate],
    tried: &[Candidate],
    board: &mut Board,
    controls: &Controls,
    issuer: Option<Issuer>,
    dice: f64,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let mut open = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let why = if tried.contains(candidate) {
            "already tried for this payment".to_owned()
        } else if let Some(o) = controls.disabled(&candidate.channel, candidate.method, now) {
            format!("disabled by {}: {}", o.by, o.reason)
        } else {
            let key = CellKey { channel: candidate.channel.clone(), method: candidate.method };
            open.push((candidate, board.lane(&key, now)));
            continue;
        };
        plan.excluded.push(Excluded { candidate: candidate.clone(), why });
    }
    let mut lanes: Vec<Lane> = Vec::with_capacity(open.len());
    let best = groups(&open).find_map(|group| {
        lanes.clear();
        lanes.extend(group.iter().map(|(_, lane)| *lane));
        best_of(&lanes, board, issuer, dice, now)
    });
    plan.why = best.map(|decision| decision.why);
    arrange(&mut plan, &open, best.map(|decision| decision.lane), board, now);
    if plan.order.is_empty() && tried.is_empty() {
        plan.order.extend(fail_open(&open, board, now));
        plan.why = Some(Why::FailOpen);
    }
    plan
}

/// Runs of candidates of one method.
fn groups<'a>(
    open: &'a [(&'a Candidate, Lane)],
) -> impl Iterator<Item = &'a [(&'a Candidate, Lane)]> {
    open.chunk_by(|(a, _), (b, _)| a.method == b.method)
}

/// The choice among lanes, unless all are out and none is due for a probe.
fn best_of(
    lanes: &[Lane],
    board: &mut Board,
    issuer: Option<Issuer>,
    dice: f64,
    now: Timestamp,
) -> Option<Decision> {
    let request = Request { candidates: lanes, issuer, spare: true, dice, now };
    let alive = |lane: &Lane| !board.at(*lane).state.is_out() || board.at(*lane).probe_due(now);
    if !lanes.iter().any(alive) {
        return None;
    }
    board.choose(&request)
}

/// The best first, then what is in service in the merchant's order; the rest is left out.
fn arrange(
    plan: &mut Plan,
    open: &[(&Candidate, Lane)],
    best: Option<Lane>,
    board: &Board,
    now: Timestamp,
) {
    let first = open.iter().filter(|(_, lane)| Some(*lane) == best);
    let rest = open.iter().filter(|(_, lane)| Some(*lane) != best);
    for (candidate, lane) in first.chain(rest) {
        let state = board.at(*lane).state;
        let chosen = Some(*lane) == best;
        let has_room = board.has_room(*lane, now);
        if has_room && (chosen || !state.is_out()) {
            plan.order.push((*candidate).clone());
        } else {
            let why = if has_room { state.name() } else { "at its limit" };
            plan.excluded.push(Excluded { candidate: (*candidate).clone(), why: why.to_owned() });
        }
    }
}

/// The one that is to be probed first, of those that are within their headroom. A cap because
/// it is slow keeps nobody from the last channel there is.
fn fail_open(open: &[(&Candidate, Lane)], board: &Board, now: Timestamp) -> Option<Candidate> {
    let fits = open.iter().filter(|(_, lane)| board.within_headroom(*lane, now));
    fits.min_by_key(|(_, lane)| board.at(*lane).next_probe)
        .map(|(candidate, _)| (*candidate).clone())
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

    fn planned(both: &[Candidate], tried: &[Candidate], board: &mut Board, now: Timestamp) -> Plan {
        plan(both, tried, board, &Controls::default(), None, 0.5, now)
    }

    #[test]
    fn a_down_channel_is_left_out_and_said_so() {
        let now = Timestamp::from_secs(10);
        let both = [candidate("alipay", Method::Alipay), candidate("stripe", Method::Alipay)];
        let mut board = Board::new(Settings::default());
        fell(&mut board, &both[0], now);
        let plan = planned(&both, &[], &mut board, now);
        assert_eq!(plan.order, both[1..]);
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
        assert_eq!(planned(&both, &[], &mut board, now).order, both[1..]);
        assert!(planned(&both, &both[1..], &mut board, now).order.is_empty());
    }

    #[test]
    fn a_channel_that_just_failed_is_followed_by_one_that_is_well() {
        let now = Timestamp::from_secs(10);
        let both = [candidate("alipay", Method::Alipay), candidate("stripe", Method::Alipay)];
        let mut board = Board::new(Settings::default());
        assert_eq!(planned(&both, &both[..1], &mut board, now).order, both[1..]);
    }
}
