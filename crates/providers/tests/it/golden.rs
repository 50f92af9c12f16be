//! Golden files: what each codec sends for the five operations of one order, byte for byte,
//! with the text that its signature covers, under keys that are kept beside the files and
//! protect nothing (`tests/golden/keys`).
//!
//! RSA signatures of this kind are the same every time, so that a change of a single byte of a
//! canonical text shows. `EVERGATE_BLESS=1` writes the files anew; look at the difference then.
//! The signatures are checked here once more over the text that the file shows, so a file that
//! was blessed by mistake does not pass.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Answer, Created, Device, Method, Operation, Outcome, Presentation};
use providers::{Request, Verdict};
use serde_json::{Value, json};

use crate::peers::union_digest;
use crate::world::{codec, operations, order, settings, stamp};

const MERCHANT_KEY: &str = include_str!("../golden/keys/merchant.key.pem");
const MERCHANT_CERTIFICATE: &str = include_str!("../golden/keys/merchant.cert.pem");
const PROVIDER_KEY: &str = include_str!("../golden/keys/provider.pub.pem");
const PROVIDER_CERTIFICATE: &str = include_str!("../golden/keys/provider.cert.pem");
const MIDDLE: &str = include_str!("../golden/keys/middle.cert.pem");
const ROOT: &str = include_str!("../golden/keys/root.cert.pem");

/// A channel of each provider: its settings, the method, and its id of the order where one is
/// needed.
fn channels() -> [(&'static str, Value, Method, Option<&'static str>); 5] {
    let base = "https://provider.example";
    [
        (
            "alipay",
            json!({
                "base_url": format!("{base}/gateway.do"), "app_id": "2021000000000001",
                "seller_id": "2088000000000001", "private_key": MERCHANT_KEY,
                "alipay_public_key": PROVIDER_KEY,
            }),
            Method::Alipay,
            None,
        ),
        (
            "wechatpay",
            json!({
                "base_url": base, "app_id": "wx0000000000000001", "mch_id": "1900000001",
                "merchant_private_key": MERCHANT_KEY, "merchant_certificate": MERCHANT_CERTIFICATE,
                "api_v3_key": "0123456789abcdef0123456789abcdef",
                "platform_certificates": PROVIDER_CERTIFICATE,
            }),
            Method::WechatPay,
            None,
        ),
        (
            "stripe",
            json!({
                "base_url": base, "secret_key": "sk_test_golden", "webhook_secret": "whsec_golden",
            }),
            Method::Card,
            Some("pi_golden"),
        ),
        (
            "unionpay",
            json!({
                "base_url": format!("{base}/gateway/api"), "environment": "test",
                "mer_id": "777290058110048", "private_key": MERCHANT_KEY,
                "certificate": MERCHANT_CERTIFICATE, "middle_certificate": MIDDLE,
                "root_certificate": ROOT,
            }),
            Method::UnionPay,
            Some("202609212213201234568"),
        ),
        (
            "paypal",
            json!({
                "base_url": base, "client_id": "AGolden", "client_secret": "EGolden",
                "webhook_id": "4JH86294D6297924G", "currencies": ["CNY"],
            }),
            Method::Paypal,
            Some("5O190127TN364715T"),
        ),
    ]
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// The text that a request's signature covers, and the signature; `None` where requests are not
/// signed (Stripe, PayPal).
fn covered(provider: &str, request: &Request) -> Option<(String, String)> {
    let body = String::from_utf8(request.body.clone()).expect("text");
    match provider {
        "alipay" => {
            let mut fields = pairs(request.url.split_once('?').expect("parameters").1);
            fields.extend(pairs(&body));
            let sign = fields.remove("sign").expect("a signature");
            Some((joined(&fields), sign))
        }
        "wechatpay" => {
            let header = request.headers.iter().find(|(name, _)| *name == "authorization");
            let header = &header.expect("a signature").1;
            let part = |name: &str| {
                let rest = header.split_once(&format!("{name}=\"")).expect(name).1;
                rest.split('"').next().expect("quotes").to_owned()
            };
            let target = request.url.strip_prefix("https://provider.example").expect("the base");
            let (verb, time, nonce) = (&request.method, part("timestamp"), part("nonce_str"));
            Some((format!("{verb}\n{target}\n{time}\n{nonce}\n{body}\n"), part("signature")))
        }
        "unionpay" => Some(union(&pairs(&body))),
        _ => None,
    }
}

fn joined(fields: &BTreeMap<String, String>) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// What UnionPay's digest is made of: the fields by name, without the empty ones.
fn kept(fields: &BTreeMap<String, String>) -> String {
    let kept = fields.iter().filter(|(name, value)| *name != "signature" && !value.is_empty());
    joined(&kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// UnionPay signs the SHA-256 of the text, in hexadecimal.
fn union(fields: &BTreeMap<String, String>) -> (String, String) {
    (union_digest(fields), fields["signature"].clone())
}

fn verifies(text: &str, signature: &str) -> bool {
    let pem: String = MERCHANT_CERTIFICATE.lines().filter(|l| !l.starts_with('-')).collect();
    let der = STANDARD.decode(pem).expect("Base64");
    use x509_parser::prelude::FromDer as _;
    let (_, certificate) =
        x509_parser::certificate::X509Certificate::from_der(&der).expect("a certificate");
    let key = certificate.public_key().subject_public_key.data.to_vec();
    let signature = STANDARD.decode(signature).expect("Base64");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(text.as_bytes(), &signature)
        .is_ok()
}

fn shown(name: &str, text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    format!("{name}:\n{lines}")
}

/// One operation as the file shows it.
fn told(provider: &str, op: &Operation, verdict: &Verdict) -> String {
    let mut file = format!("== {}\n", op.name());
    let request = match verdict {
        Verdict::Ask(request, _) => request,
        Verdict::Done(Answer::Create(Outcome::Ok(Created::Presented {
            presentation: Presentation::Form { url, fields },
            ..
        }))) => {
            let (text, signature) = union(fields);
            assert!(verifies(&text, &signature), "{provider} {}", op.name());
            let _ = writeln!(file, "form {url}");
            for (name, value) in fields {
                let _ = writeln!(file, "  {name}={value}");
            }
            return file + &shown("canonical text", &kept(fields)) + &shown("signed text", &text);
        }
        Verdict::Done(answer) => return file + &format!("no call: {answer:?}\n"),
    };
    let _ = writeln!(file, "{} {}", request.method, request.url);
    for (name, value) in &request.headers {
        let _ = writeln!(file, "{name}: {value}");
    }
    file += &shown("body", &String::from_utf8_lossy(&request.body));
    if let Some((text, signature)) = covered(provider, request) {
        assert!(verifies(&text, &signature), "{provider} {}: the signature", op.name());
        if provider == "unionpay" {
            let body = String::from_utf8_lossy(&request.body);
            file += &shown("canonical text", &kept(&pairs(&body)));
        }
        file += &shown("signed text", &text);
        file += &shown("signature", &signature);
    }
    file
}

#[test]
fn what_is_sent_and_signed_is_what_the_files_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    for (provider, mut value, method, reference) in channels() {
        value["provider"] = provider.into();
        let codec = codec(&settings(value));
        let asked = operations(&order(method, Device::Qr), reference);
        let text: String = asked
            .iter()
            .map(|op| match codec.request(op, &stamp()) {
                Ok(verdict) => told(provider, op, &verdict),
                Err(why) => panic!("{provider} {}: {why:?}", op.name()),
            })
            .collect::<Vec<_>>()
            .join("\n");
        let file = folder.join(format!("{provider}.txt"));
        if std::env::var("EVERGATE_BLESS").is_ok() {
            std::fs::write(&file, &text).expect("a write");
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        if golden != text {
            let first = text.lines().zip(golden.lines()).find(|(ours, theirs)| ours != theirs);
            wrong.push(format!("{}: {first:#?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "EVERGATE_BLESS=1 writes them anew: {wrong:#?}");
}
