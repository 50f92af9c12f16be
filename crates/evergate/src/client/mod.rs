//! The commands that talk to a running gateway.

mod api;
mod assist;
mod bank;
mod capabilities;
mod config;
mod ladder;
mod notes;
mod route;
mod show;
mod signals;
mod watch;

use anyhow::{Result, bail};
use serde_json::{Value, json};

pub use api::{Api, ApiError};
pub use assist::assist;
pub use bank::bank;
pub use config::config;
pub use ladder::{features, ladder};
pub use notes::notes;
pub use route::route;
pub(crate) use show::table;
pub use signals::{maintenance, signals};

use crate::args::{ChannelsCommand, MessagesCommand, PaymentFilter, PaymentsCommand, ServerArgs};
use crate::lang::Lang;

/// How results are told.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The language of tables.
    pub lang: Lang,
    /// One JSON object on one line instead.
    pub json: bool,
}

impl Style {
    fn render(self, value: &Value, people: impl FnOnce(&Value, Lang) -> String) -> String {
        if self.json { value.to_string() } else { people(value, self.lang) }
    }
}

fn api(server: &ServerArgs) -> Result<Api> {
    let Some(key) = &server.api_key else {
        bail!("an API key is needed: set EVERGATE_API_KEY, or give --api-key");
    };
    Ok(Api::new(&server.server, key)?)
}

/// A path with an id in it; ids hold nothing that needs escaping, and others are refused here.
fn path(before: &str, id: &str, after: &str) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || !id.bytes().all(plain) {
        bail!("`{id}` is not an id: it holds letters, digits, '-', '_' and '.' only");
    }
    Ok(format!("{before}{id}{after}"))
}

/// `evergate payments …`
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn payments(command: PaymentsCommand, style: Style) -> Result<String> {
    match command {
        PaymentsCommand::Show { id, server } => {
            let api = api(&server)?;
            let mut payment = api.get(&path("/v1/payments/", &id, "")?, &[]).await?;
            let story = api.get(&path("/v1/payments/", &id, "/events")?, &[]).await?;
            payment["events"] = story["events"].clone();
            Ok(style.render(&payment, show::payment))
        }
        PaymentsCommand::List { filter, server } => {
            let page = api(&server)?.get("/v1/payments", &query(&filter)).await?;
            Ok(style.render(&page, show::payments))
        }
        PaymentsCommand::Cancel { id, server } => {
            let path = path("/v1/payments/", &id, "/cancel")?;
            let (_, payment) = api(&server)?.post(&path, &Value::Null, None).await?;
            Ok(style.render(&payment, show::payment))
        }
        PaymentsCommand::Hold { id, end, server } => {
            let (path, body) = (path("/v1/payments/", &id, "/hold")?, ladder::hold_body(&end)?);
            let (_, payment) = api(&server)?.post(&path, &body, None).await?;
            Ok(style.render(&payment, show::payment))
        }
        PaymentsCommand::Extend { id, reason, end, server } => {
            let path = path("/v1/payments/", &id, "/extend")?;
            let body = ladder::ended(json!({ "reason": reason }), &end);
            let (_, payment) = api(&server)?.post(&path, &body, None).await?;
            Ok(style.render(&payment, show::payment))
        }
        PaymentsCommand::Refund { id, amount, reason, idempotency_key, server } => {
            let path = path("/v1/payments/", &id, "/refunds")?;
            let key = idempotency_key.unwrap_or_else(crate::clock::random_text::<24>);
            let body = without_nulls(json!({ "amount": amount, "reason": reason }));
            let (_, made) = api(&server)?.post(&path, &body, Some(&key)).await?;
            Ok(style.render(&made, show::refund))
        }
    }
}

fn query(filter: &PaymentFilter) -> Vec<(&'static str, String)> {
    let given = [
        ("status", &filter.status),
        ("channel", &filter.channel),
        ("method", &filter.method),
        ("order_no", &filter.order),
        ("merchant", &filter.merchant),
        ("cursor", &filter.cursor),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    let review = filter.review.then(|| ("review", "true".to_owned()));
    let synthetic = filter.synthetic.then(|| ("synthetic", "true".to_owned()));
    given.chain(review).chain(synthetic).chain([("limit", filter.limit.to_string())]).collect()
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|_, value| !value.is_null());
    }
    value
}

/// `evergate channels …`
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn channels(command: ChannelsCommand, style: Style) -> Result<String> {
    let (server, path, body) = match command {
        ChannelsCommand::List { capabilities: true, config, server } => {
            let told = match config {
                Some(file) => capabilities::offline(&file)?,
                None => {
                    let query = [("capabilities", "true".to_owned())];
                    api(&server)?.get("/v1/channels", &query).await?
                }
            };
            return Ok(style.render(&told, capabilities::show));
        }
        ChannelsCommand::List { server, .. } => {
            let channels = api(&server)?.get("/v1/channels", &[]).await?;
            return Ok(style.render(&channels, show::channels));
        }
        ChannelsCommand::Watch { interval, once, server } => {
            return watch::watch(&api(&server)?, (!once).then_some(interval), style).await;
        }
        ChannelsCommand::Disable { name, reason, period, until, method, server } => {
            let path = path("/v1/channels/", &name, "/disable")?;
            let until = until.map(|until| until.to_string());
            let for_s = period.map(|period| period.as_secs().max(1));
            let body = json!({
                "reason": reason, "for_s": for_s, "until": until, "method": method,
            });
            (server, path, body)
        }
        ChannelsCommand::Prefer { name, reason, period, until, method, server } => {
            let path = path("/v1/channels/", &name, "/prefer")?;
            let until = until.map(|until| until.to_string());
            let for_s = period.map(|period| period.as_secs().max(1));
            let body = json!({
                "reason": reason, "for_s": for_s, "until": until, "method": method,
            });
            (server, path, body)
        }
        ChannelsCommand::Release { name, reason, method, server } => {
            let path = path("/v1/channels/", &name, "/release")?;
            (server, path, json!({ "reason": reason, "method": method }))
        }
        ChannelsCommand::Enable { name, reason, method, server } => {
            let path = path("/v1/channels/", &name, "/enable")?;
            (server, path, json!({ "reason": reason, "method": method }))
        }
    };
    let (_, channels) = api(&server)?.post(&path, &without_nulls(body), None).await?;
    Ok(style.render(&channels, show::channels))
}

/// `evergate messages …`
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn messages(command: MessagesCommand, style: Style) -> Result<String> {
    match command {
        MessagesCommand::List { state, limit, server } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(state.map(|state| ("state", state)));
            let page = api(&server)?.get("/v1/messages", &query).await?;
            Ok(style.render(&page, show::messages))
        }
        MessagesCommand::Resend { id, server } => {
            let path = path("/v1/messages/", &id, "/resend")?;
            api(&server)?.post(&path, &Value::Null, None).await?;
            let told = style.lang.pick("will be sent again", "将重新发送");
            Ok(style.render(&json!({ "resent": id }), |_, _| format!("{id} {told}")))
        }
    }
}
