//! The degradation ladder in force: who moves it, what customers may know of methods, and what
//! a payment's customer may be offered.
//!
//! Levels and gates are controls: durable, audited, and read from memory. The policy's levels
//! follow health; what people and runbooks say in a scope counts instead. Nothing here decides
//! about money: a level opens further ways, a gate closes a purpose (see `paused`).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use domain::{
    Attempt, ChannelId, Controls, Descent, Flow, Gate, Level, Method, Money, Mover, Passage,
    Payment, PaymentState, Purpose, Reach, Tier, Timestamp,
};
use resilience::{Board, Cell, CellKey, LadderPolicy, LaneSight};
use store::AuditLine;

use crate::health::Journal;
use crate::options::{Ask, Fit};
use crate::{Engine, EngineError, Options};

/// A descent of the policy ends by itself after this, should nobody be there to end it.
const POLICY_LASTS: Duration = Duration::from_secs(3_600);
/// It is renewed when less than this is left.
const POLICY_RENEWS: Duration = Duration::from_secs(900);

/// What customers may know of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodSight {
    /// The method.
    pub method: Method,
    /// Whether a payment would be tried by it now.
    pub available: bool,
    /// How far its customers are led away from it.
    pub level: Level,
    /// What they are asked to use instead, while it is not available.
    pub instead: Option<Method>,
}

/// What customers may know of all methods: those that work first, then by the merchant's
/// ranking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighted {
    /// Counts the changes since the start of the process.
    pub version: u64,
    /// The methods of all channels.
    pub methods: Vec<MethodSight>,
    /// The level for everybody.
    pub level: Level,
}

/// What the customer of a payment may be offered now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The payment's methods that some channel takes for this amount, those that work first;
    /// and whether they work.
    pub methods: Vec<(Method, bool)>,
    /// The method that the customer wants or was shown, where it does not work.
    pub wanted_out: Option<Method>,
    /// A bank transfer, although the merchant did not list it.
    pub transfer: bool,
    /// To have the order kept and to pay later.
    pub later: bool,
    /// Help of the staff.
    pub assist: bool,
    /// How far down the ladder the payment is.
    pub level: Level,
}

impl Offer {
    /// Whether any way of paying works.
    pub fn can_be_paid(&self) -> bool {
        self.transfer || self.methods.iter().any(|(_, works)| *works)
    }

    /// Whether a method may be used although the payment does not list it.
    pub(crate) fn lends(&self, method: Method) -> bool {
        self.transfer && method == Method::BankTransfer
    }
}

/// The policy's memory as the controls have kept it.
fn remembered(controls: &Controls) -> LadderPolicy {
    let of_policy = controls.ladder.descents.iter().filter(|d| d.mover == Mover::Policy);
    LadderPolicy::resume(of_policy.map(|d| (d.reach.clone(), d.level)))
}

/// What a look around was made from: until something of it changes, another one shows the same.
#[derive(Debug)]
pub(crate) struct Looked {
    options: Arc<Options>,
    controls: Arc<Controls>,
    /// Which of the board's cells are out, and do not seem to be back.
    out: Vec<bool>,
    /// The looks are the same at these times: no control ends in between.
    from: Timestamp,
    until: Timestamp,
}

impl Looked {
    fn at(view: &View<'_>) -> Looked {
        let disables = view.controls.overrides.iter().filter_map(|o| o.until);
        let ends = view.controls.ladder.descents.iter().map(|d| d.until).chain(disables);
        Looked {
            options: Arc::clone(view.options),
            controls: Arc::clone(view.controls),
            out: view.out().collect(),
            from: view.now,
            until: ends.filter(|end| view.now < *end).min().unwrap_or(Timestamp::MAX),
        }
    }

    fn is_same(&self, view: &View<'_>) -> bool {
        Arc::ptr_eq(&self.options, view.options)
            && Arc::ptr_eq(&self.controls, view.controls)
            && (self.from..self.until).contains(&view.now)
            && view.out().eq(self.out.iter().copied())
    }
}

/// What is known of lanes at one moment.
struct View<'a> {
    options: &'a Arc<Options>,
    controls: &'a Arc<Controls>,
    board: &'a Board,
    journal: &'a Journal,
    now: Timestamp,
}

impl View<'_> {
    fn out(&self) -> impl Iterator<Item = bool> {
        self.board.cells().map(|(key, cell)| self.is_out(key, cell))
    }

    fn is_out(&self, key: &CellKey, cell: &Cell) -> bool {
        let quiet = Duration::from_millis(self.options.degradation.ladder.up_after_ms);
        cell.state.is_out() && !self.journal.seems_back(key, cell, quiet, self.now)
    }

    /// Whether a payment would be tried there now.
    fn works(&self, channel: &ChannelId, method: Method, purpose: Purpose) -> bool {
        let passage = Passage { method, channel: Some(channel), purpose };
        self.controls.ladder.bars(&passage, self.now).is_none() && self.is_well(channel, method)
    }

    /// Whether it is in service, whatever the ladder says.
    fn is_well(&self, channel: &ChannelId, method: Method) -> bool {
        let key = CellKey { channel: channel.clone(), method };
        self.controls.disabled(channel, method, self.now).is_none()
            && self.board.cell(&key).is_none_or(|cell| !self.is_out(&key, cell))
    }

    /// What the policy sees. People's levels are none of its business: else it would hold down
    /// for a while what they have just lifted.
    fn lanes(&self) -> Vec<LaneSight> {
        let lanes = self.options.lanes().map(|(channel, method)| LaneSight {
            channel: channel.clone(),
            method,
            in_service: self.is_well(channel, method),
        });
        lanes.collect()
    }

    fn level(&self, method: Method, purpose: Purpose) -> Level {
        self.controls.ladder.level(&Passage { method, channel: None, purpose }, self.now).0
    }

    fn sights(&self) -> Vec<MethodSight> {
        let mut seen = BTreeSet::new();
        let methods = self.options.lanes().map(|(_, method)| method);
        let methods: Vec<Method> = methods.filter(|method| seen.insert(*method)).collect();
        let works = |m: Method| {
            let mut of_it = self.options.lanes().filter(|(_, method)| *method == m);
            of_it.any(|(channel, _)| self.works(channel, m, Purpose::Checkout))
        };
        let instead = |m: Method| methods.iter().copied().find(|o| *o != m && works(*o));
        let mut sights: Vec<MethodSight> = methods
            .iter()
            .map(|&method| MethodSight {
                method,
                available: works(method),
                level: self.level(method, Purpose::Checkout),
                instead: (!works(method)).then(|| instead(method)).flatten(),
            })
            .collect();
        sights.sort_by_key(|sight| !sight.available);
        sights
    }

    /// Whether a method works for a payment; `None` when no channel takes it at all.
    fn takes(&self, payment: &Payment, money: Money, method: Method) -> Option<bool> {
        let flow = payment.terms.flow(method);
        let left = payment.expires_at.since(self.now).min(self.options.default_expiry);
        let ask = Ask { method, flow, money, left };
        let fits = self.options.channels.iter().filter(|c| matches!(c.fit(ask), Fit::Fits(_)));
        let works = fits.map(|c| self.works(&c.id, method, payment.terms.purpose));
        works.reduce(|a, b| a || b)
    }

    fn offer(&self, payment: &Payment) -> Offer {
        let terms = &payment.terms;
        let known = |&method: &Method| Some((method, self.takes(payment, payment.money, method)?));
        let mut methods: Vec<(Method, bool)> = terms.methods.iter().filter_map(known).collect();
        let wanted = payment.presented().map(|a| a.method).or(methods.first().map(|(m, _)| *m));
        let out = |wanted: &Method| methods.iter().any(|(m, works)| m == wanted && !works);
        let wanted_out = wanted.filter(out);
        methods.sort_by_key(|(_, works)| !works);
        let any = methods.iter().any(|(_, works)| *works);
        let transfer = !terms.methods.contains(&Method::BankTransfer)
            && self.takes(payment, payment.money, Method::BankTransfer) == Some(true);
        let level = self.level_of(payment, any, transfer);
        let presented = terms.methods.iter().any(|m| terms.flow(*m) == Flow::Presented);
        Offer {
            methods,
            wanted_out,
            transfer: transfer && level >= Level::Transfer && presented,
            later: level >= Level::Held && presented && !terms.no_hold && !payment.is_held(),
            assist: level >= Level::Assisted && terms.tier == Tier::Vip,
            level,
        }
    }

    /// The ladder speaks of methods; a payment that allows a few of them only may have none left
    /// while the ladder is high up. It then goes down as far as the policy may by itself.
    fn level_of(&self, payment: &Payment, any: bool, transfer: bool) -> Level {
        let purpose = payment.terms.purpose;
        let set = payment.terms.methods.iter().map(|m| self.level(*m, purpose)).min();
        let set = set.unwrap_or_default();
        let settings = &self.options.degradation.ladder;
        if any || !settings.automatic {
            return set;
        }
        let alone = if transfer { Level::Transfer } else { Level::Assisted };
        set.max(alone.min(settings.lowest))
    }
}

impl Engine {
    fn viewed<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let (options, controls, now) = (self.options(), self.controls(), self.now());
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let (options, controls, journal) = (&options, &controls, &self.journal());
        look(&View { options, controls, board: &board, journal, now })
    }

    /// What customers may know of every method, as last looked at.
    pub fn sight(&self) -> Arc<Sighted> {
        self.sight.borrow().clone()
    }

    /// Tells of changes of [`Engine::sight`].
    pub fn sight_changed(&self) -> tokio::sync::watch::Receiver<Arc<Sighted>> {
        self.sight.subscribe()
    }

    /// What the customer of a payment may be offered now; nothing once it has ended.
    pub fn offer(&self, payment: &Payment) -> Offer {
        match payment.state {
            PaymentState::Open => self.viewed(|view| view.offer(payment)),
            _ => Offer::default(),
        }
    }

    /// Notes what customers may know, when it has changed.
    pub(crate) fn look_around(&self) {
        // Held until it is told, so that an older look is not told after a newer one.
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.viewed(|view| {
            if looked.as_ref().is_some_and(|last| last.is_same(view)) {
                return None;
            }
            *looked = Some(Looked::at(view));
            let everybody = |d: &&Descent| d.reach == Reach::All;
            let ladder = &view.controls.ladder;
            let of_all = ladder.in_force(view.now).filter(everybody).map(|d| d.level).max();
            Some((view.sights(), of_all.unwrap_or_default()))
        });
        let Some((methods, level)) = seen else { return };
        self.sight.send_if_modified(|last| {
            if last.methods == methods && last.level == level {
                return false;
            }
            *last = Arc::new(Sighted { version: last.version + 1, methods, level });
            true
        });
    }

    /// Lets the policy look at health and moves its levels; to be called a few times a second.
    ///
    /// # Errors
    /// When the store does not keep a move; it is made again by the next call.
    pub async fn mind_ladder(&self) -> Result<(), EngineError> {
        let (lanes, settings, now) =
            self.viewed(|view| (view.lanes(), view.options.degradation.ladder.clone(), view.now));
        let wanted: Vec<(Reach, Level, String)> = {
            let mut policy = self.ladder.lock().unwrap_or_else(PoisonError::into_inner);
            policy.look(&lanes, &settings, now);
            let whys = |(r, level): (&Reach, Level)| (r.clone(), level, policy.why(r));
            policy.levels().map(whys).collect()
        };
        let controls = self.controls();
        for (reach, level, why) in wanted {
            if !self.is_set(&controls, &reach, level, now) {
                self.set_level(reach, level, why).await?;
            }
        }
        for descent in controls.ladder.descents.iter().filter(|d| self.owns(d)) {
            let reach = &descent.reach;
            if self.policy_level(reach) == Level::Normal {
                let why = format!("{reach}: in service again");
                self.set_level(reach.clone(), Level::Normal, why).await?;
            }
        }
        Ok(())
    }

    /// Whether the policy's word is in force and will be for a while: this level, or a deeper one
    /// by the policy of another process.
    fn is_set(&self, controls: &Controls, reach: &Reach, level: Level, now: Timestamp) -> bool {
        controls.ladder.descents.iter().any(|d| {
            let fresh = d.until.since(now) >= POLICY_RENEWS;
            let deep = d.level == level || (d.level > level && !self.owns(d));
            d.mover == Mover::Policy && d.reach == *reach && deep && fresh
        })
    }

    /// Whether a descent is the word of this process's policy. Another's is left alone: its
    /// health may see what ours does not, and it ends by itself should that process be gone.
    fn owns(&self, descent: &Descent) -> bool {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        descent.mover == Mover::Policy && owned.contains(&(descent.reach.clone(), descent.since))
    }

    /// Goes on with the policy's levels as the controls have kept them.
    pub(crate) fn take_up(&self, controls: &Controls) {
        *self.ladder.lock().unwrap_or_else(PoisonError::into_inner) = remembered(controls);
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        let of_policy = controls.ladder.descents.iter().filter(|d| d.mover == Mover::Policy);
        owned.extend(of_policy.map(|d| (d.reach.clone(), d.since)));
    }

    fn policy_level(&self, reach: &Reach) -> Level {
        self.ladder.lock().unwrap_or_else(PoisonError::into_inner).level(reach)
    }

    /// The policy's word on a scope.
    async fn set_level(&self, reach: Reach, to: Level, why: String) -> Result<(), EngineError> {
        let now = self.now();
        let of_policy = |d: &&Descent| d.reach == reach && d.mover == Mover::Policy;
        let from = self.controls().ladder.descents.iter().find(of_policy).map(|d| d.level);
        let from = from.unwrap_or_default();
        let action = match from == to {
            true => format!("keep {reach} at level {to}"),
            false => format!("move {reach} from level {from} to {to}"),
        };
        let line = AuditLine { at: now, by: "policy".to_owned(), action, reason: why.clone() };
        // Before it is kept: should its effect be unknown, it is ours all the same.
        let owned = || self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned().insert((reach.clone(), now));
        let descent = Descent {
            reach: reach.clone(),
            level: to,
            mover: Mover::Policy,
            reason: why,
            since: now,
            until: now + POLICY_LASTS,
        };
        self.change_controls(line, |controls, now| {
            controls.with_ladder(controls.ladder.descend(descent.clone(), now))
        })
        .await?;
        owned().retain(|(other, since)| *other != reach || *since == now);
        if from != to {
            tracing::warn!(%reach, %from, %to, "the degradation ladder has moved");
            self.moved(from, to);
        }
        Ok(())
    }

    /// Moves a scope to a level, by a person or a runbook, until a time. In that scope it counts
    /// instead of what health says; [`Level::Normal`] keeps the policy from moving it.
    ///
    /// # Errors
    /// When the end has passed or is too far away, there is no such channel, or the store does
    /// not keep it.
    pub async fn move_level(&self, new: Descent) -> Result<Arc<Controls>, EngineError> {
        self.bounded("a level", new.until)?;
        match &new.reach {
            Reach::Channel(channel) => self.known(channel)?,
            Reach::Purpose(purpose) if !self.options().knows(*purpose) => {
                return Err(EngineError::NoSuchPurpose(*purpose));
            }
            _ => {}
        }
        let (reach, level, until) = (&new.reach, new.level, new.until.as_secs());
        let line = AuditLine {
            at: self.now(),
            by: by(&new.mover),
            action: format!("move {reach} to level {level} until {until}"),
            reason: new.reason.clone(),
        };
        let before = self.controls().ladder.clone();
        let controls = self
            .change_controls(line, |controls, now| {
                controls.with_ladder(controls.ladder.descend(new.clone(), now))
            })
            .await?;
        let earlier = before.descents.iter().filter(|d| d.reach == new.reach).map(|d| d.level);
        self.moved(earlier.max().unwrap_or_default(), new.level);
        Ok(controls)
    }

    /// Takes people's and runbooks' word on a scope back; the policy's counts again.
    ///
    /// # Errors
    /// [`EngineError::NotMoved`] when there is none, or when the store does not keep it.
    pub async fn lift_level(
        &self,
        reach: &Reach,
        by: &str,
        reason: &str,
    ) -> Result<Arc<Controls>, EngineError> {
        self.follow_controls().await?;
        let (controls, now) = (self.controls(), self.now());
        let spoken = |d: &&Descent| d.reach == *reach && d.mover != Mover::Policy;
        let descent = controls.ladder.in_force(now).find(spoken).ok_or(EngineError::NotMoved)?;
        let action = format!("lift {reach} from level {}", descent.level);
        let (by, reason) = (by.to_owned(), reason.to_owned());
        let line = AuditLine { at: now, by, action, reason };
        let lifted = |controls: &Controls, now| {
            controls.with_ladder(controls.ladder.lift(reach, false, now))
        };
        let next = self.change_controls(line, lifted).await?;
        self.moved(descent.level, Level::Normal);
        Ok(next)
    }

    /// Pauses a purpose until a time (rule 9); an earlier pause of it is replaced.
    ///
    /// # Errors
    /// When the end has passed or is too far away, or the store does not keep it.
    pub async fn pause(&self, new: Gate) -> Result<Arc<Controls>, EngineError> {
        self.bounded("a pause", new.until)?;
        if !self.options().knows(new.purpose) {
            return Err(EngineError::NoSuchPurpose(new.purpose));
        }
        let line = AuditLine {
            at: self.now(),
            by: new.by.clone(),
            action: format!("pause {} until {}", new.purpose, new.until.as_secs()),
            reason: new.reason.clone(),
        };
        self.change_controls(line, |controls, now| {
            controls.with_ladder(controls.ladder.pause(new.clone(), now))
        })
        .await
    }

    /// Lets a purpose go on; whether it was paused. Twice is the same as once.
    ///
    /// # Errors
    /// When the store does not keep it.
    pub async fn resume(
        &self,
        purpose: Purpose,
        by: &str,
        reason: &str,
    ) -> Result<bool, EngineError> {
        // A pause whose answer was lost, or another process's, is lifted as well.
        self.follow_controls().await?;
        if self.controls().ladder.paused(purpose, self.now()).is_none() {
            return Ok(false);
        }
        let (by, reason) = (by.to_owned(), reason.to_owned());
        let line = AuditLine { at: self.now(), by, action: format!("resume {purpose}"), reason };
        self.change_controls(line, |controls, now| {
            controls.with_ladder(controls.ladder.resume(purpose, now))
        })
        .await?;
        self.work.notify_one();
        Ok(true)
    }

    fn bounded(&self, what: &'static str, until: Timestamp) -> Result<(), EngineError> {
        let (now, most) = (self.now(), self.options().degradation.pause_max);
        if until <= now {
            return Err(EngineError::EndPassed);
        }
        if until.since(now) > most {
            return Err(EngineError::TooLong { what, max_s: most.as_secs() });
        }
        Ok(())
    }
}

fn by(mover: &Mover) -> String {
    match mover {
        Mover::Policy => "policy".to_owned(),
        Mover::Runbook(name) => format!("runbook:{name}"),
        Mover::Operator(name) => name.clone(),
    }
}

/// Whether anything of a payment may still be paid.
pub(crate) fn is_waited_for(payment: &Payment) -> bool {
    payment.attempts.iter().any(Attempt::is_live)
}
