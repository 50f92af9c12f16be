//! Payment intents: parameters in, objects out.

use serde_json::{Value, json};

use super::errors::Failure;
use super::form::Form;
use super::{Job, notify, objects};
use crate::books::stripe::{
    Card, Change, ConfirmSpec, Intent, IntentError, IntentSpec, IntentStatus, ListSpec, Method,
    MethodKind,
};
use crate::control::lock;

/// The smallest amount that Stripe takes, where it says one, in minor units.
const MINIMA: &[(&str, i64)] = &[
    ("usd", 50),
    ("eur", 50),
    ("gbp", 30),
    ("jpy", 50),
    ("hkd", 400),
    ("aud", 50),
    ("cad", 50),
    ("chf", 50),
    ("nzd", 50),
    ("sgd", 50),
];
const AMOUNT_MAX: i64 = 99_999_999;
const CURRENCIES: &[&str] = &[
    "aed", "aud", "brl", "cad", "chf", "cny", "czk", "dkk", "eur", "gbp", "hkd", "huf", "idr",
    "ils", "inr", "jpy", "krw", "mop", "mxn", "myr", "nok", "nzd", "php", "pln", "ron", "sek",
    "sgd", "thb", "try", "twd", "usd", "vnd", "zar",
];

const CREATE: &[&str] = &[
    "amount",
    "currency",
    "payment_method_types",
    "automatic_payment_methods",
    "metadata",
    "description",
    "capture_method",
    "confirm",
    "confirmation_method",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "return_url",
    "off_session",
    "customer",
    "error_on_requires_action",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "use_stripe_sdk",
    "expand",
    "mandate",
    "mandate_data",
    "on_behalf_of",
    "transfer_data",
    "transfer_group",
    "application_fee_amount",
    "radar_options",
    "payment_method_configuration",
    "payment_details",
    "customer_account",
];
const CONFIRM: &[&str] = &[
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "return_url",
    "off_session",
    "error_on_requires_action",
    "client_secret",
    "expand",
    "mandate",
    "mandate_data",
    "payment_method_types",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "use_stripe_sdk",
    "capture_method",
    "radar_options",
    "confirmation_token",
    "key",
];
const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer", "abandoned"];

/// The method that a create or confirm call is about, before it is checked.
pub(crate) fn method_hint(form: &Form) -> Option<&'static str> {
    let named = form.some("payment_method_data[type]").ok().flatten();
    let listed = || form.list("payment_method_types").first().copied();
    let card = || form.has("payment_method").then_some("card");
    named.or_else(listed).or_else(card).and_then(MethodKind::parse).map(MethodKind::as_str)
}

impl Job<'_> {
    fn view(&self, intent: &Intent) -> Value {
        objects::intent(intent, &self.form.list("expand"), &self.state.public_url)
    }

    /// Tells the merchant what happened and shows the intent.
    fn changed(&self, change: &Change) -> Value {
        notify::tell(self.state, self.account, change, self.origin(), self.now);
        self.view(&change.intent)
    }

    pub(super) fn origin(&self) -> notify::Origin<'_> {
        notify::Origin { request: Some(self.request_id), key: self.idempotency_key }
    }

    /// A decline changes the intent as well, and is told.
    fn settle(&self, result: Result<Change, IntentError>) -> Result<Value, Failure> {
        match result {
            Ok(change) => Ok(self.changed(&change)),
            Err(error) => {
                if let IntentError::Declined(change) = &error {
                    notify::tell(self.state, self.account, change, self.origin(), self.now);
                }
                Err(error.into())
            }
        }
    }

    pub(super) fn create_intent(&self) -> Result<Value, Failure> {
        self.form.only(CREATE)?;
        let spec = self.intent_spec()?;
        let confirms = self.form.boolean("confirm")?;
        let confirm = self.confirm_spec()?;
        self.check_method(&spec.method_types, &confirm)?;
        if !confirms {
            if self.form.has("off_session") {
                let message = "off_session may only be given together with confirm.";
                return Err(Failure::coded("off_session", "parameter_invalid_empty", message));
            }
            let mut book = lock(&self.account.book);
            let intent = book.create(spec, self.now);
            let intent = match confirm.method {
                Some(method) => book.attach(&intent.id, method)?,
                None => intent,
            };
            drop(book);
            return Ok(self.view(&intent));
        }
        let needs_url = confirm.method.as_ref().is_some_and(|m| m.kind == MethodKind::Alipay);
        if confirm.method.is_none() {
            return Err(Failure::parameter_missing("payment_method"));
        }
        if needs_url && spec.return_url.is_none() {
            return Err(Failure::parameter_missing("return_url"));
        }
        let result = {
            let mut book = lock(&self.account.book);
            let intent = book.create(spec, self.now);
            book.confirm(&intent.id, confirm, self.now)
        };
        self.settle(result)
    }

    /// Refuses a method that the intent is not for, before anything is made.
    fn check_method(&self, types: &[MethodKind], confirm: &ConfirmSpec) -> Result<(), Failure> {
        let Some(method) = &confirm.method else { return Ok(()) };
        if types.contains(&method.kind) {
            return Ok(());
        }
        let message = format!("The payment method type `{}` is not allowed.", method.kind.as_str());
        Err(Failure::coded("payment_method", "payment_intent_incompatible_payment_method", message))
    }

    fn intent_spec(&self) -> Result<IntentSpec, Failure> {
        let form = self.form;
        form.need("amount")?;
        let amount = form.integer("amount")?.unwrap_or_default();
        let currency = form.need("currency")?.to_lowercase();
        if !CURRENCIES.contains(&currency.as_str()) {
            return Err(Failure::parameter("currency", "is not supported"));
        }
        check_amount(amount, &currency)?;
        let owned = |name| form.some(name).map(|value| value.map(str::to_owned));
        let manual_capture = match form.some("capture_method")? {
            None | Some("automatic" | "automatic_async") => false,
            Some("manual") => true,
            Some(_) => return Err(Failure::parameter("capture_method", "is not one of the known")),
        };
        Ok(IntentSpec {
            amount,
            currency,
            method_types: self.method_types()?,
            manual_capture,
            description: owned("description")?,
            metadata: metadata(form)?,
            return_url: owned("return_url")?,
            customer: owned("customer")?,
        })
    }

    fn method_types(&self) -> Result<Vec<MethodKind>, Failure> {
        let listed = self.form.list("payment_method_types");
        let automatic = self.form.has("automatic_payment_methods");
        if !listed.is_empty() && automatic {
            let message = "payment_method_types and automatic_payment_methods exclude each other.";
            return Err(Failure::parameter("payment_method_types", message));
        }
        if listed.is_empty() {
            // Without a list Stripe offers what the account has switched on.
            return Ok(vec![MethodKind::Card, MethodKind::Alipay, MethodKind::WechatPay]);
        }
        listed
            .into_iter()
            .map(|name| {
                MethodKind::parse(name).ok_or_else(|| {
                    Failure::parameter("payment_method_types", "has an unknown type")
                })
            })
            .collect()
    }

    fn confirm_spec(&self) -> Result<ConfirmSpec, Failure> {
        let form = self.form;
        let method = self.given_method()?;
        if method.as_ref().is_some_and(|m| m.kind == MethodKind::WechatPay)
            && form.some("payment_method_options[wechat_pay][client]")?.is_none()
        {
            return Err(Failure::parameter_missing("payment_method_options[wechat_pay][client]"));
        }
        // `off_session` also takes words, all of which mean yes.
        let off_session = !matches!(form.some("off_session")?, None | Some("false"));
        Ok(ConfirmSpec {
            method,
            return_url: form.some("return_url")?.map(str::to_owned),
            off_session: off_session || form.boolean("error_on_requires_action")?,
        })
    }

    fn given_method(&self) -> Result<Option<Method>, Failure> {
        if let Some(id) = self.form.some("payment_method")? {
            return Ok(Some(lock(&self.account.book).method(id, self.now)?));
        }
        if !self.form.has("payment_method_data") {
            return Ok(None);
        }
        self.method_from("payment_method_data").map(Some)
    }

    /// A method described field by field under a prefix, empty for the top level.
    pub(super) fn method_from(&self, prefix: &str) -> Result<Method, Failure> {
        let name = |field: &str| match (prefix, field.split_once('[')) {
            ("", _) => field.to_owned(),
            (prefix, None) => format!("{prefix}[{field}]"),
            (prefix, Some((head, tail))) => format!("{prefix}[{head}][{tail}"),
        };
        let kind = MethodKind::parse(self.form.need(&name("type"))?)
            .ok_or_else(|| Failure::parameter(&name("type"), "is not a known type"))?;
        let card = match kind {
            MethodKind::Card => Some(self.card_from(&name)?),
            MethodKind::Alipay | MethodKind::WechatPay => None,
        };
        Ok(lock(&self.account.book).add_method(kind, card, self.now))
    }

    fn card_from(&self, name: &dyn Fn(&str) -> String) -> Result<Card, Failure> {
        if let Some(token) = self.form.some(&name("card[token]"))? {
            return Card::from_token(token).ok_or_else(|| Failure::missing("token", token));
        }
        let number = self.form.need(&name("card[number]"))?;
        let part = |field: &str| -> Result<u32, Failure> {
            let value = self.form.integer(&name(field))?;
            let value = value.ok_or_else(|| Failure::parameter_missing(&name(field)))?;
            u32::try_from(value).map_err(|_| Failure::parameter(&name(field), "is out of range"))
        };
        let (month, year) = (part("card[exp_month]")?, part("card[exp_year]")?);
        let card = Card::from_number(number, month, year);
        card.ok_or_else(|| {
            let message = "Your card number is not a test card of this sandbox.";
            Failure::coded("number", "incorrect_number", message)
        })
    }

    pub(super) fn update_intent(&self, id: &str) -> Result<Value, Failure> {
        self.form.only(&[
            "amount",
            "currency",
            "metadata",
            "description",
            "expand",
            "receipt_email",
        ])?;
        let description = self.form.some("description")?.map(str::to_owned);
        let amount = self.form.integer("amount")?;
        if let Some(amount) = amount {
            check_amount(amount, &self.form.some("currency")?.unwrap_or_default().to_lowercase())?;
        }
        let changes = metadata(self.form)?;
        let intent = lock(&self.account.book).update(id, amount, description, &changes)?;
        Ok(self.view(&intent))
    }

    pub(super) fn confirm_intent(&self, id: &str) -> Result<Value, Failure> {
        self.form.only(CONFIRM)?;
        lock(&self.account.book).intent(id)?;
        let confirm = self.confirm_spec()?;
        let result = lock(&self.account.book).confirm(id, confirm, self.now);
        self.settle(result)
    }

    pub(super) fn cancel_intent(&self, id: &str) -> Result<Value, Failure> {
        self.form.only(&["cancellation_reason", "expand"])?;
        let reason = self.form.some("cancellation_reason")?;
        if reason.is_some_and(|reason| !REASONS.contains(&reason)) {
            return Err(Failure::parameter("cancellation_reason", "is not one of the known"));
        }
        let reason = reason.map(str::to_owned);
        let change = lock(&self.account.book).cancel(id, reason, self.now)?;
        Ok(self.changed(&change))
    }

    pub(super) fn capture_intent(&self, id: &str) -> Result<Value, Failure> {
        self.form.only(&["amount_to_capture", "metadata", "expand", "final_capture"])?;
        let amount = self.form.integer("amount_to_capture")?;
        let change = lock(&self.account.book).capture(id, amount, self.now)?;
        Ok(self.changed(&change))
    }

    pub(super) fn retrieve_intent(&self, id: &str) -> Result<Value, Failure> {
        let intent = lock(&self.account.book).intent(id)?.clone();
        Ok(self.view(&if self.lie { unpaid(intent) } else { intent }))
    }

    pub(super) fn retrieve_charge(&self, id: &str) -> Result<Value, Failure> {
        let book = lock(&self.account.book);
        let (intent, charge) = book.charge(id)?;
        Ok(objects::charge(intent, charge))
    }

    pub(super) fn list_intents(&self) -> Result<Value, Failure> {
        let form = self.form;
        let bound = |name: &str| form.integer(&format!("created[{name}]"));
        let exact = form.integer("created")?;
        let low = exact.or(bound("gte")?).or(bound("gt")?.map(|at| at.saturating_add(1)));
        let high = exact.or(bound("lte")?).or(bound("lt")?.map(|at| at.saturating_sub(1)));
        let owned = |name| form.some(name).map(|value| value.map(str::to_owned));
        let spec = ListSpec {
            created_gte: low.unwrap_or(i64::MIN),
            created_lte: high.unwrap_or(i64::MAX),
            limit: self.limit()?,
            starting_after: owned("starting_after")?,
            ending_before: owned("ending_before")?,
        };
        let (page, more) = lock(&self.account.book).list(&spec)?;
        let data: Vec<Value> = page.iter().map(|intent| self.view(&self.shown(intent))).collect();
        Ok(objects::list("/v1/payment_intents", data, more))
    }

    fn shown(&self, intent: &Intent) -> Intent {
        if self.lie { unpaid(intent.clone()) } else { intent.clone() }
    }

    /// `limit`, 1 to 100.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        match self.form.integer("limit")?.unwrap_or(10) {
            limit @ 1..=100 => Ok(usize::try_from(limit).unwrap_or(10)),
            _ => Err(Failure::parameter("limit", "must be within 1 and 100")),
        }
    }

    /// `metadata['key']:'value'`, to which `AND status:'…'` may be added.
    pub(super) fn search_intents(&self) -> Result<Value, Failure> {
        let query = self.form.need("query")?;
        let wrong = || Failure::parameter("query", "only metadata and status can be searched");
        let (mut wanted, mut status) = (Vec::new(), None);
        for clause in query.split(" AND ") {
            let (field, value) = clause.trim().split_once(':').ok_or_else(wrong)?;
            let value = unquoted(value).ok_or_else(wrong)?;
            match field.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']')) {
                Some(key) => wanted.push((unquoted(key).ok_or_else(wrong)?, value)),
                None if field == "status" => status = Some(value),
                None => return Err(wrong()),
            }
        }
        let (key, value) = wanted.first().ok_or_else(wrong)?;
        let limit = self.limit()?;
        let mut found = lock(&self.account.book).with_metadata(key, value);
        found.retain(|intent| {
            wanted.iter().all(|(k, v)| intent.spec.metadata.get(*k).is_some_and(|x| x == v))
                && status.is_none_or(|status| intent.status.as_str() == status)
        });
        let more = found.len() > limit;
        let data: Vec<Value> =
            found.iter().take(limit).map(|intent| self.view(&self.shown(intent))).collect();
        Ok(json!({
            "object": "search_result",
            "url": "/v1/payment_intents/search",
            "has_more": more,
            "next_page": Value::Null,
            "data": data,
        }))
    }
}

/// The intent as it looked before anyone paid.
fn unpaid(mut intent: Intent) -> Intent {
    if matches!(intent.status, IntentStatus::Succeeded | IntentStatus::RequiresCapture) {
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.charges.clear();
        intent.captured_at = None;
    }
    intent
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

fn check_amount(amount: i64, currency: &str) -> Result<(), Failure> {
    if amount < 1 {
        return Err(Failure::coded(
            "amount",
            "parameter_invalid_integer",
            "This value must be greater than or equal to 1.",
        ));
    }
    if amount > AMOUNT_MAX {
        return Err(Failure::coded("amount", "amount_too_large", "Amount has at most 8 digits."));
    }
    let minimum = MINIMA.iter().find(|(known, _)| *known == currency).map_or(1, |(_, min)| *min);
    if amount < minimum {
        let message = format!("Amount must be at least {minimum} {currency} in minor units.");
        return Err(Failure::coded("amount", "amount_too_small", message));
    }
    Ok(())
}

/// Metadata within Stripe's limits: 50 keys of 40 characters, values of 500.
pub(super) fn metadata(form: &Form) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    let metadata = form.map("metadata");
    let fits = metadata
        .iter()
        .all(|(key, value)| key.chars().count() <= 40 && value.chars().count() <= 500);
    if !fits || metadata.len() > 50 {
        return Err(Failure::parameter("metadata", "is too long or has too many keys"));
    }
    Ok(metadata)
}
