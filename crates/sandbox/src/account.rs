//! Accounts: merchants registered at a fake provider, with the keys of both sides.

use serde::{Deserialize, Serialize};

use crate::books::{IdSource, Millis, ProviderKind};
use crate::keys::{Issuer, SigningKey, certificate};

/// A merchant's account at one provider.
///
/// Serialises with every private key in it, so that a command line can keep accounts in a file
/// and a gateway's configuration stays right from one run to the next.
#[derive(Clone, Serialize, Deserialize)]
pub struct Account {
    /// The name used in fault rules, books and the control API.
    pub name: String,
    /// Whose account it is.
    pub provider: ProviderKind,
    pub(crate) keys: AccountKeys,
}

impl std::fmt::Debug for Account {
    /// Names only: keys stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({} at {})", self.name, self.provider)
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountKeys {
    Alipay(AlipayKeys),
    WechatPay(WechatPayKeys),
    Stripe(StripeKeys),
    UnionPay(UnionPayKeys),
    Paypal(PaypalKeys),
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AlipayKeys {
    pub(crate) app_id: String,
    pub(crate) seller_id: String,
    pub(crate) app_private_key_pem: String,
    pub(crate) app_public_key_pem: String,
    pub(crate) alipay_private_key_pem: String,
    pub(crate) alipay_public_key_pem: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WechatPayKeys {
    pub(crate) mch_id: String,
    pub(crate) app_id: String,
    pub(crate) api_v3_key: String,
    pub(crate) merchant_private_key_pem: String,
    pub(crate) merchant_certificate_pem: String,
    pub(crate) merchant_serial: String,
    pub(crate) platform_private_key_pem: String,
    pub(crate) platform_certificate_pem: String,
    pub(crate) platform_serial: String,
    /// The same key in a certificate that has run out, for the fault of that name.
    pub(crate) expired_certificate_pem: String,
    pub(crate) expired_serial: String,
    pub(crate) public_key_id: String,
    pub(crate) public_key_private_pem: String,
    pub(crate) public_key_pem: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StripeKeys {
    pub(crate) secret_key: String,
    pub(crate) publishable_key: String,
    pub(crate) webhook_secret: String,
    pub(crate) webhook_url: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct UnionPayKeys {
    pub(crate) mer_id: String,
    pub(crate) merchant_private_key_pem: String,
    pub(crate) merchant_certificate_pem: String,
    /// The decimal serial of the merchant's certificate.
    pub(crate) cert_id: String,
    /// What the platform signs with.
    pub(crate) sign_private_key_pem: String,
    pub(crate) sign_certificate_pem: String,
    pub(crate) sign_cert_id: String,
    /// The same key in a certificate that has run out, for the fault of that name.
    pub(crate) expired_certificate_pem: String,
    pub(crate) middle_certificate_pem: String,
    pub(crate) root_certificate_pem: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PaypalKeys {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) webhook_id: String,
    /// What webhooks are signed with.
    pub(crate) private_key_pem: String,
    pub(crate) certificate_pem: String,
}

/// Everything that the merchant's side has to be configured with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum MerchantMaterial {
    /// Alipay, public-key mode.
    Alipay {
        /// The application's id.
        app_id: String,
        /// The seller that notifications name.
        seller_id: String,
        /// The application's private key, PKCS#8 PEM.
        app_private_key_pem: String,
        /// Alipay's public key, SPKI PEM.
        alipay_public_key_pem: String,
    },
    /// WeChat Pay API v3, both key modes.
    WechatPay {
        /// The merchant's number.
        mch_id: String,
        /// The application's id.
        app_id: String,
        /// Serial of the merchant's certificate, hex.
        merchant_serial: String,
        /// The merchant's private key, PKCS#8 PEM.
        merchant_private_key_pem: String,
        /// The merchant's certificate, PEM.
        merchant_certificate_pem: String,
        /// The 32 characters that seal notifications.
        api_v3_key: String,
        /// The platform's certificate, PEM.
        platform_certificate_pem: String,
        /// Its serial, hex.
        platform_serial: String,
        /// `PUB_KEY_ID_` and digits.
        public_key_id: String,
        /// The platform's public key of that id, SPKI PEM.
        public_key_pem: String,
    },
    /// Stripe.
    Stripe {
        /// `sk_test_…`.
        secret_key: String,
        /// `whsec_…`, used whole.
        webhook_secret: String,
    },
    /// UnionPay's full-channel platform, RSA.
    UnionPay {
        /// The merchant's number.
        mer_id: String,
        /// The merchant's private key, PKCS#8 PEM.
        merchant_private_key_pem: String,
        /// The merchant's certificate, PEM.
        merchant_certificate_pem: String,
        /// The platform's middle certificate, PEM.
        middle_certificate_pem: String,
        /// Its root certificate, PEM.
        root_certificate_pem: String,
    },
    /// PayPal.
    Paypal {
        /// The application's client id.
        client_id: String,
        /// Its secret.
        client_secret: String,
        /// The webhook's id, which its signatures cover.
        webhook_id: String,
    },
}

impl std::fmt::Debug for MerchantMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Alipay { .. } => "MerchantMaterial::Alipay(..)",
            Self::WechatPay { .. } => "MerchantMaterial::WechatPay(..)",
            Self::Stripe { .. } => "MerchantMaterial::Stripe(..)",
            Self::UnionPay { .. } => "MerchantMaterial::UnionPay(..)",
            Self::Paypal { .. } => "MerchantMaterial::Paypal(..)",
        })
    }
}

impl Account {
    /// An Alipay account with fresh keys; `seed` and the name decide its ids.
    #[must_use]
    pub fn generate_alipay(name: &str, seed: u64) -> Self {
        let mut ids = IdSource::new(seed, name);
        let (app, alipay) = (SigningKey::generate(), SigningKey::generate());
        let keys = AlipayKeys {
            app_id: format!("2021{}", ids.digits(12)),
            seller_id: format!("2088{}", ids.digits(12)),
            app_private_key_pem: app.private_pem(),
            app_public_key_pem: app.public_pem(),
            alipay_private_key_pem: alipay.private_pem(),
            alipay_public_key_pem: alipay.public_pem(),
        };
        Self::new(name, ProviderKind::Alipay, AccountKeys::Alipay(keys))
    }

    /// A WeChat Pay account with fresh keys and certificates; `seed` and the name decide its ids.
    #[must_use]
    pub fn generate_wechatpay(name: &str, seed: u64) -> Self {
        let mut ids = IdSource::new(seed, name);
        let merchant = SigningKey::generate();
        let platform = SigningKey::generate();
        let public = SigningKey::generate();
        let mch_id = format!("16{}", ids.digits(8));
        let (merchant_certificate_pem, merchant_serial) =
            certificate(&merchant, &mch_id, ids.serial(), 2024..2044);
        let (platform_certificate_pem, platform_serial) =
            certificate(&platform, "Tenpay.com sign", ids.serial(), 2024..2044);
        let (expired_certificate_pem, expired_serial) =
            certificate(&platform, "Tenpay.com sign", ids.serial(), 2015..2020);
        let keys = WechatPayKeys {
            mch_id,
            app_id: format!("wx{}", ids.hex(16)),
            api_v3_key: ids.alnum(32),
            merchant_private_key_pem: merchant.private_pem(),
            merchant_certificate_pem,
            merchant_serial,
            platform_private_key_pem: platform.private_pem(),
            platform_certificate_pem,
            platform_serial,
            expired_certificate_pem,
            expired_serial,
            public_key_id: format!("PUB_KEY_ID_{}", ids.digits(30)),
            public_key_private_pem: public.private_pem(),
            public_key_pem: public.public_pem(),
        };
        Self::new(name, ProviderKind::WechatPay, AccountKeys::WechatPay(keys))
    }

    /// A Stripe account; `seed` and the name decide its keys. Webhooks go to `webhook_url`, which
    /// [`Sandbox::set_webhook`](crate::Sandbox::set_webhook) can set later.
    #[must_use]
    pub fn generate_stripe(name: &str, seed: u64, webhook_url: Option<&str>) -> Self {
        let mut ids = IdSource::new(seed, name);
        let keys = StripeKeys {
            secret_key: format!("sk_test_{}", ids.alnum(32)),
            publishable_key: format!("pk_test_{}", ids.alnum(32)),
            webhook_secret: format!("whsec_{}", ids.alnum(32)),
            webhook_url: webhook_url.map(str::to_owned),
        };
        Self::new(name, ProviderKind::Stripe, AccountKeys::Stripe(keys))
    }

    /// A UnionPay account with fresh keys and a chain of certificates; `seed` and the name decide
    /// its ids.
    #[must_use]
    pub fn generate_unionpay(name: &str, seed: u64) -> Self {
        // 2020-01-01
        Self::generate_unionpay_until(name, seed, 1_577_836_800_000)
    }

    /// The same, where the certificate that the fault `expired_certificate` signs with runs out
    /// at `expired_ms`, milliseconds since 1970.
    #[must_use]
    pub fn generate_unionpay_until(name: &str, seed: u64, expired_ms: Millis) -> Self {
        let mut ids = IdSource::new(seed, name);
        let (merchant, platform) = (SigningKey::generate(), SigningKey::generate());
        let root = Issuer::root("Evergate Sandbox Root", ids.short_serial());
        let (middle, middle_certificate_pem) =
            root.middle("Evergate Sandbox OCA", ids.short_serial());
        let mer_id = format!("777{}", ids.digits(12));
        let signer = "041@Z2014-11-11@00040000:SIGN@00000005";
        let (merchant_serial, sign_serial) = (ids.short_serial(), ids.short_serial());
        let named = format!("041@Z2014-11-11@{mer_id}:SIGN@00000006");
        let keys = UnionPayKeys {
            merchant_private_key_pem: merchant.private_pem(),
            merchant_certificate_pem: middle.leaf(&merchant, &named, merchant_serial, 2024..2044),
            cert_id: merchant_serial.to_string(),
            sign_private_key_pem: platform.private_pem(),
            sign_certificate_pem: middle.leaf(&platform, signer, sign_serial, 2024..2044),
            sign_cert_id: sign_serial.to_string(),
            expired_certificate_pem: middle.leaf_until(&platform, signer, sign_serial, expired_ms),
            middle_certificate_pem,
            root_certificate_pem: root.pem(),
            mer_id,
        };
        Self::new(name, ProviderKind::UnionPay, AccountKeys::UnionPay(keys))
    }

    /// A PayPal account with a fresh key for its webhooks; `seed` and the name decide its ids.
    /// Webhooks go where [`Sandbox::set_webhook`](crate::Sandbox::set_webhook) says.
    #[must_use]
    pub fn generate_paypal(name: &str, seed: u64) -> Self {
        let mut ids = IdSource::new(seed, name);
        let key = SigningKey::generate();
        let signer = "messageverificationcerts.paypal.com";
        let (certificate_pem, _) = certificate(&key, signer, ids.serial(), 2024..2044);
        let keys = PaypalKeys {
            client_id: format!("A{}", ids.alnum(79)),
            client_secret: format!("E{}", ids.alnum(79)),
            webhook_id: format!("{}W", ids.digits(16)),
            private_key_pem: key.private_pem(),
            certificate_pem,
        };
        Self::new(name, ProviderKind::Paypal, AccountKeys::Paypal(keys))
    }

    /// An account at a provider with fresh keys; `seed` and the name decide its ids. Several at
    /// one provider are as separate as those of several merchants.
    #[must_use]
    pub fn generate(provider: ProviderKind, name: &str, seed: u64) -> Self {
        match provider {
            ProviderKind::Alipay => Self::generate_alipay(name, seed),
            ProviderKind::WechatPay => Self::generate_wechatpay(name, seed),
            ProviderKind::Stripe => Self::generate_stripe(name, seed, None),
            ProviderKind::UnionPay => Self::generate_unionpay(name, seed),
            ProviderKind::Paypal => Self::generate_paypal(name, seed),
        }
    }

    fn new(name: &str, provider: ProviderKind, keys: AccountKeys) -> Self {
        Self { name: name.to_owned(), provider, keys }
    }

    /// The merchant's id at the provider: `app_id`, `mch_id`, Stripe's publishable key, PayPal's
    /// client id.
    #[must_use]
    pub fn merchant_id(&self) -> &str {
        match &self.keys {
            AccountKeys::Alipay(keys) => &keys.app_id,
            AccountKeys::WechatPay(keys) => &keys.mch_id,
            AccountKeys::Stripe(keys) => &keys.publishable_key,
            AccountKeys::UnionPay(keys) => &keys.mer_id,
            AccountKeys::Paypal(keys) => &keys.client_id,
        }
    }

    /// What the merchant's side has to be configured with.
    #[must_use]
    pub fn merchant_material(&self) -> MerchantMaterial {
        match self.keys.clone() {
            AccountKeys::Alipay(keys) => MerchantMaterial::Alipay {
                app_id: keys.app_id,
                seller_id: keys.seller_id,
                app_private_key_pem: keys.app_private_key_pem,
                alipay_public_key_pem: keys.alipay_public_key_pem,
            },
            AccountKeys::WechatPay(keys) => MerchantMaterial::WechatPay {
                mch_id: keys.mch_id,
                app_id: keys.app_id,
                merchant_serial: keys.merchant_serial,
                merchant_private_key_pem: keys.merchant_private_key_pem,
                merchant_certificate_pem: keys.merchant_certificate_pem,
                api_v3_key: keys.api_v3_key,
                platform_certificate_pem: keys.platform_certificate_pem,
                platform_serial: keys.platform_serial,
                public_key_id: keys.public_key_id,
                public_key_pem: keys.public_key_pem,
            },
            AccountKeys::Stripe(keys) => MerchantMaterial::Stripe {
                secret_key: keys.secret_key,
                webhook_secret: keys.webhook_secret,
            },
            AccountKeys::UnionPay(keys) => MerchantMaterial::UnionPay {
                mer_id: keys.mer_id,
                merchant_private_key_pem: keys.merchant_private_key_pem,
                merchant_certificate_pem: keys.merchant_certificate_pem,
                middle_certificate_pem: keys.middle_certificate_pem,
                root_certificate_pem: keys.root_certificate_pem,
            },
            AccountKeys::Paypal(keys) => MerchantMaterial::Paypal {
                client_id: keys.client_id,
                client_secret: keys.client_secret,
                webhook_id: keys.webhook_id,
            },
        }
    }
}
