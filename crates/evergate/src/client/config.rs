//! `evergate config …`: the configuration of a running gateway.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::show::{list, table, text};
use super::{Api, Style, api, without_nulls};
use crate::args::{ApplyArgs, ConfigCommand};
use crate::lang::Lang;

/// How often it is asked how a trial fares.
const LOOK: Duration = Duration::from_millis(500);

/// `evergate config …`: the text to print, and whether it went well.
///
/// # Errors
/// When a file cannot be read, or the gateway refuses or does not answer.
pub async fn config(command: ConfigCommand, style: Style) -> Result<(String, bool)> {
    let told = match command {
        ConfigCommand::Default => crate::config::REFERENCE.trim_end().to_owned(),
        ConfigCommand::Reload { server } => {
            let (_, done) = api(&server)?.post("/v1/config/reload", &Value::Null, None).await?;
            style.render(&done, reloaded)
        }
        ConfigCommand::Diff { file, server } => {
            let body = json!({ "text": read(&file)? });
            let (_, found) = api(&server)?.post("/v1/config/diff", &body, None).await?;
            style.render(&found, difference)
        }
        ConfigCommand::Apply(args) => return apply(&args, style).await,
        ConfigCommand::Rollback { to, reason, server } => {
            let body = without_nulls(json!({ "to": to, "reason": reason }));
            let (_, now) = api(&server)?.post("/v1/config/rollback", &body, None).await?;
            style.render(&now, status)
        }
        ConfigCommand::Status { server } => {
            let now = api(&server)?.get("/v1/config", &[]).await?;
            style.render(&now, status)
        }
        ConfigCommand::History { limit, server } => {
            let query = [("limit", limit.to_string())];
            let found = api(&server)?.get("/v1/config/versions", &query).await?;
            style.render(&found, history)
        }
        ConfigCommand::Show { version, server } => {
            let path = format!("/v1/config/versions/{version}");
            let found = api(&server)?.get(&path, &[]).await?;
            style.render(&found, |found, _| text(found, "text").trim_end().to_owned())
        }
    };
    Ok((told, true))
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

async fn apply(args: &ApplyArgs, style: Style) -> Result<(String, bool)> {
    let api = api(&args.server)?;
    let body = json!({
        "text": read(&args.file)?,
        "reason": args.reason,
        "based_on": args.based_on,
        "stages": (!args.stages.is_empty()).then_some(&args.stages),
        "at_once": args.at_once.then_some(true),
        "watch_s": args.watch.map(|watch| watch.as_secs().max(1)),
        "patience_s": args.patience.map(|patience| patience.as_secs().max(1)),
        "calls_min": args.calls_min,
        "probe": args.no_probe.then_some(false),
    });
    let (_, begun) = api.post("/v1/config/apply", &without_nulls(body), None).await?;
    if args.detach {
        return Ok((style.render(&begun, status), true));
    }
    let version = begun["rollout"]["version"].as_u64();
    let version = version.or_else(|| begun["last"]["version"].as_u64()).unwrap_or(0);
    tokio::select! {
        ended = follow(&api, version, style) => ended,
        _ = tokio::signal::ctrl_c() => {
            let text = style.lang.pick(
                "still being tried; `evergate config status` shows how it fares, \
                 `evergate config rollback` ends it",
                "仍在试行；可用 `evergate config status` 查看进展，用 `evergate config rollback` 终止",
            );
            Ok((style.render(&json!({ "version": version, "followed": false }), |_, _| text.to_owned()), true))
        }
    }
}

/// Prints how a version fares until its trial has ended.
async fn follow(api: &Api, version: u64, style: Style) -> Result<(String, bool)> {
    let mut told = String::new();
    loop {
        let now = match api.get("/v1/config", &[]).await {
            Ok(now) => now,
            // The gateway may be busy; the trial goes on without us.
            Err(error) if error.status().is_none() => {
                eprintln!("evergate: {error}");
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let is_tried = now["rollout"]["version"].as_u64() == Some(version);
        if !is_tried {
            let is_live = now["version"].as_u64() == Some(version);
            return Ok((style.render(&now, |now, lang| ended(now, version, lang)), is_live));
        }
        let line = if style.json { now.to_string() } else { progress(&now["rollout"], style.lang) };
        if line != told {
            // A reader that went away is no mistake; the trial goes on.
            let _ = writeln!(std::io::stdout(), "{line}");
            told = line;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One line: the stage and how calls went.
fn progress(rollout: &Value, lang: Lang) -> String {
    let phase = match rollout["phase"].as_str() {
        Some("probing") => lang.pick("asking the providers", "正在向服务商发起签名查询").to_owned(),
        Some("saving") => lang.pick("saving", "正在保存").to_owned(),
        _ => {
            let (percent, waits) = (text(rollout, "percent"), waits(rollout, lang));
            lang.pick(
                format!("{percent} % of the payments, waiting for {waits}"),
                format!("{percent}% 的支付，等待{waits}"),
            )
        }
    };
    let mut line = format!("{}: {phase}", version_name(&rollout["version"], lang));
    for arms in list(rollout, "channels") {
        let (channel, new) = (text(arms, "channel"), tally(&arms["candidate"], lang));
        if let Some(new) = new {
            let _ = write!(line, "; {channel}: {new}");
        }
    }
    line
}

fn version_name(version: &Value, lang: Lang) -> String {
    lang.pick(format!("version {version}"), format!("版本 {version}"))
}

fn waits(rollout: &Value, lang: Lang) -> &'static str {
    match rollout["waits_for"].as_str() {
        Some("calls") => lang.pick("more calls", "更多调用"),
        Some("fewer doubts") => lang.pick("fewer doubts", "更多佐证"),
        _ => lang.pick("time", "观察时间"),
    }
}

/// Calls by how they ended; `None` when there were none.
fn tally(tally: &Value, lang: Lang) -> Option<String> {
    let words = [
        ("ok", "good", "成功"),
        ("declined", "declined", "拒付"),
        ("rejected", "rejected", "被拒"),
        ("unavailable", "unavailable", "不可用"),
        ("unknown", "unknown", "未知"),
        ("rescued", "done with the old settings", "由旧配置完成"),
    ];
    let told = words.into_iter().filter_map(|(name, en, zh)| {
        let count = tally[name].as_u64().filter(|count| *count > 0)?;
        Some(lang.pick(format!("{count} {en}"), format!("{count} {zh}")))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn ended(now: &Value, version: u64, lang: Lang) -> String {
    let last = &now["last"];
    let name = version_name(&json!(version), lang);
    let mut out = if now["version"].as_u64() == Some(version) {
        lang.pick(format!("{name} is in force"), format!("{name} 已生效"))
    } else {
        let cause = last["cause"].as_str().unwrap_or("–");
        lang.pick(format!("{name} was rolled back: {cause}"), format!("{name} 已回滚：{cause}"))
    };
    for arms in list(last, "channels") {
        let channel = text(arms, "channel");
        let none = || lang.pick("no calls", "无调用").to_owned();
        let new = tally(&arms["candidate"], lang).unwrap_or_else(none);
        let old = tally(&arms["current"], lang).unwrap_or_else(none);
        let line = lang.pick(
            format!("  {channel}: new settings {new}; old settings {old}"),
            format!("  {channel}：新配置 {new}；旧配置 {old}"),
        );
        let _ = write!(out, "\n{line}");
    }
    out + &afterwards(now, lang)
}

/// What is left to be done by a person.
fn afterwards(now: &Value, lang: Lang) -> String {
    let mut out = String::new();
    if let Some(why) = now["not_saved"].as_str() {
        let said = lang.pick("not saved", "未写入文件");
        let _ = write!(out, "\n{said}: {why}");
    }
    let waits: Vec<&str> = list(now, "needs_restart").iter().filter_map(Value::as_str).collect();
    if !waits.is_empty() {
        let said = lang.pick("counts after a restart", "重启后生效");
        let _ = write!(out, "\n{said}: {}", waits.join(", "));
    }
    for one in list(now, "draining") {
        let (channel, open) = (text(one, "channel"), text(one, "open"));
        let said = lang.pick(
            format!("{channel} gets no new payments; {open} are still open there"),
            format!("{channel} 不再接收新支付；仍有 {open} 笔未结束"),
        );
        let _ = write!(out, "\n{said}");
    }
    out
}

fn status(now: &Value, lang: Lang) -> String {
    let mut out = match now["version"].as_u64() {
        Some(version) => {
            let name = version_name(&json!(version), lang);
            lang.pick(format!("{name} is in force"), format!("{name} 生效中"))
        }
        None => lang.pick("the version in force is not known", "当前版本未知").to_owned(),
    };
    if now["rollout"].is_object() {
        let _ = write!(out, "\n{}", progress(&now["rollout"], lang));
    } else if now["last"]["state"] == "rolled_back" {
        let (name, cause) =
            (version_name(&now["last"]["version"], lang), text(&now["last"], "cause"));
        let said = lang.pick("was rolled back", "已回滚");
        let _ = write!(out, "\n{name} {said}: {cause}");
    }
    out + &afterwards(now, lang)
}

fn reloaded(done: &Value, lang: Lang) -> String {
    let names =
        |name: &str| -> Vec<&str> { list(done, name).iter().filter_map(Value::as_str).collect() };
    let new: Vec<&str> = names("channels").into_iter().chain(names("sections")).collect();
    let mut out = if new.is_empty() {
        lang.pick("nothing has changed", "没有变化").to_owned()
    } else {
        format!("{}: {}", lang.pick("taken over", "已更新"), new.join(", "))
    };
    if let Some(until) = done["believed_until"].as_str() {
        let said = lang.pick("the old keys are believed until", "旧密钥仍可验签至");
        let _ = write!(out, "\n{said} {until}");
    }
    out + &afterwards(done, lang)
}

fn difference(found: &Value, lang: Lang) -> String {
    let changes = list(found, "changes");
    let base = text(found, "based_on");
    if changes.is_empty() {
        return lang.pick(
            format!("nothing differs from version {base}"),
            format!("与版本 {base} 没有差异"),
        );
    }
    let mut rows = table(
        lang.pick(["setting", "now", "becomes", "counts"], ["配置项", "当前", "变为", "生效"]),
    );
    for change in changes {
        let live = match change["live"].as_bool() {
            Some(true) => lang.pick("at once", "立即"),
            _ => lang.pick("after a restart", "重启后"),
        };
        rows.add_row([
            text(change, "path"),
            text(change, "from"),
            text(change, "to"),
            live.to_owned(),
        ]);
    }
    let touched: Vec<&str> = list(found, "touched").iter().filter_map(Value::as_str).collect();
    let tried = if touched.is_empty() {
        lang.pick("no channel is touched", "不涉及任何通道").to_owned()
    } else {
        format!("{}: {}", lang.pick("tried in stages on", "分阶段试行的通道"), touched.join(", "))
    };
    format!(
        "{rows}\n{}; {tried}",
        lang.pick(format!("compared with version {base}"), format!("对比版本 {base}"))
    )
}

fn history(found: &Value, lang: Lang) -> String {
    let mut rows = table(lang.pick(
        ["version", "state", "at", "by", "reason", "cause"],
        ["版本", "状态", "时间", "操作人", "原因", "说明"],
    ));
    for version in list(found, "versions") {
        rows.add_row(
            ["version", "state", "at", "by", "reason", "cause"].map(|name| text(version, name)),
        );
    }
    rows.to_string()
}
