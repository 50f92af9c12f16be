//! The health of all cells.
//!
//! A *lane* is a channel and a method: what a payment is sent on. Lanes are numbered once, so
//! that a decision among a hundred of them touches no text and allocates nothing.

use std::collections::BTreeMap;

use domain::{ChannelId, Method, Timestamp};
use serde::{Deserialize, Serialize};

use crate::choose::Leader;
use crate::rank::Climate;
use crate::{Cell, Observation, Settings};

/// Which cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellKey {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
}

/// The number of a channel and method on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(pub(crate) u16);

/// The health of all cells.
#[derive(Clone, Debug, Default)]
pub struct Board {
    names: BTreeMap<CellKey, Lane>,
    pub(crate) lanes: Vec<Cell>,
    pub(crate) leaders: Vec<Leader>,
    pub(crate) climate: Climate,
    pub(crate) settings: Settings,
}

impl Board {
    /// An empty board; every cell begins healthy.
    pub fn new(settings: Settings) -> Board {
        Board { settings, ..Board::default() }
    }

    /// The lane of a cell; made when it is new.
    pub fn lane(&mut self, key: &CellKey, now: Timestamp) -> Lane {
        if let Some(lane) = self.names.get(key) {
            return *lane;
        }
        let lane = Lane(u16::try_from(self.lanes.len()).unwrap_or(u16::MAX));
        self.lanes.push(Cell::new(now, &self.settings));
        self.names.insert(key.clone(), lane);
        lane
    }

    /// Takes the outcome of a call in.
    pub fn record(&mut self, key: &CellKey, seen: Observation, now: Timestamp) {
        let lane = self.lane(key, now);
        self.record_lane(lane, seen, now, now);
    }

    /// Takes in the outcome of what was sent at `sent_at`.
    pub fn record_lane(
        &mut self,
        lane: Lane,
        seen: Observation,
        sent_at: Timestamp,
        now: Timestamp,
    ) {
        let Board { lanes, climate, settings, .. } = self;
        if let Some(cell) = lanes.get_mut(usize::from(lane.0)) {
            cell.record(seen, sent_at, now, climate, settings);
        }
    }

    /// Notes that a payment was sent to a lane; `dice` in `[0, 1)` jitters timers.
    pub fn sent_lane(&mut self, lane: Lane, dice: f64, now: Timestamp) {
        if let Some(cell) = self.lanes.get_mut(usize::from(lane.0)) {
            cell.sent(dice, now);
        }
    }

    /// Notes that a payment was sent to a cell.
    pub fn sent(&mut self, key: &CellKey, now: Timestamp) {
        let lane = self.lane(key, now);
        self.sent_lane(lane, 0.5, now);
    }

    /// A cell, once something was seen of it.
    pub fn cell(&self, key: &CellKey) -> Option<&Cell> {
        self.names.get(key).and_then(|lane| self.lanes.get(usize::from(lane.0)))
    }

    /// All cells of which something was seen.
    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &Cell)> {
        self.names.iter().filter_map(|(key, lane)| Some((key, self.lanes.get(usize::from(lane.0))?)))
    }

    /// Whether rates stand still or drift.
    pub fn climate(&self) -> &Climate {
        &self.climate
    }

    pub(crate) fn at(&self, lane: Lane) -> &Cell {
        &self.lanes[usize::from(lane.0)]
    }
}
