//! The handles through which faults are switched while the sandbox runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::clock;
use crate::faults::{ActiveRule, Fault, FaultPlan, FaultRequest, FaultRule, Invalid};
use crate::keys::sha256;
use crate::scenario::Scenario;

/// Locks, ignoring poison: every critical section of this crate leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Inner {
    plan: FaultPlan,
    rng: ChaCha8Rng,
}

/// Adds, removes and lists fault rules of a running sandbox. Clones share the same plan.
#[derive(Clone)]
pub struct FaultControl(Arc<Mutex<Inner>>);

impl FaultControl {
    pub(crate) fn new(seed: u64) -> Self {
        let seed = sha256(format!("{seed}/faults").as_bytes());
        let rng = ChaCha8Rng::from_seed(seed);
        Self(Arc::new(Mutex::new(Inner { plan: FaultPlan::default(), rng })))
    }

    /// Adds a rule, whose window counts from now, and returns its id.
    ///
    /// # Errors
    /// When the rule could never act, or its id is taken.
    pub fn add(&self, rule: FaultRule) -> Result<String, Invalid> {
        lock(&self.0).plan.add(rule, clock::now_ms())
    }

    /// Removes a rule; `false` when there is none of that id.
    pub fn remove(&self, id: &str) -> bool {
        lock(&self.0).plan.remove(id)
    }

    /// Removes every rule and says how many there were.
    pub fn clear(&self) -> usize {
        lock(&self.0).plan.clear()
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Vec<ActiveRule> {
        lock(&self.0).plan.rules().to_vec()
    }

    /// Replaces every rule by those of a scenario, which starts now.
    pub(crate) fn load(&self, scenario: &Scenario) {
        let plan = scenario.plan(clock::now_ms());
        lock(&self.0).plan = plan;
    }

    pub(crate) fn decide(&self, request: &FaultRequest<'_>) -> Option<Fault> {
        let mut inner = lock(&self.0);
        if inner.plan.rules().is_empty() {
            return None;
        }
        let Inner { plan, rng } = &mut *inner;
        plan.decide(request, clock::now_ms(), rng)
    }
}
