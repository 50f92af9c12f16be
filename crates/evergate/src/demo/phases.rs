//! What a scenario does, in words.

use std::time::Duration;

use sandbox::{Fault, Operation, ProviderKind, Scenario, Step};

use crate::lang::Lang;

/// Something to announce, and when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phase {
    /// From the start of the traffic.
    pub(super) at: Duration,
    /// For people.
    pub(super) text: String,
}

/// Beginnings and ends of a scenario's faults, in their order.
pub(super) fn phases(scenario: &Scenario, lang: Lang) -> Vec<Phase> {
    let seconds = |s: f64| Duration::from_secs_f64(s.max(0.0));
    let begin = |step: &Step| Phase { at: seconds(step.at_s), text: told(step, lang) };
    let mut phases: Vec<Phase> = scenario.steps.iter().map(begin).collect();
    if let Some(end) = scenario.steps.iter().map(|s| s.until_s).reduce(f64::max) {
        let text = lang.pick("the sandbox ends its faults", "沙箱结束故障");
        phases.push(Phase { at: seconds(end), text: text.to_owned() });
    }
    phases.sort_by_key(|phase| phase.at);
    phases
}

fn told(step: &Step, lang: Lang) -> String {
    if let Some(bank) = bank(step) {
        return lang.pick(
            format!("the bank {bank} refuses its customers at {}", who(step, lang)),
            format!("{bank} 银行在{}拒绝其客户", who(step, lang)),
        );
    }
    lang.pick(
        format!("the sandbox makes {} {}", who(step, lang), what(step, lang)),
        format!("沙箱让{}{}", who(step, lang), what(step, lang)),
    )
}

/// The bank that refuses, where a step is about one.
pub(super) fn bank(step: &Step) -> Option<&str> {
    let banks = step.matches.bank.as_ref()?;
    let pays = step.matches.operation.as_ref().is_some_and(|o| o.0 == [Operation::Pay]);
    let refuses = matches!(step.fault, Fault::BusinessError { .. });
    banks.0.first().map(String::as_str).filter(|_| pays && refuses)
}

fn who(step: &Step, lang: Lang) -> String {
    let name = |kind: &ProviderKind| match kind {
        ProviderKind::Alipay => lang.pick("Alipay", "支付宝"),
        ProviderKind::WechatPay => lang.pick("WeChat Pay", "微信支付"),
        ProviderKind::Stripe => "Stripe",
        ProviderKind::UnionPay => lang.pick("UnionPay", "银联"),
        ProviderKind::Paypal => "PayPal",
    };
    match &step.matches.provider {
        Some(kinds) => kinds.0.iter().map(name).collect::<Vec<_>>().join(lang.pick(" and ", "和")),
        None => lang.pick("every provider", "所有服务商").to_owned(),
    }
}

fn what(step: &Step, lang: Lang) -> String {
    let only = |op| step.matches.operation.as_ref().is_some_and(|o| o.0 == [op]);
    let (en, zh) = match &step.fault {
        Fault::HttpStatus { .. } | Fault::BusinessError { .. } if only(Operation::Token) => {
            ("grant no tokens", "不再发放访问令牌")
        }
        Fault::BusinessError { status: Some(401), .. } => {
            ("believe none of its tokens", "不再承认已发放的令牌")
        }
        Fault::Refuse => ("drop connections", "断开连接"),
        Fault::BlackHole => ("take calls and never answer", "接受请求但不应答"),
        Fault::Slow { .. } => ("answer slowly", "应答缓慢"),
        Fault::Drip { .. } => ("answer byte by byte", "逐字节应答"),
        Fault::HttpStatus { .. } => ("answer HTTP errors", "返回 HTTP 错误"),
        Fault::BusinessError { .. } => ("answer errors", "返回业务错误"),
        Fault::SuccessThenTimeout => ("do what is asked, and never answer", "执行成功但不应答"),
        Fault::DuplicateNotification { .. } => ("repeat notifications", "重复发送通知"),
        Fault::LateNotification { .. } => ("notify late", "延迟发送通知"),
        Fault::ForgedNotification { .. } => ("send forged notifications too", "夹带伪造的通知"),
        Fault::MissingNotification => ("lose notifications", "丢失通知"),
        Fault::ExpiredCertificate => ("sign with an expired certificate", "使用过期证书签名"),
        Fault::WrongSignature { .. } => ("sign wrongly", "签名错误"),
        Fault::Maintenance => ("close for maintenance", "停机维护"),
        Fault::TruncatedBody => ("break off answers", "应答中断"),
        Fault::LyingQuery => ("deny that orders are paid", "谎称订单未支付"),
        Fault::WrongLine => ("state a wrong amount in their statement", "对账单中有错误金额"),
    };
    let share = match step.matches.probability {
        Some(p) => lang.pick(
            format!(" ({:.0} % of calls)", p * 100.0),
            format!("（{:.0}% 的请求）", p * 100.0),
        ),
        None => String::new(),
    };
    format!("{}{share}", lang.pick(en, zh))
}

/// Whether a provider had no fault on making or paying orders during a stretch of time, for a
/// customer of this bank.
pub(super) fn was_well(
    scenario: &Scenario,
    (provider, bank): (ProviderKind, Option<&str>),
    from: Duration,
    to: Duration,
) -> bool {
    let hits = |step: &&Step| {
        let provider = step.matches.provider.as_ref().is_none_or(|p| p.0.contains(&provider));
        let creates = step.matches.operation.as_ref().is_none_or(|o| {
            let breaks = |o: &Operation| {
                use Operation::{Confirm, Create, Pay, Token};
                matches!(o, Create | Confirm | Pay | Token)
            };
            o.0.iter().any(breaks)
        });
        let theirs = step.matches.bank.as_ref().is_none_or(|banks| {
            bank.is_some_and(|bank| banks.0.iter().any(|b| b.eq_ignore_ascii_case(bank)))
        });
        let meets = step.at_s < to.as_secs_f64() && from.as_secs_f64() < step.until_s;
        provider && creates && theirs && meets
    };
    !scenario.steps.iter().any(|step| hits(&step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_in_both_languages() {
        let scenario = Scenario::embedded("alipay-outage").unwrap();
        let en = phases(&scenario, Lang::En);
        assert!(en.iter().any(|p| p.text == "the sandbox makes Alipay answer errors"), "{en:?}");
        let zh = phases(&scenario, Lang::Zh);
        assert!(zh.iter().any(|p| p.text == "沙箱让支付宝返回业务错误"), "{zh:?}");
        assert_eq!(en.last().unwrap().text, "the sandbox ends its faults");
    }

    #[test]
    fn only_a_provider_under_fault_is_unwell_and_only_while_it_lasts() {
        let scenario = Scenario::embedded("alipay-outage").unwrap();
        let seconds = |s| Duration::from_secs(s);
        let well = |kind, from, to| was_well(&scenario, (kind, None), seconds(from), seconds(to));
        assert!(well(ProviderKind::Alipay, 0, 9));
        assert!(!well(ProviderKind::Alipay, 9, 11));
        assert!(well(ProviderKind::WechatPay, 9, 11));
        assert!(well(ProviderKind::Alipay, 29, 30));
    }

    #[test]
    fn a_bank_in_its_window_is_unwell_for_its_own_customers_only() {
        let scenario = Scenario::embedded("unionpay-night").unwrap();
        let well = |bank| {
            let (from, to) = (Duration::from_secs(10), Duration::from_secs(12));
            was_well(&scenario, (ProviderKind::UnionPay, bank), from, to)
        };
        assert!(!well(Some("ICBC")));
        assert!(well(Some("CCB")) && well(None));
        let told: Vec<String> = phases(&scenario, Lang::En).into_iter().map(|p| p.text).collect();
        assert_eq!(told[0], "the bank ICBC refuses its customers at UnionPay");
    }

    #[test]
    fn no_token_and_no_belief_are_told_apart() {
        let scenario = Scenario::embedded("paypal-token-outage").unwrap();
        let told: Vec<String> = phases(&scenario, Lang::En).into_iter().map(|p| p.text).collect();
        assert_eq!(told[0], "the sandbox makes PayPal grant no tokens");
        assert_eq!(told[1], "the sandbox makes PayPal believe none of its tokens");
    }
}
