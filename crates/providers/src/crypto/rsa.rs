//! RSA with SHA-256 and PKCS#1 v1.5 padding: Alipay's RSA2 and WeChat Pay's
//! WECHATPAY2-SHA256-RSA2048.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::pem;

/// A private key that signs.
pub(crate) struct PrivateKey {
    pair: KeyPair,
    random: SystemRandom,
}

impl PrivateKey {
    /// Reads PKCS#8 or PKCS#1, in PEM or as the bare Base64 that Alipay's tools print.
    pub(crate) fn read(text: &str) -> Result<PrivateKey, &'static str> {
        let blocks = pem::blocks(text)?;
        let block = blocks
            .iter()
            .find(|b| b.label.is_empty() || b.label.ends_with("PRIVATE KEY"))
            .ok_or("it holds no private key")?;
        if block.label == "ENCRYPTED PRIVATE KEY" {
            return Err("the private key is protected by a password; store it without one");
        }
        PrivateKey::from_der(&block.der)
    }

    /// Reads PKCS#8 or PKCS#1 in DER.
    pub(crate) fn from_der(der: &[u8]) -> Result<PrivateKey, &'static str> {
        let pair = KeyPair::from_pkcs8(der)
            .or_else(|_| KeyPair::from_der(der))
            .map_err(|_| "it is not an RSA private key of 2048 bits or more")?;
        Ok(PrivateKey { pair, random: SystemRandom::new() })
    }

    /// The Base64 of the signature over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
            .expect("a checked RSA key signs any message into a buffer of its own length");
        STANDARD.encode(signature)
    }

    /// Whether this is the private half of `public`.
    pub(crate) fn belongs_to(&self, public: &PublicKey) -> bool {
        let probe = b"evergate key check";
        public.verifies(probe, &self.sign(probe))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

/// A public key that verifies.
#[derive(Clone)]
pub(crate) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// Reads a public key (X.509 or PKCS#1) in PEM or bare Base64, or the key of a certificate.
    pub(crate) fn read(text: &str) -> Result<PublicKey, &'static str> {
        let blocks = pem::blocks(text)?;
        let block = blocks.first().ok_or("it is empty")?;
        if block.label == "CERTIFICATE" {
            return Ok(super::Certificate::from_der(&block.der)?.key);
        }
        if block.label.ends_with("PRIVATE KEY") {
            return Err("it is a private key; the provider's public key belongs here");
        }
        PublicKey::from_der(&block.der)
    }

    /// One key, or several while the provider changes them: PEM blocks one after the other, or
    /// bare Base64 texts with empty lines between them.
    pub(crate) fn read_all(text: &str) -> Result<Vec<PublicKey>, &'static str> {
        if text.contains("-----BEGIN ") {
            let starts = text.match_indices("-----BEGIN ").map(|(at, _)| at);
            let ends = starts.clone().skip(1).chain([text.len()]);
            return starts.zip(ends).map(|(from, to)| PublicKey::read(&text[from..to])).collect();
        }
        let unix = text.replace("\r\n", "\n");
        let parts = unix.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
        let keys: Vec<_> = parts.map(PublicKey::read).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("it is empty") } else { Ok(keys) }
    }

    /// From DER, with or without the X.509 wrapper.
    pub(crate) fn from_der(der: &[u8]) -> Result<PublicKey, &'static str> {
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der)
            .map(PublicKey)
            .map_err(|_| "it is not an RSA public key of 2048 bits or more")
    }

    /// Whether the Base64 signature fits the message. Anything unreadable does not.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        STANDARD
            .decode(signature.as_bytes())
            .is_ok_and(|signature| self.0.verify_sig(message, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// A fresh private key as bare Base64, for tests.
#[cfg(test)]
pub(crate) fn test_key() -> String {
    use aws_lc_rs::encoding::AsDer;
    let pair = KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    STANDARD.encode(AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref())
}
