//! What the engine tells the board of health, and what operators see of it.
//!
//! Told are: create calls as they leave and as they end, the outcome of every call, codes as
//! they are shown and as they are paid or not, and why customers were refused. Synthetic
//! payments speak for their channel's calls only: nobody means to pay their codes.
//!
//! Not here: what follows from it, which is the board's, and the choice of a channel, which is
//! routing's.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use domain::{
    Answer, ChannelId, Class, EndGoal, EventKind, Flow, Method, Payment, PaymentId, PaymentState,
    Timestamp,
};
use resilience::{Board, Cause, Cell, CellKey, Issuer, Observation, Sent};

use crate::Engine;

/// Codes of a [`Caller`](crate::Caller) for calls that it did not send for reasons of its own.
const OWN_CAUSES: [&str; 4] = ["deadline", "budget", "no_channel", "unsupported"];
/// Changes of state that are remembered.
const TURNS: usize = 64;
/// Issuers whose names are remembered.
const NAMES: usize = 16_384;
/// Codes whose end nobody has told for this long are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(2 * 3_600);
/// Codes that are remembered before the old ones are looked for.
const CODES: usize = 65_536;
/// Kinds of decline that have a number of their own on a cell; the next one has all others.
const KINDS: usize = 7;

/// A cell's change of state.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
    /// The name of the state before.
    pub from: &'static str,
    /// The name of the state after.
    pub to: &'static str,
    /// What is wrong with it, when something is.
    pub cause: Option<Cause>,
    /// The evidence just before, in nats.
    pub evidence: f64,
}

/// A reason for declines that has become far more frequent than it was.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclineTurn {
    /// The provider's code; `other` for the rare ones together.
    pub code: String,
    /// When it was noticed.
    pub at: Timestamp,
}

/// What the engine remembers beside the board.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    states: BTreeMap<CellKey, (&'static str, f64)>,
    turns: VecDeque<Turn>,
    /// Codes that were shown by this process and have not ended, by attempt. A code that was
    /// shown before a restart is not here: how long it waited unseen says nothing.
    codes: HashMap<(PaymentId, u16), Timestamp>,
    issuers: HashMap<Issuer, String>,
    kinds: BTreeMap<CellKey, Vec<String>>,
    declines: BTreeMap<CellKey, DeclineTurn>,
    /// When a create call last left for a cell.
    asked: BTreeMap<CellKey, Timestamp>,
    /// Whether a channel answered its last question, and when.
    words: BTreeMap<ChannelId, (bool, Timestamp)>,
}

/// A channel's answer to a question is believed for so long.
const WORD_LASTS: Duration = Duration::from_secs(120);

impl Journal {
    /// Whether a cell that failed or hung seems to be back although no payment has proved it:
    /// nobody has asked for one for `quiet`, and the channel answers questions. Without this a
    /// night without customers would never end for those who wait for word that they can pay.
    /// Where codes were not paid or requests refused, an answered question says nothing.
    pub(crate) fn seems_back(
        &self,
        key: &CellKey,
        cell: &Cell,
        quiet: Duration,
        now: Timestamp,
    ) -> bool {
        let tells = |cause| matches!(cause, Cause::Technical | Cause::Hang);
        let alone = self.asked.get(key).is_none_or(|at| now.since(*at) >= quiet);
        let answers = self.words.get(&key.channel).is_some_and(|(good, at)| {
            *good && *at > cell.changed_at && now.since(*at) < WORD_LASTS.max(quiet)
        });
        alone && answers && cell.trouble.is_some_and(|trouble| tells(trouble.cause))
    }

    /// Notes which cells have changed their state since it looked last; whether any has.
    fn sweep(&mut self, board: &Board, now: Timestamp) -> bool {
        let mut changed = false;
        for (key, cell) in board.cells() {
            if !self.states.contains_key(key) {
                self.states.insert(key.clone(), ("healthy", 0.0));
            }
            let Some(known) = self.states.get_mut(key) else { continue };
            let (name, nats) = (cell.state.name(), evidence(board, key));
            let (before, seen) = std::mem::replace(known, (name, nats));
            if before != name {
                changed = true;
                self.turn(Turn {
                    at: now,
                    channel: key.channel.clone(),
                    method: key.method,
                    from: before,
                    to: name,
                    cause: cell.trouble.map(|t| t.cause),
                    evidence: seen.max(nats),
                });
            }
        }
        changed
    }

    fn turn(&mut self, turn: Turn) {
        let Turn { channel, method, from, to, .. } = &turn;
        tracing::info!(%channel, %method, from, to, cause = ?turn.cause, "channel health changed");
        metrics::counter!(
            "evergate_cell_changes_total",
            "channel" => channel.to_string(), "method" => method.name(), "to" => *to
        )
        .increment(1);
        if self.turns.len() >= TURNS {
            self.turns.pop_front();
        }
        self.turns.push_back(turn);
    }

    fn show(&mut self, code: (PaymentId, u16), now: Timestamp) {
        if self.codes.len() >= CODES {
            self.codes.retain(|_, shown| now.since(*shown) < FORGOTTEN);
        }
        self.codes.insert(code, now);
    }

    /// The number of a kind of decline on a cell.
    fn kind(&mut self, key: &CellKey, code: &str) -> usize {
        let known = self.kinds.entry(key.clone()).or_default();
        known.iter().position(|k| k == code).unwrap_or_else(|| {
            if known.len() < KINDS {
                known.push(code.to_owned());
                known.len() - 1
            } else {
                KINDS
            }
        })
    }

    fn name(&mut self, code: &str) -> Issuer {
        let issuer = Issuer::of(code);
        if self.issuers.len() < NAMES {
            self.issuers.entry(issuer).or_insert_with(|| code.to_owned());
        }
        issuer
    }

    /// The code of an issuer, where it is still known.
    pub(crate) fn issuer(&self, issuer: Issuer) -> String {
        self.issuers.get(&issuer).cloned().unwrap_or_else(|| "?".to_owned())
    }

    pub(crate) fn last_turn(&self, key: &CellKey) -> Option<&Turn> {
        let of_it = |turn: &&Turn| turn.channel == key.channel && turn.method == key.method;
        self.turns.iter().rev().find(of_it)
    }

    pub(crate) fn decline_turn(&self, key: &CellKey) -> Option<&DeclineTurn> {
        self.declines.get(key)
    }
}

/// The evidence against a cell, nats: of its tests, or of silence.
fn evidence(board: &Board, key: &CellKey) -> f64 {
    let (calls, codes) = board.find(key).map_or((0.0, 0.0), |lane| board.silence(lane));
    board.cell(key).map_or(0.0, |cell| cell.statistic).max(calls).max(codes)
}

impl Engine {
    /// Looks at what silence tells about channels; to be called about every 50 ms.
    pub fn watch_health(&self) {
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.tick(now);
        let hangs = board.cells().any(|(_, cell)| is_hung(cell));
        let changed = self.journal().sweep(&board, now);
        drop(board);
        if changed {
            self.tell_news();
        }
        if hangs {
            self.beat.notify_waiters();
        }
        self.look_around();
    }

    /// Cells that changed their state, newest last.
    pub fn health_changes(&self) -> Vec<Turn> {
        self.journal().turns.iter().cloned().collect()
    }

    pub(crate) fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The issuer of a payment, as health knows it.
    pub(crate) fn issuer_of(&self, payment: &Payment) -> Option<Issuer> {
        payment.terms.issuer.as_deref().map(|code| self.journal().name(code))
    }

    /// Notes that a create call leaves; that it is not answered is evidence as well.
    pub(crate) fn called(&self, key: &CellKey, issuer: Option<Issuer>) -> Sent {
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        self.journal().asked.insert(key.clone(), now);
        Sent { issuer, ..board.called(key, now) }
    }

    /// Takes the end of a create call into the health of its cell. A decline is a good sign
    /// (rule 11); a call that this process had no time or place for is none at all: else an
    /// overloaded gateway would take every channel for dead.
    pub(crate) fn answered(&self, key: &CellKey, sent: Sent, answer: &Answer, until: Timestamp) {
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        if is_own_cause(answer) {
            return board.withdrawn(sent);
        }
        match answer.class() {
            Class::Ok | Class::Declined => board.answered(sent, true, now),
            // It waited to the end.
            Class::Unavailable | Class::Unknown if now >= until => {
                board.answered(sent, false, now);
            }
            // It failed at once: the tests of outcomes see that.
            _ => board.withdrawn(sent),
        }
        board.learn(sent, Observation::of(answer.class()), now);
        self.look(&board, key, now);
    }

    /// Takes the outcome of another call in: a question, a close or a refund. While a cell is
    /// out only create calls speak for it: they are what it is to be back for.
    pub(crate) fn observe(&self, key: &CellKey, answer: &Answer) {
        if is_own_cause(answer) {
            return;
        }
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let good = matches!(answer.class(), Class::Ok | Class::Declined);
        self.journal().words.insert(key.channel.clone(), (good, now));
        if board.cell(key).is_some_and(|cell| cell.state.is_out()) {
            return;
        }
        board.record(key, Observation::of(answer.class()), now);
        self.look(&board, key, now);
    }

    /// Notes that a channel has answered a question, or not: what a probe has found. It takes
    /// nothing out of service and puts nothing back; see [`Engine::sight`].
    pub fn probed(&self, channel: &ChannelId, answers: bool) {
        let now = self.now();
        self.journal().words.insert(channel.clone(), (answers, now));
    }

    /// Notes a change of state at once when this cell has one.
    fn look(&self, board: &Board, key: &CellKey, now: Timestamp) {
        let name = board.cell(key).map_or("healthy", |cell| cell.state.name());
        let mut journal = self.journal();
        let before = journal.states.get(key).map_or("healthy", |(before, _)| before);
        if before != name {
            journal.sweep(board, now);
        }
    }

    /// Ends when a create call is not worth waiting for any more: its channel has stopped
    /// answering, and this one is older than answers usually get.
    pub(crate) async fn given_up(&self, key: &CellKey, sent: Sent) {
        loop {
            self.beat.notified().await;
            if self.hangs(key, sent) {
                return;
            }
        }
    }

    fn hangs(&self, key: &CellKey, sent: Sent) -> bool {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cell) = board.cell(key).filter(|cell| is_hung(cell)) else { return false };
        let usual = board.latency(sent.lane).usual_s();
        // A probe is to find out how long it takes now, so it gets more time.
        let is_probe = cell.trouble.is_some_and(|t| sent.at >= t.since);
        let (times, least) = if is_probe { (12.0, 1.5) } else { (4.0, 0.3) };
        self.now().since(sent.at).as_secs_f64() >= (times * usual).max(least)
    }

    /// Takes what a commit told about a payment into health.
    pub(crate) fn told(&self, payment: &Payment, kind: &EventKind) {
        if payment.terms.is_synthetic() {
            return;
        }
        match kind {
            // Nobody pays by transfer within minutes, however well the bank is.
            EventKind::AttemptShown { ordinal } if !is_transfer(payment, *ordinal) => {
                self.shown(payment, *ordinal);
            }
            // Money in staff's hands says nothing about a channel.
            EventKind::AttemptPaid { source: domain::Source::Staff, .. } => {}
            EventKind::AttemptPaid { ordinal, .. } => self.ended(payment, *ordinal, true),
            EventKind::CloseAsked { ordinal } | EventKind::AttemptClosed { ordinal, .. } => {
                self.ended(payment, *ordinal, false);
            }
            EventKind::AttemptDeclined { ordinal, code } => {
                self.declined(payment, *ordinal, code);
            }
            _ => {}
        }
    }

    fn shown(&self, payment: &Payment, ordinal: u16) {
        let Some(key) = cell_of(payment, ordinal) else { return };
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = board.lane(&key, now);
        board.shown(lane, now);
        self.journal().show((payment.id, ordinal), now);
    }

    /// An attempt was paid, or can no longer be.
    fn ended(&self, payment: &Payment, ordinal: u16, paid: bool) {
        let Some(attempt) = payment.attempt(ordinal) else { return };
        let key = CellKey { channel: attempt.channel.clone(), method: attempt.method };
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = board.lane(&key, now);
        if attempt.flow == Flow::Direct {
            if paid {
                board.ranked(lane, true, now);
            }
            return;
        }
        let Some(at) = self.journal().codes.remove(&(payment.id, ordinal)) else { return };
        if !paid && is_cancelled(payment) {
            // The merchant's wish, not the customer's trouble.
            return board.taken_back(lane, at);
        }
        board.paid(lane, at, paid, now);
        // While a cell is out, codes that are paid are what proves that it is back. In service
        // they would mislead: those that are paid come in minutes before those that are not.
        if board.cell(&key).is_some_and(|cell| cell.state.is_out()) {
            let seen = if paid { Observation::Paid } else { Observation::Unpaid };
            board.learn(Sent { lane, issuer: None, at }, seen, now);
            self.look(&board, &key, now);
        }
    }

    fn declined(&self, payment: &Payment, ordinal: u16, code: &str) {
        let Some(key) = cell_of(payment, ordinal) else { return };
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = board.lane(&key, now);
        board.ranked(lane, false, now);
        let mut journal = self.journal();
        let kind = journal.kind(&key, code);
        let Some(shift) = board.declined(lane, kind) else { return };
        let names = journal.kinds.get(&key);
        let code = names.and_then(|n| n.get(shift.kind)).map_or("other", String::as_str).to_owned();
        let (channel, method) = (&key.channel, key.method);
        tracing::warn!(%channel, %method, %code, "one reason for declines has become frequent");
        metrics::counter!(
            "evergate_decline_shifts_total",
            "channel" => channel.to_string(), "method" => method.name()
        )
        .increment(1);
        journal.declines.insert(key, DeclineTurn { code, at: now });
    }
}

fn is_hung(cell: &resilience::Cell) -> bool {
    cell.state.is_out() && cell.trouble.is_some_and(|t| t.cause == Cause::Hang)
}

pub(crate) fn is_own_cause(answer: &Answer) -> bool {
    answer.code().is_some_and(|code| OWN_CAUSES.contains(&code))
}

fn is_transfer(payment: &Payment, ordinal: u16) -> bool {
    payment.attempt(ordinal).is_some_and(|a| a.method == Method::BankTransfer)
}

fn cell_of(payment: &Payment, ordinal: u16) -> Option<CellKey> {
    let attempt = payment.attempt(ordinal)?;
    Some(CellKey { channel: attempt.channel.clone(), method: attempt.method })
}

fn is_cancelled(payment: &Payment) -> bool {
    matches!(
        payment.state,
        PaymentState::Ending { goal: EndGoal::Cancelled, .. } | PaymentState::Cancelled { .. }
    )
}
