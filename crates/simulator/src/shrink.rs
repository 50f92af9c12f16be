//! From a violation to the shortest story that still tells it.
//!
//! Leaves out, in turn, other payments, whole kinds of faults, single acts and single faults,
//! and keeps each omission after which the same rule still breaks.

use std::collections::BTreeSet;

use crate::faults::Fault;
use crate::sim::{Outcome, simulate};
use crate::world::Run;

/// The most worlds that shrinking one violation may take.
const BUDGET: u32 = 600;

struct Shrinking {
    run: Run,
    rule: u8,
    left: u32,
    best: Outcome,
}

/// The smallest run that was found to break the same rule, with its outcome and trace. `None`
/// when the run breaks no rule.
pub fn shrink(run: &Run) -> Option<(Run, Outcome)> {
    let run = Run { trace: true, ..run.clone() };
    let best = simulate(run.clone());
    let rule = best.violation.as_ref()?.rule;
    let mut shrinking = Shrinking { run, rule, left: BUDGET, best };
    shrinking.payments();
    shrinking.kinds();
    shrinking.acts();
    shrinking.faults();
    shrinking.acts();
    Some((shrinking.run, shrinking.best))
}

impl Shrinking {
    /// Keeps a smaller run if it breaks the same rule.
    fn keep_if_broken(&mut self, run: Run) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let outcome = simulate(run.clone());
        let same = outcome.violation.as_ref().is_some_and(|v| v.rule == self.rule);
        if same {
            (self.run, self.best) = (run, outcome);
        }
        same
    }

    fn payments(&mut self) {
        let Some(guilty) = self.best.violation.as_ref().map(|v| v.payment) else { return };
        let alone = Run { only: Some(BTreeSet::from([guilty])), ..self.run.clone() };
        if self.keep_if_broken(alone) {
            return;
        }
        let mut kept: BTreeSet<usize> = (0..self.run.size()).collect();
        let mut size = kept.len() / 2;
        while size > 0 {
            let all: Vec<usize> = kept.iter().copied().collect();
            for part in all.chunks(size) {
                if part.contains(&guilty) {
                    continue;
                }
                let fewer: BTreeSet<usize> =
                    kept.iter().copied().filter(|p| !part.contains(p)).collect();
                if self.keep_if_broken(Run { only: Some(fewer.clone()), ..self.run.clone() }) {
                    kept = fewer;
                }
            }
            size /= 2;
        }
    }

    fn kinds(&mut self) {
        for fault in Fault::ALL {
            let mut run = self.run.clone();
            run.calm.insert(*fault);
            self.keep_if_broken(run);
        }
    }

    fn acts(&mut self) {
        for act in self.best.acted.clone() {
            let mut run = self.run.clone();
            run.idle.insert(act);
            self.keep_if_broken(run);
        }
    }

    fn faults(&mut self) {
        for (payment, nth, _) in self.best.fired.clone().into_iter().rev() {
            let mut run = self.run.clone();
            run.spared.insert((payment, nth));
            self.keep_if_broken(run);
        }
    }
}
