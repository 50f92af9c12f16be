//! What the gateway's operator does during a demo, by the same HTTP API as in real life.

use std::time::{Duration, Instant};

use anyhow::Result;
use sandbox::{OperatorAct, OperatorStep, Scenario};
use serde_json::{Value, json};

use super::live::Live;
use super::story::Happened;
use crate::client::{Api, ApiError};
use crate::lang::Lang;

/// The operator at the desk.
pub(super) struct Operator<'a> {
    /// The gateway, with the operator's key.
    pub(super) api: Api,
    /// The screen.
    pub(super) live: &'a Live,
    /// Whose language the screen speaks.
    pub(super) lang: Lang,
    /// The start of the traffic.
    pub(super) began: Instant,
}

impl Operator<'_> {
    /// Does everything at its time; gives what was done, and what was refused.
    pub(super) async fn work(&self, scenario: &Scenario) -> Vec<Happened> {
        let mut steps: Vec<&OperatorStep> = scenario.operator.iter().collect();
        steps.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let mut done = Vec::new();
        for step in steps {
            let at = self.began + Duration::from_secs_f64(step.at_s);
            tokio::time::sleep_until(at.into()).await;
            done.push(self.step(&step.does).await);
        }
        done
    }

    async fn step(&self, act: &OperatorAct) -> Happened {
        let (path, body) = self.request(act);
        let refused = self.api.post(&path, &body, None).await.err();
        let at = self.began.elapsed();
        let (en, zh) = words(act);
        let refused = refused.as_ref().map(ApiError::to_string);
        let happened = Happened::Operator { at_s: at.as_secs_f64(), en, zh, refused };
        self.live.announce(at, &happened.told(self.lang));
        happened
    }

    fn request(&self, act: &OperatorAct) -> (String, Value) {
        match act {
            OperatorAct::PlanMaintenance { channel, method, issuer, from_s, until_s, reason } => {
                let body = json!({
                    "channel": channel, "method": method, "issuer": issuer,
                    "from": self.moment(*from_s), "until": self.moment(*until_s),
                    "reason": reason,
                });
                ("/v1/maintenance".to_owned(), without_nulls(body))
            }
            OperatorAct::Disable { channel, reason } => {
                (format!("/v1/channels/{channel}/disable"), json!({ "reason": reason }))
            }
            OperatorAct::Enable { channel, reason } => {
                (format!("/v1/channels/{channel}/enable"), json!({ "reason": reason }))
            }
        }
    }

    /// A moment of the scenario as the API takes it.
    fn moment(&self, s: f64) -> String {
        let now = crate::clock::now() + Duration::from_secs_f64(s);
        let at = now - self.began.elapsed();
        jiff::Timestamp::from_microsecond(at.as_micros())
            .map_or_else(|_| String::new(), |t| t.to_string())
    }
}

/// What an act is, in English and in Chinese.
fn words(act: &OperatorAct) -> (String, String) {
    match act {
        OperatorAct::PlanMaintenance { channel, method, issuer, from_s, until_s, .. } => {
            let parts = [channel.as_deref(), method.as_deref(), issuer.as_deref()];
            let what = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
            (
                format!("planned maintenance stated: {what}, {from_s:.1} s to {until_s:.1} s"),
                format!("登记计划维护：{what}，{from_s:.1} 秒至 {until_s:.1} 秒"),
            )
        }
        OperatorAct::Disable { channel, .. } => {
            (format!("{channel} taken out of service"), format!("停用 {channel}"))
        }
        OperatorAct::Enable { channel, .. } => {
            (format!("{channel} put back into service"), format!("恢复 {channel}"))
        }
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

/// The operator of a run.
///
/// # Errors
/// When no HTTP client can be made.
pub(super) fn hire<'a>(
    (url, key): (&str, &str),
    live: &'a Live,
    lang: Lang,
    began: Instant,
) -> Result<Operator<'a>> {
    Ok(Operator { api: Api::new(url, key)?, live, lang, began })
}
