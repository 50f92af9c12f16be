//! When a router has left what is at fault.

/// Payments in a row that must avoid the fault before it counts as left.
const RUN: usize = 5;

/// Watches the payments that a fault concerns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    hit: usize,
    row: usize,
    row_began: usize,
    left: Option<(usize, usize)>,
}

impl Watch {
    /// A payment that the fault concerns was sent at `since` ticks after its beginning.
    pub fn see(&mut self, on_fault: bool, since: usize) {
        if self.left.is_some() {
            return;
        }
        if on_fault {
            self.hit += 1;
            self.row = 0;
            return;
        }
        if self.row == 0 {
            self.row_began = since;
        }
        self.row += 1;
        if self.row == RUN {
            self.left = Some((self.hit, self.row_began));
        }
    }

    /// Payments that were sent into the fault before it was left, and ticks until then; `None`
    /// when it never was.
    pub fn left(&self) -> Option<(usize, usize)> {
        self.left
    }
}
