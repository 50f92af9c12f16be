//! Whom to believe: the certificate inside a message, checked against the configured chain.

use std::collections::BTreeMap;

use domain::Timestamp;

use super::message::{Fields, text, verifies};
use crate::crypto::{Authority, CertificateInfo};

/// The chain that message certificates must come from, and whom they must name.
#[derive(Debug)]
pub(super) struct Trust {
    /// The middle certificates, each proven by a configured root.
    pub(super) middles: Vec<Authority>,
    /// The third part of the subject's common name, between `@` signs.
    pub(super) owner: &'static str,
    /// Whether signatures with SHA-1 inside the chain count (UnionPay's test system).
    pub(super) sha1: bool,
}

impl Trust {
    /// Proves a message: its certificate by the chain, itself by the certificate.
    pub(super) fn prove(&self, fields: &Fields, now: Timestamp) -> Result<(), &'static str> {
        let pem = text(fields, "signPubKeyCert").ok_or("no signPubKeyCert field")?;
        let signer = Authority::read(pem)?.into_iter().next().ok_or("no certificate in it")?;
        if signer.common_name().and_then(|cn| cn.split('@').nth(2)) != Some(self.owner) {
            return Err("its certificate is not UnionPay's own");
        }
        if !signer.is_valid(now) {
            return Err("its certificate has expired, or is not valid yet");
        }
        let issued =
            |middle: &&Authority| middle.is_valid(now) && middle.issued(&signer, self.sha1);
        if self.middles.iter().find(issued).is_none() {
            return Err("its certificate comes from another issuer");
        }
        if verifies(fields, signer.key()) { Ok(()) } else { Err("the signature does not fit") }
    }
}

/// The middle certificates that a root proves, or why one is not.
pub(super) fn chain(
    middles: Vec<Authority>,
    roots: &[Authority],
    sha1: bool,
) -> Result<Vec<Authority>, &'static str> {
    let proven = |middle: &Authority| {
        roots.iter().any(|root| root.is_authority() && root.issued(middle, sha1))
    };
    match middles.iter().all(|middle| middle.is_authority() && proven(middle)) {
        true => Ok(middles),
        false => Err("it is no issuer's certificate, or no configured root signed it"),
    }
}

/// Entries for the table of certificates, once each.
pub(super) fn infos(found: Vec<CertificateInfo>) -> Vec<CertificateInfo> {
    // Old and new of one certificate have one name; the end tells them apart.
    let key = |info: &CertificateInfo| (info.name.clone(), info.subject.clone(), info.not_after);
    let named = found.into_iter().map(|info| (key(&info), info));
    named.collect::<BTreeMap<_, _>>().into_values().collect()
}
