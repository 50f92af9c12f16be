//! PFX files (PKCS#12), in which UnionPay hands out a merchant's key and certificate.

use p12_keystore::Pkcs12Archive;

use super::{Certificate, PrivateKey};

/// The key and the certificate that belongs to it. Both the form of old tools (SHA-1, 3DES,
/// RC2), which UnionPay's own files have, and the form of new ones (AES, SHA-256) are read.
pub(crate) fn open_pfx(
    bytes: &[u8],
    password: &str,
) -> Result<(PrivateKey, Certificate), &'static str> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, password)
        .map_err(|_| "the password is wrong, or it is not a PFX file")?;
    let bag = archive.keys.first().ok_or("it holds no private key")?;
    let key = PrivateKey::from_der(bag.key.as_der())?;
    let mut found =
        archive.certs.iter().filter_map(|c| Certificate::from_der(c.cert.as_der()).ok());
    let certificate = found.find(|certificate| key.belongs_to(&certificate.key));
    Ok((key, certificate.ok_or("it holds no certificate of its key")?))
}
