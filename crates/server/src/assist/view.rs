//! Cases as the API shows them.

use domain::{AttemptState, Payment, Presentation, Tier, Timestamp};
use engine::Way;
use recovery::assist::{Limits, Seen};
use serde::Serialize;
use store::{AssistLine, Case, CaseEnd, CaseState, Taking};
use utoipa::ToSchema;

use super::words::{self, Verdict};
use crate::time::rfc3339;
use crate::view::{MethodName, Notice, PaymentView, Show, TierName};

/// A payment that staff are to help with.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistCase)]
pub(crate) struct CaseView {
    /// Our id.
    #[schema(example = "as_019ab3c04f6e7c119df1a0f2b3c4d5e6")]
    pub(crate) id: String,
    /// The payment.
    pub(crate) payment: String,
    /// Who collects.
    pub(crate) merchant: String,
    /// How the merchant ranks the customer.
    #[schema(value_type = TierName)]
    pub(crate) tier: Tier,
    /// What is to be paid, in minor units.
    pub(crate) amount: i64,
    /// ISO 4217.
    pub(crate) currency: &'static str,
    /// The same in major units, for people.
    pub(crate) amount_text: String,
    /// `open`, `taken`, `proposed` (offline money waits for a second person), `recording` or
    /// `closed`.
    pub(crate) state: &'static str,
    /// When it was opened.
    #[schema(format = DateTime)]
    pub(crate) opened_at: String,
    /// How long it has been open, in seconds.
    pub(crate) age_s: u64,
    /// Who asked: `customer`, `merchant`, `operator` or `ladder`.
    pub(crate) opener: &'static str,
    /// The name of that person's key, or `customer`, or `evergate`.
    pub(crate) opened_by: String,
    /// Why.
    pub(crate) reason: String,
    /// Who has it.
    pub(crate) taken_by: Option<String>,
    /// Until when; afterwards it is in the queue again.
    #[schema(format = DateTime)]
    pub(crate) taken_until: Option<String>,
    /// Offline money that was taken.
    pub(crate) offline: Option<TakingView>,
    /// How it ended: `paid`, `paid_offline`, `gave_up` or `ended`.
    pub(crate) end: Option<&'static str>,
    /// The channel that was paid on.
    pub(crate) channel: Option<String>,
    /// Who ended it; `evergate` when its payment did.
    pub(crate) closed_by: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub(crate) closed_at: Option<String>,
    /// Offline money that did not pay the payment: hand it back to the customer.
    pub(crate) hand_back: Option<TakingView>,
}

/// Money that staff took outside any channel.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistTaking)]
pub(crate) struct TakingView {
    /// `cash`, `pos`, `cheque` or `transfer_seen`.
    pub(crate) kind: &'static str,
    /// The number of the slip.
    pub(crate) reference: String,
    /// How much, in minor units.
    pub(crate) amount: i64,
    /// The same in major units, for people.
    pub(crate) amount_text: String,
    /// ISO 4217.
    pub(crate) currency: &'static str,
    /// When it was taken, as staff say.
    #[schema(format = DateTime)]
    pub(crate) taken_at: String,
    /// Who took it.
    pub(crate) by: String,
    /// Why it is believed.
    pub(crate) reason: String,
    /// The second person who agreed.
    pub(crate) agreed_by: Option<String>,
}

impl TakingView {
    fn of(taken: &Taking, agreed: Option<&String>) -> TakingView {
        TakingView {
            kind: taken.kind.name(),
            reference: taken.reference.clone(),
            amount: taken.money.minor(),
            amount_text: taken.money.to_major(),
            currency: taken.money.currency().code(),
            taken_at: rfc3339(taken.taken_at),
            by: taken.by.clone(),
            reason: taken.reason.clone(),
            agreed_by: agreed.cloned(),
        }
    }
}

impl CaseView {
    /// A case as it stands at `now`.
    pub(crate) fn of(case: &Case, now: Timestamp) -> CaseView {
        let until = match &case.state {
            CaseState::Closed { at, .. } => *at,
            _ => now,
        };
        let mut view = CaseView {
            id: case.id.clone(),
            payment: case.payment.to_string(),
            merchant: case.merchant.to_string(),
            tier: case.tier,
            amount: case.money.minor(),
            currency: case.money.currency().code(),
            amount_text: case.money.to_major(),
            state: case.state.name(),
            opened_at: rfc3339(case.opened_at),
            age_s: until.since(case.opened_at).as_secs(),
            opener: case.opener.name(),
            opened_by: case.opened_by.clone(),
            reason: case.reason.clone(),
            taken_by: None,
            taken_until: None,
            offline: None,
            end: None,
            channel: None,
            closed_by: None,
            closed_at: None,
            hand_back: None,
        };
        view.tell(&case.state);
        view
    }

    fn tell(&mut self, state: &CaseState) {
        match state {
            CaseState::Open => {}
            CaseState::Taken { by, until, .. } => {
                self.taken_by = Some(by.clone());
                self.taken_until = Some(rfc3339(*until));
            }
            CaseState::Proposed { taken } => {
                self.taken_by = Some(taken.by.clone());
                self.offline = Some(TakingView::of(taken, None));
            }
            CaseState::Recording { taken, agreed, .. } => {
                self.taken_by = Some(taken.by.clone());
                self.offline = Some(TakingView::of(taken, agreed.as_ref()));
            }
            CaseState::Closed { end, by, at } => {
                self.end = Some(end.name());
                self.closed_by = Some(by.clone());
                self.closed_at = Some(rfc3339(*at));
                self.hand_back = end.hand_back().map(|taken| TakingView::of(taken, None));
                self.tell_end(end);
            }
        }
    }

    fn tell_end(&mut self, end: &CaseEnd) {
        match end {
            CaseEnd::Paid { channel, .. } => self.channel = Some(channel.to_string()),
            CaseEnd::Offline { taken, agreed } => {
                self.channel = Some(domain::OFFLINE_CHANNEL.to_owned());
                self.offline = Some(TakingView::of(taken, agreed.as_ref()));
            }
            CaseEnd::GaveUp { .. } | CaseEnd::Ended { .. } => {}
        }
    }
}

/// A case with everything that is known.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistCaseDetail)]
pub(crate) struct CaseDetail {
    /// The case.
    pub(crate) case: CaseView,
    /// The payment, which is the truth; for staff with the code or link that they pass on.
    pub(crate) payment: PaymentView,
    /// What may be said of the customer's money.
    pub(crate) money: MoneyView,
    /// What became of each attempt, oldest first.
    pub(crate) attempts: Vec<ToldAttempt>,
    /// Ways in which it might be paid now, those that work first; for staff.
    pub(crate) ways: Vec<WayView>,
    /// Whether money may be taken outside any channel now; for staff.
    pub(crate) offline: Option<OfflineView>,
    /// Who did what, oldest first; for staff.
    pub(crate) history: Vec<CaseLine>,
}

/// What may be said of the customer's money.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistMoney)]
pub(crate) struct MoneyView {
    /// `not_charged` (proven), `may_be_paid`, `being_closed`, `being_confirmed` or `charged`.
    pub(crate) verdict: &'static str,
    /// What to tell the customer.
    pub(crate) words: Notice,
}

/// What became of an attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistAttempt)]
pub(crate) struct ToldAttempt {
    /// Its place among the payment's attempts, from 1.
    pub(crate) ordinal: u16,
    /// The channel.
    pub(crate) channel: String,
    /// The method.
    pub(crate) method: &'static str,
    /// In a sentence.
    pub(crate) words: Notice,
}

/// A way in which the payment might be paid now.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistWay)]
pub(crate) struct WayView {
    /// The channel.
    pub(crate) channel: String,
    /// The method.
    #[schema(value_type = MethodName)]
    pub(crate) method: &'static str,
    /// Whether choosing it charges the instrument that the merchant saved.
    pub(crate) charges_at_once: bool,
    /// Whether the merchant named the method for this payment.
    pub(crate) named: bool,
    /// Whether it is expected to work.
    pub(crate) works: bool,
    /// The state of its health.
    pub(crate) health: &'static str,
    /// Why it cannot be used, if so.
    pub(crate) barred: Option<String>,
}

impl WayView {
    fn of(way: &Way) -> WayView {
        WayView {
            channel: way.channel.to_string(),
            method: way.method.name(),
            charges_at_once: way.flow == domain::Flow::Direct,
            named: way.named,
            works: way.works(),
            health: way.health.name(),
            barred: way.barred.clone(),
        }
    }
}

/// Whether money may be taken outside any channel.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistOffline)]
pub(crate) struct OfflineView {
    /// Whether the payment would take it now, and the limits allow it.
    pub(crate) allowed: bool,
    /// Why not.
    pub(crate) why_not: Option<String>,
    /// The kinds that may be taken.
    pub(crate) kinds: Vec<&'static str>,
    /// Whether a second person has to agree.
    pub(crate) needs_approval: bool,
}

/// One line of a case's history.
#[derive(Serialize, ToSchema)]
#[schema(as = AssistHistoryLine)]
pub(crate) struct CaseLine {
    /// When.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// The name of the person's key, or `evergate`.
    pub(crate) by: String,
    /// What was done.
    pub(crate) action: String,
    /// Why, in that person's words.
    pub(crate) reason: String,
}

impl CaseDetail {
    /// Everything; without the words of staff and the ways for those who are not staff.
    pub(crate) fn of(
        seen: &Seen,
        limits: &Limits,
        staff: bool,
        (public_url, now): (&str, Timestamp),
    ) -> CaseDetail {
        let payment = &seen.payment;
        let verdict = Verdict::of(payment);
        let mut ways: Vec<&Way> =
            seen.ways.iter().filter(|way| staff && (way.named || limits.other_methods)).collect();
        ways.sort_by_key(|way| !way.works());
        let history = seen.history.iter().filter(|_| staff).map(|line| {
            let AssistLine { at, by, action, reason } = line.clone();
            CaseLine { at: rfc3339(at), by, action, reason }
        });
        let told = |attempt: &domain::Attempt| ToldAttempt {
            ordinal: attempt.ordinal,
            channel: attempt.channel.to_string(),
            method: attempt.method.name(),
            words: words::attempt(attempt),
        };
        CaseDetail {
            case: CaseView::of(&seen.case, now),
            payment: PaymentView::of(
                payment,
                if staff { to_pass_on(payment) } else { Show::NothingPayable },
                public_url,
            ),
            money: MoneyView { verdict: verdict.name(), words: verdict.words(payment) },
            attempts: payment.attempts.iter().map(told).collect(),
            ways: ways.into_iter().map(WayView::of).collect(),
            offline: (staff && payment.may_go_on()).then(|| offline(payment, limits, now)),
            history: history.collect(),
        }
    }
}

/// Staff pass a code, a link or an account on; a secret for the customer's browser is not theirs.
fn to_pass_on(payment: &Payment) -> Show {
    match payment.presented().map(|attempt| &attempt.state) {
        Some(AttemptState::Presented {
            presentation:
                Presentation::QrCode { .. }
                | Presentation::Redirect { .. }
                | Presentation::BankTransfer(_),
            ..
        }) => Show::Everything,
        _ => Show::NothingPayable,
    }
}

fn offline(payment: &Payment, limits: &Limits, now: Timestamp) -> OfflineView {
    let kinds: Vec<&'static str> = limits.kinds.iter().map(|kind| kind.name()).collect();
    let why_not = limits.refuses(payment, now).map(|why| why.to_string());
    OfflineView {
        allowed: why_not.is_none(),
        why_not,
        kinds,
        needs_approval: limits.needs_two(payment.money),
    }
}
