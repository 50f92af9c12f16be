//! Sentences with figures in them, in both languages.

use std::time::Duration;

use domain::{ChannelId, Method, Money, Override};
use engine::MethodView;
use pages::console::{Line, Tone, Words, phrase};
use resilience::{Cause, HealthState, Point};

/// A share as people read it.
pub(super) fn percent(share: f64) -> String {
    match share {
        s if s >= 1.0 => "100 %".to_owned(),
        // Never rounded up to all.
        s => format!("{:.1} %", (s * 1_000.0).floor() / 10.0),
    }
}

/// A share of calls that worked, and how it is to be taken.
pub(super) fn success(point: &Point, words: Words) -> (String, Tone) {
    match point.success() {
        None => (words.no_calls().to_owned(), Tone::Quiet),
        Some(share) if share >= 0.99 => (percent(share), Tone::Good),
        Some(share) if share >= 0.95 => (percent(share), Tone::Warn),
        Some(share) => (percent(share), Tone::Bad),
    }
}

/// Calls a second.
pub(super) fn rate(point: &Point, span: Duration) -> String {
    let rate = point.calls() as f64 / span.as_secs_f64().max(1.0);
    if rate > 0.0 && rate < 10.0 { format!("{rate:.2}/s") } else { format!("{rate:.0}/s") }
}

/// A latency by class.
pub(super) fn latency(ms: Option<u32>) -> String {
    match ms {
        None => "–".to_owned(),
        Some(ms) if ms < 1_000 => format!("≤ {ms} ms"),
        Some(ms) => format!("≤ {:.1} s", f64::from(ms) / 1_000.0),
    }
}

/// An amount with its currency.
pub(super) fn money(money: Money) -> String {
    format!("{} {}", money.currency(), money.to_major())
}

/// A channel and the method on it.
pub(super) fn cell(words: Words, channel: &ChannelId, method: Option<Method>) -> String {
    match method {
        Some(method) => format!("{channel} · {}", method.label(words.0)),
        None => format!("{channel} · {}", words.all_methods()),
    }
}

/// How a state of health is to be taken.
pub(super) fn tone(health: &HealthState) -> Tone {
    match health {
        HealthState::Healthy => Tone::Good,
        HealthState::Suspect | HealthState::Probing { .. } | HealthState::Ramping { .. } => {
            Tone::Warn
        }
        HealthState::Down { .. } => Tone::Bad,
    }
}

/// Everything that is known of a channel's method, the most pressing first.
pub(super) fn evidence(words: Words, view: &MethodView) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(cause) = view.cause {
        lines.push(Line::from(words.cause(Cause::name(cause))));
    }
    lines.extend(of_state(words, view));
    let (against, needed) = strongest(view);
    if against > 0.5 * needed {
        let share = percent((against / needed.max(f64::MIN_POSITIVE)).min(9.99));
        lines.push(Line::from(words.pick(
            format!("不利证据为停用所需的 {share}"),
            format!("evidence against it: {share} of what takes it out"),
        )));
    }
    lines.extend(of_latency(words, view));
    if !view.has_room {
        lines.push(words.pick("已达流量上限", "at its limit").into());
    }
    lines.extend(of_customers(words, view));
    if lines.is_empty() {
        lines.push(words.works().into());
    }
    lines
}

fn of_state(words: Words, view: &MethodView) -> Option<Line> {
    match view.health {
        HealthState::Down { until } => {
            Some(Line::at(words.pick("{} 起再试探", "tried again from {}"), until))
        }
        HealthState::Probing { good, .. } => Some(Line::from(words.pick(
            format!("正在试探：已成功 {good} 笔"),
            format!("single payments are let through: {good} went well"),
        ))),
        HealthState::Ramping { share, .. } => Some(Line::from(words.pick(
            format!("正在恢复：承接 {share}% 的流量"),
            format!("takes {share} % of its payments again"),
        ))),
        HealthState::Healthy | HealthState::Suspect => None,
    }
}

/// The strongest of the evidence against it, and what would take it out, in nats.
fn strongest(view: &MethodView) -> (f64, f64) {
    let silence = view.silence;
    let all = [view.evidence, silence.calls, silence.codes];
    let share = |e: &engine::Evidence| e.statistic / e.threshold.max(f64::MIN_POSITIVE);
    let most = all.into_iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    most.map_or((0.0, 1.0), |e| (e.statistic, e.threshold))
}

fn of_latency(words: Words, view: &MethodView) -> Option<Line> {
    let latency = view.latency.filter(|latency| latency.is_slow)?;
    let (ratio, usual) = (latency.ratio, latency.usual_ms);
    Some(Line::from(words.pick(
        format!("比平时（{usual:.0} 毫秒）慢 {ratio:.1} 倍"),
        format!("{ratio:.1} times slower than usual ({usual:.0} ms)"),
    )))
}

/// Banks for whose customers it is routed around, and why customers are refused of late.
fn of_customers(words: Words, view: &MethodView) -> Vec<Line> {
    let bank = |issuer: &engine::IssuerView| {
        let health = words.health(issuer.health.name());
        Line::from(words.pick(
            format!("银行 {}：{health}，绕行", issuer.issuer),
            format!("bank {}: {health}, routed around", issuer.issuer),
        ))
    };
    let mut lines: Vec<Line> = view.issuers.iter().take(5).map(bank).collect();
    if let Some(turn) = &view.declines {
        let told = words.pick(
            format!("拒付原因 {} 明显增多，自 {{}}", turn.code),
            format!("customers are refused for {} far more often since {{}}", turn.code),
        );
        lines.push(Line::at(&told, turn.at));
    }
    lines
}

/// Who has set what, why, and until when.
pub(super) fn set_by(words: Words, what: &str, by: &Override) -> Vec<Line> {
    let who = words.pick(format!("{} {what}", by.by), format!("{what} by {}", by.by));
    let until = match by.until {
        Some(until) => Line::at(words.pick("直到 {}", "until {}"), until),
        None => words.pick("直到有人恢复", "until somebody puts it back").into(),
    };
    vec![Line::from(format!("{who}: {}", by.reason)), until]
}

/// An act of the audit log, with the moment in it as one.
pub(super) fn act(words: Words, action: &str) -> Line {
    let moment = action.rsplit_once(' ').and_then(|(before, last)| {
        let secs: i64 = last.parse().ok()?;
        before.ends_with(" until").then_some((before, secs))
    });
    match moment {
        Some((before, secs)) => {
            Line::from(phrase(words.0, before)).and(" ").and(domain::Timestamp::from_secs(secs))
        }
        None => phrase(words.0, action).into(),
    }
}

#[cfg(test)]
mod tests {
    use domain::Locale;
    use pages::console::Piece;

    use super::*;

    #[test]
    fn shares_are_never_rounded_up_to_all() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.99999), "99.9 %");
        assert_eq!(percent(0.0), "0.0 %");
    }

    #[test]
    fn the_moment_in_an_act_is_one() {
        let line = act(Words(Locale::Zh), "disable alipay-main until 1795500000");
        assert_eq!(line.0.len(), 3, "{line:?}");
        assert!(matches!(line.0[2], Piece::Time(_)));
        assert_eq!(act(Words(Locale::En), "sign in").0.len(), 1);
    }
}
