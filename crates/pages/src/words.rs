//! Every sentence that customers read, in both languages, in one place.

use domain::{Locale, Method};

use crate::checkout::Saying;

/// Sentences of the checkout page in one language.
#[derive(Clone, Copy)]
pub(crate) struct Words(pub(crate) Locale);

/// Methods of a `Words` that give a sentence in its language.
macro_rules! sentences {
    ($($(#[$doc:meta])* $name:ident: $zh:literal, $en:literal;)*) => {
        impl Words {
            $($(#[$doc])*
            pub(crate) fn $name(&self) -> &'static str {
                match self.0 { Locale::Zh => $zh, Locale::En => $en }
            })*
        }
    };
}

pub(crate) use sentences;

sentences! {
    lang: "zh-CN", "en";
    pay_to: "付款给", "Pay to";
    order: "订单", "Order";
    choose: "请选择支付方式", "Choose how to pay";
    other_ways: "其他支付方式", "Other ways to pay";
    unavailable: "暂时不可用", "Unavailable right now";
    open_app: "打开并支付", "Open and pay";
    scan: "请用手机扫描二维码完成支付", "Scan the code with your phone to pay";
    scan_or_open: "在本机打开应用支付，或用另一部手机扫描二维码", "Open the app on this device, or scan the code with a phone";
    wallet: "请在应用中确认支付", "Confirm the payment in the app";
    in_shop: "此方式需要在商家页面完成，请返回商家继续，或选择其他方式。", "This way to pay continues on the shop's own page. Go back to the shop, or choose another way.";
    valid_until: "有效期至", "Valid until";
    go_on: "请在打开的页面完成支付", "Go on at the provider's page to pay";
    time_left: "剩余时间", "Time left";
    waiting: "等待支付，付款后本页会自动更新。", "Waiting for your payment. This page updates by itself.";
    working_title: "正在准备支付", "Getting things ready";
    working: "请稍候，正在联系支付渠道。", "One moment, we are talking to the provider.";
    confirming_title: "正在确认支付结果", "Your payment is being confirmed";
    confirming: "请不要重复付款。结果确认后本页会自动更新。", "Please do not pay again. This page updates by itself when we know.";
    paid_title: "支付成功", "Paid";
    paid: "商家已收到您的付款。", "The shop has your payment.";
    refunded_title: "已退款", "Refunded";
    refunded: "款项已原路退回。", "Your money has been sent back the way it came.";
    twice_under: "检测到您多付了一次，多付的款项正在原路退回，无需任何操作。", "You paid twice. The second payment is being sent back, you need not do anything.";
    twice_done: "您曾多付一次，多付的款项已原路退回。", "You paid twice. The second payment has been sent back.";
    late_title: "付款晚于订单结束", "You paid after the order had ended";
    late_under: "款项正在原路退回，请不要再次付款。", "Your money is being sent back. Please do not pay again.";
    late_done: "款项已原路退回。", "Your money has been sent back the way it came.";
    paused_title: "此项扣款已暂停", "This payment is paused";
    paused: "暂停期间不会扣款，您无需操作；恢复后会继续处理。", "Nothing is charged during the pause, and you need not do anything. It goes on afterwards.";
    kept_title: "订单已为您保留", "Your order is kept for you";
    kept: "现在可以付款，保留至", "You can pay it now, or until";
    declined_title: "支付未通过", "The payment was declined";
    declined: "您的银行或钱包没有同意这笔付款，可以换一种方式再试。", "Your bank or wallet said no. You can try another way to pay.";
    cancelled_title: "订单已取消", "The order was cancelled";
    expired_title: "支付时间已过", "The time to pay is over";
    unknown_title: "没有找到这笔付款", "There is no such payment";
    unknown: "链接不完整或已失效。请从商家的订单页面重新打开付款链接。您没有因打开此页面而被扣款。", "The link is incomplete or not valid any more. Open the link from the shop's order page again. Opening this page has charged you nothing.";
    changed_title: "请求无效，未做任何处理", "The request was refused, and nothing was done";
    changed: "提交的内容与页面不符。金额和收款方不能在此更改。请返回付款页面重试。", "What was sent is not what the page offers. Amount and payee cannot be changed here. Please go back to the payment page and try again.";
    foreign: "请求来自其他网站，已被拒绝。请在付款页面操作。", "The request came from another site and was refused. Please use the payment page itself.";
    busy_title: "请稍候", "One moment, please";
    busy: "系统繁忙，您的付款状态不受影响。页面会自动重试，请不要重复付款。", "We are very busy. Your payment is not affected, and this page tries again by itself. Please do not pay twice.";
    on: "返回付款页面", "Back to the payment page";
    not_charged: "您没有被扣款。", "You were not charged.";
    maybe_charged: "扣款结果正在确认，请不要重复付款。若已扣款，将自动退回或完成订单。", "We are confirming whether you were charged. Please do not pay again: if you were, it is given back or the order is completed.";
    nothing_title: "暂时无法付款", "Payment is not possible right now";
    nothing: "支付渠道正在恢复。", "The ways to pay are being restored.";
    later_title: "稍后付款", "Pay later";
    later: "订单已为您保留，可随时回到此链接付款，保留至", "Your order is kept. Come back to this link to pay it, until";
    later_offer: "保留订单，稍后付款", "Keep my order, pay later";
    held_link: "付款链接", "Link to pay";
    transfer_note: "请在转账附言中填写付款码，金额须一致。", "Put the reference into the transfer, and send the exact amount.";
    payee: "收款户名", "Account holder";
    bank: "开户银行", "Bank";
    account: "收款账号", "Account";
    bank_code: "联行号 / BIC", "Bank code";
    amount: "金额", "Amount";
    reference: "附言（付款码）", "Reference";
    until: "请在此之前转账", "Transfer before";
    received: "已收到", "Received so far";
    rest: "还需支付", "Still to pay";
    copy: "复制", "Copy";
    copied: "已复制", "Copied";
    staff_title: "人工协助付款", "Pay with our staff's help";
    staff: "我们的同事可以为您完成付款。", "Our staff can take your payment for you.";
    staff_offer: "请联系我", "Please contact me";
    staff_asked: "已通知同事，会尽快与您联系。", "Our staff have been told and will contact you soon.";
    back: "返回商家", "Back to the shop";
    code: "zh", "en";
    other_code: "en", "zh";
    other_language: "English", "中文";
    reminders_title: "订单提醒", "Reminders about your orders";
    reminders_on: "您会收到订单保留、支付恢复和即将到期的提醒。", "You get reminders: that an order is kept, that payment works again, that the time is nearly over.";
    reminders_off: "您已退订，不会再收到提醒。", "You have unsubscribed and get no more reminders.";
    reminders_leave: "退订提醒", "Unsubscribe";
    reminders_return: "重新接收提醒", "Get reminders again";
    reminders_always: "付款和退款的通知不受影响。", "You are still told of payments and refunds.";
    reminders_nobody: "链接无效或已失效，请使用消息中的完整链接。", "This link leads nowhere. Please use the whole link from the message.";
    offline: "连接已断开，正在重试…", "Connection lost, trying again…";
}

impl Words {
    pub(crate) fn saying_title(&self, saying: &Saying) -> &'static str {
        match saying {
            Saying::Unknown => self.unknown_title(),
            Saying::Changed | Saying::Foreign => self.changed_title(),
            Saying::Busy => self.busy_title(),
        }
    }

    pub(crate) fn saying(&self, saying: &Saying) -> &'static str {
        match saying {
            Saying::Unknown => self.unknown(),
            Saying::Changed => self.changed(),
            Saying::Foreign => self.foreign(),
            Saying::Busy => self.busy(),
        }
    }

    pub(crate) fn method(self, method: &Method) -> &'static str {
        method.label(self.0)
    }

    /// The prompt of a method that is out: what to use instead, where there is something.
    pub(crate) fn prompt(self, out: Method, instead: Option<Method>) -> String {
        let name = self.method(&out);
        match (self.0, instead.map(|method| self.method(&method))) {
            (Locale::Zh, Some(other)) => format!("{name}暂时不可用，请使用{other}"),
            (Locale::Zh, None) => format!("{name}暂时不可用"),
            (Locale::En, Some(other)) => {
                format!("{name} is unavailable right now, please use {other}")
            }
            (Locale::En, None) => format!("{name} is unavailable right now"),
        }
    }
}
