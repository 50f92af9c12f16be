//! Certificates that vouch for others, for messages that bring their own (UnionPay).

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters, UnparsedPublicKey,
};
use domain::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{PublicKey, pem};

/// A certificate whose place in a chain matters.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    der: Vec<u8>,
    key: PublicKey,
    common_name: Option<String>,
    is_authority: bool,
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Authority {
    /// Every certificate of a PEM text.
    pub(crate) fn read(text: &str) -> Result<Vec<Authority>, &'static str> {
        let blocks = pem::blocks(text)?;
        let certificates = blocks.iter().filter(|b| b.label.is_empty() || b.label == "CERTIFICATE");
        let found: Vec<_> =
            certificates.map(|b| Authority::from_der(&b.der)).collect::<Result<_, _>>()?;
        if found.is_empty() { Err("it holds no certificate") } else { Ok(found) }
    }

    fn from_der(der: &[u8]) -> Result<Authority, &'static str> {
        let (_, x509) =
            X509Certificate::from_der(der).map_err(|_| "it is not an X.509 certificate")?;
        let constraints = x509.basic_constraints().ok().flatten();
        let name = x509.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
        Ok(Authority {
            key: PublicKey::from_der(x509.public_key().raw)?,
            common_name: name.map(ToOwned::to_owned),
            is_authority: constraints.is_some_and(|c| c.value.ca),
            serial: x509.tbs_certificate.serial.to_string(),
            not_before: Timestamp::from_secs(x509.validity().not_before.timestamp()),
            not_after: Timestamp::from_secs(x509.validity().not_after.timestamp()),
            der: der.to_vec(),
        })
    }

    /// Its key.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The common name of its subject.
    pub(crate) fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Whether it may vouch for others.
    pub(crate) fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// Its serial number in decimal, as UnionPay writes it.
    pub(crate) fn serial(&self) -> &str {
        &self.serial
    }

    /// Its last moment.
    pub(crate) fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether its dates cover `now`.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Whether it issued `other`: the names fit and its key signed it, with SHA-2, or with
    /// SHA-1 where that counts.
    pub(crate) fn issued(&self, other: &Authority, sha1: bool) -> bool {
        self.signed(other, sha1).unwrap_or(false)
    }

    fn signed(&self, other: &Authority, sha1: bool) -> Option<bool> {
        let (_, ours) = X509Certificate::from_der(&self.der).ok()?;
        let (_, theirs) = X509Certificate::from_der(&other.der).ok()?;
        if ours.subject().as_raw() != theirs.issuer().as_raw() {
            return None;
        }
        // The algorithm inside the signed part is the one that counts.
        let inner = theirs.tbs_certificate.signature.algorithm.to_id_string();
        if inner != theirs.signature_algorithm.algorithm.to_id_string() {
            return None;
        }
        let key = UnparsedPublicKey::new(algorithm(&inner, sha1)?, ours.public_key().raw);
        let tbs = theirs.tbs_certificate.as_ref();
        Some(key.verify(tbs, theirs.signature_value.as_ref()).is_ok())
    }
}

fn algorithm(oid: &str, sha1: bool) -> Option<&'static RsaParameters> {
    match oid {
        "1.2.840.113549.1.1.11" => Some(&RSA_PKCS1_2048_8192_SHA256),
        "1.2.840.113549.1.1.12" => Some(&RSA_PKCS1_2048_8192_SHA384),
        "1.2.840.113549.1.1.13" => Some(&RSA_PKCS1_2048_8192_SHA512),
        "1.2.840.113549.1.1.5" if sha1 => Some(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        _ => None,
    }
}
