//! The choice among lanes: the hot path.
//!
//! The leader of a set of lanes is sticky. It changes hands when a cell falls (at once), or
//! when another lane is better beyond doubt (by standard errors of the difference). A small
//! share of payments looks elsewhere, more of them while there is something to find out. Among
//! lanes that are about as good as the leader, price decides, and then latency.

use domain::Timestamp;

use crate::board::{Board, Glance, Lane};
use crate::issuers::{Issuer, OnLane};
use crate::rank::Estimate;
use crate::{HealthState, Settings};

/// A question: where should this payment go?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Lanes that could take it, in the merchant's order.
    pub candidates: &'a [Lane],
    /// What the payment would cost on each of them, in minor units; `None` where no price is
    /// known. Empty when no prices are told at all, and then the merchant's order stands.
    pub fees: &'a [Option<i64>],
    /// The customer's issuer, where known.
    pub issuer: Option<Issuer>,
    /// Whether it may be spent on a probe (a low amount, nothing moved yet).
    pub spare: bool,
    /// A fresh number in `[0, 1)`.
    pub dice: f64,
    /// When.
    pub now: Timestamp,
}

/// Why a lane was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It leads.
    Leads,
    /// The leader is out, or doubtful, and this stands in.
    StandsIn,
    /// About as good as the leader, and costs less.
    Cheaper,
    /// About as good as the leader at the same price, and answers sooner.
    Faster,
    /// To find out whether it is back.
    Probe,
    /// The leader's ramp gave this payment away.
    Ramp,
    /// To keep knowing how good it is.
    Explore,
    /// The leader fails for this customer's issuer.
    Issuer,
    /// The one that was meant has no room.
    Overflow,
    /// All are out: they are tried all the same (fail open).
    FailOpen,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index among the candidates.
    pub index: usize,
    /// The lane.
    pub lane: Lane,
    /// Why.
    pub why: Why,
}

/// Who leads a set of lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leader {
    group: u64,
    home: Lane,
    stand_in: Option<Lane>,
    /// When it was last asked, and the seconds between questions, smoothed.
    asked: Timestamp,
    gap_s: f64,
}

impl Leader {
    fn ask(&mut self, now: Timestamp) {
        let gap_s = now.since(self.asked).as_secs_f64().min(600.0);
        self.gap_s += (gap_s - self.gap_s) / 20.0;
        self.asked = self.asked.max(now);
    }
}

/// Sets of lanes that are remembered; beyond that, the oldest is forgotten.
pub(crate) const GROUPS: usize = 256;
/// Standard errors by which a lane must be better than a quiet leader.
const Z_CALM: f64 = 3.5;
/// The same for one that the merchant ranks first.
const Z_BACK: f64 = 2.0;
/// The same while rates drift.
const Z_DRIFT: f64 = 0.2;
/// The same for a stand-in, and against the merchant's order among strangers.
const Z_STAND_IN: f64 = 2.5;
/// The same against a leader that is known to ail.
const Z_AILING: f64 = 0.5;
/// Optimism of exploration while rates drift, in standard deviations.
const OPTIMISM: f64 = 1.5;
/// Optimism about a contender while rates stand still.
const HOPE: f64 = 0.5;
/// Age at which a fault is probed more rarely by the square root of 2, seconds.
const PATIENCE_S: f64 = 40.0;
/// The most that ignorance alone makes near, as a share of payments.
const NEAR_MOST: f64 = 0.005;
/// What is faster answers in less than 0.8 of the other's time.
const FASTER_LN: f64 = -0.223;
/// Seconds between payments where `probe_every_ms` holds; it grows with their square root.
const BUSY_S: f64 = 0.04;
/// Results after which a lane is no stranger.
const KNOWN: f64 = 50.0;

/// Several independent numbers from one (SplitMix64).
struct Dice(u64);

impl Dice {
    fn new(dice: f64) -> Dice {
        Dice(dice.to_bits())
    }

    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Board {
    /// Chooses a lane; `None` when no candidate has room.
    pub fn choose(&mut self, request: &Request<'_>) -> Option<Decision> {
        self.redraw(request.now);
        let mut dice = Dice::new(request.dice);
        let choice = self.by_health(request, &mut dice)?;
        let choice = self.by_issuer(request, choice, &mut dice);
        self.with_room(request, choice)
    }

    fn by_health(&mut self, request: &Request<'_>, dice: &mut Dice) -> Option<Decision> {
        let lead = self.lead(request)?;
        if let Some(probe) = self.probe(request, lead) {
            return Some(probe);
        }
        if let HealthState::Ramping { share, .. } = self.glance(lead.lane).state
            && dice.roll() * 100.0 >= f64::from(share)
        {
            if let Some(other) = self.pick(request, Some(lead.lane)) {
                return Some(Decision { why: Why::Ramp, ..other });
            }
            return self.fail_open(request);
        }
        let lead = self.thrifty(request, lead);
        Some(self.explore(request, lead, dice).unwrap_or(lead))
    }

    /// The cheapest of the lanes that are about as good as the leader, and of those that cost
    /// the same the fastest. What has no known price stands behind what has one.
    fn thrifty(&self, request: &Request<'_>, lead: Decision) -> Decision {
        let Request { candidates, fees, .. } = *request;
        if fees.is_empty() {
            return lead;
        }
        let held = self.expected(lead.lane);
        let fee = |index: usize| fees.get(index).copied().flatten().unwrap_or(i64::MAX);
        let usual = |lane: Lane| self.latency(lane).usual_ln();
        let mut best = lead;
        for (index, lane) in candidates.iter().enumerate() {
            if fee(index) > fee(best.index) {
                continue;
            }
            let glance = self.glance(*lane);
            let able = serves(glance) && !ramps(glance) && !glance.ails && glance.known >= KNOWN;
            if *lane == lead.lane || !able || !self.is_near(&glance.expected, &held) {
                continue;
            }
            let why = if fee(index) < fee(best.index) {
                Why::Cheaper
            } else if fee(index) == fee(best.index)
                && usual(*lane).zip(usual(best.lane)).is_some_and(|(a, b)| a < b + FASTER_LN)
            {
                Why::Faster
            } else {
                continue;
            };
            best = Decision { index, lane: *lane, why };
        }
        best
    }

    /// Whether success is as good as `held` within the margin that is set, or within a standard
    /// error where that is more; but a lane that is hardly known is not near to anything.
    fn is_near(&self, success: &Estimate, held: &Estimate) -> bool {
        let behind = held.mean - success.mean;
        behind <= self.settings.near_success
            || behind <= NEAR_MOST && behind * behind <= success.variance + held.variance
    }

    /// Goes around a lane that is bad for this customer's issuer only.
    fn by_issuer(&self, request: &Request<'_>, choice: Decision, dice: &mut Dice) -> Decision {
        let Some(issuer) = request.issuer.filter(|_| !self.issuers.all_fine()) else {
            return choice;
        };
        let stay = match self.issuers.on_lane(choice.lane, issuer, request.now) {
            OnLane::Fine => true,
            OnLane::Doubtful => dice.roll() < 0.5,
            OnLane::Out { probe_due } => probe_due && request.spare,
        };
        if stay {
            return choice;
        }
        let fine = |lane: &Lane| {
            *lane != choice.lane
                && serves(self.glance(*lane))
                && self.issuers.on_lane(*lane, issuer, request.now) == OnLane::Fine
        };
        let other = request.candidates.iter().position(fine);
        other.map_or(choice, |index| Decision {
            index,
            lane: request.candidates[index],
            why: Why::Issuer,
        })
    }

    /// Keeps to what lanes can stand: the next in service takes what does not fit.
    fn with_room(&self, request: &Request<'_>, choice: Decision) -> Option<Decision> {
        let room = |lane: &Lane| self.has_room(*lane, request.now);
        if room(&choice.lane) {
            return Some(choice);
        }
        let fits =
            |lane: &Lane| room(lane) && serves(self.glance(*lane)) && !ramps(self.glance(*lane));
        let index = request.candidates.iter().position(fits)?;
        Some(Decision { index, lane: request.candidates[index], why: Why::Overflow })
    }

    /// The lane that leads a set now, probes and exploration aside.
    pub fn leader(&mut self, request: &Request<'_>) -> Option<Lane> {
        self.redraw(request.now);
        self.lead(request).map(|d| d.lane)
    }

    fn expected(&self, lane: Lane) -> Estimate {
        self.glance(lane).expected
    }

    fn lead(&mut self, request: &Request<'_>) -> Option<Decision> {
        let first = *request.candidates.first()?;
        let slot = self.group(request.candidates, first, request.now);
        self.leaders[slot].ask(request.now);
        let Leader { home, stand_in, gap_s, .. } = self.leaders[slot];
        self.gap_s = gap_s;
        let z = if self.climate.drifting() { Z_DRIFT } else { Z_CALM };
        if self.glance(home).ails {
            let kept =
                stand_in.filter(|lane| serves(self.glance(*lane)) && !self.glance(*lane).ails);
            let lane = self.stand_in(request, home, kept);
            self.leaders[slot].stand_in = lane;
            return match lane {
                Some(lane) => self.decision(request, lane, Why::StandsIn),
                None => self.decision(request, home, Why::Leads),
            };
        }
        if !self.glance(home).state.is_out() {
            let home = self.challenger(request, home, z).unwrap_or(home);
            self.leaders[slot].home = home;
            // A stand-in is kept while the leader ramps up.
            if !matches!(self.glance(home).state, HealthState::Ramping { .. }) {
                self.leaders[slot].stand_in = None;
            }
            return self.decision(request, home, Why::Leads);
        }
        let kept = stand_in.filter(|lane| serves(self.glance(*lane)));
        let lane = match kept {
            Some(lane) => {
                let z = if self.climate.drifting() { Z_DRIFT } else { Z_STAND_IN };
                Some(self.challenger(request, lane, z).unwrap_or(lane))
            }
            None => self.pick(request, None).map(|d| d.lane),
        };
        self.leaders[slot].stand_in = lane;
        match lane {
            // The rest of a good channel may be worth more than the whole of a bad one.
            Some(lane) if self.is_worse(lane, home) => {
                self.lanes[usize::from(home.0)].cell.carry();
                self.decision(request, home, Why::FailOpen)
            }
            Some(lane) => self.decision(request, lane, Why::StandsIn),
            None => self.fail_open(request),
        }
    }

    fn is_worse(&self, lane: Lane, than: Lane) -> bool {
        self.expected(than).beats(&self.expected(lane), Z_STAND_IN)
    }

    /// Nothing is in service: the merchant's order holds, since a refusal for certain would
    /// lose the payment for certain.
    fn fail_open(&mut self, request: &Request<'_>) -> Option<Decision> {
        let first = *request.candidates.first()?;
        self.lanes[usize::from(first.0)].cell.carry();
        self.decision(request, first, Why::FailOpen)
    }

    /// Who stands in for a leader that ails: one that is better than what is left of it.
    fn stand_in(&self, request: &Request<'_>, home: Lane, kept: Option<Lane>) -> Option<Lane> {
        let left = self.expected(home);
        let better = |lane: &Lane| self.expected(*lane).beats(&left, Z_AILING);
        match kept.filter(better) {
            Some(lane) => Some(self.challenger(request, lane, Z_STAND_IN).unwrap_or(lane)),
            None => self.pick(request, Some(home)).map(|d| d.lane).filter(better),
        }
    }

    fn decision(&self, request: &Request<'_>, lane: Lane, why: Why) -> Option<Decision> {
        let index = request.candidates.iter().position(|l| *l == lane)?;
        Some(Decision { index, lane, why })
    }

    fn group(&mut self, candidates: &[Lane], first: Lane, asked: Timestamp) -> usize {
        let group = candidates.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, lane| {
            (hash ^ u64::from(lane.0)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        if let Some(slot) = self.leaders.iter().position(|l| l.group == group) {
            return slot;
        }
        if self.leaders.len() >= GROUPS {
            self.leaders.remove(0);
        }
        self.leaders.push(Leader { group, home: first, stand_in: None, asked, gap_s: BUSY_S });
        self.leaders.len() - 1
    }

    /// The best lane that is better than `holder` by `z` standard errors.
    fn challenger(&self, request: &Request<'_>, holder: Lane, z: f64) -> Option<Lane> {
        let held = self.expected(holder);
        // A lane that the merchant ranks before the holder needs less to come back.
        let mut before = !self.climate.drifting();
        let better = request.candidates.iter().filter(|lane| {
            before &= **lane != holder;
            let z = if before { z.min(Z_BACK) } else { z };
            **lane != holder
                && serves(self.glance(**lane))
                && self.glance(**lane).known >= 30.0
                && self.expected(**lane).beats(&held, z)
        });
        better.copied().max_by(|a, b| {
            let (a, b) = (self.expected(*a), self.expected(*b));
            a.mean.total_cmp(&b.mean)
        })
    }

    /// The first lane in service, or one after it that is clearly better.
    fn pick(&self, request: &Request<'_>, but: Option<Lane>) -> Option<Decision> {
        // What a ramp gives away does not go to another ramp.
        let full = |lane: &Lane| serves(self.glance(*lane)) && !ramps(self.glance(*lane));
        let any_full = but.is_some() || request.candidates.iter().any(full);
        let usable = |lane: &&Lane| {
            Some(**lane) != but && if any_full { full(lane) } else { serves(self.glance(**lane)) }
        };
        let mut best = *request.candidates.iter().find(usable)?;
        for lane in request.candidates.iter().filter(usable) {
            let (held, new) = (self.expected(best), self.expected(*lane));
            if new.beats(&held, Z_STAND_IN) {
                best = *lane;
            }
        }
        self.decision(request, best, Why::StandsIn)
    }

    /// A fallen lane whose time to be probed has come.
    fn probe(&mut self, request: &Request<'_>, lead: Decision) -> Option<Decision> {
        if !request.spare {
            return None;
        }
        let due = |lane: &Lane| *lane != lead.lane && self.glance(*lane).probe_due(request.now);
        let lane = *request.candidates.iter().find(|lane| due(lane))?;
        let lost = self.expected(lead.lane).mean - self.expected(lane).mean;
        // The longer a fault lasts, the longer it will: probes thin out with the root of its
        // age, which balances what they lose against what is lost by coming back late.
        let age_s = self.at(lane).trouble.map_or(0.0, |t| request.now.since(t.since).as_secs_f64());
        let patience = (1.0 + age_s / PATIENCE_S).sqrt().min(6.0);
        // Where little is sent, little is lost by coming back late, and a probe costs the same.
        let quiet = (self.gap_s / BUSY_S).sqrt().clamp(1.0, 12.0);
        let every = self.settings.probe_every_ms as f64 * lost.clamp(0.1, 1.0) * patience * quiet;
        self.lanes[usize::from(lane.0)].cell.probe_every_ms = every as u64;
        self.decision(request, lane, Why::Probe)
    }

    fn explore(&self, request: &Request<'_>, lead: Decision, dice: &mut Dice) -> Option<Decision> {
        if request.candidates.len() < 2 {
            return None;
        }
        let rare = dice.roll();
        if self.climate.drifting() {
            return (rare < self.settings.explore_hopeful)
                .then(|| self.optimist(request, lead))
                .flatten();
        }
        // Where nobody tells what became of payments there is nothing to explore for.
        if self.glance(lead.lane).known < KNOWN {
            return None;
        }
        // Nine of ten payments need not look any further.
        let Settings { explore, explore_doubtful, explore_hopeful, .. } = self.settings;
        if rare >= explore.max(explore_doubtful).max(explore_hopeful) {
            return None;
        }
        let contender = self.contender(request, lead);
        let share = match contender {
            Some((_, true)) => self.settings.explore_hopeful,
            Some((_, false)) => self.settings.explore_doubtful,
            None if self.glance(lead.lane).ails => self.settings.explore_doubtful,
            None => self.settings.explore,
        };
        if rare >= share {
            return None;
        }
        if let Some((lane, _)) = contender {
            return self.decision(request, lane, Why::Explore);
        }
        let index = (dice.roll() * request.candidates.len() as f64) as usize;
        let lane = *request.candidates.get(index)?;
        let usable = lane != lead.lane && serves(self.glance(lane));
        usable.then_some(Decision { index, lane, why: Why::Explore })
    }

    /// The lane that might be better than the leader, and whether it looks better: a stranger,
    /// or one whose estimate is within a standard error.
    fn contender(&self, request: &Request<'_>, lead: Decision) -> Option<(Lane, bool)> {
        let held = self.expected(lead.lane);
        let mut best: Option<(Lane, f64, bool)> = None;
        for lane in request.candidates.iter().filter(|l| **l != lead.lane) {
            let cell = self.glance(*lane);
            if !serves(cell) || cell.ails {
                continue;
            }
            if cell.known < KNOWN {
                return Some((*lane, false));
            }
            let estimate = self.expected(*lane);
            let hope = estimate.mean + HOPE * estimate.variance.sqrt();
            if hope > held.mean && best.is_none_or(|(_, most, _)| hope > most) {
                best = Some((*lane, hope, estimate.mean > held.mean));
            }
        }
        best.map(|(lane, _, better)| (lane, better))
    }

    /// The lane that could well be better than the leader while rates drift.
    fn optimist(&self, request: &Request<'_>, lead: Decision) -> Option<Decision> {
        let hope = |lane: Lane| {
            let estimate = self.expected(lane);
            estimate.mean + OPTIMISM * estimate.variance.sqrt()
        };
        let usable = request.candidates.iter().filter(|l| serves(self.glance(**l)));
        let best = *usable.max_by(|a, b| hope(**a).total_cmp(&hope(**b)))?;
        (best != lead.lane).then(|| self.decision(request, best, Why::Explore)).flatten()
    }
}

fn serves(cell: &Glance) -> bool {
    !cell.state.is_out()
}

fn ramps(cell: &Glance) -> bool {
    matches!(cell.state, HealthState::Ramping { .. })
}
