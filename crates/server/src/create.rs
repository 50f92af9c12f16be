//! The request that makes a payment: its schema, its rules, and how it becomes a wish of the
//! engine's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use domain::{
    Currency, Device, Locale, MerchantId, Method, Money, OrderNo, Purpose, Terms, Tier, Timestamp,
};
use engine::NewPayment;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::body::kind;
use crate::fields::{Fields, Text};
use crate::problem::{Mistake, Problem};
use crate::time::parse_rfc3339;
use crate::view::{DeviceName, LocaleName, MethodName, TierName};

/// A wish to collect.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used: the fields are read one by one, so that \
    every mistake is told at once; a test holds the two together"
)]
pub(crate) struct CreatePayment {
    /// Your number of the order. One order number is one payment.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[A-Za-z0-9_.\-]+$",
        example = "SO-20261124-0001"
    )]
    pub(crate) order_no: String,
    /// How much, in minor units: 1999 is 19.99 CNY.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 1999)]
    pub(crate) amount: i64,
    /// ISO 4217 in upper case.
    #[schema(min_length = 3, max_length = 3, pattern = "^[A-Z]{3}$", example = "CNY")]
    pub(crate) currency: String,
    /// The methods that the customer may pay with, the preferred one first; all when absent.
    #[schema(min_items = 1, max_items = 6, example = json!(["alipay", "wechat_pay"]))]
    pub(crate) methods: Option<Vec<MethodName>>,
    /// Why you collect: `checkout` (when absent), `renewal`, `top_up`, `instalment`, or a name of
    /// your own. Each can be paused by itself.
    #[schema(min_length = 1, max_length = 24, pattern = "^[a-z][a-z0-9_]*$", example = "checkout")]
    pub(crate) purpose: Option<String>,
    /// How you rank the customer; `standard` when absent.
    pub(crate) tier: Option<TierName>,
    /// What the customer sees on the provider's page; the order number when absent.
    #[schema(
        min_length = 1,
        max_length = 120,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "Two tickets to the opera"
    )]
    pub(crate) subject: Option<String>,
    /// The customer's bank, when known.
    #[schema(min_length = 1, max_length = 40, pattern = r"^[A-Za-z0-9_.\-]+$")]
    pub(crate) issuer: Option<String>,
    /// Where the customer can be reached: an e-mail address, or a telephone number with its
    /// country's code. Personal data: stored, never logged, and used for notes to the customer
    /// only.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub(crate) contact: Option<String>,
    /// The customer's device, as your push service knows it; for notes to the customer. Personal
    /// data.
    #[schema(min_length = 1, max_length = 300, pattern = "^[!-~]+$")]
    pub(crate) push_token: Option<String>,
    /// The customer's language; `zh` when absent.
    pub(crate) locale: Option<LocaleName>,
    /// Where the provider sends the browser afterwards; http or https.
    #[schema(
        min_length = 8,
        max_length = 500,
        pattern = r"^https?://[!-~]+$",
        example = "https://shop.example/thanks"
    )]
    pub(crate) return_url: Option<String>,
    /// The customer's network address; WeChat Pay's H5 flow needs it.
    #[schema(schema_with = ip_schema)]
    pub(crate) payer_ip: Option<String>,
    /// The customer's id in the wallet's app (WeChat's openid); `in_app` needs it.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub(crate) payer_id: Option<String>,
    /// The kind of screen; `qr` when absent.
    pub(crate) device: Option<DeviceName>,
    /// A saved payment instrument at the provider; charges at once.
    #[schema(min_length = 1, max_length = 200, pattern = "^[!-~]+$")]
    pub(crate) token: Option<String>,
    /// How long the payment lives, in seconds; the server's default when absent.
    #[schema(minimum = 1, maximum = 31_536_000, example = 900)]
    pub(crate) expires_in_s: Option<i64>,
    /// When the money is due, such as a renewal's day; now when absent. While the purpose is
    /// paused, what is due longest is charged first afterwards.
    #[schema(format = DateTime)]
    pub(crate) due_at: Option<String>,
    /// When the subscription lapses that this renewal pays for; `due_at` when absent. While
    /// renewals are paused you are told to let it live on (`subscription.grace_extended`).
    #[schema(format = DateTime)]
    pub(crate) lapses_at: Option<String>,
    /// Whether the order may be kept for the customer when nothing takes it; true when absent.
    pub(crate) hold: Option<bool>,
    /// Your own notes, handed back unchanged: at most 20, names of 40 and values of 500
    /// characters.
    pub(crate) metadata: Option<BTreeMap<String, String>>,
}

fn ip_schema() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, Type};
    let address = |format: KnownFormat| {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.format(Some(utoipa::openapi::SchemaFormat::KnownFormat(format)))
    };
    let one_of = OneOfBuilder::new()
        .item(address(KnownFormat::Ipv4))
        .item(address(KnownFormat::Ipv6))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some("The customer's network address; WeChat Pay's H5 flow needs it."))
        .examples(["203.0.113.7"]);
    Schema::OneOf(one_of.build())
}

const FIELDS: &[&str] = &[
    "order_no",
    "amount",
    "currency",
    "methods",
    "purpose",
    "tier",
    "subject",
    "issuer",
    "contact",
    "push_token",
    "locale",
    "return_url",
    "payer_ip",
    "payer_id",
    "device",
    "token",
    "expires_in_s",
    "due_at",
    "lapses_at",
    "hold",
    "metadata",
];

const SUBJECT: Text = Text {
    max: 120,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 120 characters without control characters",
    fix: "shorten it and leave line breaks out",
};
pub(crate) const ISSUER: Text = Text {
    max: 40,
    allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
    rule: "must be 1 to 40 letters, digits, '-', '_' or '.'",
    fix: "send the bank's code, such as ICBC",
};
const CONTACT: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "send one e-mail address or telephone number",
};
const PUSH_TOKEN: Text = Text {
    max: 300,
    allowed: |c| c.is_ascii_graphic(),
    rule: "must be 1 to 300 visible ASCII characters",
    fix: "send the device's token as your push service gave it",
};
const RETURN_URL: Text = Text {
    max: 500,
    allowed: |c| c.is_ascii_graphic(),
    rule: "must be an http or https address of at most 500 visible ASCII characters",
    fix: "send an address such as https://shop.example/thanks, percent-encoded",
};
const PAYER_IP: Text = Text {
    max: 45,
    allowed: |c| c.is_ascii_hexdigit() || matches!(c, '.' | ':'),
    rule: "must be an IPv4 or IPv6 address",
    fix: "send an address such as 203.0.113.7",
};
const PAYER_ID: Text = Text {
    max: 128,
    allowed: |c| c.is_ascii_graphic(),
    rule: "must be 1 to 128 visible ASCII characters",
    fix: "send the customer's id in the wallet's app, such as WeChat's openid",
};
const TOKEN: Text = Text {
    max: 200,
    allowed: |c| c.is_ascii_graphic(),
    rule: "must be 1 to 200 visible ASCII characters",
    fix: "send the provider's id of the saved instrument; never a card number",
};

/// The purpose that a request names.
pub(crate) fn purpose(fields: &mut Fields<'_>) -> Purpose {
    const FIX: &str = "send checkout, renewal, top_up, instalment, or a name of your own";
    let purpose = fields.parsed("purpose", FIX).unwrap_or_default();
    if purpose == Purpose::Synthetic {
        fields.mistake("purpose", "must not be synthetic", FIX);
    }
    purpose
}

/// The tiers.
pub(crate) const TIERS: &[(&str, Tier)] = &[("standard", Tier::Standard), ("vip", Tier::Vip)];
/// The languages.
pub(crate) const LOCALES: &[(&str, Locale)] = &[("zh", Locale::Zh), ("en", Locale::En)];

/// The most notes of a payment.
const METADATA_MAX: usize = 20;

/// Reads a wish; `other` are mistakes already found elsewhere in the request.
pub(crate) fn read(
    object: &Map<String, Value>,
    merchant: &MerchantId,
    other: Vec<Mistake>,
) -> Result<NewPayment, Problem> {
    let mut fields = Fields::new(object, FIELDS);
    fields.take(other);
    let order: Option<OrderNo> = {
        fields.require("order_no", "send your number of the order, such as SO-20261124-0001");
        fields.parsed("order_no", "use letters, digits, '-', '_' and '.' only, at most 64")
    };
    let money = money(&mut fields);
    let terms = terms(&mut fields, order.as_ref());
    let expires_in = fields.integer(
        "expires_in_s",
        1..=31_536_000,
        "send a number of seconds, such as 900 for a quarter of an hour",
    );
    fields.end()?;
    // `end` has succeeded, so every required field was read.
    let (Some(order), Some(money)) = (order, money) else {
        return Err(Problem::mistakes(vec![Mistake::new("", "is incomplete", "send it whole")]));
    };
    Ok(NewPayment {
        merchant: merchant.clone(),
        order,
        money,
        terms,
        expires_in: expires_in.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs),
    })
}

pub(crate) fn money(fields: &mut Fields<'_>) -> Option<Money> {
    const FIX: &str = "send whole minor units without quotes or decimals: 19.99 CNY is 1999";
    fields.require("amount", FIX);
    let minor = fields.integer("amount", 1..=Money::MAX_MINOR, FIX);
    fields.require("currency", "send an ISO 4217 code, such as CNY");
    let currency = fields.string("currency").and_then(|code| {
        let known = code.parse::<Currency>();
        if known.is_err() {
            let rule = "must be an ISO 4217 code in upper case that has minor units";
            fields.mistake("currency", rule, "send a code such as CNY, USD or EUR");
        }
        known.ok()
    });
    Money::new(minor?, currency?).ok()
}

fn terms(fields: &mut Fields<'_>, order: Option<&OrderNo>) -> Terms {
    // The same whatever channels there are, so that a repeated request stays the same.
    let methods = methods(fields).unwrap_or_else(|| Method::ALL.to_vec());
    let subject = fields
        .text("subject", &SUBJECT)
        .or_else(|| order.map(|o| o.as_str().to_owned()))
        .unwrap_or_default();
    let device = fields
        .one_of(
            "device",
            &[
                ("qr", Device::Qr),
                ("desktop", Device::Desktop),
                ("mobile", Device::Mobile),
                ("in_app", Device::InApp),
            ],
        )
        .unwrap_or_default();
    let payer_id = fields.text("payer_id", &PAYER_ID);
    if device == Device::InApp && fields.value("payer_id").is_none() {
        fields.mistake(
            "payer_id",
            "is required when the device is in_app",
            "send the customer's id in the wallet's app, or another device",
        );
    }
    Terms {
        methods,
        purpose: purpose(fields),
        tier: fields.one_of("tier", TIERS).unwrap_or_default(),
        subject,
        issuer: fields.text("issuer", &ISSUER),
        contact: fields.text("contact", &CONTACT),
        push_token: fields.text("push_token", &PUSH_TOKEN),
        locale: fields.one_of("locale", LOCALES).unwrap_or_default(),
        return_url: return_url(fields),
        payer_ip: payer_ip(fields),
        payer_id,
        device,
        token: fields.text("token", &TOKEN),
        metadata: metadata(fields),
        pinned: None,
        due_at: time(fields, "due_at"),
        lapses_at: time(fields, "lapses_at"),
        no_hold: fields.boolean("hold", "send true or false") == Some(false),
    }
}

fn time(fields: &mut Fields<'_>, name: &str) -> Option<Timestamp> {
    let time = parse_rfc3339(fields.string(name)?);
    if time.is_none() {
        let rule = "must be a time in RFC 3339";
        fields.mistake(name, rule, "send 2026-11-24T12:00:00+08:00, for example");
    }
    time
}

pub(crate) fn methods(fields: &mut Fields<'_>) -> Option<Vec<Method>> {
    const FIX: &str = "send a list such as [\"alipay\", \"wechat_pay\"], the preferred one first";
    let value = fields.value("methods")?;
    let Value::Array(items) = value else {
        fields.mistake("methods", format!("must be a list, not {}", kind(value)), FIX);
        return None;
    };
    if items.is_empty() || items.len() > Method::ALL.len() {
        fields.mistake("methods", "must name 1 to 6 methods", FIX);
        return None;
    }
    let mut methods = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let field = format!("methods[{place}]");
        match item.as_str().map(str::parse::<Method>) {
            Some(Ok(method)) if methods.contains(&method) => {
                fields.mistake(field, "is named twice", "name every method once");
            }
            Some(Ok(method)) => methods.push(method),
            Some(Err(error)) => fields.mistake(field, error.rule, FIX),
            None => fields.mistake(field, format!("must be a text, not {}", kind(item)), FIX),
        }
    }
    Some(methods)
}

fn return_url(fields: &mut Fields<'_>) -> Option<String> {
    let url = fields.text("return_url", &RETURN_URL)?;
    let parsed: Option<http::Uri> = url.parse().ok();
    let good = parsed.is_some_and(|uri| {
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        // A user's part before the host can only mislead whoever reads the address.
        web && uri.authority().is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'))
    });
    if !good {
        fields.mistake("return_url", RETURN_URL.rule, RETURN_URL.fix);
    }
    Some(url)
}

fn payer_ip(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.text("payer_ip", &PAYER_IP)?;
    if text.parse::<IpAddr>().is_err() {
        fields.mistake("payer_ip", PAYER_IP.rule, PAYER_IP.fix);
    }
    Some(text)
}

pub(crate) fn metadata(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(value) = fields.value("metadata") else { return BTreeMap::new() };
    let Value::Object(notes) = value else {
        let rule = format!("must be an object, not {}", kind(value));
        fields.mistake("metadata", rule, "send texts by name, such as {\"cart\": \"c-77\"}");
        return BTreeMap::new();
    };
    if notes.len() > METADATA_MAX {
        fields.mistake("metadata", "must have at most 20 entries", "keep the rest in your books");
        return BTreeMap::new();
    }
    let mut kept = BTreeMap::new();
    for (place, (name, note)) in notes.iter().enumerate() {
        let length = name.chars().count();
        if !(1..=40).contains(&length) || name.chars().any(char::is_control) {
            let field = format!("metadata, entry {}", place + 1);
            let rule = "the name must be 1 to 40 characters without control characters";
            fields.mistake(field, rule, "shorten the name");
            continue;
        }
        match note {
            Value::String(text) if text.chars().count() <= 500 && !text.contains('\0') => {
                kept.insert(name.clone(), text.clone());
            }
            Value::String(_) => {
                let rule = "must be at most 500 characters, none of them NUL";
                fields.mistake(format!("metadata.{name}"), rule, "keep the rest in your books");
            }
            other => {
                let rule = format!("must be a text, not {}", kind(other));
                fields.mistake(format!("metadata.{name}"), rule, "put it in double quotes");
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::Schema;

    use super::*;

    #[test]
    fn the_schema_names_the_fields_that_are_read() {
        let RefOr::T(Schema::Object(object)) = CreatePayment::schema() else {
            unreachable!("a struct is an object")
        };
        let mut names: Vec<&str> = object.properties.keys().map(String::as_str).collect();
        let mut read = FIELDS.to_vec();
        names.sort_unstable();
        read.sort_unstable();
        assert_eq!(names, read);
    }
}
