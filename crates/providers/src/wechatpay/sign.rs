//! The texts that WeChat Pay's signatures cover, and whose keys they are checked with.

use domain::Timestamp;

use crate::crypto::{PrivateKey, PublicKey};

/// Older or newer than this by the provider's clock, and a message is not taken.
pub(super) const TOLERANCE_S: i64 = 300;

/// The `Authorization` header of a request: five lines are signed, each with its line feed.
pub(crate) fn authorization(
    merchant: (&str, &str),
    key: &PrivateKey,
    message: (&str, &str, &[u8]),
    at: Timestamp,
    nonce: &str,
) -> String {
    let ((mch_id, serial), (verb, target, body)) = (merchant, message);
    let seconds = at.as_secs();
    let mut text = format!("{verb}\n{target}\n{seconds}\n{nonce}\n").into_bytes();
    text.extend_from_slice(body);
    text.push(b'\n');
    let signature = key.sign(&text);
    format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{mch_id}\",nonce_str=\"{nonce}\",\
         signature=\"{signature}\",timestamp=\"{seconds}\",serial_no=\"{serial}\""
    )
}

/// The `paySign` of a JSAPI call: app, time, nonce and package, a line each.
pub(crate) fn pay_sign(
    app_id: &str,
    seconds: i64,
    nonce: &str,
    package: &str,
    key: &PrivateKey,
) -> String {
    key.sign(format!("{app_id}\n{seconds}\n{nonce}\n{package}\n").as_bytes())
}

/// Why a message does not prove itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// A header is missing, the key is not known, or the signature does not fit.
    Signature(&'static str),
    /// Too far from our clock, by so many seconds.
    Stale(i64),
}

/// WeChat Pay's keys: its public key, platform certificates, or both while changing over.
#[derive(Debug)]
pub(super) struct Trust {
    /// By the name that the `Wechatpay-Serial` header gives: a certificate's serial number, or
    /// `PUB_KEY_ID_` and digits.
    pub(super) keys: Vec<(String, PublicKey)>,
}

impl Trust {
    /// Verifies an answer or callback from its headers: time, nonce and body, a line each.
    pub(super) fn prove<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Unproven> {
        let get = |name| header(name).ok_or(Unproven::Signature("a signature header is missing"));
        let (time, nonce) = (get("wechatpay-timestamp")?, get("wechatpay-nonce")?);
        let (signature, serial) = (get("wechatpay-signature")?, get("wechatpay-serial")?);
        let key = self.keys.iter().find(|(name, _)| name.eq_ignore_ascii_case(serial));
        let (_, key) = key.ok_or(Unproven::Signature("it names a key that is not configured"))?;
        let mut text = format!("{time}\n{nonce}\n").into_bytes();
        text.extend_from_slice(body);
        text.push(b'\n');
        if !key.verifies(&text, signature) {
            return Err(Unproven::Signature("the signature does not fit"));
        }
        let time: i64 = time.parse().map_err(|_| Unproven::Signature("the time is no number"))?;
        let skew = now.as_secs().saturating_sub(time);
        if skew.saturating_abs() > TOLERANCE_S { Err(Unproven::Stale(skew)) } else { Ok(()) }
    }
}
