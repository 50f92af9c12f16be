//! Worlds that need more than four rates: issuers, announced absences, sparse traffic.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{ChannelId, Method, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use resilience::{Board, CellKey, Issuer, Lane, Observation, Request, Sent, Settings};
use serde::Serialize;

use crate::stats::Mean;
use crate::world::{BASE, CHANNELS};

const ISSUERS: usize = 10;

/// What goes wrong from minute 10 to minute 20.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// One issuer fails on every channel.
    IssuerEverywhere,
    /// One issuer fails on the first channel only.
    IssuerOnFirst,
    /// The first channel is away, as announced.
    Announced,
    /// The first channel is dead.
    Dead,
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub struct Extra {
    /// What was tried.
    pub name: &'static str,
    /// Payments that the fault took and a better choice would have saved.
    pub regret: Mean,
    /// Changes of leader.
    pub switches: Mean,
    /// Payments lost on what was at fault.
    pub lost_to_fault: Mean,
    /// Share of payments not concerned that left the leader during the fault.
    pub moved_elsewhere: Mean,
}

struct Run {
    board: Board,
    lanes: Vec<Lane>,
    issuers: Vec<Issuer>,
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_secs(43_200) + Duration::from_secs_f64(seconds)
}

fn rates(trouble: Trouble, issuer: usize, fault: bool) -> [f64; CHANNELS] {
    let mut rates = BASE;
    let hit = |rates: &mut [f64; CHANNELS], channels: usize| {
        rates.iter_mut().take(channels).for_each(|r| *r = 0.0);
    };
    match trouble {
        _ if !fault => {}
        Trouble::IssuerEverywhere if issuer == 3 => hit(&mut rates, CHANNELS),
        Trouble::IssuerOnFirst if issuer == 3 => hit(&mut rates, 1),
        Trouble::Announced | Trouble::Dead => hit(&mut rates, 1),
        _ => {}
    }
    rates
}

/// Runs ours once: regret, switches, losses to the fault, and the share that moved for nothing.
fn once(trouble: Trouble, per_second: f64, seed: u64) -> [f64; 4] {
    let mut board = Board::new(Settings::default());
    let lanes: Vec<Lane> = (0..CHANNELS)
        .filter_map(|c| ChannelId::new(&format!("c{c}")).ok())
        .map(|channel| board.lane(&CellKey { channel, method: Method::Card }, at(0.0)))
        .collect();
    let issuers = (0..ISSUERS).map(|i| Issuer::of(&format!("bank {i}"))).collect();
    let mut run = Run { board, lanes, issuers };
    if trouble == Trouble::Announced {
        run.board.announce_absence(run.lanes[0], at(600.0), at(1_200.0));
    }
    let mut outcomes = ChaCha8Rng::seed_from_u64(seed);
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x00D1_CE00);
    let mut pending: VecDeque<(Sent, bool)> = VecDeque::new();
    let (mut regret, mut switches, mut lost) = (0.0, 0.0, 0.0);
    let (mut moved, mut bystanders) = (0.0, 0.0_f64);
    let mut leader = run.lanes[0];
    let payments = (per_second * 1_800.0) as usize;
    for payment in 0..payments {
        let second = payment as f64 / per_second;
        let now = at(second);
        while let Some((sent, good)) = pending.front().copied()
            && now.since(sent.at) >= Duration::from_millis(1_500)
        {
            pending.pop_front();
            let seen = if good { Observation::Paid } else { Observation::Unpaid };
            run.board.learn(sent, seen, now);
        }
        run.board.tick(now);
        let issuer = outcomes.random_range(0..ISSUERS);
        let fault = (600.0..1_200.0).contains(&second);
        let rates = rates(trouble, issuer, fault);
        let drawn: [f64; CHANNELS] = std::array::from_fn(|_| outcomes.random());
        let roll: f64 = dice.random();
        let request = Request {
            candidates: &run.lanes,
            fees: &[],
            issuer: Some(run.issuers[issuer]),
            spare: true,
            dice: roll,
            now,
        };
        let Some(decision) = run.board.choose(&request) else { continue };
        let sent = Sent { lane: decision.lane, issuer: Some(run.issuers[issuer]), at: now };
        run.board.sent_lane(sent, roll);
        let channel = decision.index;
        pending.push_back((sent, drawn[channel] < rates[channel]));
        regret += rates.iter().copied().fold(0.0, f64::max) - rates[channel];
        lost += if rates[channel] == 0.0 { 1.0 } else { 0.0 };
        if fault && rates[0] > 0.0 {
            bystanders += 1.0;
            moved += f64::from(u8::from(channel != 0));
        }
        let now_leads = run.board.leader(&request).unwrap_or(leader);
        switches += f64::from(u8::from(now_leads != leader));
        leader = now_leads;
    }
    [regret, switches, lost, moved / bystanders.max(1.0)]
}

/// All rows.
pub fn extras(seeds: std::ops::Range<u64>) -> Vec<Extra> {
    let cases = [
        ("issuer down on all channels", Trouble::IssuerEverywhere, 50.0),
        ("one issuer on one channel", Trouble::IssuerOnFirst, 50.0),
        ("announced maintenance", Trouble::Announced, 50.0),
        ("hard down at 0.5/s", Trouble::Dead, 0.5),
    ];
    let row = |(name, trouble, rate)| {
        let runs: Vec<[f64; 4]> = seeds.clone().map(|s| once(trouble, rate, s)).collect();
        let of = |i: usize| Mean::of(&runs.iter().map(|r| r[i]).collect::<Vec<_>>());
        Extra { name, regret: of(0), switches: of(1), lost_to_fault: of(2), moved_elsewhere: of(3) }
    };
    cases.map(row).to_vec()
}
