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
    /// The same while one issuer is out on the leader.
    pub choose_with_issuer_out_ns: f64,
    /// Of noting what was sent and what came of it.
    pub learn_ns: f64,
    /// Of one look at silence over a hundred lanes with calls pending.
    pub tick_ns: f64,
}

fn at(step: usize) -> Timestamp {
    Timestamp::from_micros(43_200_000_000 + step as i64 * 1_000)
}

fn per(rounds: usize, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..rounds).for_each(&mut work);
    start.elapsed().as_nanos() as f64 / rounds as f64
}

/// Measures.
pub fn cost() -> Cost {
    let mut board = Board::new(Settings::default());
    let lanes: Vec<Lane> = (0..LANES)
        .filter_map(|c| ChannelId::new(&format!("c{c}")).ok())
        .map(|channel| board.lane(&CellKey { channel, method: Method::Card }, at(0)))
        .collect();
    let issuers: Vec<Issuer> = (0..ISSUERS).map(|i| Issuer::of(&i.to_string())).collect();
    let dice = |i: usize| (i as f64 * 0.618_033_988_749).fract();
    let mut step = 0;
    let mut feed = |board: &mut Board, lane: Lane, issuer: Issuer, good: bool| {
        step += 1;
        let sent = Sent { lane, issuer: Some(issuer), at: at(step) };
        board.sent_lane(sent, 0.5);
        board.answered(sent, true, at(step + 1));
        board.learn(sent, if good { Observation::Paid } else { Observation::Unpaid }, at(step + 1));
        step
    };
    for i in 0..LANES * ISSUERS * 40 {
        feed(&mut board, lanes[i % LANES], issuers[(i / LANES) % ISSUERS], dice(i) < 0.92);
    }
    let rounds = 200_000;
    let learn_ns = per(rounds, |i| {
        feed(&mut board, lanes[i % LANES], issuers[(i / LANES) % ISSUERS], dice(i) < 0.92);
    });
    let now = at(LANES * ISSUERS * 40 + 2 * rounds);
    let choose = |board: &mut Board, i: usize| {
        let issuer = Some(issuers[i % ISSUERS]);
        let request =
            Request { candidates: &lanes, fees: &[], issuer, spare: true, dice: dice(i), now };
        std::hint::black_box(board.choose(&request));
    };
    let choose_ns = per(rounds, |i| choose(&mut board, i));
    for i in 0..60 {
        feed(&mut board, lanes[0], issuers[3], false);
        feed(&mut board, lanes[1], issuers[3], i % 10 != 0);
    }
    let choose_with_issuer_out_ns = per(rounds, |i| choose(&mut board, i));
    let now = at(LANES * ISSUERS * 40 + 3 * rounds);
    for lane in &lanes {
        board.sent_lane(Sent { lane: *lane, issuer: None, at: now }, 0.5);
    }
    let tick_ns = per(200, |i| board.tick(at(LANES * ISSUERS * 40 + 3 * rounds + i)));
    Cost { choose_ns, choose_with_issuer_out_ns, learn_ns, tick_ns }
}
