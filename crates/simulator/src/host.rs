//! Processes: their clocks, their ids, their deaths and their pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::Timestamp;
use engine::{Clock, Entropy};
use uuid::Uuid;

use crate::faults::SKEW_S;
use crate::paths::Path;
use crate::siege::{Duty, Staff};
use crate::stream::Purpose;
use crate::world::{Event, Leaf, Shared, Spawn, World};

/// An await at which a process may die or stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before a commit reaches the store.
    BeforeCommit,
    /// After a commit took effect, before anyone is told.
    AfterCommit,
    /// Before a call leaves.
    BeforeCall,
    /// While a call is under way.
    DuringCall,
    /// After an answer came, before anyone looks at it.
    AfterCall,
    /// At a read of the store.
    Read,
    /// After work was claimed.
    AfterClaim,
    /// While an unknown commit is read back.
    ReadBack,
}

impl Point {
    /// Every kind.
    pub const ALL: &'static [Point] = &[
        Point::BeforeCommit,
        Point::AfterCommit,
        Point::BeforeCall,
        Point::DuringCall,
        Point::AfterCall,
        Point::Read,
        Point::AfterClaim,
        Point::ReadBack,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Point::BeforeCommit => "before_commit",
            Point::AfterCommit => "after_commit",
            Point::BeforeCall => "before_call",
            Point::DuringCall => "during_call",
            Point::AfterCall => "after_call",
            Point::Read => "at_read",
            Point::AfterClaim => "after_claim",
            Point::ReadBack => "at_read_back",
        }
    }
}

/// How many kinds of points there are.
pub(crate) const POINTS: usize = Point::ALL.len();

/// A process that runs an engine.
#[derive(Debug)]
pub(crate) struct Proc {
    pub(crate) alive: bool,
    /// Stands still until then.
    pub(crate) still_until: Option<Timestamp>,
    /// How far its clock is off, in microseconds.
    pub(crate) skew: Arc<AtomicI64>,
    /// It has loaded what it must know before its first command.
    pub(crate) open: bool,
    /// What it knows of a siege.
    pub(crate) staff: Staff,
}

impl Proc {
    pub(crate) fn serves(&self) -> bool {
        self.alive && self.still_until.is_none()
    }

    /// Whether it takes commands and work.
    pub(crate) fn takes(&self) -> bool {
        self.serves() && self.open
    }

    pub(crate) fn skew_us(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }
}

impl World {
    /// Starts a process on the same store.
    pub(crate) fn start_proc(&mut self) {
        let skew = Arc::new(AtomicI64::new(0));
        let (open, staff) = (self.siege.is_none(), Staff::default());
        self.procs.push(Proc { alive: true, still_until: None, skew, open, staff });
        let proc = self.procs.len() - 1;
        self.tell(|| format!("process {proc} starts"));
        self.spawns.push(Spawn::Boot(proc));
        if !open {
            self.spawns.push(Spawn::Duty { proc, duty: Duty::Load });
        }
    }

    /// Starts a process if too few serve.
    pub(crate) fn start_if_wanted(&mut self) {
        let lonely = self.lonely && self.procs.iter().any(|p| p.alive);
        if !lonely && self.procs.iter().filter(|p| p.serves()).count() < self.wanted_procs {
            self.start_proc();
        }
    }

    /// A process that serves, if there is one.
    pub(crate) fn pick_proc(&mut self) -> Option<usize> {
        let serving = self.procs.iter().filter(|p| p.takes()).count();
        let nth = if serving > 1 { self.balance.below(serving as u32) as usize } else { 0 };
        let mut serving = self.procs.iter().enumerate().filter(|(_, p)| p.takes());
        serving.nth(nth).map(|(proc, _)| proc)
    }

    pub(crate) fn here(&self, proc: usize) -> Timestamp {
        Timestamp::from_micros(self.now.as_micros() + self.procs[proc].skew_us())
    }

    /// The true time at which a process's clock shows `at`.
    pub(crate) fn true_time(&self, proc: usize, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(at.as_micros().saturating_sub(self.procs[proc].skew_us()))
    }

    pub(crate) fn crash(&mut self, proc: usize, point: Point) {
        if !self.procs[proc].alive {
            return;
        }
        self.counts.crashes[point as usize] += 1;
        match self.leaves[self.ctx.task.place as usize] {
            Leaf::CommittedIntent => self.reach(Path::CrashBetweenCommitAndCall),
            Leaf::Calling => self.reach(Path::CrashDuringCall),
            Leaf::Answered => self.reach(Path::CrashBetweenCallAndCommit),
            Leaf::Nothing => {}
        }
        self.tell(|| format!("process {proc} dies ({})", point.name()));
        self.procs[proc].alive = false;
        self.doomed.push(proc);
        let wait = self.balance.between(200, 15_000);
        self.after_ms(wait, Event::Start);
    }

    pub(crate) fn pause(&mut self, proc: usize, point: Point) {
        let idx = self.ctx.idx;
        let dice = self.slots[idx].dice(Purpose::Host);
        let long = dice.percent(40);
        let ms = if long { dice.between(40_000, 900_000) } else { dice.between(500, 40_000) };
        let until = self.now + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        self.tell(|| format!("process {proc} stands still for {ms} ms ({})", point.name()));
        self.procs[proc].still_until = Some(until);
        // It wakes by itself; a stand-in is started meanwhile.
        self.schedule(until, Event::Start);
        if !self.lonely {
            self.after_ms(3_000, Event::Start);
        }
    }

    /// Wakes those whose pause is over.
    pub(crate) fn wake_sleepers(&mut self) {
        for proc in 0..self.procs.len() {
            let over = self.procs[proc].still_until.is_some_and(|until| until <= self.now);
            if over {
                self.procs[proc].still_until = None;
                self.reach(Path::ZombieWoke);
                self.tell(|| format!("process {proc} goes on as if nothing had happened"));
            }
        }
    }

    pub(crate) fn jump_clock(&mut self, proc: usize) {
        let idx = self.ctx.idx;
        let limit = SKEW_S * 1_000_000;
        let skew = self.slots[idx].dice(Purpose::Host).between(-limit, limit);
        self.procs[proc].skew.store(skew, Ordering::Relaxed);
        self.clock_jumped(proc);
        self.tell(|| format!("process {proc}'s clock jumps to {} ms off", skew / 1_000));
    }
}

/// A process's clock.
pub(crate) struct HostClock {
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) skew: Arc<AtomicI64>,
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        let (now, skew) = (self.now.load(Ordering::Relaxed), self.skew.load(Ordering::Relaxed));
        Timestamp::from_micros(now + skew)
    }
}

/// A process's dice: drawn from the stream of the payment that is being worked on.
pub(crate) struct HostDice {
    pub(crate) shared: Arc<Shared>,
}

impl Entropy for HostDice {
    /// Sorted by time like version 7; the low 32 bits are the payment's place in the seed.
    fn uuid(&self, now: Timestamp) -> Uuid {
        let mut world = self.shared.world();
        let idx = world.ctx.idx;
        let random = u128::from(world.slots[idx].dice(Purpose::Dice).bits44());
        let ms = u128::from(now.as_millis().unsigned_abs() & 0xffff_ffff_ffff);
        Uuid::from_u128((ms << 80) | (7 << 76) | (random << 32) | idx as u128)
    }

    fn dice(&self) -> f64 {
        let mut world = self.shared.world();
        let idx = world.ctx.idx;
        world.slots[idx].dice(Purpose::Dice).unit()
    }
}
