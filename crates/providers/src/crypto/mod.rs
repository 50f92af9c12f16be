//! Keys, signatures and certificates, as the three protocols need them.
//!
//! Everything is aws-lc-rs underneath; only MD5, which Alipay uses as a name for a certificate
//! and for nothing secret, is written out here.

mod certificate;
mod chain;
mod md5;
mod pem;
#[cfg(feature = "pfx")]
mod pfx;
mod rsa;
mod secret;
mod symmetric;

pub use certificate::CertificateInfo;
pub(crate) use certificate::{Certificate, certificates, infos};
pub(crate) use chain::Authority;
pub(crate) use md5::md5_hex;
#[cfg(feature = "pfx")]
pub(crate) use pfx::{open_pfx, pfx_infos};
#[cfg(test)]
pub(crate) use rsa::test_key;
pub(crate) use rsa::{PrivateKey, PublicKey};
pub use secret::Secret;
pub(crate) use symmetric::{hmac_sha256_matches, open_aes_256_gcm};
