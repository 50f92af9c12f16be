//! Messages: reading forms, signing answers and notifications.

use std::collections::BTreeMap;

use crate::books::Millis;
use crate::keys::{SigningKey, VerifyingKey, sha256};

use super::UnionPayAccount;

/// Fields by name; the order is the one that signatures need.
pub(crate) type Fields = BTreeMap<String, String>;

/// The fields of a form.
pub(crate) fn read(form: &[u8]) -> Fields {
    form_urlencoded::parse(form).into_owned().collect()
}

/// What is signed: the hexadecimal SHA-256 of the sorted `name=value` pairs, which the signature
/// algorithm hashes again.
fn digest(fields: &Fields) -> String {
    let mut text = String::new();
    for (name, value) in fields.iter().filter(|(n, v)| *n != "signature" && !v.is_empty()) {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    hex::encode(sha256(text.as_bytes()))
}

pub(crate) fn verify(fields: &Fields, key: &VerifyingKey) -> bool {
    let signature = fields.get("signature").map(String::as_str).unwrap_or_default();
    key.verify(digest(fields).as_bytes(), signature)
}

/// How a message is signed.
#[derive(Clone, Copy)]
pub(crate) enum Seal<'a> {
    /// As it should be.
    Genuine,
    /// With a certificate that has run out.
    Expired,
    /// By somebody else, who shows UnionPay's certificate.
    Stranger(&'a SigningKey),
    /// Not at all.
    Unsigned,
    /// With a signature of something else.
    Spoilt,
}

/// Adds the certificate and the signature.
pub(crate) fn seal(fields: &mut Fields, account: &UnionPayAccount, seal: Seal<'_>) {
    let certificate = match seal {
        Seal::Expired => &account.expired_certificate,
        _ => &account.sign_certificate,
    };
    fields.insert("certId".to_owned(), account.sign_cert_id.clone());
    fields.insert("signPubKeyCert".to_owned(), certificate.clone());
    let text = digest(fields);
    let signature = match seal {
        Seal::Genuine | Seal::Expired => account.sign_key.sign(text.as_bytes()),
        Seal::Stranger(key) => key.sign(text.as_bytes()),
        Seal::Spoilt => account.sign_key.sign(format!("{text} ").as_bytes()),
        Seal::Unsigned => return,
    };
    fields.insert("signature".to_owned(), signature);
}

/// A synchronous answer's body, which is not URL-encoded.
pub(crate) fn body(fields: &Fields) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// `MMddHHmmss` of a moment.
pub(crate) fn trace_time(at: Millis) -> String {
    crate::clock::unionpay_time(at).split_off(4)
}
