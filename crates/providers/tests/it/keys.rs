//! Key pairs made for this run, and signing with them the way the providers do.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PKCS_RSA_SHA256, RsaKeySize,
};

/// A key pair with a certificate of its own.
pub(crate) struct Pair {
    pair: KeyPair,
    pub(crate) name: &'static str,
    pub(crate) certificate_pem: String,
    pub(crate) serial_hex: String,
}

/// The merchant's.
pub(crate) static OURS: LazyLock<Pair> = LazyLock::new(|| Pair::generate("merchant", 0x51));
/// The provider's.
pub(crate) static THEIRS: LazyLock<Pair> = LazyLock::new(|| Pair::generate("provider", 0x7b));
/// Nobody's that we know.
pub(crate) static STRANGERS: LazyLock<Pair> = LazyLock::new(|| Pair::generate("stranger", 0x11));

/// PayPal's, which must bear its name.
pub(crate) static PAYPAL: LazyLock<Pair> =
    LazyLock::new(|| Pair::generate("messageverificationcerts.paypal.com", 0x2c));

impl Pair {
    fn generate(name: &'static str, first_byte: u8) -> Pair {
        let pair = kept_or_fresh(name);
        let serial: Vec<u8> = (0..20).map(|i| first_byte.wrapping_add(i)).collect();
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial.clone().into());
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "CN");
        params.distinguished_name.push(DnType::OrganizationName, "Evergate, tests");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&pair).expect("a certificate of its own");
        Pair {
            pair,
            name,
            certificate_pem: certificate.pem(),
            serial_hex: hex::encode_upper(serial),
        }
    }

    /// The certificate's serial number in decimal, by schoolbook arithmetic.
    pub(crate) fn serial_decimal(&self) -> String {
        let mut digits = vec![0_u32];
        for byte in hex::decode(&self.serial_hex).expect("hex") {
            let mut carry = u32::from(byte);
            for digit in &mut digits {
                carry += *digit * 256;
                *digit = carry % 10;
                carry /= 10;
            }
            while carry > 0 {
                digits.push(carry % 10);
                carry /= 10;
            }
        }
        digits.iter().rev().map(|d| char::from_digit(*d, 10).expect("a digit")).collect()
    }

    pub(crate) fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    pub(crate) fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The Base64 of an RSA signature over SHA-256, padded as PKCS#1 v1.5.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let key = aws_lc_rs::rsa::KeyPair::from_pkcs8(self.pair.serialized_der()).expect("RSA");
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("signing");
        STANDARD.encode(signature)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let ours = aws_lc_rs::rsa::KeyPair::from_pkcs8(self.pair.serialized_der()).expect("RSA");
        let der = ours.public_key().as_ref().to_vec();
        let signature = STANDARD.decode(signature).unwrap_or_default();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, &signature).is_ok()
    }
}

/// An authority that issues certificates, as UnionPay's messages bring along.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate_pem: String,
}

/// UnionPay's root, and the middle authority that it signed.
pub(crate) static ROOT: LazyLock<Authority> = LazyLock::new(|| Authority::root("up-root"));
pub(crate) static MIDDLE: LazyLock<Authority> = LazyLock::new(|| ROOT.middle("up-middle"));

fn named(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(68_759_663_125_u64.into());
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name, (2015, 2050));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub(crate) fn root(name: &str) -> Authority {
        let (pair, params) = (kept_or_fresh(name), authority(name));
        let certificate = params.self_signed(&pair).expect("a certificate of its own");
        Authority { issuer: Issuer::new(params, pair), certificate_pem: certificate.pem() }
    }

    pub(crate) fn middle(&self, name: &str) -> Authority {
        let (pair, params) = (kept_or_fresh(name), authority(name));
        let certificate = params.signed_by(&pair, &self.issuer).expect("a certificate");
        Authority { issuer: Issuer::new(params, pair), certificate_pem: certificate.pem() }
    }

    /// A certificate for a key under a common name.
    pub(crate) fn leaf(&self, key: &Pair, name: &str, years: (i32, i32)) -> String {
        named(name, years).signed_by(&key.pair, &self.issuer).expect("a certificate").pem()
    }
}

/// Making an RSA key takes a second, and every test is a process of its own, so keys are kept
/// between runs, in the build's own folder. A run that meets nobody's makes one.
fn kept_or_fresh(name: &str) -> KeyPair {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    let kept = std::fs::read_to_string(&file).ok();
    if let Some(pair) = kept.and_then(|pem| KeyPair::from_pem(&pem).ok()) {
        return pair;
    }
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a fresh key");
    let mut fresh = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    std::io::Write::write_all(&mut fresh, pair.serialize_pem().as_bytes()).expect("a write");
    // Whoever comes second keeps what it made for itself, which is as good.
    let _ = fresh.persist_noclobber(file);
    pair
}
