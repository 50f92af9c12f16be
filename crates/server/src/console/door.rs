//! Signing in and out, and the language.

use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Locale;
use http::{HeaderValue, StatusCode, header};
use pages::console::{Door, Tone, Words};
use store::AuditLine;

use super::Console;
use super::operators::Known;
use super::reply::{Stop, go, html};
use super::sessions::key_of;
use super::visitor::{
    Posted, SESSION, Stranger, Typed, console_of, cookie, cookie_name, language_cookie, read_form,
    same,
};
use crate::app::Shared;

/// Holds the token of the form before anybody is signed in.
const DOOR: &str = "evergate_door";
/// How long a sign-in waits for a place to be checked.
const PATIENCE: Duration = Duration::from_secs(2);

/// The page to sign in at.
pub(super) async fn show(
    State(state): State<Shared>,
    stranger: Stranger,
    RawQuery(raw): RawQuery,
) -> Result<Response, Stop> {
    let console = console_of(&state)?;
    let query = Typed::query(raw.as_deref());
    let asked = match query.get("lang") {
        "zh" => Some(Locale::Zh),
        "en" => Some(Locale::En),
        _ => None,
    };
    let locale = asked.unwrap_or(stranger.locale);
    let words = Words(locale);
    let told = match query.get("told") {
        "out" => Some((words.signed_out().to_owned(), Tone::Good)),
        _ if console.operators.is_empty() => Some((words.nobody_yet().to_owned(), Tone::Warn)),
        _ => None,
    };
    let next = within(query.get("next"));
    // The token of another tab goes on.
    let token = stranger.cookies.get(&cookie_name(console, DOOR)).filter(|t| t.len() == 43);
    let mut response = door_with(console, locale, token, ("", next), told, StatusCode::OK);
    if let Some(locale) = asked {
        response.headers_mut().append(header::SET_COOKIE, language_cookie(console, locale));
    }
    Ok(response)
}

/// The page with a fresh token.
fn door(
    console: &Console,
    locale: Locale,
    (name, next): (&str, &str),
    told: Option<(String, Tone)>,
    status: StatusCode,
) -> Response {
    door_with(console, locale, None, (name, next), told, status)
}

fn door_with(
    console: &Console,
    locale: Locale,
    token: Option<&str>,
    (name, next): (&str, &str),
    told: Option<(String, Tone)>,
    status: StatusCode,
) -> Response {
    let fresh = || URL_SAFE_NO_PAD.encode(console.random());
    let csrf = token.map_or_else(fresh, str::to_owned);
    let page = pages::console::sign_in(&Door { locale, csrf: &csrf, name, told, next });
    let mut response = html(status, page);
    response.headers_mut().append(header::SET_COOKIE, cookie(console, DOOR, &csrf, None));
    response
}

/// An address of the console to go on at; anything else is the first page, so that nobody is
/// led elsewhere after they have signed in.
fn within(next: &str) -> &str {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'\\';
    let inside =
        next == "/console" || next.starts_with("/console/") || next.starts_with("/console?");
    let good = inside
        && !next.starts_with("/console/sign-")
        && !next.contains("..")
        && next.bytes().all(plain);
    if good { next } else { "/console" }
}

/// How a try ended.
enum End {
    Open(Known),
    Wrong,
    Throttled(Duration),
    Busy,
}

/// Signs in.
pub(super) async fn sign_in(
    State(state): State<Shared>,
    stranger: Stranger,
    request: Request,
) -> Result<Response, Stop> {
    let console = console_of(&state)?;
    let (locale, words) = (stranger.locale, Words(stranger.locale));
    let token = stranger.cookies.get(&cookie_name(console, DOOR)).unwrap_or("").to_owned();
    let typed = read_form(console, locale, request, &state).await?;
    let (name, next) = (typed.get("name"), within(typed.get("next")));
    if token.is_empty() {
        let told = Some((words.no_cookie().to_owned(), Tone::Bad));
        return Ok(door(console, locale, (name, next), told, StatusCode::FORBIDDEN));
    }
    if !same(&token, typed.whole("csrf")) {
        return Err(Stop::Token(locale));
    }
    let end = try_password(&state, console, name, typed.whole("password")).await;
    count(&end);
    Ok(match end {
        End::Open(known) => {
            let before = stranger.cookies.get(&cookie_name(console, SESSION));
            enter(&state, console, &known, before, next).await
        }
        End::Wrong => {
            let told = Some((words.wrong_password().to_owned(), Tone::Bad));
            door(console, locale, (name, next), told, StatusCode::UNAUTHORIZED)
        }
        End::Throttled(wait) => later(console, locale, (name, next), wait),
        End::Busy => later(console, locale, (name, next), Duration::from_secs(1)),
    })
}

fn later(
    console: &Console,
    locale: Locale,
    (name, next): (&str, &str),
    wait: Duration,
) -> Response {
    let secs = wait.as_secs().max(1);
    let told = match locale {
        Locale::Zh => format!("尝试次数过多，请在 {secs} 秒后重试。"),
        Locale::En => format!("Too many tries. Try again in {secs} seconds."),
    };
    let told = Some((told, Tone::Bad));
    let mut page = door(console, locale, (name, next), told, StatusCode::TOO_MANY_REQUESTS);
    if let Ok(secs) = HeaderValue::from_str(&secs.to_string()) {
        page.headers_mut().insert(header::RETRY_AFTER, secs);
    }
    page
}

fn count(end: &End) {
    let end = match end {
        End::Open(_) => "ok",
        End::Wrong => "wrong",
        End::Throttled(_) => "throttled",
        End::Busy => "busy",
    };
    metrics::counter!("evergate_console_sign_ins_total", "end" => end).increment(1);
}

/// Checks a password, with the same work for a name that is nobody's.
async fn try_password(state: &Shared, console: &Console, name: &str, password: &str) -> End {
    let now = state.engine.now();
    let taken = throttle(console).take(name, now);
    if let Err(wait) = taken {
        return End::Throttled(wait);
    }
    let place = Arc::clone(&console.hashing).acquire_owned();
    let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, place).await else { return End::Busy };
    let known = console.operators.find(name);
    let digest =
        known.as_ref().map(|k| Arc::clone(&k.digest)).or_else(|| console.operators.stand_in());
    let password = password.to_owned();
    let check = tokio::task::spawn_blocking(move || {
        let fits = digest.is_some_and(|digest| digest.fits(&password));
        drop(place);
        fits
    });
    let fits = check.await.unwrap_or(false);
    match known {
        Some(known) if fits => {
            throttle(console).succeeded(name);
            End::Open(known)
        }
        Some(known) => {
            let by = format!("console:{}", known.name);
            note(state, by, "sign in refused", "wrong password").await;
            End::Wrong
        }
        None => {
            // What was typed is not repeated: people type their password into the wrong field.
            note(state, "console".to_owned(), "sign in refused", "unknown name").await;
            End::Wrong
        }
    }
}

fn throttle(console: &Console) -> std::sync::MutexGuard<'_, super::throttle::Throttle> {
    console.throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a session; one that the browser had before ends.
async fn enter(
    state: &Shared,
    console: &Console,
    known: &Known,
    before: Option<&str>,
    next: &str,
) -> Response {
    if let Some(before) = before {
        console.sessions.end(key_of(before));
    }
    let random = [console.random(), console.random()];
    let value = console.sessions.open(known, random, state.engine.now());
    note(state, format!("console:{}", known.name), "sign in", "").await;
    let mut response = go(next);
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, cookie(console, SESSION, &value, None));
    headers.append(header::SET_COOKIE, cookie(console, DOOR, "", Some(0)));
    response
}

/// Leaves a line in the audit log. That the books cannot take it keeps nobody out: in trouble
/// people must be able to look.
async fn note(state: &Shared, by: String, action: &str, reason: &str) {
    tracing::info!(%by, action, reason, "console");
    let line =
        AuditLine { at: state.engine.now(), by, action: action.into(), reason: reason.into() };
    if let Err(error) = state.engine.store().note(line).await {
        tracing::error!(%error, "a line of the audit log could not be kept");
    }
}

/// Signs out.
pub(super) async fn sign_out(
    State(state): State<Shared>,
    posted: Posted,
) -> Result<Response, Stop> {
    let console = console_of(&state)?;
    console.sessions.end(posted.visitor.signed.key);
    note(&state, posted.visitor.by(), "sign out", "").await;
    let mut response = go("/console/sign-in?told=out");
    response.headers_mut().append(header::SET_COOKIE, cookie(console, SESSION, "", Some(0)));
    Ok(response.into_response())
}

/// Changes the language.
pub(super) async fn language(
    State(state): State<Shared>,
    posted: Posted,
) -> Result<Response, Stop> {
    let locale = if posted.typed.get("locale") == "zh" { Locale::Zh } else { Locale::En };
    let mut response = go(within(posted.typed.get("back")));
    let cookie = language_cookie(console_of(&state)?, locale);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn nobody_is_led_elsewhere_after_they_have_signed_in() {
        for good in ["/console", "/console/channels", "/console/payments?q=SO-1&status=paid"] {
            assert_eq!(within(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/consolee",
            "/console/../v1",
            "/v1",
            "/console/\\evil",
            "/console/\r\nx",
            "/console/sign-out",
        ] {
            let led = within(bad);
            assert_eq!(led, "/console", "{bad}");
        }
    }
}
