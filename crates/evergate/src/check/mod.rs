//! `evergate check`: what is wrong with a configuration, before it hurts.

mod findings;

use std::path::Path;
use std::time::Duration;

use domain::{ChannelId, Timestamp};
use incidents::layers::{self, Layer, Probed, Target};
use providers::{CertificateInfo, ChannelSettings, Driver};

pub use findings::{Finding, Findings, Level};

use crate::args::CheckArgs;
use crate::config::Config;
use crate::lang::Lang;
use crate::wire;

/// Clock differences in seconds that are worth a warning, and an error: WeChat Pay refuses
/// requests that are off by 5 minutes.
const SKEW_S: (i64, i64) = (30, 240);

/// Looks at everything that the configuration names.
pub async fn run(args: &CheckArgs, lang: Lang) -> Findings {
    let mut found = Findings::new(lang);
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(mistakes) => {
            for mistake in mistakes.found {
                found.mistake(&args.config, "", mistake);
            }
            return found;
        }
    };
    look_around(&config, &mut found);
    customers(args, &config, &mut found).await;
    for (id, settings) in &config.channels {
        channel(args, &config, id, settings, &mut found).await;
    }
    found
}

fn look_around(config: &Config, found: &mut Findings) {
    let lang = found.lang;
    let folder = config.store.path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() && !meta.permissions().readonly() => {
            found.ok("", "store.path", config.store.path.display().to_string());
        }
        _ => found.error(
            "",
            "store.path",
            lang.pick(
                format!("the folder {} is not there or cannot be written", folder.display()),
                format!("目录 {} 不存在或不可写", folder.display()),
            ),
            lang.pick("make it, or name another", "请创建该目录或改用其他路径"),
        ),
    }
    if config.api_keys.is_empty() {
        found.warning(
            "",
            "api_keys",
            lang.pick("nobody may use the API", "没有任何人可以使用 API").to_owned(),
            lang.pick("evergate keys new --merchant NAME", "evergate keys new --merchant 商户名"),
        );
    }
    if let Err(mistakes) = crate::serve::merchants(config) {
        for (field, rule) in mistakes {
            found.error("", &field, rule, lang.pick("see the reference", "请参考默认配置"));
        }
    }
}

/// What customers are told by.
async fn customers(args: &CheckArgs, config: &Config, found: &mut Findings) {
    let Some(set) = &config.customers else { return };
    let lang = found.lang;
    if let Err(mistakes) = set.post(&config.public_url()) {
        for error in mistakes {
            found.error("", &error.field, error.rule, &error.fix);
        }
        return;
    }
    let what = "customer_messages.smtp";
    match set.mailer() {
        Ok(Some(mailer)) if !args.offline => match mailer.probe().await {
            Ok(()) => {
                let text =
                    lang.pick("the mail server greets and logs in", "邮件服务器可连接并登录");
                found.ok("", what, text.to_owned());
            }
            Err(why) => {
                let fix = lang.pick(
                    "try `evergate notes test --to you@example.com`",
                    "可用 `evergate notes test --to 您的邮箱` 测试",
                );
                found.error("", what, why, fix);
            }
        },
        _ => {
            let text = lang.pick("settings and texts read well", "设置与文案可读");
            found.ok("", "customer_messages", text.to_owned());
        }
    }
    if config.server.public_url.is_none() {
        let text = lang.pick("links in messages lead to this machine", "消息中的链接指向本机");
        let fix = lang.pick("set server.public_url", "请设置 server.public_url");
        found.warning("", "server.public_url", text.to_owned(), fix);
    }
}

async fn channel(
    args: &CheckArgs,
    config: &Config,
    id: &ChannelId,
    settings: &ChannelSettings,
    found: &mut Findings,
) {
    let notify = ChannelSettings::default_notify_url(&config.public_url(), id);
    let mut settings = settings.clone();
    if let Err(mistakes) = settings.run_commands(id) {
        for error in mistakes {
            found.mistake(&args.config, id.as_str(), config.placed(error));
        }
        return;
    }
    let near = near_end(config);
    for certificate in settings.certificates() {
        judge_certificate(id, &certificate, crate::clock::now(), near, found);
    }
    let (codec, limits) = match settings.build(id, &notify) {
        Ok(built) => built,
        Err(mistakes) => {
            for error in mistakes {
                found.mistake(&args.config, id.as_str(), config.placed(error));
            }
            return;
        }
    };
    let good = found.lang.pick("keys and parameters fit each other", "密钥与参数相符");
    found.ok(id.as_str(), found.lang.pick("settings", "配置"), good.to_owned());
    if settings.offline().is_some() {
        let name = found.lang.pick("address", "地址");
        let text = found.lang.pick("offline, nothing to probe", "离线通道，无需探测");
        return found.ok(id.as_str(), name, text.to_owned());
    }
    if args.offline {
        return;
    }
    let driver = crate::clock::driver();
    match driver.set_channel(id.clone(), codec, &limits) {
        Ok(()) => ask(&driver, &wire::target(id, &settings, &limits), near, found).await,
        Err(error) => {
            let fix = "install the system's TLS certificates (Debian: ca-certificates), or set \
                       ca_file";
            found.error(id.as_str(), "tls", error.to_string(), fix);
        }
    }
}

/// A certificate that ends within this is worth a warning: the farthest level that is told of.
fn near_end(config: &Config) -> Duration {
    let days = config.changes.certificate_days.iter().copied().max().unwrap_or(30);
    Duration::from_secs(u64::from(days) * 86_400)
}

fn judge_certificate(
    id: &ChannelId,
    certificate: &CertificateInfo,
    now: Timestamp,
    near: Duration,
    found: &mut Findings,
) {
    let lang = found.lang;
    let days = |from: Timestamp, to: Timestamp| to.since(from).as_secs() / 86_400;
    let until = day(certificate.not_after);
    let renew = lang.pick("renew it at the provider", "请到服务商处更新证书");
    if now < certificate.not_before {
        let text = lang.pick(
            format!("is valid only from {}", day(certificate.not_before)),
            format!("{} 起才生效", day(certificate.not_before)),
        );
        found.error(id.as_str(), &certificate.name, text, renew);
    } else if now >= certificate.not_after {
        let text = lang.pick(format!("ended on {until}"), format!("已于 {until} 过期"));
        found.error(id.as_str(), &certificate.name, text, renew);
    } else if now + near >= certificate.not_after {
        let left = days(now, certificate.not_after);
        let text = lang.pick(
            format!("ends on {until}, in {left} days"),
            format!("将于 {until} 过期，还剩 {left} 天"),
        );
        found.warning(id.as_str(), &certificate.name, text, renew);
    } else {
        let text = lang.pick(format!("valid until {until}"), format!("有效期至 {until}"));
        found.ok(id.as_str(), &certificate.name, text);
    }
}

fn day(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs())
        .map_or_else(|_| "?".to_owned(), |t| t.strftime("%Y-%m-%d").to_string())
}

/// Looks at the provider layer by layer, and says how far it came.
async fn ask(driver: &Driver, target: &Target, near: Duration, found: &mut Findings) {
    let id = &target.channel;
    let probed = layers::probe(driver, target, crate::clock::now()).await;
    judge_probe(id, &probed, found);
    if let Some(ending) = &probed.certificate {
        let certificate = CertificateInfo {
            name: found.lang.pick("provider's certificate", "服务商证书").to_owned(),
            subject: ending.subject.clone(),
            not_before: Timestamp::EPOCH,
            not_after: ending.not_after,
        };
        judge_certificate(id, &certificate, probed.at, near, found);
    }
    if let Some(skew) = probed.clock_skew_s {
        judge_clock(id, skew, found);
    }
}

fn judge_probe(id: &ChannelId, probed: &Probed, found: &mut Findings) {
    let lang = found.lang;
    let signed = lang.pick("signed call", "签名调用");
    match &probed.broken {
        None if probed.crowded => found.warning(
            id.as_str(),
            lang.pick("local", "本地"),
            lang.pick("the question could not be asked", "无法发起查询").to_owned(),
            lang.pick("raise max_in_flight", "请提高 max_in_flight"),
        ),
        None => {
            let last = probed.times.last().map_or(0, |(_, took)| took.as_millis());
            let text = lang.pick(
                format!("the provider accepted it in {last} ms"),
                format!("服务商已接受，用时 {last} 毫秒"),
            );
            found.ok(id.as_str(), signed, text);
        }
        Some(broken) => {
            let what = if broken.layer == Layer::Signed { signed } else { broken.layer.name() };
            let why = format!("{}: {}", broken.code, broken.detail);
            let [en, zh] = layers::advice(broken.layer);
            found.error(id.as_str(), what, why, lang.pick(en, zh));
        }
    }
}

fn judge_clock(id: &ChannelId, skew_s: i64, found: &mut Findings) {
    let lang = found.lang;
    let name = lang.pick("clock", "时钟");
    let text = lang.pick(
        format!("the provider's clock differs by {skew_s} s"),
        format!("与服务商时钟相差 {skew_s} 秒"),
    );
    let fix = lang.pick("let NTP set this machine's clock", "请用 NTP 校准本机时钟");
    match skew_s.abs() {
        off if off > SKEW_S.1 => found.error(id.as_str(), name, text, fix),
        off if off > SKEW_S.0 => found.warning(id.as_str(), name, text, fix),
        _ => found.ok(id.as_str(), name, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_of(not_before_d: i64, not_after_d: i64) -> Level {
        let day = |d: i64| Timestamp::from_secs(1_800_000_000 + d * 86_400);
        let certificate = CertificateInfo {
            name: "merchant_certificate".into(),
            subject: "CN=1600000000".into(),
            not_before: day(not_before_d),
            not_after: day(not_after_d),
        };
        let mut found = Findings::new(Lang::En);
        let id = ChannelId::new("wechat-main").unwrap();
        let near = Duration::from_secs(30 * 86_400);
        judge_certificate(&id, &certificate, day(0), near, &mut found);
        found.worst()
    }

    #[test]
    fn certificates_are_judged_by_their_days() {
        assert_eq!(level_of(-10, 31), Level::Ok);
        assert_eq!(level_of(-10, 29), Level::Warning);
        assert_eq!(level_of(-10, 0), Level::Error);
        assert_eq!(level_of(1, 300), Level::Error);
    }

    #[test]
    fn clocks_are_judged_by_their_difference() {
        let id = ChannelId::new("alipay-main").unwrap();
        for (skew, level) in [(5, Level::Ok), (-31, Level::Warning), (241, Level::Error)] {
            let mut found = Findings::new(Lang::En);
            judge_clock(&id, skew, &mut found);
            assert_eq!(found.worst(), level, "{skew}");
        }
    }
}
