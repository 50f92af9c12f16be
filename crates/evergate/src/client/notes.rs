//! `evergate notes …`: who was told what and when; what was given up; a mail to try the way.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use domain::Timestamp;
use notify::{Contact, Letter, Written};
use serde_json::{Value, json};

use super::show::{list, table, text};
use super::{Style, api, path, without_nulls};
use crate::args::NotesCommand;
use crate::config::Config;
use crate::lang::Lang;

/// `evergate notes …`
///
/// # Errors
/// When the gateway refuses or does not answer, or the test mail does not go.
pub async fn notes(command: NotesCommand, style: Style) -> Result<String> {
    match command {
        NotesCommand::List { payment, state, limit, server } => {
            let api = api(&server)?;
            let page = match payment {
                Some(id) => {
                    let mut page = api.get(&path("/v1/payments/", &id, "/notes")?, &[]).await?;
                    narrow(&mut page, state.as_deref());
                    page
                }
                None => {
                    let mut query = vec![("limit", limit.to_string())];
                    query.extend(state.map(|state| ("state", state)));
                    api.get("/v1/notes", &query).await?
                }
            };
            Ok(style.render(&page, listed))
        }
        NotesCommand::Resend { id, reason, server } => {
            let path = path("/v1/notes/", &id, "/resend")?;
            api(&server)?.post(&path, &json!({ "reason": reason }), None).await?;
            let told = style.lang.pick("will be sent again", "将重新发送");
            Ok(style.render(&json!({ "resent": id }), |_, _| format!("{id} {told}")))
        }
        NotesCommand::Send { payment, kind, coupon, reason, server } => {
            let path = path("/v1/payments/", &payment, "/notes")?;
            let body = json!({ "kind": kind, "coupon": coupon, "reason": reason });
            let (_, page) = api(&server)?.post(&path, &without_nulls(body), None).await?;
            Ok(style.render(&page, listed))
        }
        NotesCommand::Test { to, config } => test(&config, &to, style).await,
    }
}

fn narrow(page: &mut Value, state: Option<&str>) {
    if let (Some(state), Some(notes)) = (state, page["notes"].as_array_mut()) {
        notes.retain(|note| note["state"] == state);
    }
}

fn listed(page: &Value, lang: Lang) -> String {
    let found = list(page, "notes");
    if found.is_empty() {
        return lang.pick("no notes", "没有客户消息").to_owned();
    }
    let mut table = table(lang.pick(
        ["note", "kind", "way", "to", "state", "why", "sent", "looked at next"],
        ["消息", "内容", "方式", "收件人", "状态", "原因", "发送时间", "下次处理"],
    ));
    for note in found {
        table.add_row(
            ["id", "kind", "way", "to", "state", "reason", "sent_at", "due_at"]
                .map(|name| text(note, name)),
        );
    }
    table.to_string()
}

/// Sends a letter by the configured server, without a gateway.
async fn test(config: &Path, to: &str, style: Style) -> Result<String> {
    let lang = style.lang;
    let Some(Contact::Email(to)) = Contact::parse(to) else {
        bail!(lang.pick("--to must be an e-mail address", "--to 必须是邮箱地址"));
    };
    let config = Config::load(config)?;
    let customers = config.customers.filter(|set| set.has_smtp());
    let customers = customers.context(lang.pick(
        "no mail server is configured; write [customer_messages.smtp]",
        "未配置邮件服务器，请填写 [customer_messages.smtp]",
    ))?;
    let mailer = customers.mailer().map_err(|found| {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })?;
    let mailer = mailer.context("no mail server is configured")?;
    let probed = mailer.probe().await.map_err(|why| anyhow::anyhow!("{why}"));
    probed.context(lang.pick("the mail server cannot be used", "邮件服务器不可用"))?;
    let at = crate::clock::now();
    let note = format!("test_{}", crate::clock::random_text::<16>());
    send(&mailer, &note, &to, lang, at).await?;
    let told = lang.pick("the mail server took a mail to", "邮件服务器已接收发往以下地址的邮件：");
    Ok(style.render(&json!({ "sent": true, "to": to }), |_, _| format!("{told} {to}")))
}

async fn send(
    mailer: &notify::Mailer,
    note: &str,
    to: &str,
    lang: Lang,
    at: Timestamp,
) -> Result<()> {
    let text = lang.pick(
        "This is a test of Evergate's messages to customers. 客户消息测试。",
        "这是 Evergate 客户消息的测试邮件。 A test of messages to customers.",
    );
    let written = Written {
        subject: lang.pick("A test mail · 测试邮件", "测试邮件 · A test mail").to_owned(),
        text: format!("{text}\n"),
        html: format!("<!doctype html><html><meta charset=\"utf-8\"><p>{text}</p></html>"),
        short: String::new(),
    };
    let letter = Letter {
        note,
        from: None,
        brand: "Evergate",
        to,
        written: &written,
        unsubscribe: None,
        at,
    };
    mailer.send(&letter).await.map_err(|why| anyhow::anyhow!("{why}"))
}
