//! What to tell the customer about a payment, in both languages.

use domain::{Attempt, Locale, Method, Money, Payment, Status};

use crate::view::Notice;

/// The sentence that fits, when there is something to tell.
pub(crate) fn of(payment: &Payment) -> Option<Notice> {
    match payment.status() {
        Status::RequiresCustomer => another_method(payment),
        Status::Confirming => Some(notice(
            "正在确认，请勿重复支付",
            "The payment is being confirmed, please do not pay again",
        )),
        Status::Unavailable => Some(notice(
            "暂时无法支付，请稍后重试或更换支付方式",
            "Payment is not possible at the moment, please try again soon or use another method",
        )),
        Status::Held => Some(notice(
            "订单已为您保留，支付恢复后可通过订单链接继续支付",
            "Your order is kept: pay it later through its link",
        )),
        Status::Paused => Some(notice(
            "扣款功能暂停中，恢复后将自动处理，期间不会扣款",
            "Charges are paused: this one follows later, and nothing is charged meanwhile",
        )),
        Status::Declined => Some(notice(
            "支付未成功，请更换支付方式",
            "The payment was declined, please use another way to pay",
        )),
        _ => None,
    }
}

/// How to make a transfer of what is still to be paid.
pub(crate) fn transfer(rest: Money, reference: Option<&str>) -> Notice {
    let amount = format!("{} {}", rest.currency(), rest.to_major());
    match reference {
        Some(reference) => Notice {
            zh: format!(
                "请通过网银或手机银行转账 {amount}，并在附言（用途/备注）中原样填写“{reference}”。\
                 附言是识别您付款的唯一依据，请勿遗漏。"
            ),
            en: format!(
                "Transfer {amount} by your bank and write \"{reference}\" as the payment \
                 reference, exactly as it stands. It is how your payment is recognised."
            ),
        },
        None => Notice {
            zh: format!("请通过网银或手机银行转账 {amount} 到上述账号。该账号仅供本次支付使用。"),
            en: format!(
                "Transfer {amount} by your bank to the account above. The account is for this \
                 payment only."
            ),
        },
    }
}

fn notice(zh: &str, en: &str) -> Notice {
    Notice { zh: zh.to_owned(), en: en.to_owned() }
}

/// Tells of a method that was wished for and is not there.
fn another_method(payment: &Payment) -> Option<Notice> {
    let shown = payment.presented()?;
    let wished = *payment.terms.methods.first()?;
    if shown.method == wished || !given_up(payment, shown, wished) {
        return None;
    }
    let name = |method: Method, locale| method.label(locale);
    Some(Notice {
        zh: format!(
            "{}暂时不可用，请使用{}",
            name(wished, Locale::Zh),
            name(shown.method, Locale::Zh)
        ),
        en: format!(
            "{} is unavailable at the moment, please use {}",
            name(wished, Locale::En),
            name(shown.method, Locale::En)
        ),
    })
}

/// Whether `shown` came to be because `wished` did not work, and not because the customer went
/// elsewhere: walks back along the failovers of one request.
fn given_up(payment: &Payment, shown: &Attempt, wished: Method) -> bool {
    let mut attempt = shown;
    loop {
        if attempt.choice.excluded.iter().any(|e| e.method == wished) {
            return true;
        }
        if !attempt.choice.reason.starts_with("failover") {
            return false;
        }
        match payment.attempt(attempt.ordinal - 1) {
            Some(before) if before.method == wished => return true,
            Some(before) => attempt = before,
            None => return false,
        }
    }
}
