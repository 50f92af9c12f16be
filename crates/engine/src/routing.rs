//! From a payment and the state of the world to the next channel.

use std::sync::PoisonError;

use domain::{Choice, Considered, Flow, Method, Payment, Timestamp};
use resilience::{Candidate, CellKey, Plan, Sent};

use crate::{Channel, Engine, Options};

/// The channel to try next, and why.
pub(crate) struct Route {
    pub(crate) channel: Channel,
    pub(crate) method: Method,
    pub(crate) choice: Choice,
}

/// What routing says.
pub(crate) enum Next {
    /// Try this.
    Route(Box<Route>),
    /// This would be next, but the fleet's retries are spent.
    Spent(Candidate),
    /// No channel is left.
    Nothing,
}

impl Engine {
    /// The best channel that was not tried by `since`, the ordinal of the first attempt of the
    /// present request. `only` narrows it to one method. A further attempt of the same request
    /// costs one of the fleet's retries.
    pub(crate) fn route(
        &self,
        payment: &Payment,
        since: u16,
        only: Option<Method>,
        now: Timestamp,
    ) -> Next {
        if let Some(channel) = &payment.terms.pinned {
            return self.pinned(payment, channel, only, now);
        }
        let options = self.options.load();
        let candidates = candidates(payment, &options, only);
        let tried: Vec<Candidate> = payment
            .attempts
            .iter()
            .filter(|a| a.ordinal >= since)
            .map(|a| Candidate { channel: a.channel.clone(), method: a.method })
            .collect();
        let dice = self.parts.entropy.dice();
        let controls = self.controls.load();
        let issuer = self.issuer_of(payment);
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = resilience::plan(&candidates, &tried, &mut board, &controls, issuer, dice, now);
        let Some(best) = plan.order.first().cloned() else { return Next::Nothing };
        if tried.is_empty() {
            board.first_attempt();
        } else if !board.may_retry() {
            metrics::counter!("evergate_retries_refused_total").increment(1);
            return Next::Spent(best);
        }
        let key = CellKey { channel: best.channel.clone(), method: best.method };
        let lane = board.lane(&key, now);
        // The plan has used this number up; what jitters the next probe is another one.
        board.given(Sent { lane, issuer, at: now }, (dice * 7_919.0).fract());
        drop(board);
        let Some(channel) = options.channel(&best.channel).cloned() else { return Next::Nothing };
        let choice = explain(payment, &plan, since);
        Next::Route(Box::new(Route { channel, method: best.method, choice }))
    }
}

/// The channels that can take the payment at all, in the merchant's order.
fn candidates(payment: &Payment, options: &Options, only: Option<Method>) -> Vec<Candidate> {
    let methods = payment.terms.methods.iter().filter(|m| only.is_none_or(|o| o == **m));
    methods
        .flat_map(|&method| {
            let flow: Flow = payment.terms.flow(method);
            options
                .channels
                .iter()
                .filter(move |c| c.capabilities.takes(method, flow, payment.money))
                .map(move |c| Candidate { channel: c.id.clone(), method })
        })
        .collect()
}

fn explain(payment: &Payment, plan: &Plan, since: u16) -> Choice {
    let failed = payment.attempts.iter().rev().find(|a| a.ordinal >= since);
    let reason = match (failed, plan.excluded.first()) {
        (Some(attempt), _) => format!("failover from {}", attempt.channel),
        (None, Some(first)) => format!("{} is {}", first.candidate.channel, first.why),
        (None, None) => "preferred".to_owned(),
    };
    let excluded = plan.excluded.iter().map(|e| Considered {
        channel: e.candidate.channel.clone(),
        method: e.candidate.method,
        why: e.why.clone(),
    });
    Choice { reason, excluded: excluded.collect() }
}
