//! The executor: one thread, no runtime, futures that go on when the world says so.
//!
//! A task waits either for a time (a [`Wait`] that put its own event into the queue) or for
//! another task (the engine's own "under way" channel). The latter wake up through one shared
//! waker and are polled in the order of their places, so that nothing depends on how the
//! channel keeps its waiters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use domain::Timestamp;

use crate::world::{Ctx, Event, Leaf, Shared, TaskId};

/// What a task is made of.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    job: Job,
    ctx: Ctx,
    /// Waits for another task, not for a time.
    blocked: bool,
}

struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// All tasks of a world.
pub(crate) struct Executor {
    shared: Arc<Shared>,
    tasks: Vec<Option<Task>>,
    turns: Vec<u32>,
    free: Vec<u32>,
    bell: Arc<Bell>,
    waker: Waker,
    dead: Vec<Ctx>,
}

impl Executor {
    pub(crate) fn new(shared: Arc<Shared>) -> Executor {
        let bell = Arc::new(Bell(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&bell));
        let (tasks, turns, free) = (Vec::new(), Vec::new(), Vec::new());
        Executor { shared, tasks, turns, free, bell, waker, dead: Vec::new() }
    }

    /// What the tasks were about that died with their process since the last time.
    pub(crate) fn take_dead(&mut self) -> Vec<Ctx> {
        std::mem::take(&mut self.dead)
    }

    /// The process that a task belongs to, while it lives.
    pub(crate) fn proc_of(&self, id: TaskId) -> Option<usize> {
        if self.turns.get(id.place as usize) != Some(&id.turn) {
            return None;
        }
        self.tasks[id.place as usize].as_ref().map(|t| t.ctx.proc)
    }

    /// Polls whoever waits for another task; a process that stood still may have missed it.
    pub(crate) fn ring(&mut self) {
        self.bell.0.store(true, Ordering::Relaxed);
        self.poll_woken();
    }

    /// Polls whatever a process does, if anything was told at all: a call listens for two
    /// things at once, and the world knows only of the time that it waits for.
    pub(crate) fn tell_all(&mut self, proc: usize) {
        if !self.bell.0.load(Ordering::Relaxed) {
            return;
        }
        let of_it = |task: &&Task| task.ctx.proc == proc;
        let tasks: Vec<TaskId> =
            self.tasks.iter().flatten().filter(of_it).map(|t| t.ctx.task).collect();
        tasks.into_iter().for_each(|id| self.poll_one(id));
        self.poll_woken();
    }

    /// Adds a task and polls it for the first time.
    pub(crate) fn start(&mut self, job: Job, mut ctx: Ctx) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.turns.push(0);
            self.shared.world().leaves.push(Leaf::Nothing);
            u32::try_from(self.tasks.len() - 1).unwrap_or(u32::MAX)
        });
        let turn = &mut self.turns[place as usize];
        *turn += 1;
        ctx.task = TaskId { place, turn: *turn };
        self.shared.world().leaves[place as usize] = Leaf::Nothing;
        self.tasks[place as usize] = Some(Task { job, ctx, blocked: false });
        self.poll(ctx.task);
    }

    /// Polls a task, and then those that it woke.
    pub(crate) fn poll(&mut self, id: TaskId) {
        self.poll_one(id);
        self.poll_woken();
    }

    fn poll_woken(&mut self) {
        while self.bell.0.swap(false, Ordering::Relaxed) {
            let blocked: Vec<TaskId> =
                self.tasks.iter().flatten().filter(|t| t.blocked).map(|t| t.ctx.task).collect();
            blocked.into_iter().for_each(|id| self.poll_one(id));
        }
    }

    fn poll_one(&mut self, id: TaskId) {
        let place = id.place as usize;
        if self.turns.get(place) != Some(&id.turn) {
            return;
        }
        let Some(task) = self.tasks[place].as_mut() else { return };
        {
            let mut world = self.shared.world();
            if !world.procs[task.ctx.proc].serves() {
                return; // Its process has died or stands still.
            }
            world.ctx = task.ctx;
            world.counts.steps += 1;
            world.timed_wait = false;
        }
        let done = task.job.as_mut().poll(&mut Context::from_waker(&self.waker));
        if done.is_ready() {
            self.drop_task(place);
        } else {
            let world = self.shared.world();
            task.blocked = !world.timed_wait;
            if task.ctx.kind.wanders() {
                // It goes on with the payment that it has come to.
                task.ctx.idx = world.ctx.idx;
            }
        }
        self.bury();
    }

    /// Drops the tasks of processes that died.
    fn bury(&mut self) {
        let doomed = std::mem::take(&mut self.shared.world().doomed);
        for proc in doomed {
            for place in 0..self.tasks.len() {
                let ctx = self.tasks[place].as_ref().map(|t| t.ctx).filter(|c| c.proc == proc);
                if let Some(ctx) = ctx {
                    self.dead.push(ctx);
                    self.drop_task(place);
                }
            }
        }
    }

    fn drop_task(&mut self, place: usize) {
        self.tasks[place] = None;
        self.turns[place] += 1;
        self.free.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
}

/// Waits until a time; for ever when it is [`Timestamp::MAX`].
pub(crate) struct Wait<'a> {
    shared: &'a Shared,
    until: Timestamp,
    armed: bool,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(shared: &'a Shared, until: Timestamp) -> Wait<'a> {
        Wait { shared, until, armed: false }
    }
}

impl Future for Wait<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let mut world = self.shared.world();
        if self.armed && world.now >= self.until {
            return Poll::Ready(());
        }
        world.timed_wait = true;
        if !self.armed {
            let task = world.ctx.task;
            if self.until < Timestamp::MAX {
                world.schedule(self.until, Event::Resume(task.place, task.turn));
            }
            drop(world);
            self.armed = true;
        }
        Poll::Pending
    }
}
