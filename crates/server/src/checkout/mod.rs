//! The checkout page: `/pay/{id}`, for whoever has the link.
//!
//! The link is the key: its id has 74 random bits. Therefore the page shows nothing private, and
//! nothing that a request says is taken for more than "this customer would like that method":
//! amount, payee and currency come from the books alone.
//!
//! - A `GET` changes nothing, whoever opens it: link previews and prefetching make no attempt.
//! - A form says how many attempts its page had seen ([`wish`]); one that is older than the
//!   payment has no effect. So a second click, the back button and another tab are harmless.
//! - What an attempt may do beside another is the engine's to say (rules 2 to 5).
//!
//! Not here: what is true of a payment ([`standing`]), the words and the HTML (`pages`).

mod asked;
mod offer;
mod standing;
mod stream;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use domain::{HoldBy, Locale, Method, Payment, PaymentId};
use engine::EngineError;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pages::{Checkout, Saying, Shown, Standing};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::app::Shared;
use crate::body;
use crate::notes::api::staff_will_call;
use asked::Tongue;
pub(crate) use asked::tongue;
use asked::{origin_of, remember};
use offer::Offered;
use recovery::assist::AssistError;
use store::AssistFilter;
use stream::Streams;
pub(crate) use view::people;

/// The largest form that the page sends, many times over.
const FORM_BYTES_MAX: usize = 4 * 1024;

/// What the page shares among its requests.
pub(crate) struct Desk {
    streams: Arc<Streams>,
    /// Payments that a form is being worked on for, so that two clicks do not run beside each
    /// other.
    busy: Mutex<HashMap<PaymentId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Desk {
    pub(crate) fn new(max_streams: usize) -> Desk {
        Desk { streams: Streams::new(max_streams), busy: Mutex::default() }
    }

    /// The queue of a payment's forms.
    fn queue(&self, id: PaymentId) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.retain(|known, queue| *known == id || Arc::strong_count(queue) > 1);
        Arc::clone(busy.entry(id).or_default())
    }
}

/// What stands in the place of the id; not readable where it is no UTF-8.
type IdText = Result<Path<String>, PathRejection>;

/// Why there is no page, or no effect.
struct Refused {
    saying: Saying,
    tongue: Tongue,
    /// The way back, where there is a payment.
    id: Option<PaymentId>,
}

impl Refused {
    fn answer(self, state: &Shared) -> Response {
        let Refused { saying, tongue, id } = self;
        let status = match saying {
            Saying::Unknown => StatusCode::NOT_FOUND,
            Saying::Changed => StatusCode::UNPROCESSABLE_ENTITY,
            Saying::Foreign => StatusCode::FORBIDDEN,
            Saying::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        let base = base(state);
        let link = id.map(|id| format!("{base}/pay/{id}{}", kept(tongue)));
        let html = pages::saying(tongue.locale, saying, link.as_deref(), base);
        let mut response = (status, Html(html)).into_response();
        protect(&mut response, None);
        if saying == Saying::Busy {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("3"));
        }
        response
    }
}

/// The page.
pub(crate) async fn page(
    State(state): State<Shared>,
    path: IdText,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let payment = match found(&state, &path, &uri, &headers).await {
        Ok(payment) => payment,
        Err(refused) => return refused.answer(&state),
    };
    let tongue = tongue(uri.query(), &headers, payment.terms.locale);
    let offered = offered(&state, &payment).await;
    let (html, outside) = drawn(&state, &payment, &offered, tongue, |view| {
        (pages::page(view, base(&state)), outside(view))
    });
    let mut response = Html(html).into_response();
    protect(&mut response, outside.as_deref());
    remembering(&mut response, tongue);
    response
}

/// A provider's page sends the customer back, some by `POST`. Nothing that it says is believed:
/// whether money came is the provider's to say to us, not to the browser.
pub(crate) async fn returned(State(state): State<Shared>, path: IdText, uri: Uri) -> Response {
    match path.as_ref().ok().and_then(|Path(text)| text.parse().ok()) {
        Some(id) => back(&state, id, tongue(uri.query(), &HeaderMap::new(), Locale::Zh)),
        None => {
            let tongue = tongue(uri.query(), &HeaderMap::new(), Locale::Zh);
            Refused { saying: Saying::Unknown, tongue, id: None }.answer(&state)
        }
    }
}

/// The part of the page that changes, for its script.
pub(crate) async fn panel(
    State(state): State<Shared>,
    path: IdText,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    const VERSION: HeaderName = HeaderName::from_static("x-version");
    let payment = match found(&state, &path, &uri, &headers).await {
        Ok(payment) => payment,
        Err(refused) => return refused.answer(&state),
    };
    let mut tongue = tongue(uri.query(), &headers, payment.terms.locale);
    // The page's script always says a language; its addresses keep what the page's own had.
    tongue.asked = asked_by_page(&headers);
    let offered = offered(&state, &payment).await;
    let (html, version) = drawn(&state, &payment, &offered, tongue, |view| {
        (pages::panel(view, base(&state)), view.version())
    });
    let mut response = Html(html).into_response();
    if let Ok(version) = HeaderValue::from_str(&version) {
        response.headers_mut().insert(VERSION, version);
    }
    response
}

/// Whether the page that asks for its panel had a language in its own address.
fn asked_by_page(headers: &HeaderMap) -> bool {
    let referer = headers.get(header::REFERER).and_then(|v| v.to_str().ok()).unwrap_or("");
    referer.split_once('?').is_some_and(|(_, query)| {
        form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "lang")
    })
}

/// Live state: says when the page should look again.
pub(crate) async fn events(
    State(state): State<Shared>,
    path: IdText,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let payment = match found(&state, &path, &uri, &headers).await {
        Ok(payment) => payment,
        Err(refused) => return refused.answer(&state),
    };
    if payment.is_settled() {
        return stream::over();
    }
    let Some(place) = Streams::enter(&state.checkout.streams, payment.id) else {
        let tongue = tongue(uri.query(), &headers, payment.terms.locale);
        return Refused { saying: Saying::Busy, tongue, id: Some(payment.id) }.answer(&state);
    };
    let (say, response) = stream::open();
    let followed = Arc::clone(&state);
    state.tasks.spawn(async move {
        let ending = followed.ending.clone();
        tokio::select! {
            () = ending.cancelled() => {}
            () = say.closed() => {}
            () = follow(&followed, payment, &say) => {}
        }
        drop(place);
    });
    response
}

/// Tells of every change until the payment has come to its end.
async fn follow(state: &Shared, mut payment: Payment, say: &mpsc::Sender<Bytes>) {
    let (mut commits, mut sight) = (state.engine.commits(), state.engine.sight_changed());
    // What was committed between the page's request and now.
    payment = newest(state, payment).await;
    let mut known = (payment.version, Offered::of(&state.engine, &payment));
    let mut beat = tokio::time::interval(stream::BEAT);
    while !payment.is_settled() {
        tokio::select! {
            _ = beat.tick() => {
                if say.send(stream::beat()).await.is_err() {
                    return;
                }
                // Whatever another process did is found at the latest now.
                payment = newest(state, payment).await;
            }
            committed = commits.recv() => match committed {
                Ok(id) if id == payment.id => payment = newest(state, payment).await,
                // Too many at once to be told of each: any may have been ours.
                Err(RecvError::Lagged(_)) => payment = newest(state, payment).await,
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            },
            changed = sight.changed() => if changed.is_err() { return },
        }
        let now = (payment.version, Offered::of(&state.engine, &payment));
        if now != known {
            known = now;
            if say.send(stream::changed(&payment.version.to_string())).await.is_err() {
                return;
            }
        }
    }
    let _ = say.send(stream::end()).await;
}

/// The payment as it is now; as it was, where the books do not answer.
async fn newest(state: &Shared, payment: Payment) -> Payment {
    match state.engine.store().payment(payment.id).await {
        Ok(Some(newer)) => newer,
        _ => payment,
    }
}

/// The customer chooses a method.
pub(crate) async fn method(
    State(state): State<Shared>,
    path: IdText,
    uri: Uri,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let wished = async {
        let (payment, tongue, body) = form(&state, &path, &uri, &headers, request).await?;
        let id = payment.id;
        let changed = || Refused { saying: Saying::Changed, tongue, id: Some(id) };
        let [after, method] = asked::fields(&body, ["after", "method"]).ok_or_else(changed)?;
        let after: usize = after.parse().map_err(|_| changed())?;
        let method: Method = method.parse().map_err(|_| changed())?;
        wish(&state, id, after, method).await.map_err(|saying| Refused {
            saying,
            tongue,
            id: Some(id),
        })?;
        Ok(back(&state, id, tongue))
    };
    wished.await.unwrap_or_else(|refused: Refused| refused.answer(&state))
}

/// Goes to a method, if the page that asked for it still showed what is true.
async fn wish(state: &Shared, id: PaymentId, after: usize, method: Method) -> Result<(), Saying> {
    let queue = state.checkout.queue(id);
    let _turn = queue.lock().await;
    let payment = stored(state, id).await?;
    let shown = payment.presented().map(|a| a.method);
    let offered = Offered::of(&state.engine, &payment);
    // An older page, a second click, what is shown already, or what is not to be had: the page
    // that comes back shows how it stands.
    if payment.attempts.len() != after || shown == Some(method) || !offered.takes(method) {
        return Ok(());
    }
    answered(state.engine.switch(&payment.merchant, id, Some(method)).await.map(|_| ()))
}

/// The customer would like the order to be kept.
pub(crate) async fn later(
    State(state): State<Shared>,
    path: IdText,
    uri: Uri,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let wished = async {
        let (payment, tongue, body) = form(&state, &path, &uri, &headers, request).await?;
        let id = payment.id;
        let refused = |saying| Refused { saying, tongue, id: Some(id) };
        asked::fields(&body, []).ok_or_else(|| refused(Saying::Changed))?;
        keep(&state, id).await.map_err(refused)?;
        Ok(back(&state, id, tongue))
    };
    wished.await.unwrap_or_else(|refused: Refused| refused.answer(&state))
}

/// Keeps the order, if that is offered; kept already, it stays as it is.
async fn keep(state: &Shared, id: PaymentId) -> Result<(), Saying> {
    let queue = state.checkout.queue(id);
    let _turn = queue.lock().await;
    let payment = stored(state, id).await?;
    if !Offered::of(&state.engine, &payment).later {
        return Ok(());
    }
    let held = state.engine.hold(&payment.merchant, id, None, HoldBy::Customer).await;
    answered(held.map(|_| ()))
}

/// The customer asks for the staff's help; asked already, it is the same case.
pub(crate) async fn assist(
    State(state): State<Shared>,
    path: IdText,
    uri: Uri,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let wished = async {
        let (payment, tongue, body) = form(&state, &path, &uri, &headers, request).await?;
        let id = payment.id;
        let refused = |saying| Refused { saying, tongue, id: Some(id) };
        asked::fields(&body, []).ok_or_else(|| refused(Saying::Changed))?;
        call_staff(&state, &payment).await.map_err(refused)?;
        Ok(back(&state, id, tongue))
    };
    wished.await.unwrap_or_else(|refused: Refused| refused.answer(&state))
}

async fn call_staff(state: &Shared, payment: &Payment) -> Result<(), Saying> {
    let offered = offered(state, payment).await;
    let (Some(false), Some(desk)) = (offered.assist, &state.assist) else { return Ok(()) };
    match desk.ask(payment.id).await {
        Err(AssistError::Store(_)) => Err(Saying::Busy),
        Err(why) => {
            tracing::debug!(%why, "a customer's wish had no effect");
            Ok(())
        }
        Ok(_) => {
            let who = ("customer", "asked on the checkout page");
            staff_will_call(state, payment.id, who).await;
            Ok(())
        }
    }
}

/// What the page offers now, with whether staff were asked.
async fn offered(state: &Shared, payment: &Payment) -> Offered {
    let mut offered = Offered::of(&state.engine, payment);
    let (Some(desk), Some(_)) = (&state.assist, offered.assist) else {
        offered.assist = None;
        return offered;
    };
    let (payment, limit) = (Some(payment.id), 10);
    let filter = AssistFilter { payment, newest_first: true, limit, ..AssistFilter::queue() };
    // Asking twice is one case, so that a question that is not answered does no harm.
    let known = desk.list(&filter).await.unwrap_or_default();
    offered.assist = Some(known.iter().any(|case| !case.is_closed()));
    offered
}

/// What the engine's word means for whoever pressed a button: that somebody was faster, or that
/// nothing may be done now, is seen on the page; that the books do not answer is said.
fn answered(done: Result<(), EngineError>) -> Result<(), Saying> {
    match done {
        Err(EngineError::NotFound) => Err(Saying::Unknown),
        Err(EngineError::Store(_) | EngineError::CommitUnknown | EngineError::Busy) => {
            Err(Saying::Busy)
        }
        Err(why) => {
            tracing::debug!(%why, "a customer's wish had no effect");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// A form of ours: the payment that it is for, its language and its body.
async fn form(
    state: &Shared,
    path: &IdText,
    uri: &Uri,
    headers: &HeaderMap,
    request: Request,
) -> Result<(Payment, Tongue, Bytes), Refused> {
    let payment = found(state, path, uri, headers).await?;
    let tongue = tongue(uri.query(), headers, payment.terms.locale);
    let refused = |saying| Refused { saying, tongue, id: Some(payment.id) };
    if !asked::is_own(headers, &state.public_url) {
        return Err(refused(Saying::Foreign));
    }
    let body = body::read_up_to(request, state, FORM_BYTES_MAX).await;
    let body = body.map_err(|_| refused(Saying::Changed))?;
    Ok((payment, tongue, body))
}

/// The payment that an address names. What Evergate makes in order to try a channel is nobody's
/// to pay.
async fn found(
    state: &Shared,
    path: &IdText,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Payment, Refused> {
    let refused =
        |saying| Refused { saying, tongue: tongue(uri.query(), headers, Locale::Zh), id: None };
    let named = path.as_ref().ok().and_then(|Path(text)| text.parse().ok());
    let id = named.ok_or_else(|| refused(Saying::Unknown))?;
    stored(state, id).await.map_err(refused)
}

async fn stored(state: &Shared, id: PaymentId) -> Result<Payment, Saying> {
    let read = state.engine.store().payment(id).await.map_err(|_| Saying::Busy)?;
    read.filter(|p| !p.terms.is_synthetic()).ok_or(Saying::Unknown)
}

/// Back to the page, by a `GET`: reloading it sends no form again.
fn back(state: &Shared, id: PaymentId, tongue: Tongue) -> Response {
    let place = format!("{}/pay/{id}{}", base(state), kept(tongue));
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn kept(tongue: Tongue) -> &'static str {
    match (tongue.asked, tongue.locale) {
        (false, _) => "",
        (true, Locale::Zh) => "?lang=zh",
        (true, Locale::En) => "?lang=en",
    }
}

fn drawn<T>(
    state: &Shared,
    payment: &Payment,
    offered: &Offered,
    tongue: Tongue,
    write: impl FnOnce(&Checkout<'_>) -> T,
) -> T {
    let options = state.engine.options();
    let link = checkout_url(&state.public_url, payment.id);
    let scene = view::Scene {
        offered,
        tongue,
        now: state.engine.now(),
        zone: &options.guide.zone,
        link: &link,
    };
    view::with(payment, &scene, write)
}

/// The address of a payment's page.
pub(crate) fn checkout_url(public_url: &str, id: PaymentId) -> String {
    format!("{public_url}/pay/{id}")
}

/// The path of the public address: what stands before ours where a proxy serves it below one.
pub(crate) fn base(state: &Shared) -> &str {
    let after = state.public_url.split_once("://").map_or("", |(_, rest)| rest);
    after.find('/').map_or("", |at| &after[at..])
}

/// The site that a form on the page is posted to, for the policy.
fn outside(view: &Checkout<'_>) -> Option<String> {
    match view.standing {
        Standing::Pay { shown: Shown::Form { url, .. }, .. } => origin_of(url),
        _ => None,
    }
}

/// Remembers a language that was asked for.
pub(crate) fn remembering(response: &mut Response, tongue: Tongue) {
    if tongue.asked
        && let Ok(cookie) = HeaderValue::from_str(&remember(tongue.locale))
    {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

/// What a browser may do with a page of ours: nothing but its own style, script and forms.
pub(crate) fn protect(response: &mut Response, outside: Option<&str>) {
    let outside = outside.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
         connect-src 'self'; form-action 'self'{outside}; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // Providers learn nothing from the link, and our own forms still say where they come from.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language, cookie"));
}

/// The style sheet and the script, whose addresses change with them.
pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", pages::CHECKOUT_CSS)
}

/// See [`style`].
pub(crate) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", pages::CHECKOUT_JS)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let forever = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, forever)], text).into_response()
}
