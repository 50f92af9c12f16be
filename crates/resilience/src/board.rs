//! The health of all cells.
//!
//! A *lane* is a channel and a method: what a payment is sent on. Lanes are numbered once, so
//! that a decision among a hundred of them touches no text and allocates nothing. Outcomes
//! also go to the issuer's cell on the lane and, where a channel has several methods, to the
//! channel's; the deepest level that alarms answers for the fault, since what it already
//! explains is kept from the levels above.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{ChannelId, Method, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ages::Ages;
use crate::base::Prior;
use crate::choose::{GROUPS, Leader};
use crate::declines::{DeclineMix, DeclineShift};
use crate::issuers::{Issuer, Issuers};
use crate::latency::Latency;
use crate::load::{Headroom, RetryBudget};
use crate::rank::{Climate, Drifting, Estimate};
use crate::{Cause, Cell, HealthState, Observation, Settings};

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

/// Something sent whose outcome is told later.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// On which lane.
    pub lane: Lane,
    /// The customer's issuer, where known.
    pub issuer: Option<Issuer>,
    /// When.
    pub at: Timestamp,
}

/// Announced absence: drained before, probed at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    from: Timestamp,
    until: Timestamp,
    /// The lane was drained for it. Once only: when it proves itself before the end, by
    /// synthetic payments, it may come back before the end.
    begun: bool,
}

/// How bad somebody else says that something is: its provider, a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Slow, or fails for some.
    Minor,
    /// Fails.
    Major,
}

impl Severity {
    /// The name in the API and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Minor => "minor",
            Severity::Major => "major",
        }
    }

    /// The share of the evidence that it stands for.
    fn share(self) -> f64 {
        match self {
            Severity::Minor => 0.25,
            Severity::Major => 0.5,
        }
    }
}

/// How long before an absence a lane is drained: what is in flight should land.
const DRAIN: Duration = Duration::from_secs(5);
/// Ages are tested at `1 / STRETCH` of themselves.
const STRETCH: f64 = 1.15;
/// A call that is pending for longer was lost by us: its caller is gone.
const CALLS_FORGOTTEN: Duration = Duration::from_secs(120);
/// The same for a code that was shown.
const CODES_FORGOTTEN: Duration = Duration::from_secs(2 * 3_600);
/// Time in which a drifting rate does not move by much.
const REDRAW: Duration = Duration::from_millis(250);
/// Evidence at which a lane's outcomes no longer speak for its channel (nats).
const APART: f64 = 6.0;

/// A lane and all that is measured of it.
#[derive(Clone, Debug)]
pub(crate) struct LaneState {
    pub(crate) cell: Cell,
    pub(crate) channel: u16,
    pub(crate) calls: Ages,
    pub(crate) codes: Ages,
    pub(crate) latency: Latency,
    pub(crate) headroom: Option<Headroom>,
    pub(crate) absence: Option<Absence>,
    mix: DeclineMix,
}

impl LaneState {
    /// Whether it may take one more now, by its headroom and, while slow, by its cap.
    fn has_room(&self, now: Timestamp) -> bool {
        self.headroom.is_none_or(|h| h.has_room(now))
            && self.latency.cap().is_none_or(|cap| self.calls.pending() < cap)
    }
}

/// What a choice needs to know of a lane, small enough that a hundred stay at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    pub(crate) state: HealthState,
    pub(crate) ails: bool,
    /// Results that the estimate rests on.
    pub(crate) known: f64,
    /// The calm estimate, or what a fault has left.
    pub(crate) calm: Estimate,
    /// The estimate is a fault's, which does not drift.
    pub(crate) fixed: bool,
    drifting: Drifting,
    pub(crate) next_probe: Timestamp,
    /// What is expected of it now, as the climate is. Drawn anew with each outcome and, for
    /// lanes that are not used, now and then: a decision reads it and computes nothing.
    pub(crate) expected: Estimate,
}

impl Glance {
    fn at(cell: &Cell, climate: &Climate, now: Timestamp) -> Glance {
        let ails = cell.ails();
        let calm = cell.estimate(&Climate::default(), cell.changed_at);
        let mut glance = Glance {
            state: cell.state,
            ails,
            known: cell.known(),
            calm,
            fixed: cell.trouble.is_some() && (ails || cell.state.is_out()),
            drifting: cell.drifting,
            next_probe: cell.next_probe,
            expected: calm,
        };
        glance.draw(climate, now);
        glance
    }

    fn draw(&mut self, climate: &Climate, now: Timestamp) {
        self.expected = if self.fixed || !climate.drifting() {
            self.calm
        } else {
            self.drifting.estimate(climate.anchor(self.calm.mean, self.known), now)
        };
    }

    pub(crate) fn probe_due(&self, now: Timestamp) -> bool {
        (self.ails || self.state.is_out()) && now >= self.next_probe
    }
}

/// A channel over all of its methods.
#[derive(Clone, Debug)]
struct ChannelState {
    id: ChannelId,
    cell: Cell,
    lanes: u16,
    /// Over all of its lanes.
    headroom: Option<Headroom>,
}

/// The health of all cells.
#[derive(Clone, Debug)]
pub struct Board {
    names: BTreeMap<CellKey, Lane>,
    pub(crate) lanes: Vec<LaneState>,
    /// One for each lane, kept in step with its cell.
    pub(crate) glances: Vec<Glance>,
    channels: Vec<ChannelState>,
    pub(crate) issuers: Issuers,
    pub(crate) leaders: Vec<Leader>,
    pub(crate) climate: Climate,
    /// Seconds between payments of the set of lanes that was asked last.
    pub(crate) gap_s: f64,
    /// Whether the glances were last drawn as drifting, and when.
    drawn: (bool, Timestamp),
    pub(crate) settings: Settings,
    retries: RetryBudget,
}

impl Default for Board {
    fn default() -> Board {
        Board::new(Settings::default())
    }
}

impl Board {
    /// An empty board; every cell begins healthy.
    pub fn new(settings: Settings) -> Board {
        Board {
            names: BTreeMap::new(),
            lanes: Vec::new(),
            glances: Vec::new(),
            channels: Vec::new(),
            issuers: Issuers::default(),
            leaders: Vec::with_capacity(GROUPS),
            climate: Climate::default(),
            gap_s: 0.0,
            drawn: (false, Timestamp::from_secs(0)),
            retries: RetryBudget::new(settings.retry_share),
            settings,
        }
    }

    /// The lane of a cell; made when it is new.
    pub fn lane(&mut self, key: &CellKey, now: Timestamp) -> Lane {
        if let Some(lane) = self.names.get(key) {
            return *lane;
        }
        let channel = self.channel(&key.channel, now);
        let lane = Lane(u16::try_from(self.lanes.len()).expect("fewer than 65,536 lanes"));
        self.channels[usize::from(channel)].lanes += 1;
        self.lanes.push(LaneState {
            cell: Cell::new(now, &self.settings),
            channel,
            calls: Ages::new([0.3, 0.9], 1_024, CALLS_FORGOTTEN),
            codes: Ages::new([0.5, 0.9], 1_024, CODES_FORGOTTEN),
            latency: Latency::default(),
            headroom: None,
            absence: None,
            mix: DeclineMix::default(),
        });
        let cell = &self.lanes[usize::from(lane.0)].cell;
        self.glances.push(Glance::at(cell, &self.climate, now));
        self.names.insert(key.clone(), lane);
        lane
    }

    /// Brings the glance at a lane up to date; after every change of its cell.
    fn look(&mut self, lane: Lane, now: Timestamp) {
        let index = usize::from(lane.0);
        self.glances[index] = Glance::at(&self.lanes[index].cell, &self.climate, now);
    }

    /// Draws what is expected of all lanes, when the climate has changed or time has passed.
    pub(crate) fn redraw(&mut self, now: Timestamp) {
        let drifting = self.climate.drifting();
        let old = drifting && now.since(self.drawn.1) >= REDRAW;
        if old || drifting != self.drawn.0 {
            let Board { glances, climate, .. } = self;
            glances.iter_mut().for_each(|glance| glance.draw(climate, now));
            self.drawn = (drifting, now);
        }
    }

    fn channel(&mut self, id: &ChannelId, now: Timestamp) -> u16 {
        let found = self.channels.iter().position(|c| c.id == *id);
        let index = found.unwrap_or_else(|| {
            let cell = Cell::new(now, &self.settings);
            self.channels.push(ChannelState { id: id.clone(), cell, lanes: 0, headroom: None });
            self.channels.len() - 1
        });
        u16::try_from(index).expect("fewer channels than lanes")
    }

    /// Takes the outcome of a call in, of which no more is known than its cell.
    pub fn record(&mut self, key: &CellKey, seen: Observation, now: Timestamp) {
        let lane = self.lane(key, now);
        self.learn(Sent { lane, issuer: None, at: now }, seen, now);
    }

    /// Takes in the outcome of what was sent: of a call, or of a payment.
    pub fn learn(&mut self, sent: Sent, seen: Observation, now: Timestamp) {
        let speaks = match sent.issuer {
            Some(issuer) => {
                let key = (sent.lane, issuer);
                self.issuers.record(key, seen, (sent.at, now), &self.settings)
            }
            None => true,
        };
        let Board { lanes, climate, settings, .. } = self;
        let Some(lane) = lanes.get_mut(usize::from(sent.lane.0)) else { return };
        // A lane that is out needs every word about its recovery.
        if !speaks && !lane.cell.state.is_out() {
            return;
        }
        let apart = lane.cell.state.is_out() || lane.cell.statistic >= APART;
        lane.cell.record(seen, sent.at, now, climate, settings);
        let channel = lane.channel;
        self.look(sent.lane, now);
        if !apart {
            self.learn_channel(channel, seen, (sent.at, now));
        }
    }

    /// A channel of several methods that fails on all of them falls as a whole.
    fn learn_channel(&mut self, channel: u16, seen: Observation, at: (Timestamp, Timestamp)) {
        let Board { lanes, glances, channels, climate, settings, .. } = self;
        let now = at.1;
        let Some(state) = channels.get_mut(usize::from(channel)).filter(|c| c.lanes > 1) else {
            return;
        };
        state.cell.record(seen, at.0, at.1, &mut Climate::default(), settings);
        if state.cell.state.is_out() {
            let cause = state.cell.trouble.map_or(Cause::Technical, |t| t.cause);
            state.cell.absolve(at.1);
            for (lane, glance) in lanes.iter_mut().zip(glances) {
                if lane.channel == channel && !lane.cell.state.is_out() {
                    lane.cell.fall(cause, at.1, settings);
                    *glance = Glance::at(&lane.cell, climate, now);
                }
            }
        }
    }

    /// Notes that a call has left; its answer, or that it was given up, is told to
    /// [`Board::answered`]. `dice` in `[0, 1)` jitters timers.
    pub fn sent_lane(&mut self, sent: Sent, dice: f64) {
        if let Some(issuer) = sent.issuer {
            self.issuers.sent(sent.lane, issuer, dice, sent.at);
        }
        let Some(lane) = self.lanes.get_mut(usize::from(sent.lane.0)) else { return };
        lane.cell.sent(dice, sent.at);
        lane.calls.begin(sent.at);
        self.take_room(sent.lane, sent.at);
        self.look(sent.lane, sent.at);
    }

    /// Notes that a payment was given to a lane; that its call left is told to
    /// [`Board::called`]. `dice` in `[0, 1)` jitters timers.
    pub fn given(&mut self, sent: Sent, dice: f64) {
        if let Some(issuer) = sent.issuer {
            self.issuers.sent(sent.lane, issuer, dice, sent.at);
        }
        let Some(lane) = self.lanes.get_mut(usize::from(sent.lane.0)) else { return };
        lane.cell.sent(dice, sent.at);
        self.take_room(sent.lane, sent.at);
        self.look(sent.lane, sent.at);
    }

    fn take_room(&mut self, lane: Lane, now: Timestamp) {
        let Board { lanes, channels, .. } = self;
        let Some(lane) = lanes.get_mut(usize::from(lane.0)) else { return };
        let channel = channels.get_mut(usize::from(lane.channel));
        let of_channel = channel.and_then(|c| c.headroom.as_mut());
        lane.headroom.iter_mut().chain(of_channel).for_each(|headroom| headroom.take(now));
    }

    /// Takes in for ranking only whether a payment on a lane was made.
    pub fn ranked(&mut self, lane: Lane, paid: bool, now: Timestamp) {
        let Board { lanes, climate, .. } = self;
        if let Some(state) = lanes.get_mut(usize::from(lane.0)) {
            state.cell.rank(paid, now, climate);
            self.look(lane, now);
        }
    }

    /// Notes that a call was answered, or given up after its time-out.
    pub fn answered(&mut self, sent: Sent, answered: bool, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(usize::from(sent.lane.0)) else { return };
        lane.calls.end(sent.at, answered, now);
        if answered {
            lane.latency.take(now.since(sent.at), lane.calls.pending());
        }
    }

    /// Notes that a call ended in a way that says nothing about how long answers take: it was
    /// not sent, or failed at once.
    pub fn withdrawn(&mut self, sent: Sent) {
        if let Some(lane) = self.lanes.get_mut(usize::from(sent.lane.0)) {
            lane.calls.void(sent.at);
        }
    }

    /// Notes that a code or link was shown; whether it was paid is told to [`Board::paid`].
    pub fn shown(&mut self, lane: Lane, at: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane.0)) {
            lane.codes.begin(at);
        }
    }

    /// Notes that what was shown at `shown_at` was paid, or ended unpaid.
    pub fn paid(&mut self, lane: Lane, shown_at: Timestamp, paid: bool, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane.0)) {
            lane.codes.end(shown_at, paid, now);
        }
    }

    /// Notes that what was shown at `shown_at` was taken back by its merchant.
    pub fn taken_back(&mut self, lane: Lane, shown_at: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane.0)) {
            lane.codes.void(shown_at);
        }
    }

    /// Takes in why a payment was declined; tells when the mix of reasons has shifted.
    pub fn declined(&mut self, lane: Lane, kind: usize) -> Option<DeclineShift> {
        self.lanes.get_mut(usize::from(lane.0)).and_then(|l| l.mix.take(kind))
    }

    /// Looks at what time alone tells: calls that are not answered, codes that are not paid,
    /// absences that begin. To be called about every 50 ms.
    pub fn tick(&mut self, now: Timestamp) {
        let Board { lanes, glances, climate, settings, .. } = self;
        for (lane, glance) in lanes.iter_mut().zip(glances) {
            if let Some(absence) = lane.absence {
                if now >= absence.until {
                    lane.absence = None;
                } else if now + DRAIN >= absence.from && !absence.begun {
                    lane.absence = Some(Absence { begun: true, ..absence });
                    lane.cell.pause(absence.until, now);
                    *glance = Glance::at(&lane.cell, climate, now);
                }
            }
            if lane.cell.state.is_out() {
                // What was begun before it fell, and its probes, have had their say.
                lane.calls.reset();
                lane.codes.reset();
                continue;
            }
            let stretch = STRETCH * lane.latency.ratio();
            if lane.calls.pending() > 0 && lane.calls.test(stretch, now) >= settings.silence_nats {
                lane.cell.fall(Cause::Hang, now, settings);
                *glance = Glance::at(&lane.cell, climate, now);
            } else if lane.codes.pending() > 0
                && lane.codes.test(STRETCH, now) >= settings.silence_nats
            {
                if let Some(mean) = lane.codes.share_that_ends() {
                    // What recovery is measured against.
                    lane.cell.approval.base.set_prior(Prior { mean, weight: 50.0 });
                }
                lane.cell.fall(Cause::Conversion, now, settings);
                *glance = Glance::at(&lane.cell, climate, now);
            }
        }
    }

    /// Announces that a lane will be away; it is drained before and probed at the end.
    /// The same absence may be announced again and again.
    pub fn announce_absence(&mut self, lane: Lane, from: Timestamp, until: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane.0)) {
            let same = |known: &Absence| known.from == from && known.until == until;
            if !lane.absence.as_ref().is_some_and(same) {
                lane.absence = Some(Absence { from, until, begun: false });
            }
        }
    }

    /// Takes an announced absence back; a lane that was drained for it may be probed now.
    pub fn recall_absence(&mut self, lane: Lane, now: Timestamp) {
        let Some(state) = self.lanes.get_mut(usize::from(lane.0)) else { return };
        if state.absence.take().is_some_and(|absence| absence.begun) {
            state.cell.recall(now);
            self.look(lane, now);
        }
    }

    /// Replaces the announced absences of banks on lanes: their customers are sent elsewhere.
    pub fn announce_issuer_absences(
        &mut self,
        all: impl IntoIterator<Item = (Lane, Issuer, Timestamp, Timestamp)>,
    ) {
        let absences = all
            .into_iter()
            .map(|(lane, issuer, from, until)| ((lane, issuer), (from - DRAIN, until)));
        self.issuers.set_absences(absences.collect());
    }

    /// Takes in that somebody else says that a lane is broken. It is suspect then and needs
    /// less evidence of its own to fall, and never falls by this alone.
    pub fn hint(&mut self, lane: Lane, severity: Severity, now: Timestamp) {
        let Board { lanes, settings, .. } = self;
        if let Some(state) = lanes.get_mut(usize::from(lane.0)) {
            state.cell.hint(severity.share(), now, settings);
            self.look(lane, now);
        }
    }

    /// Sets what a lane can stand, payments a second; `None` is no limit.
    pub fn set_headroom(&mut self, lane: Lane, per_second: Option<f64>, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane.0)) {
            lane.headroom = per_second.map(|rate| Headroom::new(rate, now));
        }
    }

    /// Sets what a channel can stand over all of its lanes, payments a second; `None` is no
    /// limit.
    pub fn set_channel_headroom(
        &mut self,
        channel: &ChannelId,
        per_second: Option<f64>,
        now: Timestamp,
    ) {
        let index = usize::from(self.channel(channel, now));
        self.channels[index].headroom = per_second.map(|rate| Headroom::new(rate, now));
    }

    /// Notes a first attempt, which earns a share of a retry.
    pub fn first_attempt(&mut self) {
        self.retries.earn();
    }

    /// Takes one retry from the fleet's budget; `false` when it is spent.
    pub fn may_retry(&mut self) -> bool {
        self.retries.spend()
    }

    /// Notes that a call has left for a cell; its answer is told to [`Board::answered`].
    pub fn called(&mut self, key: &CellKey, now: Timestamp) -> Sent {
        let sent = Sent { lane: self.lane(key, now), issuer: None, at: now };
        self.lanes[usize::from(sent.lane.0)].calls.begin(now);
        sent
    }

    /// What it was set to.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A cell, once something was seen of it.
    pub fn cell(&self, key: &CellKey) -> Option<&Cell> {
        self.names.get(key).map(|lane| self.at(*lane))
    }

    /// All cells of which something was seen.
    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &Cell)> {
        self.names.iter().map(|(key, lane)| (key, self.at(*lane)))
    }

    /// The latency of a lane.
    pub fn latency(&self, lane: Lane) -> &Latency {
        &self.lanes[usize::from(lane.0)].latency
    }

    /// Evidence that calls on a lane hang and that its codes are not paid, nats.
    pub fn silence(&self, lane: Lane) -> (f64, f64) {
        let lane = &self.lanes[usize::from(lane.0)];
        (lane.calls.statistic(), lane.codes.statistic())
    }

    /// Until when an issuer counts as failing on all lanes.
    pub fn issuer_sick_until(&self, issuer: Issuer) -> Option<Timestamp> {
        self.issuers.sick_until(issuer)
    }

    /// Whether rates stand still or drift.
    pub fn climate(&self) -> &Climate {
        &self.climate
    }

    /// Issuers that are out, or in doubt, on a lane.
    pub fn issuers_out(&self, lane: Lane) -> impl Iterator<Item = (Issuer, &Cell)> {
        self.issuers.out_on(lane)
    }

    /// Issuers that fail on all lanes, and until when they are left alone.
    pub fn issuers_sick(&self) -> impl Iterator<Item = (Issuer, Timestamp)> {
        self.issuers.sick()
    }

    /// Retries that the fleet has left.
    pub fn retries_left(&self) -> f64 {
        self.retries.left()
    }

    /// The lane of a cell, if it was ever asked for.
    pub fn find(&self, key: &CellKey) -> Option<Lane> {
        self.names.get(key).copied()
    }

    /// Calls under way on a lane.
    pub fn in_flight(&self, lane: Lane) -> u32 {
        self.lanes.get(usize::from(lane.0)).map_or(0, |l| l.calls.pending())
    }

    /// Codes shown on a lane that are not paid yet.
    pub fn unpaid_codes(&self, lane: Lane) -> u32 {
        self.lanes.get(usize::from(lane.0)).map_or(0, |l| l.codes.pending())
    }

    /// Whether a lane may take one more now.
    pub fn has_room(&self, lane: Lane, now: Timestamp) -> bool {
        let lane = &self.lanes[usize::from(lane.0)];
        let channel = self.channels[usize::from(lane.channel)].headroom;
        lane.has_room(now) && channel.is_none_or(|h| h.has_room(now))
    }

    /// Whether a lane is within its headroom; a cap because it is slow does not count.
    pub fn within_headroom(&self, lane: Lane, now: Timestamp) -> bool {
        let lane = &self.lanes[usize::from(lane.0)];
        let channel = self.channels[usize::from(lane.channel)].headroom;
        lane.headroom.iter().chain(channel.iter()).all(|h| h.has_room(now))
    }

    pub(crate) fn glance(&self, lane: Lane) -> &Glance {
        &self.glances[usize::from(lane.0)]
    }

    pub(crate) fn at(&self, lane: Lane) -> &Cell {
        &self.lanes[usize::from(lane.0)].cell
    }
}
