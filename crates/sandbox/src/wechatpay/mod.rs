//! WeChat Pay API v3, direct merchants: signed JSON both ways.
//!
//! Successful answers are signed; refusals are not, as at the real provider. Which key signs
//! follows the merchant's `Wechatpay-Serial`: a public key by its id, or the platform certificate.

mod auth;
mod codes;
mod input;
mod notify;
mod ops;
pub(crate) mod shopper;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
pub(crate) use notify::{Notification, RESENDS_S};

use self::codes::Failure;
use crate::account::WechatPayKeys;
use crate::books::wechatpay::WechatPayBook;
use crate::books::{IdSource, Millis, ProviderKind};
use crate::control::lock;
use crate::faults::{Effect, Fault, Operation};
use crate::keys::{KeyError, SigningKey, VerifyingKey};
use crate::server::{Call, Reply, status};
use crate::state::{Scene, State};

/// One merchant with its keys and books.
pub(crate) struct WechatPayAccount {
    pub(crate) name: String,
    pub(crate) mch_id: String,
    app_id: String,
    api_v3_key: [u8; 32],
    merchant_key: VerifyingKey,
    merchant_serial: String,
    platform: PlatformKey,
    platform_certificate: String,
    expired_serial: String,
    expired_certificate: String,
    public_key: PlatformKey,
    /// Which of the two keys the merchant asked for last; callbacks follow it.
    public_key_mode: AtomicBool,
    ids: Mutex<IdSource>,
    pub(crate) book: Mutex<WechatPayBook>,
}

/// A key of the platform's with the name that `Wechatpay-Serial` gives it.
struct PlatformKey {
    key: SigningKey,
    serial: String,
}

impl WechatPayAccount {
    pub(crate) fn open(name: &str, keys: &WechatPayKeys, seed: u64) -> Result<Self, KeyError> {
        let what = |key: &str| format!("{name}: {key}");
        let platform = |pem: &str, serial: &str, key: &str| {
            let key = SigningKey::from_pem(pem, &what(key))?;
            Ok(PlatformKey { key, serial: serial.to_owned() })
        };
        let api_v3_key = <[u8; 32]>::try_from(keys.api_v3_key.as_bytes())
            .map_err(|_| KeyError::new(&what("api v3 key"), "needs exactly 32 bytes"))?;
        Ok(Self {
            name: name.to_owned(),
            mch_id: keys.mch_id.clone(),
            app_id: keys.app_id.clone(),
            api_v3_key,
            merchant_key: VerifyingKey::from_certificate(
                &keys.merchant_certificate_pem,
                &what("merchant certificate"),
            )?,
            merchant_serial: keys.merchant_serial.clone(),
            platform: platform(
                &keys.platform_private_key_pem,
                &keys.platform_serial,
                "platform private key",
            )?,
            platform_certificate: keys.platform_certificate_pem.clone(),
            expired_serial: keys.expired_serial.clone(),
            expired_certificate: keys.expired_certificate_pem.clone(),
            public_key: platform(
                &keys.public_key_private_pem,
                &keys.public_key_id,
                "public key's private half",
            )?,
            public_key_mode: AtomicBool::new(false),
            ids: Mutex::new(IdSource::new(seed, &format!("wechatpay nonces {name}"))),
            book: Mutex::new(WechatPayBook::new(name, seed)),
        })
    }

    fn signer(&self) -> &PlatformKey {
        if self.public_key_mode.load(Ordering::Relaxed) { &self.public_key } else { &self.platform }
    }

    fn nonce(&self) -> String {
        lock(&self.ids).alnum(32)
    }
}

/// A request, read but not believed.
pub(crate) struct Intake {
    call: Call,
    account: Option<Arc<WechatPayAccount>>,
    route: Option<Route>,
    pub(crate) scene: Scene,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Prepay(crate::books::wechatpay::TradeType),
    QueryByNumber(String),
    QueryById(String),
    Close(String),
    Refund,
    RefundQuery(String),
    Certificates,
}

impl Route {
    fn of(method: &Method, path: &str) -> Option<Self> {
        use crate::books::wechatpay::TradeType;
        let decode = |part: &str| {
            percent_encoding::percent_decode_str(part).decode_utf8().ok().map(|s| s.into_owned())
        };
        if method == Method::GET {
            if path == "/v3/certificates" {
                return Some(Self::Certificates);
            }
            if let Some(no) = path.strip_prefix("/v3/refund/domestic/refunds/") {
                return decode(no).map(Self::RefundQuery);
            }
            if let Some(id) = path.strip_prefix("/v3/pay/transactions/id/") {
                return decode(id).map(Self::QueryById);
            }
            let no = path.strip_prefix("/v3/pay/transactions/out-trade-no/")?;
            return decode(no).filter(|no| !no.contains('/')).map(Self::QueryByNumber);
        }
        if method != Method::POST {
            return None;
        }
        match path.strip_prefix("/v3/pay/transactions/") {
            Some("native") => Some(Self::Prepay(TradeType::Native)),
            Some("jsapi") => Some(Self::Prepay(TradeType::Jsapi)),
            Some("app") => Some(Self::Prepay(TradeType::App)),
            Some("h5") => Some(Self::Prepay(TradeType::H5)),
            Some(rest) => {
                let no = rest.strip_prefix("out-trade-no/")?.strip_suffix("/close")?;
                decode(no).map(Self::Close)
            }
            None => (path == "/v3/refund/domestic/refunds").then_some(Self::Refund),
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Self::Prepay(_) => Operation::Create,
            Self::QueryByNumber(_) | Self::QueryById(_) => Operation::Query,
            Self::Close(_) => Operation::Close,
            Self::Refund => Operation::Refund,
            Self::RefundQuery(_) => Operation::RefundQuery,
            Self::Certificates => Operation::Certificates,
        }
    }
}

pub(crate) fn read(state: &State, call: Call) -> Intake {
    let account = call
        .header("authorization")
        .and_then(|header| auth::field(header, "mchid"))
        .and_then(|mch_id| state.wechatpay.get(mch_id))
        .cloned();
    let route = Route::of(&call.method, &call.path);
    let scene = Scene {
        provider: ProviderKind::WechatPay,
        account: account.as_ref().map(|account| account.name.clone()).unwrap_or_default(),
        operation: route.as_ref().map_or(Operation::Other, Route::operation),
        method: Some("wechat_pay"),
        bank: input::bank_in(&call.body),
    };
    Intake { call, account, route, scene }
}

/// What an operation answers, before it is signed.
pub(crate) enum Answer {
    Json(serde_json::Value),
    /// 204, no body.
    Nothing,
}

/// How an answer is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seal {
    Right,
    Wrong,
    /// WeChat Pay's own probe of whether merchants verify.
    Probe,
    /// With the certificate that has run out.
    Expired,
}

/// Answers a call, playing the faults that act inside the provider.
pub(crate) fn answer(state: &State, intake: &Intake, fault: Option<&Fault>, now: Millis) -> Reply {
    let request_id = request_id(intake);
    match fault {
        Some(Fault::HttpStatus { status: code, effect: Effect::Before }) => {
            return Failure::http(*code).reply(&request_id);
        }
        Some(Fault::Maintenance) => return Failure::maintenance().reply(&request_id),
        Some(Fault::BusinessError { code, status: code_status, .. }) => {
            let named = Failure::named(code, code_status.map(status));
            return named.reply(&request_id);
        }
        _ => {}
    }
    let seal = match fault {
        Some(Fault::WrongSignature { probe: true }) => Seal::Probe,
        Some(Fault::WrongSignature { probe: false }) => Seal::Wrong,
        Some(Fault::ExpiredCertificate) => Seal::Expired,
        _ => Seal::Right,
    };
    let lie = matches!(fault, Some(Fault::LyingQuery));
    let result = auth::admit(intake, now).and_then(|account| {
        let job = ops::Job { state, account, intake, lie, expired: seal == Seal::Expired, now };
        Ok((account, job.run()?))
    });
    if let Some(Fault::HttpStatus { status: code, effect: Effect::After }) = fault {
        return Failure::http(*code).reply(&request_id);
    }
    match result {
        Ok((account, answer)) => signed(account, answer, seal, &request_id, now),
        Err(failed) => failed.reply(&request_id),
    }
}

fn request_id(intake: &Intake) -> String {
    let nonce = intake.account.as_ref().map(|account| account.nonce());
    format!("08{}-0", nonce.unwrap_or_else(|| "0".repeat(32)).to_uppercase())
}

fn signed(
    account: &WechatPayAccount,
    answer: Answer,
    seal: Seal,
    request_id: &str,
    now: Millis,
) -> Reply {
    let (code, body) = match answer {
        Answer::Json(value) => (StatusCode::OK, value.to_string()),
        Answer::Nothing => (StatusCode::NO_CONTENT, String::new()),
    };
    let (timestamp, nonce) = (now.div_euclid(1_000).to_string(), account.nonce());
    let signer = if seal == Seal::Expired { &account.platform } else { account.signer() };
    let text = auth::answer_text(&timestamp, &nonce, &body);
    let signature = match seal {
        Seal::Right | Seal::Expired => signer.key.sign(text.as_bytes()),
        Seal::Wrong => signer.key.sign(format!("{text}!").as_bytes()),
        Seal::Probe => format!("WECHATPAY/SIGNTEST/{}", signer.key.sign(text.as_bytes())),
    };
    let serial = if seal == Seal::Expired { &account.expired_serial } else { &signer.serial };
    Reply::new(code, "application/json; charset=utf-8", body)
        .with("request-id", request_id)
        .with("wechatpay-timestamp", timestamp)
        .with("wechatpay-nonce", nonce)
        .with("wechatpay-signature", signature)
        .with("wechatpay-serial", serial.as_str())
        .with("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::wechatpay::TradeType;

    #[test]
    fn paths_lead_somewhere_or_nowhere() {
        let get = |path: &str| Route::of(&Method::GET, path);
        let post = |path: &str| Route::of(&Method::POST, path);
        assert_eq!(post("/v3/pay/transactions/native"), Some(Route::Prepay(TradeType::Native)));
        assert_eq!(
            get("/v3/pay/transactions/out-trade-no/a%7Cb"),
            Some(Route::QueryByNumber("a|b".to_owned()))
        );
        assert_eq!(
            post("/v3/pay/transactions/out-trade-no/ab/close"),
            Some(Route::Close("ab".to_owned()))
        );
        assert_eq!(get("/v3/pay/transactions/out-trade-no/ab/close"), None);
        assert_eq!(get("/v3/pay/transactions/native"), None);
        assert_eq!(Route::of(&Method::PUT, "/v3/certificates"), None);
    }
}
