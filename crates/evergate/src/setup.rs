//! Writes a configuration that works against a sandbox, for `evergate sandbox --dir` and for
//! the demo, which therefore reads its settings by the same way as a real service.

use std::fmt::Write as _;
use std::net::SocketAddr;

use sandbox::MerchantMaterial;

/// What the configuration is written from.
pub struct Setup<'a> {
    /// Where the gateway will listen.
    pub bind: SocketAddr,
    /// The sandbox's address, without a slash at its end.
    pub sandbox_url: &'a str,
    /// Accounts by name, the preferred ones first.
    pub accounts: Vec<(String, MerchantMaterial)>,
    /// Tables of API keys.
    pub api_keys: &'a str,
    /// The merchant, and where its messages go and what signs them.
    pub merchant: &'a str,
    /// See `merchant`.
    pub webhook: Option<(&'a str, &'a str)>,
    /// The store's file.
    pub store: &'a str,
    /// Added to every channel, such as time-outs.
    pub each_channel: &'a str,
    /// Added at the end, such as `[policy]`.
    pub more: &'a str,
}

/// Where keys are put.
pub enum Keys {
    /// In the configuration itself.
    Inline,
    /// In files of their own: path and content, to be written by the caller.
    Files(Vec<(String, String)>),
}

impl Keys {
    /// The line that sets a key.
    fn set(&mut self, channel: &str, field: &str, text: &str) -> String {
        match self {
            Keys::Inline => format!("{field} = '''\n{}'''\n", with_newline(text)),
            Keys::Files(files) => {
                let extension = if text.contains("-----BEGIN") { "pem" } else { "key" };
                let file = format!("keys/{channel}.{field}.{extension}");
                let line = format!("{field}_file = \"{file}\"\n");
                files.push((file, with_newline(text)));
                line
            }
        }
    }
}

fn with_newline(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

impl Setup<'_> {
    /// The text of the configuration; keys go where `keys` says.
    pub fn text(&self, keys: &mut Keys) -> String {
        let mut text = format!(
            "[server]\nbind = \"{}\"\npublic_url = \"http://{}\"\n\n[store]\npath = '{}'\n\n",
            self.bind, self.bind, self.store
        );
        text.push_str(self.api_keys);
        let _ = writeln!(text, "\n[[merchants]]\nname = \"{}\"", self.merchant);
        if let Some((url, secret)) = self.webhook {
            let _ = writeln!(text, "webhook_url = \"{url}\"\nwebhook_secrets = [\"{secret}\"]");
        }
        for (name, material) in &self.accounts {
            text.push_str(&self.channel(name, material, keys));
        }
        if !self.more.is_empty() {
            let _ = write!(text, "\n{}", self.more);
        }
        text
    }

    fn channel(&self, name: &str, material: &MerchantMaterial, keys: &mut Keys) -> String {
        let base = self.sandbox_url;
        let mut text = format!("\n[[channels]]\nname = \"{name}\"\n");
        match material {
            MerchantMaterial::Alipay {
                app_id,
                seller_id,
                app_private_key_pem,
                alipay_public_key_pem,
            } => {
                let _ = write!(
                    text,
                    "provider = \"alipay\"\nbase_url = \"{base}/gateway.do\"\n\
                     app_id = \"{app_id}\"\nseller_id = \"{seller_id}\"\n"
                );
                text += &keys.set(name, "private_key", app_private_key_pem);
                text += &keys.set(name, "alipay_public_key", alipay_public_key_pem);
            }
            MerchantMaterial::WechatPay {
                mch_id,
                app_id,
                merchant_private_key_pem,
                merchant_certificate_pem,
                api_v3_key,
                platform_certificate_pem,
                public_key_id,
                public_key_pem,
                ..
            } => {
                let _ = write!(
                    text,
                    "provider = \"wechatpay\"\nbase_url = \"{base}\"\n\
                     app_id = \"{app_id}\"\nmch_id = \"{mch_id}\"\n\
                     wechatpay_public_key_id = \"{public_key_id}\"\n"
                );
                text += &keys.set(name, "merchant_private_key", merchant_private_key_pem);
                text += &keys.set(name, "merchant_certificate", merchant_certificate_pem);
                text += &keys.set(name, "api_v3_key", api_v3_key);
                text += &keys.set(name, "wechatpay_public_key", public_key_pem);
                text += &keys.set(name, "platform_certificates", platform_certificate_pem);
            }
            MerchantMaterial::Stripe { secret_key, webhook_secret } => {
                let _ = write!(
                    text,
                    "provider = \"stripe\"\nbase_url = \"{base}\"\n\
                     currencies = [\"CNY\", \"USD\"]\n\
                     return_url = \"https://shop.example/thanks\"\n"
                );
                text += &keys.set(name, "secret_key", secret_key);
                text += &keys.set(name, "webhook_secret", webhook_secret);
            }
            MerchantMaterial::UnionPay {
                mer_id,
                merchant_private_key_pem,
                merchant_certificate_pem,
                middle_certificate_pem,
                root_certificate_pem,
            } => {
                let _ = write!(
                    text,
                    "provider = \"unionpay\"\nbase_url = \"{base}/gateway/api\"\n\
                     file_url = \"{base}/gateway/api/filedownload\"\n\
                     environment = \"test\"\nmer_id = \"{mer_id}\"\n\
                     return_url = \"https://shop.example/thanks\"\n"
                );
                text += &keys.set(name, "private_key", merchant_private_key_pem);
                text += &keys.set(name, "certificate", merchant_certificate_pem);
                text += &keys.set(name, "middle_certificate", middle_certificate_pem);
                text += &keys.set(name, "root_certificate", root_certificate_pem);
            }
            MerchantMaterial::Paypal { client_id, client_secret, webhook_id } => {
                let host = base.split("://").nth(1).unwrap_or(base);
                let host = host.split([':', '/']).next().unwrap_or(host);
                let _ = write!(
                    text,
                    "provider = \"paypal\"\nbase_url = \"{base}\"\n\
                     client_id = \"{client_id}\"\nwebhook_id = \"{webhook_id}\"\n\
                     webhook_certificate_hosts = [\"{host}\"]\n\
                     currencies = [\"USD\", \"EUR\", \"JPY\"]\n\
                     return_url = \"https://shop.example/thanks\"\n"
                );
                text += &keys.set(name, "client_secret", client_secret);
            }
        }
        text + self.each_channel
    }
}
