//! Lists of payments: filters, and a cursor that stays right while payments are added.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{MerchantId, OrderNo, Payment, PaymentId, ProviderOrderNo, Timestamp};
use serde_json::{Map, Value};
use store::Filter;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::fields::{self, Fields};
use crate::payments::PaymentPage;
use crate::problem::Problem;
use crate::time::parse_rfc3339;
use crate::view::{MethodName, PaymentView, Show};

const DEFAULT_LIMIT: i64 = 50;

/// The filters of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ListParams {
    /// With this status.
    #[param(schema_with = crate::view::status_schema, required = false)]
    status: Option<String>,
    /// With an attempt on this channel.
    #[param(min_length = 1, max_length = 40, pattern = "^[a-z0-9_-]+$")]
    channel: Option<String>,
    /// Whose latest attempt used this method.
    #[param(value_type = Option<MethodName>)]
    method: Option<String>,
    /// With this order number of the merchant's; an operator names the `merchant` too.
    #[param(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9_.\-]+$")]
    order_no: Option<String>,
    /// With this order number at a provider.
    #[param(min_length = 1, max_length = 64)]
    number: Option<String>,
    /// Of this merchant (operators only).
    #[param(min_length = 1, max_length = 40, pattern = "^[A-Za-z0-9_-]+$")]
    merchant: Option<String>,
    /// In a person's queue, or not.
    review: Option<bool>,
    /// Made by Evergate to try a channel; left out of lists unless `true` is asked for
    /// (operators only).
    synthetic: Option<bool>,
    /// Made at or after (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
    /// Made before (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
    /// At most this many; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u8>,
    /// `next_cursor` of the page before.
    #[param(min_length = 22, max_length = 22, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

const PARAMS: &[&str] = &[
    "status",
    "channel",
    "method",
    "order_no",
    "number",
    "merchant",
    "review",
    "synthetic",
    "since",
    "until",
    "limit",
    "cursor",
];

/// What a list should hold.
pub(crate) struct Wanted {
    filter: Filter,
    order: Option<(MerchantId, OrderNo)>,
}

/// Reads the filters.
pub(crate) fn read(raw: Option<&str>, caller: &Caller) -> Result<Wanted, Problem> {
    let query = fields::query(raw)?;
    let mut fields = Fields::new(&query, PARAMS);
    let named: Option<MerchantId> = fields.parsed("merchant", "send a merchant's name");
    let merchant = match caller.sees() {
        Some(own) if named.as_ref().is_some_and(|m| m != own) => {
            fields.mistake("merchant", "is another merchant", "leave it out");
            Some(own.clone())
        }
        Some(own) => Some(own.clone()),
        None => named,
    };
    let order_no: Option<OrderNo> = fields.parsed("order_no", "send the whole order number");
    if order_no.is_some() && merchant.is_none() {
        fields.mistake("merchant", "is required with order_no", "send the merchant's name too");
    }
    let review = fields.one_of("review", &[("true", true), ("false", false)]);
    let synthetic = fields.one_of("synthetic", &[("true", true), ("false", false)]);
    let limit = fields::query_integer(&mut fields, "limit", 1..=200, "send 50, for example")
        .unwrap_or(DEFAULT_LIMIT);
    let filter = Filter {
        merchant: merchant.clone(),
        status: fields.parsed("status", "send one of the statuses"),
        channel: fields.parsed("channel", "send a channel's name, see GET /v1/channels"),
        method: fields.parsed("method", "send one of the methods"),
        review,
        synthetic: Some(synthetic.unwrap_or(false)),
        since: time(&mut fields, "since"),
        until: time(&mut fields, "until"),
        before: cursor(&mut fields, &query),
        number: fields.string("number").map(ProviderOrderNo::received),
        limit: usize::try_from(limit).unwrap_or(1),
    };
    fields.end()?;
    Ok(Wanted { filter, order: merchant.zip(order_no) })
}

fn time(fields: &mut Fields<'_>, name: &str) -> Option<Timestamp> {
    let text = fields.string(name)?;
    let time = parse_rfc3339(text);
    if time.is_none() {
        let fix = "send 2026-11-24T00:00:00Z, for example; write + as %2B in an offset";
        fields.mistake(name, "must be a time in RFC 3339", fix);
    }
    time
}

fn cursor(fields: &mut Fields<'_>, query: &Map<String, Value>) -> Option<PaymentId> {
    let text = query.get("cursor")?.as_str()?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|b| <[u8; 16]>::try_from(b).ok());
    match bytes {
        Some(bytes) => Some(PaymentId::from_uuid(Uuid::from_bytes(bytes))),
        None => {
            let fix = "send next_cursor of the page before unchanged";
            fields.mistake("cursor", "is not one of this server's cursors", fix);
            None
        }
    }
}

/// The page that is wanted.
pub(crate) async fn page(state: &Shared, wanted: Wanted) -> Result<PaymentPage, Problem> {
    let Wanted { mut filter, order } = wanted;
    let store = state.engine.store();
    if let Some((merchant, order)) = order {
        // One order number is one payment; the other filters still decide whether it counts.
        match store.payment_by_order(&merchant, &order).await? {
            None => return Ok(PaymentPage { payments: Vec::new(), next_cursor: None }),
            Some(found) => filter.before = narrowed(filter.before, found.id),
        }
        filter.limit = 1;
        let payments = store.list(&filter).await?;
        let fitting = payments.into_iter().filter(|p| p.order == order);
        let payments = fitting.map(|p| listed(state, &p)).collect();
        return Ok(PaymentPage { payments, next_cursor: None });
    }
    let limit = filter.limit;
    filter.limit += 1;
    let mut payments = store.list(&filter).await?;
    let more = payments.len() > limit;
    payments.truncate(limit);
    let last = payments.last().filter(|_| more);
    let next_cursor = last.map(|p| URL_SAFE_NO_PAD.encode(p.id.uuid().as_bytes()));
    let payments = payments.iter().map(|p| listed(state, p)).collect();
    Ok(PaymentPage { payments, next_cursor })
}

fn listed(state: &Shared, payment: &Payment) -> PaymentView {
    PaymentView::of(payment, Show::NothingPayable, &state.public_url)
}

/// A cursor right above one payment, or the one that was asked for if that is older.
fn narrowed(asked: Option<PaymentId>, found: PaymentId) -> Option<PaymentId> {
    let above = PaymentId::from_uuid(Uuid::from_u128(found.uuid().as_u128().saturating_add(1)));
    Some(asked.map_or(above, |asked| asked.min(above)))
}
