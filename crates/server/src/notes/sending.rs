//! The worker of the notes: looks at each that is due, decides, sends, and writes down how it
//! went. A note whose end could not be written down goes out again under the same id, which
//! mail readers and webhooks know it by.

use std::sync::Arc;
use std::time::Duration;

use domain::{Payment, Status, Timestamp};
use engine::{Engine, Entropy};
use http::StatusCode;
use notify::{
    Contact, Facts, Kind, Letter, Past, Place, Question, SendError, Standing, Verdict, Way,
    Written, decide, sms_parts, write,
};
use serde_json::json;
use store::{Note, NoteEnd, StoreError};

use super::{NoteDesk, Post, TIMEOUT};
use crate::time::rfc3339;
use crate::webhooks::{Endpoint, describe, signatures};

/// The waits between tries; the last repeats until the note is pointless.
const WAITS_S: [u64; 6] = [30, 2 * 60, 10 * 60, 30 * 60, 3_600, 2 * 3_600];
/// How often a note that an operator wants out is tried.
const TRIES_FORCED: u32 = 6;
/// How much of a person's past is looked at: more than any limit.
const PAST_MAX: usize = 200;
/// How long limits look back.
const DAY: Duration = Duration::from_secs(86_400);
/// How long notes wait while there is no post.
const NO_POST: Duration = Duration::from_secs(300);

/// Sends notes.
pub(crate) struct Courier {
    engine: Arc<Engine>,
    entropy: Arc<dyn Entropy>,
    desk: Arc<NoteDesk>,
}

/// A note's row, read.
struct Read {
    kind: Kind,
    to: Contact,
    facts: Facts,
}

impl Courier {
    pub(crate) fn new(
        engine: Arc<Engine>,
        entropy: Arc<dyn Entropy>,
        desk: Arc<NoteDesk>,
    ) -> Courier {
        Courier { engine, entropy, desk }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// When there is something to look at.
    pub(crate) async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.desk.rows.next_note_due().await
    }

    pub(crate) async fn claim(&self, limit: usize) -> Result<Vec<Note>, StoreError> {
        let now = self.engine.now();
        // Longer than a try: whoever takes the note over meets no try under way.
        self.desk.rows.claim_notes(now, now + TIMEOUT * 3, limit).await
    }

    /// One look at a note.
    pub(crate) async fn handle(&self, note: Note) {
        let end = match self.look(&note).await {
            Ok(end) => end,
            Err(error) => {
                tracing::warn!(note = %note.what.id, %error, "a note waits for the store");
                return; // Its lease ends, and it is looked at again.
            }
        };
        self.finish(&note, end).await;
    }

    async fn finish(&self, note: &Note, end: NoteEnd) {
        let result = match &end {
            NoteEnd::Sent => "sent",
            NoteEnd::Retry { .. } => "retry",
            NoteEnd::Wait { .. } => "waiting",
            NoteEnd::Suppressed { .. } => "suppressed",
            NoteEnd::Dead { error } => {
                // Errors hold codes and no contacts.
                tracing::error!(note = %note.what.id, kind = %note.what.kind, %error,
                    "a note to a customer was given up; it can be sent again by hand");
                "dead"
            }
        };
        let (kind, way) = (note.what.kind.clone(), note.what.way.clone());
        metrics::counter!("evergate_notes_total", "kind" => kind, "way" => way, "result" => result)
            .increment(1);
        let now = self.engine.now();
        match self.desk.rows.end_note(&note.what.id, note.fence, end, now).await {
            Ok(true) => self.engine.look_at_notes(),
            Ok(false) => tracing::warn!(note = %note.what.id, "somebody else has taken the note"),
            Err(error) => {
                tracing::warn!(note = %note.what.id, %error, "a note's end was not written down");
            }
        }
    }

    async fn look(&self, note: &Note) -> Result<NoteEnd, StoreError> {
        let now = self.engine.now();
        let Some(post) = self.desk.post() else {
            let reason = "customer messages are not configured".to_owned();
            return Ok(NoteEnd::Wait { at: now + NO_POST, reason });
        };
        let Some(read) = read(note) else {
            return Ok(NoteEnd::Dead { error: "the note's row cannot be read".into() });
        };
        let verdict = match self.engine.store().payment(note.payment).await? {
            Some(payment) => self.decide(&post, note, &read, &payment, now).await?,
            None => return Ok(NoteEnd::Dead { error: "its payment is gone".into() }),
        };
        Ok(match verdict {
            Verdict::Send => self.send(&post, note, &read).await,
            Verdict::Wait { until, why } => {
                NoteEnd::Wait { at: until, reason: why.name().to_owned() }
            }
            Verdict::Suppress(why) => NoteEnd::Suppressed { reason: why.name().to_owned() },
        })
    }

    async fn decide(
        &self,
        post: &Post,
        note: &Note,
        read: &Read,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        let who = note.what.addressee.expose();
        let since = note.what.since.min(now - DAY);
        let sent = self.desk.rows.sent_to(who, since, PAST_MAX).await?;
        let past: Vec<Past> = sent
            .iter()
            .filter(|sent| sent.id != note.what.id)
            .filter_map(|sent| {
                let kind = sent.kind.parse().ok()?;
                Some(Past { kind, payment: sent.payment, at: sent.at })
            })
            .collect();
        let question = Question {
            kind: read.kind,
            way: read.to.way(),
            payment: note.payment,
            standing: standing(payment),
            is_answer: read.facts.is_answer,
            since: note.what.since,
            not_after: note.what.not_after,
            is_forced: note.forced,
            is_unsubscribed: self.desk.rows.unsubscribed(who).await?.is_some(),
        };
        let house = post.settings.house(&note.merchant);
        let limits = post.settings.limits;
        Ok(decide(&question, &past, limits, house.quiet, &house.zone, now))
    }

    async fn send(&self, post: &Post, note: &Note, read: &Read) -> NoteEnd {
        let unsubscribe = (!read.kind.is_owed())
            .then(|| format!("{}/u/{}", post.public_url, note.what.addressee.expose()));
        let place =
            Place { link: format!("{}/pay/{}", post.public_url, note.payment), unsubscribe };
        let about = (read.kind, &note.merchant, note.what.locale);
        let written = write(&post.settings, about, &read.facts, &place);
        let sent = match (read.to.way(), &post.mailer, post.hooks.get(&read.to.way())) {
            (Way::Email, Some(mailer), _) => {
                let letter = Letter {
                    note: &note.what.id,
                    from: post.settings.house(&note.merchant).from.as_deref(),
                    brand: post.settings.brand(&note.merchant, note.what.locale),
                    to: read.to.expose(),
                    written: &written,
                    unsubscribe: place.unsubscribe.as_deref(),
                    at: self.engine.now(),
                };
                mailer.send(&letter).await
            }
            (Way::Sms | Way::Push, _, Some(hook)) => {
                self.call(post, hook, note, read, &written, &place).await
            }
            _ => Err(SendError::Never("nothing goes by this way any more".into())),
        };
        match sent {
            Ok(()) => NoteEnd::Sent,
            Err(SendError::Never(error)) => NoteEnd::Dead { error },
            Err(SendError::Later(error)) => self.again(note, error),
        }
    }

    fn again(&self, note: &Note, error: String) -> NoteEnd {
        let last = WAITS_S[WAITS_S.len() - 1];
        let tries = usize::try_from(note.tries).unwrap_or(usize::MAX);
        let wait = Duration::from_secs(WAITS_S.get(tries).copied().unwrap_or(last));
        let at = self.engine.now() + wait.mul_f64(0.9 + 0.2 * self.entropy.dice());
        match note.forced {
            true if note.tries + 1 >= TRIES_FORCED => NoteEnd::Dead { error },
            false if at >= note.what.not_after => NoteEnd::Dead { error },
            _ => NoteEnd::Retry { at, error },
        }
    }

    /// Hands a text message or a message to an app to the operator's webhook, signed as
    /// messages to merchants are.
    async fn call(
        &self,
        post: &Post,
        hook: &Endpoint,
        note: &Note,
        read: &Read,
        written: &Written,
        place: &Place,
    ) -> Result<(), SendError> {
        let now = self.engine.now();
        let body = json!({
            "type": format!("note.{}", read.to.way().name()),
            "timestamp": rfc3339(now),
            "data": {
                "id": note.what.id,
                "kind": read.kind.name(),
                "merchant": note.merchant.as_str(),
                "payment": note.payment.to_string(),
                "locale": locale(note.what.locale),
                "to": read.to.expose(),
                "title": written.subject,
                "text": written.short,
                "parts": sms_parts(&written.short),
                "link": place.link,
                "unsubscribe": place.unsubscribe,
            },
        })
        .to_string();
        let at = now.as_secs();
        let request = post
            .http
            .post(&hook.url)
            .header("content-type", "application/json")
            .header("webhook-id", &note.what.id)
            .header("idempotency-key", &note.what.id)
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signatures(hook, &note.what.id, at, &body))
            .body(body);
        match request.send().await {
            Ok(response) => taken(response.status()),
            // The error's own text holds the address, which may hold a secret.
            Err(error) => Err(SendError::Later(describe(&error).to_owned())),
        }
    }
}

/// What a webhook's answer means: a refusal that another try would meet as well ends the note.
fn taken(status: StatusCode) -> Result<(), SendError> {
    let text = format!("the webhook answered {}", status.as_u16());
    let mended_later = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_success() {
        Ok(())
    } else if status.is_client_error() && !mended_later.contains(&status) {
        Err(SendError::Never(text))
    } else {
        Err(SendError::Later(text))
    }
}

pub(super) fn locale(locale: domain::Locale) -> &'static str {
    match locale {
        domain::Locale::Zh => "zh",
        domain::Locale::En => "en",
    }
}

fn read(note: &Note) -> Option<Read> {
    let kind = note.what.kind.parse().ok()?;
    let way = note.what.way.parse().ok()?;
    let to = Contact::of_row(way, note.what.contact.expose())?;
    let facts = serde_json::from_str(&note.what.data).ok()?;
    Some(Read { kind, to, facts })
}

fn standing(payment: &Payment) -> Standing {
    match payment.status() {
        Status::Paid | Status::PartiallyRefunded | Status::Refunded => Standing::Paid,
        Status::Cancelling | Status::Expiring => Standing::Ended,
        Status::Declined | Status::Cancelled | Status::Expired => Standing::Ended,
        _ => Standing::Open,
    }
}
