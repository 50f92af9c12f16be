//! The wires between the engine and the virtual providers: `engine::Caller` with every way in
//! which a call can go wrong.
//!
//! A call that has left is an event of the world: it arrives and takes effect even when the
//! process that made it dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Answer, ChannelId, CloseState, CloseWhy, Created, Currency, Decline, Flow, Method, Money,
    Operation, OrderState, Outcome, ProviderOrderNo, RefundState, Timestamp,
};
use engine::Caller;
use providers::{AmountLimits, Capabilities, Resend};
use recovery::bank::Ledger;

use crate::executor::Wait;
use crate::faults::{FAULTS_WINDOW_S, Fault, HOLD_S, LIE_S};
use crate::host::Point;
use crate::paths::Path;
use crate::plant::Plant;
use crate::provider::{BackState, Charge, House, Order, State};
use crate::stream::{Purpose, Stream};
use crate::world::{ARRIVALS_S, Event, Leaf, Run, Shared, World, place_of_number};

/// A channel's outage, if one is on.
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) house: House,
    pub(crate) outage: Option<Fault>,
    planned: Option<Fault>,
}

/// Issuers that a crowd's customers have.
pub(crate) const ISSUERS: u8 = 5;
/// Looks at health while a call is slow: how often, and how many at most.
const LOOK_MS: i64 = 250;
const LOOKS: i64 = 20;

const NAMES: [(&str, House); 4] = [
    ("alipay-main", House::Alipay),
    ("wechat-main", House::Wechat),
    ("stripe-main", House::Stripe),
    ("stripe-spare", House::Stripe),
];

/// What a bazaar has besides: two accounts each at two more providers.
const BAZAAR_NAMES: [(&str, House); 4] = [
    ("unionpay-main", House::UnionPay),
    ("unionpay-spare", House::UnionPay),
    ("paypal-main", House::Paypal),
    ("paypal-spare", House::Paypal),
];

/// What a siege has besides: approvals that are not taken while they are paused, and orders that
/// nobody can close.
const SIEGE_NAMES: [(&str, House); 2] =
    [("paypal-main", House::Paypal), ("unionpay-main", House::UnionPay)];

/// What a town has besides.
const TOWN_NAMES: [(&str, House); 1] = [(crate::bank::NAME, House::Bank)];

/// The channels of a world.
pub(crate) fn channels(run: &Run) -> Vec<Channel> {
    let more: &[_] = match (run.is_bazaar(), run.is_town()) {
        (true, _) => &BAZAAR_NAMES,
        (_, true) => &TOWN_NAMES,
        _ if run.is_siege() => &SIEGE_NAMES,
        _ => &[],
    };
    let make = |(name, house): &(&str, House)| {
        let id = ChannelId::new(name).ok()?;
        Some(Channel { id, house: *house, outage: None, planned: None })
    };
    NAMES.iter().chain(more).filter_map(make).collect()
}

/// What the engine is told of the channels.
pub(crate) fn options(run: &Run) -> engine::Options {
    let channels = channels(run).into_iter().map(|c| engine::Channel {
        id: c.id,
        capabilities: capabilities(c.house),
        call_timeout: Duration::from_secs(4),
        max_per_second: None,
    });
    let mut options = engine::Options::new(channels.collect());
    crate::siege::set(run, &mut options);
    options
}

fn capabilities(house: House) -> Capabilities {
    let (provider, methods) = match house {
        House::Alipay => ("alipay", vec![(Method::Alipay, Flow::Presented)]),
        House::Wechat => ("wechatpay", vec![(Method::WechatPay, Flow::Presented)]),
        House::Stripe => (
            "stripe",
            vec![
                (Method::Card, Flow::Direct),
                (Method::Alipay, Flow::Presented),
                (Method::WechatPay, Flow::Presented),
            ],
        ),
        House::UnionPay => ("unionpay", vec![(Method::UnionPay, Flow::Presented)]),
        House::Paypal => ("paypal", vec![(Method::Paypal, Flow::Presented)]),
        House::Bank => ("bank", vec![(Method::BankTransfer, Flow::Presented)]),
    };
    Capabilities {
        amounts: AmountLimits::same(&[Currency::CNY], 1, 10_000_000),
        pay_within: (house == House::Bank).then_some(crate::bank::PAY_WITHIN),
        resend_create: match house {
            House::Alipay => Resend::Never,
            _ => Resend::WhileOpen,
        },
        closing: match house {
            House::UnionPay => providers::Closing::LapseOnly,
            House::Paypal => providers::Closing::NeverCaptured,
            _ => providers::Closing::Proven,
        },
        ..Capabilities::plain(provider, methods, &[Currency::CNY])
    }
}

/// A call under way.
pub(crate) struct Flight {
    idx: usize,
    order: usize,
    what: What,
    /// The payment still wanted the money when it was sent.
    wanted: bool,
    /// It takes effect when it arrives.
    effect: bool,
    /// Nobody hears its answer, for this reason.
    mute: Option<&'static str>,
    /// What the caller will hear.
    answer: Option<Answer>,
    /// What the caller hears when nothing else does: the operation's own kind of "unknown".
    fallback: Answer,
}

enum What {
    Create,
    Query,
    Close(CloseWhy),
    Refund(ProviderOrderNo, i64),
    QueryRefund(ProviderOrderNo),
}

/// A process's way to the providers.
pub(crate) struct Wire {
    pub(crate) shared: Arc<Shared>,
    pub(crate) proc: usize,
    /// The process's own ledger.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

#[async_trait]
impl Caller for Wire {
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        self.shared.world().check_gate(self.proc, op);
        let wait = self.shared.world().point(self.proc, Point::BeforeCall);
        if let Some(until) = wait {
            Wait::new(&self.shared, until).await;
        }
        let answer = match self.ledger.as_ref().filter(|ledger| ledger.has(channel)) {
            Some(ledger) => self.to_ledger(ledger, channel, op, until).await,
            None => self.over_the_wire(channel, op, until).await,
        };
        let wait = self.shared.world().point(self.proc, Point::AfterCall);
        if let Some(until) = wait {
            Wait::new(&self.shared, until).await;
        }
        answer
    }
}

impl Wire {
    async fn over_the_wire(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        let sent = self.shared.world().send(self.proc, channel, op, until);
        match sent {
            Sent::Refused(answer) => answer,
            Sent::Away { flight, answered_at } => {
                let wait = self.shared.world().point(self.proc, Point::DuringCall);
                if let Some(until) = wait {
                    Wait::new(&self.shared, until).await;
                }
                let heard = Listening { wire: self, answered_at };
                Wait::new(&self.shared, answered_at).await;
                std::mem::forget(heard);
                self.shared.world().hear(flight)
            }
        }
    }
}

/// Somebody waits for an answer; dropped when nobody does any more.
struct Listening<'a> {
    wire: &'a Wire,
    answered_at: Timestamp,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut world = self.wire.shared.world();
        if world.procs[self.wire.proc].alive && world.now < self.answered_at {
            world.reach(Path::GivenUp);
        }
    }
}

/// How a call left.
pub(crate) enum Sent {
    /// Not at all; this is its answer.
    Refused(Answer),
    /// On the wire; the answer is there at this time.
    Away { flight: u32, answered_at: Timestamp },
}

pub(crate) fn fault(code: &str) -> domain::Fault {
    domain::Fault::new(code, "simulated")
}

/// Whether the payment of an order that is asked about still wants its money.
fn is_wanted(op: &Operation) -> bool {
    match op {
        Operation::Query(order) | Operation::Close(order, _) => order.wanted,
        _ => false,
    }
}

/// Faults that may strike any call.
const CALL_FAULTS: [Fault; 8] = [
    Fault::NotSent,
    Fault::HangNoEffect,
    Fault::HangEffect,
    Fault::HangLateEffect,
    Fault::ErrorNoEffect,
    Fault::ErrorEffect,
    Fault::Rejected,
    Fault::SlowCall,
];

impl World {
    /// A process means to send a call.
    pub(crate) fn send(
        &mut self,
        proc: usize,
        channel: &ChannelId,
        op: &Operation,
        until: Timestamp,
    ) -> Sent {
        let idx = place_of_number(op.number());
        let at = self.channels.iter().position(|c| c.id == *channel).unwrap_or(0);
        let order = match self.admit(idx, proc, at, op, until) {
            Ok(order) => order,
            Err(answer) => return Sent::Refused(*answer),
        };
        let what = self.what(idx, op);
        self.fly(proc, idx, order, what, op, until)
    }

    /// What is checked of a call that is about to leave. The place of its order, or what its
    /// caller hears at once.
    pub(crate) fn admit(
        &mut self,
        idx: usize,
        proc: usize,
        at: usize,
        op: &Operation,
        until: Timestamp,
    ) -> Result<usize, Box<Answer>> {
        let order = self.order_place(idx, at, op);
        if let Some(answer) = self.planted_answer(idx, order, op) {
            return Err(Box::new(answer));
        }
        if let Some(answer) = self.answered_at_home(idx, order, op) {
            return Err(Box::new(answer));
        }
        if matches!(op, Operation::Close(..)) {
            // Trying counts (rule 5); whether it gets through is not in anybody's hands.
            self.slots[idx].orders[order].closes += 1;
        }
        if self.here(proc) >= until && !self.has(Plant::LeaseIgnored) {
            self.reach(Path::StaleCallRefused);
            self.say(idx, || format!("{} refused by its caller: too late", op.name()));
            return Err(Box::new(op.unavailable(fault("deadline"))));
        }
        self.check_call(idx, proc, at, op, until);
        self.leaf(Leaf::Calling);
        self.note_sent(idx, order, op);
        Ok(order)
    }

    /// What a codec answers without a call: PayPal's order whose id we never learned has a link
    /// that nobody was shown, and nobody can take its money.
    fn answered_at_home(&mut self, idx: usize, order: usize, op: &Operation) -> Option<Answer> {
        let of = match op {
            Operation::Query(of) | Operation::Close(of, _) => of,
            _ => return None,
        };
        if self.slots[idx].orders[order].house != House::Paypal || of.reference.is_some() {
            return None;
        }
        self.slots[idx].orders[order].closes += 1;
        self.say(idx, || format!("{} of {}: its id was never learned", op.name(), of.number));
        Some(match op {
            Operation::Close(..) => Answer::Close(Outcome::Ok(CloseState::Closed)),
            _ => Answer::Query(Outcome::Ok(OrderState::NotFound)),
        })
    }

    fn what(&mut self, idx: usize, op: &Operation) -> What {
        match op {
            Operation::Create(_) => What::Create,
            Operation::Query(_) => What::Query,
            Operation::Close(_, why) => What::Close(*why),
            Operation::Refund(refund) => {
                let number = self.refund_number(idx, refund);
                What::Refund(number, refund.amount.minor())
            }
            Operation::QueryRefund(refund) => What::QueryRefund(refund.number.clone()),
        }
    }

    fn order_place(&mut self, idx: usize, channel: usize, op: &Operation) -> usize {
        let number = op.number();
        let orders = &mut self.slots[idx].orders;
        if let Some(at) = orders.iter().position(|o| o.number == *number) {
            return at;
        }
        let (flow, money) = match op {
            Operation::Create(order) => (order.flow, order.money),
            Operation::Query(order) | Operation::Close(order, _) => (order.flow, order.money),
            Operation::Refund(r) | Operation::QueryRefund(r) => (r.order.flow, r.order.money),
        };
        let house = self.channels[channel].house;
        orders.push(Order::new(number.clone(), channel, house, flow, money));
        orders.len() - 1
    }

    fn note_sent(&mut self, idx: usize, at: usize, op: &Operation) {
        if let Operation::Create(asked) = op {
            let order = &mut self.slots[idx].orders[at];
            order.expires_at = asked.expires_at;
            order.creates += 1;
        }
    }

    fn fly(
        &mut self,
        proc: usize,
        idx: usize,
        order: usize,
        what: What,
        op: &Operation,
        until: Timestamp,
    ) -> Sent {
        let deadline = self.true_time(proc, until).max(self.now);
        let union = self.slots[idx].orders[order].house == House::UnionPay;
        let formed = union && matches!(what, What::Create);
        let struck = self.call_fault(idx, order, formed);
        let dice = self.slots[idx].dice(Purpose::Network);
        let slow = struck == Some(Fault::SlowCall);
        let quick = if formed { 1 } else { dice.between(20, 400) };
        let trip = if slow { dice.between(2_000, 8_000) } else { quick };
        let hold = dice.between(0, HOLD_S * 1_000);
        let here = dice.between(1, trip.max(2));
        let ms = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        let (name, number) = (op.name(), op.number());
        self.say(idx, || match struck {
            Some(fault) => format!("{name} of {number} sent: {}", fault.name()),
            None => format!("{name} of {number} sent"),
        });
        let mut flight = Flight {
            idx,
            order,
            what,
            wanted: is_wanted(op),
            effect: true,
            mute: None,
            answer: None,
            fallback: op.unknown(fault("timeout")),
        };
        let mut answered_at = self.now + ms(trip);
        let mut arrives_at = self.now + ms(here);
        match struck {
            Some(Fault::NotSent) => {
                flight.effect = false;
                flight.answer = Some(op.unavailable(fault("connect")));
            }
            Some(Fault::Rejected) => {
                flight.effect = false;
                flight.answer = Some(op.rejected(fault("invalid_signature")));
            }
            Some(Fault::HangNoEffect) => {
                flight.effect = false;
                answered_at = deadline;
            }
            Some(Fault::HangEffect) => {
                flight.mute = Some("timeout");
                answered_at = deadline;
            }
            Some(Fault::HangLateEffect) => {
                flight.mute = Some("timeout");
                answered_at = deadline;
                arrives_at = deadline + ms(hold);
            }
            Some(Fault::ErrorNoEffect) => flight.effect = false,
            Some(Fault::ErrorEffect) => flight.mute = Some("http_500"),
            _ => {}
        }
        if answered_at > deadline {
            answered_at = deadline;
            flight.mute = Some("timeout");
        }
        if flight.effect {
            match &flight.what {
                What::Create => self.slots[idx].orders[order].creates_coming += 1,
                What::Refund(number, _) => {
                    self.slots[idx].orders[order].refunds_coming.push(number.clone());
                }
                _ => {}
            }
        }
        if matches!(flight.what, What::Create) {
            self.look_meanwhile(proc, answered_at);
        }
        let effect = flight.effect;
        self.flights.push(flight);
        let flight = u32::try_from(self.flights.len() - 1).unwrap_or(u32::MAX);
        if effect {
            self.schedule(arrives_at, Event::Arrive(flight));
        }
        Sent::Away { flight, answered_at }
    }

    /// What befalls a call. A form is made at home (`formed`): nothing can befall it.
    fn call_fault(&mut self, idx: usize, order: usize, formed: bool) -> Option<Fault> {
        let channel = self.slots[idx].orders[order].channel;
        if let Some(rescue) = self.run.rescue.filter(|_| channel == 0) {
            let roll = self.slots[idx].dice(Purpose::Network).below(100);
            return rescue.strikes(self.elapsed_us(), roll);
        }
        let drawn = self.strike(idx, Purpose::Network, &CALL_FAULTS);
        if formed {
            return None;
        }
        match self.channels[channel].outage {
            _ if self.shuns(idx, channel) => Some(Fault::NotSent),
            Some(Fault::OutageRefused | Fault::OutageFlaps) => Some(Fault::NotSent),
            Some(Fault::OutageBrown) => {
                let dice = self.slots[idx].dice(Purpose::Network);
                if dice.percent(50) { Some(Fault::NotSent) } else { drawn }
            }
            Some(Fault::OutageSlow) => drawn.or(Some(Fault::SlowCall)),
            Some(_) => {
                let dice = self.slots[idx].dice(Purpose::Network);
                Some(if dice.percent(50) { Fault::HangEffect } else { Fault::HangNoEffect })
            }
            None => drawn,
        }
    }

    /// Whether a payment's issuer fails on a channel now.
    fn shuns(&self, idx: usize, channel: usize) -> bool {
        let issuer = self.issuer(idx);
        self.sick.iter().any(|(sick, on)| {
            Some(*sick) == issuer && on.is_none_or(|on| usize::from(on) == channel)
        })
    }

    /// The customer's bank; only a crowd's merchants know it.
    pub(crate) fn issuer(&self, idx: usize) -> Option<u8> {
        (self.run.is_crowd() && !idx.is_multiple_of(3)).then(|| (idx % usize::from(ISSUERS)) as u8)
    }

    /// A process looks at health every quarter of a second while a call of its is slow.
    fn look_meanwhile(&mut self, proc: usize, answered_at: Timestamp) {
        let left_ms = answered_at.since(self.now).as_millis() as i64;
        for nth in 1..=(left_ms / LOOK_MS).min(LOOKS) {
            let after = Duration::from_millis((nth * LOOK_MS).unsigned_abs());
            self.plan_look(proc, after, false);
        }
    }

    /// A call arrives at its provider and takes effect.
    pub(crate) fn arrive(&mut self, flight: u32) {
        let Flight { idx, order, wanted, .. } = self.flights[flight as usize];
        let mute = self.flights[flight as usize].mute;
        let what = std::mem::replace(&mut self.flights[flight as usize].what, What::Query);
        let declined = match what {
            What::Query | What::Close(_) => self.take(idx, order, wanted, mute.is_some()),
            _ => None,
        };
        let answer = match &what {
            What::Create => Answer::Create(self.arrive_create(idx, order)),
            What::Query => Answer::Query(match declined {
                Some(decline) => Outcome::Ok(OrderState::Declined(decline)),
                None => self.arrive_query(idx, order),
            }),
            What::Close(why) => Answer::Close(self.arrive_close(idx, order, *why)),
            What::Refund(number, minor) => {
                Answer::Refund(self.arrive_refund(idx, order, number, *minor))
            }
            What::QueryRefund(number) => {
                Answer::QueryRefund(self.arrive_query_refund(idx, order, number))
            }
        };
        self.say(idx, || match mute {
            Some(why) => format!("provider: {answer:?}, but nobody hears it ({why})"),
            None => format!("provider: {answer:?}"),
        });
        if mute.is_none() {
            self.flights[flight as usize].answer = Some(answer);
        }
    }

    /// A question or a close of PayPal's finds an approved order: one that still wants it takes
    /// the money, and nothing else does. `unheard`: nobody hears the answer. The funding source
    /// may refuse, and the customer approves again.
    fn take(&mut self, idx: usize, at: usize, wanted: bool, unheard: bool) -> Option<Decline> {
        let order = &self.slots[idx].orders[at];
        if order.house != House::Paypal {
            return None;
        }
        match (order.state, wanted) {
            (State::Captured, true) if order.taken_unheard => {
                self.reach(Path::CaptureRepeated);
                return None;
            }
            (State::Approved, false) => {
                self.reach(Path::ApprovedAndLeft);
                return None;
            }
            (State::Approved, true) => {}
            _ => return None,
        }
        if self.strike(idx, Purpose::Network, &[Fault::CaptureDeclined]).is_some() {
            self.slots[idx].orders[at].state = State::Payable;
            self.reach(Path::CaptureDeclined);
            let again = self.slots[idx].dice(Purpose::Customer).between(2_000, 60_000);
            self.after_ms(again, Event::Customer(idx as u32, at as u16));
            return Some(crate::provider::decline(true));
        }
        let now = self.now;
        let order = &mut self.slots[idx].orders[at];
        order.capture(now);
        order.taken_unheard = unheard;
        self.reach(Path::ApprovalCaptured);
        self.captured(idx, at);
        None
    }

    fn arrive_create(&mut self, idx: usize, at: usize) -> Outcome<Created> {
        let mut charge = Charge::Captured;
        if self.slots[idx].orders[at].flow == Flow::Direct {
            let faults = [Fault::HardDecline, Fault::SoftDecline, Fault::ChargeSlow];
            charge = match self.strike(idx, Purpose::Network, &faults) {
                Some(Fault::HardDecline) => Charge::Declined { soft: false },
                Some(Fault::SoftDecline) => Charge::Declined { soft: true },
                Some(_) => Charge::Working,
                None => Charge::Captured,
            };
        }
        let now = self.now;
        let order = &mut self.slots[idx].orders[at];
        order.creates_coming = order.creates_coming.saturating_sub(1);
        let was = order.state;
        let answer = order.create(charge, now);
        let is = order.state;
        match (was, is) {
            (State::Absent, State::Captured) => self.captured(idx, at),
            (State::Absent, State::Processing) => {
                let ms = self.slots[idx].dice(Purpose::Network).between(200, 40_000);
                self.after_ms(ms, Event::Settle(idx as u32, at as u16));
            }
            (State::Absent, State::Code | State::Payable) => self.court_orphan(idx, at),
            _ => {}
        }
        self.maybe_wrong_amount(idx, at, answer, |created| match created {
            Created::Paid(receipt) => Some(&mut receipt.captured),
            _ => None,
        })
    }

    fn arrive_query(&mut self, idx: usize, at: usize) -> Outcome<OrderState> {
        let deny = self.denies(idx, at);
        self.meddle(idx, at);
        let now = self.now;
        let order = &mut self.slots[idx].orders[at];
        order.denied |= deny;
        let answer = Outcome::Ok(order.query(deny, now));
        self.maybe_wrong_amount(idx, at, answer, |state| match state {
            OrderState::Paid(receipt) | OrderState::PaidAndRefunded(receipt) => {
                Some(&mut receipt.captured)
            }
            _ => None,
        })
    }

    /// Whether a query denies a success that is there, which it does for [`LIE_S`] at most.
    fn denies(&mut self, idx: usize, at: usize) -> bool {
        let since = self.slots[idx].orders[at].captured_at;
        let fresh = since.is_some_and(|since| self.now.since(since).as_secs() < LIE_S as u64);
        fresh && self.strike(idx, Purpose::Network, &[Fault::QueryLies]).is_some()
    }

    fn maybe_wrong_amount<T>(
        &mut self,
        idx: usize,
        at: usize,
        mut answer: Outcome<T>,
        stated: impl Fn(&mut T) -> Option<&mut Money>,
    ) -> Outcome<T> {
        if let Outcome::Ok(good) = &mut answer
            && let Some(stated) = stated(good)
            && self.misquotes(idx, at)
        {
            *stated = Money::new(stated.minor() + 1, stated.currency()).unwrap_or(*stated);
        }
        answer
    }

    /// Whether a provider states a wrong amount for an order now; it keeps to it for a while.
    fn misquotes(&mut self, idx: usize, at: usize) -> bool {
        if self.strike(idx, Purpose::Network, &[Fault::WrongAmount]).is_some() {
            let ms = self.slots[idx].dice(Purpose::Network).between(0, 120_000);
            let until = self.now + Duration::from_millis(ms.unsigned_abs());
            self.slots[idx].orders[at].misquoted_until = until;
            return true;
        }
        self.faults_on && self.now < self.slots[idx].orders[at].misquoted_until
    }

    fn arrive_close(&mut self, idx: usize, at: usize, why: CloseWhy) -> Outcome<CloseState> {
        let deny = why == CloseWhy::Orphan && self.denies(idx, at);
        let mute = self.slots[idx].orders[at].is_captured()
            && self.strike(idx, Purpose::Network, &[Fault::CloseMute]).is_some();
        self.meddle(idx, at);
        let now = self.now;
        Outcome::Ok(self.slots[idx].orders[at].close(mute, deny, now))
    }

    /// Somebody at the merchant gives a payment back in Alipay's own console, just before we
    /// ask about it.
    fn meddle(&mut self, idx: usize, at: usize) {
        let order = &self.slots[idx].orders[at];
        if order.house == House::Alipay
            && order.is_captured()
            && !order.given_back
            && self.strike(idx, Purpose::Network, &[Fault::ReturnedByHand]).is_some()
        {
            self.slots[idx].orders[at].give_back_by_hand();
        }
    }

    fn arrive_refund(
        &mut self,
        idx: usize,
        at: usize,
        number: &ProviderOrderNo,
        minor: i64,
    ) -> Outcome<RefundState> {
        let now = self.now;
        let order = &mut self.slots[idx].orders[at];
        if let Some(coming) = order.refunds_coming.iter().position(|n| n == number) {
            order.refunds_coming.swap_remove(coming);
        }
        let known = order.refunds.iter().any(|r| r.number == *number);
        let mut slow = false;
        if !known {
            match self.strike(idx, Purpose::Network, &[Fault::RefundDeclined, Fault::RefundSlow]) {
                Some(Fault::RefundDeclined) => {
                    let decline =
                        domain::Decline { code: "NOT_ENOUGH_BALANCE".to_owned(), soft: false };
                    return Outcome::Declined(decline);
                }
                Some(_) => slow = true,
                None => {}
            }
        }
        let Some(answer) = self.slots[idx].orders[at].refund(number, minor, slow, now) else {
            return self.refund_refused(idx, at, number, minor);
        };
        let back = self.slots[idx].orders[at].refunds.len() - 1;
        if !known && slow {
            let ms = self.slots[idx].dice(Purpose::Network).between(500, 300_000);
            self.after_ms(ms, Event::SettleRefund(idx as u32, at as u16, back as u16));
        } else if !known {
            self.refund_done(idx, at, back);
        }
        Outcome::Ok(answer)
    }

    fn arrive_query_refund(
        &mut self,
        idx: usize,
        at: usize,
        number: &ProviderOrderNo,
    ) -> Outcome<RefundState> {
        let order = &self.slots[idx].orders[at];
        let Some(back) = order.refunds.iter().find(|r| r.number == *number) else {
            return Outcome::Ok(RefundState::NotFound);
        };
        let (answer, since) = (back.answer(), back.since);
        let fresh = self.now.since(since).as_secs() < LIE_S as u64;
        if fresh && self.strike(idx, Purpose::Network, &[Fault::RefundQueryLies]).is_some() {
            return Outcome::Ok(RefundState::NotFound);
        }
        Outcome::Ok(answer)
    }

    /// The caller hears what came of its call.
    pub(crate) fn hear(&mut self, flight: u32) -> Answer {
        self.leaf(Leaf::Answered);
        let flight = &mut self.flights[flight as usize];
        let (idx, order) = (flight.idx, flight.order);
        let fallback =
            std::mem::replace(&mut flight.fallback, Answer::Query(Outcome::Unknown(fault(""))));
        let answer = flight.answer.take().unwrap_or(fallback);
        // A wrong amount is not booked but shown to a person.
        if let Answer::Close(Outcome::Ok(CloseState::PaidAndRefunded(receipt)))
        | Answer::Query(Outcome::Ok(OrderState::PaidAndRefunded(receipt))) = &answer
            && receipt.captured == self.slots[idx].orders[order].money
        {
            self.heard_back = Some((self.ctx.task, idx, order));
        }
        self.planted_hearing(idx, order, answer)
    }

    /// A provider finishes what it was working on.
    pub(crate) fn settle(&mut self, idx: usize, at: usize) {
        let now = self.now;
        let declined = self.slots[idx].orders[at].flow == Flow::Direct
            && self.strike(idx, Purpose::Network, &[Fault::HardDecline]).is_some();
        let order = &mut self.slots[idx].orders[at];
        if order.state != State::Processing {
            return;
        }
        if declined {
            order.state = State::Declined { soft: false };
            return;
        }
        order.capture(now);
        self.captured(idx, at);
    }

    /// A provider finishes a refund.
    pub(crate) fn settle_refund(&mut self, idx: usize, at: usize, back: usize) {
        let fails = self.strike(idx, Purpose::Network, &[Fault::RefundFails]).is_some();
        let refund = &mut self.slots[idx].orders[at].refunds[back];
        refund.state = if fails { BackState::Failed } else { BackState::Done };
        self.refund_done(idx, at, back);
    }

    /// Money was captured at a provider.
    pub(crate) fn captured(&mut self, idx: usize, at: usize) {
        let number = self.slots[idx].orders[at].number.clone();
        self.say(idx, || format!("provider: {number} is captured"));
        self.mail_success(idx, at);
    }

    fn refund_done(&mut self, idx: usize, at: usize, back: usize) {
        let state = self.slots[idx].orders[at].refunds[back].state;
        self.say(idx, || format!("provider: refund {} of order {} is {state:?}", back + 1, at + 1));
        self.mail_refund(idx, at, back);
    }

    /// Draws the channels' outages of this seed.
    pub(crate) fn draw_outages(&mut self, dice: &mut Stream) {
        // What lies in the process itself has no outage.
        let far = self.channels.iter().filter(|c| c.house != House::Bank).count();
        for channel in 0..far {
            let fault = self.weather.strike(&[Fault::OutageRefused, Fault::OutageHangs], dice);
            let from = dice.between(0, FAULTS_WINDOW_S * 2 / 3);
            let length = dice.between(15, 240);
            if let Some(fault) = fault.filter(|f| !self.run.calm.contains(f)) {
                self.channels[channel].planned = Some(fault);
                let at = |s: i64| self.start + Duration::from_secs(s.unsigned_abs());
                let (begin, end) = (at(from), at(from + length));
                self.schedule(begin, Event::Outage(channel as u8, true));
                self.schedule(end, Event::Outage(channel as u8, false));
            }
        }
    }

    /// Outages of a bazaar's providers: all accounts at once, or one a little after the other.
    pub(crate) fn draw_provider_outages(&mut self) {
        let mut dice = Stream::new(self.run.seed, Purpose::Weather, 5);
        for house in [House::UnionPay, House::Paypal] {
            let struck = self.weather.strike(&[Fault::OutageOfProvider], &mut dice);
            let from = dice.between(0, FAULTS_WINDOW_S * 2 / 3);
            let (length, step) = (dice.between(30, 300), dice.between(0, 1) * dice.between(1, 20));
            let hangs = dice.percent(50);
            if struck.filter(|fault| !self.run.calm.contains(fault)).is_none() {
                continue;
            }
            self.counts.faults[Fault::OutageOfProvider as usize] += 1;
            let accounts: Vec<usize> =
                (0..self.channels.len()).filter(|at| self.channels[*at].house == house).collect();
            for (nth, channel) in (0_i64..).zip(accounts) {
                let fault = if hangs { Fault::OutageHangs } else { Fault::OutageRefused };
                self.channels[channel].planned = Some(fault);
                let at = |s: i64| self.start + Duration::from_secs(s.unsigned_abs());
                let begin = from + nth * step;
                let (begin, end) = (at(begin), at(begin + length));
                self.schedule(begin, Event::Outage(channel as u8, true));
                self.schedule(end, Event::Outage(channel as u8, false));
            }
        }
    }

    /// What befalls a crowd's channels and issuers, besides the outages that any seed may have.
    pub(crate) fn draw_crowd_outages(&mut self) {
        let mut dice = Stream::new(self.run.seed, Purpose::Weather, 4);
        let at = |start: Timestamp, s: i64| start + Duration::from_secs(s.unsigned_abs());
        let start = self.start;
        for channel in 0..self.channels.len() {
            let among =
                [Fault::OutageHangs, Fault::OutageFlaps, Fault::OutageBrown, Fault::OutageSlow];
            let fault = self.weather.strike(&among, &mut dice);
            // Late enough that health has learned what is usual.
            let (from, length) = (dice.between(120, ARRIVALS_S - 30), dice.between(30, 200));
            let Some(fault) = fault.filter(|f| !self.run.calm.contains(f)) else { continue };
            self.channels[channel].planned = Some(fault);
            let beats = if fault == Fault::OutageFlaps { 6 } else { 1 };
            for beat in 0..beats {
                let begin = from + beat * length / 3;
                let end = if beats > 1 { begin + length / 6 } else { begin + length };
                self.schedule(at(start, begin), Event::Outage(channel as u8, true));
                self.schedule(at(start, end), Event::Outage(channel as u8, false));
            }
        }
        for issuer in 0..ISSUERS {
            let among = [Fault::IssuerFailsOnOne, Fault::IssuerFailsOnAll];
            let fault = self.weather.strike(&among, &mut dice);
            let (from, length) = (dice.between(60, ARRIVALS_S - 60), dice.between(60, 200));
            let channel = dice.below(self.channels.len() as u32) as u8;
            let Some(fault) = fault.filter(|f| !self.run.calm.contains(f)) else { continue };
            let on = (fault == Fault::IssuerFailsOnOne).then_some(channel);
            self.schedule(at(start, from), Event::IssuerOutage(issuer, on, true));
            self.schedule(at(start, from + length), Event::IssuerOutage(issuer, on, false));
        }
    }

    pub(crate) fn set_issuer_outage(&mut self, issuer: u8, channel: Option<u8>, on: bool) {
        self.sick.retain(|known| *known != (issuer, channel));
        if on && self.faults_on {
            self.sick.push((issuer, channel));
            let fault = match channel {
                Some(_) => Fault::IssuerFailsOnOne,
                None => Fault::IssuerFailsOnAll,
            };
            self.counts.faults[fault as usize] += 1;
            self.tell(|| format!("bank-{issuer}: {} begins", fault.name()));
        } else {
            self.tell(|| format!("bank-{issuer}: outage ends"));
        }
    }

    pub(crate) fn set_outage(&mut self, channel: usize, on: bool) {
        let planned = self.channels[channel].planned.filter(|_| on && self.faults_on);
        self.channels[channel].outage = planned;
        let name = self.channels[channel].id.clone();
        match planned {
            Some(fault) => {
                self.counts.faults[fault as usize] += 1;
                self.tell(|| format!("{name}: {} begins", fault.name()));
            }
            None => self.tell(|| format!("{name}: outage ends")),
        }
    }
}
