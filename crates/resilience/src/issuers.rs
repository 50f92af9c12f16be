//! Issuers on lanes: one bank that fails on one channel is routed around for its own
//! customers; one that fails on all of them is the bank's fault, and nothing is switched.
//!
//! When an issuer's cell on a lane falls and nobody knows how it does elsewhere, it is *in
//! doubt*: every other payment of that issuer goes elsewhere until there is a contrast.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;

use crate::board::Lane;
use crate::rank::Climate;
use crate::{Cell, Observation, Settings};

/// An issuer: a bank's code or a card range, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Issuer(u64);

impl Issuer {
    /// The issuer of this code (FNV-1a of the text).
    pub fn of(code: &str) -> Issuer {
        Issuer(code.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        }))
    }
}

/// Cells of issuers that are kept; beyond that new issuers are not told apart.
const CELLS: usize = 65_536;
/// Results that make a contrast.
const CONTRAST: f64 = 4.0;
/// Results that make a fault common to all lanes.
const COMMON: f64 = 10.0;
/// How long results count as recent.
const RECENT: Duration = Duration::from_secs(60);
/// How long an issuer that fails everywhere is left alone.
const SICK: Duration = Duration::from_secs(300);
/// Evidence at which an issuer's outcomes no longer speak for its lane (nats).
const APART: f64 = 6.0;

#[derive(Clone, Debug)]
struct IssuerCell {
    cell: Cell,
    doubt: bool,
    good: f64,
    all: f64,
    since: Timestamp,
}

impl IssuerCell {
    fn rate(&self, now: Timestamp) -> Option<f64> {
        let recent = now.since(self.since) < RECENT + RECENT;
        (recent && self.all >= CONTRAST).then(|| self.good / self.all)
    }
}

/// What is known of an issuer on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnLane {
    Fine,
    /// In doubt: half of its payments look elsewhere.
    Doubtful,
    Out {
        probe_due: bool,
    },
}

/// All issuers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Issuers {
    cells: HashMap<(Lane, Issuer), IssuerCell>,
    lanes: HashMap<Issuer, Vec<Lane>>,
    sick: HashMap<Issuer, Timestamp>,
    out: u32,
    /// Announced: from, drain included, until.
    absences: HashMap<(Lane, Issuer), (Timestamp, Timestamp)>,
}

impl Issuers {
    /// Whether every issuer is fine everywhere, which spares the look-ups.
    pub(crate) fn all_fine(&self) -> bool {
        self.out == 0 && self.absences.is_empty()
    }

    /// Until when an issuer counts as failing everywhere.
    pub(crate) fn sick_until(&self, issuer: Issuer) -> Option<Timestamp> {
        self.sick.get(&issuer).copied()
    }

    /// Issuers that are out, or in doubt, on a lane.
    pub(crate) fn out_on(&self, lane: Lane) -> impl Iterator<Item = (Issuer, &Cell)> {
        let out = self
            .cells
            .iter()
            .filter(move |((on, _), known)| *on == lane && known.cell.state.is_out());
        out.map(|((_, issuer), known)| (*issuer, &known.cell))
    }

    /// Issuers that fail everywhere, and until when they are left alone.
    pub(crate) fn sick(&self) -> impl Iterator<Item = (Issuer, Timestamp)> {
        self.sick.iter().map(|(issuer, until)| (*issuer, *until))
    }

    pub(crate) fn set_absences(
        &mut self,
        absences: HashMap<(Lane, Issuer), (Timestamp, Timestamp)>,
    ) {
        self.absences = absences;
    }

    pub(crate) fn on_lane(&self, lane: Lane, issuer: Issuer, now: Timestamp) -> OnLane {
        let away = self.absences.get(&(lane, issuer));
        if away.is_some_and(|(from, until)| *from <= now && now < *until) {
            return OnLane::Out { probe_due: false };
        }
        match self.cells.get(&(lane, issuer)) {
            Some(known) if known.cell.state.is_out() && known.doubt => OnLane::Doubtful,
            Some(known) if known.cell.state.is_out() => {
                OnLane::Out { probe_due: known.cell.probe_due(now) }
            }
            _ => OnLane::Fine,
        }
    }

    pub(crate) fn sent(&mut self, lane: Lane, issuer: Issuer, dice: f64, now: Timestamp) {
        if let Some(known) = self.cells.get_mut(&(lane, issuer)) {
            known.cell.sent(dice, now);
        }
    }

    /// Takes an outcome in. Returns whether it speaks for the lane as well.
    pub(crate) fn record(
        &mut self,
        (lane, issuer): (Lane, Issuer),
        seen: Observation,
        (sent_at, now): (Timestamp, Timestamp),
        settings: &Settings,
    ) -> bool {
        if !self.cells.contains_key(&(lane, issuer)) {
            if self.cells.len() >= CELLS {
                return true;
            }
            let cell = Cell::new(now, settings);
            let fresh = IssuerCell { cell, doubt: false, good: 0.0, all: 0.0, since: now };
            self.cells.insert((lane, issuer), fresh);
            self.lanes.entry(issuer).or_default().push(lane);
        }
        let sick = self.sick.get(&issuer).is_some_and(|until| now < *until);
        let Some(known) = self.cells.get_mut(&(lane, issuer)) else { return true };
        if now.since(known.since) > RECENT {
            (known.good, known.all, known.since) = (0.0, 0.0, now);
        }
        known.good += f64::from(u8::from(matches!(seen, Observation::Good | Observation::Paid)));
        known.all += 1.0;
        if sick {
            return false;
        }
        let was_out = known.cell.state.is_out();
        let apart = was_out || known.cell.statistic >= APART;
        known.cell.record(seen, sent_at, now, &mut Climate::default(), settings);
        let is_out = known.cell.state.is_out();
        if is_out != was_out {
            self.out = if is_out { self.out + 1 } else { self.out.saturating_sub(1) };
            known.doubt = is_out;
        }
        if self.out > 0 {
            self.settle(issuer, now);
        }
        !apart
    }

    /// Decides what is in doubt, once another lane has told enough.
    fn settle(&mut self, issuer: Issuer, now: Timestamp) {
        let lanes = self.lanes.get(&issuer).cloned().unwrap_or_default();
        let mut sick = false;
        for lane in &lanes {
            let doubtful = self.cells.get(&(*lane, issuer)).is_some_and(|c| c.doubt);
            if !doubtful {
                continue;
            }
            let elsewhere = lanes
                .iter()
                .filter(|l| *l != lane)
                .filter_map(|l| self.cells.get(&(*l, issuer)))
                .filter_map(|c| c.rate(now).map(|rate| (rate, c.all)));
            let better = |a: (f64, f64), b: (f64, f64)| if b.0 > a.0 { b } else { a };
            let Some((best, results)) = elsewhere.reduce(better) else { continue };
            let Some(known) = self.cells.get_mut(&(*lane, issuer)) else { continue };
            let left = known.cell.trouble.map_or(0.0, |t| t.rate.mean);
            let base = known.cell.approval.base.mean().max(known.cell.technical.base.mean());
            let fails_there = best < 0.5 * (left + base);
            // To leave a bank alone on all lanes takes more: by chance a few fail anywhere.
            known.doubt = fails_there && results < COMMON;
            sick |= fails_there && results >= COMMON;
        }
        if sick {
            self.sick.insert(issuer, now + SICK);
            for lane in lanes {
                let Some(known) = self.cells.get_mut(&(lane, issuer)) else { continue };
                if known.cell.state.is_out() {
                    self.out = self.out.saturating_sub(1);
                    known.cell.absolve(now);
                }
                known.doubt = false;
            }
        }
    }
}
