//! Notifications: true ones that are lost, late, repeated or out of order, and false ones.
//!
//! A forged one is refused by its codec before the engine sees it, so here it is only counted.

use domain::{
    ChannelId, Money, Notice, NoticeKind, OrderState, PaymentId, ProviderOrderNo, RefundState,
    Timestamp,
};
use engine::EngineError;
use uuid::Uuid;

use crate::faults::Fault;
use crate::paths::Path;
use crate::plant::Plant;
use crate::provider::{BackState, House};
use crate::stream::Purpose;
use crate::world::{Event, Spawn, World};

/// A notification on its way.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) idx: usize,
    pub(crate) order: usize,
    pub(crate) says: Says,
    pub(crate) wrong: Option<Fault>,
    pub(crate) tries: u32,
}

/// What a notification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Paid,
    Payable,
    Refund(usize),
    Hint,
}

impl World {
    /// A provider tells of a success.
    pub(crate) fn mail_success(&mut self, idx: usize, order: usize) {
        if self.has(Plant::SuccessDropped) {
            return;
        }
        let house = self.slots[idx].orders[order].house;
        // PayPal's word is never believed: it makes us ask.
        let hint = house == House::Paypal
            || (house == House::Stripe && self.slots[idx].dice(Purpose::Mail).percent(30));
        let says = if hint { Says::Hint } else { Says::Paid };
        if self.strike(idx, Purpose::Mail, &[Fault::NoticeStale]).is_some() {
            let ms = self.slots[idx].dice(Purpose::Mail).between(1_000, 2_400_000);
            self.post(idx, order, Says::Payable, None, ms);
        }
        self.post_all(idx, order, says);
        let false_ones =
            [Fault::NoticeWrongAmount, Fault::NoticeWrongChannel, Fault::NoticeUnknownNumber];
        if let Some(wrong) = self.strike(idx, Purpose::Mail, &false_ones) {
            let ms = self.slots[idx].dice(Purpose::Mail).between(10, 60_000);
            self.post(idx, order, Says::Paid, Some(wrong), ms);
        }
        // Refused by its codec: nothing reaches the engine.
        let _ = self.strike(idx, Purpose::Mail, &[Fault::NoticeForged]);
    }

    /// PayPal tells that a customer has approved.
    pub(crate) fn mail_approval(&mut self, idx: usize, order: usize) {
        self.post_all(idx, order, Says::Hint);
    }

    /// A false success about an order that nobody has paid.
    pub(crate) fn mail_false_success(&mut self, idx: usize, order: usize) {
        let false_ones = [Fault::NoticeWrongAmount, Fault::NoticeWrongChannel];
        if let Some(wrong) = self.strike(idx, Purpose::Mail, &false_ones) {
            let ms = self.slots[idx].dice(Purpose::Mail).between(10, 300_000);
            self.post(idx, order, Says::Paid, Some(wrong), ms);
        }
    }

    /// A provider tells how a refund ended.
    pub(crate) fn mail_refund(&mut self, idx: usize, order: usize, back: usize) {
        self.post_all(idx, order, Says::Refund(back));
    }

    fn post_all(&mut self, idx: usize, order: usize, says: Says) {
        let faults = [Fault::NoticeLost, Fault::NoticeLate];
        let struck = self.strike(idx, Purpose::Mail, &faults);
        let dice = self.slots[idx].dice(Purpose::Mail);
        let late = dice.between(30_000, 3_600_000);
        let soon = dice.between(20, 3_000);
        let ms = match struck {
            Some(Fault::NoticeLost) => {
                self.say(idx, || format!("notification {says:?} is lost"));
                return;
            }
            Some(_) => late,
            None => soon,
        };
        self.post(idx, order, says, None, ms);
        while self.strike(idx, Purpose::Mail, &[Fault::NoticeRepeated]).is_some() {
            let again = self.slots[idx].dice(Purpose::Mail).between(0, 900_000);
            self.post(idx, order, says, None, ms + again);
        }
    }

    fn post(&mut self, idx: usize, order: usize, says: Says, wrong: Option<Fault>, ms: i64) {
        self.letters.push(Letter { idx, order, says, wrong, tries: 0 });
        let letter = u32::try_from(self.letters.len() - 1).unwrap_or(u32::MAX);
        self.after_ms(ms, Event::Deliver(letter));
    }

    /// A notification reaches a process, or nobody is there and it comes again.
    pub(crate) fn deliver(&mut self, letter: u32) {
        match self.pick_proc() {
            Some(proc) => self.spawns.push(Spawn::Letter { proc, letter }),
            None => self.after_ms(5_000, Event::Deliver(letter)),
        }
    }

    /// What a notification's codec makes of it.
    pub(crate) fn notice(&mut self, at: u32) -> (ChannelId, Notice) {
        let letter = self.letters[at as usize].clone();
        let order = &self.slots[letter.idx].orders[letter.order];
        let mut channel = self.channels[order.channel].id.clone();
        let mut number = order.number.clone();
        let mut receipt = order.receipt();
        let unchecked = self.has(Plant::NoticeUnchecked);
        match letter.wrong.filter(|_| !unchecked) {
            Some(Fault::NoticeWrongAmount) => {
                let money = order.money;
                let other = Money::new(money.minor() + 7, money.currency());
                receipt.captured = other.unwrap_or(money);
            }
            Some(Fault::NoticeWrongChannel) => {
                let other = (order.channel + 1) % self.channels.len();
                channel = self.channels[other].id.clone();
            }
            Some(_) => {
                // Well formed, this seed's payment in its low bits, and nobody's.
                let stranger = PaymentId::from_uuid(Uuid::from_u128(letter.idx as u128));
                number = ProviderOrderNo::of(stranger, 1);
            }
            None => {}
        }
        let kind = match letter.says {
            Says::Paid => NoticeKind::Order(OrderState::Paid(receipt)),
            Says::Payable => NoticeKind::Order(OrderState::Payable),
            Says::Hint => NoticeKind::Hint,
            Says::Refund(back) => {
                let back = &order.refunds[back];
                let state = match back.state {
                    BackState::Working => RefundState::Pending,
                    _ => back.answer(),
                };
                NoticeKind::Refund { refund: back.number.clone(), state }
            }
        };
        let says = letter.says;
        self.say(letter.idx, || match letter.wrong {
            Some(wrong) => format!("notification {says:?} of {number} arrives ({})", wrong.name()),
            None => format!("notification {says:?} of {number} arrives"),
        });
        (channel, Notice { number, kind })
    }

    /// The engine has taken a notification in, or refused it.
    pub(crate) fn noticed(&mut self, at: u32, result: Result<(), EngineError>) {
        let letter = self.letters[at as usize].clone();
        let idx = letter.idx;
        match (letter.wrong, &result) {
            (Some(wrong), Ok(())) => {
                self.violate(7, idx, || {
                    format!("a false notification ({}) was taken in", wrong.name())
                });
            }
            (Some(wrong), Err(EngineError::Misfit(_) | EngineError::NotFound)) => {
                self.reach(match wrong {
                    Fault::NoticeWrongAmount => Path::WrongAmountRefused,
                    Fault::NoticeWrongChannel => Path::WrongChannelRefused,
                    _ => Path::UnknownNumberRefused,
                });
            }
            (None, Ok(())) => self.taken_in(&letter),
            (None, Err(error @ (EngineError::Misfit(_) | EngineError::NotFound))) => {
                let error = error.clone();
                self.violate(7, idx, || format!("a true notification was refused: {error}"));
            }
            (_, Err(_)) => self.again(at),
        }
    }

    fn taken_in(&mut self, letter: &Letter) {
        let order = &mut self.slots[letter.idx].orders[letter.order];
        let before = match letter.says {
            Says::Paid => std::mem::replace(&mut order.told_paid, true),
            Says::Refund(back) => std::mem::replace(&mut order.refunds[back].told, true),
            Says::Payable => {
                if order.is_captured() {
                    self.reach(Path::NotificationOutOfOrder);
                }
                false
            }
            Says::Hint => false,
        };
        if before {
            self.reach(Path::DuplicateNotification);
            if self.has(Plant::NoticeAppliedTwice) {
                self.book_again(letter.idx);
            }
        }
    }

    /// The provider was not answered and sends it again.
    pub(crate) fn again(&mut self, at: u32) {
        let letter = &mut self.letters[at as usize];
        letter.tries += 1;
        if letter.tries < 8 || !self.faults_on {
            self.after_ms(15_000, Event::Deliver(at));
        }
    }

    /// Whether the present task is a notification that was taken in before, or a false one.
    pub(crate) fn letter_must_not_change(&self, at: u32) -> Option<&'static str> {
        let letter = self.letters.get(at as usize)?;
        if letter.wrong.is_some() {
            return Some("a false notification");
        }
        let order = &self.slots[letter.idx].orders[letter.order];
        let before = match letter.says {
            Says::Paid => order.told_paid,
            Says::Refund(back) => order.refunds[back].told,
            Says::Payable | Says::Hint => false,
        };
        before.then_some("a repeated notification")
    }
}

/// Times in traces, relative to the start.
pub(crate) fn relative(at: Timestamp, start: Timestamp) -> String {
    let ms = (at.as_micros() - start.as_micros()) / 1_000;
    format!("{}.{:03} s", ms / 1_000, ms % 1_000)
}
