//! AES-256-GCM (WeChat Pay's notifications) and HMAC-SHA256 (Stripe's webhooks).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;

/// Opens a text that was sealed with AES-256-GCM; the 16-byte tag is at its end.
/// `None` when the key has the wrong length or the tag does not fit.
pub(crate) fn open_aes_256_gcm(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = sealed.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(aad), &mut buffer).ok()?;
    Some(plain.to_vec())
}

/// Whether `tag_hex` is the HMAC-SHA256 of `message`; compared in constant time.
pub(crate) fn hmac_sha256_matches(key: &[u8], message: &[u8], tag_hex: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hex::decode(tag_hex).is_ok_and(|tag| hmac::verify(&key, message, &tag).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_or_a_short_text_opens_nothing() {
        assert_eq!(open_aes_256_gcm(&[0; 16], &[0; 12], b"", &[0; 32]), None);
        assert_eq!(open_aes_256_gcm(&[0; 32], &[0; 12], b"", &[0; 3]), None);
        assert_eq!(open_aes_256_gcm(&[0; 32], &[0; 5], b"", &[0; 32]), None);
    }
}
