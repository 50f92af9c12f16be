//! What the merchant asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Purpose, Timestamp};

/// What the customer pays with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// 支付宝
    Alipay,
    /// 微信支付
    WechatPay,
    /// 云闪付 / 银联
    UnionPay,
    /// A bank card.
    Card,
    /// PayPal
    Paypal,
    /// Transfer from the customer's bank account.
    BankTransfer,
    /// What staff took outside any channel, such as cash. Nobody can ask for it: it is the
    /// method of attempts that [`Payment::record_offline`](crate::Payment::record_offline) made.
    Offline,
}

impl Method {
    /// Every method that a merchant can ask for, in the order that lists show them.
    pub const ALL: [Method; 6] = [
        Method::Alipay,
        Method::WechatPay,
        Method::UnionPay,
        Method::Card,
        Method::Paypal,
        Method::BankTransfer,
    ];

    /// The name that the API, configuration and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Method::Alipay => "alipay",
            Method::WechatPay => "wechat_pay",
            Method::UnionPay => "union_pay",
            Method::Card => "card",
            Method::Paypal => "paypal",
            Method::BankTransfer => "bank_transfer",
            Method::Offline => "offline",
        }
    }

    /// What customers call it, in their language.
    pub fn label(self, locale: Locale) -> &'static str {
        match (self, locale) {
            (Method::Alipay, Locale::Zh) => "支付宝",
            (Method::Alipay, Locale::En) => "Alipay",
            (Method::WechatPay, Locale::Zh) => "微信支付",
            (Method::WechatPay, Locale::En) => "WeChat Pay",
            (Method::UnionPay, Locale::Zh) => "银联",
            (Method::UnionPay, Locale::En) => "UnionPay",
            (Method::Card, Locale::Zh) => "银行卡",
            (Method::Card, Locale::En) => "Card",
            (Method::Paypal, _) => "PayPal",
            (Method::BankTransfer, Locale::Zh) => "银行转账",
            (Method::BankTransfer, Locale::En) => "Bank transfer",
            (Method::Offline, Locale::Zh) => "线下付款",
            (Method::Offline, Locale::En) => "Offline payment",
        }
    }
}

impl std::str::FromStr for Method {
    type Err = crate::InvalidText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Method::ALL.into_iter().find(|m| m.name() == text).ok_or(crate::InvalidText {
            rule: "a method is one of alipay, wechat_pay, union_pay, card, paypal, bank_transfer",
        })
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Who moves the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The customer must act on a code or link before money moves.
    Presented,
    /// The call itself moves the money (a saved card, a renewal).
    Direct,
}

/// How the merchant ranks the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Everyone.
    #[default]
    Standard,
    /// Staff help when nothing else works.
    Vip,
}

/// The language that the customer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Locale {
    /// Simplified Chinese.
    #[default]
    Zh,
    /// English.
    En,
}

/// What the merchant asked for besides the amount and the order number. Never changes after
/// the payment is made; limits on lengths are checked where text comes in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The methods that the customer may pay with, the preferred one first; not empty.
    pub methods: Vec<Method>,
    /// Why the merchant collects.
    pub purpose: Purpose,
    /// How the merchant ranks the customer.
    pub tier: Tier,
    /// What the customer sees on the provider's page.
    pub subject: String,
    /// The customer's bank, when known; narrows health to its cell.
    pub issuer: Option<String>,
    /// Where the customer can be reached (e-mail or telephone). Personal data: never logged.
    pub contact: Option<String>,
    /// The customer's device, as the merchant's push service knows it. Personal data as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_token: Option<String>,
    /// The customer's language.
    pub locale: Locale,
    /// Where the provider sends the browser afterwards.
    pub return_url: Option<String>,
    /// The customer's network address, which WeChat Pay's H5 flow demands.
    pub payer_ip: Option<String>,
    /// The customer's id at the provider's app (WeChat's openid), for JSAPI.
    pub payer_id: Option<String>,
    /// How the customer's device shows it: a code on a screen, or a page in a phone browser.
    pub device: Device,
    /// A saved payment instrument at the provider; makes the flow direct.
    pub token: Option<String>,
    /// The merchant's own notes, handed back unchanged.
    pub metadata: BTreeMap<String, String>,
    /// The only channel that it may be sent on, whatever that channel's health; for synthetic
    /// payments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<ChannelId>,
    /// When the merchant wanted the money, such as the day of a renewal: the place in the queue
    /// of paused work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When a subscription lapses that this renewal has not paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_at: Option<Timestamp>,
    /// Whether the order must not be kept when nothing takes it, as with tickets that cannot
    /// wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_hold: bool,
}

impl Terms {
    /// Whether Evergate made the payment in order to try a channel.
    pub fn is_synthetic(&self) -> bool {
        self.purpose == Purpose::Synthetic
    }

    /// The flow that paying by `method` takes under these terms.
    pub fn flow(&self, method: Method) -> Flow {
        if method == Method::Card && self.token.is_some() { Flow::Direct } else { Flow::Presented }
    }
}

/// The kind of screen that the customer pays from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// A code is shown and scanned with a phone.
    #[default]
    Qr,
    /// A desktop browser that follows a link.
    Desktop,
    /// A phone's browser that follows a link.
    Mobile,
    /// Inside the wallet's own app (WeChat JSAPI); needs `payer_id`.
    InApp,
}
