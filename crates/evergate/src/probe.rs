//! `evergate probe`: looks at providers layer by layer, as the running server does.

use std::path::Path;

use anyhow::{Result, bail};
use domain::Timestamp;
use incidents::layers::{self, Layer, Probed};
use serde_json::{Value, json};

use crate::args::ProbeArgs;
use crate::client::table;
use crate::config::{Config, Mistakes};
use crate::lang::Lang;
use crate::wire;

/// Probes one channel or all. The text to print, and whether every layer of all held.
///
/// # Errors
/// When the configuration has mistakes or names no such channel.
pub async fn run(args: &ProbeArgs, lang: Lang, as_json: bool) -> Result<(String, bool)> {
    let config = Config::load(&args.config)?;
    let mistakes = config.channel_mistakes();
    if !mistakes.is_empty() {
        return Err(Mistakes { file: args.config.clone(), found: mistakes }.into());
    }
    let probes = look(&config, args.channel.as_deref(), &args.config).await?;
    let good = probes.iter().all(|probed| !probed.is_bad() && !probed.crowded);
    let now = crate::clock::now();
    let text = if as_json { told(&probes, now).to_string() } else { shown(&probes, now, lang) };
    Ok((text, good))
}

async fn look(config: &Config, only: Option<&str>, file: &Path) -> Result<Vec<Probed>> {
    let built = wire::channels(config).map_err(|found| {
        let found = found.into_iter().map(|error| config.placed(error)).collect();
        Mistakes { file: file.to_owned(), found }
    })?;
    let driver = wire::driver(&built)?;
    let mut targets = wire::targets(config, &built);
    if let Some(name) = only {
        targets.retain(|target| target.channel.as_str() == name);
        let of = config.channels.iter().find(|(id, _)| id.as_str() == name);
        if of.is_some_and(|(_, settings)| settings.offline().is_some()) {
            bail!("channel `{name}` is offline: there is nothing to probe");
        }
        if targets.is_empty() {
            bail!("no channel is named `{name}`; the configuration names them in [[channels]]");
        }
    }
    let mut probes = Vec::new();
    for target in &targets {
        probes.push(layers::probe(&driver, target, crate::clock::now()).await);
    }
    Ok(probes)
}

fn ms(probed: &Probed, layer: Layer) -> Option<f64> {
    let took = probed.times.iter().find(|(each, _)| *each == layer)?.1;
    Some((took.as_secs_f64() * 1e4).round() / 10.0)
}

fn told(probes: &[Probed], now: Timestamp) -> Value {
    let each = probes.iter().map(|probed| {
        let times: serde_json::Map<String, Value> = Layer::ALL
            .iter()
            .filter_map(|layer| Some((layer.name().to_owned(), ms(probed, *layer)?.into())))
            .collect();
        json!({
            "channel": probed.channel,
            "ok": !probed.is_bad(),
            "broken": probed.broken.as_ref().map(|b| b.layer.name()),
            "code": probed.broken.as_ref().map(|b| &b.code),
            "detail": probed.broken.as_ref().map(|b| &b.detail),
            "times_ms": times,
            "address": probed.address.map(|address| address.to_string()),
            "certificate_days": probed.certificate.as_ref().map(|c| c.days_left(now)),
            "certificate_subject": probed.certificate.as_ref().map(|c| &c.subject),
            "status": probed.status,
            "clock_skew_s": probed.clock_skew_s,
        })
    });
    json!({ "probes": each.collect::<Vec<_>>() })
}

fn shown(probes: &[Probed], now: Timestamp, lang: Lang) -> String {
    let mut table = table(lang.pick(
        ["channel", "result", "dns", "tcp", "tls", "http", "signed", "certificate", "what to do"],
        ["通道", "结果", "DNS", "TCP", "TLS", "HTTP", "签名", "证书", "处理办法"],
    ));
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    for probed in probes {
        let time = |layer| ms(probed, layer).map_or("–".to_owned(), |ms| format!("{ms} ms"));
        let (result, todo) = match &probed.broken {
            None if probed.crowded => (lang.pick("not asked", "未能查询").to_owned(), ""),
            None => (lang.pick("ok", "正常").to_owned(), ""),
            Some(broken) => {
                let [en, zh] = layers::advice(broken.layer);
                let (layer, code) = (broken.layer.name(), &broken.code);
                (format!("{layer}: {code}: {}", broken.detail), lang.pick(en, zh))
            }
        };
        let days = probed.certificate.as_ref().map(|ending| ending.days_left(now));
        let days = days.map_or("–".to_owned(), |days| {
            lang.pick(format!("{days} days"), format!("剩 {days} 天"))
        });
        table.add_row([
            probed.channel.to_string(),
            result,
            time(Layer::Dns),
            time(Layer::Tcp),
            time(Layer::Tls),
            time(Layer::Http),
            time(Layer::Signed),
            days,
            todo.to_owned(),
        ]);
    }
    table.to_string()
}
