//! X.509 certificates: the names that providers give them, their keys and their validity.

use domain::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::{PublicKey, md5_hex, pem};

/// A certificate that is in use, for the table of `evergate check` and the expiry metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Which setting it came from.
    pub name: String,
    /// Whom it names.
    pub subject: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// What the codecs need of a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// Its public key.
    pub(crate) key: PublicKey,
    /// The serial number in upper-case hexadecimal, as WeChat Pay writes it.
    pub(crate) serial_hex: String,
    /// The serial number in decimal, as UnionPay writes it.
    pub(crate) serial_decimal: String,
    /// Alipay's name of it: the MD5 of issuer and decimal serial.
    pub(crate) alipay_sn: String,
    /// Whether it was signed with RSA; Alipay's root names leave others out.
    pub(crate) rsa_signed: bool,
    subject: String,
    common_name: Option<String>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certificate {
    pub(super) fn from_der(der: &[u8]) -> Result<Certificate, &'static str> {
        let (_, x509) =
            X509Certificate::from_der(der).map_err(|_| "it is not an X.509 certificate")?;
        let rsa_signed =
            x509.signature_algorithm.algorithm.to_id_string().starts_with("1.2.840.113549.1.1.");
        Ok(Certificate {
            key: PublicKey::from_der(x509.public_key().raw)?,
            serial_hex: x509.tbs_certificate.raw_serial().iter().fold(
                String::new(),
                |mut hex, byte| {
                    // A leading zero byte only keeps the number positive.
                    if !(hex.is_empty() && *byte == 0) {
                        hex.push_str(&format!("{byte:02X}"));
                    }
                    hex
                },
            ),
            serial_decimal: x509.tbs_certificate.serial.to_string(),
            alipay_sn: alipay_sn(&x509),
            rsa_signed,
            subject: x509.subject().to_string(),
            common_name: common_name(x509.subject()),
            not_before: Timestamp::from_secs(x509.validity().not_before.timestamp()),
            not_after: Timestamp::from_secs(x509.validity().not_after.timestamp()),
        })
    }

    /// The common name of whom it names.
    pub(crate) fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Whether it may be used at this time.
    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Its entry in the table of `evergate check`.
    pub(crate) fn info(&self, name: &str) -> CertificateInfo {
        CertificateInfo {
            name: name.to_owned(),
            subject: self.subject.clone(),
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

/// Every RSA certificate of a PEM text; certificates with other keys (Alipay's root file holds
/// one for SM2) are passed over.
pub(crate) fn certificates(text: &str) -> Result<Vec<Certificate>, &'static str> {
    let blocks = pem::blocks(text)?;
    let found: Vec<_> = blocks
        .iter()
        .filter(|b| b.label.is_empty() || b.label == "CERTIFICATE")
        .map(|b| Certificate::from_der(&b.der))
        .collect();
    let good: Vec<_> = found.iter().filter_map(|c| c.as_ref().ok()).cloned().collect();
    match (good.is_empty(), found.into_iter().find_map(Result::err)) {
        (false, _) => Ok(good),
        (true, Some(why)) => Err(why),
        (true, None) => Err("it holds no certificate"),
    }
}

/// What every certificate of a PEM text says about itself, whatever its key is; what cannot be
/// read is passed over.
pub(crate) fn infos(text: &str, name: &str) -> Vec<CertificateInfo> {
    let blocks = pem::blocks(text).unwrap_or_default();
    let read = blocks.iter().filter(|b| b.label == "CERTIFICATE").map(|b| info_of(&b.der, name));
    read.flatten().collect()
}

/// What one certificate says about itself.
pub(crate) fn info_of(der: &[u8], name: &str) -> Option<CertificateInfo> {
    let (_, x509) = X509Certificate::from_der(der).ok()?;
    Some(CertificateInfo {
        name: name.to_owned(),
        subject: x509.subject().to_string(),
        not_before: Timestamp::from_secs(x509.validity().not_before.timestamp()),
        not_after: Timestamp::from_secs(x509.validity().not_after.timestamp()),
    })
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next().and_then(|cn| cn.as_str().ok()).map(ToOwned::to_owned)
}

/// Alipay's `app_cert_sn`: the MD5 of the issuer's name, most specific part first, and the
/// serial number in decimal.
fn alipay_sn(x509: &X509Certificate<'_>) -> String {
    let issuer = rfc2253(x509.issuer());
    md5_hex(format!("{issuer}{}", x509.tbs_certificate.serial).as_bytes())
}

/// A name as RFC 2253 writes it: parts in reverse order, commas between, odd signs escaped.
fn rfc2253(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name.iter_attributes().map(attribute).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(part: &x509_parser::x509::AttributeTypeAndValue<'_>) -> String {
    let oid = part.attr_type().to_id_string();
    let key = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.25" => "DC",
        "0.9.2342.19200300.100.1.1" => "UID",
        other => other,
    };
    let value = part
        .as_str()
        .map_or_else(|_| String::from_utf8_lossy(part.as_slice()).into_owned(), ToOwned::to_owned);
    let escaped = value.chars().fold(String::new(), |mut text, sign| {
        if matches!(sign, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(sign);
        text
    });
    format!("{key}={escaped}")
}
