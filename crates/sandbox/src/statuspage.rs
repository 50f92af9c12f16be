//! A status page in the shape of Statuspage v2, one part for each account, that says what it is
//! told to say: a real page may be late or wrong, and nothing here looks at faults.

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::books::Millis;
use crate::control::lock;
use crate::server::{Call, Reply};
use crate::state::State;

/// What the page says besides "all is well".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StatusPage {
    /// States of parts, by the account's name, such as `major_outage`.
    components: std::collections::BTreeMap<String, String>,
    /// Incidents, as the page's protocol writes them.
    incidents: Vec<Value>,
    /// Planned work, as the page's protocol writes it.
    scheduled_maintenances: Vec<Value>,
    /// Answered instead of the page, for readers that must stand nonsense.
    raw: Option<String>,
    /// Counts the changes, for `ETag`.
    #[serde(skip)]
    version: u64,
}

/// Answers a call to `/sandbox/status…`; `None` for a path that is not here.
pub(crate) fn answer(state: &State, call: &Call, path: &[&str], now: Millis) -> Option<Reply> {
    match (&call.method, path) {
        (&Method::GET, ["status", "summary.json"]) => Some(summary(state, call, now)),
        (&Method::POST, ["status"]) => Some(set(state, call)),
        (&Method::DELETE, ["status"]) => Some(replace(state, StatusPage::default())),
        _ => None,
    }
}

fn set(state: &State, call: &Call) -> Reply {
    match serde_json::from_slice::<StatusPage>(&call.body) {
        Ok(page) => replace(state, page),
        Err(why) => {
            let error = json!({ "code": "invalid_body", "message": why.to_string() });
            Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error }))
        }
    }
}

fn replace(state: &State, page: StatusPage) -> Reply {
    let mut known = lock(&state.status_page);
    *known = StatusPage { version: known.version + 1, ..page };
    let said = serde_json::to_value(&*known).unwrap_or_default();
    Reply::json(StatusCode::OK, &said)
}

fn summary(state: &State, call: &Call, now: Millis) -> Reply {
    let page = lock(&state.status_page).clone();
    let etag = format!("\"v{}\"", page.version);
    if call.header("if-none-match") == Some(etag.as_str()) {
        return Reply::text(StatusCode::NOT_MODIFIED, "").with("etag", etag);
    }
    if let Some(raw) = page.raw {
        return Reply::new(StatusCode::OK, "application/json", raw).with("etag", etag);
    }
    let parts = state.accounts.iter().map(|account| {
        let status = page.components.get(&account.name).map_or("operational", String::as_str);
        json!({ "id": format!("part-{}", account.name), "name": account.name, "status": status,
            "group": false })
    });
    let indicator = if page.components.is_empty() { "none" } else { "major" };
    let body = json!({
        "page": { "id": "sandbox", "name": "Sandbox", "updated_at": now.to_string() },
        "status": { "indicator": indicator, "description": indicator },
        "components": parts.collect::<Vec<_>>(),
        "incidents": page.incidents,
        "scheduled_maintenances": page.scheduled_maintenances,
    });
    Reply::json(StatusCode::OK, &body).with("etag", etag)
}
