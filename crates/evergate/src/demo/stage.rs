//! What a demo plays on: the sandbox, the gateway and the merchant's server, all in this
//! process and each on a port of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use domain::ChannelId;
use sandbox::{Account, Fault, MerchantMaterial, Sandbox, Scenario};
use store::Store;
use tempfile::TempDir;

use super::receiver::Receiver;
use super::timing::{Seen, Watched};
use crate::args::DemoArgs;
use crate::client::Api;
use crate::config::Config;
use crate::lang::Lang;
use crate::serve::Gateway;
use crate::setup::{Keys, Setup};

/// Times that make half a minute tell the story. The rules are the same as in a real service.
pub const FAST_POLICY: &str = "\
[policy]
request_deadline_ms = 6000
tries_per_request = 6
lease_ms = 5000
grace_ms = 500
query_waits_ms = [700, 1500, 3000, 6000]
close_waits_ms = [300, 700, 1000, 1500, 2000, 3000, 5000, 10000, 20000]
refund_waits_ms = [500, 1000, 2000, 3000]
not_found_settles_ms = 3000

[health]
hold_off_ms = 1500
hold_off_max_ms = 6000
probe_every_ms = 1000
ramp_step_ms = 1500

[degradation]
down_after = \"500ms\"
up_after = \"2s\"
";

/// Added to every channel.
pub const FAST_CHANNEL: &str =
    "timeout_ms = 1500\nconnect_timeout_ms = 500\nmax_in_flight = 2000\n";

/// How a stage is set.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// Decides the sandbox's dice.
    pub seed: u64,
    /// The gateway's port; 0 is a free one.
    pub port: u16,
    /// Where the store lies; a temporary folder when absent.
    pub data: Option<PathBuf>,
    /// More tables of the configuration, such as [`FAST_POLICY`].
    pub settings: &'static str,
    /// When the certificate of the fault `expired_certificate` runs out, from the start on; long
    /// ago when absent.
    pub certificate_ends: Option<Duration>,
    /// Whether there is an account for transfers.
    pub transfers: bool,
}

impl StageOptions {
    pub(super) fn of(args: &DemoArgs, scenario: &Scenario) -> StageOptions {
        let expiries = scenario.steps.iter().filter(|step| step.fault == Fault::ExpiredCertificate);
        let first = expiries.map(|step| step.at_s).reduce(f64::min);
        StageOptions {
            certificate_ends: first.map(Duration::from_secs_f64),
            transfers: !scenario.shoppers.also.is_empty(),
            seed: args.seed,
            port: args.port,
            data: args.data.clone(),
            settings: FAST_POLICY,
        }
    }
}

/// A set stage.
pub struct Stage {
    /// The providers.
    pub sandbox: Sandbox,
    /// The gateway.
    pub gateway: Gateway,
    /// The merchant's server.
    pub receiver: Receiver,
    /// What the gateway's provider calls look like from between engine and driver.
    pub(super) seen: Arc<Mutex<Seen>>,
    /// The secret of the shop's key.
    pub api_key: String,
    /// The secret of an operator's key.
    pub operator_key: String,
    channels: Vec<ChannelId>,
    /// The configuration that runs.
    text: String,
    /// What each channel signs or logs in with.
    secrets: Vec<(String, MerchantMaterial)>,
    /// Deleted when the stage ends.
    _folder: Option<TempDir>,
}

impl Stage {
    /// Starts every part.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub async fn start(options: &StageOptions) -> Result<Stage> {
        let sandbox_options = match options.certificate_ends {
            Some(after) => {
                let ends = crate::clock::now() + after;
                sandbox::Options::demo_until(options.seed, ends.as_millis())
            }
            None => sandbox::Options::demo(options.seed),
        };
        let accounts: Vec<_> = sandbox_options
            .accounts
            .iter()
            .map(|account| (account.name.clone(), account.merchant_material()))
            .collect();
        let sandbox = Sandbox::start(sandbox_options).await.context("the sandbox")?;
        let receiver = Receiver::start().await.context("the merchant's server")?;
        let folder = match &options.data {
            Some(_) => None,
            None => Some(TempDir::with_prefix("evergate-demo-").context("a temporary folder")?),
        };
        let data = match (&options.data, &folder) {
            (Some(data), _) => data.clone(),
            (None, Some(folder)) => folder.path().to_owned(),
            (None, None) => return Err(anyhow!("no folder for the store")),
        };
        std::fs::create_dir_all(&data).with_context(|| format!("{}", data.display()))?;
        let (api_key, shop) = key("merchant");
        let (operator_key, operator) = key("operator");
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, port(options.port)?));
        let store = data.join("evergate.db");
        let account = if options.transfers { super::bank::CHANNEL } else { "" };
        let more = format!("{account}\n{}", options.settings);
        let text = Setup {
            bind,
            sandbox_url: &sandbox.base_url(),
            accounts,
            api_keys: &format!("{shop}\n{operator}"),
            merchant: "shop",
            webhook: Some((&receiver.url(), receiver.secret())),
            store: &store.to_string_lossy(),
            each_channel: FAST_CHANNEL,
            more: &more,
        }
        .text(&mut Keys::Inline);
        let secrets = sandbox.accounts().iter();
        let secrets = secrets.map(|a| (a.name.clone(), a.merchant_material())).collect();
        let config = Config::parse(&text, &data).map_err(|found| {
            let mistakes = crate::config::Mistakes { file: "the demo's own".into(), found };
            anyhow!("{mistakes}")
        })?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let watched = Arc::clone(&seen);
        let gateway =
            Gateway::start(&config, |caller| Arc::new(Watched::new(caller, watched))).await?;
        for channel in ["stripe-main", "paypal-main"] {
            let notify = format!("http://{}/v1/notifications/{channel}", gateway.addr());
            sandbox.set_webhook(channel, &notify);
        }
        let channels = config.channels.into_iter().map(|(id, _)| id).collect();
        Ok(Stage {
            sandbox,
            gateway,
            receiver,
            seen,
            api_key,
            operator_key,
            channels,
            text,
            secrets,
            _folder: folder,
        })
    }

    /// The gateway's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.gateway.addr())
    }

    /// The gateway with the shop's key.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn api(&self) -> Result<Api> {
        Ok(Api::new(&self.url(), &self.api_key)?)
    }

    /// The gateway's books.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.gateway.engine.store()
    }

    /// The channels, the preferred ones first.
    pub fn channel_names(&self) -> &[ChannelId] {
        &self.channels
    }

    /// The worst health of a channel's methods.
    pub(super) fn worst_health(&self, channel: &str) -> &'static str {
        const WORST_FIRST: [&str; 5] = ["down", "probing", "ramping", "suspect", "healthy"];
        let rank = |name: &&'static str| WORST_FIRST.iter().position(|w| w == name);
        let views = self.gateway.engine.channels();
        let methods = views.iter().filter(|v| v.id.as_str() == channel).flat_map(|v| &v.methods);
        methods.map(|(_, view)| view.health.name()).min_by_key(rank).unwrap_or("healthy")
    }

    /// The configuration that runs, but for a key of this channel that its provider does not
    /// know; as it is where there is no such channel.
    pub(super) fn with_wrong_key(&self, channel: &str) -> String {
        let Some((name, material)) = self.secrets.iter().find(|(name, _)| name == channel) else {
            return self.text.clone();
        };
        let stranger = match material {
            MerchantMaterial::Alipay { .. } => Account::generate_alipay(name, 1),
            MerchantMaterial::WechatPay { .. } => Account::generate_wechatpay(name, 1),
            MerchantMaterial::Stripe { .. } => Account::generate_stripe("stranger", 1, None),
            MerchantMaterial::UnionPay { .. } => Account::generate_unionpay(name, 1),
            MerchantMaterial::Paypal { .. } => Account::generate_paypal("stranger", 1),
        };
        let (ours, theirs) = (secret(material), stranger.merchant_material());
        self.text.replace(ours.trim_end(), secret(&theirs).trim_end())
    }

    /// What to try while it stays open.
    pub fn invitation(&self, lang: Lang) -> String {
        let (url, sandbox) = (self.url(), self.sandbox.base_url());
        let (open, pay, fault, stop) = lang.pick(
            (
                "The gateway stays open. Try:",
                "pay what it shows, as the customer",
                "break Alipay",
                "Ctrl-C ends it.",
            ),
            (
                "网关保持运行，可以试试：",
                "以顾客身份支付返回的二维码",
                "让支付宝出故障",
                "按 Ctrl-C 结束。",
            ),
        );
        let key = &self.api_key;
        let operator = &self.operator_key;
        format!(
            "\n{open}\n\n\
             export EVERGATE_URL={url} EVERGATE_API_KEY={key}\n\
             curl -s $EVERGATE_URL/v1/payments -H \"Authorization: Bearer $EVERGATE_API_KEY\" \\\n  \
             -H 'Content-Type: application/json' \\\n  \
             -d '{{\"order_no\":\"A-1\",\"amount\":1999,\"currency\":\"CNY\",\"methods\":[\"alipay\"]}}'\n\
             # {pay}\n\
             curl -s {sandbox}/sandbox/pay -d '{{\"code\":\"...\"}}'\n\
             # {fault}\n\
             curl -s {sandbox}/sandbox/faults -d '{{\"match\":{{\"provider\":\"alipay\"}},\"fault\":\"refuse\"}}'\n\
             evergate payments list --limit 5\n\
             EVERGATE_API_KEY={operator} evergate channels list\n\
             {url}/docs   {sandbox}/\n\n{stop}"
        )
    }

    /// Ends every part.
    ///
    /// # Errors
    /// When the store could not be closed well.
    pub async fn end(self) -> Result<()> {
        self.gateway.shutdown().await?;
        self.sandbox.shutdown().await;
        Ok(())
    }
}

/// What a channel signs or logs in with.
fn secret(material: &MerchantMaterial) -> &str {
    match material {
        MerchantMaterial::Alipay { app_private_key_pem, .. } => app_private_key_pem,
        MerchantMaterial::WechatPay { merchant_private_key_pem, .. }
        | MerchantMaterial::UnionPay { merchant_private_key_pem, .. } => merchant_private_key_pem,
        MerchantMaterial::Stripe { secret_key, .. } => secret_key,
        MerchantMaterial::Paypal { client_secret, .. } => client_secret,
    }
}

/// A key's secret, and the table that makes it valid.
fn key(role: &str) -> (String, String) {
    let (secret, hash) = server::generate_key(crate::clock::random());
    (secret, crate::keys::section("shop", role, &hash))
}

/// The asked port, or one that is free: the providers must be told where to notify before the
/// gateway listens.
fn port(asked: u16) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, asked))
        .with_context(|| format!("port {asked} on 127.0.0.1; choose another with --port"))?;
    Ok(listener.local_addr()?.port())
}
