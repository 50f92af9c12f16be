//! The three providers as their protocols describe them, for good and for foreign answers.

use std::collections::BTreeMap;

use domain::{Device, Method, Operation, Order};
use providers::ChannelSettings;
use serde_json::{Value, json};

use crate::fake::{Back, Got};
use crate::keys::{MIDDLE, OURS, Pair, ROOT, STRANGERS, THEIRS};
use crate::world::{NOW, direct, number, operations, order, refund_number, settings};

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
    UnionPay,
    Paypal,
}

pub(crate) const PEERS: [Peer; 5] =
    [Peer::Alipay, Peer::WechatPay, Peer::Stripe, Peer::UnionPay, Peer::Paypal];
pub(crate) const INTENT: &str = "pi_3Evergate";
/// UnionPay's number of the payment.
pub(crate) const QUERY_ID: &str = "202609212213201234568";
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
            Peer::UnionPay => unionpay_settings(),
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
            Peer::UnionPay => order(Method::UnionPay, Device::Desktop),
            Peer::Paypal => order(Method::Paypal, Device::Qr),
        }
    }

    pub(crate) fn reference(self) -> Option<&'static str> {
        match self {
            Peer::Stripe => Some(INTENT),
            Peer::UnionPay => Some(QUERY_ID),
            Peer::Paypal => Some(ORDER),
            _ => None,
        }
    }

    /// The operations that need a call: UnionPay's orders are made by the customer's browser.
    pub(crate) fn operations(self) -> Vec<Operation> {
        let mut all = operations(&self.order(), self.reference());
        all.retain(|op| self != Peer::UnionPay || !matches!(op, Operation::Create(_)));
        all
    }

    /// The answer that the protocol gives to a request.
    pub(crate) fn answer(self, got: &Got, facts: &Facts) -> Back {
        match self {
            Peer::Alipay => alipay(got, facts),
            Peer::WechatPay => wechatpay(got, facts),
            Peer::Stripe => stripe(got, facts),
            Peer::UnionPay => unionpay(got, facts),
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

/// The common name of UnionPay's own certificates in its test system.
pub(crate) const SIGNER: &str = "041@Z2014-11-11@00040000:SIGN@00000005";

pub(crate) fn unionpay_settings() -> Value {
    json!({
        "provider": "unionpay",
        "base_url": "http://127.0.0.1:1/gateway/api",
        "environment": "test",
        "mer_id": "777290058110048",
        "private_key": OURS.private_pem(),
        "certificate": OURS.certificate_pem,
        "middle_certificate": MIDDLE.certificate_pem,
        "root_certificate": ROOT.certificate_pem,
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

fn unionpay(got: &Got, facts: &Facts) -> Back {
    let asked: BTreeMap<String, String> = form_urlencoded::parse(&got.body).into_owned().collect();
    let refund = asked["orderId"].starts_with('R');
    let mut fields = asked.clone();
    fields.retain(|name, _| !matches!(&**name, "signature" | "certId" | "backUrl"));
    let mut put = |name: &str, value: &str| fields.insert(name.to_owned(), value.to_owned());
    put("orderId", if refund { &facts.refund } else { &facts.number });
    put("txnAmt", &if refund { facts.refunded } else { facts.amount }.to_string());
    put("currencyCode", "156");
    put("respCode", if facts.closed { "34" } else { "00" });
    put("respMsg", "成功[0000000]");
    if asked["txnType"] == "00" && !facts.closed {
        put("origRespCode", "00");
        put("queryId", QUERY_ID);
        put("traceTime", "0921221320");
    }
    union_body(fields, facts.key(), &MIDDLE.leaf(&THEIRS, SIGNER, (2020, 2040)))
}

/// The text that UnionPay's signatures cover, hashed once.
pub(crate) fn union_digest(fields: &BTreeMap<String, String>) -> String {
    let kept = fields.iter().filter(|(name, value)| *name != "signature" && !value.is_empty());
    let text: Vec<_> = kept.map(|(name, value)| format!("{name}={value}")).collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.join("&").as_bytes());
    hex::encode(digest)
}

/// A message with its certificate and signature.
pub(crate) fn union_sealed(
    mut fields: BTreeMap<String, String>,
    key: &Pair,
    certificate: &str,
) -> BTreeMap<String, String> {
    fields.insert("signPubKeyCert".into(), certificate.to_owned());
    let signature = key.sign(union_digest(&fields).as_bytes());
    fields.insert("signature".into(), signature);
    fields
}

/// A synchronous answer, which is not URL-encoded.
pub(crate) fn union_body(fields: BTreeMap<String, String>, key: &Pair, certificate: &str) -> Back {
    let fields = union_sealed(fields, key, certificate);
    let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let kind = ("content-type".to_owned(), "text/html;charset=UTF-8".to_owned());
    Back::Http(200, vec![kind], body.join("&").into())
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
