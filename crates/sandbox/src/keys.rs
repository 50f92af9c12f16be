//! Keys, signatures, sealing and certificates; every primitive comes from aws-lc-rs.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::books::Millis;

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct KeyError {
    /// Which key.
    pub what: String,
    /// What is wrong with it; never key material.
    pub why: String,
}

impl KeyError {
    pub(crate) fn new(what: &str, why: impl ToString) -> Self {
        Self { what: what.to_owned(), why: why.to_string() }
    }
}

/// An RSA private key that signs.
pub(crate) struct SigningKey(RsaKeyPair);

impl SigningKey {
    /// A fresh 2048-bit key.
    pub(crate) fn generate() -> Self {
        Self(
            RsaKeyPair::generate(KeySize::Rsa2048)
                .expect("RSA-2048 generation fails only without memory or entropy"),
        )
    }

    pub(crate) fn from_pem(pem: &str, what: &str) -> Result<Self, KeyError> {
        let der = pem_decode(pem, "PRIVATE KEY").map_err(|why| KeyError::new(what, why))?;
        RsaKeyPair::from_pkcs8(&der).map(Self).map_err(|why| KeyError::new(what, why))
    }

    /// PKCS#8 PEM.
    pub(crate) fn private_pem(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.0.as_der().expect("a parsed RSA key has an encoding");
        pem_encode("PRIVATE KEY", der.as_ref())
    }

    /// SubjectPublicKeyInfo PEM.
    pub(crate) fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> =
            self.0.public_key().as_der().expect("a parsed RSA key has an encoding");
        pem_encode("PUBLIC KEY", der.as_ref())
    }

    /// SHA256withRSA (PKCS#1 v1.5), Base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("the buffer has the modulus's length");
        BASE64.encode(signature)
    }
}

/// An RSA public key that verifies.
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    pub(crate) fn from_pem(pem: &str, what: &str) -> Result<Self, KeyError> {
        let der = pem_decode(pem, "PUBLIC KEY").map_err(|why| KeyError::new(what, why))?;
        Self::from_der(&der, what)
    }

    /// The key in an X.509 certificate.
    pub(crate) fn from_certificate(pem: &str, what: &str) -> Result<Self, KeyError> {
        use x509_parser::prelude::FromDer;
        let der = pem_decode(pem, "CERTIFICATE").map_err(|why| KeyError::new(what, why))?;
        let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&der)
            .map_err(|why| KeyError::new(what, why))?;
        Self::from_der(certificate.public_key().raw, what)
    }

    fn from_der(der: &[u8], what: &str) -> Result<Self, KeyError> {
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der)
            .map(Self)
            .map_err(|why| KeyError::new(what, why))
    }

    pub(crate) fn verify(&self, message: &[u8], signature_base64: &str) -> bool {
        BASE64
            .decode(signature_base64)
            .is_ok_and(|signature| self.0.verify_sig(message, &signature).is_ok())
    }
}

/// AES-256-GCM as WeChat Pay seals resources: Base64 of the data followed by the tag.
pub(crate) fn seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plain: &[u8]) -> String {
    let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has 32 bytes");
    let mut sealed = plain.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut sealed)
        .expect("a notification is far below the cipher's length limit");
    BASE64.encode(sealed)
}

/// HMAC-SHA256 as lower-case hex.
pub(crate) fn hmac_hex(key: &[u8], message: &[u8]) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message))
}

/// SHA-256, for comparing request bodies without keeping them.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    out
}

/// A self-signed certificate for `key` and its serial as 40 hex digits.
pub(crate) fn certificate(
    key: &SigningKey,
    common_name: &str,
    serial: [u8; 20],
    years: std::ops::Range<i32>,
) -> (String, String) {
    let pair =
        rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&key.private_pem(), &rcgen::PKCS_RSA_SHA256)
            .expect("rcgen reads a PKCS#8 RSA key");
    let mut params = rcgen::CertificateParams::default();
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, common_name);
    name.push(rcgen::DnType::OrganizationName, "Evergate Sandbox");
    params.distinguished_name = name;
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let certificate = params.self_signed(&pair).expect("the key signs its own certificate");
    (certificate.pem().replace("\r\n", "\n"), hex::encode_upper(serial))
}

/// An authority that issues certificates, for providers whose messages bring theirs along.
pub(crate) struct Issuer {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

fn named(common_name: &str, serial: u64, years: std::ops::Range<i32>) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, common_name);
    name.push(rcgen::DnType::OrganizationName, "Evergate Sandbox");
    params.distinguished_name = name;
    params.serial_number = Some(rcgen::SerialNumber::from(serial));
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    params
}

fn authority(common_name: &str, serial: u64) -> rcgen::CertificateParams {
    let mut params = named(common_name, serial, 2014..2054);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
}

fn rcgen_pair(key: &SigningKey) -> rcgen::KeyPair {
    rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&key.private_pem(), &rcgen::PKCS_RSA_SHA256)
        .expect("rcgen reads a PKCS#8 RSA key")
}

impl Issuer {
    /// A root with a fresh key.
    pub(crate) fn root(common_name: &str, serial: u64) -> Self {
        let pair = rcgen_pair(&SigningKey::generate());
        let params = authority(common_name, serial);
        let certificate = params.self_signed(&pair).expect("the key signs its own certificate");
        let pem = certificate.pem().replace("\r\n", "\n");
        Self { issuer: rcgen::Issuer::new(params, pair), pem }
    }

    /// A middle authority with a fresh key, and its certificate.
    pub(crate) fn middle(&self, common_name: &str, serial: u64) -> (Self, String) {
        let pair = rcgen_pair(&SigningKey::generate());
        let params = authority(common_name, serial);
        let certificate = params.signed_by(&pair, &self.issuer).expect("an authority signs");
        let pem = certificate.pem().replace("\r\n", "\n");
        (Self { issuer: rcgen::Issuer::new(params, pair), pem: pem.clone() }, pem)
    }

    /// A certificate for a key.
    pub(crate) fn leaf(
        &self,
        key: &SigningKey,
        common_name: &str,
        serial: u64,
        years: std::ops::Range<i32>,
    ) -> String {
        self.sign(named(common_name, serial, years), key)
    }

    /// A certificate for a key that runs out at a moment, to the second.
    pub(crate) fn leaf_until(
        &self,
        key: &SigningKey,
        common_name: &str,
        serial: u64,
        ends_ms: Millis,
    ) -> String {
        let mut params = named(common_name, serial, 2015..2016);
        let seconds = ends_ms.div_euclid(1_000).unsigned_abs();
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        self.sign(params, key)
    }

    fn sign(&self, params: rcgen::CertificateParams, key: &SigningKey) -> String {
        let certificate =
            params.signed_by(&rcgen_pair(key), &self.issuer).expect("an authority signs");
        certificate.pem().replace("\r\n", "\n")
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.pem.clone()
    }
}

fn pem_encode(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn pem_decode(pem: &str, label: &str) -> Result<Vec<u8>, String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let body = pem
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map(|(body, _)| body)
        .ok_or_else(|| format!("no PEM block `{label}`"))?;
    let compact: String = body.split_whitespace().collect();
    BASE64.decode(compact).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_pem_form() {
        let key = SigningKey::generate();
        let again = SigningKey::from_pem(&key.private_pem(), "key").unwrap();
        let public = VerifyingKey::from_pem(&key.public_pem(), "key").unwrap();
        let signature = again.sign(b"message");
        assert!(public.verify(b"message", &signature));
        assert!(!public.verify(b"massage", &signature));
        assert!(!public.verify(b"message", "not base64!"));
    }

    #[test]
    fn certificates_carry_the_key_and_the_serial() {
        let key = SigningKey::generate();
        let mut serial = [7; 20];
        serial[0] = 0x5a;
        let (pem, hex) = certificate(&key, "Tenpay", serial, 2024..2034);
        assert_eq!(hex.len(), 40);
        let public = VerifyingKey::from_certificate(&pem, "certificate").unwrap();
        assert!(public.verify(b"m", &key.sign(b"m")));
        let der = pem_decode(&pem, "CERTIFICATE").unwrap();
        let (_, parsed) =
            <x509_parser::certificate::X509Certificate<'_> as x509_parser::prelude::FromDer<_>>::from_der(&der)
                .unwrap();
        assert_eq!(hex::encode_upper(parsed.raw_serial()), hex);
    }

    #[test]
    fn rubbish_is_refused_with_the_keys_name() {
        let error = SigningKey::from_pem("hello", "alipay-main app key").err().unwrap();
        assert!(error.to_string().starts_with("alipay-main app key: "));
    }

    /// Published test vectors, where `EVERGATE_VECTORS` says that they are; they are not ours to
    /// copy into the repository.
    fn vector(id: &str) -> Option<serde_json::Value> {
        let path = std::env::var("EVERGATE_VECTORS").ok()?;
        let text = std::fs::read_to_string(path).unwrap();
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        all.into_iter().find(|vector| vector["id"] == id)
    }

    #[test]
    fn published_signatures_come_out_the_same() {
        for id in ["wx-rsa-1", "wx-doc-body"] {
            let Some(vector) = vector(id) else { continue };
            let text = |name: &str| vector[name].as_str().unwrap().to_owned();
            let key = SigningKey::from_pem(&text("private_key_pem"), id).unwrap();
            assert_eq!(key.sign(text("message").as_bytes()), text("signature_b64"), "{id}");
        }
        if let Some(vector) = vector("st-webhook-1") {
            let text = |name: &str| vector[name].as_str().unwrap();
            let at = vector["timestamp"].as_i64().unwrap();
            let signed = format!("{at}.{}", text("payload"));
            let signature = hmac_hex(text("secret").as_bytes(), signed.as_bytes());
            assert_eq!(format!("t={at},v1={signature}"), text("header"));
        }
    }

    #[test]
    fn published_ciphertexts_come_out_the_same() {
        let Some(vector) = vector("wx-aead-1") else { return };
        let bytes = |name: &str| vector[name].as_str().unwrap().as_bytes();
        let (key, nonce) = (bytes("key").try_into().unwrap(), bytes("nonce").try_into().unwrap());
        let sealed = seal(&key, &nonce, bytes("aad"), bytes("plaintext"));
        assert_eq!(sealed, vector["ciphertext_b64"].as_str().unwrap());
    }

    #[test]
    fn a_published_alipay_notification_verifies() {
        let Some(vector) = vector("ali-notify-1") else { return };
        let params = vector["params"].as_object().unwrap();
        let params = params
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let text = crate::alipay::notification_text(&params);
        assert_eq!(text, vector["canonical"].as_str().unwrap());
        let der = BASE64.decode(vector["alipay_public_key_b64"].as_str().unwrap()).unwrap();
        let key = VerifyingKey::from_der(&der, "alipay").unwrap();
        assert!(key.verify(text.as_bytes(), vector["signature_b64"].as_str().unwrap()));
    }
}
