//! What is known about a payment, in plain words and both languages, for whoever talks to its
//! customer. "Not charged" is said only where the books prove it.

use domain::{
    Attempt, AttemptState, CloseWhy, Flow, Payment, PaymentState, Presentation, Proof, Status,
};

use crate::view::Notice;

/// What may be said of the customer's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing was charged, and nothing can be any more by what was tried.
    NotCharged,
    /// The customer holds a code or link that can be paid.
    MayBePaid,
    /// No charge is known; an old order is being closed at its provider.
    BeingClosed,
    /// A charge may have happened.
    BeingConfirmed,
    /// The customer has paid.
    Charged,
}

impl Verdict {
    /// What the books say.
    pub(crate) fn of(payment: &Payment) -> Verdict {
        let any = |test: fn(&Attempt) -> bool| payment.attempts.iter().any(test);
        if matches!(payment.state, PaymentState::Paid { .. }) {
            Verdict::Charged
        } else if any(|a| a.is_live() && (a.flow == Flow::Direct)) {
            Verdict::BeingConfirmed
        } else if any(|a| matches!(a.state, AttemptState::Presented { .. })) {
            Verdict::MayBePaid
        } else if any(Attempt::is_live) {
            Verdict::BeingClosed
        } else {
            Verdict::NotCharged
        }
    }

    /// The name that the API uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::NotCharged => "not_charged",
            Verdict::MayBePaid => "may_be_paid",
            Verdict::BeingClosed => "being_closed",
            Verdict::BeingConfirmed => "being_confirmed",
            Verdict::Charged => "charged",
        }
    }

    /// What to tell the customer.
    pub(crate) fn words(self, payment: &Payment) -> Notice {
        match self {
            Verdict::NotCharged => notice(
                "账上已证实：客户没有被扣款。",
                "The books prove that the customer was not charged.",
            ),
            Verdict::MayBePaid => notice(
                "没有已知扣款；客户手上的付款码或链接仍可支付，换通道时系统会先将其关闭。",
                "No charge is known. The customer holds a code or link that can still be paid; it \
                 is closed first when the payment goes elsewhere.",
            ),
            Verdict::BeingClosed => notice(
                "没有已知扣款；此前的订单正在服务商处关闭，若之后到账，多出的款项会自动退回。",
                "No charge is known. An earlier order is being closed at its provider; should it \
                 be paid after all, what is too much goes back by itself.",
            ),
            Verdict::BeingConfirmed => notice(
                "可能已扣款，正在向服务商确认。请勿再次收款，也不要收取现金。",
                "A charge may have happened and is being confirmed. Do not charge again, and take \
                 no cash.",
            ),
            Verdict::Charged if payment.status() == Status::Refunded => notice(
                "客户已付款，并已全额退回。",
                "The customer has paid, and all of it went back.",
            ),
            Verdict::Charged => notice("客户已付款。", "The customer has paid."),
        }
    }
}

/// What became of an attempt, in a sentence.
pub(crate) fn attempt(attempt: &Attempt) -> Notice {
    let channel = &attempt.channel;
    match &attempt.state {
        AttemptState::InFlight => Notice {
            zh: format!("正在请求 {channel}，尚无答复。"),
            en: format!("{channel} is being asked and has not answered yet."),
        },
        AttemptState::Presented { presentation, .. } => shown(presentation),
        AttemptState::Unknown { fault, .. } => Notice {
            zh: format!("{channel} 的答复不明（{}），可能已扣款，正在查询。", fault.code),
            en: format!(
                "{channel} gave no clear answer ({}): it may have charged, and is being asked.",
                fault.code
            ),
        },
        AttemptState::Closing { why: CloseWhy::Orphan, .. } => Notice {
            zh: format!("{channel} 没有答复，客户没有见到付款码；该订单正在关闭。"),
            en: format!(
                "{channel} never answered, and no customer saw a code; it is being closed."
            ),
        },
        AttemptState::Closing { why: CloseWhy::Shown, .. } => Notice {
            zh: format!("客户见过 {channel} 的付款码；该订单正在关闭。"),
            en: format!("The customer saw the code of {channel}; it is being closed."),
        },
        AttemptState::Closed { proof: Proof::Provider, .. } => Notice {
            zh: format!("{channel} 已确认：该订单已关闭，没有人付款。"),
            en: format!("{channel} confirms that the order is closed and nobody paid it."),
        },
        AttemptState::Closed { proof: Proof::Lapsed, .. } => Notice {
            zh: format!("订单在 {channel} 已过期，没有人付款。"),
            en: format!("The order has lapsed at {channel}, and nobody paid it."),
        },
        AttemptState::Declined { decline, .. } => Notice {
            zh: format!("客户或发卡行拒绝（{}），没有扣款。", decline.code),
            en: format!(
                "The customer or the bank refused ({}); nothing was charged.",
                decline.code
            ),
        },
        AttemptState::Failed { fault, .. } => Notice {
            zh: format!("{channel} 没有受理（{}），肯定没有扣款。", fault.code),
            en: format!("{channel} did not take it ({}); surely nothing was charged.", fault.code),
        },
        AttemptState::Paid { receipt, .. } => Notice {
            zh: format!("{channel} 已收款 {}，凭证号 {}。", receipt.captured, receipt.reference),
            en: format!(
                "{channel} has taken {}, under the reference {}.",
                receipt.captured, receipt.reference
            ),
        },
    }
}

fn shown(presentation: &Presentation) -> Notice {
    match presentation {
        Presentation::BankTransfer(_) => notice(
            "已给客户转账账号，正在等待到账。",
            "The customer has the account to transfer to; the money is waited for.",
        ),
        _ => notice(
            "客户手上有付款码或链接，仍可支付。",
            "The customer holds a code or link that can be paid.",
        ),
    }
}

fn notice(zh: &str, en: &str) -> Notice {
    Notice { zh: zh.to_owned(), en: en.to_owned() }
}
