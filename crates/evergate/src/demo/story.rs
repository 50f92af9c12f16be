//! What happened during a demo, in words and for programs: what the report tells besides its
//! figures.
//!
//! Everything is read from what is there afterwards (the books, the engine's changes of health,
//! what shoppers and the watched caller noted), so that a line that is told did happen.

use std::time::{Duration, Instant};

use domain::{
    AttemptState, ChannelId, Hold, HoldEnd, Level, Method, Payment, PaymentState, Timestamp,
};
use engine::Turn;
use resilience::Cause;
use sandbox::{Operation, ProviderKind, Scenario, Step};
use serde::Serialize;

use super::books::was_served;
use super::ladder::{locale, who};
use super::phases;
use super::tally::Tally;
use super::timing::Lapsed;
use crate::lang::Lang;

/// One thing that happened. Times are seconds from the first shopper on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happened {
    /// An operator did something.
    Operator {
        /// When.
        at_s: f64,
        /// What, in English.
        en: String,
        /// What, in Chinese.
        zh: String,
        /// Why it was refused, if it was.
        refused: Option<String>,
    },
    /// A configuration that an operator applied was tried.
    Trial {
        /// The channel that it touches.
        channel: String,
        /// From then.
        from_s: f64,
        /// Until then.
        until_s: f64,
        /// `live` or `rolled_back`.
        state: String,
        /// Calls that were made with the new settings.
        calls: u64,
        /// Of those, failed.
        failed: u64,
        /// Of those, done at once with the settings in force.
        rescued: u64,
    },
    /// A channel went out of service by itself.
    Out {
        /// Which.
        channel: String,
        /// From then.
        from_s: f64,
        /// Until all of its traffic was back; absent: it was not when the books were compared.
        until_s: Option<f64>,
        /// What was wrong: a cause of health.
        cause: Option<&'static str>,
        /// Payments that went elsewhere because of it.
        elsewhere: u64,
    },
    /// The degradation ladder went down and came up by itself.
    Ladder {
        /// For whom: `all` or `method:<method>`.
        scope: String,
        /// The deepest level, 1 to 5.
        deepest: u8,
        /// From then.
        from_s: f64,
        /// Until it was back at the top; absent: it was not when the books were compared.
        until_s: Option<f64>,
    },
    /// Orders were kept for customers who could not pay.
    Held {
        /// How many.
        held: u64,
        /// Of those, paid since, by customers who came back through the link.
        paid: u64,
        /// Of those, reminded that they could pay.
        reminded: u64,
    },
    /// A bank refused its customers at one provider.
    Bank {
        /// Which bank.
        bank: String,
        /// From when it refused.
        from_s: f64,
        /// Until when.
        until_s: f64,
        /// Its customers who were led to another method before they met the refusal.
        led: u64,
        /// Those who met it and were offered another method.
        offered: u64,
        /// Those who met it and had no other method.
        turned_away: u64,
        /// Payments of other banks' customers by the same method meanwhile.
        others_paid: u64,
    },
    /// A provider signed with a certificate that had run out.
    Certificate {
        /// Whose.
        channel: String,
        /// Which certificate, and since when it has run out.
        certificate: String,
        /// The first answer that was signed with it.
        from_s: f64,
        /// The last one.
        until_s: f64,
        /// How many; none of them was believed.
        answers: u64,
        /// Payments that went elsewhere because of the channel.
        elsewhere: u64,
    },
    /// Customers paid by transfers from their bank accounts.
    Transfers {
        /// Transfers that were made.
        made: u64,
        /// Payments that were matched with one, from statements.
        matched: u64,
    },
    /// Customers agreed while a provider could not be asked to take their money.
    Approved {
        /// Where.
        channel: String,
        /// How many agreed.
        approved: u64,
        /// Of those, taken in the end.
        captured: u64,
        /// From the end of the fault to the last of them, seconds.
        last_after_s: f64,
    },
}

/// What a story is made from.
pub(super) struct Sources<'a> {
    /// What was meant to go wrong.
    pub(super) scenario: &'a Scenario,
    /// The gateway's books.
    pub(super) payments: &'a [Payment],
    /// Changes of health, oldest first.
    pub(super) turns: &'a [Turn],
    /// What shoppers met.
    pub(super) tally: &'a Tally,
    /// Transfers in the bank's books.
    pub(super) transfers: u64,
    /// Certificates that had run out.
    pub(super) lapsed: Vec<(ChannelId, Lapsed)>,
    /// The start of the traffic by both clocks.
    pub(super) began: (Instant, Timestamp),
}

impl Sources<'_> {
    /// Everything that happened, but for what the operator did.
    pub(super) fn story(&self) -> Vec<Happened> {
        let mut story = self.certificates();
        story.extend(self.outs());
        let steps = &self.scenario.steps;
        story.extend(steps.iter().filter_map(|step| self.bank(step)));
        story.extend(steps.iter().filter_map(|step| self.approved(step)).next());
        story.extend(self.transferred());
        story.extend(self.held());
        story
    }

    fn transferred(&self) -> Option<Happened> {
        let by_transfer = |payment: &&Payment| match payment.state {
            PaymentState::Paid { ordinal, .. } => {
                payment.attempt(ordinal).is_some_and(|a| a.method == Method::BankTransfer)
            }
            _ => false,
        };
        let matched = self.payments.iter().filter(by_transfer).count() as u64;
        (self.transfers > 0).then_some(Happened::Transfers { made: self.transfers, matched })
    }

    fn held(&self) -> Option<Happened> {
        let holds = || self.payments.iter().filter_map(|payment| payment.hold.as_ref());
        let count = |test: fn(&Hold) -> bool| holds().filter(|hold| test(hold)).count() as u64;
        (holds().count() > 0).then(|| Happened::Held {
            held: count(|_| true),
            paid: count(|hold| hold.ended == Some(HoldEnd::Paid)),
            reminded: count(|hold| hold.recovery_told.is_some()),
        })
    }

    fn seconds(&self, at: Timestamp) -> f64 {
        at.since(self.began.1).as_secs_f64()
    }

    fn certificates(&self) -> Vec<Happened> {
        let at = |moment: Instant| moment.saturating_duration_since(self.began.0).as_secs_f64();
        let told = |(channel, lapsed): &(ChannelId, Lapsed)| Happened::Certificate {
            channel: channel.to_string(),
            certificate: lapsed.detail.clone(),
            from_s: at(lapsed.first),
            until_s: at(lapsed.last),
            answers: lapsed.answers,
            elsewhere: self.elsewhere(channel),
        };
        self.lapsed.iter().map(told).collect()
    }

    /// Channels that went out of service, each once: from the first fall to the last return.
    fn outs(&self) -> Vec<Happened> {
        let mut channels: Vec<&ChannelId> = Vec::new();
        for turn in self.turns.iter().filter(|turn| turn.to == "down") {
            if !channels.contains(&&turn.channel) {
                channels.push(&turn.channel);
            }
        }
        channels.into_iter().filter_map(|channel| self.out(channel)).collect()
    }

    fn out(&self, channel: &ChannelId) -> Option<Happened> {
        let of_it = || self.turns.iter().filter(|turn| turn.channel == *channel);
        let first = of_it().find(|turn| turn.to == "down")?;
        let last = of_it().next_back()?;
        let back = matches!(last.to, "healthy" | "suspect").then(|| self.seconds(last.at));
        Some(Happened::Out {
            channel: channel.to_string(),
            from_s: self.seconds(first.at),
            until_s: back,
            cause: first.cause.map(Cause::name),
            elsewhere: self.elsewhere(channel),
        })
    }

    /// Payments that went to another channel because this one was out or had failed.
    fn elsewhere(&self, channel: &ChannelId) -> u64 {
        let (failed, is) = (format!("failover from {channel}"), format!("{channel} is "));
        let left = |payment: &&Payment| {
            let served = payment.attempts.iter().filter(|attempt| was_served(attempt));
            let mut reasons = served.map(|attempt| &attempt.choice.reason);
            reasons.any(|reason| *reason == failed || reason.starts_with(&is))
        };
        self.payments.iter().filter(left).count() as u64
    }

    fn bank(&self, step: &Step) -> Option<Happened> {
        let bank = phases::bank(step)?;
        let within = |payment: &&Payment| {
            (step.at_s..step.until_s).contains(&self.seconds(payment.created_at))
        };
        let of = |theirs: bool| {
            let same = move |payment: &&Payment| {
                payment.terms.issuer.as_deref().is_some_and(|issuer| (issuer == bank) == theirs)
            };
            self.payments.iter().filter(same).filter(within)
        };
        let led = |payment: &&Payment| {
            let first = payment.attempts.first().map(|attempt| attempt.method);
            first.is_some_and(|method| Some(&method) != payment.terms.methods.first())
        };
        let by_union = |payment: &&Payment| match payment.state {
            PaymentState::Paid { ordinal, .. } => {
                payment.attempt(ordinal).is_some_and(|a| a.method == Method::UnionPay)
            }
            _ => false,
        };
        let met = self.tally.at_cashier(bank);
        Some(Happened::Bank {
            bank: bank.to_owned(),
            from_s: step.at_s,
            until_s: step.until_s,
            led: of(true).filter(led).count() as u64,
            offered: met.offered,
            turned_away: met.turned_away,
            others_paid: of(false).filter(by_union).count() as u64,
        })
    }

    /// Who agreed at PayPal while it could not be asked to take the money.
    fn approved(&self, step: &Step) -> Option<Happened> {
        let paypal = step.matches.provider.as_ref()?.0 == [ProviderKind::Paypal];
        let hits = |op| step.matches.operation.as_ref().is_none_or(|o| o.0.contains(&op));
        if !paypal || !(hits(Operation::Token) || hits(Operation::Capture)) {
            return None;
        }
        let (began, start) = self.began;
        let end = start + Duration::from_secs_f64(step.until_s);
        let meanwhile = |at: &Instant| {
            let at = at.saturating_duration_since(began).as_secs_f64();
            (step.at_s..step.until_s).contains(&at)
        };
        let approvals = self.tally.approvals();
        let theirs: Vec<&Payment> = self
            .payments
            .iter()
            .filter(|payment| approvals.get(&payment.id).is_some_and(meanwhile))
            .collect();
        let channel =
            theirs.iter().flat_map(|p| &p.attempts).find(|a| a.method == Method::Paypal)?;
        let taken: Vec<Timestamp> = theirs.iter().filter_map(|p| taken_at(p)).collect();
        let last = taken.iter().max().map_or(0.0, |at| at.since(end).as_secs_f64());
        Some(Happened::Approved {
            channel: channel.channel.to_string(),
            approved: theirs.len() as u64,
            captured: taken.len() as u64,
            last_after_s: last,
        })
    }
}

/// When we learned that a payment was paid.
fn taken_at(payment: &Payment) -> Option<Timestamp> {
    let PaymentState::Paid { ordinal, .. } = payment.state else { return None };
    match payment.attempt(ordinal)?.state {
        AttemptState::Paid { at, .. } => Some(at),
        _ => None,
    }
}

impl Happened {
    /// For people.
    pub fn told(&self, lang: Lang) -> String {
        match self {
            Happened::Operator { en, zh, refused, .. } => match (lang, refused) {
                (Lang::En, None) => format!("operator: {en}"),
                (Lang::Zh, None) => format!("操作员：{zh}"),
                (Lang::En, Some(why)) => format!("operator, refused: {en}: {why}"),
                (Lang::Zh, Some(why)) => format!("操作员（被拒绝）：{zh}：{why}"),
            },
            Happened::Trial { channel, from_s, until_s, state, calls, failed, rescued } => {
                let (en, zh) = match state.as_str() {
                    "rolled_back" => ("taken back by itself", "自动回滚"),
                    _ => ("put in force", "生效"),
                };
                lang.pick(
                    format!(
                        "The configuration of {channel} that was applied at {from_s:.1} s was {en} \
                         at {until_s:.1} s: {failed} of {calls} calls with it failed, and {rescued} \
                         of those were done at once with the settings in force."
                    ),
                    format!(
                        "{from_s:.1} s 应用的 {channel} 配置已于 {until_s:.1} s {zh}：用新配置的 \
                         {calls} 次调用中 {failed} 次失败，其中 {rescued} 次随即用原配置完成。"
                    ),
                )
            }
            Happened::Out { channel, from_s, until_s, cause, elsewhere } => {
                let why = cause.map_or_else(String::new, |cause| because(cause, lang));
                let (on, until) = match until_s {
                    Some(s) => (format!("to {s:.1} s"), format!("到 {s:.1} s")),
                    None => ("on".to_owned(), "起".to_owned()),
                };
                lang.pick(
                    format!(
                        "{channel} was out of service from {from_s:.1} s {on}{why}; {elsewhere} \
                         payments went elsewhere."
                    ),
                    format!(
                        "{channel} 从 {from_s:.1} s {until}停用{why}；{elsewhere} \
                         笔支付改走其他通道。"
                    ),
                )
            }
            Happened::Bank { bank, from_s, until_s, led, offered, turned_away, others_paid } => {
                lang.pick(
                    format!(
                        "{bank} refused its customers at UnionPay from {from_s:.1} s to \
                         {until_s:.1} s: {led} were led to another method before they met it, \
                         {offered} met it and were offered another, {turned_away} had none. \
                         Customers of other banks made {others_paid} payments by UnionPay meanwhile."
                    ),
                    format!(
                        "{bank} 从 {from_s:.1} s 到 {until_s:.1} s 在银联拒绝其客户：{led} \
                         笔事先改用其他方式，{offered} 笔被拒后改用其他方式，{turned_away} \
                         笔没有其他方式。其间其他银行的客户用银联支付了 {others_paid} 笔。"
                    ),
                )
            }
            Happened::Certificate {
                channel,
                certificate,
                from_s,
                until_s,
                answers,
                elsewhere,
            } => {
                let which = which_certificate(certificate, lang);
                lang.pick(
                    format!(
                        "{channel}: {which}. {answers} answers signed with it came from \
                         {from_s:.1} s to {until_s:.1} s, and none was believed; {elsewhere} \
                         payments went elsewhere."
                    ),
                    format!(
                        "{channel}：{which}。{from_s:.1} s 到 {until_s:.1} s 收到 {answers} \
                         个用它签名的应答，一律不予采信；{elsewhere} 笔支付改走其他通道。"
                    ),
                )
            }
            Happened::Ladder { scope, deepest, from_s, until_s } => {
                ladder(scope, *deepest, (*from_s, *until_s), lang)
            }
            Happened::Held { held, paid, reminded } => lang.pick(
                format!(
                    "{held} orders were kept for customers who could not pay; {reminded} of them \
                     were told that they could again, and {paid} came back and paid."
                ),
                format!(
                    "为无法付款的客户保留了 {held} 笔订单，恢复后提醒了 {reminded} 位，其中 {paid} \
                     笔已回来完成支付。"
                ),
            ),
            Happened::Transfers { made, matched } => lang.pick(
                format!(
                    "{made} customers were offered a bank transfer when nothing else was left and \
                     made one; {matched} of them were matched with their payments, from statements."
                ),
                format!(
                    "没有其他支付方式时，{made} 位客户改用银行转账付款；其中 {matched} \
                     笔已按对账单匹配到支付单。"
                ),
            ),
            Happened::Approved { channel, approved, captured, last_after_s } => lang.pick(
                format!(
                    "{approved} customers agreed at {channel} while it could not be asked to take \
                     their money; {captured} of them have paid since, the last {last_after_s:.1} s \
                     after it could."
                ),
                format!(
                    "{approved} 位客户在 {channel} 无法扣款期间同意付款，其中 {captured} \
                     笔随后完成，最后一笔在恢复后 {last_after_s:.1} 秒。"
                ),
            ),
        }
    }
}

fn ladder(scope: &str, deepest: u8, (from_s, until_s): (f64, Option<f64>), lang: Lang) -> String {
    let who = scope.parse().map_or_else(|_| scope.to_owned(), |reach| who(&reach, lang));
    let level = deepest.to_string().parse::<Level>().unwrap_or_default();
    let name = level.label(locale(lang));
    let (en, zh) = match until_s {
        Some(s) => (format!("and was back at {s:.1} s"), format!("{s:.1} s 自动恢复")),
        None => ("and was not back yet".to_owned(), "尚未恢复".to_owned()),
    };
    lang.pick(
        format!(
            "The ladder went down to level {deepest} ({name}) for {who} at {from_s:.1} s {en}."
        ),
        format!("{who}在 {from_s:.1} s 起降级，最低 {deepest} 级（{name}），{zh}。"),
    )
}

/// Which certificate has run out and since when, from the codec's words.
pub(super) fn which_certificate(detail: &str, lang: Lang) -> String {
    let said = |detail: &'_ str| {
        let (_, rest) = detail.split_once("certificate ")?;
        let (serial, since) = rest.split_once(" ran out at ")?;
        Some((serial.to_owned(), since.to_owned()))
    };
    match said(detail) {
        Some((serial, since)) => lang.pick(
            format!("certificate {serial} ran out at {since}"),
            format!("证书 {serial} 已于 {since} 过期"),
        ),
        None => detail.to_owned(),
    }
}

fn because(cause: &str, lang: Lang) -> String {
    let (en, zh) = match cause {
        "technical" => ("its calls failed", "调用失败"),
        "refused" => ("it refused our requests", "拒绝我方请求"),
        "approval" => ("hardly anybody could pay", "几乎无人支付成功"),
        "hang" => ("it did not answer", "不应答"),
        "conversion" => ("codes were shown and not paid", "展示后无人支付"),
        "maintenance" => ("planned maintenance", "计划维护"),
        other => (other, other),
    };
    lang.pick(format!(" ({en})"), format!("（{zh}）"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_with_its_end_in_both_languages() {
        let detail = "the answer does not prove itself: UnionPay's certificate 7001 ran out at \
                      2026-11-24T11:24:12Z";
        let told = |lang| which_certificate(detail, lang);
        assert_eq!(told(Lang::En), "certificate 7001 ran out at 2026-11-24T11:24:12Z");
        assert_eq!(told(Lang::Zh), "证书 7001 已于 2026-11-24T11:24:12Z 过期");
        assert_eq!(which_certificate("something else", Lang::Zh), "something else");
    }
}
