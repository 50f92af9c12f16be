//! The settings of a WeChat Pay channel.

use std::path::{Path, PathBuf};

use domain::{Currency, Method};
use serde::Deserialize;

use super::capabilities::table;
use super::codec::WechatPay;
use super::sign::Trust;
use crate::config::{
    Common, Mistakes, Source, common, default_connect_timeout_ms, default_max_in_flight,
    default_timeout_ms, rebase, source,
};
use crate::crypto::{Certificate, CertificateInfo, PrivateKey, PublicKey, Secret, certificates};

/// One merchant account at WeChat Pay. Keys are given in one of three ways each: the text
/// itself, `*_file` or `*_env`.
///
/// Answers and callbacks are believed by `wechatpay_public_key` (with its id), by
/// `platform_certificates`, or by both while the account changes from one to the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WechatPaySettings {
    /// The interface's address.
    #[serde(default = "production")]
    pub base_url: String,
    /// The id of the app or official account that pays.
    pub app_id: String,
    /// The merchant's number.
    pub mch_id: String,
    /// The merchant's private key.
    pub merchant_private_key: Option<Secret>,
    /// A file with it.
    pub merchant_private_key_file: Option<PathBuf>,
    /// An environment variable with it.
    pub merchant_private_key_env: Option<String>,
    /// The merchant's certificate, from which the serial number is read.
    pub merchant_certificate: Option<Secret>,
    /// A file with it.
    pub merchant_certificate_file: Option<PathBuf>,
    /// An environment variable with it.
    pub merchant_certificate_env: Option<String>,
    /// The certificate's serial number, where the certificate itself is not given.
    pub merchant_serial: Option<String>,
    /// The APIv3 key: 32 letters and digits.
    pub api_v3_key: Option<Secret>,
    /// A file with it.
    pub api_v3_key_file: Option<PathBuf>,
    /// An environment variable with it.
    pub api_v3_key_env: Option<String>,
    /// WeChat Pay's public key.
    pub wechatpay_public_key: Option<Secret>,
    /// A file with it.
    pub wechatpay_public_key_file: Option<PathBuf>,
    /// An environment variable with it.
    pub wechatpay_public_key_env: Option<String>,
    /// The public key's id: `PUB_KEY_ID_` and digits.
    pub wechatpay_public_key_id: Option<String>,
    /// Platform certificates, one after the other.
    pub platform_certificates: Option<Secret>,
    /// A file with them.
    pub platform_certificates_file: Option<PathBuf>,
    /// An environment variable with them.
    pub platform_certificates_env: Option<String>,
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
    "https://api.mch.weixin.qq.com".to_owned()
}

const CONSOLE: &str = "copy it from the API security page of the merchant console";

impl WechatPaySettings {
    pub(crate) fn common(&self) -> Common<'_> {
        common!(self)
    }

    pub(crate) fn rebase(&mut self, folder: &Path) {
        for path in [
            &mut self.merchant_private_key_file,
            &mut self.merchant_certificate_file,
            &mut self.api_v3_key_file,
            &mut self.wechatpay_public_key_file,
            &mut self.platform_certificates_file,
            &mut self.ca_file,
        ] {
            rebase(path, folder);
        }
    }

    pub(crate) fn codec(&self, notify_url: &str, mistakes: &mut Mistakes) -> Option<WechatPay> {
        mistakes.name("app_id", &self.app_id);
        mistakes.name("mch_id", &self.mch_id);
        let base_url = self.common().base_url(mistakes);
        let notify_url = self.common().notify_url(notify_url, mistakes);
        let capabilities = self.common().capabilities(table(), None, mistakes);
        let merchant = self.merchant(mistakes);
        let api_v3_key = self.api_v3_key(mistakes);
        let trust = self.trust(mistakes);
        let ((key, serial), base_url, (trust, answer_key)) = (merchant?, base_url?, trust?);
        if trust.keys.iter().any(|(_, theirs)| key.belongs_to(theirs)) {
            mistakes.add(
                "wechatpay_public_key",
                "it is the merchant's own key, not WeChat Pay's",
                "download WeChat Pay's public key from the merchant console",
            );
        }
        let path = reqwest::Url::parse(&base_url).ok()?.path().trim_end_matches('/').to_owned();
        Some(WechatPay {
            base_path: path,
            base_url,
            app_id: self.app_id.clone(),
            mch_id: self.mch_id.clone(),
            serial,
            key,
            api_v3_key: api_v3_key?,
            trust,
            answer_key,
            notify_url: notify_url?,
            capabilities,
        })
    }

    fn certificate_source(&self) -> Source<'_> {
        source!(self, merchant_certificate, merchant_certificate_file, merchant_certificate_env)
    }

    fn platform_source(&self) -> Source<'_> {
        source!(self, platform_certificates, platform_certificates_file, platform_certificates_env)
    }

    /// The merchant's key and the serial number of its certificate.
    fn merchant(&self, mistakes: &mut Mistakes) -> Option<(PrivateKey, String)> {
        let key = source!(
            self,
            merchant_private_key,
            merchant_private_key_file,
            merchant_private_key_env
        )
        .required(mistakes)
        .and_then(|text| {
            let fix = "store apiclient_key.pem of the merchant's certificate";
            mistakes.take("merchant_private_key", PrivateKey::read(text.expose()), fix)
        });
        let certificate = self.merchant_certificate(mistakes);
        let serial = match (&certificate, &self.merchant_serial) {
            (Some(cert), Some(serial)) if !cert.serial_hex.eq_ignore_ascii_case(serial) => {
                mistakes.add(
                    "merchant_serial",
                    "it is not the serial number of merchant_certificate",
                    "leave it out; the certificate has it",
                );
                None
            }
            (Some(cert), _) => Some(cert.serial_hex.clone()),
            (None, Some(serial)) => {
                mistakes.name("merchant_serial", serial);
                Some(serial.clone())
            }
            (None, None) => {
                if !self.certificate_source().is_set() {
                    let rule = "the certificate's serial number is not known";
                    let fix = "give `merchant_certificate_file` (apiclient_cert.pem), or this";
                    mistakes.add("merchant_serial", rule, fix);
                }
                None
            }
        };
        let key = key?;
        if certificate.is_some_and(|cert| !key.belongs_to(&cert.key)) {
            mistakes.add(
                "merchant_private_key",
                "it does not belong to merchant_certificate",
                "use the two files of the same download, apiclient_key.pem and apiclient_cert.pem",
            );
        }
        Some((key, serial?))
    }

    fn merchant_certificate(&self, mistakes: &mut Mistakes) -> Option<Certificate> {
        let text = self.certificate_source().optional(mistakes)?;
        let read = certificates(text.expose());
        mistakes.take("merchant_certificate", read, CONSOLE)?.into_iter().next()
    }

    fn api_v3_key(&self, mistakes: &mut Mistakes) -> Option<Secret> {
        let text = source!(self, api_v3_key, api_v3_key_file, api_v3_key_env).required(mistakes)?;
        let key = Secret::new(text.expose().trim());
        if key.expose().len() != 32 {
            mistakes.add("api_v3_key", "it is not 32 bytes long", CONSOLE);
            return None;
        }
        Some(key)
    }

    /// WeChat Pay's keys, and the name of the one that answers shall be signed with.
    fn trust(&self, mistakes: &mut Mistakes) -> Option<(Trust, Option<String>)> {
        let public = source!(
            self,
            wechatpay_public_key,
            wechatpay_public_key_file,
            wechatpay_public_key_env
        );
        if !public.is_set() && !self.platform_source().is_set() {
            mistakes.add(
                "wechatpay_public_key",
                "neither it nor platform_certificates is given",
                "give the public key and its id, or the platform certificates",
            );
        }
        let mut keys = Vec::new();
        if let Some(text) = public.optional(mistakes) {
            let read = PublicKey::read(text.expose());
            let key = mistakes.take("wechatpay_public_key", read, CONSOLE);
            match &self.wechatpay_public_key_id {
                Some(id) if id.starts_with("PUB_KEY_ID_") => {
                    keys.extend(key.map(|key| (id.clone(), key)));
                }
                _ => mistakes.add(
                    "wechatpay_public_key_id",
                    "it must be given with the public key and starts with PUB_KEY_ID_",
                    CONSOLE,
                ),
            }
        }
        let answer_key = keys.first().map(|(id, _)| id.clone());
        if let Some(text) = self.platform_source().optional(mistakes) {
            let read = certificates(text.expose());
            let found = mistakes.take("platform_certificates", read, CONSOLE).unwrap_or_default();
            keys.extend(found.into_iter().map(|cert| (cert.serial_hex, cert.key)));
        }
        (!keys.is_empty()).then_some((Trust { keys }, answer_key))
    }

    pub(crate) fn certificates(&self) -> Vec<CertificateInfo> {
        let read = |source: Source<'_>| {
            let found = source.quiet().and_then(|text| certificates(text.expose()).ok());
            let found = found.unwrap_or_default();
            found.into_iter().map(move |cert| cert.info(source.field)).collect::<Vec<_>>()
        };
        let mut found = read(self.certificate_source());
        found.extend(read(self.platform_source()));
        found
    }
}
