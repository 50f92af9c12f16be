//! What the gateway's operator does during a demo, by the same HTTP API as in real life.

use std::time::{Duration, Instant};

use anyhow::Result;
use sandbox::{OperatorAct, OperatorStep, Scenario};
use serde_json::{Value, json};

use super::live::Live;
use super::stage::Stage;
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
    /// Holds the configuration that runs.
    pub(super) stage: &'a Stage,
}

/// How a configuration is tried here: times that make half a minute tell the story.
const STAGES: [u8; 2] = [20, 100];
/// How long each stage is watched at least, in seconds.
const WATCH_S: u64 = 1;
/// Calls that a stage needs.
const CALLS_MIN: u64 = 5;
/// How long a trial may take.
const TRIAL: Duration = Duration::from_secs(60);

impl Operator<'_> {
    /// Does everything at its time; gives what was done, and what was refused.
    pub(super) async fn work(&self, scenario: &Scenario) -> Vec<Happened> {
        let mut steps: Vec<&OperatorStep> = scenario.operator.iter().collect();
        steps.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let mut done = Vec::new();
        for step in steps {
            let at = self.began + Duration::from_secs_f64(step.at_s);
            tokio::time::sleep_until(at.into()).await;
            let happened = self.step(&step.does).await;
            let refused = matches!(&happened, Happened::Operator { refused: Some(_), .. });
            done.push(happened);
            if let (OperatorAct::PushWrongKey { channel, .. }, false) = (&step.does, refused) {
                done.extend(self.watch_trial(channel).await);
            }
        }
        done
    }

    /// Looks how a configuration fares until it is in force or back.
    async fn watch_trial(&self, channel: &str) -> Option<Happened> {
        let (from, until) = (self.began.elapsed(), Instant::now() + TRIAL);
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let Ok(status) = self.api.get("/v1/config", &[]).await else { continue };
            if status["rollout"].is_null() && !status["last"].is_null() {
                let at = self.began.elapsed();
                let ended = ended(channel, &status["last"], (from, at));
                self.live.announce(at, &ended.told(self.lang));
                return Some(ended);
            }
        }
        None
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
            OperatorAct::PushWrongKey { channel, reason } => {
                let body = json!({
                    "text": self.stage.with_wrong_key(channel), "reason": reason,
                    "stages": STAGES, "watch_s": WATCH_S, "calls_min": CALLS_MIN, "probe": false,
                });
                ("/v1/config/apply".to_owned(), body)
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
        OperatorAct::PushWrongKey { channel, .. } => (
            format!("a configuration with a wrong key of {channel} applied in stages"),
            format!("分阶段应用配置，其中 {channel} 的密钥有误"),
        ),
        OperatorAct::Enable { channel, .. } => {
            (format!("{channel} put back into service"), format!("恢复 {channel}"))
        }
    }
}

/// How a trial ended, from what the gateway says of it.
fn ended(channel: &str, last: &Value, (from, at): (Duration, Duration)) -> Happened {
    let arms = last["channels"].as_array().into_iter().flatten();
    let candidate = arms.clone().find(|arms| arms["channel"] == channel).map(|a| &a["candidate"]);
    let count = |name: &str| candidate.and_then(|tally| tally[name].as_u64()).unwrap_or_default();
    let calls = ["ok", "declined", "rejected", "unavailable", "unknown"].map(&count).iter().sum();
    Happened::Trial {
        channel: channel.to_owned(),
        from_s: from.as_secs_f64(),
        until_s: at.as_secs_f64(),
        state: last["state"].as_str().unwrap_or_default().to_owned(),
        calls,
        failed: count("rejected") + count("unavailable") + count("unknown"),
        rescued: count("rescued"),
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
    stage: &'a Stage,
) -> Result<Operator<'a>> {
    Ok(Operator { api: Api::new(url, key)?, live, lang, began, stage })
}
