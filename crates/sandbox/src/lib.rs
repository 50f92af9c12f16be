//! Fake providers that speak the real wire protocols from books of their own, with faults on
//! request.
//!
//! One listener serves Alipay's gateway (`/gateway.do`), WeChat Pay API v3 (`/v3/…`), Stripe API
//! v1 (`/v1/…`), UnionPay's platform (`/gateway/api/…`), PayPal (`/v2/…` and its own parts of
//! `/v1`), the shopper's pages (`/pay/…`) and a control API (`/sandbox/…`). The providers' own SDKs work against it with nothing but the base URL and the keys set.
//!
//! It shares no code with the gateway's adapters: each side is written from the protocol, so
//! that each checks the other. Books ([`BooksSnapshot`]) and faults ([`faults`]) are pure; the
//! clock, the sockets and the generator's seed are at the edges.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use sandbox::{Fault, FaultRule, Options, PayTarget, ProviderKind, Sandbox};
//!
//! let sandbox = Sandbox::start(Options::demo(7)).await?;
//! sandbox.faults().add(FaultRule::always(Fault::BlackHole).at(ProviderKind::WechatPay))?;
//! // ... the gateway creates order "A1" at `sandbox.base_url()` ...
//! sandbox.pay(&PayTarget::order(ProviderKind::Alipay, None, "A1")).await?;
//! assert_eq!(sandbox.books().find("A1").count(), 1);
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod account;
mod alipay;
mod api;
mod books;
mod clock;
mod control;
pub mod faults;
mod keys;
mod notify;
mod pages;
mod paypal;
mod scenario;
mod server;
mod shopper;
mod state;
mod statuspage;
mod stripe;
mod unionpay;
mod wechatpay;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use account::{Account, MerchantMaterial};
pub use books::{
    BooksSnapshot, EntryStatus, Millis, Movement, MovementKind, OrderEntry, ProviderKind,
    RefundEntry, RefundStatus, ShopperRefusal,
};
pub use clock::run_ahead;
pub use control::FaultControl;
pub use faults::{
    ActiveRule, Fault, FaultPlan, FaultRequest, FaultRule, OneOrMany, Operation, RuleMatch,
};
pub use keys::KeyError;
pub use notify::{Delivery, DeliveryResult};
pub use scenario::{Description, OperatorAct, OperatorStep, Scenario, Shoppers, Step};
pub use shopper::{PayError, PayOutcome, PayResult, PayTarget};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::notify::Notifier;
use crate::state::State;

/// How a sandbox is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Decides identifiers and the draws of faults with a probability.
    pub seed: u64,
    /// The merchants; names are unique.
    pub accounts: Vec<Account>,
    /// Factor on the providers' own durations (resends, settling of refunds); 1.0 is real.
    pub time_scale: f64,
    /// What shoppers' links start with; the listener's own address when absent.
    pub public_url: Option<String>,
}

impl Options {
    /// A free port on this machine, time a hundred times as fast, and one account for each
    /// provider: `alipay-main`, `wechat-main`, `stripe-main`, `unionpay-main`
    /// and `paypal-main`, with fresh keys.
    #[must_use]
    pub fn demo(seed: u64) -> Self {
        Self::demo_of(seed, Account::generate_unionpay("unionpay-main", seed))
    }

    /// The same, where UnionPay's certificate of the fault `expired_certificate` runs out at
    /// `expired_ms`, milliseconds since 1970.
    #[must_use]
    pub fn demo_until(seed: u64, expired_ms: Millis) -> Self {
        Self::demo_of(seed, Account::generate_unionpay_until("unionpay-main", seed, expired_ms))
    }

    fn demo_of(seed: u64, unionpay: Account) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed,
            accounts: vec![
                Account::generate_alipay("alipay-main", seed),
                Account::generate_wechatpay("wechat-main", seed),
                Account::generate_stripe("stripe-main", seed, None),
                unionpay,
                Account::generate_paypal("paypal-main", seed),
            ],
            time_scale: 0.01,
            public_url: None,
        }
    }
}

/// A running sandbox. Dropping it stops it without waiting; see [`Sandbox::shutdown`].
pub struct Sandbox {
    state: Arc<State>,
    addr: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Listens and serves until [`Sandbox::shutdown`]. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound, or an account's keys cannot be read.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.bind).await?;
        let addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (notifier, queue) = Notifier::new();
        let public_url = options.public_url.unwrap_or_else(|| format!("http://{addr}"));
        let state = State::new(
            options.accounts,
            options.seed,
            options.time_scale,
            public_url.trim_end_matches('/').to_owned(),
            notifier,
            stop.clone(),
        )
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let state = Arc::new(state);
        let client = client().map_err(io::Error::other)?;
        let router = server::router(Arc::clone(&state));
        let tasks = vec![
            tokio::spawn(queue.run(client, options.time_scale, stop.clone())),
            tokio::spawn(server::serve(listener, router, stop)),
        ];
        Ok(Self { state, addr, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What the providers' SDKs are given as base URL: `http://127.0.0.1:port`, no slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Every order and movement at this moment.
    #[must_use]
    pub fn books(&self) -> BooksSnapshot {
        self.state.books()
    }

    /// The newest notifications, oldest first.
    #[must_use]
    pub fn notifications(&self) -> Vec<Delivery> {
        self.state.notifier.log()
    }

    /// The accounts it was started with.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.state.accounts
    }

    /// The fault switches.
    #[must_use]
    pub fn faults(&self) -> FaultControl {
        self.state.faults.clone()
    }

    /// Replaces every fault rule by those of a scenario, which starts now.
    pub fn load_scenario(&self, scenario: &Scenario) {
        self.state.faults.load(scenario);
    }

    /// Pays, declines or scans as a shopper.
    ///
    /// # Errors
    /// When there is nothing to pay, the provider refuses, or a fault is in the way.
    pub async fn pay(&self, what: &PayTarget) -> Result<PayResult, PayError> {
        self.state.shop(what).await
    }

    /// Sets where a Stripe or PayPal account's webhooks go; the others are told with each order.
    /// An unknown account is left out with a warning.
    pub fn set_webhook(&self, account: &str, url: &str) {
        if !self.state.set_webhook(account, url) {
            tracing::warn!(account, "no Stripe or PayPal account has this name");
        }
    }

    /// Lets `GET /sandbox/accounts` show the merchants' private keys, or hides them again.
    pub fn reveal_keys(&self, reveal: bool) {
        self.state.reveal_keys.store(reveal, Ordering::Relaxed);
    }

    /// Stops listening, lets open calls finish for a moment, and drops the rest.
    pub async fn shutdown(mut self) {
        self.state.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has nothing left to wait for.
            let _ = task.await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.state.stop.cancel();
    }
}

fn client() -> reqwest::Result<reqwest::Client> {
    // reqwest takes whichever TLS provider the process chose; when none was, this is ours.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .http1_only()
        .http1_title_case_headers()
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
