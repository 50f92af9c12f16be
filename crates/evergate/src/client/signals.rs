//! `evergate signals` and `evergate maintenance`.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::show::{list, table, text};
use super::{Style, api, path, without_nulls};
use crate::args::{MaintenanceCommand, PlanArgs, ServerArgs};
use crate::lang::Lang;

/// `evergate signals`
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn signals(server: &ServerArgs, style: Style) -> Result<String> {
    let seen = api(server)?.get("/v1/signals", &[]).await?;
    Ok(style.render(&seen, all))
}

/// `evergate maintenance …`
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn maintenance(command: MaintenanceCommand, style: Style) -> Result<String> {
    let listed = match command {
        MaintenanceCommand::List { server } => api(&server)?.get("/v1/maintenance", &[]).await?,
        MaintenanceCommand::Add { plan, server } => {
            let body = body(&plan)?;
            api(&server)?.post("/v1/maintenance", &body, None).await?.1
        }
        MaintenanceCommand::Remove { id, reason, server } => {
            let path = path("/v1/maintenance/", &id, "")?;
            api(&server)?.delete(&path, &[("reason", reason)]).await?
        }
    };
    Ok(style.render(&listed, windows))
}

fn body(plan: &PlanArgs) -> Result<Value> {
    if plan.channel.is_none() && plan.method.is_none() && plan.issuer.is_none() {
        bail!("say what is away: --channel, --method or --issuer, or several to narrow it");
    }
    let days = plan.days.as_ref().map(|days| days.split(',').map(str::trim).collect::<Vec<_>>());
    let until = match (plan.until, plan.period) {
        (None, Some(period)) if days.is_none() => {
            let from = plan.from.map_or_else(crate::clock::now, |from| {
                domain::Timestamp::from_micros(from.as_microsecond())
            });
            jiff::Timestamp::from_microsecond((from + period).as_micros()).ok()
        }
        (until, _) => until,
    };
    Ok(without_nulls(json!({
        "channel": plan.channel,
        "method": plan.method,
        "issuer": plan.issuer,
        "from": plan.from.map(|from| from.to_string()),
        "until": until.map(|until| until.to_string()),
        "duration_s": plan.period.filter(|_| days.is_some()).map(|period| period.as_secs()),
        "days": days,
        "start": plan.start,
        "zone": plan.zone,
        "reason": plan.reason,
    })))
}

fn scope(value: &Value, lang: Lang) -> String {
    let parts: Vec<&str> =
        ["channel", "method", "issuer"].iter().filter_map(|name| value[name].as_str()).collect();
    if parts.is_empty() { lang.pick("all", "全部").to_owned() } else { parts.join(" ") }
}

fn windows(value: &Value, lang: Lang) -> String {
    let found = list(value, "maintenance");
    if found.is_empty() {
        return lang.pick("no planned absences", "没有维护计划").to_owned();
    }
    let mut table = table(lang.pick(
        ["id", "what", "when", "next", "by", "reason"],
        ["编号", "对象", "时间", "下次", "来源", "原因"],
    ));
    for one in found {
        table.add_row([
            text(one, "id"),
            scope(one, lang),
            when(one),
            next(&one["next"], lang),
            text(one, "by"),
            text(one, "reason"),
        ]);
    }
    table.to_string()
}

fn when(one: &Value) -> String {
    if one["repeats"] == "weekly" {
        let days: Vec<&str> = list(one, "days").iter().filter_map(Value::as_str).collect();
        let (start, zone) = (text(one, "start"), text(one, "zone"));
        return format!("{} {start} {zone}, {} s", days.join(","), text(one, "duration_s"));
    }
    format!("{} – {}", text(one, "from"), text(one, "until"))
}

fn next(next: &Value, lang: Lang) -> String {
    match (next["active"].as_bool(), next["from"].as_str()) {
        (Some(true), _) => {
            format!("{} {}", lang.pick("now, until", "进行中，至"), text(next, "until"))
        }
        (_, Some(from)) => from.to_owned(),
        _ => "–".to_owned(),
    }
}

/// Everything, in tables one below the other.
fn all(value: &Value, lang: Lang) -> String {
    let mut parts = vec![probes(list(value, "probes"), lang)];
    let synthetic = list(value, "synthetic");
    if !synthetic.is_empty() {
        parts.push(trials(synthetic, lang));
    }
    if !list(value, "feeds").is_empty() {
        parts.push(feeds(list(value, "feeds"), lang));
    }
    if !list(value, "downtimes").is_empty() {
        parts.push(downtimes(list(value, "downtimes"), lang));
    }
    if !list(value, "maintenance").is_empty() {
        parts.push(planned(list(value, "maintenance"), lang));
    }
    if !list(value, "certificates").is_empty() {
        parts.push(certificates(list(value, "certificates"), lang));
    }
    if !list(value, "notes").is_empty() {
        parts.push(notes(list(value, "notes"), lang));
    }
    parts.join("\n")
}

fn certificates(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["certificate", "of", "subject", "ends", "days", "level"],
        ["证书", "配置项", "主体", "到期时间", "剩余天数", "级别"],
    ));
    for one in found {
        let level = match (one["level"].as_str(), one["within_days"].as_u64()) {
            (Some("expired"), _) => lang.pick("has ended", "已过期").to_owned(),
            (_, Some(days)) => lang.pick(format!("within {days} days"), format!("{days} 天内到期")),
            _ => lang.pick("good", "正常").to_owned(),
        };
        let plain = ["channel", "name", "subject", "not_after", "days_left"];
        let [channel, name, subject, ends, days] = plain.map(|name| text(one, name));
        table.add_row([channel, name, subject, ends, days, level]);
    }
    table.to_string()
}

fn notes(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(["configuration", "at", "note"], ["配置", "时间", "说明"]));
    for note in found {
        let kind = match note["kind"].as_str() {
            Some("reload_failed") => lang.pick("reload failed", "重新加载失败"),
            Some("not_saved") => lang.pick("not saved", "未写入文件"),
            Some("not_drained") => lang.pick("not drained", "无法收尾"),
            Some("rolled_back") => lang.pick("rolled back", "已回滚"),
            _ => "–",
        };
        table.add_row([kind.to_owned(), text(note, "at"), text(note, "text")]);
    }
    table.to_string()
}

fn probes(found: &[Value], lang: Lang) -> String {
    if found.is_empty() {
        return lang.pick("nothing was probed yet", "尚未探测").to_owned();
    }
    let mut table = table(lang.pick(
        ["probe", "at", "broken", "why", "certificate"],
        ["探测", "时间", "故障层", "原因", "证书"],
    ));
    for probe in found {
        let why = match probe["code"].as_str() {
            Some(code) => format!("{code}: {}", text(probe, "detail")),
            None => "–".to_owned(),
        };
        let days = probe["certificate"]["days_left"].as_i64().map_or("–".to_owned(), |days| {
            lang.pick(format!("{days} days"), format!("剩 {days} 天"))
        });
        table.add_row([
            text(probe, "channel"),
            text(probe, "at"),
            text(probe, "broken"),
            why,
            days,
        ]);
    }
    table.to_string()
}

fn trials(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["synthetic payment", "method", "at", "result", "detail", "payment"],
        ["检测支付", "方式", "时间", "结果", "详情", "支付单"],
    ));
    for trial in found {
        table.add_row(
            ["channel", "method", "at", "result", "detail", "payment"]
                .map(|name| text(trial, name)),
        );
    }
    table.to_string()
}

fn feeds(found: &[Value], lang: Lang) -> String {
    let mut table = table(
        lang.pick(["status page", "read", "error", "says"], ["状态页", "读取时间", "错误", "内容"]),
    );
    for feed in found {
        let said: Vec<String> = list(feed, "said")
            .iter()
            .map(|said| {
                let (scope, severity) = (scope(&said["scope"], lang), text(said, "severity"));
                format!("{scope}: {severity}: {}", text(said, "text"))
            })
            .collect();
        let said = if feed["stale"] == true {
            lang.pick("stale: no evidence", "已过期，不作依据").to_owned()
        } else {
            said.join("; ")
        };
        table.add_row([text(feed, "name"), text(feed, "read_at"), text(feed, "error"), said]);
    }
    table.to_string()
}

fn downtimes(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["downtime", "what", "status", "severity", "from", "until"],
        ["故障通告", "对象", "状态", "严重程度", "开始", "结束"],
    ));
    for event in found {
        table.add_row([
            text(event, "id"),
            scope(&event["scope"], lang),
            text(event, "status"),
            text(event, "severity"),
            text(event, "from"),
            text(event, "until"),
        ]);
    }
    table.to_string()
}

fn planned(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["planned absence", "what", "from", "until", "reason"],
        ["维护计划", "对象", "开始", "结束", "原因"],
    ));
    for absence in found {
        table.add_row([
            text(absence, "id"),
            scope(&absence["scope"], lang),
            text(&absence["when"], "from"),
            text(&absence["when"], "until"),
            text(absence, "reason"),
        ]);
    }
    table.to_string()
}
