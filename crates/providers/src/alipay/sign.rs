//! The texts that Alipay's signatures cover.

use std::collections::BTreeMap;

use crate::crypto::{PrivateKey, PublicKey};

/// Request parameters by name, in the byte order that the signature needs.
pub(super) type Parameters = BTreeMap<&'static str, String>;

/// Adds the signature: over every parameter that is not empty, `sign_type` included, as
/// `name=value` joined by `&`, values as they are before URL encoding.
pub(super) fn sign(parameters: &mut Parameters, key: &PrivateKey) {
    let signature = key.sign(canonical(parameters).as_bytes());
    parameters.insert("sign", signature);
}

/// The text that a request's signature covers.
pub(super) fn canonical(parameters: &Parameters) -> String {
    let kept = parameters.iter().filter(|(name, value)| **name != "sign" && !value.is_empty());
    kept.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `name=value&..` for a query string or a form body.
pub(super) fn encode<'p>(parameters: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The provider's keys: one in public-key mode, one a certificate in certificate mode.
#[derive(Debug)]
pub(super) struct Trust {
    /// The keys, each with its certificate's name where there is one.
    pub(super) keys: Vec<(Option<String>, PublicKey)>,
}

impl Trust {
    /// Whether a signature fits. A text that names its certificate is checked with that one
    /// only, once certificates are configured.
    pub(super) fn verifies(&self, text: &[u8], signature: &str, cert_sn: Option<&str>) -> bool {
        self.keys
            .iter()
            .filter(|(name, _)| match (name, cert_sn) {
                (Some(name), Some(wanted)) => name == wanted,
                _ => true,
            })
            .any(|(_, key)| key.verifies(text, signature))
    }
}
