//! Who was told what and when; what is waiting, and what was given up, which can be sent again.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use domain::{Payment, PaymentId};
use http::StatusCode;
use notify::{Contact, Kind};
use serde::Serialize;
use store::{AuditLine, Note, NoteState};
use utoipa::{IntoParams, ToSchema};

use super::NoteDesk;
use super::making::News;
use super::sending::locale;
use crate::app::Shared;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::fields::{self, Fields, Text};
use crate::params::{IdInPath, NameInPath, visible};
use crate::problem::{Problem, ProblemDocument, kinds};
use crate::time::rfc3339;
use crate::view::LocaleName;

/// The filters of the list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct NoteParams {
    /// `pending`, `sent`, `suppressed` or `dead`; all when absent.
    #[param(value_type = Option<NoteStateName>)]
    state: Option<String>,
    /// At most this many; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u8>,
}

/// Where a note stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum NoteStateName {
    /// To be sent.
    Pending,
    /// Its way took it.
    Sent,
    /// Not sent; `reason` says why.
    Suppressed,
    /// Given up; it can be sent again.
    Dead,
}

/// By which way a note goes.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum WayName {
    Email,
    Sms,
    Push,
}

/// What a note says.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum NoteKindName {
    Held,
    Extended,
    Recovered,
    ExpiresSoon,
    Paid,
    Expired,
    Refunded,
    Returned,
    Assist,
    Grace,
    Apology,
}

/// Notes to customers.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomerNotes {
    notes: Vec<NoteView>,
}

/// A note to a customer.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerNote)]
pub(crate) struct NoteView {
    /// Its Message-ID is made from it, and webhooks carry it as `webhook-id`.
    id: String,
    /// About which payment.
    payment: String,
    /// In whose name.
    merchant: String,
    /// What it says.
    #[schema(value_type = NoteKindName)]
    kind: String,
    /// By which way.
    #[schema(value_type = WayName)]
    way: String,
    /// To whom, masked.
    #[schema(example = "l***@example.com")]
    to: String,
    /// In which language.
    #[schema(value_type = LocaleName)]
    locale: &'static str,
    /// Where it stands.
    #[schema(value_type = NoteStateName)]
    state: &'static str,
    /// Why it waits or was not sent (`quiet_hours`, `limit`, `unsubscribed`, `told_already`,
    /// `overtaken`, `too_late`), or what the last try met.
    reason: Option<String>,
    /// How often it was tried.
    tries: u32,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its way took it.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    /// While pending: when it is looked at next.
    #[schema(format = DateTime)]
    due_at: Option<String>,
}

impl NoteView {
    fn of(note: Note) -> NoteView {
        let pending = note.state == NoteState::Pending;
        let to = note.what.way.parse().ok();
        let to = to.and_then(|way| Contact::of_row(way, note.what.contact.expose()));
        NoteView {
            payment: note.payment.to_string(),
            merchant: note.merchant.to_string(),
            to: to.map_or_else(|| "***".to_owned(), |contact| contact.masked()),
            locale: locale(note.what.locale),
            state: note.state.name(),
            reason: note.reason,
            tries: note.tries,
            created_at: rfc3339(note.created_at),
            sent_at: note.sent_at.map(rfc3339),
            due_at: pending.then(|| rfc3339(note.what.due_at)),
            id: note.what.id,
            kind: note.what.kind,
            way: note.what.way,
        }
    }
}

fn views(notes: Vec<Note>) -> Json<CustomerNotes> {
    Json(CustomerNotes { notes: notes.into_iter().map(NoteView::of).collect() })
}

/// The desk; where there is none, no note was ever made.
fn desk(state: &Shared) -> Result<&NoteDesk, Problem> {
    let none = || Problem::new(&kinds::NOT_FOUND, "this server keeps no notes to customers");
    state.notes.as_deref().ok_or_else(none)
}

/// The notes about a payment.
///
/// Who was told what, by which way and when, oldest first. Contacts are masked.
#[utoipa::path(
    get, path = "/v1/payments/{id}/notes", tag = "notes", operation_id = "list_payment_notes",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CustomerNotes),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn of_payment(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
) -> Result<Json<CustomerNotes>, Problem> {
    visible(&state, &caller, id).await?;
    Ok(views(match &state.notes {
        Some(desk) => desk.rows.notes_of(id).await?,
        None => Vec::new(),
    }))
}

/// How many of the newest notes are searched for a merchant's own.
const SEARCHED: usize = 5_000;

/// List notes to customers.
///
/// Newest first. A merchant's key lists that merchant's among the newest, an operator's key all.
#[utoipa::path(
    get, path = "/v1/notes", tag = "notes", operation_id = "list_notes",
    params(NoteParams),
    responses(
        (status = 200, body = CustomerNotes),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<CustomerNotes>, Problem> {
    let query = fields::query(uri.query())?;
    let mut fields = Fields::new(&query, &["state", "limit"]);
    let states = NoteState::ALL.map(|state| (state.name(), state));
    let wanted = fields.one_of("state", &states);
    let limit = fields::query_integer(&mut fields, "limit", 1..=200, "send 50, for example");
    fields.end()?;
    let limit = usize::try_from(limit.unwrap_or(50)).unwrap_or(1);
    let Some(desk) = &state.notes else { return Ok(views(Vec::new())) };
    let mut found = match caller.sees() {
        None => desk.rows.notes(wanted, limit).await?,
        Some(merchant) => {
            let mut found = desk.rows.notes(wanted, SEARCHED).await?;
            found.retain(|note| note.merchant == *merchant);
            found
        }
    };
    found.truncate(limit);
    Ok(views(found))
}

/// Why an operator does something.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: the fields are read one by one")]
pub(crate) struct ResendNote {
    /// For the audit log.
    #[schema(min_length = 1, max_length = 200, example = "the mail server is back")]
    reason: String,
}

const REASON: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "say why in a sentence",
};

fn reason(fields: &mut Fields<'_>) -> String {
    fields.require("reason", "say why, for the audit log");
    fields.text("reason", &REASON).unwrap_or_default()
}

/// Send a note again.
///
/// It goes out at once, whatever limits and hours say; a reminder to someone who unsubscribed
/// is suppressed all the same. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/notes/{id}/resend", tag = "notes", operation_id = "resend_note",
    params(("id" = String, Path)), request_body = ResendNote,
    responses(
        (status = 202, description = "Will be sent at once"),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn resend(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<StatusCode, Problem> {
    caller.must_operate()?;
    let mut fields = Fields::new(&body.object, &["reason"]);
    let reason = reason(&mut fields);
    fields.end()?;
    let none = || Problem::new(&kinds::NOT_FOUND, "there is no such note");
    let desk = desk(&state)?;
    let note = desk.rows.find_note(&id).await?.ok_or_else(none)?;
    let action = format!("send note {} again", note.what.id);
    let now = state.engine.now();
    let audit = AuditLine { at: now, by: caller.name, action, reason };
    if !desk.rows.resend_note(&note.what.id, now, audit).await? {
        return Err(none());
    }
    state.engine.look_at_notes();
    Ok(StatusCode::ACCEPTED)
}

/// A note that an operator wants a customer to have.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: the fields are read one by one")]
pub(crate) struct NewCustomerNote {
    /// `apology`, or `assist` when staff will get in touch.
    #[schema(value_type = NoteKindName)]
    kind: String,
    /// What makes up for it, with an apology: a code, or a sentence in the customer's language.
    #[schema(min_length = 1, max_length = 200)]
    coupon: Option<String>,
    /// For the audit log.
    #[schema(min_length = 1, max_length = 200, example = "the outage of this morning")]
    reason: String,
}

const COUPON: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "send the coupon's code, or one sentence",
};

/// Send a customer a note.
///
/// An apology, with a coupon if there is one, or word that staff will get in touch; once a
/// payment, however often it is asked for. Limits and quiet hours hold. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/payments/{id}/notes", tag = "notes", operation_id = "send_note",
    params(("id" = String, Path)), request_body = NewCustomerNote,
    responses(
        (status = 202, body = CustomerNotes, description = "The payment's notes, the new one among them"),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn send(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
    body: JsonBody,
) -> Result<(StatusCode, Json<CustomerNotes>), Problem> {
    caller.must_operate()?;
    let mut fields = Fields::new(&body.object, &["kind", "coupon", "reason"]);
    fields.require("kind", "send apology or assist");
    let kind = fields.one_of("kind", &[("apology", Kind::Apology), ("assist", Kind::Assist)]);
    let coupon = fields.text("coupon", &COUPON);
    if coupon.is_some() && kind != Some(Kind::Apology) {
        fields.mistake("coupon", "goes with an apology only", "leave it out");
    }
    let reason = reason(&mut fields);
    fields.end()?;
    let payment = visible(&state, &caller, id).await?;
    let kind = kind.unwrap_or(Kind::Apology);
    let desk = desk(&state)?;
    desk.tell(&payment, kind, coupon, (&caller.name, &reason), state.engine.now()).await?;
    state.engine.look_at_notes();
    Ok((StatusCode::ACCEPTED, views(desk.rows.notes_of(id).await?)))
}

impl NoteDesk {
    /// Adds a note that a person asked for.
    pub(crate) async fn tell(
        &self,
        payment: &Payment,
        kind: Kind,
        coupon: Option<String>,
        (by, reason): (&str, &str),
        now: domain::Timestamp,
    ) -> Result<(), Problem> {
        let refuse = |rule: &str, fix: &str| {
            Err(Problem::new(&kinds::WRONG_STATE, rule).at("payment", rule, fix))
        };
        if payment.terms.is_synthetic() {
            return refuse("a synthetic payment has no customer", "take a customer's payment");
        }
        let Some(post) = self.post() else {
            let fix = "write a [customer_messages] table; see `evergate config default`";
            return refuse("customer messages are not configured", fix);
        };
        let mut news = News::of(payment, kind, now);
        news.facts.coupon = coupon;
        news.facts.is_answer = kind == Kind::Assist;
        let notes = self.drafts(&post, payment, &news, &id_of(payment.id, kind), now);
        if notes.is_empty() {
            let rule = "no configured way leads to this customer";
            return refuse(rule, "give payments an e-mail address or telephone number");
        }
        for note in notes {
            let action = format!("send note {}", note.id);
            let (by, reason) = (by.to_owned(), reason.to_owned());
            let audit = AuditLine { at: now, by, action, reason };
            self.rows.add_note((&payment.merchant, payment.id), note, now, audit).await?;
        }
        Ok(())
    }
}

/// Tells the customer of a payment that staff will get in touch, if customers are told anything
/// and this one can be reached. The case is open whether or not that works.
pub(crate) async fn staff_will_call(state: &Shared, id: PaymentId, (by, reason): (&str, &str)) {
    let Some(desk) = state.notes.as_deref().filter(|desk| desk.post().is_some()) else { return };
    let Ok(Some(payment)) = state.engine.store().payment(id).await else { return };
    match desk.tell(&payment, Kind::Assist, None, (by, reason), state.engine.now()).await {
        Ok(()) => state.engine.look_at_notes(),
        Err(problem) => {
            let why = problem.kind.slug;
            tracing::info!(payment = %id, why, "the customer of a case could not be told");
        }
    }
}

/// The id of a note that a person asked for: one of a kind for a payment.
fn id_of(payment: PaymentId, kind: Kind) -> String {
    format!("note_{}_{kind}", &payment.to_string()[4..])
}
