//! From a payment and the state of the world to the next channel.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use domain::{
    ChannelId, Choice, Considered, Descent, Flow, Ladder, MerchantId, Method, Money, Passage,
    Payment, PaymentId, RuleNote, Terms, Timestamp,
};
use providers::Unfit;
use resilience::{
    Candidate, CellKey, Facts, Guide, Occasion, Out, Plan, Ruling, Sent, Standing, Weighed, Why,
};

use crate::options::{Ask, Fit};
use crate::{Channel, Engine, Options};

/// The channel to try next, and why.
pub(crate) struct Route {
    pub(crate) channel: Channel,
    pub(crate) method: Method,
    pub(crate) choice: Choice,
    /// How long the order lives.
    pub(crate) life: Duration,
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
        let (tried, current) = (self.options_of(payment.id), self.options());
        match self.route_by(&tried, payment, since, only, now) {
            // Settings that are being tried lose no payment that those in force would take.
            Next::Nothing if !Arc::ptr_eq(&tried, &current) => {
                self.route_by(&current, payment, since, only, now)
            }
            next => next,
        }
    }

    fn route_by(
        &self,
        options: &Options,
        payment: &Payment,
        since: u16,
        only: Option<Method>,
        now: Timestamp,
    ) -> Next {
        let wish = Wish::of(payment, options, now);
        let controls = self.controls.load();
        let field = Field::of(&wish, options, &controls.ladder, only);
        count(&field.notes);
        let tried: Vec<Candidate> = payment
            .attempts
            .iter()
            .filter(|a| a.ordinal >= since)
            .map(|a| Candidate { channel: a.channel.clone(), method: a.method })
            .collect();
        let dice = self.parts.entropy.dice();
        let issuer = self.issuer_of(payment);
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let occasion = Occasion { issuer, dice, ..field.occasion(now) };
        let plan = resilience::plan(&field.candidates, &tried, &mut board, &controls, &occasion);
        let Some(best) = plan.order.first() else { return Next::Nothing };
        let best = best.candidate.clone();
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
        let failed = payment.attempts.iter().rev().find(|a| a.ordinal >= since);
        let reason = match failed {
            Some(attempt) => format!("failover from {}", attempt.channel),
            None => reason(&plan),
        };
        let life = field.life(&best);
        let reason = match wish.left.checked_sub(life).filter(|cut| !cut.is_zero()) {
            Some(_) => format!("{reason}; its order ends before the payment, after {}", Span(life)),
            None => reason,
        };
        let choice = choice(reason, &plan, field);
        Next::Route(Box::new(Route { channel, method: best.method, choice, life }))
    }
}

/// A payment, or one that might be, as far as its way is concerned.
pub(crate) struct Wish<'a> {
    /// Decides where it falls in a split.
    pub(crate) id: Option<PaymentId>,
    pub(crate) merchant: Option<&'a MerchantId>,
    pub(crate) money: Money,
    pub(crate) terms: &'a Terms,
    /// How long it has still to live.
    pub(crate) left: Duration,
    /// The time that rules see.
    pub(crate) at: Timestamp,
}

impl Wish<'_> {
    fn of<'p>(payment: &'p Payment, options: &Options, at: Timestamp) -> Wish<'p> {
        let Payment { id, merchant, money, terms, .. } = payment;
        let left = payment.expires_at.since(at);
        // Its customer is here now: a code is for the present visit, the order is kept for days.
        let left = if payment.is_held() { left.min(options.default_expiry) } else { left };
        Wish { id: Some(*id), merchant: Some(merchant), money: *money, terms, left, at }
    }

    /// Who has led payments like this one away from a method of a channel.
    fn is_led_away<'l>(
        &self,
        ladder: &'l Ladder,
        channel: &ChannelId,
        method: Method,
    ) -> Option<&'l Descent> {
        let channel = Some(channel);
        ladder.bars(&Passage { method, channel, purpose: self.terms.purpose }, self.at)
    }

    fn facts<'f>(&'f self, method: Method, guide: &'f Guide) -> Facts<'f> {
        let terms = self.terms;
        Facts {
            method,
            amount_minor: self.money.minor(),
            currency: self.money.currency(),
            issuer: terms.issuer.as_deref().unwrap_or(""),
            purpose: terms.purpose,
            tier: terms.tier,
            flow: terms.flow(method),
            locale: terms.locale,
            merchant: self.merchant,
            metadata: &terms.metadata,
            now: self.at,
            zone: &guide.zone,
        }
    }
}

/// The channels that can take a payment at all, with prices and what the rules say.
#[derive(Default)]
pub(crate) struct Field<'o> {
    /// By the customer's order of methods, then by the merchant's of channels.
    pub(crate) candidates: Vec<Candidate>,
    /// How long an order of each would live.
    lives: Vec<Duration>,
    /// Those that have the method and cannot take this payment, with the reason.
    unfit: Vec<Considered>,
    fees: Vec<Option<i64>>,
    standings: Vec<Standing<'o>>,
    pub(crate) notes: Vec<RuleNote>,
}

impl<'o> Field<'o> {
    /// `only` narrows it to one method, which need not be among those of the payment: whoever
    /// asks has made sure that it may be offered.
    pub(crate) fn of(
        wish: &Wish<'_>,
        options: &'o Options,
        ladder: &Ladder,
        only: Option<Method>,
    ) -> Field<'o> {
        let mut field = Field::default();
        let guide = &*options.guide;
        let methods = match &only {
            Some(only) => std::slice::from_ref(only),
            None => wish.terms.methods.as_slice(),
        };
        for &method in methods {
            let flow: Flow = wish.terms.flow(method);
            let ask = Ask { method, flow, money: wish.money, left: wish.left };
            let ruling = (!guide.rules.is_empty())
                .then(|| guide.rules.judge(&wish.facts(method, guide), wish.id));
            for channel in &options.channels {
                match channel.fit(ask) {
                    Fit::Fits(_) if wish.is_led_away(ladder, &channel.id, method).is_some() => {
                        let led = wish.is_led_away(ladder, &channel.id, method);
                        field.unfit.extend(led.map(|descent| led_away(channel, method, descent)));
                    }
                    Fit::Fits(life) => {
                        field.lives.push(life);
                        field.add(wish, guide, channel, method, ruling.as_ref());
                    }
                    Fit::Unfit(why) => field.unfit.push(unfit(channel, method, why)),
                    Fit::OtherMethod => {}
                }
            }
            ruling.iter().for_each(|ruling| note(&mut field.notes, ruling));
        }
        field
    }

    fn add(
        &mut self,
        wish: &Wish<'_>,
        guide: &Guide,
        channel: &Channel,
        method: Method,
        ruling: Option<&Ruling<'o>>,
    ) {
        self.candidates.push(Candidate { channel: channel.id.clone(), method });
        if !guide.fees.is_empty() {
            let issuer = wish.terms.issuer.as_deref();
            self.fees.push(guide.fee(&channel.id, method, wish.money, issuer));
        }
        self.standings.extend(ruling.map(|ruling| ruling.standing(&channel.id)));
    }

    /// How long an order of this candidate would live.
    fn life(&self, candidate: &Candidate) -> Duration {
        let at = self.candidates.iter().position(|c| c == candidate);
        at.and_then(|at| self.lives.get(at)).copied().unwrap_or_default()
    }

    /// What is known before health is asked.
    pub(crate) fn occasion(&self, now: Timestamp) -> Occasion<'_> {
        let (fees, standings) = (&self.fees, &self.standings);
        Occasion { issuer: None, fees, standings, spare: true, dice: 0.5, now }
    }
}

/// Notes what the rules said; a rule that holds for several methods is noted once.
fn note(notes: &mut Vec<RuleNote>, ruling: &Ruling<'_>) {
    let held = ruling.actions().map(|(name, said)| (name, said, false));
    let failed = ruling.failed().iter().map(|f| (f.rule, f.why.clone(), true));
    for (name, said, skipped) in held.chain(failed) {
        if !notes.iter().any(|note| note.name == name) {
            notes.push(RuleNote { name: name.to_owned(), said, skipped });
        }
    }
}

fn count(notes: &[RuleNote]) {
    for RuleNote { name, said, skipped } in notes {
        let metric = if *skipped { SKIPPED } else { "evergate_routing_rule_matches_total" };
        metrics::counter!(metric, "rule" => name.clone()).increment(1);
        if *skipped {
            tracing::warn!(rule = %name, why = %said, "a routing rule was skipped");
        }
    }
}

const SKIPPED: &str = "evergate_routing_rule_errors_total";

/// Why the first of a plan comes first, in a few words.
pub(crate) fn reason(plan: &Plan) -> String {
    let Some(first) = plan.order.first() else { return "nothing is left".to_owned() };
    match plan.why {
        Some(Why::FailOpen) => format!("{} is out, and so are all", first.candidate.channel),
        Some(Why::Probe) => "probe, to see it come back".to_owned(),
        Some(Why::Explore) => "exploration, to keep knowing it".to_owned(),
        Some(Why::Cheaper) => "costs less at about the same success".to_owned(),
        Some(Why::Faster) => "answers sooner at about the same success".to_owned(),
        Some(Why::Issuer) => "another fails for this bank".to_owned(),
        Some(Why::Ramp) => "another comes back step by step".to_owned(),
        Some(Why::Overflow) => "another is at its limit".to_owned(),
        Some(Why::Leads | Why::StandsIn) | None => {
            let missed = |w: &&Weighed| matches!(w.out, Some(Out::Disabled | Out::Unwell));
            match plan.excluded.iter().find(missed) {
                Some(other) => format!("{} is {}", other.candidate.channel, other.why),
                None if first.why == "in service" => "preferred".to_owned(),
                None => first.why.to_string(),
            }
        }
    }
}

/// The record of a choice.
pub(crate) fn choice(reason: String, plan: &Plan, field: Field<'_>) -> Choice {
    let order = plan.order.iter().take(Choice::KEPT).map(considered).collect();
    let excluded = plan.excluded.iter().map(considered).chain(field.unfit).collect();
    Choice { reason, excluded, order, rules: field.notes }
}

fn led_away(channel: &Channel, method: Method, descent: &Descent) -> Considered {
    let Descent { reach, level, reason, .. } = descent;
    let why = format!("led away: {reach} is at level {level} ({reason})");
    Considered::plain(channel.id.clone(), method, why)
}

fn unfit(channel: &Channel, method: Method, why: Unfit) -> Considered {
    Considered::plain(channel.id.clone(), method, why.to_string())
}

/// A time for a person.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            s if s >= 7_200 && s % 3_600 == 0 => write!(f, "{} h", s / 3_600),
            s => write!(f, "{s} s"),
        }
    }
}

fn considered(weighed: &Weighed) -> Considered {
    Considered {
        channel: weighed.candidate.channel.clone(),
        method: weighed.candidate.method,
        why: weighed.why.to_string(),
        state: weighed.state.map(|state| state.name().to_owned()),
        success_ppm: weighed.success.map(|p| (p.clamp(0.0, 1.0) * 1e6).round() as u32),
        fee_minor: weighed.fee_minor,
    }
}
