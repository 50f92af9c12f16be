//! Notifications of providers: anyone may send one, so each must prove itself (rule 7).
//!
//! The answer is exactly what the provider's protocol asks for, or the provider would send for
//! days what we have, or stop sending what we have not. Only what is durable, or not ours to
//! handle, is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::{ChannelId, Notice, Timestamp};
use engine::EngineError;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use providers::{Acknowledgement, Delivery, Driver, Forged, Provider, Unread};

use crate::app::Shared;
use crate::body;
use crate::params::ChannelInPath;
use crate::problem::{Problem, ProblemDocument, kinds};

/// Reads a channel's notifications.
#[async_trait::async_trait]
pub trait Codecs: Send + Sync {
    /// The codec of this channel.
    fn codec(&self, channel: &ChannelId) -> Option<Arc<dyn Provider>>;

    /// Verifies and reads a delivery. A codec alone cannot ask a provider for the proof that
    /// some notifications need; the [`Driver`] can.
    ///
    /// # Errors
    /// When it does not prove itself, or that could not be found out.
    async fn read(
        &self,
        channel: &ChannelId,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Notice, Unread> {
        let codec = self.codec(channel).ok_or(Unread::NoChannel)?;
        Ok(codec.notice(delivery, now)?)
    }
}

#[async_trait::async_trait]
impl Codecs for Driver {
    fn codec(&self, channel: &ChannelId) -> Option<Arc<dyn Provider>> {
        Driver::codec(self, channel)
    }

    async fn read(
        &self,
        channel: &ChannelId,
        delivery: &Delivery,
        _now: Timestamp,
    ) -> Result<Notice, Unread> {
        self.notice(channel, delivery).await
    }
}

impl<F> Codecs for F
where
    F: Fn(&ChannelId) -> Option<Arc<dyn Provider>> + Send + Sync,
{
    fn codec(&self, channel: &ChannelId) -> Option<Arc<dyn Provider>> {
        self(channel)
    }
}

impl<S: std::hash::BuildHasher + Send + Sync> Codecs for HashMap<ChannelId, Arc<dyn Provider>, S> {
    fn codec(&self, channel: &ChannelId) -> Option<Arc<dyn Provider>> {
        self.get(channel).cloned()
    }
}

/// How a notification ended, as its metric counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Accepted,
    Irrelevant,
    Forged,
    Malformed,
    Stale,
    Unverified,
    NoPayment,
    Misfit,
    NotStored,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Ending::Accepted => "accepted",
            Ending::Irrelevant => "irrelevant",
            Ending::Forged => "forged",
            Ending::Malformed => "malformed",
            Ending::Stale => "stale",
            Ending::Unverified => "unverified",
            Ending::NoPayment => "no_payment",
            Ending::Misfit => "misfit",
            Ending::NotStored => "not_stored",
        }
    }

    fn acknowledged(self) -> bool {
        matches!(self, Ending::Accepted | Ending::Irrelevant)
    }
}

/// Take a provider's notification in.
///
/// Called by the providers, not by you. Needs no key: the notification proves itself by the
/// provider's signature. The answer is what the provider's protocol asks for.
#[utoipa::path(
    post, path = "/v1/notifications/{channel}", tag = "notifications",
    operation_id = "receive_notification", security(()),
    params(("channel" = String, Path)),
    request_body(content = String, content_type = "*/*"),
    responses(
        (status = "2XX", description = "As the provider's protocol says"),
        (status = "4XX", description = "As the provider's protocol says, or a problem",
            content((ProblemDocument = "application/problem+json"), (String = "text/plain"),
                (Object = "application/json"))),
        (status = "5XX", description = "As the provider's protocol says, or a problem",
            content((ProblemDocument = "application/problem+json"), (String = "text/plain"),
                (Object = "application/json"))),
    ),
)]
pub(crate) async fn receive(
    State(state): State<Shared>,
    ChannelInPath(channel): ChannelInPath,
    request: Request,
) -> Result<Response, Problem> {
    let Some(codec) = state.codecs.codec(&channel) else {
        // Not labelled by its name: anyone can invent names.
        count("unknown", "no_channel");
        return Err(Problem::new(&kinds::CHANNEL_NOT_FOUND, "no channel of this name"));
    };
    let headers = headers(request.headers());
    let body = body::read(request, &state).await?.to_vec();
    let delivery = Delivery { headers, body };
    let result = take_in(&state, &channel, &delivery).await;
    count(channel.as_str(), result.name());
    Ok(answer(codec.acknowledge(result.acknowledged())))
}

async fn take_in(state: &Shared, channel: &ChannelId, delivery: &Delivery) -> Ending {
    let notice = match state.codecs.read(channel, delivery, state.engine.now()).await {
        Ok(notice) => notice,
        Err(Unread::Refused(why)) => return refused(channel, &why),
        Err(why) => {
            tracing::warn!(%channel, %why, "a notification could not be verified now");
            return Ending::Unverified;
        }
    };
    let number = notice.number.clone();
    match state.engine.notice(channel, notice).await {
        Ok(()) => Ending::Accepted,
        Err(EngineError::NotFound) => {
            tracing::warn!(%channel, %number, "a notification fits no payment of ours");
            Ending::NoPayment
        }
        Err(EngineError::Misfit(why)) => {
            tracing::error!(%channel, %number, why, "a notification does not fit its payment");
            Ending::Misfit
        }
        Err(error) => {
            tracing::error!(%channel, %number, %error, "a notification could not be kept");
            Ending::NotStored
        }
    }
}

/// `Forged` has no text that the sender wrote, but for the kind of an event.
fn refused(channel: &ChannelId, why: &Forged) -> Ending {
    match why {
        Forged::Irrelevant(_) => {
            tracing::debug!(%channel, "a notification that is not handled");
            Ending::Irrelevant
        }
        Forged::Malformed(_) => {
            tracing::warn!(%channel, "a notification cannot be read");
            Ending::Malformed
        }
        Forged::Stale { .. } => {
            tracing::warn!(%channel, %why, "a notification is too old or too new");
            Ending::Stale
        }
        Forged::Signature(_) | Forged::Account(_) => {
            tracing::warn!(%channel, %why, "a notification does not prove itself");
            Ending::Forged
        }
    }
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let texts = headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    texts.collect()
}

fn answer(acknowledgement: Acknowledgement) -> Response {
    let mut response = Response::new(Body::from(acknowledgement.body));
    *response.status_mut() =
        StatusCode::from_u16(acknowledgement.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static(acknowledgement.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn count(channel: &str, result: &'static str) {
    let labels = [("channel", channel.to_owned()), ("result", result.to_owned())];
    metrics::counter!("evergate_notifications_total", &labels).increment(1);
}
