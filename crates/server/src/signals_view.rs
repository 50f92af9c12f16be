//! Signals as operators see them.

use std::collections::BTreeMap;

use domain::{Method, Scope, Timestamp};
use engine::TrialAnswer;
use incidents::calendar::{Absence, Calendar, Span};
use incidents::desk::{AHEAD, Cell, Note, Signals, TrialEnd};
use incidents::downtime::{Event, Status};
use incidents::duties::result_name;
use incidents::expiry::{Expiring, Nearness};
use incidents::feed::{FeedOptions, FeedState};
use incidents::layers::Probed;
use incidents::statuspage::Said;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time::rfc3339;
use crate::view::MethodName;

/// What the control plane knows.
#[derive(Serialize, ToSchema)]
#[schema(as = Signals)]
pub(crate) struct SignalsView {
    /// The last probe of each channel.
    probes: Vec<ProbeView>,
    /// The last synthetic payment of each channel and method.
    synthetic: Vec<TrialView>,
    /// Status pages.
    feeds: Vec<FeedView>,
    /// Downtimes that were told and are not over.
    downtimes: Vec<DowntimeView>,
    /// Planned absences that are under way or begin within eight days.
    maintenance: Vec<PlannedView>,
    /// Certificates that channels use, the nearest end first.
    certificates: Vec<CertificateView>,
    /// What operators should know of the configuration, the newest first.
    notes: Vec<NoteView>,
}

/// A certificate that a channel uses.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
pub(crate) struct CertificateView {
    /// The channel.
    channel: String,
    /// The setting that it comes from, such as `merchant_certificate`.
    name: String,
    /// Whom it names.
    subject: String,
    /// When it ends.
    #[schema(format = DateTime)]
    not_after: String,
    /// Whole days that are left; negative when it has ended.
    days_left: i64,
    /// `ok`, `ends_soon` or `expired`.
    level: &'static str,
    /// When it ends soon: the level in days, such as 30.
    within_days: Option<u32>,
}

impl CertificateView {
    fn of((one, nearness): &(Expiring, Nearness), now: Timestamp) -> CertificateView {
        let (level, within_days) = match nearness {
            Nearness::Far => ("ok", None),
            Nearness::Within(days) => ("ends_soon", Some(*days)),
            Nearness::Expired => ("expired", None),
        };
        CertificateView {
            channel: one.channel.to_string(),
            name: one.name.clone(),
            subject: one.subject.clone(),
            not_after: rfc3339(one.not_after),
            days_left: (one.not_after.as_secs() - now.as_secs()).div_euclid(86_400),
            level,
            within_days,
        }
    }
}

/// Something about the configuration.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigNote)]
pub(crate) struct NoteView {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Such as `reload_failed`, `not_saved` or `rolled_back`.
    kind: &'static str,
    /// For a person.
    text: String,
}

impl NoteView {
    fn of(note: Note) -> NoteView {
        NoteView { at: rfc3339(note.at), kind: note.kind, text: note.text }
    }
}

/// What a signal is about; an absent field is all of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScopeView {
    /// The channel.
    channel: Option<String>,
    /// The method.
    #[schema(value_type = Option<MethodName>)]
    method: Option<&'static str>,
    /// The bank.
    issuer: Option<String>,
}

impl ScopeView {
    fn of(scope: &Scope) -> ScopeView {
        ScopeView {
            channel: scope.channel.as_ref().map(ToString::to_string),
            method: scope.method.map(Method::name),
            issuer: scope.issuer.clone(),
        }
    }
}

/// A probe of a channel.
#[derive(Serialize, ToSchema)]
#[schema(as = Probe)]
pub(crate) struct ProbeView {
    /// The channel.
    channel: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Whether every layer holds.
    ok: bool,
    /// The first layer that broke: `dns`, `tcp`, `tls`, `http` or `signed`.
    broken: Option<&'static str>,
    /// Why: the provider's code in the last layer, else ours.
    code: Option<String>,
    /// Why, for a person.
    detail: Option<String>,
    /// How long each layer took, in milliseconds, as far as it came.
    times_ms: BTreeMap<&'static str, f64>,
    /// Whom it was connected to.
    address: Option<String>,
    /// The certificate of the chain that ends first.
    certificate: Option<EndingView>,
    /// The HTTP status of the signed question.
    status: Option<u16>,
    /// The provider's clock minus ours, in seconds.
    clock_skew_s: Option<i64>,
}

/// A certificate that was shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndingView {
    /// Whom it names.
    subject: String,
    /// When it ends.
    #[schema(format = DateTime)]
    not_after: String,
    /// Whole days that are left; negative when it has ended.
    days_left: i64,
}

impl ProbeView {
    fn of(probed: &Probed, now: Timestamp) -> ProbeView {
        let broken = probed.broken.as_ref();
        let ms = |took: std::time::Duration| (took.as_secs_f64() * 1e4).round() / 10.0;
        ProbeView {
            channel: probed.channel.to_string(),
            at: rfc3339(probed.at),
            ok: broken.is_none(),
            broken: broken.map(|b| b.layer.name()),
            code: broken.map(|b| b.code.clone()),
            detail: broken.map(|b| b.detail.clone()),
            times_ms: probed.times.iter().map(|(layer, took)| (layer.name(), ms(*took))).collect(),
            address: probed.address.map(|address| address.to_string()),
            certificate: probed.certificate.as_ref().map(|ending| EndingView {
                subject: ending.subject.clone(),
                not_after: rfc3339(ending.not_after),
                days_left: ending.days_left(now),
            }),
            status: probed.status,
            clock_skew_s: probed.clock_skew_s,
        }
    }
}

/// A synthetic payment.
#[derive(Serialize, ToSchema)]
#[schema(as = SyntheticPayment)]
pub(crate) struct TrialView {
    /// The channel.
    channel: String,
    /// The method on it.
    #[schema(value_type = MethodName)]
    method: &'static str,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// `works`, `declined`, `failed`, `unanswered` or `not_tried`.
    result: &'static str,
    /// The code of a failure or refusal, or why it was not tried.
    detail: Option<String>,
    /// The payment: `GET /v1/payments/{id}` tells its story.
    payment: Option<String>,
    /// How long its create call took, in milliseconds.
    took_ms: u64,
}

impl TrialView {
    fn of((cell, end): &(Cell, TrialEnd)) -> TrialView {
        let detail = match &end.answer {
            TrialAnswer::Declined(code) | TrialAnswer::Failed(_, code) => Some(code.clone()),
            _ => end.error.clone(),
        };
        TrialView {
            channel: cell.0.to_string(),
            method: cell.1.name(),
            at: rfc3339(end.at),
            result: result_name(&end.answer),
            detail,
            payment: end.payment.map(|id| id.to_string()),
            took_ms: u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A provider's status page.
#[derive(Serialize, ToSchema)]
#[schema(as = Feed)]
pub(crate) struct FeedView {
    /// Its name.
    name: String,
    /// When it was read last.
    #[schema(format = DateTime)]
    read_at: Option<String>,
    /// Whether it is too old to be evidence.
    stale: bool,
    /// Why the last try failed.
    error: Option<String>,
    /// What it says about our channels; empty when it says nothing bad.
    said: Vec<SaidView>,
}

/// A word of a provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Said)]
pub(crate) struct SaidView {
    /// About what.
    scope: ScopeView,
    /// `minor` or `major`.
    severity: &'static str,
    /// In the provider's words.
    text: String,
}

impl SaidView {
    fn of(said: &Said) -> SaidView {
        let (scope, severity) = (ScopeView::of(&said.scope), said.severity.name());
        SaidView { scope, severity, text: said.text.clone() }
    }
}

impl FeedView {
    fn of((options, state): &(FeedOptions, FeedState), now: Timestamp) -> FeedView {
        FeedView {
            name: options.name.clone(),
            read_at: state.read_at.map(rfc3339),
            stale: state.is_stale(options.every, now),
            error: state.error.clone(),
            said: state.said(options, now).iter().map(SaidView::of).collect(),
        }
    }
}

/// A downtime that was told.
#[derive(Serialize, ToSchema)]
#[schema(as = ToldDowntime)]
pub(crate) struct DowntimeView {
    /// Names it.
    id: String,
    /// About what.
    scope: ScopeView,
    /// `started` or `scheduled`.
    status: &'static str,
    /// `minor` or `major`.
    severity: &'static str,
    /// Since when, or from when.
    #[schema(format = DateTime)]
    from: String,
    /// Until when.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// In the sender's words.
    reason: String,
}

impl DowntimeView {
    fn of(event: &Event) -> DowntimeView {
        DowntimeView {
            id: event.id.clone(),
            scope: ScopeView::of(&event.scope),
            status: match event.status {
                Status::Started => "started",
                Status::Resolved => "resolved",
                Status::Scheduled => "scheduled",
            },
            severity: event.severity.name(),
            from: rfc3339(event.from),
            until: event.until.map(rfc3339),
            reason: event.reason.clone(),
        }
    }
}

/// When an absence falls.
#[derive(Serialize, ToSchema)]
#[schema(as = Absence)]
pub(crate) struct AbsenceView {
    /// From when.
    #[schema(format = DateTime)]
    from: String,
    /// Until when.
    #[schema(format = DateTime)]
    until: String,
    /// Whether it is under way.
    active: bool,
}

impl AbsenceView {
    pub(crate) fn of(span: Span, now: Timestamp) -> AbsenceView {
        AbsenceView {
            from: rfc3339(span.from),
            until: rfc3339(span.until),
            active: span.holds(now),
        }
    }
}

/// An absence that is under way or coming.
#[derive(Serialize, ToSchema)]
#[schema(as = PlannedAbsence)]
pub(crate) struct PlannedView {
    /// The id of what was stated.
    id: String,
    /// What is away.
    scope: ScopeView,
    /// When.
    when: AbsenceView,
    /// Why.
    reason: String,
}

impl PlannedView {
    fn of(absence: &Absence, now: Timestamp) -> PlannedView {
        PlannedView {
            id: absence.id.clone(),
            scope: ScopeView::of(&absence.scope),
            when: AbsenceView::of(absence.span, now),
            reason: absence.reason.clone(),
        }
    }
}

impl SignalsView {
    pub(crate) fn of(
        signals: Option<&Signals>,
        calendar: &Calendar,
        now: Timestamp,
    ) -> SignalsView {
        let due = calendar.due(now, AHEAD);
        let maintenance = due.iter().map(|absence| PlannedView::of(absence, now)).collect();
        let Some(signals) = signals else {
            let (probes, synthetic, feeds, downtimes) = (vec![], vec![], vec![], vec![]);
            let (certificates, notes) = (vec![], vec![]);
            return SignalsView {
                probes,
                synthetic,
                feeds,
                downtimes,
                maintenance,
                certificates,
                notes,
            };
        };
        SignalsView {
            probes: signals.probes().iter().map(|probed| ProbeView::of(probed, now)).collect(),
            synthetic: signals.trials().iter().map(TrialView::of).collect(),
            feeds: signals.feeds().iter().map(|feed| FeedView::of(feed, now)).collect(),
            downtimes: signals.downtimes().iter().map(DowntimeView::of).collect(),
            maintenance,
            certificates: signals
                .certificates()
                .iter()
                .map(|one| CertificateView::of(one, now))
                .collect(),
            notes: signals.notes().into_iter().map(NoteView::of).collect(),
        }
    }
}
