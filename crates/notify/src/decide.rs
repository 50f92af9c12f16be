//! When a note may go out: one pure function over what is known.

use std::time::Duration;

use domain::{PaymentId, Timestamp};
use jiff::tz::TimeZone;

use crate::address::Way;
use crate::kind::{Kind, Once};
use crate::quiet::QuietHours;

/// The window that limits count in.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// How much a person gets in any 24 hours. What is owed ([`Kind::is_owed`]) is counted and
/// never kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Notes of one kind.
    pub per_kind: usize,
    /// Notes of all kinds.
    pub per_day: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_kind: 3, per_day: 6 }
    }
}

/// What a person was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// What it said.
    pub kind: Kind,
    /// About which payment.
    pub payment: PaymentId,
    /// When.
    pub at: Timestamp,
}

/// Where the payment stands that a note tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can still be paid.
    Open,
    /// Paid.
    Paid,
    /// Over, unpaid.
    Ended,
}

/// A note that wants to go out.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What it says.
    pub kind: Kind,
    /// By which way.
    pub way: Way,
    /// About which payment.
    pub payment: PaymentId,
    /// Where that stands now.
    pub standing: Standing,
    /// Whether it answers what the customer has just done, at whatever hour.
    pub is_answer: bool,
    /// When what it tells of began.
    pub since: Timestamp,
    /// Pointless from then on.
    pub not_after: Timestamp,
    /// Whether an operator wants it out: only an unsubscription stands above that.
    pub is_forced: bool,
    /// Whether the person wants no reminders.
    pub is_unsubscribed: bool,
}

/// What is to be done with a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Send,
    /// Ask again then.
    Wait {
        /// Later than now.
        until: Timestamp,
        /// What keeps it back.
        why: Why,
    },
    /// Never send it.
    Suppress(Why),
}

/// What keeps a note back, or ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its time is over.
    TooLate,
    /// The person wants no reminders.
    Unsubscribed,
    /// The payment went on meanwhile.
    Overtaken,
    /// The person was told already.
    Told,
    /// The person got as much as anyone gets in a day.
    Limit,
    /// It is night.
    QuietHours,
}

impl Why {
    /// For rows, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Why::TooLate => "too_late",
            Why::Unsubscribed => "unsubscribed",
            Why::Overtaken => "overtaken",
            Why::Told => "told_already",
            Why::Limit => "limit",
            Why::QuietHours => "quiet_hours",
        }
    }
}

/// Decides. `past` is everything that the person was sent since the earlier of a day ago and
/// [`Question::since`], this note not included.
///
/// A verdict to wait is never for longer than until the note is pointless, so asking again and
/// again ends with [`Verdict::Send`] or [`Verdict::Suppress`].
pub fn decide(
    question: &Question,
    past: &[Past],
    limits: Limits,
    quiet: Option<QuietHours>,
    zone: &TimeZone,
    now: Timestamp,
) -> Verdict {
    let Question { kind, .. } = *question;
    if question.is_unsubscribed && !kind.is_owed() {
        return Verdict::Suppress(Why::Unsubscribed);
    }
    if question.is_forced {
        return Verdict::Send;
    }
    if now >= question.not_after {
        return Verdict::Suppress(Why::TooLate);
    }
    if !kind.fits(question.standing) {
        return Verdict::Suppress(Why::Overtaken);
    }
    if was_told(question, past) {
        return Verdict::Suppress(Why::Told);
    }
    if kind.is_owed() {
        return Verdict::Send;
    }
    let full = room_at(kind, past, limits, now).map(|until| (until, Why::Limit));
    let quiet = quiet
        .filter(|_| !question.is_answer)
        .and_then(|hours| hours.end(now, zone))
        .map(|until| (until, Why::QuietHours));
    match full.or(quiet) {
        None => Verdict::Send,
        Some((until, why)) if until >= question.not_after => Verdict::Suppress(why),
        Some((until, why)) => Verdict::Wait { until, why },
    }
}

/// Whether a note that was sent since told the same.
fn was_told(question: &Question, past: &[Past]) -> bool {
    let like = |past: &&Past| past.kind == question.kind && past.at >= question.since;
    let mut told = past.iter().filter(like);
    match question.kind.once() {
        Once::Event => false,
        Once::Payment => told.any(|past| past.payment == question.payment),
        Once::Person => told.next().is_some(),
    }
}

/// When one more note fits in, if there is no room now.
fn room_at(kind: Kind, past: &[Past], limits: Limits, now: Timestamp) -> Option<Timestamp> {
    let of_kind = past.iter().filter(|past| past.kind == kind).map(|past| past.at);
    let all = past.iter().map(|past| past.at);
    let kinds = free_at(of_kind.collect(), limits.per_kind, now);
    kinds.max(free_at(all.collect(), limits.per_day, now))
}

fn free_at(mut sent: Vec<Timestamp>, limit: usize, now: Timestamp) -> Option<Timestamp> {
    sent.retain(|at| *at + DAY > now);
    sent.sort_unstable();
    let over = sent.len().checked_sub(limit.max(1))?;
    // The oldest ones leave the window first.
    sent.get(over).map(|at| *at + DAY)
}
