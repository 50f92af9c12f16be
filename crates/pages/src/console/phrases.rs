//! What the engine keeps in a few English words, such as why a channel was chosen or what an
//! operator did, said in the reader's language.
//!
//! The books keep the English, so that one record reads alike for everybody who searches it. A
//! phrase that is not known is shown as it stands: better in English than not at all.

use domain::{Locale, Method};

/// Phrases with their gaps `{}`, most particular first. What fills a gap is a phrase itself.
const BOOK: &[(&str, &str)] = &[
    // Why a channel was chosen
    ("{}; its order ends before the payment, after {}", "{}；其订单先于支付单到期：{}"),
    ("preferred by {}", "由 {} 置于首位"),
    ("preferred", "首选"),
    ("failover from {}", "{} 失败后切换"),
    ("put first by rule {}", "规则 {} 置于首位"),
    ("put last by rule {}", "规则 {} 置于末位"),
    ("in service", "可用"),
    ("probe, to see it come back", "试探其是否恢复"),
    ("exploration, to keep knowing it", "少量分流，以了解其状况"),
    ("costs less at about the same success", "成功率相近而费用更低"),
    ("answers sooner at about the same success", "成功率相近而更快"),
    ("another fails for this bank", "其他通道对该银行失败"),
    ("another comes back step by step", "其他通道正在逐步恢复"),
    ("another is at its limit", "其他通道已达上限"),
    ("{} is out, and so are all", "{} 不可用，所有通道都不可用"),
    ("all are out: one is tried all the same", "所有通道都不可用，仍尝试一个"),
    ("pinned: synthetic", "指定通道：合成支付"),
    ("nothing is left", "没有剩余通道"),
    // Why one was left out
    ("already tried for this payment", "本支付单已尝试过"),
    ("disabled by {}: {}", "由 {} 停用：{}"),
    ("not allowed by rule {}", "规则 {} 不允许"),
    ("not tried: the budget of retries is spent", "未尝试：重试额度已用完"),
    ("at its limit", "已达上限"),
    ("does not take {}", "不支持 {}"),
    ("takes {} at least", "最低金额 {}"),
    ("takes {} at most", "最高金额 {}"),
    (
        "its orders live {} at least and cannot be closed before",
        "其订单至少存活 {}，且不能提前关闭",
    ),
    ("healthy", "正常"),
    ("suspect", "可疑"),
    ("down", "故障"),
    ("probing", "探测恢复中"),
    ("ramping", "逐步恢复中"),
    ("{} is {}", "{} {}"),
    // Why the ladder is where it is
    ("{}: in service again", "{}：已恢复服务"),
    ("{}: another channel carries it", "{}：由其他通道承接"),
    ("{}: no channel of it is in service, another method is", "{}：没有可用通道，其他支付方式可用"),
    (
        "{}: nothing online is in service, a transfer is possible",
        "{}：在线方式都不可用，可银行转账",
    ),
    ("{}: nothing is in service", "{}：没有可用的方式"),
    ("method {}", "{}"),
    ("channel {}", "通道 {}"),
    ("purpose {}", "功能 {}"),
    ("all", "所有人"),
    ("normal", "正常"),
    ("rerouted", "静默切换"),
    ("other_method", "提供其他方式"),
    ("transfer", "提供银行转账"),
    ("held", "保留订单"),
    ("assisted", "人工协助"),
    ("renewal", "自动续费"),
    ("top_up", "自动充值"),
    ("instalment", "分期付款"),
    ("checkout", "结账"),
    // What was done
    ("sign in refused", "登录被拒"),
    ("sign in", "登录"),
    ("sign out", "退出登录"),
    ("wrong password", "密码错误"),
    ("unknown name", "用户名不存在"),
    ("disable {} until", "停用 {}，直到"),
    ("disable {}", "停用 {}"),
    ("enable {}", "恢复 {}"),
    ("prefer {} until", "将 {} 置于首位，直到"),
    ("prefer {}", "将 {} 置于首位"),
    ("release {}", "取消 {} 的首位"),
    ("move {} to level {} until", "将 {} 调整到级别 {}，直到"),
    ("move {} to level {}", "将 {} 调整到级别 {}"),
    ("lift {} from level {}", "取消 {} 的级别 {}"),
    ("pause {} until", "暂停 {}，直到"),
    ("resume {}", "恢复 {}"),
    ("extend the hold of {} until", "延长 {} 的保留，直到"),
    ("plan maintenance {} of {}", "登记维护 {}：{}"),
    ("drop maintenance {}", "取消维护 {}"),
    ("start with a configuration", "以一份配置启动"),
    ("configuration version {}: {}", "配置版本 {}：{}"),
    ("version {} was interrupted", "版本 {} 被中断"),
    ("take over the configuration file", "采用配置文件"),
    ("roll back to version {} of the configuration", "回滚到配置版本 {}"),
    ("apply a configuration in stages {}", "分阶段应用配置：{}"),
];

/// A phrase in the reader's language.
pub fn phrase(locale: Locale, text: &str) -> String {
    match locale {
        Locale::En => text.to_owned(),
        Locale::Zh => in_chinese(text, 3),
    }
}

/// `depth` bounds how far gaps are looked into.
fn in_chinese(text: &str, depth: u8) -> String {
    let found = BOOK.iter().find_map(|(en, zh)| Some((gaps(en, text)?, *zh)));
    let Some((filled, zh)) = found.filter(|_| depth > 0) else { return names(text) };
    let mut parts = zh.split("{}");
    let mut said = parts.next().unwrap_or_default().to_owned();
    for (part, gap) in parts.zip(filled) {
        said.push_str(&in_chinese(gap, depth - 1));
        said.push_str(part);
    }
    said
}

/// What fills the gaps of a pattern, when the text is of its form.
fn gaps<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut filled = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let end = match (part.is_empty(), parts.peek()) {
            (true, None) => rest.len(),
            (false, None) => rest.len().checked_sub(part.len()).filter(|_| rest.ends_with(part))?,
            _ => rest.find(part)?,
        };
        let gap = &rest[..end];
        if gap.is_empty() {
            return None;
        }
        filled.push(gap);
        rest = &rest[end + part.len()..];
    }
    rest.is_empty().then_some(filled)
}

/// A method by the name that the API uses, a channel, or both.
fn names(text: &str) -> String {
    if let Ok(method) = text.parse::<Method>() {
        return method.label(Locale::Zh).to_owned();
    }
    match text.rsplit_once(' ').map(|(channel, method)| (channel, method.parse::<Method>())) {
        Some((channel, Ok(method))) => format!("{channel} {}", method.label(Locale::Zh)),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_said_in_chinese_with_what_fills_them() {
        for (en, zh) in [
            ("preferred", "首选"),
            ("failover from alipay-main", "alipay-main 失败后切换"),
            ("alipay-main is down", "alipay-main 故障"),
            (
                "alipay-main is disabled by console:li: bank: away",
                "alipay-main 由 console:li 停用：bank: away",
            ),
            ("disable alipay-main card until", "停用 alipay-main 银行卡，直到"),
            ("does not take USD", "不支持 USD"),
            ("takes CNY 1.00 at least", "最低金额 CNY 1.00"),
            (
                "preferred; its order ends before the payment, after 2 h",
                "首选；其订单先于支付单到期：2 h",
            ),
            ("method alipay: another channel carries it", "支付宝：由其他通道承接"),
            ("move all to level held until", "将 所有人 调整到级别 保留订单，直到"),
            ("something new", "something new"),
        ] {
            assert_eq!(phrase(Locale::Zh, en), zh);
            assert_eq!(phrase(Locale::En, en), en);
        }
    }

    #[test]
    fn every_phrase_keeps_its_gaps() {
        for (en, zh) in BOOK {
            assert_eq!(en.matches("{}").count(), zh.matches("{}").count(), "{en}");
        }
    }
}
