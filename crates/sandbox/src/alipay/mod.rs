//! Alipay's gateway (`gateway.do`, v2): one address, the operation in a parameter.
//!
//! Answers come with HTTP 200 whatever they say. Errors of the gateway itself (unknown
//! application, bad signature) are not signed, business answers are.

mod biz;
mod codes;
mod notify;
mod ops;
pub(crate) mod shopper;
mod sign;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub(crate) use biz::bank_hint;
use http::StatusCode;
pub(crate) use notify::{Notification, RESENDS_S};
use serde_json::{Map, Value};
#[cfg(test)]
pub(crate) use sign::notification_text;

use self::codes::Failure;
use crate::account::AlipayKeys;
use crate::books::alipay::AlipayBook;
use crate::books::{Millis, ProviderKind};
use crate::clock;
use crate::faults::{Effect, Fault, Operation};
use crate::keys::{KeyError, SigningKey, VerifyingKey};
use crate::pages::{self, Bill, Lang};
use crate::server::{Call, Reply, status};
use crate::state::{Scene, State};

/// How far a request's `timestamp` may be from our clock. The provider publishes no figure.
const CLOCK_SKEW_MS: Millis = 15 * 60 * 1_000;

/// One application with its keys and books.
pub(crate) struct AlipayAccount {
    pub(crate) name: String,
    pub(crate) app_id: String,
    pub(crate) seller_id: String,
    app_key: VerifyingKey,
    alipay_key: SigningKey,
    pub(crate) book: Mutex<AlipayBook>,
}

impl AlipayAccount {
    pub(crate) fn open(name: &str, keys: &AlipayKeys, seed: u64) -> Result<Self, KeyError> {
        let what = |key: &str| format!("{name}: {key}");
        Ok(Self {
            name: name.to_owned(),
            app_id: keys.app_id.clone(),
            seller_id: keys.seller_id.clone(),
            app_key: VerifyingKey::from_pem(&keys.app_public_key_pem, &what("app public key"))?,
            alipay_key: SigningKey::from_pem(
                &keys.alipay_private_key_pem,
                &what("alipay private key"),
            )?,
            book: Mutex::new(AlipayBook::new(name, seed)),
        })
    }
}

/// Raw request parameters, wherever they stood.
pub(crate) type Params = BTreeMap<String, String>;

/// A request, read but not believed.
pub(crate) struct Intake {
    params: Params,
    account: Option<Arc<AlipayAccount>>,
    lang: Lang,
    pub(crate) scene: Scene,
}

/// Reads parameters from query and body alike, as the SDKs put them in either.
pub(crate) fn read(state: &State, call: &Call) -> Intake {
    let mut params = Params::new();
    for source in [call.query.as_bytes(), &call.body[..]] {
        for (key, value) in form_urlencoded::parse(source) {
            params.insert(key.into_owned(), value.into_owned());
        }
    }
    from_params(state, params, Lang::of(call))
}

fn from_params(state: &State, params: Params, lang: Lang) -> Intake {
    let account = params.get("app_id").and_then(|id| state.alipay.get(id)).cloned();
    let operation = params.get("method").map_or(Operation::Other, |name| operation(name));
    let scene = Scene {
        provider: ProviderKind::Alipay,
        account: account.as_ref().map(|account| account.name.clone()).unwrap_or_default(),
        operation,
        method: Some("alipay"),
        bank: params.get("biz_content").and_then(|biz| shopper::bank_in(biz)),
    };
    Intake { params, account, lang, scene }
}

fn operation(method: &str) -> Operation {
    match method {
        "alipay.trade.precreate"
        | "alipay.trade.page.pay"
        | "alipay.trade.wap.pay"
        | "alipay.trade.app.pay"
        | "alipay.trade.create" => Operation::Create,
        "alipay.trade.query" => Operation::Query,
        "alipay.trade.close" => Operation::Close,
        "alipay.trade.cancel" => Operation::Cancel,
        "alipay.trade.refund" => Operation::Refund,
        "alipay.trade.fastpay.refund.query" => Operation::RefundQuery,
        _ => Operation::Other,
    }
}

/// What an operation answers, before it is signed.
pub(crate) enum Answer {
    /// Fields of a success.
    Fields(Map<String, Value>),
    /// The cashier, for the buyer's browser.
    Page(Bill),
}

/// Answers a call, playing the faults that act inside the provider.
pub(crate) fn answer(state: &State, intake: Intake, fault: Option<&Fault>, now: Millis) -> Reply {
    let method = intake.params.get("method").cloned().unwrap_or_default();
    match fault {
        Some(Fault::HttpStatus { status: code, effect: Effect::Before }) => return broken(*code),
        Some(Fault::Maintenance) => {
            return failure(&intake, &method, &Failure::maintenance(), false);
        }
        Some(Fault::BusinessError { code, sub_code, .. }) => {
            let failed = Failure::named(code, sub_code.as_deref());
            return failure(&intake, &method, &failed, false);
        }
        _ => {}
    }
    let spoil = matches!(fault, Some(Fault::WrongSignature { .. }));
    let lie = matches!(fault, Some(Fault::LyingQuery));
    let reply = match run(state, &intake, lie, now) {
        Ok(Answer::Page(bill)) => pages::checkout(&bill, intake.lang),
        Ok(Answer::Fields(fields)) => success(&intake, &method, fields, spoil),
        Err(failed) if is_browser(&method) => codes::page(&failed),
        Err(failed) => failure(&intake, &method, &failed, spoil),
    };
    match fault {
        Some(Fault::HttpStatus { status: code, effect: Effect::After }) => broken(*code),
        _ => reply,
    }
}

/// The buyer's browser or app follows a signed link: the token of the order that it opens.
pub(crate) fn visit(state: &State, query: &str) -> Option<String> {
    let params = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let intake = from_params(state, params, Lang::Zh);
    match run(state, &intake, false, clock::now_ms()) {
        Ok(Answer::Page(bill)) => Some(bill.token),
        _ => None,
    }
}

fn is_browser(method: &str) -> bool {
    matches!(method, "alipay.trade.page.pay" | "alipay.trade.wap.pay" | "alipay.trade.app.pay")
}

fn run(state: &State, intake: &Intake, lie: bool, now: Millis) -> Result<Answer, Failure> {
    let account = admit(intake, now)?;
    ops::run(state, account, &intake.params, lie, now)
}

/// The gateway's own checks, before any business.
fn admit(intake: &Intake, now: Millis) -> Result<&Arc<AlipayAccount>, Failure> {
    let params = &intake.params;
    let need = |name: &str| {
        params.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Failure::missing(name))
    };
    need("app_id")?;
    let account = intake.account.as_ref().ok_or_else(|| Failure::invalid("app-id"))?;
    need("method")?;
    if need("sign_type")? != "RSA2" {
        return Err(Failure::invalid("signature-type"));
    }
    let signature = need("sign")?;
    // GBK is real too, but no merchant of this sandbox needs it.
    if !need("charset")?.eq_ignore_ascii_case("utf-8") {
        return Err(Failure::invalid("charset"));
    }
    if need("version")? != "1.0" {
        return Err(Failure::invalid("version"));
    }
    let at = clock::parse_alipay_time(need("timestamp")?);
    if !account.app_key.verify(sign::request_text(params).as_bytes(), signature) {
        return Err(Failure::invalid("signature"));
    }
    if at.is_none_or(|at| (now - at).abs() > CLOCK_SKEW_MS) {
        return Err(Failure::invalid("timestamp"));
    }
    Ok(account)
}

fn success(intake: &Intake, method: &str, mut fields: Map<String, Value>, spoil: bool) -> Reply {
    fields.insert("code".to_owned(), "10000".into());
    fields.insert("msg".to_owned(), "Success".into());
    envelope(intake, method, &Value::Object(fields), spoil)
}

fn failure(intake: &Intake, method: &str, failed: &Failure, spoil: bool) -> Reply {
    if !failed.is_signed() {
        let name = sign::response_name(method);
        let body = format!("{{\"{name}\":{}}}", sign::escaped(&failed.fields()));
        return Reply::html(StatusCode::OK, body);
    }
    envelope(intake, method, &failed.fields(), spoil)
}

fn envelope(intake: &Intake, method: &str, content: &Value, spoil: bool) -> Reply {
    let name = sign::response_name(method);
    let content = sign::escaped(content);
    let body = match &intake.account {
        Some(account) => {
            let signature = if spoil {
                account.alipay_key.sign(format!("{content} ").as_bytes())
            } else {
                account.alipay_key.sign(content.as_bytes())
            };
            format!("{{\"{name}\":{content},\"sign\":\"{signature}\"}}")
        }
        None => format!("{{\"{name}\":{content}}}"),
    };
    Reply::html(StatusCode::OK, body)
}

/// What the load balancer in front of the gateway says when the gateway is not there.
fn broken(code: u16) -> Reply {
    let code = status(code);
    Reply::html(code, format!("<html><head><title>{code}</title></head><body>{code}</body></html>"))
}
