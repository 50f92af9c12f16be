//! A board with its lanes and a time that only goes forward.

use std::time::Duration;

use domain::{ChannelId, Method, Timestamp};
use resilience::{Board, Cell, CellKey, Issuer, Lane, Observation, Request, Sent, Settings};

pub(crate) struct World {
    pub(crate) board: Board,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) now: Timestamp,
    step: u64,
}

pub(crate) fn key(channel: usize) -> CellKey {
    CellKey { channel: ChannelId::new(&format!("c{channel}")).unwrap(), method: Method::Card }
}

impl World {
    pub(crate) fn new(lanes: usize) -> World {
        let now = Timestamp::from_secs(43_200);
        let mut board = Board::new(Settings::default());
        let lanes = (0..lanes).map(|c| board.lane(&key(c), now)).collect();
        World { board, lanes, now, step: 0 }
    }

    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
    }

    pub(crate) fn cell(&self, channel: usize) -> &Cell {
        self.board.cell(&key(channel)).unwrap()
    }

    /// A number in `[0, 1)`, another one each time.
    pub(crate) fn dice(&mut self) -> f64 {
        self.step += 1;
        (self.step as f64 * 0.618_033_988_749).fract()
    }

    pub(crate) fn tell(&mut self, channel: usize, issuer: Option<Issuer>, seen: Observation) {
        let sent = Sent { lane: self.lanes[channel], issuer, at: self.now };
        self.board.learn(sent, seen, self.now);
        self.wait_ms(20);
    }

    /// Where the next payment goes.
    pub(crate) fn choose(&mut self, issuer: Option<Issuer>) -> Option<usize> {
        let dice = self.dice();
        let lanes = self.lanes.clone();
        let request =
            Request { candidates: &lanes, fees: &[], issuer, spare: true, dice, now: self.now };
        let decision = self.board.choose(&request)?;
        self.board.sent_lane(Sent { lane: decision.lane, issuer, at: self.now }, dice);
        Some(decision.index)
    }

    /// Sends payments, each of which is paid or not by `paid(channel, step)`.
    pub(crate) fn drive(
        &mut self,
        count: usize,
        paid: impl Fn(usize, usize) -> bool,
    ) -> Vec<usize> {
        let mut sent = vec![0; self.lanes.len()];
        for step in 0..count {
            let Some(channel) = self.choose(None) else { continue };
            sent[channel] += 1;
            let seen = if paid(channel, step) { Observation::Paid } else { Observation::Unpaid };
            self.tell(channel, None, seen);
        }
        sent
    }
}
