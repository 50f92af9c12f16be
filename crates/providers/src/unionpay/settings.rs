//! The settings of a UnionPay channel.

use std::path::{Path, PathBuf};

use domain::{Currency, Method};
use serde::Deserialize;

use super::capabilities::table;
use super::codec::UnionPay;
use super::trust::{Trust, chain, infos};
use crate::config::{
    Common, Mistakes, Source, common, default_connect_timeout_ms, default_max_in_flight,
    default_timeout_ms, rebase, source,
};
use crate::crypto::{Authority, Certificate, CertificateInfo, PrivateKey, certificates};

/// Whose certificates messages carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// UnionPay itself.
    #[default]
    Production,
    /// UnionPay's test system, and Evergate's sandbox: another owner's name in certificates,
    /// and SHA-1 inside their chain counts.
    Test,
}

/// One merchant number at UnionPay. The signing key comes as a PFX file, as UnionPay hands it
/// out, or as key and certificate in PEM; texts are given in one of three ways each: the text
/// itself, `*_file` or `*_env`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnionPaySettings {
    /// The gateway's address up to `/gateway/api`.
    #[serde(default = "production")]
    pub base_url: String,
    /// Production, or the test system.
    #[serde(default)]
    pub environment: Environment,
    /// The merchant's number, 15 letters and digits.
    pub mer_id: String,
    /// The PFX file with key and certificate.
    pub pfx_file: Option<PathBuf>,
    /// Its password.
    pub pfx_password: Option<crate::Secret>,
    /// A file with it.
    pub pfx_password_file: Option<PathBuf>,
    /// An environment variable with it.
    pub pfx_password_env: Option<String>,
    /// The merchant's private key.
    pub private_key: Option<crate::Secret>,
    /// A file with it.
    pub private_key_file: Option<PathBuf>,
    /// An environment variable with it.
    pub private_key_env: Option<String>,
    /// The certificate of that key.
    pub certificate: Option<crate::Secret>,
    /// A file with it.
    pub certificate_file: Option<PathBuf>,
    /// An environment variable with it.
    pub certificate_env: Option<String>,
    /// UnionPay's root certificates.
    pub root_certificate: Option<crate::Secret>,
    /// A file with them.
    pub root_certificate_file: Option<PathBuf>,
    /// An environment variable with them.
    pub root_certificate_env: Option<String>,
    /// UnionPay's middle certificates; several while UnionPay changes them.
    pub middle_certificate: Option<crate::Secret>,
    /// A file with them.
    pub middle_certificate_file: Option<PathBuf>,
    /// An environment variable with them.
    pub middle_certificate_env: Option<String>,
    /// Where the cashier sends the browser when the payment names no address. The browser comes
    /// by POST.
    pub return_url: Option<String>,
    /// Sends a refund of the whole amount inside the payment's clearing day (23:00 to 23:00 in
    /// Beijing) as an undo, which costs no fee. Off by default: one whose answer was lost just
    /// before 23:00 cannot be repeated.
    #[serde(default)]
    pub undo: bool,
    /// Where notifications go, if not to the server's public address.
    pub notify_url: Option<String>,
    /// The longest time for a whole call.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// The longest time for a connection.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// The most calls at once.
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: usize,
    /// The most new payments a second that it is given; no limit by default.
    pub max_per_second: Option<u32>,
    /// `union_pay` alone by default; `card` beside it offers the cashier, which takes UnionPay
    /// cards only, to customers who pay by card.
    #[serde(default = "union_pay_only")]
    pub methods: Option<Vec<Method>>,
    /// A part of the currencies.
    pub currencies: Option<Vec<Currency>>,
    /// The smallest amount in fen.
    pub amount_min_minor: Option<i64>,
    /// The largest amount in fen.
    pub amount_max_minor: Option<i64>,
    /// For how many days after a payment the agreement allows refunds, where that is less than
    /// the provider's own limit.
    pub refund_days: Option<u32>,
    /// Allows plain http to another machine: for test networks only.
    #[serde(default)]
    pub allow_insecure: bool,
    /// Trust these issuers of TLS certificates instead of the system's.
    pub ca_file: Option<PathBuf>,
}

fn production() -> String {
    "https://gateway.95516.com/gateway/api".to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default has the field's type")]
fn union_pay_only() -> Option<Vec<Method>> {
    Some(vec![Method::UnionPay])
}

const KEY_FIX: &str = "export the key of the merchant's PFX file as PEM, or set `pfx_file`";
const CERT_FIX: &str = "download the certificate again from UnionPay's merchant pages";

/// What signs our messages.
struct Signer {
    key: PrivateKey,
    certificate: Certificate,
}

impl UnionPaySettings {
    pub(crate) fn common(&self) -> Common<'_> {
        common!(self)
    }

    pub(crate) fn rebase(&mut self, folder: &Path) {
        for path in [
            &mut self.pfx_file,
            &mut self.pfx_password_file,
            &mut self.private_key_file,
            &mut self.certificate_file,
            &mut self.root_certificate_file,
            &mut self.middle_certificate_file,
            &mut self.ca_file,
        ] {
            rebase(path, folder);
        }
    }

    pub(crate) fn codec(&self, notify_url: &str, mistakes: &mut Mistakes) -> Option<UnionPay> {
        self.names(mistakes);
        let base_url = self.common().base_url(mistakes);
        let notify_url = self.common().notify_url(notify_url, mistakes);
        let capabilities = self.common().capabilities(table(), None, mistakes);
        let trust = self.trust(mistakes);
        let signer = self.signer(mistakes)?;
        if !signer.key.belongs_to(&signer.certificate.key) {
            mistakes.add("private_key", "it does not belong to the certificate", KEY_FIX);
        }
        Some(UnionPay {
            base_url: base_url?,
            mer_id: self.mer_id.clone(),
            cert_id: signer.certificate.serial_decimal,
            notify_url: notify_url?,
            return_url: self.return_url.clone(),
            undo: self.undo,
            key: signer.key,
            trust: trust?,
            capabilities,
        })
    }

    fn names(&self, mistakes: &mut Mistakes) {
        let id = self.mer_id.as_bytes();
        if id.len() != 15 || !id.iter().all(u8::is_ascii_alphanumeric) {
            let fix = "copy it from UnionPay's merchant pages";
            mistakes.add("mer_id", "it must be 15 letters and digits", fix);
        }
        let back = self.return_url.as_deref();
        if back.is_some_and(|url| reqwest::Url::parse(url).is_err()) {
            mistakes.add("return_url", "it is not an absolute URL", "write it like https://shop/");
        }
    }

    fn trust(&self, mistakes: &mut Mistakes) -> Option<Trust> {
        let [middles, roots] = [self.middle(), self.root()].map(|source| {
            let text = source.required(mistakes)?;
            mistakes.take(source.field, Authority::read(text.expose()), CERT_FIX)
        });
        let test = self.environment == Environment::Test;
        let fix = "give UnionPay's middle and root certificates of the same environment";
        let proven = chain(middles?, &roots?, test);
        let middles = mistakes.take("middle_certificate", proven, fix)?;
        let owner = if test { "00040000:SIGN" } else { "中国银联股份有限公司" };
        Some(Trust { middles, owner, sha1: test })
    }

    fn signer(&self, mistakes: &mut Mistakes) -> Option<Signer> {
        let parts = [self.key(), self.signing_certificate()];
        if let Some(file) = &self.pfx_file {
            if parts.iter().any(Source::is_set) {
                let fix = "keep `pfx_file`, or `private_key` and `certificate`";
                mistakes.add("pfx_file", "the key is given in two ways", fix);
            }
            return self.pfx_signer(file, mistakes);
        }
        let [key, certificate] = parts.map(|source| source.required(mistakes));
        let key = key.and_then(|text| {
            mistakes.take("private_key", PrivateKey::read(text.expose()), KEY_FIX)
        });
        let certificate = certificate
            .and_then(|text| mistakes.take("certificate", certificates(text.expose()), CERT_FIX));
        Some(Signer { key: key?, certificate: certificate?.into_iter().next()? })
    }

    fn key(&self) -> Source<'_> {
        source!(self, private_key, private_key_file, private_key_env)
    }

    fn signing_certificate(&self) -> Source<'_> {
        source!(self, certificate, certificate_file, certificate_env)
    }

    fn root(&self) -> Source<'_> {
        source!(self, root_certificate, root_certificate_file, root_certificate_env)
    }

    fn middle(&self) -> Source<'_> {
        source!(self, middle_certificate, middle_certificate_file, middle_certificate_env)
    }

    pub(crate) fn certificates(&self) -> Vec<CertificateInfo> {
        let read = |source: Source<'_>| {
            let found = source.quiet().and_then(|text| certificates(text.expose()).ok());
            let found = found.unwrap_or_default();
            found.into_iter().map(move |cert| cert.info(source.field)).collect::<Vec<_>>()
        };
        let pem = [self.signing_certificate(), self.root(), self.middle()].into_iter();
        infos(pem.flat_map(read).chain(self.pfx_certificate()).collect())
    }
}

/// PFX files, where they can be read.
#[cfg(feature = "pfx")]
mod pfx {
    use super::*;
    use crate::crypto::open_pfx;

    const FIX: &str = "check `pfx_password`, or export key and certificate as PEM with openssl";

    impl UnionPaySettings {
        pub(super) fn pfx_signer(&self, file: &Path, mistakes: &mut Mistakes) -> Option<Signer> {
            let password = self.password().required(mistakes)?;
            let bytes = std::fs::read(file)
                .map_err(|error| mistakes.unreadable("pfx_file", file, &error))
                .ok()?;
            let opened = open_pfx(&bytes, password.expose().trim_end());
            let (key, certificate) = mistakes.take("pfx_file", opened, FIX)?;
            Some(Signer { key, certificate })
        }

        pub(super) fn pfx_certificate(&self) -> Option<CertificateInfo> {
            let bytes = std::fs::read(self.pfx_file.as_ref()?).ok()?;
            let password = self.password().quiet()?;
            let (_, certificate) = open_pfx(&bytes, password.expose().trim_end()).ok()?;
            Some(certificate.info("pfx_file"))
        }

        fn password(&self) -> Source<'_> {
            source!(self, pfx_password, pfx_password_file, pfx_password_env)
        }
    }
}

/// A build without the feature `pfx` says so, and how to go on.
#[cfg(not(feature = "pfx"))]
impl UnionPaySettings {
    fn pfx_signer(&self, _file: &Path, mistakes: &mut Mistakes) -> Option<Signer> {
        mistakes.add(
            "pfx_file",
            "this build cannot read PFX files",
            "export key and certificate as PEM with `openssl pkcs12 -nodes`, and set \
             `private_key_file` and `certificate_file`; or build with the feature `pfx`",
        );
        None
    }

    fn pfx_certificate(&self) -> Option<CertificateInfo> {
        None
    }
}
