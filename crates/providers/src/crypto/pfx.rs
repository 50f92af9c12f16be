//! PFX files (PKCS#12), in which UnionPay hands out a merchant's key and certificate.

use p12_keystore::Pkcs12Archive;

use super::certificate::info_of;
use super::{Certificate, CertificateInfo, PrivateKey};

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

/// What every certificate of the file says about itself, its issuers' included.
pub(crate) fn pfx_infos(bytes: &[u8], password: &str, name: &str) -> Vec<CertificateInfo> {
    let Ok(archive) = Pkcs12Archive::from_pkcs12(bytes, password) else { return Vec::new() };
    archive.certs.iter().filter_map(|c| info_of(c.cert.as_der(), name)).collect()
}

#[cfg(test)]
mod tests {
    use p12_keystore::{
        Certificate as P12Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm,
        PrivateKey as P12Key, PrivateKeyChain,
    };

    use super::*;
    use crate::crypto::test_key;

    struct Made {
        key: rcgen::KeyPair,
        certificate: rcgen::Certificate,
    }

    fn made() -> Made {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", test_key());
        let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256);
        let key = key.unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.serial_number = Some(68_759_663_125_u64.into());
        let certificate = params.self_signed(&key).unwrap();
        Made { key, certificate }
    }

    fn pfx(key: &Made, certificate: &Made, old: bool) -> Vec<u8> {
        let chain = PrivateKeyChain::new(
            "id",
            P12Key::from_der(key.key.serialized_der()).unwrap(),
            [P12Certificate::from_der(certificate.certificate.der()).unwrap()],
        );
        let mut store = KeyStore::new();
        store.add_entry("merchant", KeyStoreEntry::PrivateKeyChain(chain));
        let writer = store.writer("000000");
        let writer = if old {
            writer
                .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd40BitRc4Cbc)
                .mac_algorithm(MacAlgorithm::HmacSha1)
                .encryption_iterations(2_000)
        } else {
            writer
        };
        writer.write().unwrap()
    }

    #[test]
    fn old_and_new_files_give_their_key_and_certificate() {
        let one = made();
        for old in [true, false] {
            let bytes = pfx(&one, &one, old);
            let (key, certificate) = open_pfx(&bytes, "000000").unwrap();
            assert_eq!(certificate.serial_decimal, "68759663125");
            assert!(key.belongs_to(&certificate.key));
            assert_eq!(pfx_infos(&bytes, "000000", "pfx_file").len(), 1);
            assert!(pfx_infos(&bytes, "000001", "pfx_file").is_empty());
            assert!(open_pfx(&bytes, "000001").is_err());
            assert!(open_pfx(&bytes[..bytes.len() / 2], "000000").is_err());
        }
        let other = made();
        let why = open_pfx(&pfx(&one, &other, true), "000000").err();
        assert_eq!(why, Some("it holds no certificate of its key"));
        assert!(open_pfx(b"", "").is_err());
    }
}
