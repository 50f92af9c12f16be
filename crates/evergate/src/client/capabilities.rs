//! `evergate channels list --capabilities`: what each channel can do, of a running gateway or of
//! a configuration alone.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;

use super::show::{list, text};
use crate::lang::Lang;

/// The tables of a configuration that no server runs; keys and certificates are read, nothing is
/// asked of any provider.
pub(super) fn offline(file: &Path) -> Result<Value> {
    Ok(server::capabilities_offline(&crate::wire::options_of(file)?.channels))
}

/// A table a channel.
pub(super) fn show(told: &Value, lang: Lang) -> String {
    let mut out = String::new();
    for channel in list(told, "channels") {
        let can = &channel["capabilities"];
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (name, label, value) in rows(can, lang) {
            table.add_row([marked(can, name, label, lang), value]);
        }
        let _ = writeln!(out, "{}  ({})", text(channel, "id"), text(channel, "provider"));
        let _ = writeln!(out, "{table}\n");
    }
    out.trim_end().to_owned()
}

/// A label, with a mark where nothing has confirmed the row.
fn marked(can: &Value, name: &str, label: &str, lang: Lang) -> String {
    let is_open = list(can, "unverified").iter().any(|row| row.as_str() == Some(name));
    let mark = if is_open { lang.pick(" (unverified)", "（未证实）") } else { "" };
    format!("  {label}{mark}")
}

fn rows(can: &Value, lang: Lang) -> Vec<(&'static str, &'static str, String)> {
    let refunds = &can["refunds"];
    let mut rows = vec![
        ("methods", lang.pick("methods", "支付方式"), methods(can, lang)),
        ("amounts", lang.pick("amounts", "金额范围"), amounts(can)),
        ("expiry", lang.pick("order lives", "订单有效期"), expiry(&can["expiry"], lang)),
        ("closing", lang.pick("an unpaid order ends", "未支付订单的终止"), closing(can, lang)),
        (
            "not_found",
            lang.pick("\"not found\" proves", "“订单不存在”能证明"),
            not_found(can, lang),
        ),
        (
            "resend_create",
            lang.pick("unanswered order again", "无应答下单可重发"),
            resend(can, lang),
        ),
        ("refunds.within_s", lang.pick("refunds until", "退款时限"), within(refunds, lang)),
        ("refunds", lang.pick("refunds", "退款限制"), refund_limits(refunds, lang)),
        ("order_number", lang.pick("order number", "订单号"), number(&can["order_number"], lang)),
        (
            "refund_number",
            lang.pick("refund number", "退款单号"),
            number(&can["refund_number"], lang),
        ),
        ("notifications", lang.pick("notifications", "通知"), told(&can["notifications"], lang)),
        ("query_waits_s", lang.pick("asked after", "查询间隔"), waits(can, lang)),
    ];
    let codes: Vec<&str> = list(can, "person_codes").iter().filter_map(Value::as_str).collect();
    if !codes.is_empty() {
        let label = lang.pick("to a person at once", "立即转人工的代码");
        rows.push(("person_codes", label, codes.join(", ")));
    }
    if let Some(within) = can["pay_within_s"].as_u64() {
        let label = lang.pick("customers may take", "顾客付款期限");
        rows.push(("pay_within_s", label, span(within, lang)));
    }
    if let Some(most) = can["max_per_second"].as_f64() {
        let unit = lang.pick("new payments a second", "笔/秒");
        rows.push(("max_per_second", lang.pick("at most", "限速"), format!("{most} {unit}")));
    }
    rows
}

fn methods(can: &Value, lang: Lang) -> String {
    let each = list(can, "methods").iter().map(|method| {
        let flow = match method["flow"].as_str() {
            Some("direct") => lang.pick("direct", "直接扣款"),
            _ => lang.pick("presented", "顾客操作"),
        };
        format!("{} ({flow})", text(method, "method"))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Currencies with the same limits stand together.
fn amounts(can: &Value) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for limits in list(can, "amounts") {
        let decimals = limits["decimals"].as_u64().and_then(|d| usize::try_from(d).ok());
        let major = |name| major(limits[name].as_i64().unwrap_or(0), decimals.unwrap_or(0));
        let range = format!("{}–{}", major("least"), major("most"));
        match groups.iter_mut().find(|(known, _)| *known == range) {
            Some((_, currencies)) => currencies.push(text(limits, "currency")),
            None => groups.push((range, vec![text(limits, "currency")])),
        }
    }
    let each = groups.into_iter().map(|(range, names)| format!("{range} {}", names.join(" ")));
    each.collect::<Vec<_>>().join("\n")
}

fn major(minor: i64, decimals: usize) -> String {
    if decimals == 0 {
        return minor.to_string();
    }
    let digits = format!("{minor:0width$}", width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    format!("{whole}.{part}")
}

fn expiry(expiry: &Value, lang: Lang) -> String {
    let shortest = expiry["shortest_s"].as_u64().unwrap_or(0);
    let longest = expiry["longest_s"].as_u64();
    let ends = match longest {
        Some(longest) => format!("{}–{}", span(shortest, lang), span(longest, lang)),
        None => lang.pick("does not end by itself", "不会自行到期").to_owned(),
    };
    let told = match expiry["told"].as_bool() {
        Some(true) => lang.pick("told to the provider", "到期时间会告知服务商"),
        _ => lang.pick("not told to the provider", "到期时间不告知服务商"),
    };
    format!("{ends}, {told}")
}

fn closing(can: &Value, lang: Lang) -> String {
    match can["closing"].as_str() {
        Some("proven") => lang.pick("by a close that is proven", "可关单，且能证明已关闭"),
        Some("lapse_only") => lang.pick(
            "at its own end only: there is no close call, and a late payment is given back",
            "只能等到期：没有关单接口，迟到的付款会自动退回",
        ),
        Some("ledger_only") => lang.pick(
            "in our books only: money that still comes is honoured or given back",
            "仅在本系统账上终止：之后到账的款项会被承认或退回",
        ),
        _ => lang.pick(
            "at once: only a capture of Evergate's takes money, and it is not made",
            "立即：只有本系统发起扣款才会收钱，终止后不再发起",
        ),
    }
    .to_owned()
}

fn not_found(can: &Value, lang: Lang) -> String {
    let say = |proves: Option<&str>| match proves {
        Some("after_end") => {
            lang.pick("unpayable, once its end has passed", "到期之后：无法再支付")
        }
        Some("after_create_window") => {
            lang.pick("never made, two minutes after the call", "调用两分钟后：从未创建")
        }
        _ => lang.pick("nothing", "不能证明任何事"),
    };
    let presented = say(can["not_found"].as_str()).to_owned();
    match can["not_found_direct"].as_str() {
        Some(direct) => {
            let label = lang.pick("direct", "直接扣款");
            format!("{presented}; {label}: {}", say(Some(direct)))
        }
        None => presented,
    }
}

fn resend(can: &Value, lang: Lang) -> String {
    match (can["resend_create"].as_str(), can["resend_within_s"].as_u64()) {
        (Some("within"), Some(within)) => {
            format!("{} {}", lang.pick("for", "时限内"), span(within, lang))
        }
        (Some("while_open"), _) => lang.pick("while it is unpaid", "未支付期间可以").to_owned(),
        _ => lang.pick("no", "不可以").to_owned(),
    }
}

fn within(refunds: &Value, lang: Lang) -> String {
    match refunds["within_s"].as_u64() {
        Some(within) => {
            format!("{} {}", span(within, lang), lang.pick("after the payment", "（支付后）"))
        }
        None => lang.pick("no time stated", "未规定").to_owned(),
    }
}

fn refund_limits(refunds: &Value, lang: Lang) -> String {
    let part = match refunds["partial"].as_bool() {
        Some(true) => lang.pick("in parts", "可部分退款"),
        _ => lang.pick("the whole only", "只能全额退款"),
    };
    let mut out = part.to_owned();
    if let Some(most) = refunds["count_max"].as_u64() {
        let _ = write!(out, ", {} {most}", lang.pick("at most", "最多次数"));
    }
    if let Some(apart) = refunds["apart_s"].as_u64().filter(|apart| *apart > 0) {
        let _ = write!(out, ", {} {}", span(apart, lang), lang.pick("apart", "间隔"));
    }
    if let Some(least) = refunds["least"].as_u64().filter(|least| *least > 1) {
        let _ = write!(out, ", {} {least}", lang.pick("minor units at least:", "最小单位至少"));
    }
    out
}

fn number(rule: &Value, lang: Lang) -> String {
    let signs = rule["signs"].as_str().unwrap_or("");
    let unique = match rule["unique"].as_str() {
        Some("account") => lang.pick("once at the account", "账户内唯一"),
        Some("account_and_time") => lang.pick("once with its time", "与交易时间一起唯一"),
        Some("payment") => lang.pick("once with the payment", "支付单内唯一"),
        _ => lang.pick("a note", "仅作备注"),
    };
    let letters = lang.pick("letters and digits", "字母和数字");
    format!("{}–{} {letters} {signs}, {unique}", text(rule, "least"), text(rule, "most"))
}

fn told(told: &Value, lang: Lang) -> String {
    let is = |field: &str| told[field].as_bool() == Some(true);
    let payments = is("payments").then(|| lang.pick("payments", "支付"));
    let refunds = is("refunds").then(|| lang.pick("refunds", "退款"));
    let of: Vec<&str> = payments.into_iter().chain(refunds).collect();
    if of.is_empty() {
        return lang.pick("none", "无").to_owned();
    }
    let amount = match told["states_amount"].as_bool() {
        Some(true) => lang.pick("with the amount", "含金额"),
        _ => lang.pick("as a hint: the provider is asked", "仅作提示，需再查询"),
    };
    format!("{}, {amount}", of.join(lang.pick(" and ", "和")))
}

fn waits(can: &Value, lang: Lang) -> String {
    let waits = list(can, "query_waits_s").iter().filter_map(Value::as_u64);
    let waits: Vec<String> = waits.map(|wait| span(wait, lang)).collect();
    format!("{} …", waits.join(", "))
}

/// A time in the largest unit that states it wholly.
fn span(secs: u64, lang: Lang) -> String {
    match secs {
        s if s >= 86_400 && s % 86_400 == 0 => format!("{}{}", s / 86_400, lang.pick(" d", " 天")),
        s if s >= 3_600 && s % 3_600 == 0 => format!("{}{}", s / 3_600, lang.pick(" h", " 小时")),
        s if s >= 60 && s % 60 == 0 => format!("{}{}", s / 60, lang.pick(" min", " 分钟")),
        s => format!("{s}{}", lang.pick(" s", " 秒")),
    }
}
