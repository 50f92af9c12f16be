//! Channels as operators see them: states, evidence, and what is done about it.

use std::sync::PoisonError;

use domain::{ChannelId, Controls, Method, Override, Timestamp};
use providers::Capabilities;
use resilience::{Board, Cause, Cell, CellKey, HealthState, Lane};

use crate::health::Journal;
use crate::{Channel, DeclineTurn, Engine, Turn};

/// A channel as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelView {
    /// Its name.
    pub id: ChannelId,
    /// What it can do.
    pub capabilities: Capabilities,
    /// New payments a second that it can stand; `None` is no limit.
    pub max_per_second: Option<f64>,
    /// A line for each method on it.
    pub methods: Vec<(Method, MethodView)>,
}

/// A method of a channel as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodView {
    /// Its health.
    pub health: HealthState,
    /// What is wrong with it, when something is.
    pub cause: Option<Cause>,
    /// The evidence of its outcomes, and where it would fall.
    pub evidence: Evidence,
    /// When its health last changed, if it ever did.
    pub changed_at: Option<Timestamp>,
    /// The newest change of its state since the start.
    pub last_change: Option<Turn>,
    /// Technical successes and failures seen since the start.
    pub seen: (u64, u64),
    /// The share of payments that its breaker lets through, percent.
    pub share_percent: u8,
    /// The share of calls that work on a good day, as learned, in (0, 1).
    pub technical_base: f64,
    /// The share of payments that are made on a good day, as learned, in (0, 1); `None` while
    /// no result was seen that may be learned from.
    pub approval_base: Option<f64>,
    /// How long calls take; `None` until one was answered.
    pub latency: Option<LatencyView>,
    /// Evidence from what did not happen.
    pub silence: SilenceView,
    /// Issuers for whose customers it is routed around.
    pub issuers: Vec<IssuerView>,
    /// The newest shift in why customers are refused.
    pub declines: Option<DeclineTurn>,
    /// Whether it may take one more now, by its limit and, while slow, by its cap.
    pub has_room: bool,
    /// The operator's override in force.
    pub disabled: Option<Override>,
    /// The operator's preference in force.
    pub preferred: Option<Override>,
}

/// A statistic and its threshold, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// At least 0.
    pub statistic: f64,
    /// An alarm from here on.
    pub threshold: f64,
}

/// How long calls take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyView {
    /// The usual time, milliseconds.
    pub usual_ms: f64,
    /// By how much calls are slower of late, at least 1.
    pub ratio: f64,
    /// Whether it is slow beyond doubt: a state of its own, which caps calls under way.
    pub is_slow: bool,
    /// The cap on calls under way while it is slow.
    pub cap: Option<u32>,
    /// Create calls under way.
    pub in_flight: u32,
}

/// Evidence from what did not happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SilenceView {
    /// That calls hang.
    pub calls: Evidence,
    /// That shown codes cannot be paid.
    pub codes: Evidence,
    /// Codes that are shown and not paid yet.
    pub unpaid_codes: u32,
}

/// An issuer on a channel and method.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerView {
    /// Its code.
    pub issuer: String,
    /// Its health here.
    pub health: HealthState,
    /// What is wrong.
    pub cause: Option<Cause>,
}

/// An issuer that fails on every channel: nothing is switched for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SickIssuer {
    /// Its code.
    pub issuer: String,
    /// When its outcomes count again.
    pub until: Timestamp,
}

/// What concerns all channels together.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// Further attempts of requests that may be made now.
    pub retries_left: f64,
    /// Whether rates of success drift, so that recent results count for more.
    pub is_drifting: bool,
    /// Issuers that fail everywhere.
    pub sick_issuers: Vec<SickIssuer>,
    /// Changes of state, newest last.
    pub changes: Vec<Turn>,
}

impl Engine {
    /// The channels with their health and overrides.
    pub fn channels(&self) -> Vec<ChannelView> {
        let (options, controls, now) = (self.options(), self.controls(), self.now());
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let sight = Sight { board: &board, journal: &self.journal(), controls: &controls, now };
        options.channels.iter().map(|channel| sight.channel(channel)).collect()
    }

    /// What concerns all channels together.
    pub fn fleet(&self) -> Fleet {
        let changes = self.health_changes();
        let now = self.now();
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = self.journal();
        let sick = board.issuers_sick().filter(|(_, until)| now < *until);
        let mut sick_issuers: Vec<SickIssuer> = sick
            .map(|(issuer, until)| SickIssuer { issuer: journal.issuer(issuer), until })
            .collect();
        sick_issuers.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        Fleet {
            retries_left: board.retries_left(),
            is_drifting: board.climate().drifting(),
            sick_issuers,
            changes,
        }
    }
}

/// What a view is made from.
struct Sight<'a> {
    board: &'a Board,
    journal: &'a Journal,
    controls: &'a Controls,
    now: Timestamp,
}

impl Sight<'_> {
    fn channel(&self, channel: &Channel) -> ChannelView {
        let mut methods: Vec<Method> =
            channel.capabilities.methods.iter().map(|(method, _)| *method).collect();
        methods.dedup();
        ChannelView {
            id: channel.id.clone(),
            capabilities: channel.capabilities.clone(),
            max_per_second: channel.max_per_second,
            methods: methods.into_iter().map(|m| (m, self.method(&channel.id, m))).collect(),
        }
    }

    fn method(&self, channel: &ChannelId, method: Method) -> MethodView {
        let key = CellKey { channel: channel.clone(), method };
        let (cell, lane) = (self.board.cell(&key), self.board.find(&key));
        let settings = self.board.settings();
        let unseen = Evidence { statistic: 0.0, threshold: settings.false_alarm_outcomes.ln() };
        MethodView {
            health: cell.map_or(HealthState::Healthy, |c| c.state),
            cause: cell.and_then(|c| c.trouble).map(|t| t.cause),
            evidence: cell.map_or(unseen, |c| {
                let (statistic, threshold) = c.evidence(settings);
                Evidence { statistic, threshold }
            }),
            changed_at: cell.map(|c| c.changed_at),
            last_change: self.journal.last_turn(&key).cloned(),
            seen: cell.map_or((0, 0), |c| c.seen),
            share_percent: cell.map_or(100, Cell::share_percent),
            technical_base: cell.map_or(settings.technical_base, Cell::technical_base),
            approval_base: cell.filter(|c| c.known() > 0.0).map(Cell::approval_base),
            latency: lane.and_then(|lane| self.latency(lane)),
            silence: self.silence(lane),
            issuers: lane.map_or_else(Vec::new, |lane| self.issuers(lane)),
            declines: self.journal.decline_turn(&key).cloned(),
            has_room: lane.is_none_or(|lane| self.board.has_room(lane, self.now)),
            disabled: self.controls.disabled(channel, method, self.now).cloned(),
            preferred: self.controls.preferred(channel, method, self.now).map(|(_, o)| o.clone()),
        }
    }

    fn latency(&self, lane: Lane) -> Option<LatencyView> {
        let latency = self.board.latency(lane);
        latency.is_known().then(|| LatencyView {
            usual_ms: latency.usual_s() * 1_000.0,
            ratio: latency.ratio(),
            is_slow: latency.is_slow(),
            cap: latency.cap(),
            in_flight: self.board.in_flight(lane),
        })
    }

    fn silence(&self, lane: Option<Lane>) -> SilenceView {
        let (calls, codes) = lane.map_or((0.0, 0.0), |lane| self.board.silence(lane));
        let threshold = self.board.settings().silence_nats;
        SilenceView {
            calls: Evidence { statistic: calls, threshold },
            codes: Evidence { statistic: codes, threshold },
            unpaid_codes: lane.map_or(0, |lane| self.board.unpaid_codes(lane)),
        }
    }

    fn issuers(&self, lane: Lane) -> Vec<IssuerView> {
        let views = self.board.issuers_out(lane).map(|(issuer, cell)| IssuerView {
            issuer: self.journal.issuer(issuer),
            health: cell.state,
            cause: cell.trouble.map(|t| t.cause),
        });
        let mut views: Vec<IssuerView> = views.collect();
        views.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        views
    }
}
