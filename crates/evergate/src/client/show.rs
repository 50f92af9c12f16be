//! Tables for people, from the API's JSON.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::lang::Lang;

/// A table in the house's style.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    table
}

pub(super) fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn money(payment: &Value) -> String {
    format!("{} {}", text(payment, "amount_text"), text(payment, "currency"))
}

pub(super) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// A page of payments.
pub(super) fn payments(page: &Value, lang: Lang) -> String {
    let found = list(page, "payments");
    if found.is_empty() {
        return lang.pick("no payments", "没有支付单").to_owned();
    }
    let mut table = table(lang.pick(
        ["payment", "order", "amount", "status", "method", "channel", "made"],
        ["支付单", "订单号", "金额", "状态", "方式", "通道", "创建时间"],
    ));
    for payment in found {
        table.add_row([
            text(payment, "id"),
            text(payment, "order_no"),
            money(payment),
            text(payment, "status"),
            text(payment, "method"),
            text(payment, "channel"),
            text(payment, "created_at"),
        ]);
    }
    match page["next_cursor"].as_str() {
        Some(cursor) => format!("{table}\n{} --cursor {cursor}", lang.pick("more:", "更多：")),
        None => table.to_string(),
    }
}

/// One payment with everything about it.
pub(super) fn payment(payment: &Value, lang: Lang) -> String {
    let mut out = format!(
        "{}  {}  {}  {}\n",
        text(payment, "id"),
        text(payment, "status"),
        money(payment),
        text(payment, "order_no")
    );
    for (name, en, zh) in [
        ("merchant", "merchant", "商户"),
        ("created_at", "made", "创建"),
        ("expires_at", "ends", "到期"),
        ("paid_at", "paid", "支付"),
        ("review", "to be looked at", "待人工处理"),
    ] {
        if !payment[name].is_null() {
            let _ = writeln!(out, "  {}: {}", lang.pick(en, zh), text(payment, name));
        }
    }
    out.push_str(&kept(payment, lang));
    let _ = writeln!(out, "{}", attempts(payment, lang));
    if !list(payment, "refunds").is_empty() {
        let _ = writeln!(out, "{}", refunds(list(payment, "refunds"), lang));
    }
    for event in list(payment, "events") {
        let _ = writeln!(out, "  {}  {}", text(event, "at"), story(event));
    }
    out.trim_end().to_owned()
}

/// That its order is or was held, or that it waits for its feature.
fn kept(payment: &Value, lang: Lang) -> String {
    let mut out = String::new();
    let (hold, paused) = (&payment["hold"], &payment["paused"]);
    if hold.is_object() {
        let (until, by) = (text(hold, "until"), text(hold, "by"));
        let ended = match hold["ended"].as_str() {
            Some(end) => format!(", {} {end}", lang.pick("ended:", "已结束：")),
            None => String::new(),
        };
        let told = lang.pick("order kept until", "订单保留至");
        let _ = writeln!(out, "  {told} {until} ({by}){ended}");
    }
    if paused.is_object() {
        let told = lang.pick("not charged: its feature is paused since", "未扣款：功能暂停于");
        let _ = writeln!(out, "  {told} {}", text(paused, "since"));
    }
    out
}

fn story(event: &Value) -> String {
    let more = event.as_object().into_iter().flatten();
    let more = more.filter(|(name, _)| !matches!(name.as_str(), "seq" | "at" | "event"));
    let more: Vec<String> = more.map(|(name, _)| format!("{name}={}", text(event, name))).collect();
    format!("{} {}", text(event, "event"), more.join(" "))
}

fn attempts(payment: &Value, lang: Lang) -> Table {
    let mut table = table(lang.pick(
        ["attempt", "channel", "method", "state", "why this channel", "code", "number"],
        ["尝试", "通道", "方式", "状态", "选路原因", "代码", "渠道订单号"],
    ));
    for attempt in list(payment, "attempts") {
        table.add_row(
            ["ordinal", "channel", "method", "state", "reason", "code", "number"]
                .map(|name| text(attempt, name)),
        );
    }
    table
}

fn refunds(found: &[Value], lang: Lang) -> Table {
    let mut table = table(lang.pick(
        ["refund", "fen", "status", "cause", "reason", "number"],
        ["退款", "分", "状态", "起因", "说明", "渠道退款号"],
    ));
    for refund in found {
        table.add_row(
            ["ordinal", "amount", "status", "cause", "reason", "number"]
                .map(|name| text(refund, name)),
        );
    }
    table
}

/// A refund that was just made.
pub(super) fn refund(made: &Value, lang: Lang) -> String {
    let refund = std::slice::from_ref(&made["refund"]);
    let left = lang.pick("can still be given back", "剩余可退");
    let payment = &made["payment"];
    format!("{}\n{left}: {}", refunds(refund, lang), text(payment, "refundable_amount"))
}

/// Channels with their health.
pub(super) fn channels(value: &Value, lang: Lang) -> String {
    let found = list(value, "channels");
    let mut table = table(lang.pick(
        ["channel", "provider", "method", "health", "good", "bad", "disabled", "preferred"],
        ["通道", "服务商", "方式", "健康", "成功", "失败", "停用", "优先"],
    ));
    for channel in found {
        for method in list(channel, "methods") {
            table.add_row([
                text(channel, "id"),
                text(channel, "provider"),
                text(method, "method"),
                text(method, "health"),
                text(method, "successes"),
                text(method, "failures"),
                by_hand(&method["disabled"], lang),
                by_hand(&method["preferred"], lang),
            ]);
        }
    }
    table.to_string()
}

fn by_hand(by: &Value, lang: Lang) -> String {
    if by.is_null() {
        return "–".to_owned();
    }
    let until = match by["until"].as_str() {
        Some(until) => format!(" {} {until}", lang.pick("until", "至")),
        None => String::new(),
    };
    format!("{}: {}{until}", text(by, "by"), text(by, "reason"))
}

/// Messages to merchants.
pub(super) fn messages(page: &Value, lang: Lang) -> String {
    let found = list(page, "messages");
    if found.is_empty() {
        return lang.pick("no messages", "没有消息").to_owned();
    }
    let mut table = table(lang.pick(
        ["message", "merchant", "kind", "state", "tries", "last error"],
        ["消息", "商户", "类型", "状态", "次数", "最近错误"],
    ));
    for message in found {
        table.add_row(
            ["id", "merchant", "type", "state", "tries", "last_error"]
                .map(|name| text(message, name)),
        );
    }
    table.to_string()
}
