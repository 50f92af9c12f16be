//! The search for payments: by order number, payment id or a provider's order number, by status
//! and channel. Contacts cannot be searched.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::{ChannelId, OrderNo, Payment, PaymentId, ProviderOrderNo, Status};
use pages::console::{
    Block, Cell, Field, Form, Input, Line, Part, Pick, Room, Table, Tone, View, Words,
};
use store::Filter;
use uuid::Uuid;

use super::reply::Stop;
use super::say;
use super::visitor::{Typed, Visitor};
use crate::app::Shared;

const PAGE: usize = 30;
const QUERY_MAX: u16 = 64;

pub(super) async fn show(
    State(state): State<Shared>,
    visitor: Visitor,
    RawQuery(raw): RawQuery,
) -> Result<Response, Stop> {
    let typed = Typed::query(raw.as_deref());
    let words = Words(visitor.locale);
    let filter = filter(&typed);
    let mut found = find(&state, &typed, &filter).await.map_err(Stop::books(visitor.locale))?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let mut links = Vec::new();
    if filter.before.is_some() {
        links.push((words.newest().to_owned(), address(&typed, None), false));
    }
    if let Some(last) = found.last().filter(|_| more) {
        links.push((words.older().to_owned(), address(&typed, Some(last.id)), false));
    }
    let view = View {
        live: true,
        blocks: vec![
            Block::still(vec![Part::Form(search(&state, &typed, words))]),
            Block::live("payments", vec![Part::Table(table(words, &found)), Part::Links(links)]),
        ],
        ..View::default()
    };
    Ok(visitor.page(&state, Room::Payments, &view))
}

/// What was asked for, but for the number.
fn filter(typed: &Typed) -> Filter {
    Filter {
        status: typed.get("status").parse().ok(),
        channel: ChannelId::new(typed.get("channel")).ok(),
        before: typed.get("before").parse().ok(),
        review: (typed.get("status") == "review").then_some(true),
        synthetic: Some(false),
        limit: PAGE + 1,
        ..Filter::default()
    }
}

/// A number may be the merchant's, ours or a provider's: it is looked for as each.
async fn find(
    state: &Shared,
    typed: &Typed,
    filter: &Filter,
) -> Result<Vec<Payment>, store::StoreError> {
    let (store, number) = (state.engine.store(), typed.get("q"));
    if number.is_empty() {
        return store.list(filter).await;
    }
    // By its number a synthetic payment is found as well: somebody has it from a log.
    let any = || Filter { synthetic: None, ..filter.clone() };
    if let Ok(id) = number.parse::<PaymentId>() {
        let above = Uuid::from_u128(id.uuid().as_u128().saturating_add(1));
        let one = Filter { before: Some(PaymentId::from_uuid(above)), limit: 1, ..any() };
        let mut found = store.list(&one).await?;
        found.retain(|payment| payment.id == id);
        return Ok(found);
    }
    let by_provider = Filter { number: Some(ProviderOrderNo::received(number)), ..any() };
    let mut found = store.list(&by_provider).await?;
    if let Ok(order) = OrderNo::new(number) {
        for payment in store.list(&Filter { order: Some(order), ..any() }).await? {
            if !found.iter().any(|known| known.id == payment.id) {
                found.push(payment);
            }
        }
    }
    Ok(found)
}

/// The same search, from an older payment on.
fn address(typed: &Typed, before: Option<PaymentId>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in ["q", "status", "channel"] {
        if !typed.get(name).is_empty() {
            query.append_pair(name, typed.get(name));
        }
    }
    if let Some(before) = before {
        query.append_pair("before", &before.to_string());
    }
    format!("/console/payments?{}", query.finish())
}

fn search(state: &Shared, typed: &Typed, words: Words) -> Form {
    let status =
        |status: Status| Pick::new(status.name(), words.status_name(status), typed.get("status"));
    let mut statuses = vec![Pick::new("", words.all(), typed.get("status"))];
    statuses.push(Pick::new("review", words.for_a_person(), typed.get("status")));
    statuses.extend(Status::ALL.map(status));
    let mut channels = vec![Pick::new("", words.all(), typed.get("channel"))];
    let options = state.engine.options();
    let named = options.channels.iter().map(|c| c.id.as_str());
    channels.extend(named.map(|name| Pick::new(name, name, typed.get("channel"))));
    let number = Input::Text { value: typed.get("q").to_owned(), max: QUERY_MAX, required: false };
    Form {
        id: "search",
        title: String::new(),
        about: Vec::new(),
        action: "/console/payments".to_owned(),
        search: true,
        fields: vec![
            Field::new("q", words.order_or_id(), number),
            Field::new("status", words.status(), Input::Select(statuses)),
            Field::new("channel", words.channel(), Input::Select(channels)),
        ],
        button: words.search().to_owned(),
    }
}

/// How a status is to be taken.
pub(super) fn tone(status: Status) -> Tone {
    match status {
        Status::Paid => Tone::Good,
        Status::Confirming | Status::Unavailable | Status::Held | Status::Paused => Tone::Warn,
        Status::Declined => Tone::Bad,
        _ => Tone::Quiet,
    }
}

fn table(words: Words, payments: &[Payment]) -> Table {
    let amount = format!("#{}", words.amount());
    let mut table = Table::new(
        words.room(Room::Payments),
        &[words.made(), words.order(), &amount, words.status(), words.channel(), words.attempts()],
    );
    table.empty = Some(words.none_found().to_owned());
    for payment in payments {
        let status = payment.status();
        let mut state = Cell::from(words.status_name(status)).toned(tone(status));
        if let Some(review) = payment.review {
            state = state.with(words.review_name(review));
        }
        let last = payment.attempts.last();
        let channel = last.map_or("–", |attempt| attempt.channel.as_str());
        let method = last.map_or("", |attempt| attempt.method.label(words.0));
        let to = format!("/console/payments/{}", payment.id);
        table.push(vec![
            Cell::from(payment.created_at),
            Cell::from(Line::link(payment.order.as_str(), to)).with(payment.merchant.as_str()),
            Cell::number(say::money(payment.money)),
            state,
            Cell::from(channel).with(method),
            Cell::from(payment.attempts.len().to_string()),
        ]);
    }
    table
}
