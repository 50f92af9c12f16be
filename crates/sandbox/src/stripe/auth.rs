//! The API key, as Bearer token or as Basic user name.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::errors::Failure;
use super::{Intake, StripeAccount};
use crate::server::Call;

/// The key that a request carries.
pub(crate) fn key(call: &Call) -> Option<String> {
    let header = call.header("authorization")?;
    if let Some(key) = header.strip_prefix("Bearer ") {
        return Some(key.trim().to_owned());
    }
    let basic = BASE64.decode(header.strip_prefix("Basic ")?.trim()).ok()?;
    let pair = String::from_utf8(basic).ok()?;
    Some(pair.split_once(':').map_or(pair.as_str(), |(user, _)| user).to_owned())
}

/// The account that this key belongs to.
pub(crate) fn admit(intake: &Intake) -> Result<&Arc<StripeAccount>, Failure> {
    match (&intake.account, key(&intake.call)) {
        (Some(account), _) => Ok(account),
        (None, Some(key)) => Err(Failure::unknown_key(&key)),
        (None, None) => Err(Failure::no_key()),
    }
}

/// Whether the request came with the browser's key.
pub(crate) fn is_publishable(intake: &Intake, account: &StripeAccount) -> bool {
    key(&intake.call).is_some_and(|key| key == account.publishable_key && key != account.secret_key)
}
