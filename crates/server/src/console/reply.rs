//! Pages on their way out: the policy that browsers keep, redirects, and refusals as pages.

use axum::response::{Html, IntoResponse, Redirect, Response};
use domain::Locale;
use http::{HeaderValue, StatusCode, header};
use pages::console::{Words, stop};
use store::StoreError;

use super::visitor::Stranger;
use crate::problem::Problem;

/// Scripts and styles come from this server alone, no page is framed, forms go nowhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// A page of the console.
pub(super) fn html(status: StatusCode, body: String) -> Response {
    let mut response = (status, Html(body)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Goes on at another address of the console, after a form.
pub(super) fn go(to: &str) -> Response {
    Redirect::to(to).into_response()
}

/// Why there is no room.
pub(super) enum Stop {
    /// Nobody is signed in; where to go on afterwards.
    SignIn(String),
    /// The same for the page's script.
    Gone,
    /// The form's token or origin is not this session's.
    Token(Locale),
    /// The role does not allow it.
    MayNot(Locale),
    /// There is no such room or payment.
    NotThere(Locale),
    /// The books did not answer.
    Trouble(Locale, String),
    /// The request could not be read.
    Problem(Problem),
}

impl Stop {
    /// Names the trouble of the books; what the engine refuses for other reasons is said on the
    /// room's own form.
    pub(super) fn books(locale: Locale) -> impl Fn(StoreError) -> Stop {
        move |error| Stop::Trouble(locale, error.to_string())
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        let page = |status, locale, title: fn(&Words) -> &'static str, text: fn(&Words) -> _| {
            let words = Words(locale);
            html(status, stop(locale, title(&words), text(&words)))
        };
        match self {
            Stop::SignIn(next) => {
                let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                go(&format!("/console/sign-in?next={next}"))
            }
            Stop::Gone => (StatusCode::UNAUTHORIZED, "signed out").into_response(),
            Stop::Token(locale) => {
                page(StatusCode::FORBIDDEN, locale, Words::no_token_title, Words::no_token)
            }
            Stop::MayNot(locale) => {
                page(StatusCode::FORBIDDEN, locale, Words::may_not_title, Words::may_not)
            }
            Stop::NotThere(locale) => {
                page(StatusCode::NOT_FOUND, locale, Words::not_there_title, Words::not_there)
            }
            Stop::Trouble(locale, error) => {
                tracing::warn!(%error, "a room of the console cannot be shown");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                page(status, locale, Words::trouble_title, Words::trouble)
            }
            Stop::Problem(problem) => problem.into_response(),
        }
    }
}

/// An address of the console that is no room.
pub(super) async fn nothing_here(Stranger { locale, .. }: Stranger) -> Stop {
    Stop::NotThere(locale)
}
