//! Evergate's router, through the interface that the engine uses.

use domain::{ChannelId, Method, Timestamp};
use resilience::{Board, CellKey, Issuer, Lane, Observation, Request, Sent, Settings};

use crate::run::Router;
use crate::scenes::ISSUERS;
use crate::world::{CHANNELS, PER_SECOND};

/// Ours.
pub struct Ours {
    board: Board,
    lanes: Vec<Lane>,
    issuers: Vec<Issuer>,
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
        let issuers = (0..ISSUERS).map(|i| Issuer::of(&format!("bank {i}"))).collect();
        Ours { board, lanes, issuers }
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
    fn choose_for(&mut self, issuer: usize, now: usize, dice: f64) -> usize {
        let Ours { board, lanes, issuers } = self;
        let issuer = issuers.get(issuer).copied();
        let request =
            Request { candidates: lanes, fees: &[], issuer, spare: true, dice, now: at(now) };
        let choice = board.choose(&request).map_or(0, |d| d.index);
        board.sent_lane(Sent { lane: lanes[choice], issuer, at: at(now) }, dice);
        choice
    }
    fn learn_for(&mut self, issuer: usize, channel: usize, good: bool, sent: usize, now: usize) {
        let issuer = self.issuers.get(issuer).copied();
        let seen = if good { Observation::Paid } else { Observation::Unpaid };
        let sent = Sent { lane: self.lanes[channel], issuer, at: at(sent) };
        self.board.learn(sent, seen, at(now));
    }
    fn answered(&mut self, channel: usize, answered: bool, sent: usize, now: usize) {
        let sent = Sent { lane: self.lanes[channel], issuer: None, at: at(sent) };
        self.board.answered(sent, answered, at(now));
        let seen = if answered { Observation::Good } else { Observation::Bad };
        self.board.learn(sent, seen, at(now));
    }
    fn shown(&mut self, channel: usize, now: usize) {
        self.board.shown(self.lanes[channel], at(now));
    }
    fn paid(&mut self, _: usize, channel: usize, paid: bool, shown: usize, now: usize) {
        let lane = self.lanes[channel];
        self.board.paid(lane, at(shown), paid, at(now));
        // As the engine does: in service those that are paid come in long before those that
        // are not, and would mislead; of a cell that is out they prove that it is back.
        if self.board.cells().nth(channel).is_some_and(|(_, cell)| cell.state.is_out()) {
            let seen = if paid { Observation::Paid } else { Observation::Unpaid };
            self.board.learn(Sent { lane, issuer: None, at: at(shown) }, seen, at(now));
        }
    }
    fn tick(&mut self, now: usize) {
        self.board.tick(at(now));
    }
    fn announced(&mut self, channel: usize, from: usize, until: usize) {
        self.board.announce_absence(self.lanes[channel], at(from), at(until));
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
