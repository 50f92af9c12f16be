//! What to tell the customer about a payment, in both languages.

use domain::{Attempt, Locale, Method, Payment, Status};

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
        Status::Declined => Some(notice(
            "支付未成功，请更换支付方式",
            "The payment was declined, please use another way to pay",
        )),
        _ => None,
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
