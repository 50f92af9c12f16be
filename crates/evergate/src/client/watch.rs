//! `evergate channels watch`: the health of channels as it changes.
//!
//! A frame is made from what `GET /v1/channels` says, and from nothing else. On a terminal each
//! frame replaces the one before; elsewhere frames follow each other, and with `--json` each is
//! one object on one line.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Result;
use owo_colors::{OwoColorize as _, Style as Paint};
use serde_json::Value;

use super::show::{list, table, text};
use super::{Api, Style};
use crate::lang::Lang;

/// Changes that a frame shows.
const CHANGES: usize = 8;
/// Moves to the top left and clears what is below.
const AGAIN: &str = "\x1b[H\x1b[J";

/// Shows frames until the reader goes away; one frame only when there is no interval. A gateway
/// that does not answer is said and asked again: it may be starting.
///
/// # Errors
/// When the one frame cannot be had.
pub(super) async fn watch(api: &Api, every: Option<Duration>, style: Style) -> Result<String> {
    let Some(every) = every else {
        let channels = api.get("/v1/channels", &[]).await?;
        return Ok(style.render(&channels, |value, lang| frame(value, lang, false)));
    };
    let screen = !style.json && std::io::stdout().is_terminal();
    loop {
        let told = match api.get("/v1/channels", &[]).await {
            Ok(channels) => style.render(&channels, |value, lang| frame(value, lang, screen)),
            Err(error) => {
                eprintln!("evergate: {error}");
                String::new()
            }
        };
        let again = if screen { AGAIN } else { "" };
        let mut out = std::io::stdout();
        if !told.is_empty() && writeln!(out, "{again}{told}").and_then(|()| out.flush()).is_err() {
            return Ok(String::new());
        }
        tokio::time::sleep(every).await;
    }
}

/// One frame for people.
pub(super) fn frame(value: &Value, lang: Lang, color: bool) -> String {
    let mut table = table(lang.pick(
        [
            "channel",
            "method",
            "state",
            "cause",
            "statistic",
            "share",
            "calls",
            "latency",
            "silence",
            "last change",
        ],
        ["通道", "方式", "状态", "原因", "统计量", "份额", "调用成功", "延迟", "静默", "最近变化"],
    ));
    for channel in list(value, "channels") {
        for method in list(channel, "methods") {
            table.add_row([
                text(channel, "id"),
                text(method, "method"),
                state(method, lang, color),
                text(method, "cause"),
                evidence(method),
                format!("{} %", text(method, "share")),
                percent(&method["technical_base"]),
                latency(&method["latency"], lang),
                silence(&method["silence"]),
                last_change(&method["last_change"]),
            ]);
        }
    }
    let fleet = &value["fleet"];
    format!("{table}\n{}\n{}", of_all(value, lang), changes(list(fleet, "changes"), lang))
}

fn state(method: &Value, lang: Lang, color: bool) -> String {
    let health = text(method, "health");
    let paint = match health.as_str() {
        "healthy" => Paint::new().green(),
        "down" => Paint::new().red().bold(),
        _ => Paint::new().yellow(),
    };
    let mut shown = if color { health.style(paint).to_string() } else { health };
    if method["latency"]["slow"] == true {
        shown += lang.pick(", slow", "，缓慢");
    }
    if !method["disabled"].is_null() {
        shown += lang.pick(", disabled", "，已停用");
    }
    if method["has_room"] == false {
        shown += lang.pick(", full", "，已满");
    }
    shown
}

fn evidence(of: &Value) -> String {
    format!("{} / {}", number(&of["statistic"]), number(&of["threshold"]))
}

fn number(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |n| format!("{n:.1}"))
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |n| format!("{:.1} %", n * 100.0))
}

fn latency(latency: &Value, lang: Lang) -> String {
    let (Some(usual), Some(ratio)) = (latency["usual_ms"].as_f64(), latency["ratio"].as_f64())
    else {
        return "–".to_owned();
    };
    let cap =
        latency["cap"].as_u64().map(|cap| format!(", {} {cap}", lang.pick("at most", "上限")));
    format!("{usual:.0} ms ×{ratio:.1}{}", cap.unwrap_or_default())
}

/// The stronger of both kinds of silence.
fn silence(silence: &Value) -> String {
    let of = |kind: &str| silence[kind]["statistic"].as_f64().unwrap_or(0.0);
    let kind = if of("codes") > of("calls") { "codes" } else { "calls" };
    evidence(&silence[kind])
}

fn last_change(change: &Value) -> String {
    if change.is_null() {
        return "–".to_owned();
    }
    format!("{} {} → {}", clock(&change["at"]), text(change, "from"), text(change, "to"))
}

/// The time of day of an RFC 3339 time.
fn clock(at: &Value) -> String {
    at.as_str().and_then(|at| at.get(11..19)).unwrap_or("–").to_owned()
}

/// What concerns all channels: retries, and issuers that fail everywhere or somewhere.
fn of_all(value: &Value, lang: Lang) -> String {
    let fleet = &value["fleet"];
    let mut line =
        format!("{}: {}", lang.pick("retries left", "剩余重试"), number(&fleet["retries_left"]));
    let sick: Vec<String> =
        list(fleet, "sick_issuers").iter().map(|issuer| text(issuer, "issuer")).collect();
    if !sick.is_empty() {
        let words = lang.pick("fail on every channel", "在所有通道上失败");
        line += &format!("; {}: {words}", sick.join(", "));
    }
    for channel in list(value, "channels") {
        for method in list(channel, "methods") {
            let on = format!("{} {}", text(channel, "id"), text(method, "method"));
            for issuer in list(method, "issuers") {
                line += &format!("\n{on}: {} {}", text(issuer, "issuer"), text(issuer, "health"));
            }
            if let Some(code) = method["decline_shift"]["code"].as_str() {
                let words = lang.pick("declines shifted to", "拒付原因转向");
                let at = clock(&method["decline_shift"]["at"]);
                line += &format!("\n{on}: {at} {words} {code}");
            }
        }
    }
    line
}

fn changes(changes: &[Value], lang: Lang) -> String {
    if changes.is_empty() {
        return lang.pick("no change since the start", "启动以来没有变化").to_owned();
    }
    let newest = changes.iter().rev().take(CHANGES).map(|change| {
        let cause = change["cause"].as_str().map(|c| format!(" ({c})")).unwrap_or_default();
        format!(
            "{} {} {}: {} → {}{cause}, {} nats",
            clock(&change["at"]),
            text(change, "channel"),
            text(change, "method"),
            text(change, "from"),
            text(change, "to"),
            number(&change["evidence"]),
        )
    });
    newest.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fallen() -> Value {
        let change = json!({
            "at": "2026-11-24T06:00:01.25Z", "channel": "alipay-main", "method": "alipay",
            "from": "healthy", "to": "down", "cause": "hang", "evidence": 12.34,
        });
        json!({
            "channels": [{ "id": "alipay-main", "methods": [{
                "method": "alipay", "health": "down", "cause": "hang", "statistic": 0.0,
                "threshold": 17.6, "share": 0, "technical_base": 0.9951, "last_change": change,
                "latency": { "usual_ms": 812.4, "ratio": 1.04, "slow": true, "cap": 12 },
                "silence": {
                    "calls": { "statistic": 12.34, "threshold": 11.0 },
                    "codes": { "statistic": 0.0, "threshold": 11.0 },
                },
                "issuers": [{ "issuer": "ICBC", "health": "down" }],
                "decline_shift": null, "has_room": false, "disabled": null,
            }] }],
            "fleet": {
                "retries_left": 99.5, "changes": [change],
                "sick_issuers": [{ "issuer": "CMB", "until": "2026-11-24T06:05:01Z" }],
            },
        })
    }

    #[test]
    fn a_frame_tells_state_statistic_threshold_last_change_and_history() {
        let text = frame(&fallen(), Lang::En, false);
        for part in [
            "down, slow, full",
            "hang",
            "0.0 / 17.6",
            "99.5 %",
            "812 ms ×1.0, at most 12",
            "12.3 / 11.0",
            "06:00:01 healthy → down",
            "retries left: 99.5",
            "CMB: fail on every channel",
            "alipay-main alipay: ICBC down",
            "06:00:01 alipay-main alipay: healthy → down (hang), 12.3 nats",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(frame(&fallen(), Lang::Zh, false).contains("剩余重试"));
    }

    #[test]
    fn a_gateway_that_is_not_known_to_say_more_is_shown_all_the_same() {
        let text = frame(&json!({ "channels": [] }), Lang::En, false);
        assert!(text.contains("no change since the start"), "{text}");
    }
}
