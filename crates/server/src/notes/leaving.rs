//! The page on which customers unsubscribe from reminders, and come back. It works without
//! script; a POST from a mail reader's button unsubscribes at once (RFC 8058).

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use domain::Locale;
use http::{StatusCode, header};
use notify::Contact;
use store::Note;

use crate::app::Shared;
use crate::params::NameInPath;
use crate::problem::Problem;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Shows whether reminders are wanted.
pub(crate) async fn show(
    State(state): State<Shared>,
    NameInPath(token): NameInPath,
    uri: Uri,
) -> Result<Response, Problem> {
    page(&state, &token, asked(uri.query())).await
}

/// Unsubscribes; comes back when the form says so.
pub(crate) async fn change(
    State(state): State<Shared>,
    NameInPath(token): NameInPath,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    let body = crate::body::read_up_to(request, &state, 4_096).await?;
    let back = form_urlencoded::parse(&body).any(|(name, value)| name == "do" && value == "return");
    if let Some(desk) = &state.notes
        && desk.rows.latest_to(&token).await?.is_some()
    {
        desk.rows.set_subscribed(&token, back, state.engine.now()).await?;
        let what = if back { "back" } else { "left" };
        metrics::counter!("evergate_note_subscriptions_total", "result" => what).increment(1);
    }
    page(&state, &token, asked(uri.query())).await
}

/// The language that the page's own link asks for.
fn asked(query: Option<&str>) -> Option<Locale> {
    let pairs = form_urlencoded::parse(query.unwrap_or("").as_bytes());
    let mut asked = pairs.filter(|(name, _)| name == "lang").map(|(_, value)| value);
    match asked.next()?.as_ref() {
        "zh" => Some(Locale::Zh),
        "en" => Some(Locale::En),
        _ => None,
    }
}

async fn page(state: &Shared, token: &str, asked: Option<Locale>) -> Result<Response, Problem> {
    let note = match &state.notes {
        Some(desk) => desk.rows.latest_to(token).await?,
        None => None,
    };
    let Some(note) = note else {
        let html = pages::no_such_reminder(asked);
        return Ok((StatusCode::NOT_FOUND, headers(), Html(html)).into_response());
    };
    let desk = state.notes.as_deref();
    let left = match desk {
        Some(desk) => desk.rows.unsubscribed(token).await?.is_some(),
        None => false,
    };
    let locale = asked.unwrap_or(note.what.locale);
    let brand = desk
        .and_then(super::NoteDesk::post)
        .map(|post| post.settings.brand(&note.merchant, locale).to_owned());
    let view = pages::Reminders {
        locale,
        brand: brand.as_deref().unwrap_or(note.merchant.as_str()),
        to: &masked(&note),
        token,
        left,
    };
    Ok((headers(), Html(pages::reminders(&view))).into_response())
}

fn masked(note: &Note) -> String {
    let way = note.what.way.parse().ok();
    let contact = way.and_then(|way| Contact::of_row(way, note.what.contact.expose()));
    contact.map_or_else(|| "***".to_owned(), |contact| contact.masked())
}

fn headers() -> [(header::HeaderName, &'static str); 2] {
    [(header::CONTENT_SECURITY_POLICY, POLICY), (header::REFERRER_POLICY, "no-referrer")]
}
