//! Which ways to pay work now, for anybody's page: a feed without a key, and a small script.
//!
//! It fails open: whoever cannot read it, or reads nonsense, takes every method for available.
//! A shop must never stop selling because a status could not be told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Locale, Method, Passage, Purpose, Timestamp};
use engine::MethodSight;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::status_page::Part;
use crate::view::{MethodName, Notice};

/// How old an answer may be when it leaves the server.
const FRESH: Duration = Duration::from_secs(1);
/// The script that marks a shop's own page.
const SCRIPT: &str = pages::AVAILABILITY_JS;

/// Which ways to pay work now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Availability {
    /// In the merchant's order, those that work first.
    pub(crate) methods: Vec<MethodAvailability>,
}

/// A way to pay.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct MethodAvailability {
    /// Its name.
    #[schema(value_type = MethodName)]
    pub(crate) method: &'static str,
    /// What customers call it.
    pub(crate) name: Notice,
    /// Whether a payment would be tried by it now.
    pub(crate) available: bool,
    /// What to use instead, while it is not available.
    #[schema(value_type = Option<MethodName>)]
    pub(crate) instead: Option<&'static str>,
    /// What to tell the customer, while it is not available.
    pub(crate) prompt: Option<Notice>,
}

/// What customers may know of a method, as far as this feed goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) available: bool,
    pub(crate) instead: Option<Method>,
}

impl crate::app::Inner {
    /// What customers may know of each way to pay.
    fn seen(&self) -> Vec<Seen> {
        let seen = |sight: &MethodSight| Seen {
            method: sight.method,
            available: sight.available,
            instead: sight.instead,
        };
        self.engine.sight().methods.iter().map(seen).collect()
    }

    /// The same with all that the status page tells, in an order that does not change.
    pub(crate) fn parts(&self, now: Timestamp) -> Vec<Part> {
        let ladder = &self.engine.controls().ladder;
        let part = |sight: &MethodSight| {
            let passage =
                Passage { method: sight.method, channel: None, purpose: Purpose::Checkout };
            let since = ladder.level(&passage, now).1.map(|descent| descent.since);
            let MethodSight { method, available, level, .. } = *sight;
            Part { method, available, level, since, planned: false }
        };
        let mut parts: Vec<Part> = self.engine.sight().methods.iter().map(part).collect();
        parts.sort_by_key(|part| part.method);
        parts
    }
}

impl Availability {
    pub(crate) fn of(sight: &[Seen]) -> Availability {
        let mut seen = sight.to_vec();
        seen.sort_by_key(|one| !one.available);
        Availability { methods: seen.iter().map(MethodAvailability::of).collect() }
    }
}

impl MethodAvailability {
    fn of(seen: &Seen) -> MethodAvailability {
        let instead = seen.instead.filter(|_| !seen.available);
        let both =
            |say: &dyn Fn(Locale) -> String| Notice { zh: say(Locale::Zh), en: say(Locale::En) };
        MethodAvailability {
            method: seen.method.name(),
            name: both(&|locale| seen.method.label(locale).to_owned()),
            available: seen.available,
            instead: instead.map(Method::name),
            prompt: (!seen.available)
                .then(|| both(&|locale| pages::prompt(locale, seen.method, instead))),
        }
    }
}

/// The last answer, kept for a moment: however many shops ask, it is made once a second.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<Answer>>);

#[derive(Clone)]
struct Answer {
    at: Timestamp,
    body: Arc<str>,
    tag: HeaderValue,
}

impl Kept {
    fn get(&self, state: &Shared) -> Answer {
        let now = state.engine.now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |known: &&Answer| known.at <= now && now < known.at + FRESH;
        if let Some(known) = kept.as_ref().filter(fresh) {
            return known.clone();
        }
        let answer = Answer::of(&Availability::of(&state.seen()), now);
        *kept = Some(answer.clone());
        answer
    }
}

impl Answer {
    fn of(document: &impl Serialize, at: Timestamp) -> Answer {
        // Plain texts and truths: this cannot fail, and an empty answer means "all available".
        let body = serde_json::to_string(document).unwrap_or_else(|_| "{}".to_owned());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
        let tag = format!("\"{}\"", hex::encode(&digest.as_ref()[..12]));
        let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
        Answer { at, body: body.into(), tag }
    }

    fn response(self, headers: &HeaderMap, kept: &'static str) -> Response {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|v| matches(v, &self.tag));
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let mut response = match known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => (kind, self.body.to_string()).into_response(),
        };
        response.headers_mut().insert(header::ETAG, self.tag);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
        open_to_all(&mut response);
        response
    }
}

/// Which ways to pay work now.
///
/// Needs no key and may be asked from any page. Answers are a second old at most and may be kept
/// for three; `If-None-Match` saves the body. Take every method for available when this cannot
/// be read. `/availability.js` does all of that for a shop's own page.
#[utoipa::path(
    get, path = "/v1/availability", tag = "availability", operation_id = "availability",
    security(()),
    responses(
        (status = 200, body = Availability, headers(("etag" = String))),
        (status = 304, description = "As it was"),
    ),
)]
pub(crate) async fn feed(State(state): State<Shared>, headers: HeaderMap) -> Response {
    let answer = state.availability.get(&state);
    let age = HeaderValue::from(state.engine.now().since(answer.at).as_secs());
    let kept = "public, max-age=3, stale-while-revalidate=10, stale-if-error=86400";
    let mut response = answer.response(&headers, kept);
    response.headers_mut().insert(header::AGE, age);
    response
}

/// A document that anybody may read, with an entity tag.
pub(crate) fn tagged(headers: &HeaderMap, document: &Value, kept: &'static str) -> Response {
    Answer::of(document, Timestamp::EPOCH).response(headers, kept)
}

/// Whether a list of entity tags, weak ones included, names this one.
fn matches(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(list), Ok(tag)) = (list.to_str(), tag.to_str()) else { return false };
    list.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// Any page may read it; there is nothing in it that a cookie or key would change.
pub(crate) fn open_to_all(response: &mut Response) {
    const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(RESOURCE, HeaderValue::from_static("cross-origin"));
}

/// The script for shops' own pages.
pub(crate) async fn script() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=300, stale-if-error=86400"),
    ];
    let mut response = (headers, SCRIPT).into_response();
    open_to_all(&mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(method: Method, available: bool, instead: Option<Method>) -> Seen {
        Seen { method, available, instead }
    }

    #[test]
    fn what_works_comes_first_and_the_rest_says_what_to_do() {
        let feed = Availability::of(&[
            seen(Method::Alipay, false, Some(Method::WechatPay)),
            seen(Method::WechatPay, true, None),
            seen(Method::Card, true, None),
        ]);
        let order: Vec<_> = feed.methods.iter().map(|m| (m.method, m.available)).collect();
        assert_eq!(order, [("wechat_pay", true), ("card", true), ("alipay", false)]);
        let prompt = feed.methods[2].prompt.as_ref().unwrap();
        assert_eq!(prompt.zh, "支付宝暂时不可用，请使用微信支付");
        assert_eq!(prompt.en, "Alipay is unavailable right now, please use WeChat Pay");
        assert_eq!(feed.methods[0].prompt, None);
    }

    #[test]
    fn the_tag_is_the_bodys_and_not_the_times() {
        let feed = Availability::of(&[seen(Method::Card, true, None)]);
        let [early, late] = [1, 2].map(|s| Answer::of(&feed, Timestamp::from_secs(s)).tag);
        assert_eq!(early, late);
        let list = HeaderValue::from_str(&format!("\"x\", W/{}", late.to_str().unwrap())).unwrap();
        assert!(matches(&list, &late) && matches(&HeaderValue::from_static("*"), &late));
        let other = Answer::of(&Availability::of(&[]), Timestamp::EPOCH).tag;
        assert!(!matches(&list, &other));
    }

    #[test]
    fn the_script_is_small_and_names_the_feed() {
        assert!(SCRIPT.len() < 3_000, "{} bytes", SCRIPT.len());
        assert!(SCRIPT.contains("v1/availability") && SCRIPT.contains("data-evergate-method"));
    }
}
