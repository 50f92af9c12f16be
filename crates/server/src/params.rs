//! Path parameters and headers that handlers share.

use axum::extract::{FromRequestParts, Path};
use domain::{ChannelId, Payment, PaymentId};
use engine::KeyedRequest;
use http::HeaderMap;
use http::request::Parts;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::problem::{Mistake, Problem, kinds};

/// The payment's id in the path. One that is no id names nothing, so it is not found.
pub(crate) struct IdInPath(pub(crate) PaymentId);

impl FromRequestParts<Shared> for IdInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let text = name_in_path(parts, state).await?;
        let id = text
            .parse()
            .map_err(|error: domain::InvalidText| Problem::new(&kinds::NOT_FOUND, error.rule))?;
        Ok(IdInPath(id))
    }
}

/// The channel's name in the path.
pub(crate) struct ChannelInPath(pub(crate) ChannelId);

impl FromRequestParts<Shared> for ChannelInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let text = name_in_path(parts, state).await?;
        let id = ChannelId::new(&text)
            .map_err(|error| Problem::new(&kinds::CHANNEL_NOT_FOUND, error.rule))?;
        Ok(ChannelInPath(id))
    }
}

/// Any other name in the path.
pub(crate) struct NameInPath(pub(crate) String);

impl FromRequestParts<Shared> for NameInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        Ok(NameInPath(name_in_path(parts, state).await?))
    }
}

async fn name_in_path(parts: &mut Parts, state: &Shared) -> Result<String, Problem> {
    match Path::<String>::from_request_parts(parts, state).await {
        Ok(Path(text)) => Ok(text),
        Err(_) => Err(Problem::new(&kinds::NOT_FOUND, "the address is not readable as UTF-8")),
    }
}

/// A payment that the caller may see. One that it may not see is not found, so that ids of
/// other merchants cannot be told from ids of nobody.
pub(crate) async fn visible(
    state: &Shared,
    caller: &Caller,
    id: PaymentId,
) -> Result<Payment, Problem> {
    let found = state.engine.store().payment(id).await?;
    found
        .filter(|p| caller.sees().is_none_or(|merchant| *merchant == p.merchant))
        .ok_or_else(|| Problem::new(&kinds::NOT_FOUND, "there is no such payment"))
}

/// A payment that the caller may change: its merchant's own. Operators look; money is moved by
/// the merchant's key only, so that the books say who did it (rule 12).
pub(crate) async fn own(
    state: &Shared,
    caller: &Caller,
    id: PaymentId,
) -> Result<Payment, Problem> {
    let payment = visible(state, caller, id).await?;
    if caller.owns(&payment) {
        return Ok(payment);
    }
    let detail = "only a key of the payment's own merchant may change it";
    Err(Problem::new(&kinds::FORBIDDEN, detail))
}

/// The `Idempotency-Key` header, with the digest of the request that it stands for.
pub(crate) fn keyed(
    headers: &HeaderMap,
    body: &JsonBody,
    mistakes: &mut Vec<Mistake>,
) -> Option<KeyedRequest> {
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values.next()?;
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
    match key {
        Some(key) if values.next().is_none() => {
            Some(KeyedRequest { key: key.to_owned(), fingerprint: body.fingerprint() })
        }
        _ => {
            mistakes.push(Mistake::new(
                "Idempotency-Key",
                "must be one key of 1 to 255 visible ASCII characters",
                "send a fresh UUID for every new wish",
            ));
            None
        }
    }
}
