//! Who is there: the cookies, the language, the session, and for forms the token and origin.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use domain::Locale;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use pages::console::{self, Room, Shell, Tone, View};
use subtle::ConstantTimeEq;

use super::Console;
use super::reply::{Stop, html};
use super::sessions::{Key, Signed};
use crate::app::Shared;
use crate::auth::Role;
use crate::body;
use crate::pipeline::Who;

/// The largest form.
const FORM_MAX: usize = 16 * 1024;
/// The header by which the page's script says that nobody clicked.
const LIVE: &str = "x-console-live";
const LANGUAGE: &str = "evergate_lang";

/// Somebody, signed in or not.
pub(super) struct Stranger {
    pub(super) locale: Locale,
    pub(super) cookies: Cookies,
}

/// The cookies of a request.
pub(super) struct Cookies(BTreeMap<String, String>);

impl Cookies {
    fn of(headers: &HeaderMap) -> Cookies {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
        // The first one counts, as everywhere.
        let pairs: Vec<_> =
            pairs.map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned())).collect();
        Cookies(pairs.into_iter().rev().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A cookie of the console. Over https its name begins with `__Host-`, by which browsers refuse
/// one that another host or plain http has set; that prefix wants the path `/`.
pub(super) fn cookie(
    console: &Console,
    name: &str,
    value: &str,
    age_s: Option<u64>,
) -> HeaderValue {
    let (prefix, place) = match console.is_secure {
        true => ("__Host-", "Path=/; Secure"),
        false => ("", "Path=/console"),
    };
    let age = age_s.map_or_else(String::new, |age| format!("; Max-Age={age}"));
    let text = format!("{prefix}{name}={value}; {place}; HttpOnly; SameSite=Strict{age}");
    // Names and values are our own ASCII.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The name that a cookie has here.
pub(super) fn cookie_name(console: &Console, name: &str) -> String {
    format!("{}{name}", if console.is_secure { "__Host-" } else { "" })
}

/// The session's cookie.
pub(super) const SESSION: &str = "evergate_console";

/// The cookie that keeps the language.
pub(super) fn language_cookie(console: &Console, locale: Locale) -> HeaderValue {
    let name = match locale {
        Locale::Zh => "zh",
        Locale::En => "en",
    };
    cookie(console, LANGUAGE, name, Some(31_536_000))
}

/// The console of this server.
pub(super) fn console_of(state: &Shared) -> Result<&Console, Stop> {
    state.console.as_deref().ok_or(Stop::NotThere(Locale::En))
}

impl FromRequestParts<Shared> for Stranger {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Stop> {
        let console = console_of(state)?;
        let cookies = Cookies::of(&parts.headers);
        let chosen = match cookies.get(&cookie_name(console, LANGUAGE)) {
            Some("zh") => Some(Locale::Zh),
            Some("en") => Some(Locale::En),
            _ => None,
        };
        Ok(Stranger { locale: chosen.unwrap_or_else(|| spoken(&parts.headers)), cookies })
    }
}

/// The language that the browser asks for first among ours; English when it names none.
pub(super) fn spoken(headers: &HeaderMap) -> Locale {
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let weighed = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let tag = parts.next()?.to_ascii_lowercase();
        let locale = match tag.split('-').next()? {
            "zh" => Locale::Zh,
            "en" => Locale::En,
            _ => return None,
        };
        let weight = parts.find_map(|p| p.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        Some((locale, weight.filter(|q: &f64| *q > 0.0)?))
    };
    let mut best: Option<(Locale, f64)> = None;
    for (locale, weight) in asked.split(',').take(16).filter_map(weighed) {
        if best.is_none_or(|(_, most)| weight > most) {
            best = Some((locale, weight));
        }
    }
    best.map_or(Locale::En, |(locale, _)| locale)
}

/// Somebody who is signed in.
pub(super) struct Visitor {
    pub(super) locale: Locale,
    pub(super) signed: Signed,
    /// The address with what was asked for.
    pub(super) here: String,
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Stop> {
        let Stranger { locale, cookies } = Stranger::from_request_parts(parts, state).await?;
        let console = console_of(state)?;
        let by_script = parts.headers.contains_key(LIVE) || parts.uri.path() == "/console/events";
        let cookie = cookies.get(&cookie_name(console, SESSION));
        let signed = cookie.and_then(|cookie| {
            console.sessions.find(cookie, &console.operators, !by_script, state.engine.now())
        });
        let here = parts.uri.path_and_query().map_or("/console", |p| p.as_str()).to_owned();
        let Some(signed) = signed else {
            let back = if parts.method == http::Method::GET { here } else { "/console".to_owned() };
            return Err(if by_script { Stop::Gone } else { Stop::SignIn(back) });
        };
        if let Some(who) = parts.extensions.get::<Who>() {
            who.set(&format!("console:{}", signed.name));
        }
        Ok(Visitor { locale, signed, here })
    }
}

impl Visitor {
    /// The name in the audit log and in controls.
    pub(super) fn by(&self) -> String {
        format!("console:{}", self.signed.name)
    }

    /// Whether forms that change something are shown.
    pub(super) fn may_operate(&self) -> bool {
        matches!(self.signed.role, Role::Operator | Role::Approver)
    }

    /// Refuses whoever only looks.
    pub(super) fn must_operate(&self) -> Result<(), Stop> {
        if self.may_operate() { Ok(()) } else { Err(Stop::MayNot(self.locale)) }
    }

    /// A room as a page, with what is to be told from before.
    pub(super) fn page(&self, state: &Shared, room: Room, view: &View) -> axum::response::Response {
        let told = state.console.as_ref().and_then(|c| c.sessions.told(self.signed.key));
        self.page_with(room, view, told, http::StatusCode::OK)
    }

    /// A room as it comes back after a form with mistakes.
    pub(super) fn page_again(&self, room: Room, view: &View) -> axum::response::Response {
        let text = match self.locale {
            Locale::Zh => "尚未执行：请修改下方标出的内容。",
            Locale::En => "Nothing was done yet: mend what is marked below.",
        };
        let told = Some((text.to_owned(), Tone::Bad));
        self.page_with(room, view, told, http::StatusCode::UNPROCESSABLE_ENTITY)
    }

    fn page_with(
        &self,
        room: Room,
        view: &View,
        told: Option<(String, Tone)>,
        status: http::StatusCode,
    ) -> axum::response::Response {
        // A form's own address is no page to come back to.
        let here = if status.is_success() { self.here.clone() } else { room.path().to_owned() };
        let shell = Shell {
            locale: self.locale,
            room,
            here,
            operator: self.signed.name.clone(),
            role: match self.signed.role {
                Role::Approver => console::Role::Approver,
                Role::Operator => console::Role::Operator,
                Role::Viewer | Role::Merchant => console::Role::Viewer,
            },
            csrf: self.signed.csrf.clone(),
            told,
        };
        html(status, console::page(&shell, view))
    }
}

/// What was typed into a form.
pub(super) struct Typed(BTreeMap<String, String>);

impl Typed {
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    /// As it was typed, for passwords.
    pub(super) fn whole(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// From a query.
    pub(super) fn query(raw: Option<&str>) -> Typed {
        Typed::of(raw.unwrap_or("").as_bytes())
    }

    fn of(bytes: &[u8]) -> Typed {
        let pairs: Vec<_> = form_urlencoded::parse(bytes).into_owned().collect();
        Typed(pairs.into_iter().rev().collect())
    }

    /// Nothing typed.
    pub(super) fn nothing() -> Typed {
        Typed(BTreeMap::new())
    }
}

/// Reads a form whose sender is not known yet: its origin is checked, its token is not.
pub(super) async fn read_form(
    console: &Console,
    locale: Locale,
    request: Request,
    state: &Shared,
) -> Result<Typed, Stop> {
    if !is_from_here(console, &request) {
        return Err(Stop::Token(locale));
    }
    let bytes = body::read_up_to(request, state, FORM_MAX).await.map_err(Stop::Problem)?;
    Ok(Typed::of(&bytes))
}

/// Whether the browser says that the form was on a page of ours. Where it says nothing, the
/// token alone decides.
fn is_from_here(console: &Console, request: &Request) -> bool {
    let text = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str());
    match text(header::ORIGIN) {
        None => true,
        Some(Err(_)) => false,
        Some(Ok(origin)) => {
            let Some((_, authority)) = origin.split_once("://") else { return false };
            let host = text(header::HOST).and_then(Result::ok).map(str::to_owned);
            let host = host.or_else(|| request.uri().authority().map(ToString::to_string));
            host.as_deref() == Some(authority) || authority == console.authority
        }
    }
}

/// Whether two tokens are the same, and one at all.
pub(super) fn same(ours: &str, theirs: &str) -> bool {
    !ours.is_empty() && bool::from(ours.as_bytes().ct_eq(theirs.as_bytes()))
}

/// A form from somebody who is signed in, on a page of this session.
pub(super) struct Posted {
    pub(super) visitor: Visitor,
    pub(super) typed: Typed,
}

impl FromRequest<Shared> for Posted {
    type Rejection = Stop;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Stop> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let typed = read_form(console_of(state)?, visitor.locale, request, state).await?;
        if !same(&visitor.signed.csrf, typed.whole("csrf")) {
            return Err(Stop::Token(visitor.locale));
        }
        Ok(Posted { visitor, typed })
    }
}

impl Posted {
    /// Says on the next page what came of it, and goes there.
    pub(super) fn done(&self, state: &Shared, text: String, to: &str) -> axum::response::Response {
        let key: Key = self.visitor.signed.key;
        if let Some(console) = &state.console {
            console.sessions.tell(key, text, Tone::Good);
        }
        super::reply::go(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_language_is_taken_by_weight() {
        let spoken = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(text).unwrap());
            super::spoken(&headers)
        };
        assert_eq!(spoken("zh-CN,zh;q=0.9,en;q=0.8"), Locale::Zh);
        assert_eq!(spoken("de,en;q=0.5,zh;q=0.7"), Locale::Zh);
        assert_eq!(spoken("en-GB"), Locale::En);
        assert_eq!(spoken("zh;q=0,fr"), Locale::En);
        assert_eq!(spoken(""), Locale::En);
    }

    #[test]
    fn the_first_cookie_of_a_name_counts() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("a=3"));
        let cookies = Cookies::of(&headers);
        assert_eq!((cookies.get("a"), cookies.get("b")), (Some("1"), Some("2")));
    }
}
