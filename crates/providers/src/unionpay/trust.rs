//! Whom to believe: the certificate inside a message, checked against the configured chain.

use std::collections::BTreeMap;

use domain::Timestamp;

use super::message::{Fields, text, verifies};
use crate::common::rfc3339;
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
    /// Proves a message: its certificate by the chain, itself by the certificate. The dates come
    /// last, so that only a certificate that was UnionPay's is said to have run out.
    pub(super) fn prove(&self, fields: &Fields, now: Timestamp) -> Result<(), Unproven> {
        let pem = text(fields, "signPubKeyCert").ok_or("no signPubKeyCert field")?;
        let signer = Authority::read(pem)?.into_iter().next().ok_or("no certificate in it")?;
        if signer.common_name().and_then(|cn| cn.split('@').nth(2)) != Some(self.owner) {
            return Err("its certificate is not UnionPay's own".into());
        }
        let issued =
            |middle: &&Authority| middle.is_valid(now) && middle.issued(&signer, self.sha1);
        if self.middles.iter().find(issued).is_none() {
            return Err("its certificate comes from another issuer".into());
        }
        if !verifies(fields, signer.key()) {
            return Err("the signature does not fit".into());
        }
        match signer.is_valid(now) {
            true => Ok(()),
            false if now > signer.not_after() => Err(Unproven::Expired {
                serial: signer.serial().to_owned(),
                since: signer.not_after(),
            }),
            false => Err("its certificate is not valid yet".into()),
        }
    }
}

/// Why a message does not prove itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// Something is missing or does not fit.
    Unfit(&'static str),
    /// It is signed by UnionPay, with a certificate that has run out.
    Expired {
        /// The certificate's serial number, decimal, as `certId` has it.
        serial: String,
        /// Its last moment.
        since: Timestamp,
    },
}

impl From<&'static str> for Unproven {
    fn from(why: &'static str) -> Unproven {
        Unproven::Unfit(why)
    }
}

impl std::fmt::Display for Unproven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unproven::Unfit(why) => f.write_str(why),
            Unproven::Expired { serial, since } => {
                write!(f, "UnionPay's certificate {serial} ran out at {}", rfc3339(*since))
            }
        }
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
