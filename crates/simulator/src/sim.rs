//! One world from its first moment to its verdict.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use engine::{Engine, KeyedRequest, NoMessages, Parts};
use recovery::bank::Desk;
use resilience::{Cause, Settings};

use crate::disk::Disk;
use crate::executor::{Executor, Job};
use crate::faults::Fault;
use crate::host::{HostClock, HostDice};
use crate::paths::Path;
use crate::plant::Plant;
use crate::report::Counts;
use crate::rescue::{Rescue, Tally};
use crate::script::Does;
use crate::siege::Duty;
use crate::town::Town;
use crate::wire::Wire;
use crate::world::{
    Ctx, ENDS_WITHIN_S, Event, FAULTS_STOP_S, Kind, Run, Shared, Spawn, TaskId, Violation, World,
    place_of,
};

/// What came of a world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The broken rule, if any; the world stops there.
    pub violation: Option<Violation>,
    /// What happened.
    pub counts: Counts,
    /// The trace, when it was asked for.
    pub trace: Vec<String>,
    /// Faults that struck (payment, how manieth, kind), when a trace was asked for.
    pub fired: Vec<(usize, u32, Fault)>,
    /// How requests ended that met the fault of a measurement.
    pub rescued: Tally,
    /// Acts that merchants were to do, when a trace was asked for.
    pub acted: Vec<(usize, u32)>,
}

/// Simulates one seed to its end.
pub fn simulate(run: Run) -> Outcome {
    let mut sim = Sim::new(run);
    sim.run();
    sim.outcome()
}

struct Sim {
    shared: Arc<Shared>,
    executor: Executor,
    engines: Vec<Option<Arc<Engine>>>,
    desks: Vec<Option<Arc<Desk>>>,
    options: engine::Options,
}

impl Sim {
    fn new(run: Run) -> Sim {
        let rescue = run.rescue;
        let mut options = crate::wire::options(&run);
        let shared = Shared::new(World::new(run));
        let executor = Executor::new(Arc::clone(&shared));
        if let Some(rescue) = rescue {
            options = rescue.options(options);
        }
        Sim { shared, executor, engines: Vec::new(), desks: Vec::new(), options }
    }

    fn run(&mut self) {
        let end = FAULTS_STOP_S + ENDS_WITHIN_S;
        loop {
            self.start_spawned();
            let event = {
                let mut world = self.shared.world();
                if world.violation.is_some() {
                    return;
                }
                world.plan_work();
                let event = world.next();
                world.publish_now(&self.shared);
                // What the world does by itself is nobody's task.
                (world.ctx.kind, world.ctx.lease) = (Kind::Idle, Timestamp::MAX);
                if world.elapsed_us() > end * 1_000_000 {
                    break;
                }
                event
            };
            match event {
                Some(event) => self.happen(event),
                None => break,
            }
        }
        self.count_health();
        self.shared.world().verdict();
    }

    fn outcome(self) -> Outcome {
        drop(self.executor);
        drop((self.engines, self.desks));
        let mut world = self.shared.world();
        Outcome {
            violation: world.violation.take(),
            counts: world.counts.clone(),
            rescued: std::mem::take(&mut world.rescued),
            trace: std::mem::take(&mut world.trace),
            fired: std::mem::take(&mut world.fired),
            acted: std::mem::take(&mut world.acted),
        }
    }

    fn happen(&mut self, event: Event) {
        let at = |n: u16| usize::from(n);
        let world = || self.shared.world();
        match event {
            Event::Resume(place, turn) => self.resume(TaskId { place, turn }),
            Event::Arrive(flight) => world().arrive(flight),
            Event::Land(landing) => world().land(landing),
            Event::Merchant(idx, act) => world().act(idx as usize, act),
            Event::Customer(idx, order) => world().customer_pays(idx as usize, at(order)),
            Event::Settle(idx, order) => world().settle(idx as usize, at(order)),
            Event::SettleRefund(idx, order, back) => {
                world().settle_refund(idx as usize, at(order), at(back));
            }
            Event::Deliver(letter) => world().deliver(letter),
            Event::Work => world().work(),
            Event::Start => {
                let mut world = world();
                world.wake_sleepers();
                world.start_if_wanted();
                drop(world);
                self.executor.ring();
            }
            Event::Outage(channel, on) => world().set_outage(usize::from(channel), on),
            Event::IssuerOutage(issuer, channel, on) => {
                world().set_issuer_outage(issuer, channel, on);
            }
            Event::Look(proc, goes_on) => self.look(at(proc), goes_on),
            Event::Transfer(plan) => world().transfer(plan),
            Event::BankLand(landing) => world().bank_land(landing),
            Event::Tell | Event::Statement | Event::Clerks => world().errand(event),
            Event::Operator(command) => world().operator(command),
            Event::ControlsLand(landing) => world().controls_land(landing),
            Event::Beat(proc, looks) => world().beat(at(proc), looks),
            Event::StopFaults => world().stop_faults(),
        }
    }

    /// A task goes on, unless its process stands still.
    fn resume(&mut self, id: TaskId) {
        let Some(proc) = self.executor.proc_of(id) else { return };
        let mut world = self.shared.world();
        if let Some(until) = world.procs[proc].still_until {
            world.schedule(until, Event::Resume(id.place, id.turn));
            return;
        }
        drop(world);
        self.executor.poll(id);
        self.tell_bereaved();
    }

    /// A process looks at what silence tells it, and its calls hear of it.
    fn look(&mut self, proc: usize, goes_on: bool) {
        let Some(engine) = self.engine(proc) else { return };
        if self.shared.world().may_look(proc, goes_on) {
            engine.watch_health();
            if goes_on && !engine.fleet().sick_issuers.is_empty() {
                self.shared.world().reach(Path::IssuerSick);
            }
            self.executor.tell_all(proc);
            self.tell_bereaved();
        }
    }

    /// What the engines that are left know of the health of channels.
    fn count_health(&self) {
        let turns = self.engines.iter().flatten().flat_map(|engine| engine.health_changes());
        let paths: Vec<Path> = turns.filter_map(|turn| turned(&turn)).collect();
        let mut world = self.shared.world();
        paths.into_iter().for_each(|path| world.reach(path));
    }

    fn start_spawned(&mut self) {
        loop {
            let spawns = std::mem::take(&mut self.shared.world().spawns);
            if spawns.is_empty() {
                return;
            }
            for spawn in spawns {
                self.start(spawn);
                self.tell_bereaved();
            }
        }
    }

    fn start(&mut self, spawn: Spawn) {
        let ctx = |proc, idx, kind| Ctx {
            task: TaskId::default(),
            proc,
            idx,
            kind,
            lease: Timestamp::MAX,
        };
        if !self.reachable(&spawn) {
            return;
        }
        match spawn {
            Spawn::Boot(proc) => self.boot(proc),
            Spawn::Act { proc, idx, act } => {
                if let Some(job) = self.act_job(proc, idx, act) {
                    self.executor.start(job, ctx(proc, idx, Kind::Act(act)));
                }
            }
            Spawn::Letter { proc, letter } => {
                let Some(engine) = self.engine(proc) else { return };
                let shared = Arc::clone(&self.shared);
                let (channel, notice) = shared.world().notice(letter);
                let idx = shared.world().letters[letter as usize].idx;
                let job = Box::pin(async move {
                    let result = engine.notice(&channel, notice).await;
                    shared.world().noticed(letter, result);
                });
                self.executor.start(job, ctx(proc, idx, Kind::Letter(letter)));
            }
            Spawn::Desk { proc, errand } => {
                let Some(desk) = self.desks.get(proc).cloned().flatten() else { return };
                let job = crate::town::job(Arc::clone(&self.shared), desk, errand);
                self.executor.start(job, ctx(proc, 0, Kind::Desk));
            }
            Spawn::Duty { proc, duty } => {
                let Some(engine) = self.engine(proc) else { return };
                let kind = match duty {
                    Duty::Command(command) => Kind::Operator(command),
                    Duty::Load | Duty::Mind | Duty::Look => Kind::Turn,
                };
                let job = crate::siege::job(Arc::clone(&self.shared), engine, proc, duty);
                self.executor.start(job, ctx(proc, 0, kind));
            }
            Spawn::Release { proc, payment } => {
                let Some(engine) = self.engine(proc) else { return };
                let job = Box::pin(async move {
                    // What was not released stays in the queue.
                    let _ = engine.release_paused(payment).await;
                });
                self.executor.start(job, ctx(proc, place_of(payment), Kind::Release));
            }
            Spawn::Claim { proc } => {
                let Some(engine) = self.engine(proc) else { return };
                let shared = Arc::clone(&self.shared);
                let job = Box::pin(async move {
                    let claims = engine.claim(16).await.unwrap_or_default();
                    shared.world().claimed(proc, claims);
                });
                self.executor.start(job, ctx(proc, 0, Kind::Claim));
            }
            Spawn::Perform { proc, claim } => {
                let Some(engine) = self.engine(proc) else { return };
                let mut ctx = ctx(proc, place_of(claim.payment), Kind::Perform);
                ctx.lease = claim.lease_until;
                let job = Box::pin(async move {
                    // A failure is the store's; the claim's lease runs out by itself.
                    let _ = engine.perform(claim).await;
                });
                self.executor.start(job, ctx);
            }
        }
    }

    /// Whether the process is still there that a command was meant for; if not, whoever meant
    /// it tries again.
    fn reachable(&self, spawn: &Spawn) -> bool {
        let mut world = self.shared.world();
        match *spawn {
            Spawn::Boot(_) => true,
            Spawn::Claim { proc }
            | Spawn::Perform { proc, .. }
            | Spawn::Desk { proc, .. }
            | Spawn::Release { proc, .. } => world.procs[proc].serves(),
            Spawn::Duty { proc, duty } => {
                let serves = world.procs[proc].serves();
                match duty {
                    Duty::Command(command) if !serves => world.commanded(command, None),
                    _ => {}
                }
                serves
            }
            Spawn::Act { proc, idx, act } => {
                let serves = world.procs[proc].serves();
                if !serves {
                    world.bereaved(idx, act);
                }
                serves
            }
            Spawn::Letter { proc, letter } => {
                let serves = world.procs[proc].serves();
                if !serves {
                    world.again(letter);
                }
                serves
            }
        }
    }

    fn engine(&self, proc: usize) -> Option<Arc<Engine>> {
        self.engines.get(proc)?.clone()
    }

    /// Builds a process's engine on the store that is there.
    fn boot(&mut self, proc: usize) {
        let skew = Arc::clone(&self.shared.world().procs[proc].skew);
        let clock = || HostClock { now: Arc::clone(&self.shared.now), skew: Arc::clone(&skew) };
        let ledger = crate::bank::ledger(&self.shared, proc, clock());
        let parts = Parts {
            store: Arc::new(Disk { shared: Arc::clone(&self.shared), proc }),
            caller: Arc::new(Wire {
                shared: Arc::clone(&self.shared),
                proc,
                ledger: ledger.clone(),
            }),
            clock: Arc::new(clock()),
            entropy: Arc::new(HostDice { shared: Arc::clone(&self.shared) }),
            render: Arc::new(NoMessages),
            owner: format!("process-{proc}"),
        };
        let rescue = self.shared.world().run.rescue;
        let settings = rescue.map_or_else(Settings::default, Rescue::settings);
        let engine = Engine::new(parts, self.options.clone(), settings);
        if self.engines.len() <= proc {
            self.engines.resize(proc + 1, None);
            self.desks.resize(proc + 1, None);
        }
        let engine = Arc::new(engine);
        self.desks[proc] = ledger.map(|ledger| Arc::new(Desk::new(ledger, Arc::clone(&engine))));
        self.engines[proc] = Some(engine);
        self.shared.world().plan_look(proc, Duration::ZERO, true);
    }

    fn act_job(&self, proc: usize, idx: usize, act: u16) -> Option<Job> {
        let engine = self.engine(proc)?;
        let shared = Arc::clone(&self.shared);
        let world = shared.world();
        let does = world.slots[idx].acts[usize::from(act)].does;
        let known = world.slots[idx].client.known[0];
        let money = world.slots[idx].client.money;
        let tries = world.slots[idx].acts[usize::from(act)].tries;
        let merchant = domain::MerchantId::new("shop").ok()?;
        let job: Job = match does {
            Does::Create { body, keyed } => {
                let wish = world.wish(idx, body)?;
                let key = world.create_key(idx, body, keyed);
                drop(world);
                Box::pin(async move {
                    let result = engine.create(wish, key).await;
                    shared.world().created(idx, act, result);
                })
            }
            Does::Hold { .. } | Does::Extend { .. } => {
                let id = known?;
                drop(world);
                Box::pin(async move {
                    let result = crate::siege::keep(&engine, &merchant, id, does).await;
                    shared.world().held(idx, act, result);
                })
            }
            Does::Cancel => {
                let id = known?;
                drop(world);
                Box::pin(async move {
                    let result = engine.cancel(&merchant, id).await;
                    shared.world().cancelled(idx, act, result);
                })
            }
            Does::Switch(method) | Does::Return(method) => {
                let id = known?;
                drop(world);
                Box::pin(async move {
                    let result = engine.switch(&merchant, id, method).await;
                    shared.world().switched(idx, act, result);
                })
            }
            Does::Refund { tenths, key } => {
                let id = known?;
                drop(world);
                let minor = (money * i64::from(tenths) / 10).max(1);
                let amount = domain::Money::new(minor, domain::Currency::CNY).ok();
                let amount = amount.filter(|_| tenths < 10);
                // Two bookings of one request would carry the same words (rule 16).
                let note = Some(format!("request {act}.{tries}"));
                let key = key.map(|key| KeyedRequest {
                    key: format!("r{idx}.{key}"),
                    fingerprint: vec![tenths as u8],
                });
                Box::pin(async move {
                    let result = engine.refund(&merchant, id, amount, note, key).await;
                    shared.world().refunded(idx, act, result);
                })
            }
        };
        Some(job)
    }

    /// Requests and notifications that died with their process are made again.
    fn tell_bereaved(&mut self) {
        let dead = self.executor.take_dead();
        if dead.is_empty() {
            return;
        }
        let mut world = self.shared.world();
        for ctx in dead {
            match ctx.kind {
                Kind::Act(act) => world.bereaved(ctx.idx, act),
                Kind::Letter(letter) => world.again(letter),
                Kind::Desk if world.town.as_ref().is_some_and(Town::has_news) => {
                    world.reach(Path::DeskDiedUntold);
                }
                Kind::Operator(command) => world.commanded(command, None),
                Kind::Idle
                | Kind::Claim
                | Kind::Perform
                | Kind::Desk
                | Kind::Turn
                | Kind::Release => {}
            }
        }
        let procs = &world.procs;
        let desks = self.desks.iter_mut();
        for ((engine, desk), proc) in self.engines.iter_mut().zip(desks).zip(procs) {
            if !proc.alive {
                (*engine, *desk) = (None, None);
            }
        }
    }
}

/// Which path a change of a cell's state is.
fn turned(turn: &engine::Turn) -> Option<Path> {
    match (turn.to, turn.cause) {
        ("down", Some(Cause::Hang)) => Some(Path::HangSeen),
        ("down", Some(Cause::Conversion)) => Some(Path::SilentCodesSeen),
        ("down", _) => Some(Path::ChannelFell),
        ("ramping", _) => Some(Path::ChannelRamped),
        ("healthy", _) if turn.from == "ramping" => Some(Path::ChannelCameBack),
        _ => None,
    }
}

impl World {
    /// Sends a worker when the next task of any payment is due.
    fn plan_work(&mut self) {
        if !std::mem::take(&mut self.work_changed) {
            return;
        }
        let Some(due) = self.earliest_work() else { return };
        let at = due.max(self.work_floor).max(self.now);
        if self.work_at.is_none_or(|planned| at < planned) {
            self.work_at = Some(at);
            self.schedule(at, Event::Work);
        }
    }

    fn work(&mut self) {
        if self.work_at.is_none_or(|at| at > self.now) || self.has(Plant::WorkersDead) {
            return; // Somebody was sent earlier.
        }
        self.work_at = None;
        self.work_changed = true;
        self.work_floor = self.now + Duration::from_millis(100);
        match self.pick_proc() {
            Some(proc) => self.spawns.push(Spawn::Claim { proc }),
            None => self.work_floor = self.now + Duration::from_secs(1),
        }
    }

    fn claimed(&mut self, proc: usize, claims: Vec<store::Claim>) {
        if claims.is_empty() {
            self.work_floor = self.now + Duration::from_secs(1);
        }
        for claim in claims {
            self.check_pace(claim.payment);
            let idx = place_of(claim.payment);
            self.say(idx, || format!("process {proc} claims it (fence {})", claim.fence));
            self.spawns.push(Spawn::Perform { proc, claim });
        }
    }

    fn stop_faults(&mut self) {
        self.tell(|| "faults stop".to_owned());
        self.faults_on = false;
        self.channels.iter_mut().for_each(|c| c.outage = None);
        self.sick.clear();
        for proc in 0..self.procs.len() {
            if self.procs[proc].alive {
                self.procs[proc].skew.store(0, std::sync::atomic::Ordering::Relaxed);
                self.clock_jumped(proc);
            }
        }
    }
}
