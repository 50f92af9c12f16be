//! The OpenAPI document: what the routes say about themselves, and what they have in common.

use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Evergate",
        description = "Takes payments through several payment channels, and keeps taking them \
            when one fails.\n\nAmounts are whole minor units (1999 is 19.99 CNY). Times are RFC \
            3339 in UTC. Every refusal is a problem of RFC 9457 whose `type` is a page of this \
            server that says what to do. Send an `Idempotency-Key` with every wish and repeat it \
            unchanged as often as you like.\n\nMerchants are told of the end of every payment \
            and refund by signed webhooks as [Standard Webhooks](https://www.standardwebhooks.com) \
            specifies them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "payments", description = "Collect money"),
        (name = "refunds", description = "Give money back"),
        (name = "channels", description = "Channels and their controls"),
        (name = "ladder", description = "How far customers are led from the ordinary way to pay, and what is paused"),
        (name = "routing", description = "Where a payment would go, and why"),
        (name = "bank", description = "Bank transfers: statements, suspense, payouts"),
        (name = "availability", description = "For shops' own pages: which ways to pay work"),
        (name = "assist", description = "The VIP desk: staff help with single payments"),
        (name = "messages", description = "Webhooks to merchants"),
        (name = "notes", description = "Notes to customers"),
        (name = "notifications", description = "For the providers"),
        (name = "system", description = "For machines that watch this server"),
    ),
    security(("api_key" = [])),
)]
struct Document;

/// The whole document for these paths.
pub(crate) fn document(paths: utoipa::openapi::OpenApi) -> Value {
    let mut document = Document::openapi();
    document.merge(paths);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("evk_...")
        .description(Some("An API key of this server's configuration"))
        .build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("api_key", SecurityScheme::Http(scheme));
    let mut value = serde_json::to_value(document).unwrap_or_else(|_| json!({}));
    value["webhooks"] = webhooks();
    describe_responses(&mut value["paths"]);
    for name in STRICT.iter().copied() {
        value["components"]["schemas"][name]["additionalProperties"] = Value::Bool(false);
    }
    value
}

/// Gives every response the description that the specification asks for.
fn describe_responses(paths: &mut Value) {
    let operations = paths.as_object_mut().into_iter().flat_map(|p| p.values_mut());
    let operations = operations.filter_map(Value::as_object_mut).flat_map(|o| o.values_mut());
    for operation in operations {
        let responses = operation["responses"].as_object_mut();
        for (status, response) in responses.into_iter().flatten() {
            let text = match status.as_str() {
                "200" => "Done",
                "4XX" => "Refused; nothing was done",
                "5XX" => "Not done, or not known whether it was; the type says which",
                _ => "See the body",
            };
            if let Some(response) = response.as_object_mut() {
                response.entry("description").or_insert_with(|| text.into());
            }
        }
    }
}

/// Bodies in which an unknown field is a mistake.
const STRICT: &[&str] = &[
    "CreatePayment",
    "CreateRefund",
    "NewAttempt",
    "DisableChannel",
    "EnableChannel",
    "RouteQuestion",
    "PlanMaintenance",
    "RecordTransfer",
    "MatchTransfer",
    "BankWord",
    "OpenCase",
    "AssistWord",
    "AssistPay",
    "AssistTake",
    "AssistRefund",
    "Downtime",
    "ConfigText",
    "ApplyConfig",
    "RollbackConfig",
    "ResendNote",
    "NewCustomerNote",
    "MoveLevel",
    "LiftLevel",
    "PauseFeature",
    "ResumeFeature",
    "HoldPayment",
    "ExtendHold",
];

/// What merchants are sent, in the `webhooks` of OpenAPI 3.1.
fn webhooks() -> Value {
    let told = [
        ("payment.paid", "The payment is paid. Fulfil the order."),
        (
            "payment.part_received",
            "A part of a bank transfer has come; the customer owes the rest.",
        ),
        ("payment.extended", "The payment lives longer, because a transfer takes its time."),
        ("payment.declined", "The customer's side refused."),
        ("payment.cancelled", "The payment ended as you wished, unpaid."),
        ("payment.expired", "The payment ended unpaid because its time was over."),
        ("payment.held", "The order is kept, to be paid later: keep what it needs in stock."),
        ("payment.hold_extended", "The order is kept for longer."),
        (
            "payment.released",
            "The order is not kept any more: `hold.ended` says paid, cancelled or expired. Once a \
             hold.",
        ),
        ("payment.reminder", "The customer of a kept order is reminded of it."),
        ("payment.paused", "Its feature is paused: nothing is charged for it until it goes on."),
        ("payment.resumed", "Its feature goes on, and so does the payment."),
        (
            "subscription.grace_extended",
            "A paused renewal would let its subscription lapse: let it live on until \
             `paused.grace_until`.",
        ),
        ("payment.review", "A person at Evergate's operator looks at it; wait."),
        ("refund.succeeded", "The money went back."),
        ("refund.failed", "The refund ended without effect."),
    ];
    let hook = |name: &str, summary: &str| {
        json!({ "post": {
            "operationId": format!("webhook_{}", name.replace('.', "_")),
            "summary": summary,
            "tags": ["messages"],
            "security": [],
            "parameters": [
                { "name": "webhook-id", "in": "header", "required": true,
                  "description": "The same at every try: handle a repeated one once",
                  "schema": { "type": "string" } },
                { "name": "webhook-timestamp", "in": "header", "required": true,
                  "description": "Seconds since 1970, of this try",
                  "schema": { "type": "string" } },
                { "name": "webhook-signature", "in": "header", "required": true,
                  "description": "`v1,` and the base64 of the HMAC-SHA256 of \
                      `{id}.{timestamp}.{body}`; several, one space apart, while a secret is \
                      being replaced",
                  "schema": { "type": "string" } },
            ],
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object",
                "required": ["type", "timestamp", "data"],
                "properties": {
                    "type": { "type": "string", "const": name },
                    "timestamp": { "type": "string", "format": "date-time" },
                    "data": { "$ref": "#/components/schemas/Payment" },
                },
            } } } },
            "responses": {
                "2XX": { "description": "Taken. Anything else is tried again for three days." },
                "410": { "description": "Not wanted any more: not tried again." },
            },
        } })
    };
    let hooks = told.iter().map(|(name, summary)| ((*name).to_owned(), hook(name, summary)));
    Value::Object(hooks.collect())
}
