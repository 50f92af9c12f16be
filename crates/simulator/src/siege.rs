//! A siege: features are paused, orders are held, and people say how far customers are led away.
//!
//! Operators pause and resume purposes (also twice, also from two processes), move the ladder and
//! lift it; merchants' renewals and top-ups arrive meanwhile with due times and deadlines;
//! customers choose to pay later and come back, on two devices at once if they like. The controls
//! are durable here, with the faults that every other commit has, and each process runs the loops
//! that mind the ladder and release what was paused, as the server's workers do.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Controls, Descent, Gate, HoldBy, Level, MerchantId, Method, Mover, Payment, PaymentId,
    Purpose as Aim, Reach, Timestamp,
};
use engine::{Engine, EngineError};
use store::{Filter, StoreError};

use crate::disk::unanswered;
use crate::executor::{Job, Wait};
use crate::faults::Fault;
use crate::paths::Path;
use crate::plant::Plant;
use crate::script::Does;
use crate::stream::{Purpose, Stream};
use crate::world::{ARRIVALS_S, Event, FAULTS_STOP_S, Run, Shared, Spawn, World, place_of};

/// A pause meets one of so many payments.
const PAYMENTS: u32 = 64;
/// Paused payments that a process may release a second; the seeds take turns.
const RATES: [f64; 3] = [0.4, 1.0, 2.0];
/// The loops beat fast until this long after faults have stopped, in seconds.
const BUSY_S: i64 = FAULTS_STOP_S + ARRIVALS_S;

/// A world's siege.
pub(crate) struct Siege {
    dice: Stream,
    people: Vec<Stream>,
    /// When payments come, in milliseconds, and what for.
    arrivals: Vec<(i64, Aim)>,
    commands: Vec<Command>,
    /// What is durable.
    pub(crate) controls: Controls,
    landings: Vec<Option<Controls>>,
    pub(crate) rate: f64,
}

/// What an operator is going to do.
struct Command {
    order: Order,
    /// When what is set ends by itself; a repeated command asks for the same.
    until: Timestamp,
    tries: u32,
}

#[derive(Clone, Debug)]
enum Order {
    Pause(Aim, Duration),
    Resume(Aim),
    Move(Reach, Level, Duration),
    Lift(Reach),
}

/// What a process's people and loops do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// It loads what it must know before its first command.
    Load,
    /// An operator's command.
    Command(u32),
    /// One turn of the loop that minds the ladder.
    Mind,
    /// One turn of the loop that looks for what may be released.
    Look,
}

/// What a process knows of the siege.
#[derive(Debug, Default)]
pub(crate) struct Staff {
    /// The newest controls that the store has answered it with.
    pub(crate) knows: Controls,
    /// Its loops are in the middle of a turn.
    minds: bool,
    looks: bool,
    /// What the store said last of the queue.
    pub(crate) queue: Vec<PaymentId>,
    /// What it may still release at once, and since when.
    pub(crate) tokens: Option<(f64, Timestamp)>,
}

/// Whose wish a hold is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Customer,
    Merchant,
    Staff,
}

impl Holder {
    pub(crate) fn by(self) -> HoldBy {
        match self {
            Holder::Customer => HoldBy::Customer,
            Holder::Merchant => HoldBy::Merchant,
            Holder::Staff => HoldBy::Operator("li".to_owned()),
        }
    }
}

/// How long a payment is to live, in seconds, and what its people do besides, and when.
type Acts = (Option<u64>, Vec<(i64, Does)>);

/// What a merchant asks for in a siege.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) aim: Aim,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) lapses_at: Option<Timestamp>,
    pub(crate) no_hold: bool,
}

/// Times of holds and pauses that fit into a world; every world may hold an order.
pub(crate) fn set(run: &Run, options: &mut engine::Options) {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    options.policy.remind_before = minutes(5);
    options.policy.grace_step = minutes(3);
    let degradation = &mut options.degradation;
    (degradation.hold_for, degradation.hold_max) = (minutes(20), minutes(120));
    (degradation.paused_for, degradation.pause_max) = (minutes(40), minutes(60));
    degradation.ladder.up_after_ms = 20_000;
    degradation.release_per_second = rate(run);
}

fn rate(run: &Run) -> f64 {
    RATES[(run.seed / 16 % 3) as usize]
}

impl Siege {
    pub(crate) fn new(run: &Run) -> Siege {
        let person = |idx: usize| Stream::new(run.seed, Purpose::Siege, idx as u64 + 1);
        Siege {
            dice: Stream::new(run.seed, Purpose::Siege, 0),
            people: (0..run.size()).map(person).collect(),
            arrivals: Vec::new(),
            commands: Vec::new(),
            controls: Controls::default(),
            landings: Vec::new(),
            rate: rate(run),
        }
    }
}

impl World {
    /// Draws what operators do.
    pub(crate) fn open_siege(&mut self) {
        let Some(siege) = &mut self.siege else { return };
        let dice = &mut siege.dice;
        let mut plans: Vec<(i64, Order)> = Vec::new();
        let secs = |s: i64| Duration::from_secs(s.unsigned_abs());
        for aim in [Aim::Renewal, Aim::TopUp, Aim::Checkout] {
            let pauses = if aim == Aim::Checkout { dice.between(0, 1) } else { dice.between(1, 3) };
            for _ in 0..pauses {
                let (at, lasts) = (dice.between(0, ARRIVALS_S * 1_000), dice.between(40, 900));
                // Every other one comes when a payment does, between its intent and its call.
                let (meets, which, after) =
                    (dice.percent(50), dice.below(PAYMENTS), dice.between(0, 12));
                let alike = siege.arrivals.iter().filter(|(_, other)| *other == aim);
                let met = alike.cycle().nth(which as usize).filter(|_| meets);
                let at = met.map_or(at, |(comes, _)| comes + after);
                plans.push((at, Order::Pause(aim, secs(lasts))));
                if dice.percent(20) {
                    let again = secs(dice.between(40, 900));
                    plans.push((at + dice.between(0, 60_000), Order::Pause(aim, again)));
                }
                if dice.percent(60) {
                    let at = at + dice.between(1_000, lasts * 1_000);
                    plans.push((at, Order::Resume(aim)));
                    if dice.percent(30) {
                        plans.push((at + dice.between(0, 400), Order::Resume(aim)));
                    }
                }
            }
        }
        for (reach, level) in [
            (Reach::All, Level::Held),
            (Reach::Method(Method::Alipay), Level::OtherMethod),
            (Reach::Purpose(Aim::Checkout), Level::Held),
        ] {
            if dice.percent(50) {
                let (at, lasts) = (dice.between(0, ARRIVALS_S * 1_000), dice.between(60, 400));
                plans.push((at, Order::Move(reach.clone(), level, secs(lasts))));
                if dice.percent(50) {
                    plans.push((at + dice.between(5_000, lasts * 1_000), Order::Lift(reach)));
                }
            }
        }
        for (ms, order) in plans {
            let Some(siege) = &mut self.siege else { return };
            siege.commands.push(Command { order, until: Timestamp::EPOCH, tries: 0 });
            let command = u32::try_from(siege.commands.len() - 1).unwrap_or(u32::MAX);
            self.after_ms(ms, Event::Operator(command));
        }
    }

    /// What a siege's merchants ask for, and with which methods and token.
    pub(crate) fn siege_wish(&mut self, idx: usize) -> Option<(Wanted, Vec<Method>, bool)> {
        let start = self.start;
        let dice = &mut self.siege.as_mut()?.people[idx];
        let at = |s: i64| match u64::try_from(s) {
            Ok(later) => start + Duration::from_secs(later),
            Err(_) => start - Duration::from_secs(s.unsigned_abs()),
        };
        let due = dice.between(-300, ARRIVALS_S);
        let lapses = dice.percent(50).then(|| at(due + dice.between(10, 900)));
        let due_at = dice.percent(70).then(|| at(due));
        let (aim, methods, token) = match dice.below(20) {
            0..=6 => (Aim::Renewal, vec![Method::Card], true),
            7..=9 => (Aim::TopUp, vec![Method::Card], true),
            10 => (Aim::TopUp, vec![Method::Alipay], false),
            11 => (Aim::TopUp, vec![Method::Paypal], false),
            12 => (Aim::TopUp, vec![Method::Paypal, Method::Alipay], false),
            13 => (Aim::Checkout, vec![Method::Alipay, Method::Card], true),
            14 => (Aim::Checkout, vec![Method::Alipay], false),
            15 => (Aim::Checkout, vec![Method::UnionPay], false),
            16 => (Aim::Checkout, vec![Method::WechatPay, Method::Alipay], false),
            17..=18 => (Aim::Checkout, vec![Method::Paypal, Method::WechatPay], false),
            _ => (Aim::Checkout, vec![Method::Paypal], false),
        };
        let charged = aim != Aim::Checkout;
        let wanted = Wanted {
            aim,
            due_at: due_at.filter(|_| charged),
            lapses_at: lapses.filter(|_| aim == Aim::Renewal),
            no_hold: dice.percent(8),
        };
        Some((wanted, methods, token))
    }

    /// How long a siege's payment is to live, and what its people do besides.
    pub(crate) fn siege_acts(&mut self, idx: usize, at: i64) -> Option<Acts> {
        let (aim, methods) = self.slots[idx].client.aim_and_methods();
        let siege = self.siege.as_mut()?;
        siege.arrivals.push((at, aim));
        let dice = &mut siege.people[idx];
        let mut acts = Vec::new();
        let lives = dice.percent(40).then(|| dice.between(300, 4_000).unsigned_abs());
        // What nobody can close is paid after its cancel.
        let open = methods.contains(&Method::UnionPay);
        if dice.percent(if open { 70 } else { 20 }) {
            let latest = if open { 200_000 } else { 900_000 };
            acts.push((at + dice.between(500, latest), Does::Cancel));
        }
        if methods == [Method::Card] {
            return Some((lives, acts));
        }
        if dice.percent(45) {
            let by = match dice.below(3) {
                0 => Holder::Customer,
                1 => Holder::Merchant,
                _ => Holder::Staff,
            };
            let lasts_s = dice.percent(60).then(|| dice.between(120, 9_000).unsigned_abs());
            let when = at + dice.between(200, 120_000);
            acts.push((when, Does::Hold { lasts_s, by }));
            if dice.percent(40) {
                let longer_s = dice.between(600, 7_000).unsigned_abs();
                acts.push((when + dice.between(100, 300_000), Does::Extend { longer_s }));
            }
        }
        // The customer comes back through the link.
        for _ in 0..dice.between(0, 2) {
            let when = at + dice.between(20_000, 3_000_000);
            let mut device = || methods.get(dice.below(methods.len() as u32) as usize).copied();
            let (one, other) = (device(), device());
            acts.push((when, Does::Return(one)));
            if dice.percent(40) {
                acts.push((when + dice.between(0, 3_000), Does::Return(other)));
            }
        }
        Some((lives, acts))
    }

    /// A process has what it must know, and its loops begin.
    fn opened(&mut self, proc: usize) {
        self.procs[proc].open = true;
        let proc = u16::try_from(proc).unwrap_or(u16::MAX);
        self.after_ms(500, Event::Beat(proc, false));
        self.after_ms(100, Event::Beat(proc, true));
    }

    /// A process's loop takes a turn, unless it is in the middle of one, and the next is planned.
    /// `looks`: the loop that releases.
    pub(crate) fn beat(&mut self, proc: usize, looks: bool) {
        if !self.procs[proc].alive {
            return;
        }
        let busy = self.elapsed_us() < BUSY_S * 1_000_000;
        let every = match (looks, busy) {
            (true, true) => 2,
            (true, false) => 20,
            (false, true) => 6,
            (false, false) => 300,
        };
        // On whole seconds, so that processes look at the same moment.
        let next = Timestamp::from_secs(self.now.as_secs() / every * every + every);
        self.schedule(next, Event::Beat(u16::try_from(proc).unwrap_or(u16::MAX), looks));
        let kept = |w: &World| w.slots.iter().flat_map(|s| &s.rows).any(|r| r.payment.is_paused());
        if !self.procs[proc].takes() || (looks && !kept(self)) {
            return;
        }
        let staff = &mut self.procs[proc].staff;
        let turn = if looks { &mut staff.looks } else { &mut staff.minds };
        if !std::mem::replace(turn, true) {
            let duty = if looks { Duty::Look } else { Duty::Mind };
            self.spawns.push(Spawn::Duty { proc, duty });
        }
    }

    /// An operator gives a command, or gives it again.
    pub(crate) fn operator(&mut self, command: u32) {
        let Some(proc) = self.pick_proc() else {
            return self.after_ms(2_000, Event::Operator(command));
        };
        let now = self.now;
        let Some(siege) = &mut self.siege else { return };
        let known = &mut siege.commands[command as usize];
        known.tries += 1;
        if let (1, Order::Pause(_, lasts) | Order::Move(_, _, lasts)) = (known.tries, &known.order)
        {
            known.until = now + *lasts;
        }
        self.spawns.push(Spawn::Duty { proc, duty: Duty::Command(command) });
    }

    /// A command was answered, or died with its process.
    pub(crate) fn commanded(&mut self, command: u32, result: Option<Result<bool, EngineError>>) {
        let Some(siege) = &mut self.siege else { return };
        let Command { order, tries, .. } = &siege.commands[command as usize];
        let (text, again) = (format!("{order:?}"), *tries < 6);
        let resume = matches!(order, Order::Resume(_));
        self.tell(|| format!("operator hears of {text}: {result:?}"));
        match result {
            Some(Ok(false)) if resume => self.reach(Path::ResumedTwice),
            None | Some(Err(EngineError::Store(_) | EngineError::Busy)) if again => {
                self.after_ms(3_000, Event::Operator(command));
            }
            _ => {}
        }
    }

    /// The store answers a process with the controls.
    pub(crate) fn read_controls(&mut self, proc: usize) -> Controls {
        let Some(siege) = &self.siege else { return Controls::default() };
        let mut read = siege.controls.clone();
        self.learns(proc, &read);
        if self.has(Plant::GatesNotLoaded) {
            read.ladder.gates.clear();
        }
        read
    }

    /// From now on the process knows of these controls.
    pub(crate) fn learns(&mut self, proc: usize, controls: &Controls) {
        let knows = &mut self.procs[proc].staff.knows;
        if knows.version < controls.version {
            *knows = controls.clone();
        }
    }

    /// A change of the controls reaches the store. What its caller hears, and when if not now.
    pub(crate) fn set_controls(
        &mut self,
        next: &Controls,
    ) -> (Result<bool, StoreError>, Option<Timestamp>) {
        let idx = self.ctx.idx;
        let faults = [
            Fault::DiskFull,
            Fault::CommitUnknownDone,
            Fault::CommitUnknownNot,
            Fault::CommitUnknownLate,
            Fault::CommitSlow,
        ];
        let Some(fault) = self.strike(idx, Purpose::Disk, &faults) else {
            return (Ok(self.apply_controls(next)), None);
        };
        self.tell(|| format!("controls: {}", fault.name()));
        let ms = self.slots[idx].dice(Purpose::Disk).between(10, 20_000);
        let at = self.now + Duration::from_millis(ms.unsigned_abs());
        match fault {
            Fault::DiskFull => (Err(StoreError::Full("no space left".to_owned())), None),
            Fault::CommitSlow => (Ok(self.apply_controls(next)), Some(at)),
            fault => {
                self.reach(Path::ControlsUnknown);
                match fault {
                    Fault::CommitUnknownDone => drop(self.apply_controls(next)),
                    Fault::CommitUnknownLate => self.controls_later(next, at),
                    _ => {}
                }
                (Err(unanswered()), None)
            }
        }
    }

    fn controls_later(&mut self, next: &Controls, at: Timestamp) {
        let Some(siege) = &mut self.siege else { return };
        siege.landings.push(Some(next.clone()));
        let landing = u32::try_from(siege.landings.len() - 1).unwrap_or(u32::MAX);
        self.schedule(at, Event::ControlsLand(landing));
    }

    /// A change of the controls lands that its caller had given up on.
    pub(crate) fn controls_land(&mut self, landing: u32) {
        let Some(siege) = &mut self.siege else { return };
        let Some(next) = siege.landings[landing as usize].take() else { return };
        if self.apply_controls(&next) {
            self.reach(Path::ControlsLandedLate);
        }
    }

    fn apply_controls(&mut self, next: &Controls) -> bool {
        let Some(siege) = &mut self.siege else { return false };
        if siege.controls.version + 1 != next.version {
            self.reach(Path::ControlsRaced);
            return false;
        }
        siege.controls = next.clone();
        let ladder = &next.ladder;
        let gates: Vec<String> = ladder.gates.iter().map(|g| g.purpose.to_string()).collect();
        let (version, levels) = (next.version, ladder.descents.len());
        self.tell(|| format!("controls {version}: paused {gates:?}, {levels} levels set"));
        true
    }

    /// Payments that pass, newest first; only what the engine's loops ask for.
    pub(crate) fn list(&self, filter: &Filter) -> Vec<Payment> {
        let rows = self.slots.iter().flat_map(|slot| &slot.rows).map(|row| &row.payment);
        let passes = |p: &&Payment| {
            filter.status.is_none_or(|status| p.status() == status)
                && filter.before.is_none_or(|before| p.id < before)
        };
        let mut found: Vec<&Payment> = rows.filter(passes).collect();
        found.sort_by_key(|p| std::cmp::Reverse(p.id));
        found.truncate(filter.limit);
        found.into_iter().cloned().collect()
    }

    /// The queue of what is paused, as the store answers a process.
    pub(crate) fn queue(&mut self, proc: usize, except: &[Aim], limit: usize) -> Vec<PaymentId> {
        let rows = self.slots.iter().flat_map(|slot| &slot.rows).map(|row| &row.payment);
        let meant = rows.filter(|p| !except.contains(&p.terms.purpose));
        let mut queued: Vec<_> = meant.filter_map(|p| Some((p.queued_from()?, p.id))).collect();
        queued.sort_unstable();
        let queue: Vec<PaymentId> = queued.into_iter().map(|(_, id)| id).take(limit).collect();
        self.procs[proc].staff.queue.clone_from(&queue);
        queue
    }

    /// A process has found what it may release now.
    fn looked(&mut self, proc: usize, found: Result<Vec<PaymentId>, EngineError>) {
        self.procs[proc].staff.looks = false;
        let mut ready = found.unwrap_or_default();
        if self.has(Plant::ReleasedAtOnce) {
            ready.clone_from(&self.procs[proc].staff.queue);
        }
        self.check_let_go(proc, &ready);
        for payment in ready {
            self.say(place_of(payment), || format!("process {proc} is to release it"));
            self.spawns.push(Spawn::Release { proc, payment });
        }
    }

    /// A hold, or a longer one, was answered.
    pub(crate) fn held(&mut self, idx: usize, act: u16, result: Result<Payment, EngineError>) {
        match result {
            Ok(payment) => self.say(idx, || format!("merchant hears: {}", payment.status().name())),
            Err(EngineError::Store(_) | EngineError::CommitUnknown | EngineError::Busy) => {
                self.retry_act(idx, act, 3_000);
            }
            Err(error) => {
                if matches!(error, EngineError::HoldRefused(_) | EngineError::TooLong { .. }) {
                    self.reach(Path::HoldRefused);
                }
                self.say(idx, || format!("merchant hears: {error}"));
            }
        }
    }
}

/// What people and loops do, as a task of its process.
pub(crate) fn job(shared: Arc<Shared>, engine: Arc<Engine>, proc: usize, duty: Duty) -> Job {
    Box::pin(async move {
        match duty {
            Duty::Load => {
                while engine.start().await.is_err() {
                    let later = shared.world().now + Duration::from_secs(1);
                    Wait::new(&shared, later).await;
                }
                shared.world().opened(proc);
            }
            Duty::Command(command) => {
                let meant = {
                    let world = shared.world();
                    let known = world.siege.as_ref().map(|s| &s.commands[command as usize]);
                    known.map(|c| (c.order.clone(), c.until))
                };
                let Some((order, until)) = meant else { return };
                let result = obey(&engine, order, until).await;
                shared.world().commanded(command, Some(result));
            }
            Duty::Mind => {
                // What fails is tried again at the next turn.
                let _ = mind(&engine).await;
                shared.world().procs[proc].staff.minds = false;
            }
            Duty::Look => {
                let found = engine.releasable().await;
                shared.world().looked(proc, found);
            }
        }
    })
}

async fn mind(engine: &Engine) -> Result<(), EngineError> {
    engine.follow_controls().await?;
    engine.mind_ladder().await?;
    engine.go_round().await
}

async fn obey(engine: &Engine, order: Order, until: Timestamp) -> Result<bool, EngineError> {
    let (by, reason, since) = ("li".to_owned(), "a siege".to_owned(), engine.now());
    match order {
        Order::Pause(purpose, _) => {
            engine.pause(Gate { purpose, by, reason, since, until }).await.map(|_| true)
        }
        Order::Resume(purpose) => engine.resume(purpose, "wu", "it is over").await,
        Order::Move(reach, level, _) => {
            let mover = Mover::Operator(by);
            engine
                .move_level(Descent { reach, level, mover, reason, since, until })
                .await
                .map(|_| true)
        }
        Order::Lift(reach) => engine.lift_level(&reach, "wu", "it is over").await.map(|_| true),
    }
}

/// A merchant, a customer or staff act on an order.
pub(crate) async fn keep(
    engine: &Engine,
    merchant: &MerchantId,
    id: PaymentId,
    does: Does,
) -> Result<Payment, EngineError> {
    match does {
        Does::Hold { lasts_s, by } => {
            engine.hold(merchant, id, lasts_s.map(Duration::from_secs), by.by()).await
        }
        Does::Extend { longer_s } => {
            let until = engine.now() + Duration::from_secs(longer_s);
            engine.extend_hold(merchant, id, until, ("li", "the customer called")).await
        }
        _ => engine.payment(merchant, id).await,
    }
}
