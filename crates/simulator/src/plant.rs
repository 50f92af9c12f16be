//! Bugs that a test plants to see its checkers bite.
//!
//! They live in the simulator's own store, wires, mail and workers, never in the engine: each
//! makes the world behave as if the engine had the bug.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The intent becomes durable after the call instead of before.
    IntentAfterCall,
    /// A second success is booked and kept.
    SecondSuccessKept,
    /// An unanswered charge is taken for one that had no effect.
    UnknownAsFailed,
    /// A charge of unknown effect is failed by a timer.
    FailedByTimer,
    /// Orphans are forgotten instead of closed.
    OrphanForgotten,
    /// Codes are replaced without being closed.
    CloseSkipped,
    /// Successes are not listened to.
    SuccessDropped,
    /// Notifications are not compared with their attempt.
    NoticeUnchecked,
    /// A repeated notification is applied again.
    NoticeAppliedTwice,
    /// Order numbers and keys are not unique.
    OrderNotUnique,
    /// A late message lowers a paid payment.
    PaidLowered,
    /// A refund is sent again under a new number.
    RefundRenumbered,
    /// Versions and fences are not compared.
    FencesIgnored,
    /// Calls are made after their lease.
    LeaseIgnored,
    /// An unknown commit is done again blindly.
    UnknownRedone,
    /// The workers have stopped.
    WorkersDead,
    /// The ledger does not mark what the engine has to be told.
    NewsDropped,
    /// An entry of a statement is counted each time that it comes.
    EntryForgotten,
    /// What is left over is kept.
    LeftOverKept,
    /// One person alone may send money.
    OnePersonEnough,
    /// A process that starts, or reads the controls, does not take the pauses in.
    GatesNotLoaded,
    /// A pause is not asked about again before the call.
    GateNotAskedAgain,
    /// Releases are not guarded by the payment's version.
    ReleaseUnguarded,
    /// All that was paused is released at once.
    ReleasedAtOnce,
    /// A hold's end is told again.
    HoldEndedTwice,
    /// A late success is honoured although the hold had ended.
    LateHoldHonoured,
}

impl Plant {
    /// Every planted bug with the rule whose checker must catch it.
    pub const ALL: &'static [(Plant, u8)] = &[
        (Plant::IntentAfterCall, 1),
        (Plant::SecondSuccessKept, 2),
        (Plant::UnknownAsFailed, 3),
        (Plant::FailedByTimer, 3),
        (Plant::OrphanForgotten, 4),
        (Plant::CloseSkipped, 5),
        (Plant::SuccessDropped, 6),
        (Plant::NoticeUnchecked, 7),
        (Plant::NoticeAppliedTwice, 7),
        (Plant::OrderNotUnique, 8),
        (Plant::PaidLowered, 14),
        (Plant::RefundRenumbered, 14),
        (Plant::FencesIgnored, 15),
        (Plant::LeaseIgnored, 15),
        (Plant::UnknownRedone, 16),
        (Plant::WorkersDead, 17),
        (Plant::NewsDropped, 6),
        (Plant::EntryForgotten, 16),
        (Plant::LeftOverKept, 2),
        (Plant::OnePersonEnough, 12),
        (Plant::GatesNotLoaded, 9),
        (Plant::GateNotAskedAgain, 9),
        (Plant::ReleaseUnguarded, 9),
        (Plant::ReleasedAtOnce, 9),
        (Plant::HoldEndedTwice, 10),
        (Plant::LateHoldHonoured, 10),
    ];
}
