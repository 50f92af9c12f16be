//! A merchant with no SDK: signs by hand, so that tests can send what an SDK would not.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{Client, RequestBuilder, Response};
use sandbox::{Account, MerchantMaterial, Options, Sandbox};
use serde_json::Value;

/// A sandbox with these accounts only, a thousand times as fast as real.
pub(crate) async fn start(accounts: Vec<Account>) -> Sandbox {
    let options = Options { accounts, time_scale: 0.001, ..without_accounts() };
    Sandbox::start(options).await.unwrap()
}

fn without_accounts() -> Options {
    Options {
        bind: ([127, 0, 0, 1], 0).into(),
        seed: 7,
        accounts: Vec::new(),
        time_scale: 1.0,
        public_url: None,
    }
}

pub(crate) fn http() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

pub(crate) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

pub(crate) fn sign(pem: &str, text: &[u8]) -> String {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&BASE64.decode(body).unwrap()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
    BASE64.encode(signature)
}

/// A Stripe merchant.
pub(crate) struct Stripe {
    pub(crate) sandbox: Sandbox,
    http: Client,
    secret: String,
}

impl Stripe {
    pub(crate) async fn start() -> Self {
        let account = Account::generate_stripe("st", 7, None);
        let MerchantMaterial::Stripe { secret_key, .. } = account.merchant_material() else {
            panic!("a Stripe account has Stripe material")
        };
        let sandbox = start(vec![account]).await;
        Self { sandbox, http: http(), secret: secret_key }
    }

    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.http
            .post(format!("{}{path}", self.sandbox.base_url()))
            .bearer_auth(&self.secret)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.sandbox.base_url())).bearer_auth(&self.secret)
    }

    /// Creates and confirms a card payment for this order.
    pub(crate) fn charge(&self, order: &str) -> RequestBuilder {
        self.post(
            "/v1/payment_intents",
            &[
                ("amount", "2000"),
                ("currency", "usd"),
                ("payment_method_types[]", "card"),
                ("payment_method", "pm_card_visa"),
                ("confirm", "true"),
                ("metadata[order_id]", order),
            ],
        )
    }
}

/// An Alipay merchant.
pub(crate) struct Alipay {
    pub(crate) sandbox: Sandbox,
    http: Client,
    app_id: String,
    key: String,
}

impl Alipay {
    pub(crate) async fn start() -> Self {
        let account = Account::generate_alipay("ali", 7);
        let MerchantMaterial::Alipay { app_id, app_private_key_pem: key, .. } =
            account.merchant_material()
        else {
            panic!("an Alipay account has Alipay material")
        };
        Self { sandbox: start(vec![account]).await, http: http(), app_id, key }
    }

    /// The signed parameters of a call, with some replaced after or before signing.
    pub(crate) fn params(&self, method: &str, biz: &Value) -> BTreeMap<String, String> {
        let now = now_s() + 8 * 3_600;
        let (days, seconds) = (now / 86_400, now % 86_400);
        let (year, month, day) = civil(days);
        let stamp = format!(
            "{year}-{month:02}-{day:02} {:02}:{:02}:{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        );
        let biz = biz.to_string();
        [
            ("app_id", self.app_id.as_str()),
            ("method", method),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("timestamp", &stamp),
            ("version", "1.0"),
            ("biz_content", &biz),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    pub(crate) fn signed(&self, mut params: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let text: Vec<String> = params.iter().map(|(k, v)| format!("{k}={v}")).collect();
        params.insert("sign".to_owned(), sign(&self.key, text.join("&").as_bytes()));
        params
    }

    /// Sends parameters and gives back the whole text of the answer.
    pub(crate) async fn send(&self, params: &BTreeMap<String, String>) -> String {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let request = self
            .http
            .post(format!("{}/gateway.do", self.sandbox.base_url()))
            .header("content-type", "application/x-www-form-urlencoded;charset=utf-8")
            .body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// One call, and the fields of its answer.
    pub(crate) async fn call(&self, method: &str, biz: Value) -> Value {
        let text = self.send(&self.signed(self.params(method, &biz))).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer[format!("{}_response", method.replace('.', "_"))].clone()
    }
}

/// Year, month and day of a day since 1970 (Howard Hinnant's algorithm).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `yyyyMMddHHmmss` in Beijing.
pub(crate) fn beijing_compact(seconds: i64) -> String {
    let local = seconds + 8 * 3_600;
    let (year, month, day) = civil(local.div_euclid(86_400));
    let seconds = local.rem_euclid(86_400);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// A UnionPay merchant.
pub(crate) struct UnionPay {
    pub(crate) sandbox: Sandbox,
    http: Client,
    mer_id: String,
    cert_id: String,
    key: String,
}

impl UnionPay {
    pub(crate) async fn start() -> Self {
        let account = Account::generate_unionpay("up", 7);
        let MerchantMaterial::UnionPay {
            mer_id,
            merchant_private_key_pem: key,
            merchant_certificate_pem,
            ..
        } = account.merchant_material()
        else {
            panic!("a UnionPay account has UnionPay material")
        };
        let body: String =
            merchant_certificate_pem.lines().filter(|l| !l.starts_with("-----")).collect();
        let der = BASE64.decode(body).unwrap();
        let (_, certificate) =
            <x509_parser::certificate::X509Certificate<'_> as x509_parser::prelude::FromDer<_>>::from_der(&der)
                .unwrap();
        let cert_id = certificate.tbs_certificate.serial.to_string();
        Self { sandbox: start(vec![account]).await, http: http(), mer_id, cert_id, key }
    }

    /// The fields of a call, not yet signed.
    pub(crate) fn fields(&self, kind: &str, sub: &str, number: &str) -> BTreeMap<String, String> {
        let business = if kind == "00" { "000000" } else { "000201" };
        [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("certId", &self.cert_id),
            ("signMethod", "01"),
            ("txnType", kind),
            ("txnSubType", sub),
            ("bizType", business),
            ("channelType", "07"),
            ("accessType", "0"),
            ("merId", &self.mer_id),
            ("orderId", number),
            ("txnTime", &beijing_compact(now_s())),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The form of a payment.
    pub(crate) fn payment(&self, number: &str, back_url: &str) -> BTreeMap<String, String> {
        let mut fields = self.fields("01", "01", number);
        for (name, value) in [
            ("txnAmt", "100"),
            ("currencyCode", "156"),
            ("frontUrl", "https://shop.example/"),
            ("backUrl", back_url),
        ] {
            fields.insert(name.to_owned(), value.to_owned());
        }
        fields
    }

    pub(crate) fn signed(&self, mut fields: BTreeMap<String, String>) -> String {
        let text: Vec<String> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let text = text.join("&");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        fields.insert("signature".to_owned(), sign(&self.key, hex::encode(digest).as_bytes()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish()
    }

    pub(crate) async fn send(&self, path: &str, body: String) -> String {
        let request = self
            .http
            .post(format!("{}/gateway/api/{path}", self.sandbox.base_url()))
            .header("content-type", "application/x-www-form-urlencoded;charset=UTF-8")
            .body(body);
        request.send().await.unwrap().text().await.unwrap()
    }
}

/// A WeChat Pay merchant.
pub(crate) struct WechatPay {
    pub(crate) sandbox: Sandbox,
    http: Client,
    pub(crate) mch_id: String,
    pub(crate) app_id: String,
    pub(crate) public_key_id: String,
    pub(crate) platform_serial: String,
    serial: String,
    key: String,
}

impl WechatPay {
    pub(crate) async fn start() -> Self {
        let account = Account::generate_wechatpay("wx", 7);
        let MerchantMaterial::WechatPay {
            mch_id,
            app_id,
            merchant_serial: serial,
            merchant_private_key_pem: key,
            public_key_id,
            platform_serial,
            ..
        } = account.merchant_material()
        else {
            panic!("a WeChat Pay account has WeChat Pay material")
        };
        let sandbox = start(vec![account]).await;
        Self { sandbox, http: http(), mch_id, app_id, public_key_id, platform_serial, serial, key }
    }

    pub(crate) fn authorization(&self, method: &str, target: &str, at: i64, body: &str) -> String {
        let text = format!("{method}\n{target}\n{at}\nnonce\n{body}\n");
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"nonce\",signature=\"{}\",\
             timestamp=\"{at}\",serial_no=\"{}\"",
            self.mch_id,
            sign(&self.key, text.as_bytes()),
            self.serial
        )
    }

    pub(crate) fn request(&self, method: &str, target: &str, body: &str) -> RequestBuilder {
        let authorization = self.authorization(method, target, now_s(), body);
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, format!("{}{target}", self.sandbox.base_url()))
            .header("authorization", authorization)
            .header("accept", "application/json")
            .header("user-agent", "test")
            .header("content-type", "application/json")
            .body(body.to_owned())
    }

    pub(crate) async fn native(&self, number: &str) -> Response {
        let body = serde_json::json!({
            "appid": self.app_id, "mchid": self.mch_id, "description": "tea",
            "out_trade_no": number, "notify_url": "http://127.0.0.1:9/n",
            "amount": { "total": 100 },
        });
        let text = body.to_string();
        self.request("POST", "/v3/pay/transactions/native", &text).send().await.unwrap()
    }

    pub(crate) async fn query(&self, number: &str) -> Response {
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={}", self.mch_id);
        self.request("GET", &target, "").send().await.unwrap()
    }
}
