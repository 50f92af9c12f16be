//! The three providers as their protocols describe them, for good and for foreign answers.

use domain::{Device, Method, Order};
use providers::ChannelSettings;
use serde_json::{Value, json};

use crate::fake::{Back, Got};
use crate::keys::{OURS, Pair, STRANGERS, THEIRS};
use crate::world::{NOW, direct, number, order, refund_number, settings};

/// What the peer says, and how it may lie.
#[derive(Clone)]
pub(crate) struct Facts {
    pub(crate) number: String,
    pub(crate) refund: String,
    pub(crate) amount: i64,
    pub(crate) refunded: i64,
    /// Whether the order was closed unpaid; otherwise it is paid.
    pub(crate) closed: bool,
    pub(crate) forged: bool,
}

impl Facts {
    pub(crate) fn good() -> Facts {
        Facts {
            number: number().to_string(),
            refund: refund_number().to_string(),
            amount: 1234,
            refunded: 500,
            closed: false,
            forged: false,
        }
    }

    fn key(&self) -> &'static Pair {
        if self.forged { &STRANGERS } else { &THEIRS }
    }
}

/// A provider's side of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Alipay,
    WechatPay,
    Stripe,
    Paypal,
}

pub(crate) const PEERS: [Peer; 4] = [Peer::Alipay, Peer::WechatPay, Peer::Stripe, Peer::Paypal];
pub(crate) const INTENT: &str = "pi_3Evergate";
/// PayPal's id of the order.
pub(crate) const ORDER: &str = "5O190127TN364715T";
pub(crate) const API_V3_KEY: &str = "0123456789abcdefghijklmnopqrstuv";
pub(crate) const KEY_ID: &str = "PUB_KEY_ID_0114232134912410000000000000";

impl Peer {
    pub(crate) fn settings(self, base_url: &str) -> ChannelSettings {
        let mut value = match self {
            Peer::Alipay => alipay_settings(),
            Peer::WechatPay => wechatpay_settings(),
            Peer::Stripe => stripe_settings(),
            Peer::Paypal => paypal_settings(),
        };
        value["base_url"] = base_url.into();
        value["timeout_ms"] = 700.into();
        settings(value)
    }

    pub(crate) fn order(self) -> Order {
        match self {
            Peer::Alipay => order(Method::Alipay, Device::Qr),
            Peer::WechatPay => order(Method::WechatPay, Device::Qr),
            Peer::Stripe => direct(),
            Peer::Paypal => order(Method::Paypal, Device::Qr),
        }
    }

    pub(crate) fn reference(self) -> Option<&'static str> {
        match self {
            Peer::Stripe => Some(INTENT),
            Peer::Paypal => Some(ORDER),
            _ => None,
        }
    }

    /// The answer that the protocol gives to a request.
    pub(crate) fn answer(self, got: &Got, facts: &Facts) -> Back {
        match self {
            Peer::Alipay => alipay(got, facts),
            Peer::WechatPay => wechatpay(got, facts),
            Peer::Stripe => stripe(got, facts),
            Peer::Paypal => paypal(got, facts),
        }
    }

    pub(crate) fn is_signed(self) -> bool {
        !matches!(self, Peer::Stripe | Peer::Paypal)
    }

    /// The answer to a request for a token, which comes before everything else at PayPal.
    pub(crate) fn token(self, got: &Got) -> Option<Back> {
        (got.path() == "/v1/oauth2/token").then(|| {
            let body = json!({
                "access_token": "A21AAtoken", "token_type": "Bearer", "expires_in": 32_400,
            });
            Back::json(200, body.to_string())
        })
    }
}

pub(crate) fn alipay_settings() -> Value {
    json!({
        "provider": "alipay",
        "base_url": "http://127.0.0.1:1/gateway.do",
        "app_id": "2021000000000001",
        "seller_id": "2088000000000001",
        "private_key": OURS.private_pem(),
        "alipay_public_key": THEIRS.public_pem(),
    })
}

pub(crate) fn wechatpay_settings() -> Value {
    json!({
        "provider": "wechatpay",
        "base_url": "http://127.0.0.1:1",
        "app_id": "wx0000000000000001",
        "mch_id": "1900000001",
        "merchant_private_key": OURS.private_pem(),
        "merchant_certificate": OURS.certificate_pem,
        "api_v3_key": API_V3_KEY,
        "platform_certificates": THEIRS.certificate_pem,
        "wechatpay_public_key": THEIRS.public_pem(),
        "wechatpay_public_key_id": KEY_ID,
    })
}

pub(crate) fn stripe_settings() -> Value {
    json!({
        "provider": "stripe",
        "base_url": "http://127.0.0.1:1",
        "secret_key": "sk_test_evergate",
        "webhook_secret": "whsec_new, whsec_old",
    })
}

pub(crate) fn paypal_settings() -> Value {
    json!({
        "provider": "paypal",
        "base_url": "http://127.0.0.1:1",
        "client_id": "AClient",
        "client_secret": "ESecret",
        "webhook_id": "4JH86294D6297924G",
        "currencies": ["CNY", "USD", "JPY"],
    })
}

fn yuan(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

fn alipay(got: &Got, facts: &Facts) -> Back {
    let method = got.field("method").unwrap_or_default();
    let number = &facts.number;
    let node = match method.as_str() {
        "alipay.trade.precreate" => {
            format!(r#""out_trade_no":"{number}","qr_code":"https:\/\/qr.alipay.com\/bax0""#)
        }
        "alipay.trade.query" => format!(
            r#""out_trade_no":"{number}","trade_no":"2026T","trade_status":"{}","total_amount":"{}","subject":"订单\/测试"{}"#,
            if facts.closed { "TRADE_CLOSED" } else { "TRADE_SUCCESS" },
            yuan(facts.amount),
            if facts.closed { "" } else { r#","send_pay_date":"2026-09-21 22:13:20""# },
        ),
        "alipay.trade.close" => format!(r#""out_trade_no":"{number}","trade_no":"2026T""#),
        "alipay.trade.refund" => format!(
            r#""out_trade_no":"{number}","trade_no":"2026T","fund_change":"Y","refund_fee":"{}""#,
            yuan(facts.refunded)
        ),
        _ => format!(
            r#""out_trade_no":"{number}","out_request_no":"{}","refund_amount":"{}","refund_status":"REFUND_SUCCESS""#,
            facts.refund,
            yuan(facts.refunded)
        ),
    };
    let node = format!(r#"{{"code":"10000","msg":"Success",{node}}}"#);
    alipay_body(&method, &node, facts.key())
}

/// An answer node in its envelope, signed.
pub(crate) fn alipay_body(method: &str, node: &str, key: &Pair) -> Back {
    let name = method.replace('.', "_");
    let sign = key.sign(node.as_bytes());
    let body = format!(r#"{{"{name}_response":{node},"sign":"{sign}"}}"#);
    Back::Http(200, vec![("content-type".into(), "text/html;charset=utf-8".into())], body.into())
}

fn wechatpay(got: &Got, facts: &Facts) -> Back {
    let path = got.path();
    if path.ends_with("/close") {
        return wechat_signed(204, String::new(), facts.key());
    }
    let body = if path.contains("/refund/") {
        json!({
            "refund_id": "5030", "out_refund_no": facts.refund, "out_trade_no": facts.number,
            "status": "SUCCESS", "user_received_account": "招商银行信用卡0403",
            "amount": { "refund": facts.refunded, "total": facts.amount, "currency": "CNY" },
        })
    } else if got.method == "GET" {
        transaction(facts)
    } else if path.ends_with("/native") {
        json!({ "code_url": "weixin://wxpay/bizpayurl/up?pr=NwY5Mz9" })
    } else if path.ends_with("/h5") {
        json!({ "h5_url": "https://wx.tenpay.com/checkmweb?prepay_id=wx1" })
    } else {
        json!({ "prepay_id": "wx2016121516420242444321ca0631331346" })
    };
    wechat_signed(200, body.to_string(), facts.key())
}

/// An order as WeChat Pay shows it.
pub(crate) fn transaction(facts: &Facts) -> Value {
    let mut trade = json!({
        "appid": "wx0000000000000001", "mchid": "1900000001", "out_trade_no": facts.number,
        "trade_state": if facts.closed { "CLOSED" } else { "SUCCESS" },
        "trade_state_desc": "支付成功", "amount": { "total": facts.amount, "currency": "CNY" },
    });
    if !facts.closed {
        trade["transaction_id"] = "4200".into();
        trade["success_time"] = "2026-09-21T22:13:20+08:00".into();
    }
    trade
}

/// An answer with WeChat Pay's signature headers, in certificate mode.
pub(crate) fn wechat_signed(status: u16, body: String, key: &Pair) -> Back {
    Back::Http(status, wechat_headers(&body, key, &THEIRS.serial_hex, NOW.as_secs()), body.into())
}

pub(crate) fn wechat_headers(
    body: &str,
    key: &Pair,
    serial: &str,
    at: i64,
) -> Vec<(String, String)> {
    let sign = key.sign(format!("{at}\nnonce1\n{body}\n").as_bytes());
    [
        ("content-type", "application/json"),
        ("wechatpay-timestamp", &at.to_string()),
        ("wechatpay-nonce", "nonce1"),
        ("wechatpay-signature", &sign),
        ("wechatpay-serial", serial),
        ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn stripe(got: &Got, facts: &Facts) -> Back {
    let path = got.path();
    let refund = json!({
        "id": "re_1", "object": "refund", "amount": facts.refunded, "currency": "cny",
        "status": "succeeded", "payment_intent": INTENT,
        "metadata": { "evergate_refund": facts.refund, "evergate_order": facts.number },
    });
    let body = if path == "/v1/refunds" && got.method == "GET" {
        json!({ "object": "list", "data": [refund], "has_more": false })
    } else if path.starts_with("/v1/refunds") {
        refund
    } else if path == "/v1/payment_intents" && got.method == "GET" {
        json!({ "object": "list", "data": [intent(facts)], "has_more": false })
    } else if path.ends_with("/cancel") {
        let mut intent = intent(facts);
        intent["status"] = "canceled".into();
        intent
    } else {
        intent(facts)
    };
    Back::json(200, body.to_string())
}

/// A PaymentIntent.
pub(crate) fn intent(facts: &Facts) -> Value {
    json!({
        "id": INTENT, "object": "payment_intent", "amount": facts.amount,
        "amount_received": if facts.closed { 0 } else { facts.amount },
        "currency": "cny", "status": if facts.closed { "canceled" } else { "succeeded" },
        "client_secret": format!("{INTENT}_secret_1"), "latest_charge": "ch_1",
        "metadata": { "evergate_order": facts.number, "evergate_flow": "direct", "other": 1 },
    })
}

fn paypal(got: &Got, facts: &Facts) -> Back {
    if let Some(token) = Peer::Paypal.token(got) {
        return token;
    }
    let status = if got.method == "GET" { 200 } else { 201 };
    Back::json(status, paypal_order(facts).to_string())
}

/// An order as PayPal shows it: paid with a refund, or waiting for its payer.
pub(crate) fn paypal_order(facts: &Facts) -> Value {
    let amount = json!({ "currency_code": "CNY", "value": yuan(facts.amount) });
    let mut order = json!({
        "id": ORDER, "status": "PAYER_ACTION_REQUIRED", "intent": "CAPTURE",
        "purchase_units": [{
            "reference_id": "default", "amount": amount, "custom_id": facts.number,
        }],
        "links": [
            { "href": "https://api-m.paypal.com/v2/checkout/orders/x", "rel": "self" },
            { "href": "https://www.paypal.com/checkoutnow?token=x", "rel": "payer-action" },
        ],
    });
    if !facts.closed {
        order["status"] = "COMPLETED".into();
        order["purchase_units"][0]["payments"] = json!({
            "captures": [{
                "id": "3C679366HH908993F", "status": "PARTIALLY_REFUNDED", "amount": amount,
                "custom_id": facts.number, "create_time": "2026-09-21T14:13:20Z",
            }],
            "refunds": [{
                "id": "1JU08902781691411", "status": "COMPLETED", "invoice_id": facts.refund,
                "amount": { "currency_code": "CNY", "value": yuan(facts.refunded) },
            }],
        });
    }
    order
}
