//! Published test vectors, when the variable `EVERGATE_VECTORS` points at a file of them.
//!
//! They are other people's and are not kept here; without the variable these tests say so and
//! pass. Everything that they cover is also covered by values of our own making (golden files
//! in `tests/golden`). One vector has no test: `wx-oaep-1` is about sensitive fields that WeChat
//! Pay wants encrypted, and Evergate sends and reads none.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{ChannelId, NoticeKind, OrderState, Timestamp};
use serde_json::Value;

use crate::crypto::{PrivateKey, PublicKey, certificates, hmac_sha256_matches, open_aes_256_gcm};
use crate::{ChannelSettings, Delivery};

/// One vector by its id; `None` when there is no file.
pub(crate) fn vector(id: &str) -> Option<Value> {
    let Ok(path) = std::env::var("EVERGATE_VECTORS") else {
        eprintln!("EVERGATE_VECTORS is not set: the published vector {id} is not checked");
        return None;
    };
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let found = all.into_iter().find(|v| v["id"] == id);
    Some(found.unwrap_or_else(|| panic!("the file has no vector {id}")))
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_else(|| panic!("the vector has no {name}"))
}

fn signs(message: &Value, key: &Value) {
    let key = PrivateKey::read(text(key, "private_key_pem")).unwrap();
    let signature = key.sign(text(message, "message").as_bytes());
    assert_eq!(signature, text(message, "signature_b64"));
}

#[test]
fn wechat_pay_request_and_call_up_signatures() {
    let Some(key) = vector("wx-doc-body") else { return };
    signs(&key, &key);
    for id in ["wx-doc-jsapi", "wx-doc-app"] {
        signs(&vector(id).unwrap(), &key);
    }
    let jsapi = vector("wx-doc-jsapi").unwrap();
    let key = PrivateKey::read(text(&key, "private_key_pem")).unwrap();
    let lines: Vec<_> = text(&jsapi, "message").lines().collect();
    let signature =
        crate::wechatpay::pay_sign(lines[0], lines[1].parse().unwrap(), lines[2], lines[3], &key);
    assert_eq!(signature, text(&jsapi, "signature_b64"));
}

#[test]
fn wechat_pay_authorization_header() {
    let Some(vector) = vector("wx-doc-body") else { return };
    let key = PrivateKey::read(text(&vector, "private_key_pem")).unwrap();
    let message = text(&vector, "message");
    let mut lines = message.splitn(5, '\n');
    let mut next = || lines.next().unwrap();
    let (verb, target, seconds, nonce) = (next(), next(), next(), next());
    let body = next().strip_suffix('\n').unwrap();
    let header = crate::wechatpay::authorization(
        (text(&vector, "mchid"), "SERIAL"),
        &key,
        (verb, target, body.as_bytes()),
        Timestamp::from_secs(seconds.parse().unwrap()),
        nonce,
    );
    assert!(header.contains(&format!("signature=\"{}\"", text(&vector, "signature_b64"))));
    assert!(header.contains(&format!("timestamp=\"{seconds}\"")), "{header}");
}

#[test]
fn wechat_pay_certificate_and_verification() {
    let Some(vector) = vector("wx-rsa-1") else { return };
    signs(&vector, &vector);
    let certificate = certificates(text(&vector, "certificate_pem")).unwrap().remove(0);
    assert_eq!(certificate.serial_hex, text(&vector, "serial"));
    let message = text(&vector, "message").as_bytes();
    assert!(certificate.key.verifies(message, text(&vector, "signature_b64")));
    assert!(!certificate.key.verifies(b"other", text(&vector, "signature_b64")));
    assert!(
        PrivateKey::read(text(&vector, "private_key_pem")).unwrap().belongs_to(&certificate.key)
    );
}

#[test]
fn wechat_pay_sealed_texts() {
    let Some(plain) = vector("wx-aead-1") else { return };
    let open = |v: &Value| {
        open_aes_256_gcm(
            text(v, "key").as_bytes(),
            text(v, "nonce").as_bytes(),
            text(v, "aad").as_bytes(),
            &STANDARD.decode(text(v, "ciphertext_b64")).unwrap(),
        )
    };
    assert_eq!(open(&plain).unwrap(), text(&plain, "plaintext").as_bytes());
    let sealed = vector("wx-aead-cert").unwrap();
    let pem = String::from_utf8(open(&sealed).unwrap()).unwrap();
    assert_eq!(certificates(&pem).unwrap()[0].serial_hex, text(&sealed, "expected_serial"));
    assert_eq!(open(&vector("wx-aead-2-key16").unwrap()), None, "a 16-byte key is refused");
}

#[test]
fn alipay_notification() {
    let Some(vector) = vector("ali-notify-1") else { return };
    let fields: BTreeMap<String, String> =
        serde_json::from_value(vector["params"].clone()).unwrap();
    let key = PublicKey::read(text(&vector, "alipay_public_key_b64")).unwrap();
    assert!(key.verifies(text(&vector, "canonical").as_bytes(), text(&vector, "signature_b64")));
    let settings: ChannelSettings = serde_json::from_value(serde_json::json!({
        "provider": "alipay",
        "app_id": fields["app_id"],
        "private_key": crate::crypto::test_key(),
        "alipay_public_key": vector["alipay_public_key_b64"],
    }))
    .unwrap();
    let channel = ChannelId::new("vectors").unwrap();
    let (codec, _) = settings.build(&channel, "https://shop.example/n").unwrap();
    let encode = |fields: &BTreeMap<String, String>| {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
    };
    let deliver = |fields| Delivery { headers: Vec::new(), body: encode(fields) };
    let notice = codec.notice(&deliver(&fields), Timestamp::EPOCH).unwrap();
    assert_eq!(notice.number.as_str(), fields["out_trade_no"]);
    assert!(matches!(notice.kind, NoticeKind::Order(OrderState::Paid(_))));
    let mut forged = fields.clone();
    forged.insert("total_amount".into(), "0.11".into());
    assert!(codec.notice(&deliver(&forged), Timestamp::EPOCH).is_err());
}

#[test]
fn stripe_webhook_signature() {
    let Some(vector) = vector("st-webhook-1") else { return };
    let header = text(&vector, "header");
    let tag = header.rsplit("v1=").next().unwrap();
    let message = format!("{}.{}", vector["timestamp"], text(&vector, "payload"));
    let secret = text(&vector, "secret").as_bytes();
    assert!(hmac_sha256_matches(secret, message.as_bytes(), tag));
    assert!(!hmac_sha256_matches(secret, b"other", tag));
}

/// The texts of UnionPay's published example come out as they are, and so does the name of its
/// certificate. Its 5.0.0 signature is over SHA-1, which is not spoken here.
#[test]
fn unionpay_texts_and_certificate_names() {
    for id in ["up-rsa-5.0.0", "up-key-11", "up-key-12"] {
        let Some(vector) = vector(id) else { return };
        let canonical = text(&vector, "canonical");
        assert_eq!(crate::unionpay::canonical_again(canonical).as_deref(), Some(canonical), "{id}");
    }
    let vector = vector("up-rsa-5.0.0").unwrap();
    let certificate = certificates(text(&vector, "certificate_pem")).unwrap().remove(0);
    assert_eq!(certificate.serial_decimal, "68759663125");
}
