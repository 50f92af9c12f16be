//! `evergate bank …` and its tables.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::show::{list, table, text};
use super::{Style, api, path, without_nulls};
use crate::bank_args::{BankCommand, RecordArgs, WordArgs};
use crate::lang::Lang;

/// Does one of them.
///
/// # Errors
/// When the file cannot be read, or the gateway refuses or does not answer.
pub async fn bank(command: BankCommand, style: Style) -> Result<String> {
    match command {
        BankCommand::Import { file, channel, format, dry_run, server } => {
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            let mut query = vec![("dry_run", dry_run.to_string())];
            query.extend(format.map(|format| ("format", format)));
            query.extend(name.map(|name| ("name", name)));
            let path = path("/v1/bank/", &channel, "/statements")?;
            let done = api(&server)?.send_file(&path, &query, bytes).await?;
            Ok(style.render(&done, imported))
        }
        BankCommand::Statements { channel, limit, server } => {
            let path = path("/v1/bank/", &channel, "/statements")?;
            let page = api(&server)?.get(&path, &[("limit", limit.to_string())]).await?;
            Ok(style.render(&page, statements))
        }
        BankCommand::Transfers { channel, state, limit, server } => {
            let path = path("/v1/bank/", &channel, "/transfers")?;
            let page = api(&server)?.get(&path, &narrowed(state, limit)).await?;
            Ok(style.render(&page, transfers))
        }
        BankCommand::Record(args) => record(*args, style).await,
        BankCommand::Match { id, payment, word } => {
            let body = json!({ "payment": payment, "reason": word.reason });
            let path = path("/v1/bank/transfers/", &id, "/match")?;
            let (_, done) = api(&word.server)?.post(&path, &body, None).await?;
            Ok(style.render(&done, transfer))
        }
        BankCommand::Approve { id, word } => on_transfer(&id, "/approve", word, style).await,
        BankCommand::Reject { id, word } => on_transfer(&id, "/reject", word, style).await,
        BankCommand::Return { id, word } => on_transfer(&id, "/return", word, style).await,
        BankCommand::Payouts { state, limit, server } => {
            let page = api(&server)?.get("/v1/bank/payouts", &narrowed(state, limit)).await?;
            Ok(style.render(&page, payouts))
        }
        BankCommand::PayoutSent { id, word } => on_payout(&id, "/sent", word, style).await,
        BankCommand::PayoutConfirm { id, word } => on_payout(&id, "/confirm", word, style).await,
        BankCommand::PayoutFailed { id, word } => on_payout(&id, "/failed", word, style).await,
        BankCommand::History { id, server } => {
            let path = path("/v1/bank/history/", &id, "")?;
            let lines = api(&server)?.get(&path, &[]).await?;
            Ok(style.render(&lines, history))
        }
    }
}

fn narrowed(state: Option<String>, limit: u32) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", limit.to_string())];
    query.extend(state.map(|state| ("state", state)));
    query
}

async fn record(args: RecordArgs, style: Style) -> Result<String> {
    let path = path("/v1/bank/", &args.channel, "/transfers")?;
    let body = without_nulls(json!({
        "payment": args.payment,
        "amount": args.amount,
        "currency": args.currency,
        "booked_on": args.booked_on,
        "payer_name": args.payer_name,
        "payer_account": args.payer_account,
        "bank_reference": args.bank_reference,
        "reason": args.word.reason,
    }));
    let (_, done) = api(&args.word.server)?.post(&path, &body, None).await?;
    Ok(style.render(&done, transfer))
}

async fn on_transfer(id: &str, act: &str, word: WordArgs, style: Style) -> Result<String> {
    let path = path("/v1/bank/transfers/", id, act)?;
    let body = json!({ "reason": word.reason });
    let (_, done) = api(&word.server)?.post(&path, &body, None).await?;
    Ok(style.render(&done, transfer))
}

async fn on_payout(id: &str, act: &str, word: WordArgs, style: Style) -> Result<String> {
    let path = path("/v1/bank/payouts/", id, act)?;
    let body = json!({ "reason": word.reason });
    let (_, done) = api(&word.server)?.post(&path, &body, None).await?;
    Ok(style.render(&done, payout))
}

/// What the names of states and reasons are called in Chinese.
fn word(name: &str, lang: Lang) -> String {
    let zh = match name {
        "suspense" => "待核",
        "proposed" => "待复核",
        "matched" => "已入账",
        "returning" => "退回中",
        "reversed" => "已被银行冲正",
        "payout_back" => "付款被退回",
        "refused" => "已否决",
        "unreferenced" => "无附言码",
        "ambiguous" => "不明确",
        "wrong_currency" => "币种不符",
        "late" => "逾期",
        "reconciled" => "与人工登记核对一致",
        "reversal_unplaced" => "冲正对象不明",
        "payout" => "付款已出账",
        "other" => "其他支出",
        "held" => "暂留",
        "requested" => "待付款",
        "sent" => "已付款待确认",
        "confirmed" => "已确认",
        "failed" => "失败",
        "refund" => "退款",
        "excess" => "多付退回",
        "part" => "部分付款退回",
        "return" => "来款退回",
        "match" => "入账",
        "record" => "人工登记",
        other => other,
    };
    lang.pick(name.replace('_', " "), zh.to_owned())
}

fn imported(done: &Value, lang: Lang) -> String {
    let counts = &done["statement"]["counts"];
    let names = [
        ("entries", "条目"),
        ("known", "此前已有"),
        ("matched", "已入账"),
        ("reconciled", "与人工登记一致"),
        ("suspense", "待核"),
        ("reversed", "被银行冲正"),
        ("unplaced", "冲正对象不明"),
        ("payouts", "付款已出账"),
        ("other", "其他支出"),
        ("skipped", "略过"),
    ];
    let told: Vec<String> = names
        .iter()
        .filter(|(name, _)| *name == "entries" || counts[*name].as_u64() != Some(0))
        .map(|(name, zh)| format!("{} {}", lang.pick(*name, *zh), text(counts, name)))
        .collect();
    let mut lines = vec![told.join(lang.pick(", ", "，"))];
    if done["dry_run"] == true {
        lines.push(lang.pick("nothing was written", "试运行，未写入").to_owned());
    }
    if done["seen_before"] == true {
        lines.push(lang.pick("this very file was imported before", "该文件此前已导入").to_owned());
    }
    let entries = list(done, "entries");
    if !entries.is_empty() {
        let mut table = table(lang.pick(["line", "result"], ["行", "结果"]));
        for entry in entries {
            table.add_row([text(entry, "line"), word(&text(entry, "result"), lang)]);
        }
        lines.push(table.to_string());
    }
    lines.join("\n")
}

fn statements(page: &Value, lang: Lang) -> String {
    let found = list(page, "statements");
    if found.is_empty() {
        return lang.pick("no statements", "没有对账单").to_owned();
    }
    let mut table = table(lang.pick(
        ["file", "from", "to", "entries", "matched", "suspense", "by", "at"],
        ["文件", "起", "止", "条目", "已入账", "待核", "上传人", "时间"],
    ));
    for file in found {
        let counts = &file["counts"];
        table.add_row([
            text(file, "name"),
            text(file, "from"),
            text(file, "to"),
            text(counts, "entries"),
            text(counts, "matched"),
            text(counts, "suspense"),
            text(file, "by"),
            text(file, "at"),
        ]);
    }
    table.to_string()
}

fn money(value: &Value) -> String {
    format!("{} {}", text(value, "amount_text"), text(value, "currency"))
}

fn transfers(page: &Value, lang: Lang) -> String {
    let found = list(page, "transfers");
    if found.is_empty() {
        return lang.pick("no transfers", "没有来款").to_owned();
    }
    let mut table = table(lang.pick(
        ["transfer", "booked", "amount", "payer", "state", "payment or suggestion", "by"],
        ["来款", "记账日", "金额", "付款人", "状态", "支付单或建议", "经手人"],
    ));
    for each in found {
        table.add_row([
            text(each, "id"),
            text(each, "booked_on"),
            money(each),
            text(each, "payer_name"),
            standing(each, lang),
            aim(each, lang),
            by(each),
        ]);
    }
    table.to_string()
}

fn standing(transfer: &Value, lang: Lang) -> String {
    let state = word(&text(transfer, "state"), lang);
    let more = transfer["proposal"].as_str().or(transfer["why"].as_str());
    more.map_or(state.clone(), |more| format!("{state}: {}", word(more, lang)))
}

fn aim(transfer: &Value, lang: Lang) -> String {
    if transfer["payment"].is_string() {
        return text(transfer, "payment");
    }
    let hints = list(transfer, "suggestions");
    let first = hints.first().map(|hint| text(hint, "payment"));
    first.map_or("–".to_owned(), |id| format!("{id}{}", lang.pick("?", "？")))
}

fn by(transfer: &Value) -> String {
    let names = ["proposed_by", "matched_by", "recorded_by"];
    let name = names.iter().find(|name| transfer[**name].is_string());
    name.map_or("–".to_owned(), |name| text(transfer, name))
}

fn transfer(done: &Value, lang: Lang) -> String {
    transfers(&json!({ "transfers": [done] }), lang)
}

fn payouts(page: &Value, lang: Lang) -> String {
    let found = list(page, "payouts");
    if found.is_empty() {
        return lang.pick("nothing is owed", "没有待付款项").to_owned();
    }
    let mut table = table(lang.pick(
        ["payout", "kind", "amount", "to", "account", "write this reference", "state", "by"],
        ["付款", "类别", "金额", "收款人", "账号", "附言请填写", "状态", "经手人"],
    ));
    for each in found {
        table.add_row([
            text(each, "id"),
            word(&text(each, "kind"), lang),
            money(each),
            text(each, "to_name"),
            text(each, "to_account"),
            text(each, "reference"),
            word(&text(each, "state"), lang),
            text(each, "by"),
        ]);
    }
    table.to_string()
}

fn payout(done: &Value, lang: Lang) -> String {
    payouts(&json!({ "payouts": [done] }), lang)
}

fn history(page: &Value, lang: Lang) -> String {
    let found = list(page, "lines");
    if found.is_empty() {
        return lang.pick("nothing is known of it", "没有记录").to_owned();
    }
    let mut table =
        table(lang.pick(["at", "by", "action", "reason"], ["时间", "经手人", "操作", "原因"]));
    for line in found {
        table.add_row(["at", "by", "action", "reason"].map(|name| text(line, name)));
    }
    table.to_string()
}
