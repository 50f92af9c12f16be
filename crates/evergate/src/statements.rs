//! `evergate statements fetch`: what a provider says that it settled on a day, verified and in
//! plain lines. It reads the configuration and asks the provider itself; no server is needed.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use domain::{ChannelId, Currency};
use jiff::civil::Date;
use providers::{LineKind, LineMistake, Statement, StatementLine, Totals};
use serde_json::{Value, json};

use crate::args::{FetchArgs, StatementsCommand};
use crate::client::{Style, table};
use crate::config::Config;
use crate::lang::Lang;
use crate::wire;

/// `evergate statements …`
///
/// # Errors
/// When the configuration has no such channel, or the provider gives no file that proves itself
/// and can be read.
pub async fn run(command: StatementsCommand, style: Style) -> Result<String> {
    let StatementsCommand::Fetch(args) = command;
    let statement = fetch(&args).await?;
    if let Some(file) = &args.out {
        keep(file, &statement.file)?;
    }
    let told = told(&args.channel, &statement);
    Ok(if style.json { told.to_string() } else { show(&statement, style.lang) })
}

async fn fetch(args: &FetchArgs) -> Result<Statement> {
    let config = Config::load(&args.config).map_err(|mistakes| anyhow!("{mistakes}"))?;
    let id =
        ChannelId::new(&args.channel).with_context(|| format!("--channel {}", args.channel))?;
    let Some((_, settings)) = config.channels.iter().find(|(known, _)| *known == id) else {
        let names: Vec<_> = config.channels.iter().map(|(known, _)| known.to_string()).collect();
        bail!("--channel {id}: the configuration has {} only", names.join(", "));
    };
    let notify = providers::ChannelSettings::default_notify_url(&config.public_url(), &id);
    let built = wire::channel(&id, settings.clone(), &notify);
    let driver = wire::driver(&[built.map_err(|errors| wire::not_built(&errors))?])?;
    driver.statement(&id, args.day).await.with_context(|| format!("{id}, {}", args.day))
}

/// Writes the provider's own file, which only its owner may read.
fn keep(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("--out {}", path.display()))?;
    std::io::Write::write_all(&mut file, bytes).with_context(|| format!("{}", path.display()))
}

/// The currencies of a statement, and the kinds that it has lines of.
fn sums(statement: &Statement) -> Vec<(LineKind, Currency, Totals)> {
    let mut currencies: Vec<Currency> = statement.lines.iter().map(|line| line.currency).collect();
    currencies.sort_unstable();
    currencies.dedup();
    let all = currencies.into_iter().flat_map(|currency| {
        LineKind::ALL.map(|kind| (kind, currency, statement.totals(kind, currency)))
    });
    all.filter(|(_, _, totals)| totals.count > 0).collect()
}

fn told(channel: &str, statement: &Statement) -> Value {
    let remark = |m: &LineMistake| json!({ "part": m.place.part, "line": m.place.line, "field": m.field, "rule": m.rule });
    let sum = |(kind, currency, totals): (LineKind, Currency, Totals)| {
        json!({
            "kind": kind.name(), "currency": currency.code(), "count": totals.count,
            "amount": small(totals.amount_minor), "fee": small(totals.fee_minor),
            "net": small(totals.net_minor),
        })
    };
    json!({
        "channel": channel,
        "day": statement.day.to_string(),
        "file_name": statement.file_name,
        "totals": sums(statement).into_iter().map(sum).collect::<Vec<_>>(),
        "lines": statement.lines.iter().map(line).collect::<Vec<_>>(),
        "remarks": statement.remarks.iter().map(remark).collect::<Vec<_>>(),
        "ignored": statement.ignored,
    })
}

/// A sum as a number of JSON; one beyond any real one is a text, so that no digit is lost.
fn small(sum: i128) -> Value {
    i64::try_from(sum).map_or_else(|_| sum.to_string().into(), Value::from)
}

fn line(line: &StatementLine) -> Value {
    json!({
        "part": line.place.part,
        "line": line.place.line,
        "kind": line.kind.name(),
        "number": line.number,
        "reference": line.reference,
        "currency": line.currency.code(),
        "amount": line.amount_minor,
        "fee": line.fee_minor,
        "net": line.net_minor,
        "settled_on": line.settled_on.to_string(),
        "original_number": line.original.as_ref().map(|o| &o.number),
        "original_reference": line.original.as_ref().map(|o| &o.reference),
    })
}

fn show(statement: &Statement, lang: Lang) -> String {
    let mut lines = table(lang.pick(
        ["kind", "number", "reference", "amount", "fee", "net", "original"],
        ["类型", "单号", "服务商流水号", "金额", "手续费", "净额", "原单号"],
    ));
    for line in &statement.lines {
        let original = line.original.as_ref().map_or("–", |original| match &*original.number {
            "" => original.reference.as_str(),
            number => number,
        });
        lines.add_row([
            kind(line.kind, lang).to_owned(),
            if line.number.is_empty() { "–".to_owned() } else { line.number.clone() },
            line.reference.clone(),
            major(line.amount_minor.into(), line.currency),
            major(line.fee_minor.into(), line.currency),
            major(line.net_minor.into(), line.currency),
            original.to_owned(),
        ]);
    }
    let mut out = format!("{lines}\n");
    for (each, currency, totals) in sums(statement) {
        let [amount, fee, net] = [totals.amount_minor, totals.fee_minor, totals.net_minor]
            .map(|sum| major(sum, currency));
        let words = lang.pick(["amount", "fee", "net"], ["金额", "手续费", "净额"]);
        let _ = writeln!(
            out,
            "{}: {}  {} {amount}  {} {fee}  {} {net}  {currency}",
            kind(each, lang),
            totals.count,
            words[0],
            words[1],
            words[2]
        );
    }
    for remark in &statement.remarks {
        let _ = writeln!(out, "{} {remark}", lang.pick("look at", "请核对"));
    }
    out.trim_end().to_owned()
}

fn kind(kind: LineKind, lang: Lang) -> &'static str {
    match kind {
        LineKind::Payment => lang.pick("payment", "收款"),
        LineKind::Refund => lang.pick("refund", "退款"),
        LineKind::Exception => lang.pick("exception", "差错"),
        LineKind::Other => lang.pick("other", "其他"),
    }
}

/// A sum in major units, with its sign.
fn major(minor: i128, currency: Currency) -> String {
    let decimals = currency.decimals() as usize;
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", minor.unsigned_abs(), width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// A day, such as `2026-11-24`.
pub fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "write it like 2026-11-24".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_their_sign_and_decimals() {
        let yen: Currency = "JPY".parse().unwrap();
        for (minor, currency, text) in [
            (-497, Currency::CNY, "-4.97"),
            (5, Currency::CNY, "0.05"),
            (0, Currency::CNY, "0.00"),
            (-1_200, yen, "-1200"),
        ] {
            assert_eq!(major(minor, currency), text);
        }
    }
}
