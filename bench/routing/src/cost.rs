//! What a decision and an outcome cost, at a hundred channels and fifty issuers.

use std::time::Instant;

use domain::{ChannelId, Method, Timestamp};
use resilience::{Board, CellKey, Issuer, Lane, Observation, Request, Sent, Settings};
use serde::Serialize;

const LANES: usize = 100;
const ISSUERS: usize = 50;

/// Nanoseconds, on the machine that ran it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cost {
    /// Of one decision among a hundred lanes.
    pub choose_ns: f64,
    /// The same with a price for each lane.
    pub choose_priced_ns: f64,
    /// The same while one issuer is out on the leader.
    pub choose_with_issuer_out_ns: f64,
    /// Of noting what was sent and what came of it.
    pub learn_ns: f64,
    /// Of one decision while rates drift; absent when the board did not come to think so.
    pub choose_drifting_ns: Option<f64>,
    /// Of one look at silence over a hundred lanes with calls pending.
    pub tick_ns: f64,
    /// Allocations in 10,000 decisions with issuers and prices; and in as many outcomes told.
    pub allocations: (u64, u64),
}

fn at(step: usize) -> Timestamp {
    Timestamp::from_micros(43_200_000_000 + step as i64 * 1_000)
}

fn per(rounds: usize, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..rounds).for_each(&mut work);
    start.elapsed().as_nanos() as f64 / rounds as f64
}

struct Bed {
    board: Board,
    lanes: Vec<Lane>,
    issuers: Vec<Issuer>,
    fees: Vec<Option<i64>>,
    step: usize,
}

fn dice(i: usize) -> f64 {
    (i as f64 * 0.618_033_988_749).fract()
}

impl Bed {
    fn new() -> Bed {
        let mut board = Board::new(Settings::default());
        let lanes: Vec<Lane> = (0..LANES)
            .filter_map(|c| ChannelId::new(&format!("c{c}")).ok())
            .map(|channel| board.lane(&CellKey { channel, method: Method::Card }, at(0)))
            .collect();
        let issuers = (0..ISSUERS).map(|i| Issuer::of(&i.to_string())).collect();
        let fees = (0..LANES).map(|i| Some(30 + (i as i64 * 7) % 40)).collect();
        Bed { board, lanes, issuers, fees, step: 0 }
    }

    /// A payment and what came of it.
    fn feed(&mut self, lane: usize, issuer: usize, good: bool) {
        self.step += 1;
        let (now, board) = (at(self.step), &mut self.board);
        let sent = Sent { lane: self.lanes[lane], issuer: Some(self.issuers[issuer]), at: now };
        board.sent_lane(sent, 0.5);
        board.answered(sent, true, at(self.step + 1));
        let seen = if good { Observation::Paid } else { Observation::Unpaid };
        board.learn(sent, seen, at(self.step + 1));
    }

    fn feed_any(&mut self, i: usize, rate: f64) {
        self.feed(i % LANES, (i / LANES) % ISSUERS, dice(i) < rate);
    }

    fn choose(&mut self, i: usize, priced: bool) {
        self.step += 1;
        let request = Request {
            candidates: &self.lanes,
            fees: if priced { &self.fees } else { &[] },
            issuer: Some(self.issuers[i % ISSUERS]),
            spare: true,
            dice: dice(i),
            now: at(self.step),
        };
        std::hint::black_box(self.board.choose(&request));
    }

    fn allocations(&mut self) -> (u64, u64) {
        let count = |work: &mut dyn FnMut()| allocation_counter::measure(work).count_total;
        let choices = count(&mut || (0..10_000).for_each(|i| self.choose(i, true)));
        let outcomes = count(&mut || (0..10_000).for_each(|i| self.feed_any(i, 0.92)));
        (choices, outcomes)
    }
}

/// Allocations in 10,000 decisions with issuers and prices, and in as many outcomes told, once
/// every issuer was seen on every lane and the rings of calls are full.
pub fn allocations() -> (u64, u64) {
    let mut bed = Bed::new();
    (0..LANES * ISSUERS * 25).for_each(|i| bed.feed_any(i, 0.92));
    bed.allocations()
}

/// Measures.
pub fn cost() -> Cost {
    let mut bed = Bed::new();
    (0..LANES * ISSUERS * 40).for_each(|i| bed.feed_any(i, 0.92));
    let rounds = 200_000;
    let learn_ns = per(rounds, |i| bed.feed_any(i, 0.92));
    let choose_ns = per(rounds, |i| bed.choose(i, false));
    let choose_priced_ns = per(rounds, |i| bed.choose(i, true));
    for i in 0..60 {
        bed.feed(0, 3, false);
        bed.feed(1, 3, i % 10 != 0);
    }
    let choose_with_issuer_out_ns = per(rounds, |i| bed.choose(i, false));
    let choose_drifting_ns = drifting(rounds);
    for lane in bed.lanes.clone() {
        bed.board.sent_lane(Sent { lane, issuer: None, at: at(bed.step) }, 0.5);
    }
    let tick_ns = per(200, |i| bed.board.tick(at(bed.step + i)));
    Cost {
        choose_ns,
        choose_priced_ns,
        choose_with_issuer_out_ns,
        learn_ns,
        choose_drifting_ns,
        tick_ns,
        allocations: allocations(),
    }
}

/// Rates that rise and fall until the board holds them for drifting.
fn drifting(rounds: usize) -> Option<f64> {
    let mut bed = Bed::new();
    (0..LANES * 1_000).for_each(|i| bed.feed_any(i, 0.92));
    let falls = (0..LANES * 4_000).find(|i| {
        let rate = if (i / (LANES * 200)).is_multiple_of(2) { 0.97 } else { 0.87 };
        bed.feed_any(*i, rate);
        bed.board.climate().drifting()
    });
    falls.map(|_| per(rounds, |i| bed.choose(i, false)))
}
