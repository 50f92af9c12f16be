//! The settings of an Alipay channel.

use std::path::{Path, PathBuf};

use domain::{Currency, Method};
use serde::Deserialize;

use super::capabilities::table;
use super::codec::Alipay;
use super::sign::Trust;
use crate::config::{
    Common, Mistakes, common, default_connect_timeout_ms, default_max_in_flight,
    default_timeout_ms, rebase, source,
};
use crate::crypto::{Certificate, CertificateInfo, PrivateKey, PublicKey, certificates};

/// One application at Alipay's open platform. Keys are given in one of three ways each: the
/// text itself, `*_file` or `*_env`; PEM or the bare Base64 that Alipay's tools print.
///
/// Either `alipay_public_key` (public-key mode) or the three certificates (certificate mode).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlipaySettings {
    /// The gateway's address, `gateway.do` included.
    #[serde(default = "production")]
    pub base_url: String,
    /// The application's id.
    pub app_id: String,
    /// The seller's id (2088...), checked in notifications when given.
    pub seller_id: Option<String>,
    /// The application's private key.
    pub private_key: Option<crate::Secret>,
    /// A file with it.
    pub private_key_file: Option<PathBuf>,
    /// An environment variable with it.
    pub private_key_env: Option<String>,
    /// Alipay's public key (not the application's own).
    pub alipay_public_key: Option<crate::Secret>,
    /// A file with it.
    pub alipay_public_key_file: Option<PathBuf>,
    /// An environment variable with it.
    pub alipay_public_key_env: Option<String>,
    /// The application's certificate.
    pub app_certificate: Option<crate::Secret>,
    /// A file with it.
    pub app_certificate_file: Option<PathBuf>,
    /// An environment variable with it.
    pub app_certificate_env: Option<String>,
    /// Alipay's certificate; several, one after the other, while Alipay changes it.
    pub alipay_certificate: Option<crate::Secret>,
    /// A file with it.
    pub alipay_certificate_file: Option<PathBuf>,
    /// An environment variable with it.
    pub alipay_certificate_env: Option<String>,
    /// Alipay's root certificates.
    pub alipay_root_certificate: Option<crate::Secret>,
    /// A file with them.
    pub alipay_root_certificate_file: Option<PathBuf>,
    /// An environment variable with them.
    pub alipay_root_certificate_env: Option<String>,
    /// The product of a precreated code.
    #[serde(default = "qr_product")]
    pub qr_product_code: String,
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
    /// A part of the methods; all by default.
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
    "https://openapi.alipay.com/gateway.do".to_owned()
}

fn qr_product() -> String {
    "QR_CODE_OFFLINE".to_owned()
}

const KEY_FIX: &str = "store the RSA2 private key of the application as PEM or bare Base64";
const CERT_FIX: &str = "download the certificate again from the application's page at Alipay";

/// What a private key is checked against, and what answers are checked with.
struct Keys {
    trust: Trust,
    names: Option<(String, String)>,
    app: Option<Certificate>,
}

impl AlipaySettings {
    pub(crate) fn common(&self) -> Common<'_> {
        common!(self)
    }

    pub(crate) fn rebase(&mut self, folder: &Path) {
        for path in [
            &mut self.private_key_file,
            &mut self.alipay_public_key_file,
            &mut self.app_certificate_file,
            &mut self.alipay_certificate_file,
            &mut self.alipay_root_certificate_file,
            &mut self.ca_file,
        ] {
            rebase(path, folder);
        }
    }

    pub(crate) fn codec(&self, notify_url: &str, mistakes: &mut Mistakes) -> Option<Alipay> {
        mistakes.name("app_id", &self.app_id);
        let base_url = self.common().base_url(mistakes);
        let notify_url = self.common().notify_url(notify_url, mistakes);
        let capabilities = self.common().capabilities(table(), None, mistakes);
        let keys = self.keys(mistakes);
        let key = source!(self, private_key, private_key_file, private_key_env)
            .required(mistakes)
            .and_then(|text| {
                mistakes.take("private_key", PrivateKey::read(text.expose()), KEY_FIX)
            });
        let (keys, key) = (keys?, key?);
        if keys.app.as_ref().is_some_and(|cert| !key.belongs_to(&cert.key)) {
            mistakes.add(
                "private_key",
                "it does not belong to app_certificate",
                "use the key that the certificate was requested with, or request a new one",
            );
        }
        if keys.trust.keys.iter().any(|(_, theirs)| key.belongs_to(theirs)) {
            mistakes.add(
                "alipay_public_key",
                "it is the application's own key, not Alipay's",
                "copy the Alipay public key from the application's page",
            );
        }
        Some(Alipay {
            base_url: base_url?,
            app_id: self.app_id.clone(),
            seller_id: self.seller_id.clone(),
            notify_url: notify_url?,
            qr_product_code: self.qr_product_code.clone(),
            key,
            trust: keys.trust,
            certificate_names: keys.names,
            capabilities,
        })
    }

    fn keys(&self, mistakes: &mut Mistakes) -> Option<Keys> {
        let public =
            source!(self, alipay_public_key, alipay_public_key_file, alipay_public_key_env);
        let parts = self.certificate_sources();
        match (public.is_set(), parts.iter().any(|part| part.is_set())) {
            (true, true) => {
                mistakes.add(
                    "alipay_public_key",
                    "both modes are configured",
                    "keep `alipay_public_key`, or the three certificates",
                );
                None
            }
            (false, true) => self.certificate_mode(mistakes),
            (_, false) => {
                let text = public.required(mistakes)?;
                let key = PublicKey::read(text.expose());
                let fix = "copy the Alipay public key from the application's page";
                let key = mistakes.take("alipay_public_key", key, fix)?;
                Some(Keys { trust: Trust { keys: vec![(None, key)] }, names: None, app: None })
            }
        }
    }

    fn certificate_sources(&self) -> [crate::config::Source<'_>; 3] {
        [
            source!(self, app_certificate, app_certificate_file, app_certificate_env),
            source!(self, alipay_certificate, alipay_certificate_file, alipay_certificate_env),
            source!(
                self,
                alipay_root_certificate,
                alipay_root_certificate_file,
                alipay_root_certificate_env
            ),
        ]
    }

    fn certificate_mode(&self, mistakes: &mut Mistakes) -> Option<Keys> {
        let [app, alipay, root] = self.certificate_sources().map(|source| {
            let text = source.required(mistakes)?;
            mistakes.take(source.field, certificates(text.expose()), CERT_FIX)
        });
        let (app, alipay, root) = (app?.into_iter().next()?, alipay?, root?);
        let roots: Vec<_> =
            root.iter().filter(|c| c.rsa_signed).map(|c| c.alipay_sn.as_str()).collect();
        if roots.is_empty() {
            mistakes.add("alipay_root_certificate", "it holds no RSA root", CERT_FIX);
        }
        let keys = alipay.into_iter().map(|c| (Some(c.alipay_sn), c.key)).collect();
        let names = Some((app.alipay_sn.clone(), roots.join("_")));
        Some(Keys { trust: Trust { keys }, names, app: Some(app) })
    }

    pub(crate) fn certificates(&self) -> Vec<CertificateInfo> {
        let read = |source: crate::config::Source<'_>| {
            let found = source.quiet().and_then(|text| certificates(text.expose()).ok());
            let found = found.unwrap_or_default();
            found.into_iter().map(move |cert| cert.info(source.field)).collect::<Vec<_>>()
        };
        self.certificate_sources().into_iter().flat_map(read).collect()
    }
}
