//! `evergate assist …` and its tables.

use anyhow::Result;
use serde_json::{Value, json};

use super::show::{list, table, text};
use super::{Style, api, path, without_nulls};
use crate::assist_args::{AssistCommand, OfflineArgs};
use crate::bank_args::WordArgs;
use crate::lang::Lang;

/// Does one of them.
///
/// # Errors
/// When the gateway refuses or does not answer.
pub async fn assist(command: AssistCommand, style: Style) -> Result<String> {
    match command {
        AssistCommand::List { state, tier, merchant, payment, limit, server } => {
            let mut query = vec![("limit", limit.to_string())];
            let narrowed =
                [("state", state), ("tier", tier), ("merchant", merchant), ("payment", payment)];
            query.extend(narrowed.into_iter().filter_map(|(name, value)| Some((name, value?))));
            let page = api(&server)?.get("/v1/assist/cases", &query).await?;
            Ok(style.render(&page, cases))
        }
        AssistCommand::Show { id, server } => {
            let path = path("/v1/assist/cases/", &id, "")?;
            let seen = api(&server)?.get(&path, &[]).await?;
            Ok(style.render(&seen, detail))
        }
        AssistCommand::Open { payment, word } => {
            let body = json!({ "payment": payment, "reason": word.reason });
            let (_, done) = api(&word.server)?.post("/v1/assist/cases", &body, None).await?;
            Ok(style.render(&done, case))
        }
        AssistCommand::Take { id, word } => act(&id, "/take", word, style).await,
        AssistCommand::GiveBack { id, word } => act(&id, "/give_back", word, style).await,
        AssistCommand::Note { id, word } => act(&id, "/note", word, style).await,
        AssistCommand::Approve { id, word } => act(&id, "/approve", word, style).await,
        AssistCommand::Reject { id, word } => act(&id, "/reject", word, style).await,
        AssistCommand::Close { id, word } => act(&id, "/close", word, style).await,
        AssistCommand::Pay { id, channel, method, word } => {
            let body = json!({ "channel": channel, "method": method, "reason": word.reason });
            let path = path("/v1/assist/cases/", &id, "/pay")?;
            let (_, done) = api(&word.server)?.post(&path, &without_nulls(body), None).await?;
            Ok(style.render(&done, detail))
        }
        AssistCommand::Offline(args) => offline(*args, style).await,
        AssistCommand::Refunded { payment, refund, impossible, word } => {
            let outcome = if impossible { "impossible" } else { "given_back" };
            let body = json!({ "refund": refund, "outcome": outcome, "reason": word.reason });
            let path = path("/v1/assist/payments/", &payment, "/refund")?;
            let (_, done) = api(&word.server)?.post(&path, &body, None).await?;
            Ok(style.render(&done, super::show::payment))
        }
    }
}

async fn act(id: &str, act: &str, word: WordArgs, style: Style) -> Result<String> {
    let path = path("/v1/assist/cases/", id, act)?;
    let body = json!({ "reason": word.reason });
    let (_, done) = api(&word.server)?.post(&path, &body, None).await?;
    Ok(style.render(&done, case))
}

async fn offline(args: OfflineArgs, style: Style) -> Result<String> {
    let path = path("/v1/assist/cases/", &args.id, "/offline")?;
    let body = without_nulls(json!({
        "kind": args.kind,
        "reference": args.reference,
        "amount": args.amount,
        "currency": args.currency,
        "taken_at": args.taken_at,
        "reason": args.word.reason,
    }));
    let (_, done) = api(&args.word.server)?.post(&path, &body, None).await?;
    Ok(style.render(&done, case))
}

/// What the names of states, ends and verdicts are called in Chinese.
fn word(name: &str, lang: Lang) -> String {
    let zh = match name {
        "open" => "待处理",
        "taken" => "处理中",
        "proposed" => "待复核",
        "recording" => "登记中",
        "closed" => "已结束",
        "paid" => "已在通道支付",
        "paid_offline" => "已线下收款",
        "gave_up" => "客户放弃",
        "ended" => "支付单已结束",
        "not_charged" => "未扣款",
        "may_be_paid" => "仍可支付",
        "being_closed" => "正在关闭",
        "being_confirmed" => "正在确认",
        "charged" => "已付款",
        "customer" => "客户",
        "merchant" => "商户",
        "operator" => "员工",
        "ladder" => "降级",
        "cash" => "现金",
        "pos" => "POS 刷卡",
        "cheque" => "支票",
        "transfer_seen" => "已到账的转账",
        other => other,
    };
    lang.pick(name.replace('_', " "), zh.to_owned())
}

fn money(value: &Value) -> String {
    format!("{} {}", text(value, "amount_text"), text(value, "currency"))
}

fn cases(page: &Value, lang: Lang) -> String {
    let found = list(page, "cases");
    if found.is_empty() {
        return lang.pick("no cases", "没有待协助的支付单").to_owned();
    }
    let mut table = table(lang.pick(
        ["case", "payment", "amount", "tier", "waits", "state", "by", "asked by", "reason"],
        ["工单", "支付单", "金额", "等级", "已等待", "状态", "经手人", "来源", "原因"],
    ));
    for each in found {
        table.add_row([
            text(each, "id"),
            text(each, "payment"),
            money(each),
            text(each, "tier"),
            age(each),
            standing(each, lang),
            holder(each),
            word(&text(each, "opener"), lang),
            text(each, "reason"),
        ]);
    }
    table.to_string()
}

fn age(case: &Value) -> String {
    let seconds = case["age_s"].as_u64().unwrap_or_default();
    match seconds {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

fn standing(case: &Value, lang: Lang) -> String {
    let state = word(&text(case, "state"), lang);
    match case["end"].as_str() {
        Some(end) => format!("{state}: {}", word(end, lang)),
        None => state,
    }
}

fn holder(case: &Value) -> String {
    let names = ["taken_by", "closed_by"];
    let name = names.iter().find(|name| case[**name].is_string());
    name.map_or("–".to_owned(), |name| text(case, name))
}

fn case(done: &Value, lang: Lang) -> String {
    let mut lines = vec![cases(&json!({ "cases": [done] }), lang)];
    lines.extend(taken(done, lang));
    lines.join("\n")
}

/// What is to be said of money in somebody's hands.
fn taken(case: &Value, lang: Lang) -> Option<String> {
    let told = |taken: &Value| {
        let (kind, by) = (word(&text(taken, "kind"), lang), text(taken, "by"));
        format!("{} {kind} {} ({by})", money(taken), text(taken, "reference"))
    };
    if case["hand_back"].is_object() {
        let lead = lang.pick("hand back to the customer: ", "请退还客户：");
        return Some(format!("{lead}{}", told(&case["hand_back"])));
    }
    let offline = case.get("offline").filter(|taken| taken.is_object())?;
    let lead = match (case["state"].as_str(), offline["agreed_by"].as_str()) {
        (Some("proposed"), _) => {
            lang.pick("waits for a second person: ", "等待第二人复核：").to_owned()
        }
        (_, Some(agreed)) => {
            lang.pick(format!("agreed by {agreed}: "), format!("{agreed} 已复核："))
        }
        _ => lang.pick("taken: ", "已收：").to_owned(),
    };
    Some(format!("{lead}{}", told(offline)))
}

fn detail(seen: &Value, lang: Lang) -> String {
    let mut parts = vec![case(&seen["case"], lang)];
    let both = |words: &Value| text(words, lang.pick("en", "zh"));
    let verdict = word(&text(&seen["money"], "verdict"), lang);
    parts.push(format!("{verdict}: {}", both(&seen["money"]["words"])));
    for attempt in list(seen, "attempts") {
        parts.push(format!("{}. {}", text(attempt, "ordinal"), both(&attempt["words"])));
    }
    parts.extend(pass_on(&seen["payment"], lang));
    if !list(seen, "ways").is_empty() {
        parts.push(ways(list(seen, "ways"), lang));
    }
    if let Some(why) = seen["offline"]["why_not"].as_str() {
        parts.push(
            lang.pick(format!("take no money by hand: {why}"), format!("目前不可线下收款：{why}")),
        );
    } else if seen["offline"]["needs_approval"] == true {
        let told = lang
            .pick("money taken by hand needs a second person's approval", "线下收款需要第二人复核");
        parts.push(told.to_owned());
    }
    if !list(seen, "history").is_empty() {
        parts.push(history(list(seen, "history"), lang));
    }
    parts.join("\n")
}

/// The code, link or account for the customer.
fn pass_on(payment: &Value, lang: Lang) -> Option<String> {
    let shown = payment.get("presentation").filter(|shown| shown.is_object())?;
    let content = ["content", "url"].iter().find_map(|name| shown[*name].as_str());
    let content = match content {
        Some(content) => content.to_owned(),
        None => shown["instructions"][lang.pick("en", "zh")].as_str()?.to_owned(),
    };
    Some(format!("{}{content}", lang.pick("pass on to the customer: ", "请转交客户：")))
}

fn ways(found: &[Value], lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["channel", "method", "works", "health", "note"],
        ["通道", "支付方式", "可用", "健康", "备注"],
    ));
    for way in found {
        let works = way["works"] == true;
        let works = lang.pick(if works { "yes" } else { "no" }, if works { "是" } else { "否" });
        let mut notes: Vec<String> =
            way["barred"].as_str().map(str::to_owned).into_iter().collect();
        if way["charges_at_once"] == true {
            notes.push(lang.pick("charges the saved card at once", "立即扣已保存的卡").to_owned());
        }
        if way["named"] == false {
            notes.push(lang.pick("not named by the merchant", "商户未指定").to_owned());
        }
        table.add_row([
            text(way, "channel"),
            text(way, "method"),
            works.to_owned(),
            text(way, "health"),
            notes.join("; "),
        ]);
    }
    table.to_string()
}

fn history(found: &[Value], lang: Lang) -> String {
    let mut table =
        table(lang.pick(["at", "by", "action", "reason"], ["时间", "经手人", "操作", "原因"]));
    for line in found {
        table.add_row(["at", "by", "action", "reason"].map(|name| text(line, name)));
    }
    table.to_string()
}
