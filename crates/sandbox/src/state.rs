//! What every part of a running sandbox shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use crate::account::{Account, AccountKeys};
use crate::alipay::AlipayAccount;
use crate::books::{BooksSnapshot, Millis, OrderEntry, ProviderKind};
use crate::clock;
use crate::control::{FaultControl, lock};
use crate::faults::{Fault, FaultRequest, Operation};
use crate::keys::KeyError;
use crate::notify::Notifier;
use crate::paypal::PaypalAccount;
use crate::statuspage::StatusPage;
use crate::stripe::StripeAccount;
use crate::unionpay::UnionPayAccount;
use crate::wechatpay::WechatPayAccount;

pub(crate) struct State {
    /// What shoppers' links start with; no slash at the end.
    pub(crate) public_url: String,
    /// Factor on every duration of the providers: resends, settling of refunds.
    pub(crate) time_scale: f64,
    pub(crate) faults: FaultControl,
    pub(crate) notifier: Notifier,
    pub(crate) stop: CancellationToken,
    /// Whether the control API may show private keys.
    pub(crate) reveal_keys: AtomicBool,
    pub(crate) accounts: Vec<Account>,
    pub(crate) status_page: Mutex<StatusPage>,
    pub(crate) alipay: Accounts<AlipayAccount>,
    pub(crate) wechatpay: Accounts<WechatPayAccount>,
    pub(crate) stripe: Accounts<StripeAccount>,
    pub(crate) unionpay: Accounts<UnionPayAccount>,
    pub(crate) paypal: Accounts<PaypalAccount>,
}

/// Accounts of one provider, in their order and by the id that requests carry.
pub(crate) struct Accounts<T> {
    all: Vec<Arc<T>>,
    by_id: HashMap<String, Arc<T>>,
}

impl<T> Accounts<T> {
    fn new() -> Self {
        Self { all: Vec::new(), by_id: HashMap::new() }
    }

    fn add(&mut self, account: T, ids: &[&str]) {
        let account = Arc::new(account);
        for id in ids {
            self.by_id.insert((*id).to_owned(), Arc::clone(&account));
        }
        self.all.push(account);
    }

    /// The account that a request names by `app_id`, `mchid` or API key.
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<T>> {
        self.by_id.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.all.iter()
    }
}

/// What is known of a call before anything is checked; faults match on it.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) provider: ProviderKind,
    /// Empty when the call names no known account.
    pub(crate) account: String,
    pub(crate) operation: Operation,
    pub(crate) method: Option<&'static str>,
    pub(crate) bank: Option<String>,
}

impl State {
    pub(crate) fn new(
        accounts: Vec<Account>,
        seed: u64,
        time_scale: f64,
        public_url: String,
        notifier: Notifier,
        stop: CancellationToken,
    ) -> Result<Self, KeyError> {
        let mut state = Self {
            public_url,
            time_scale,
            faults: FaultControl::new(seed),
            notifier,
            stop,
            reveal_keys: AtomicBool::new(false),
            accounts: Vec::new(),
            status_page: Mutex::default(),
            alipay: Accounts::new(),
            wechatpay: Accounts::new(),
            stripe: Accounts::new(),
            unionpay: Accounts::new(),
            paypal: Accounts::new(),
        };
        for account in accounts {
            state.open_account(&account, seed)?;
            state.accounts.push(account);
        }
        Ok(state)
    }

    fn open_account(&mut self, account: &Account, seed: u64) -> Result<(), KeyError> {
        if self.accounts.iter().any(|known| known.name == account.name) {
            return Err(KeyError::new(&account.name, "two accounts have this name"));
        }
        let name = account.name.as_str();
        match &account.keys {
            AccountKeys::Alipay(keys) => {
                self.alipay.add(AlipayAccount::open(name, keys, seed)?, &[&keys.app_id]);
            }
            AccountKeys::WechatPay(keys) => {
                self.wechatpay.add(WechatPayAccount::open(name, keys, seed)?, &[&keys.mch_id]);
            }
            AccountKeys::Stripe(keys) => {
                let ids = [keys.secret_key.as_str(), keys.publishable_key.as_str()];
                self.stripe.add(StripeAccount::open(name, keys, seed), &ids);
            }
            AccountKeys::UnionPay(keys) => {
                self.unionpay.add(UnionPayAccount::open(name, keys, seed)?, &[&keys.mer_id]);
            }
            AccountKeys::Paypal(keys) => {
                self.paypal.add(PaypalAccount::open(name, keys, seed)?, &[&keys.client_id]);
            }
        }
        Ok(())
    }

    /// The fault to play on this call.
    pub(crate) fn fault(&self, scene: &Scene) -> Option<Fault> {
        self.faults.decide(&FaultRequest {
            provider: scene.provider,
            account: &scene.account,
            operation: scene.operation,
            method: scene.method,
            bank: scene.bank.as_deref(),
        })
    }

    /// A provider's own duration on this sandbox's clock, milliseconds.
    pub(crate) fn scaled(&self, ms: Millis) -> Millis {
        (ms as f64 * self.time_scale) as Millis
    }

    pub(crate) fn reveals_keys(&self) -> bool {
        self.reveal_keys.load(Ordering::Relaxed)
    }

    /// Every account's books, one short lock each.
    pub(crate) fn books(&self) -> BooksSnapshot {
        let now = clock::now_ms();
        let mut orders: Vec<OrderEntry> = Vec::new();
        for account in self.alipay.iter() {
            orders.extend(lock(&account.book).entries(now));
        }
        for account in self.wechatpay.iter() {
            orders.extend(lock(&account.book).entries(now));
        }
        for account in self.stripe.iter() {
            orders.extend(lock(&account.book).entries());
        }
        for account in self.unionpay.iter() {
            orders.extend(lock(&account.book).entries(now));
        }
        for account in self.paypal.iter() {
            orders.extend(lock(&account.book).entries(now));
        }
        BooksSnapshot::of(orders, now)
    }
}
