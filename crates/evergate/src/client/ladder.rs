//! `evergate ladder`, `evergate features`, and holds of payments.

use std::time::Duration;

use anyhow::{Result, bail};
use domain::{Level, Locale};
use serde_json::{Value, json};

use super::show::{list, table, text};
use super::{Style, api, path, without_nulls};
use crate::args::{EndArgs, FeaturesCommand, LadderCommand};
use crate::lang::Lang;

/// `evergate ladder …`
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn ladder(command: LadderCommand, style: Style) -> Result<String> {
    let seen = match command {
        LadderCommand::Show { server } => api(&server)?.get("/v1/ladder", &[]).await?,
        LadderCommand::Move { scope, level, reason, end, server } => {
            let body = ended(json!({ "scope": scope, "level": level, "reason": reason }), &end);
            api(&server)?.post("/v1/ladder/move", &body, None).await?.1
        }
        LadderCommand::Lift { scope, reason, server } => {
            let body = json!({ "scope": scope, "reason": reason });
            api(&server)?.post("/v1/ladder/lift", &body, None).await?.1
        }
    };
    Ok(style.render(&seen, show))
}

/// `evergate features …`
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn features(command: FeaturesCommand, style: Style) -> Result<String> {
    let seen = match command {
        FeaturesCommand::Pause { purpose, reason, end, server } => {
            let path = path("/v1/features/", &purpose, "/pause")?;
            let body = ended(json!({ "reason": reason }), &end);
            api(&server)?.post(&path, &body, None).await?.1
        }
        FeaturesCommand::Resume { purpose, reason, server } => {
            let path = path("/v1/features/", &purpose, "/resume")?;
            api(&server)?.post(&path, &json!({ "reason": reason }), None).await?.1
        }
    };
    Ok(style.render(&seen, show))
}

/// A body with the end that was given.
pub(super) fn ended(mut body: Value, end: &EndArgs) -> Value {
    body["for_s"] = json!(end.period.map(seconds));
    body["until"] = json!(end.until.map(|until| until.to_string()));
    without_nulls(body)
}

pub(super) fn seconds(period: Duration) -> u64 {
    period.as_secs().max(1)
}

/// Holds or extends; without an end only a hold, which then lasts as configured.
pub(super) fn hold_body(end: &EndArgs) -> Result<Value> {
    if end.until.is_some() {
        bail!("--until is for `payments extend`; a hold is given --for, or the configured time");
    }
    Ok(without_nulls(json!({ "for_s": end.period.map(seconds) })))
}

fn show(value: &Value, lang: Lang) -> String {
    let mut parts = vec![methods(value, lang)];
    if list(value, "levels").is_empty() {
        parts.push(lang.pick("every level is normal", "所有级别均为正常").to_owned());
    } else {
        parts.push(levels(list(value, "levels"), lang));
    }
    if list(value, "paused").is_empty() {
        parts.push(lang.pick("nothing is paused", "没有暂停的功能").to_owned());
    } else {
        parts.push(paused(list(value, "paused"), lang));
    }
    if value["was_paused"] == false {
        let told = lang.pick("it was not paused; nothing changed", "该功能并未暂停，未做任何更改");
        parts.push(told.to_owned());
    }
    parts.join("\n")
}

fn methods(value: &Value, lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["method", "available", "level", "instead"],
        ["支付方式", "可用", "级别", "替代方式"],
    ));
    for one in list(value, "methods") {
        let works = one["available"] == true;
        let works = lang.pick(if works { "yes" } else { "no" }, if works { "是" } else { "否" });
        let works = works.to_owned();
        table.add_row([text(one, "method"), works, level(one, lang), text(one, "instead")]);
    }
    table.to_string()
}

fn level(one: &Value, lang: Lang) -> String {
    let name = text(one, "level");
    let Ok(level) = name.parse::<Level>() else { return name };
    let number = level.number();
    lang.pick(format!("{number} {name}"), format!("{number} {}", level.label(Locale::Zh)))
}

fn levels(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["scope", "level", "by", "reason", "since", "until"],
        ["范围", "级别", "来源", "原因", "开始", "结束"],
    ));
    for one in found {
        let overruled = one["overruled"] == true;
        let shown = match overruled {
            true => format!("({})", level(one, lang)),
            false => level(one, lang),
        };
        let rest = ["by", "reason", "since", "until"].map(|name| text(one, name));
        table.add_row([text(one, "scope"), shown].into_iter().chain(rest));
    }
    table.to_string()
}

fn paused(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["paused", "by", "reason", "since", "until"],
        ["已暂停", "来源", "原因", "开始", "结束"],
    ));
    for one in found {
        table.add_row(["purpose", "by", "reason", "since", "until"].map(|name| text(one, name)));
    }
    table.to_string()
}
