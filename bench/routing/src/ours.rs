//! Evergate's router, through the interface that the engine uses.

use domain::{ChannelId, Method, Timestamp};
use resilience::{Board, CellKey, Lane, Observation, Request, Sent, Settings};

use crate::run::Router;
use crate::world::{CHANNELS, PER_SECOND};

/// Ours.
pub struct Ours {
    board: Board,
    lanes: Vec<Lane>,
}

fn at(payment: usize) -> Timestamp {
    // Noon of a day, so that the hour does not change in most worlds' first half hour.
    Timestamp::from_micros(43_200_000_000 + (payment * 1_000_000 / PER_SECOND) as i64)
}

impl Ours {
    /// A board of four channels with these settings.
    pub fn new(settings: Settings) -> Ours {
        let mut board = Board::new(settings);
        let lanes = (0..CHANNELS).filter_map(|c| ChannelId::new(&format!("c{c}")).ok());
        let lanes =
            lanes.map(|channel| board.lane(&CellKey { channel, method: Method::Alipay }, at(0)));
        let lanes = lanes.collect();
        Ours { board, lanes }
    }

    /// States and estimates in one line.
    pub fn describe(&self, payment: usize) -> String {
        let cells = self.board.cells().map(|(_, c)| {
            let e = c.estimate(self.board.climate(), at(payment));
            format!(
                " {}{} {:.3}±{:.3}",
                &c.state.name()[..1],
                if c.trouble.is_some() { "!" } else { "" },
                e.mean,
                e.variance.sqrt()
            )
        });
        format!(
            "{}{}",
            if self.board.climate().drifting() { "D" } else { "c" },
            cells.collect::<String>()
        )
    }

    /// The board.
    pub fn board(&self) -> &Board {
        &self.board
    }
}

impl Router for Ours {
    fn choose(&mut self, payment: usize, dice: f64) -> usize {
        let lanes = std::mem::take(&mut self.lanes);
        let request = Request {
            candidates: &lanes,
            fees: &[],
            issuer: None,
            spare: true,
            dice,
            now: at(payment),
        };
        let choice = self.board.choose(&request).map_or(0, |d| d.index);
        self.board.sent_lane(Sent { lane: lanes[choice], issuer: None, at: at(payment) }, dice);
        self.lanes = lanes;
        choice
    }
    fn learn(&mut self, channel: usize, good: bool, sent: usize, now: usize) {
        let seen = if good { Observation::Paid } else { Observation::Unpaid };
        self.board.learn(
            Sent { lane: self.lanes[channel], issuer: None, at: at(sent) },
            seen,
            at(now),
        );
    }
    fn leader(&mut self, now: usize) -> usize {
        let lanes = std::mem::take(&mut self.lanes);
        let request = Request {
            candidates: &lanes,
            fees: &[],
            issuer: None,
            spare: false,
            dice: 0.5,
            now: at(now),
        };
        let leader = self.board.leader(&request);
        self.lanes = lanes;
        self.lanes.iter().position(|l| Some(*l) == leader).unwrap_or(0)
    }
}
