//! The token that a channel's calls carry: fetched once for all who wait, kept until it runs
//! out, fetched again when the provider does not believe it any more.
//!
//! The invariant: whoever gets no token has sent nothing. A failure to get one is remembered
//! for a second, so that a token outage is not made worse by everybody asking in turn.

use std::time::Duration;

use domain::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ANSWER_BYTES_MAX, Clock, exchange, within};
use crate::{Cause, Login, NoToken, Reply, Secret};

/// For how long a failure is told to those who waited for the same answer.
const REMEMBER_FAILURE: Duration = Duration::from_secs(1);

/// A channel's token.
#[derive(Default)]
pub(super) struct Purse(Mutex<Option<Held>>);

struct Held {
    what: Result<Secret, Cause>,
    until: Timestamp,
}

impl Purse {
    /// The token, from the purse or from the provider; never the one that was `disbelieved`.
    pub(super) async fn bearer(
        &self,
        login: &dyn Login,
        http: &reqwest::Client,
        clock: &Clock,
        deadline: Instant,
        disbelieved: Option<&Secret>,
    ) -> Result<Secret, Cause> {
        let Some(mut held) = within(deadline, self.0.lock()).await else {
            return Err(none("the call's time passed while another call was asking for a token"));
        };
        if let Some(known) = held.as_ref().filter(|h| (clock)() < h.until) {
            match &known.what {
                Ok(bearer) if disbelieved.is_some_and(|d| d.expose() == bearer.expose()) => {}
                what => return what.clone(),
            }
        }
        let (what, lasts) = match fetch(login, http, deadline).await {
            Ok((bearer, lasts)) => (Ok(bearer), lasts),
            Err(cause) => (Err(cause), REMEMBER_FAILURE),
        };
        *held = Some(Held { what: what.clone(), until: (clock)() + lasts });
        what
    }
}

async fn fetch(
    login: &dyn Login,
    http: &reqwest::Client,
    deadline: Instant,
) -> Result<(Secret, Duration), Cause> {
    metrics::counter!("evergate_provider_logins_total").increment(1);
    match within(deadline, exchange(http, login.request(), ANSWER_BYTES_MAX)).await {
        Some(Reply::Answered(response)) => match login.token(&response) {
            Ok(token) => Ok((token.bearer, token.lasts)),
            Err(NoToken::Refused(detail)) => Err(Cause { code: "credentials", detail }),
            Err(NoToken::Unavailable(detail)) => Err(Cause { code: "token", detail }),
        },
        // The layer that failed is worth its own name: it is the channel's, token or not.
        Some(Reply::NotSent(cause)) => Err(cause),
        Some(Reply::Unanswered(cause)) => Err(none(&format!("{} ({})", cause.detail, cause.code))),
        None => Err(none("no answer came within the call's time")),
    }
}

fn none(detail: &str) -> Cause {
    Cause { code: "token", detail: format!("no token, so nothing was sent: {detail}") }
}
