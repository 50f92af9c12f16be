//! Merchants and customers: what they do and when.
//!
//! A merchant's acts are drawn once, at the beginning; a customer decides when a code is
//! shown. Both use streams of their own payment.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{
    Blocked, Currency, Device, Locale, MerchantId, Method, Money, OrderNo, Payment, PaymentId,
    PaymentState, Purpose as Aim, RefundRefused, Status, Terms, Tier, Timestamp,
};
use engine::{EngineError, Fresh, KeyedRequest, NewPayment};

use crate::faults::Fault;
use crate::paths::Path;
use crate::provider::{House, State};
use crate::siege::{Holder, Wanted};
use crate::stream::Purpose;
use crate::world::{ARRIVALS_S, Event, Spawn, World};

/// Something that a merchant does.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) does: Does,
    pub(crate) tries: u32,
}

/// What a merchant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Ask for the payment.
    Create { body: Body, keyed: bool },
    /// Cancel it.
    Cancel,
    /// Send the customer to another method.
    Switch(Option<Method>),
    /// Keep the order to be paid later, for so long or for as long as is usual.
    Hold { lasts_s: Option<u64>, by: Holder },
    /// Keep it for longer, from now.
    Extend { longer_s: u64 },
    /// The customer of a kept order comes back and wants to pay by this.
    Return(Option<Method>),
    /// Give a part back (in tenths; 10 is all that is left), under a key of its own.
    Refund { tenths: u32, key: Option<u16> },
}

/// Which request body: the right one, another amount, or another order under the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Right,
    OtherAmount,
    OtherOrder,
}

impl Body {
    fn order(self) -> usize {
        usize::from(self == Body::OtherOrder)
    }
}

/// What a merchant knows, and what its customer is like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    pub(crate) money: i64,
    /// What a siege's merchant asks for besides.
    wanted: Wanted,
    methods: Vec<Method>,
    token: bool,
    expires_in_s: Option<u64>,
    /// The payment that the merchant was told of, by order number.
    pub(crate) known: [Option<PaymentId>; 2],
    /// The body that made it.
    accepted: [Option<Body>; 2],
    manner: Manner,
    /// Creates of the same order that are under way.
    creating: u32,
    /// A create has been answered.
    answered: bool,
}

/// How a customer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// Pays the last code.
    #[default]
    Pays,
    /// Pays every code it ever saw.
    PaysAll,
    /// Pays about when the payment expires.
    PaysLate,
    /// Refuses, then pays.
    Hesitates,
    /// Never pays.
    WalksAway,
}

impl World {
    /// Draws a payment's terms and its merchant's acts.
    pub(crate) fn write_script(&mut self, idx: usize) {
        if let Some(rescue) = self.run.rescue {
            return self.write_plain(idx, rescue.comes_ms(idx));
        }
        let dice = self.slots[idx].dice(Purpose::Merchant);
        let at = dice.between(0, ARRIVALS_S * 1_000);
        let money = dice.between(1, 500_000);
        let token = dice.percent(35);
        let methods = match dice.below(10) {
            _ if token && dice.percent(60) => vec![Method::Card],
            0..=3 => vec![Method::Alipay],
            4..=6 => vec![Method::WechatPay],
            7 | 8 => vec![Method::Alipay, Method::WechatPay],
            _ => vec![Method::WechatPay, Method::Alipay, Method::Card],
        };
        // A crowd's payments are mostly alike, so that a channel sees enough of them.
        let alike = self.run.is_crowd() && !idx.is_multiple_of(4);
        let (token, methods) = if alike { (false, vec![Method::Alipay]) } else { (token, methods) };
        let methods = if self.run.is_bazaar() { self.bazaar_methods(idx) } else { methods };
        let methods = self.town_methods(idx).unwrap_or(methods);
        let (wanted, methods, token) =
            self.siege_wish(idx).unwrap_or((Wanted::default(), methods, token));
        let dice = self.slots[idx].dice(Purpose::Merchant);
        let expires_in_s = match dice.below(10) {
            0 => Some(60),
            1..=3 => Some(300),
            4 => Some(1800),
            _ => None,
        };
        let keyed = dice.percent(80);
        let mut acts = vec![(at, Does::Create { body: Body::Right, keyed })];
        if dice.percent(25) {
            let later = if dice.percent(60) { 300 } else { 30_000 };
            let keyed = dice.percent(80);
            acts.push((at + dice.between(0, later), Does::Create { body: Body::Right, keyed }));
        }
        if dice.percent(8) {
            let body = if dice.percent(50) { Body::OtherAmount } else { Body::OtherOrder };
            let keyed = body == Body::OtherOrder || dice.percent(50);
            acts.push((at + dice.between(0, 10_000), Does::Create { body, keyed }));
        }
        let switches = if dice.percent(20) { 1 + dice.below(2) } else { 0 };
        for _ in 0..switches {
            let method = methods[dice.below(methods.len() as u32) as usize];
            let method = dice.percent(60).then_some(method);
            acts.push((at + dice.between(500, 120_000), Does::Switch(method)));
        }
        if dice.percent(15) {
            acts.push((at + dice.between(100, 400_000), Does::Cancel));
        }
        if dice.percent(25) {
            let begin = at + dice.between(10_000, 900_000);
            for part in 0..=dice.below(3) {
                let tenths = if dice.percent(40) { 10 } else { 1 + dice.below(6) };
                let key = dice.percent(70).then_some(part as u16);
                let when = begin + dice.between(0, if part == 2 { 300_000 } else { 500 });
                acts.push((when, Does::Refund { tenths, key }));
                if key.is_some() && dice.percent(40) {
                    acts.push((when + dice.between(0, 800), Does::Refund { tenths, key }));
                }
            }
        }
        let customer = self.slots[idx].dice(Purpose::Customer);
        let manner = match customer.below(20) {
            0..=10 => Manner::Pays,
            11..=12 => Manner::PaysAll,
            13..=14 => Manner::PaysLate,
            15..=16 => Manner::Hesitates,
            _ => Manner::WalksAway,
        };
        self.slots[idx].client =
            Client { money, wanted, methods, token, expires_in_s, manner, ..Client::default() };
        if let Some((lives, more)) = self.siege_acts(idx, at) {
            let client = &mut self.slots[idx].client;
            client.expires_in_s = client.expires_in_s.filter(|_| lives.is_none()).or(lives);
            acts.extend(more);
        }
        for (ms, does) in acts {
            self.plan_act(idx, ms, does);
        }
    }

    /// What a bazaar's merchants offer: mostly what cannot be closed, or is taken by us.
    fn bazaar_methods(&mut self, idx: usize) -> Vec<Method> {
        match self.slots[idx].dice(Purpose::Merchant).below(10) {
            0..=2 => vec![Method::UnionPay],
            3..=5 => vec![Method::Paypal],
            6 => vec![Method::UnionPay, Method::Paypal],
            7 => vec![Method::Paypal, Method::UnionPay, Method::Alipay],
            8 => vec![Method::UnionPay, Method::Card],
            _ => vec![Method::Paypal, Method::Card],
        }
    }

    /// One request, and a customer who pays what it shows.
    fn write_plain(&mut self, idx: usize, ms: i64) {
        let money = self.slots[idx].dice(Purpose::Merchant).between(1, 500_000);
        self.slots[idx].client =
            Client { money, methods: vec![Method::Alipay], ..Client::default() };
        self.plan_act(idx, ms, Does::Create { body: Body::Right, keyed: true });
    }

    fn plan_act(&mut self, idx: usize, ms: i64, does: Does) {
        let act = self.slots[idx].acts.len();
        self.slots[idx].acts.push(Act { does, tries: 0 });
        if self.run.idle.contains(&(idx, act as u32)) {
            return;
        }
        if self.run.trace {
            self.acted.push((idx, act as u32));
        }
        self.after_ms(ms, Event::Merchant(idx as u32, act as u16));
    }

    /// A merchant acts, or tries again later when nobody serves.
    pub(crate) fn act(&mut self, idx: usize, act: u16) {
        let does = self.slots[idx].acts[usize::from(act)].does;
        let create = matches!(does, Does::Create { .. });
        if !create && self.slots[idx].client.known[0].is_none() {
            return self.retry_act(idx, act, 3_000);
        }
        match self.pick_proc() {
            Some(proc) => {
                if create {
                    self.slots[idx].client.creating += 1;
                }
                self.say(idx, || format!("merchant asks process {proc}: {does:?}"));
                self.spawns.push(Spawn::Act { proc, idx, act });
            }
            None => self.after_ms(2_000, Event::Merchant(idx as u32, act)),
        }
    }

    pub(crate) fn retry_act(&mut self, idx: usize, act: u16, ms: i64) {
        let known = &mut self.slots[idx].acts[usize::from(act)];
        known.tries += 1;
        let create = matches!(known.does, Does::Create { .. });
        if known.tries < 5 || (create && !self.faults_on && known.tries < 20) {
            self.after_ms(ms, Event::Merchant(idx as u32, act));
        }
    }

    /// A merchant's wish, as the server would hand it to the engine.
    pub(crate) fn wish(&self, idx: usize, body: Body) -> Option<NewPayment> {
        let client = &self.slots[idx].client;
        let minor = client.money + i64::from(body == Body::OtherAmount);
        let order = if body == Body::OtherOrder { format!("o{idx}x") } else { format!("o{idx}") };
        Some(NewPayment {
            merchant: MerchantId::new("shop").ok()?,
            order: OrderNo::new(&order).ok()?,
            money: Money::new(minor, Currency::CNY).ok()?,
            terms: Terms {
                methods: client.methods.clone(),
                purpose: client.wanted.aim,
                tier: Tier::Standard,
                subject: String::new(),
                issuer: self.issuer(idx).map(|issuer| format!("bank-{issuer}")),
                contact: None,
                push_token: None,
                locale: Locale::Zh,
                return_url: None,
                payer_ip: None,
                payer_id: None,
                device: Device::Qr,
                token: client.token.then(|| "card".to_owned()),
                metadata: BTreeMap::new(),
                pinned: None,
                due_at: client.wanted.due_at,
                lapses_at: client.wanted.lapses_at,
                no_hold: client.wanted.no_hold,
            },
            expires_in: client.expires_in_s.map(Duration::from_secs),
        })
    }

    /// The key and digest that go with a create request.
    pub(crate) fn create_key(&self, idx: usize, body: Body, keyed: bool) -> Option<KeyedRequest> {
        let key = format!("k{idx}");
        keyed.then(|| KeyedRequest { key, fingerprint: vec![body as u8] })
    }

    /// A create request was answered.
    pub(crate) fn created(
        &mut self,
        idx: usize,
        act: u16,
        result: Result<(Payment, Fresh), EngineError>,
    ) {
        let Does::Create { body, .. } = self.slots[idx].acts[usize::from(act)].does else { return };
        self.slots[idx].client.creating -= 1;
        match result {
            Ok((payment, fresh)) => {
                self.note_rescue(idx, &payment);
                self.created_well(idx, body, &payment, fresh);
            }
            Err(EngineError::KeyConflict) => self.reach(Path::KeyReusedWithOtherBody),
            Err(EngineError::OrderConflict(_)) => self.reach(Path::OrderReusedWithOtherBody),
            Err(error) => {
                if matches!(error, EngineError::CommitUnknown) {
                    self.reach(Path::UnknownCommitUnread);
                }
                self.say(idx, || format!("merchant hears: {error}"));
                self.retry_act(idx, act, 4_000);
            }
        }
    }

    fn created_well(&mut self, idx: usize, body: Body, payment: &Payment, fresh: Fresh) {
        let status = payment.status();
        self.say(idx, || format!("merchant hears: {} {}", payment.id, status.name()));
        let client = &mut self.slots[idx].client;
        let order = body.order();
        let (known, accepted) = (client.known[order], client.accepted[order]);
        client.known[order] = Some(payment.id);
        client.accepted[order] = Some(body);
        let first = !std::mem::replace(&mut client.answered, true);
        let raced = client.creating > 0 || first;
        if known.is_some_and(|id| id != payment.id) {
            self.violate(8, idx, || "one order number was answered with two payments".to_owned());
        }
        if accepted.is_some_and(|a| a != body)
            || self.slots[idx].client.money_of(body) != payment.money.minor()
        {
            self.violate(8, idx, || "another request was taken for the same".to_owned());
        }
        if fresh == Fresh::Replayed {
            self.reach(Path::Replayed);
            if raced {
                self.reach(Path::DuplicateRequestRaced);
            }
        }
        self.heard(idx, payment);
    }

    /// A merchant hears how its payment stands, and shows its customer what there is.
    pub(crate) fn heard(&mut self, idx: usize, payment: &Payment) {
        if payment.status() == Status::Unavailable {
            self.reach(Path::Unavailable);
        }
        if let Some(attempt) = payment.presented() {
            self.check_shown(idx, payment, attempt);
            let number = attempt.number.clone();
            let at = self.slots[idx].orders.iter().position(|o| o.number == number);
            if let Some(at) = at
                && !std::mem::replace(&mut self.slots[idx].orders[at].shown, true)
            {
                if self.is_bank(idx, at) {
                    self.check_transfer_shown(idx, attempt);
                    self.court_transfer(idx, at, payment.expires_at);
                } else {
                    self.court(idx, at, payment.expires_at);
                }
            }
        }
    }

    /// A customer sees a code and makes up its mind.
    fn court(&mut self, idx: usize, at: usize, expires_at: Timestamp) {
        self.slots[idx].orders[at].courted = true;
        let left_ms = expires_at.since(self.now).as_millis() as i64;
        let manner = self.slots[idx].client.manner;
        let dice = self.slots[idx].dice(Purpose::Customer);
        let usual = dice.between(500, 90_000);
        let late = left_ms + dice.between(-40_000, 50_000);
        let (scans, refuses) = (dice.percent(30), dice.between(300, 20_000));
        let when = match manner {
            Manner::Pays | Manner::PaysAll => Some(usual),
            Manner::PaysLate => Some(late.max(0)),
            Manner::Hesitates => Some(refuses + usual),
            Manner::WalksAway => None,
        };
        let now = self.now;
        if scans {
            self.slots[idx].orders[at].scan(now);
        }
        if manner == Manner::Hesitates {
            self.reach(Path::CustomerRefused);
        }
        if let Some(ms) = when {
            self.after_ms(ms, Event::Customer(idx as u32, at as u16));
        }
        self.mail_false_success(idx, at);
    }

    /// An order came to be whose code the merchant may never hear of; somebody may pay it all
    /// the same.
    pub(crate) fn court_orphan(&mut self, idx: usize, at: usize) {
        // A form or a link that never left us is nobody's to pay.
        let home = matches!(self.slots[idx].orders[at].house, House::UnionPay | House::Paypal);
        if home || self.strike(idx, Purpose::Customer, &[Fault::OrphanPaid]).is_none() {
            return;
        }
        let ms = self.slots[idx].dice(Purpose::Customer).between(4_500, 60_000);
        self.after_ms(ms, Event::Customer(idx as u32, at as u16));
    }

    /// A customer pays, if the provider lets it.
    pub(crate) fn customer_pays(&mut self, idx: usize, at: usize) {
        let last_shown = self.slots[idx].orders.iter().rposition(|o| o.shown);
        let manner = self.slots[idx].client.manner;
        let orphan = !self.slots[idx].orders[at].courted;
        let old = !orphan && last_shown.is_some_and(|last| last > at);
        let dice = self.slots[idx].dice(Purpose::Customer);
        let stubborn = dice.percent(30);
        let slow = dice.percent(35);
        if old && manner != Manner::PaysAll && !stubborn {
            return;
        }
        let now = self.now;
        let order = &mut self.slots[idx].orders[at];
        let expired = now >= order.expires_at;
        if !order.pay(slow, now) {
            self.say(idx, || format!("customer cannot pay order {}", at + 1));
            self.debit_late(idx, at, expired);
            return;
        }
        let (captured, approved) = (order.is_captured(), order.state == State::Approved);
        self.say(idx, || format!("customer pays order {}", at + 1));
        if approved {
            return self.approved(idx, at, old, expired);
        }
        if old {
            self.reach(Path::PaidOldCode);
        }
        if expired {
            self.reach(Path::PaidAfterExpiry);
        }
        if captured {
            self.captured(idx, at);
        } else {
            let ms = self.slots[idx].dice(Purpose::Customer).between(300, 20_000);
            self.after_ms(ms, Event::Settle(idx as u32, at as u16));
        }
    }

    /// A customer has approved at PayPal; no money has moved.
    fn approved(&mut self, idx: usize, at: usize, old: bool, expired: bool) {
        if old {
            self.reach(Path::ApprovedAfterSwitch);
        }
        if expired {
            self.reach(Path::ApprovedAfterExpiry);
        }
        self.mail_approval(idx, at);
    }

    /// UnionPay's customer paid at a bank that was too slow: the debit came after the order's
    /// end, UnionPay gives it back within days, and nobody is told. Our books must not hear of
    /// it, so here it leaves no trace but its name.
    fn debit_late(&mut self, idx: usize, at: usize, expired: bool) {
        let order = &self.slots[idx].orders[at];
        if !expired || order.house != House::UnionPay || order.is_captured() {
            return;
        }
        if self.strike(idx, Purpose::Customer, &[Fault::DebitedLate]).is_some() {
            self.say(idx, || format!("order {} is debited late and given back", at + 1));
            self.reach(Path::DebitedLate);
        }
    }

    /// A switch was answered.
    pub(crate) fn switched(&mut self, idx: usize, act: u16, result: Result<Payment, EngineError>) {
        match result {
            Ok(payment) => {
                self.say(idx, || format!("merchant hears: {}", payment.status().name()));
                self.heard(idx, &payment);
            }
            Err(EngineError::Blocked(Blocked::Unsettled(_))) => self.reach(Path::BlockedByUnknown),
            Err(EngineError::Store(_) | EngineError::CommitUnknown | EngineError::Busy) => {
                self.retry_act(idx, act, 3_000);
            }
            Err(error) => self.say(idx, || format!("merchant hears: {error}")),
        }
    }

    /// A cancel was answered.
    pub(crate) fn cancelled(&mut self, idx: usize, act: u16, result: Result<Payment, EngineError>) {
        match result {
            Ok(payment) => {
                self.say(idx, || format!("merchant hears: {}", payment.status().name()));
                if matches!(payment.state, PaymentState::Paid { .. }) {
                    self.reach(Path::CancelLostToPayment);
                }
            }
            Err(EngineError::Store(_) | EngineError::CommitUnknown | EngineError::Busy) => {
                self.retry_act(idx, act, 3_000);
            }
            Err(error) => self.say(idx, || format!("merchant hears: {error}")),
        }
    }

    /// A refund was answered.
    pub(crate) fn refunded(
        &mut self,
        idx: usize,
        act: u16,
        result: Result<(Payment, u16, Fresh), EngineError>,
    ) {
        let keyed = matches!(
            self.slots[idx].acts[usize::from(act)].does,
            Does::Refund { key: Some(_), .. }
        );
        match result {
            Ok((_, ordinal, fresh)) => {
                self.say(idx, || format!("merchant hears: refund {ordinal} {fresh:?}"));
                if fresh == Fresh::Replayed {
                    self.reach(Path::RefundRepeated);
                }
            }
            Err(EngineError::RefundRefused(RefundRefused::TooMuch { .. })) => {
                self.reach(Path::RefundTooMuch);
            }
            Err(EngineError::RefundRefused(RefundRefused::NotPaid)) => {
                self.retry_act(idx, act, 120_000);
            }
            // Without a key a merchant cannot know, and must not repeat it.
            Err(EngineError::Store(_) | EngineError::CommitUnknown | EngineError::Busy)
                if keyed =>
            {
                self.retry_act(idx, act, 5_000);
            }
            Err(error) => self.say(idx, || format!("merchant hears: {error}")),
        }
    }

    /// A request died with its process: its merchant asks again.
    pub(crate) fn bereaved(&mut self, idx: usize, act: u16) {
        let does = self.slots[idx].acts[usize::from(act)].does;
        if matches!(does, Does::Create { .. }) {
            self.slots[idx].client.creating -= 1;
        }
        if !matches!(does, Does::Refund { key: None, .. }) {
            self.retry_act(idx, act, 5_000);
        }
    }
}

impl Client {
    pub(crate) fn aim_and_methods(&self) -> (Aim, Vec<Method>) {
        (self.wanted.aim, self.methods.clone())
    }

    fn money_of(&self, body: Body) -> i64 {
        self.money + i64::from(body == Body::OtherAmount)
    }
}
