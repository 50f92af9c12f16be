//! The order in which channels are tried.
//!
//! The customer's preferred method comes first, and within a method the channel that the
//! merchant ranked first. Same-method failover is silent; another method is offered only
//! because the merchant listed it. What is left out is returned with its reason, so that every
//! attempt can say why it went where it went.

use domain::{ChannelId, Controls, Method, Timestamp};

use crate::{Board, CellKey, HealthState};

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
    /// Left out.
    pub excluded: Vec<Excluded>,
}

/// Orders candidates. They come in the merchant's order: by method preference, then by the
/// channel's rank. `tried` were tried for this payment before. `dice` is a fresh number in
/// `[0, 1)`, for ramps.
///
/// When every untried candidate is unwell, they are tried all the same in their order: a
/// refusal for certain would lose the payment for certain (fail open).
pub fn plan(
    candidates: &[Candidate],
    tried: &[Candidate],
    board: &Board,
    controls: &Controls,
    dice: f64,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let mut unwell = Vec::new();
    for candidate in candidates {
        let why = if tried.contains(candidate) {
            Some("already tried for this payment".to_owned())
        } else if let Some(o) = controls.disabled(&candidate.channel, candidate.method, now) {
            Some(format!("disabled by {}: {}", o.by, o.reason))
        } else if let Some(state) = refused_by_health(candidate, board, dice, now) {
            unwell.push(candidate.clone());
            Some(state.name().to_owned())
        } else {
            None
        };
        match why {
            None => plan.order.push(candidate.clone()),
            Some(why) => plan.excluded.push(Excluded { candidate: candidate.clone(), why }),
        }
    }
    if plan.order.is_empty() {
        plan.order = unwell;
    }
    plan
}

fn refused_by_health(
    candidate: &Candidate,
    board: &Board,
    dice: f64,
    now: Timestamp,
) -> Option<HealthState> {
    let key = CellKey { channel: candidate.channel.clone(), method: candidate.method };
    let cell = board.cell(&key)?;
    let out = match cell.state {
        HealthState::Ramping { share, .. } => dice * 100.0 >= f64::from(share),
        state => state.is_out() && !cell.probe_due(now),
    };
    out.then_some(cell.state)
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

    #[test]
    fn a_down_channel_is_left_out_and_said_so() {
        let now = Timestamp::from_secs(10);
        let both = [candidate("alipay", Method::Alipay), candidate("stripe", Method::Alipay)];
        let mut board = Board::new(Settings::default());
        fell(&mut board, &both[0], now);
        let plan = plan(&both, &[], &board, &Controls::default(), 0.5, now);
        assert_eq!(plan.order, both[1..]);
        assert_eq!(plan.excluded[0].why, "down");
    }

    #[test]
    fn when_all_are_down_they_are_tried_in_their_order_but_never_twice() {
        let now = Timestamp::from_secs(10);
        let both = [candidate("alipay", Method::Alipay), candidate("stripe", Method::Alipay)];
        let mut board = Board::new(Settings::default());
        both.iter().for_each(|c| fell(&mut board, c, now));
        let none = Controls::default();
        assert_eq!(plan(&both, &[], &board, &none, 0.5, now).order, both);
        assert_eq!(plan(&both, &both[..1], &board, &none, 0.5, now).order, both[1..]);
        assert!(plan(&both, &both, &board, &none, 0.5, now).order.is_empty());
    }
}
