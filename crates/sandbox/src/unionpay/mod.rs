//! UnionPay's full-channel platform (`/gateway/api/…`, message version 5.1.0, RSA).
//!
//! The browser posts a form and gets the cashier's page; servers post forms and get a text of
//! `name=value` pairs that is not URL-encoded. Every answer carries the certificate that it is
//! signed with.

mod codes;
mod file;
mod message;
mod notify;
mod ops;
pub(crate) mod shopper;

use std::sync::{Arc, Mutex};

use http::StatusCode;
pub(crate) use notify::{Notification, RESENDS_S};

use self::codes::Failure;
use self::message::{Fields, Seal};
use crate::account::UnionPayKeys;
use crate::books::unionpay::UnionPayBook;
use crate::books::{Millis, ProviderKind};
use crate::clock;
use crate::faults::{Effect, Fault, Operation};
use crate::keys::{KeyError, SigningKey, VerifyingKey};
use crate::pages::{self, Bill, Lang};
use crate::server::{Call, Reply, status};
use crate::state::{Scene, State};

/// One merchant with its keys and books.
pub(crate) struct UnionPayAccount {
    pub(crate) name: String,
    pub(crate) mer_id: String,
    cert_id: String,
    merchant_key: VerifyingKey,
    sign_key: SigningKey,
    sign_certificate: String,
    expired_certificate: String,
    sign_cert_id: String,
    pub(crate) book: Mutex<UnionPayBook>,
}

impl UnionPayAccount {
    pub(crate) fn open(name: &str, keys: &UnionPayKeys, seed: u64) -> Result<Self, KeyError> {
        let what = |key: &str| format!("{name}: {key}");
        Ok(Self {
            name: name.to_owned(),
            mer_id: keys.mer_id.clone(),
            cert_id: keys.cert_id.clone(),
            merchant_key: VerifyingKey::from_certificate(
                &keys.merchant_certificate_pem,
                &what("merchant certificate"),
            )?,
            sign_key: SigningKey::from_pem(&keys.sign_private_key_pem, &what("signing key"))?,
            sign_certificate: keys.sign_certificate_pem.clone(),
            expired_certificate: keys.expired_certificate_pem.clone(),
            sign_cert_id: keys.sign_cert_id.clone(),
            book: Mutex::new(UnionPayBook::new(name, seed)),
        })
    }
}

/// Which door a call came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Front,
    Back,
    Query,
    /// Clearing files, which the provider gives out at an address of their own.
    File,
    Unknown,
}

/// A request, read but not believed.
pub(crate) struct Intake {
    door: Door,
    fields: Fields,
    account: Option<Arc<UnionPayAccount>>,
    lang: Lang,
    pub(crate) scene: Scene,
}

pub(crate) fn read(state: &State, call: &Call) -> Intake {
    let door = match call.path.rsplit('/').next() {
        Some("frontTransReq.do") => Door::Front,
        Some("backTransReq.do") => Door::Back,
        Some("queryTrans.do") => Door::Query,
        Some("filedownload") => Door::File,
        _ => Door::Unknown,
    };
    from_fields(state, door, message::read(&call.body), Lang::of(call))
}

fn from_fields(state: &State, door: Door, fields: Fields, lang: Lang) -> Intake {
    let account = fields.get("merId").and_then(|id| state.unionpay.get(id)).cloned();
    let kind = fields.get("txnType").map(String::as_str);
    let operation = match (door, kind) {
        (Door::Front, _) => Operation::Create,
        (Door::Query, _) => Operation::Query,
        (Door::File, _) => Operation::Statement,
        (Door::Back, Some("31")) => Operation::Cancel,
        (Door::Back, Some("04")) => Operation::Refund,
        _ => Operation::Other,
    };
    let scene = Scene {
        provider: ProviderKind::UnionPay,
        account: account.as_ref().map(|account| account.name.clone()).unwrap_or_default(),
        operation,
        method: Some("union_pay"),
        bank: fields.get("issInsCode").cloned().filter(|bank| !bank.is_empty()),
    };
    Intake { door, fields, account, lang, scene }
}

/// Answers a call, playing the faults that act inside the provider.
pub(crate) fn answer(state: &State, intake: &Intake, fault: Option<&Fault>, now: Millis) -> Reply {
    match fault {
        Some(Fault::HttpStatus { status: code, effect: Effect::Before }) => return broken(*code),
        Some(Fault::Maintenance) => {
            return failure(intake, &Failure::maintenance(), Seal::Genuine);
        }
        Some(Fault::BusinessError { code, .. }) => {
            return failure(intake, &Failure::named(code), Seal::Genuine);
        }
        _ => {}
    }
    let seal = match fault {
        Some(Fault::WrongSignature { .. }) => Seal::Spoilt,
        Some(Fault::ExpiredCertificate) => Seal::Expired,
        _ => Seal::Genuine,
    };
    let lie = matches!(fault, Some(Fault::LyingQuery | Fault::WrongLine));
    let reply = run(state, intake, lie, now, seal).unwrap_or_else(|f| failure(intake, &f, seal));
    match fault {
        Some(Fault::HttpStatus { status: code, effect: Effect::After }) => broken(*code),
        _ => reply,
    }
}

/// The customer's browser posts a form, which stands in a link here: the token of the payment
/// that it opens.
pub(crate) fn visit(state: &State, form: &str) -> Option<String> {
    let intake = from_fields(state, Door::Front, message::read(form.as_bytes()), Lang::Zh);
    let account = admit(&intake).ok()?;
    Some(ops::front(account, &intake.fields, clock::now_ms()).ok()?.token)
}

fn run(
    state: &State,
    intake: &Intake,
    lie: bool,
    now: Millis,
    seal: Seal<'_>,
) -> Result<Reply, Failure> {
    let account = admit(intake)?;
    let fields = match intake.door {
        Door::Front => return Ok(pages::checkout(&cashier(account, intake, now)?, intake.lang)),
        Door::Back => ops::back(state, account, &intake.fields, now)?,
        Door::Query => ops::query(account, &intake.fields, lie, now)?,
        Door::File => file::fetch(account, &intake.fields, lie, now)?,
        Door::Unknown => return Err(Failure::unsupported()),
    };
    Ok(signed(account, fields, "00", "成功[0000000]", seal))
}

fn cashier(account: &UnionPayAccount, intake: &Intake, now: Millis) -> Result<Bill, Failure> {
    let payment = ops::front(account, &intake.fields, now)?;
    let refusal = ops::payable(account, &payment.token, now).err();
    Ok(shopper::bill(account, &payment, refusal))
}

/// The platform's own checks, before any business.
fn admit(intake: &Intake) -> Result<&Arc<UnionPayAccount>, Failure> {
    let fields = &intake.fields;
    for name in ["version", "encoding", "signMethod", "certId", "signature", "txnType", "merId"] {
        if fields.get(name).is_none_or(String::is_empty) {
            return Err(Failure::missing(name));
        }
    }
    let account = intake.account.as_ref().ok_or_else(Failure::merchant)?;
    for (name, wanted) in [("version", "5.1.0"), ("encoding", "UTF-8"), ("accessType", "0")] {
        if fields.get(name).map(String::as_str) != Some(wanted) {
            return Err(Failure::format(name));
        }
    }
    let ours = fields["signMethod"] == "01" && fields["certId"] == account.cert_id;
    if ours && message::verify(fields, &account.merchant_key) {
        Ok(account)
    } else {
        Err(Failure::signature())
    }
}

fn failure(intake: &Intake, failed: &Failure, seal: Seal<'_>) -> Reply {
    if intake.door == Door::Front {
        return codes::page(failed);
    }
    let echoed = ["version", "encoding", "signMethod", "txnType", "txnSubType", "bizType"];
    let named = ["accessType", "merId", "orderId", "txnTime"];
    let kept = |name: &&str| Some(((*name).to_owned(), intake.fields.get(*name)?.clone()));
    let mut fields: Fields = echoed.iter().chain(&named).filter_map(kept).collect();
    match &intake.account {
        Some(account) => signed(account, fields, &failed.code, &failed.message, seal),
        // Whose merchant it is decides with which key an answer is signed here.
        None => {
            fields.insert("respCode".to_owned(), failed.code.clone());
            fields.insert("respMsg".to_owned(), failed.message.clone());
            text(&fields)
        }
    }
}

fn signed(
    account: &UnionPayAccount,
    mut fields: Fields,
    code: &str,
    message: &str,
    seal: Seal<'_>,
) -> Reply {
    fields.insert("respCode".to_owned(), code.to_owned());
    fields.insert("respMsg".to_owned(), message.to_owned());
    message::seal(&mut fields, account, seal);
    text(&fields)
}

fn text(fields: &Fields) -> Reply {
    Reply::new(StatusCode::OK, "text/html;charset=UTF-8", message::body(fields))
}

/// What the load balancer in front of the platform says when the platform is not there.
fn broken(code: u16) -> Reply {
    let code = status(code);
    Reply::html(code, format!("<html><head><title>{code}</title></head><body>{code}</body></html>"))
}
