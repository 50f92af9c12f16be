//! Stripe API v1: forms in, JSON out, a key for everything that must happen once.
//!
//! Answers are not signed; the key in `Authorization` says whose books are meant.

mod auth;
mod errors;
mod form;
mod idempotency;
mod intents;
mod notify;
mod objects;
mod others;
mod refunds;
pub(crate) mod shopper;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
pub(crate) use notify::{Notification, RESENDS_S};
use serde_json::Value;

use self::errors::Failure;
use self::form::Form;
use self::idempotency::{Claim, Idempotency};
use crate::account::StripeKeys;
use crate::books::stripe::StripeBook;
use crate::books::{IdSource, Millis, ProviderKind};
use crate::control::lock;
use crate::faults::{Effect, Fault, Operation};
use crate::keys::sha256;
use crate::server::{Call, Reply, status};
use crate::state::{Scene, State};

/// The version whose shapes this module speaks, when a request names none.
const API_VERSION: &str = "2026-10-28.endive";

/// One account with its keys and books.
pub(crate) struct StripeAccount {
    pub(crate) name: String,
    secret_key: String,
    publishable_key: String,
    webhook_secret: String,
    pub(crate) webhook_url: Mutex<Option<String>>,
    pub(crate) book: Mutex<StripeBook>,
    idempotency: Mutex<Idempotency>,
    /// Events by id, as the text that their webhooks carry.
    events: Mutex<HashMap<String, Arc<str>>>,
    ids: Mutex<IdSource>,
}

impl StripeAccount {
    pub(crate) fn open(name: &str, keys: &StripeKeys, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            secret_key: keys.secret_key.clone(),
            publishable_key: keys.publishable_key.clone(),
            webhook_secret: keys.webhook_secret.clone(),
            webhook_url: Mutex::new(keys.webhook_url.clone()),
            book: Mutex::new(StripeBook::new(name, seed)),
            idempotency: Mutex::new(Idempotency::default()),
            events: Mutex::new(HashMap::new()),
            ids: Mutex::new(IdSource::new(seed, &format!("stripe ids {name}"))),
        }
    }
}

/// A request, read but not believed.
pub(crate) struct Intake {
    call: Call,
    form: Form,
    account: Option<Arc<StripeAccount>>,
    /// Path segments after `/v1/`.
    path: Vec<String>,
    pub(crate) scene: Scene,
}

pub(crate) fn read(state: &State, call: Call) -> Intake {
    let account = auth::key(&call).and_then(|key| state.stripe.get(&key)).cloned();
    let path: Vec<String> =
        call.path.split('/').filter(|part| !part.is_empty()).skip(1).map(str::to_owned).collect();
    let source = if call.method == Method::GET { call.query.as_bytes() } else { &call.body[..] };
    let form = Form::parse(source);
    let mut scene = Scene {
        provider: ProviderKind::Stripe,
        account: account.as_ref().map(|account| account.name.clone()).unwrap_or_default(),
        operation: operation(&call.method, &path),
        method: intents::method_hint(&form),
        bank: crate::books::stripe::bank_hint(&form.map("metadata")),
    };
    if let (Some(account), Some(id)) = (&account, path.get(1))
        && path[0] == "payment_intents"
        && let Ok(intent) = lock(&account.book).intent(id)
    {
        let entry_method = intent.spec.method_types.first().map(|kind| kind.as_str());
        scene.method = scene.method.or(entry_method);
        scene.bank = scene.bank.or_else(|| crate::books::stripe::bank_hint(&intent.spec.metadata));
    }
    Intake { call, form, account, path, scene }
}

fn operation(method: &Method, path: &[String]) -> Operation {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let post = method == Method::POST;
    match parts[..] {
        ["payment_intents"] if post => Operation::Create,
        ["payment_intents", _, "confirm"] if post => Operation::Confirm,
        ["payment_intents", _, "cancel"] if post => Operation::Cancel,
        ["payment_intents", _, "capture"] if post => Operation::Capture,
        ["payment_intents"] | ["payment_intents", _] | ["charges", _] if !post => Operation::Query,
        ["refunds"] if post => Operation::Refund,
        ["refunds"] | ["refunds", _] if !post => Operation::RefundQuery,
        _ => Operation::Other,
    }
}

/// One call, past authentication.
struct Job<'a> {
    state: &'a State,
    account: &'a Arc<StripeAccount>,
    form: &'a Form,
    path: Vec<&'a str>,
    /// A browser's key, which sees only what a client secret opens.
    publishable: bool,
    lie: bool,
    request_id: &'a str,
    idempotency_key: Option<&'a str>,
    now: Millis,
}

/// Answers a call, playing the faults that act inside the provider.
pub(crate) fn answer(state: &State, intake: &Intake, fault: Option<&Fault>, now: Millis) -> Reply {
    let request_id = match &intake.account {
        Some(account) => format!("req_{}", lock(&account.ids).alnum(14)),
        None => "req_00000000000000".to_owned(),
    };
    let reply = match fault {
        Some(Fault::HttpStatus { status: code, effect: Effect::Before }) => {
            Failure::http(*code).reply(&request_id)
        }
        Some(Fault::Maintenance) => Failure::http(503).reply(&request_id),
        _ => guarded(state, intake, fault, &request_id, now),
    };
    let reply = reply.with("request-id", request_id);
    let version = intake.call.header("stripe-version").unwrap_or(API_VERSION);
    let reply = reply.with("stripe-version", version);
    match intake.call.header("idempotency-key") {
        Some(key) => reply.with("idempotency-key", key),
        None => reply,
    }
}

/// Authentication, then idempotency around everything that changes something.
fn guarded(
    state: &State,
    intake: &Intake,
    fault: Option<&Fault>,
    request_id: &str,
    now: Millis,
) -> Reply {
    let account = match auth::admit(intake) {
        Ok(account) => account,
        Err(failed) => return failed.reply(request_id),
    };
    let key = intake.call.header("idempotency-key").filter(|_| intake.call.method == Method::POST);
    let Some(key) = key else {
        return outcome(state, account, intake, fault, request_id, now).0;
    };
    if key.is_empty() || key.len() > 255 {
        return Failure::long_key().reply(request_id);
    }
    let fingerprint = sha256(
        [intake.call.target().as_bytes(), b"\n", intake.form.canonical().as_bytes()]
            .concat()
            .as_slice(),
    );
    match lock(&account.idempotency).claim(key, fingerprint, now) {
        Claim::Replay(reply) => return reply.with("idempotent-replayed", "true"),
        Claim::Conflict => return Failure::in_use(key).reply(request_id),
        Claim::Mismatch => return Failure::other_parameters(key).reply(request_id),
        Claim::New => {}
    }
    let (reply, executed) = outcome(state, account, intake, fault, request_id, now);
    // A slow answer keeps its key busy until it is given.
    let busy_ms = match fault {
        Some(Fault::Slow { delay_ms }) => i64::try_from(*delay_ms).unwrap_or(i64::MAX / 2),
        _ => 0,
    };
    let mut store = lock(&account.idempotency);
    if executed {
        store.finish(key, reply.clone(), now + busy_ms);
    } else {
        store.release(key);
    }
    reply
}

/// The answer, and whether the request was executed so that its key keeps the answer.
fn outcome(
    state: &State,
    account: &Arc<StripeAccount>,
    intake: &Intake,
    fault: Option<&Fault>,
    request_id: &str,
    now: Millis,
) -> (Reply, bool) {
    if let Some(Fault::BusinessError { code, sub_code, status: given }) = fault {
        let failed = Failure::named(code, sub_code.as_deref(), given.map(status));
        return (failed.reply(request_id), failed.is_executed());
    }
    let key =
        intake.call.header("authorization").is_some() && auth::is_publishable(intake, account);
    let job = Job {
        state,
        account,
        form: &intake.form,
        path: intake.path.iter().map(String::as_str).collect(),
        publishable: key,
        lie: matches!(fault, Some(Fault::LyingQuery)),
        request_id,
        idempotency_key: intake.call.header("idempotency-key"),
        now,
    };
    let result = job.run(&intake.call.method);
    if let Some(Fault::HttpStatus { status: code, effect: Effect::After }) = fault {
        return (Failure::http(*code).reply(request_id), true);
    }
    match result {
        Ok(value) => (Reply::json(StatusCode::OK, &value), true),
        Err(failed) => (failed.reply(request_id), failed.is_executed()),
    }
}

impl Job<'_> {
    fn run(&self, method: &Method) -> Result<Value, Failure> {
        if self.publishable {
            return self.run_for_browser(method);
        }
        if method == Method::POST {
            return match self.path[..] {
                ["payment_intents"] => self.create_intent(),
                ["payment_intents", id] => self.update_intent(id),
                ["payment_intents", id, "confirm"] => self.confirm_intent(id),
                ["payment_intents", id, "cancel"] => self.cancel_intent(id),
                ["payment_intents", id, "capture"] => self.capture_intent(id),
                ["refunds"] => self.create_refund(),
                ["payment_methods"] => self.create_method(),
                ["customers"] => Ok(self.create_customer()),
                _ => Err(self.unrecognised(method)),
            };
        }
        if method != Method::GET {
            return Err(self.unrecognised(method));
        }
        match self.path[..] {
            ["payment_intents"] => self.list_intents(),
            ["payment_intents", "search"] => self.search_intents(),
            ["payment_intents", id] => self.retrieve_intent(id),
            ["charges", id] => self.retrieve_charge(id),
            ["refunds"] => self.list_refunds(),
            ["refunds", id] => self.retrieve_refund(id),
            ["payment_methods", id] => self.retrieve_method(id),
            ["events", id] => self.retrieve_event(id),
            ["balance"] => Ok(self.balance()),
            _ => Err(self.unrecognised(method)),
        }
    }

    fn run_for_browser(&self, method: &Method) -> Result<Value, Failure> {
        match self.path[..] {
            ["payment_intents", id] if method == Method::GET => {
                self.check_secret(id)?;
                self.retrieve_intent(id)
            }
            ["payment_intents", id, "confirm"] if method == Method::POST => {
                self.check_secret(id)?;
                self.confirm_intent(id)
            }
            ["payment_methods"] if method == Method::POST => self.create_method(),
            _ => Err(Failure::secret_key_needed()),
        }
    }

    fn check_secret(&self, id: &str) -> Result<(), Failure> {
        let secret = self.form.text("client_secret")?.unwrap_or_default();
        let holds = lock(&self.account.book).intent(id)?.client_secret == secret;
        // A wrong secret must not tell whether the intent exists.
        if holds { Ok(()) } else { Err(Failure::missing("payment_intent", id)) }
    }

    fn unrecognised(&self, method: &Method) -> Failure {
        Failure::unrecognised(method, &format!("/v1/{}", self.path.join("/")))
    }
}
