//! `evergate route explain`: where a payment would go, by a running gateway or by a
//! configuration alone.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, anyhow, bail};
use domain::{Currency, Money};
use serde_json::{Value, json};

use super::show::{list, table, text};
use super::{Style, api, without_nulls};
use crate::args::{ExplainArgs, RouteCommand};
use crate::lang::Lang;

/// `evergate route …`
///
/// # Errors
/// When the question cannot be read, or the gateway refuses or does not answer.
pub async fn route(command: RouteCommand, style: Style) -> Result<String> {
    let RouteCommand::Explain(args) = command;
    let currency: Currency = args.currency.parse().context("--currency")?;
    let body = question(&args, currency)?;
    let told = match &args.config {
        Some(file) => offline(file, &body)?,
        None => api(&args.server)?.post("/v1/route/explain", &body, None).await?.1,
    };
    Ok(style.render(&told, |told, lang| explained(told, currency, lang)))
}

fn question(args: &ExplainArgs, currency: Currency) -> Result<Value> {
    let money = Money::from_major(&args.amount, currency)
        .with_context(|| format!("--amount {}: write it like 12.50", args.amount))?;
    let mut notes = serde_json::Map::new();
    for note in &args.metadata {
        let Some((name, value)) = note.split_once('=') else {
            bail!("--metadata {note}: write it like name=value");
        };
        notes.insert(name.to_owned(), value.into());
    }
    Ok(without_nulls(json!({
        "amount": money.minor(),
        "currency": currency.code(),
        "methods": (!args.method.is_empty()).then_some(&args.method),
        "issuer": args.issuer,
        "purpose": args.purpose,
        "tier": args.tier,
        "locale": args.locale,
        "direct": args.direct.then_some(true),
        "merchant": args.merchant,
        "at": args.at.map(|at| at.to_string()),
        "metadata": (!notes.is_empty()).then_some(notes),
    })))
}

/// Asks the configuration alone: every channel is taken for healthy, and no operator's word is
/// known.
fn offline(file: &std::path::Path, body: &Value) -> Result<Value> {
    let options = crate::wire::options_of(file)?;
    server::explain_offline(&options, body, crate::clock::now()).map_err(|why| anyhow!(why))
}

fn explained(told: &Value, currency: Currency, lang: Lang) -> String {
    let mut out = match told["channel"].as_str() {
        Some(channel) => {
            format!("{channel} ({}): {}\n", text(told, "method"), text(told, "reason"))
        }
        None => {
            let nothing = lang.pick("nothing that is allowed takes it now", "目前没有可用的通道");
            format!("{nothing}\n")
        }
    };
    let mut rows = table(lang.pick(
        ["", "channel", "method", "health", "success", "fee", "why"],
        ["", "通道", "方式", "健康", "预期成功率", "费用", "原因"],
    ));
    let order = list(told, "order").iter().enumerate();
    let order = order.map(|(place, each)| ((place + 1).to_string(), each));
    let excluded = list(told, "excluded").iter().map(|each| ("✗".to_owned(), each));
    for (mark, each) in order.chain(excluded) {
        let success = each["success"].as_f64().map(|p| format!("{:.1} %", p * 100.0));
        rows.add_row([
            mark,
            text(each, "channel"),
            text(each, "method"),
            text(each, "state"),
            success.unwrap_or_else(|| "–".to_owned()),
            each["fee_minor"].as_i64().map_or_else(|| "–".to_owned(), |fee| major(fee, currency)),
            text(each, "why"),
        ]);
    }
    let _ = writeln!(out, "{rows}");
    for rule in list(told, "rules") {
        let verb = match rule["skipped"].as_bool() {
            Some(true) => lang.pick("skipped", "已跳过"),
            _ => lang.pick("holds", "命中"),
        };
        let rule_word = lang.pick("rule", "规则");
        let _ = writeln!(out, "{rule_word} {} {verb}: {}", text(rule, "name"), text(rule, "said"));
    }
    out.trim_end().to_owned()
}

/// A fee in major units; unlike a payment's amount it may be nothing.
fn major(minor: i64, currency: Currency) -> String {
    Money::new(minor, currency).map_or_else(|_| "0".to_owned(), Money::to_major)
}
