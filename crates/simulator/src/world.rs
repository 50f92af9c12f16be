//! The virtual world: time, the queue of what happens next, and everybody's state.
//!
//! One seed is one world. Time moves only from one event to the next; events at the same time
//! keep the order in which they were made. The world is behind one lock which nobody holds
//! across an await.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{PaymentId, ProviderOrderNo, Timestamp};
use store::Claim;

use crate::books::Slot;
use crate::faults::{Fault, Weather};
use crate::host::{Point, Proc};
use crate::kept::Tally;
use crate::mail::Letter;
use crate::paths::Path;
use crate::plant::Plant;
use crate::report::Counts;
use crate::rescue::{Rescue, Tally as Rescued};
use crate::siege::{Duty, Siege};
use crate::stream::{Purpose, Stream};
use crate::town::{Errand, Town};
use crate::wire::{Channel, Flight};

/// Virtual time begins here: an ordinary moment, in seconds since the Unix epoch.
pub(crate) const START_S: i64 = 1_800_000_000;
/// New payments come within this, in seconds.
pub(crate) const ARRIVALS_S: i64 = 6 * 60;
/// Faults stop after this, in seconds.
pub(crate) const FAULTS_STOP_S: i64 = 20 * 60;
/// Everything has ended this long after faults stopped, in seconds (rule 17): the longest life
/// of a payment, then a refund of unknown effect that is asked about, sent again and asked
/// about again at the slowest beat of the schedule, which is an hour and a tenth.
pub(crate) const ENDS_WITHIN_S: i64 = 6 * 3600;

/// Every so manieth seed has few kinds of faults, and those often.
const STORM_EVERY: u64 = 8;
/// Every so manieth seed is a crowd: enough traffic that health learns what is usual, and
/// faults that only many payments together show.
const CROWD_EVERY: u64 = 8;
/// Every so manieth seed is a bazaar: providers without a close call and providers where a call
/// of ours takes the money, with two accounts each. No older seed with a name is one.
const BAZAAR_EVERY: u64 = 8;
/// Of so many seeds, these are towns: customers may pay by bank transfer, and the real ledger
/// answers for it. No older seed with a name is one.
const TOWNS: (u64, [u64; 2]) = (16, [4, 7]);
/// Of so many seeds, these are sieges: features are paused and orders held. No older seed with a
/// name is one.
const SIEGES: (u64, [u64; 2]) = (16, [3, 13]);
/// How many times as many payments a crowd has.
const CROWD: usize = 10;
/// How often a process looks at health while nothing is slow.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// How many payments there are; a crowd has several times as many.
    pub payments: usize,
    /// Only this payment takes part, of those that the seed has.
    pub only: Option<BTreeSet<usize>>,
    /// Kinds of faults that do not happen.
    pub calm: BTreeSet<Fault>,
    /// Single faults that do not happen: the payment, and the how manieth of its faults.
    pub spared: BTreeSet<(usize, u32)>,
    /// Single acts of merchants and customers that do not happen.
    pub idle: BTreeSet<(usize, u32)>,
    /// No faults at all.
    pub healthy: bool,
    /// One fault under steady traffic instead, to measure what it costs.
    pub rescue: Option<Rescue>,
    /// A planted bug.
    pub plant: Option<Plant>,
    /// Keep the trace.
    pub trace: bool,
}

impl Run {
    /// Whether this seed is a crowd.
    pub(crate) fn is_crowd(&self) -> bool {
        self.rescue.is_none() && self.seed % CROWD_EVERY == CROWD_EVERY - 7
    }

    /// Whether this seed is a bazaar.
    pub(crate) fn is_bazaar(&self) -> bool {
        self.rescue.is_none() && self.seed.is_multiple_of(BAZAAR_EVERY)
    }

    /// Whether this seed is a town.
    pub(crate) fn is_town(&self) -> bool {
        self.rescue.is_none() && TOWNS.1.contains(&(self.seed % TOWNS.0))
    }

    /// Whether this seed is a siege.
    pub(crate) fn is_siege(&self) -> bool {
        self.rescue.is_none() && SIEGES.1.contains(&(self.seed % SIEGES.0))
    }

    /// How many payments there are in all.
    pub(crate) fn size(&self) -> usize {
        if self.is_crowd() { self.payments * CROWD } else { self.payments }
    }

    /// A seed with so many payments, as drawn.
    pub fn new(seed: u64, payments: usize) -> Run {
        Run {
            seed,
            payments,
            only: None,
            calm: BTreeSet::new(),
            spared: BTreeSet::new(),
            idle: BTreeSet::new(),
            healthy: false,
            rescue: None,
            plant: None,
            trace: false,
        }
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's number.
    pub rule: u8,
    /// The payment's place in the seed.
    pub payment: usize,
    /// Virtual time since the start, in microseconds.
    pub at_us: i64,
    /// What is wrong.
    pub text: String,
}

/// A future that the executor polls; the turn tells apart two that used the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct TaskId {
    pub(crate) place: u32,
    pub(crate) turn: u32,
}

/// What a task is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Idle,
    Act(u16),
    Letter(u32),
    Claim,
    Perform,
    /// Something at the bank's desk; it turns from payment to payment.
    Desk,
    /// An operator's command.
    Operator(u32),
    /// A turn of a loop, which turns from payment to payment as well.
    Turn,
    /// The release of a paused payment.
    Release,
}

impl Kind {
    /// Whether it comes from one payment to the next.
    pub(crate) fn wanders(self) -> bool {
        matches!(self, Kind::Desk | Kind::Operator(_) | Kind::Turn)
    }
}

/// Who is being polled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ctx {
    pub(crate) task: TaskId,
    pub(crate) proc: usize,
    pub(crate) idx: usize,
    pub(crate) kind: Kind,
    /// The lease of the claim that it works under.
    pub(crate) lease: Timestamp,
}

/// What happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A task may go on.
    Resume(u32, u32),
    /// A call arrives at its provider.
    Arrive(u32),
    /// A commit takes effect after its caller has given up.
    Land(u32),
    /// A merchant acts.
    Merchant(u32, u16),
    /// A customer pays an order (or tries).
    Customer(u32, u16),
    /// A provider finishes what it was working on.
    Settle(u32, u16),
    /// A provider finishes a refund.
    SettleRefund(u32, u16, u16),
    /// A notification arrives.
    Deliver(u32),
    /// A worker looks for work.
    Work,
    /// A process is started.
    Start,
    /// A channel's outage begins or ends.
    Outage(u8, bool),
    /// An issuer's outage begins or ends, on one channel or on all.
    IssuerOutage(u8, Option<u8>, bool),
    /// A process looks at health; the next look follows by itself, or not.
    Look(u16, bool),
    /// A customer makes a bank transfer.
    Transfer(u32),
    /// A commit of the bank's books takes effect after its caller has given up.
    BankLand(u32),
    /// The desk's worker looks for what is new.
    Tell,
    /// A bank statement is imported.
    Statement,
    /// Clerks do what lies on their desks.
    Clerks,
    /// An operator gives a command.
    Operator(u32),
    /// A change of the controls takes effect after its caller has given up.
    ControlsLand(u32),
    /// A loop of a process takes a turn: the one that releases, or the one that minds the ladder.
    Beat(u16, bool),
    /// Faults stop.
    StopFaults,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    seq: u64,
    pub(crate) event: Event,
}

/// A command that the executor makes a task of.
#[derive(Debug)]
pub(crate) enum Spawn {
    Boot(usize),
    Act { proc: usize, idx: usize, act: u16 },
    Letter { proc: usize, letter: u32 },
    Claim { proc: usize },
    Perform { proc: usize, claim: Claim },
    Desk { proc: usize, errand: Errand },
    Duty { proc: usize, duty: Duty },
    Release { proc: usize, payment: PaymentId },
}

/// Everybody's state.
pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) now: Timestamp,
    pub(crate) start: Timestamp,
    queue: BinaryHeap<Reverse<Entry>>,
    seq: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) procs: Vec<Proc>,
    pub(crate) ctx: Ctx,
    pub(crate) spawns: Vec<Spawn>,
    /// Processes that die when the present poll is over.
    pub(crate) doomed: Vec<usize>,
    /// The task that was polled last waits for a time.
    pub(crate) timed_wait: bool,
    pub(crate) channels: Vec<Channel>,
    /// Issuers that fail, on one channel or on all.
    pub(crate) sick: Vec<(u8, Option<u8>)>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) landings: Vec<Option<store::Change>>,
    pub(crate) weather: Weather,
    pub(crate) balance: Stream,
    pub(crate) faults_on: bool,
    pub(crate) work_at: Option<Timestamp>,
    pub(crate) work_floor: Timestamp,
    pub(crate) work_changed: bool,
    /// When each slot's earliest work may be claimed; the slots themselves are far apart.
    pub(crate) agenda: Vec<Timestamp>,
    /// What each task did last, by its place.
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) counts: Counts,
    pub(crate) rescued: Rescued,
    pub(crate) fired: Vec<(usize, u32, Fault)>,
    pub(crate) acted: Vec<(usize, u32)>,
    pub(crate) trace: Vec<String>,
    pub(crate) violation: Option<Violation>,
    pub(crate) wanted_procs: usize,
    /// Nobody stands in for a process that stands still: one machine, suspended as a whole.
    pub(crate) lonely: bool,
    /// The task that heard last that a close gave money back, and of which order.
    pub(crate) heard_back: Option<(TaskId, usize, usize)>,
    /// The bank, where there is one.
    pub(crate) town: Option<Town>,
    /// What is paused and who says so, where anything is.
    pub(crate) siege: Option<Siege>,
    /// What was kept of each payment that was paused or held.
    pub(crate) tallies: HashMap<PaymentId, Tally>,
}

/// What a task did last; tells where a crash struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Leaf {
    #[default]
    Nothing,
    CommittedIntent,
    Calling,
    Answered,
}

/// The world as its inhabitants hold it.
pub(crate) struct Shared {
    world: Mutex<World>,
    /// The world's time, for clocks that must not wait for the lock.
    pub(crate) now: Arc<AtomicI64>,
}

impl Shared {
    pub(crate) fn new(world: World) -> Arc<Shared> {
        let now = Arc::new(AtomicI64::new(world.now.as_micros()));
        Arc::new(Shared { world: Mutex::new(world), now })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The payment's place in the seed: the low bits of its id carry it.
pub(crate) fn place_of(id: PaymentId) -> usize {
    (id.uuid().as_u128() & 0xffff_ffff) as usize
}

/// The place of the payment that an order number belongs to: the last seven letters before
/// the ordinal carry the low 35 bits of its id.
pub(crate) fn place_of_number(number: &ProviderOrderNo) -> usize {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let text = number.as_str().as_bytes().get(20..27).unwrap_or_default();
    let digit = |b: &u8| DIGITS.iter().position(|d| d == b).unwrap_or(0);
    text.iter().fold(0, |value, b| (value << 5) | digit(b)) & 0xffff_ffff
}

impl World {
    pub(crate) fn new(run: Run) -> World {
        let start = Timestamp::from_secs(START_S);
        let mut dice = Stream::new(run.seed, Purpose::Weather, 0);
        let mut weather = Weather::draw(&mut dice);
        if run.seed % STORM_EVERY == STORM_EVERY - 3 {
            weather = Weather::draw_storm(&mut Stream::new(run.seed, Purpose::Weather, 2));
        }
        if run.is_crowd() {
            weather = Weather::draw_crowd(&mut Stream::new(run.seed, Purpose::Weather, 3));
        }
        if run.is_bazaar() {
            if run.seed / BAZAAR_EVERY % 3 == 2 {
                weather = Weather::draw_storm(&mut Stream::new(run.seed, Purpose::Weather, 2));
            }
            weather = weather.of_bazaar();
        }
        if run.is_town() && run.seed / TOWNS.0 % 3 == 2 {
            weather = Weather::draw_storm(&mut Stream::new(run.seed, Purpose::Weather, 2));
        }
        if run.is_siege() && run.seed / SIEGES.0 % 3 == 2 {
            weather = Weather::draw_storm(&mut Stream::new(run.seed, Purpose::Weather, 2));
        }
        if run.healthy {
            weather = Weather::calm();
        }
        let mut world = World {
            now: start,
            start,
            queue: BinaryHeap::with_capacity(256),
            seq: 0,
            slots: Vec::with_capacity(run.size()),
            procs: Vec::new(),
            ctx: Ctx {
                task: TaskId::default(),
                proc: 0,
                idx: 0,
                kind: Kind::Idle,
                lease: Timestamp::MAX,
            },
            spawns: Vec::new(),
            doomed: Vec::new(),
            timed_wait: false,
            channels: crate::wire::channels(&run),
            sick: Vec::new(),
            flights: Vec::new(),
            letters: Vec::new(),
            landings: Vec::new(),
            balance: Stream::new(run.seed, Purpose::Balance, 0),
            faults_on: true,
            work_at: None,
            work_floor: start,
            work_changed: false,
            agenda: vec![Timestamp::MAX; run.size()],
            leaves: Vec::new(),
            counts: Counts::default(),
            rescued: Rescued::default(),
            fired: Vec::new(),
            acted: Vec::new(),
            trace: Vec::new(),
            violation: None,
            wanted_procs: 1 + usize::from(dice.percent(40)),
            lonely: Stream::new(run.seed, Purpose::Weather, 1).percent(30),
            heard_back: None,
            town: run.is_town().then(|| Town::new(run.seed, run.size())),
            siege: run.is_siege().then(|| Siege::new(&run)),
            tallies: HashMap::new(),
            weather,
            run,
        };
        world.populate(&mut dice);
        world
    }

    fn populate(&mut self, dice: &mut Stream) {
        // What health learns is a process's own.
        let alone = self.run.rescue.is_some() || self.run.is_crowd();
        if self.lonely || alone {
            self.wanted_procs = 1;
        }
        for idx in 0..self.run.size() {
            self.slots.push(Slot::new(self.run.seed, idx));
            if self.run.only.as_ref().is_none_or(|only| only.contains(&idx)) {
                self.counts.payments += 1;
                self.write_script(idx);
            }
        }
        for _ in 0..self.wanted_procs {
            self.start_proc();
        }
        self.schedule(self.start + Duration::from_secs(FAULTS_STOP_S as u64), Event::StopFaults);
        self.draw_outages(dice);
        if self.run.is_crowd() {
            self.draw_crowd_outages();
        }
        if self.run.is_bazaar() {
            self.draw_provider_outages();
        }
        if self.town.is_some() {
            self.open_town();
        }
        self.open_siege();
    }

    /// Microseconds of virtual time since the start.
    pub(crate) fn elapsed_us(&self) -> i64 {
        self.now.as_micros() - self.start.as_micros()
    }

    pub(crate) fn schedule(&mut self, at: Timestamp, event: Event) {
        self.seq += 1;
        self.queue.push(Reverse(Entry { at, seq: self.seq, event }));
    }

    pub(crate) fn after_ms(&mut self, ms: i64, event: Event) {
        let at = self.now + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        self.schedule(at, event);
    }

    /// A process looks at health after this, and again and again if it is to go on.
    pub(crate) fn plan_look(&mut self, proc: usize, after: Duration, goes_on: bool) {
        let at = self.now + after;
        self.schedule(at, Event::Look(u16::try_from(proc).unwrap_or(u16::MAX), goes_on));
    }

    /// Plans the look after this one, as long as there is traffic. Whether the process can look
    /// now: it does not while it stands still, and never again once it is dead.
    pub(crate) fn may_look(&mut self, proc: usize, goes_on: bool) -> bool {
        let traffic = self.elapsed_us() < (FAULTS_STOP_S + ARRIVALS_S) * 1_000_000;
        if goes_on && traffic && self.procs[proc].alive {
            self.plan_look(proc, LOOK_EVERY, true);
        }
        self.procs[proc].serves() && self.run.rescue.is_none_or(Rescue::looks)
    }

    /// The next event; moves time to it.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(entry) = self.queue.pop()?;
        self.now = self.now.max(entry.at);
        Some(entry.event)
    }

    /// A line of the trace, made only when somebody wants to read it.
    pub(crate) fn say(&mut self, idx: usize, text: impl FnOnce() -> String) {
        if self.run.trace {
            let us = self.elapsed_us();
            let (s, ms) = (us / 1_000_000, us / 1_000 % 1_000);
            self.trace.push(format!("{s:>6}.{ms:03} s  p{idx:<3} {}", text()));
        }
    }

    /// A line that is about no single payment.
    pub(crate) fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.run.trace {
            let us = self.elapsed_us();
            let (s, ms) = (us / 1_000_000, us / 1_000 % 1_000);
            self.trace.push(format!("{s:>6}.{ms:03} s       {}", text()));
        }
    }

    /// Notes a broken rule; the first one counts.
    pub(crate) fn violate(&mut self, rule: u8, idx: usize, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let text = text();
            self.say(idx, || format!("RULE {rule} IS BROKEN: {text}"));
            let at_us = self.elapsed_us();
            self.violation = Some(Violation { rule, payment: idx, at_us, text });
        }
    }

    pub(crate) fn reach(&mut self, path: Path) {
        self.counts.paths[path as usize] += 1;
    }

    /// Draws whether one of `among` strikes a payment's affairs now.
    pub(crate) fn strike(&mut self, idx: usize, on: Purpose, among: &[Fault]) -> Option<Fault> {
        let fault = self.weather.strike(among, self.slots[idx].dice(on))?;
        if !self.faults_on {
            return None;
        }
        let nth = self.slots[idx].struck;
        self.slots[idx].struck += 1;
        if self.run.calm.contains(&fault) || self.run.spared.contains(&(idx, nth)) {
            return None;
        }
        self.counts.faults[fault as usize] += 1;
        if self.run.trace {
            self.fired.push((idx, nth, fault));
        }
        Some(fault)
    }

    /// Work at the bank's desk, or of a loop, comes to a payment: its dice and ids are that payment's now.
    pub(crate) fn turn_to(&mut self, idx: usize) {
        if self.ctx.kind.wanders() {
            self.ctx.idx = idx;
        }
    }

    /// Whether a planted bug is in force.
    pub(crate) fn has(&self, plant: Plant) -> bool {
        self.run.plant == Some(plant)
    }

    /// A point at which a process may die, stand still or be slow. `None`: go on at once;
    /// otherwise wait until then (or for ever, when the process dies).
    pub(crate) fn point(&mut self, proc: usize, point: Point) -> Option<Timestamp> {
        self.counts.points[point as usize] += 1;
        let idx = self.ctx.idx;
        let struck =
            self.strike(idx, Purpose::Host, &[Fault::Crash, Fault::Pause, Fault::ClockJump]);
        match struck {
            Some(Fault::Crash) => {
                self.crash(proc, point);
                return Some(Timestamp::MAX);
            }
            Some(Fault::Pause) => {
                self.pause(proc, point);
                return Some(self.now);
            }
            Some(_) => self.jump_clock(proc),
            None => {}
        }
        let dice = self.slots[idx].dice(Purpose::Host);
        let wait_ms = match point {
            Point::BeforeCommit if dice.percent(30) => dice.between(1, 12),
            Point::AfterCommit if dice.percent(10) => dice.between(1, 12),
            Point::Read if dice.percent(6) => dice.between(1, 8),
            Point::BeforeCall | Point::AfterCall if dice.percent(5) => dice.between(1, 30),
            _ => return None,
        };
        Some(self.now + Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)))
    }

    pub(crate) fn publish_now(&self, shared: &Shared) {
        shared.now.store(self.now.as_micros(), Ordering::Relaxed);
    }
}
