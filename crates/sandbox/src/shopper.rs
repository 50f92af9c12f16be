//! Paying as a shopper would: by a code, a link, or the order that a code belongs to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::books::{ProviderKind, ShopperRefusal};
use crate::clock;
use crate::faults::{Effect, Fault, Operation};
use crate::pages::Bill;
use crate::state::{Scene, State};
use crate::stripe::shopper::Tried;
use crate::{alipay, paypal, stripe, unionpay, wechatpay};

/// What a shopper does with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayOutcome {
    /// Scans and pays.
    #[default]
    Pay,
    /// Scans and does not pay. Alipay and WeChat Pay never tell the merchant.
    Decline,
    /// Only scans: Alipay's trade comes to exist.
    Scan,
}

/// A shopper's wish. In JSON, either `code`, or `provider` and `order_no` (and `account`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayTarget {
    /// What a code says or where a link leads: Alipay's `qr_code`, a signed page-pay link, WeChat
    /// Pay's `code_url`, `h5_url` or `prepay_id`, UnionPay's form (its address, `?` and its
    /// fields), a Stripe redirect, intent id or client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The provider, when the order is named by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKind>,
    /// The account's name; any account of the provider when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `out_trade_no`, or Stripe's `metadata[order_id]` or intent id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_no: Option<String>,
    /// What the shopper does.
    #[serde(default)]
    pub outcome: PayOutcome,
    /// The payer's bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<String>,
    /// The card's number, where a card is asked for; `4242…` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

impl PayTarget {
    /// Pay what this code says or link leads to.
    #[must_use]
    pub fn code(code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..Self::default() }
    }

    /// Pay this order.
    #[must_use]
    pub fn order(provider: ProviderKind, account: Option<&str>, order_no: &str) -> Self {
        Self {
            provider: Some(provider),
            account: account.map(str::to_owned),
            order_no: Some(order_no.to_owned()),
            ..Self::default()
        }
    }

    /// The same, with another end.
    #[must_use]
    pub fn outcome(mut self, outcome: PayOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same, from this bank.
    #[must_use]
    pub fn bank(mut self, bank: impl Into<String>) -> Self {
        self.bank = Some(bank.into());
        self
    }

    /// The same, with this card.
    #[must_use]
    pub fn card(mut self, number: impl Into<String>) -> Self {
        self.card = Some(number.into());
        self
    }
}

/// What a shopper got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayResult {
    /// Whose order it is.
    pub provider: ProviderKind,
    /// The account's name.
    pub account: String,
    /// The merchant's order number, as in the books.
    pub order_no: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// Whether money moved or was held; at PayPal, whether the payer approved.
    pub paid: bool,
    /// Why it did not, when the shopper's side declined: a decline code.
    pub declined: Option<String>,
    /// The order's status in the provider's own word.
    pub provider_status: String,
    /// Where the provider sends the shopper next: back to the shop, or to authentication.
    pub redirect: Option<String>,
}

/// Why a shopper got nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// The wish names no order, or more than one thing.
    #[error("name either `code`, or `provider` and `order_no`")]
    Unclear,
    /// The provider refuses.
    #[error("{0}")]
    Refused(#[from] ShopperRefusal),
    /// A signed link that the gateway does not take.
    #[error("the gateway refused the link")]
    LinkRefused,
    /// A fault: the shopper's side cannot reach the provider.
    #[error("the provider cannot be reached")]
    Unreachable,
}

/// What a code leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    provider: ProviderKind,
    token: String,
}

impl State {
    /// Does what the shopper wants, with whatever a fault makes of it.
    pub(crate) async fn shop(&self, what: &PayTarget) -> Result<PayResult, PayError> {
        let place = self.resolve(what)?;
        let bill = self.bill(place.provider, &place.token).ok_or(ShopperRefusal::Unknown)?;
        if what.outcome == PayOutcome::Scan {
            return self.scan(&bill);
        }
        let fault = self.fault(&Scene {
            provider: bill.provider,
            account: bill.account.clone(),
            operation: Operation::Pay,
            method: Some(bill.method),
            bank: what.bank.clone().or_else(|| bill.bank.clone()),
        });
        match &fault {
            Some(Fault::Refuse | Fault::HttpStatus { effect: Effect::Before, .. }) => {
                return Err(PayError::Unreachable);
            }
            Some(Fault::Maintenance) => return Err(PayError::Unreachable),
            Some(Fault::BlackHole) => {
                self.stop.cancelled().await;
                return Err(PayError::Unreachable);
            }
            _ => {}
        }
        let result = self.act(&bill, what, &fault);
        match fault {
            Some(Fault::Slow { delay_ms }) => {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                result
            }
            Some(Fault::SuccessThenTimeout) => {
                self.stop.cancelled().await;
                Err(PayError::Unreachable)
            }
            Some(Fault::HttpStatus { .. }) => Err(PayError::Unreachable),
            _ => result,
        }
    }

    fn resolve(&self, what: &PayTarget) -> Result<Place, PayError> {
        match (&what.code, what.provider, &what.order_no) {
            (Some(code), None, None) => self.resolve_code(code),
            (None, Some(provider), Some(order_no)) => {
                let account = what.account.as_deref();
                let token = match provider {
                    ProviderKind::Alipay => alipay::shopper::token_of(self, account, order_no),
                    ProviderKind::WechatPay => {
                        wechatpay::shopper::token_of(self, account, order_no)
                    }
                    ProviderKind::Stripe => stripe::shopper::token_of(self, account, order_no),
                    ProviderKind::UnionPay => unionpay::shopper::token_of(self, account, order_no),
                    ProviderKind::Paypal => paypal::shopper::token_of(self, account, order_no),
                };
                let token = token.ok_or(ShopperRefusal::Unknown)?;
                Ok(Place { provider, token })
            }
            _ => Err(PayError::Unclear),
        }
    }

    fn resolve_code(&self, code: &str) -> Result<Place, PayError> {
        let place = |provider, token: &str| Place { provider, token: token.to_owned() };
        if let Some((_, token)) = code.split_once("://wxpay/bizpayurl?pr=") {
            // Stripe's WeChat Pay codes look the same, as they are WeChat Pay's at the real one.
            let ours = wechatpay::shopper::find(self, token).is_some();
            let provider = if ours { ProviderKind::WechatPay } else { ProviderKind::Stripe };
            return Ok(place(provider, token));
        }
        if let Some((_, query)) = code.split_once("/gateway.do?") {
            let token = alipay::visit(self, query).ok_or(PayError::LinkRefused)?;
            return Ok(place(ProviderKind::Alipay, &token));
        }
        if let Some((_, form)) = code.split_once("/frontTransReq.do?") {
            let token = unionpay::visit(self, form).ok_or(PayError::LinkRefused)?;
            return Ok(place(ProviderKind::UnionPay, &token));
        }
        for provider in ProviderKind::ALL {
            let path = format!("/pay/{provider}/");
            if let Some((_, token)) = code.split_once(path.as_str()) {
                let token = token.split(['?', '/', '#']).next().unwrap_or_default();
                return Ok(place(provider, token));
            }
        }
        if code.contains("method=alipay.trade.app.pay") {
            let token = alipay::visit(self, code).ok_or(PayError::LinkRefused)?;
            return Ok(place(ProviderKind::Alipay, &token));
        }
        if wechatpay::shopper::find(self, code).is_some() {
            return Ok(place(ProviderKind::WechatPay, code));
        }
        let (_, intent) = stripe::shopper::find(self, code).ok_or(ShopperRefusal::Unknown)?;
        Ok(place(ProviderKind::Stripe, &intent.token))
    }

    /// What the page behind a token shows; `None` when nothing is behind it.
    pub(crate) fn bill(&self, provider: ProviderKind, token: &str) -> Option<Bill> {
        let now = clock::now_ms();
        Some(match provider {
            ProviderKind::Alipay => {
                let (account, trade) = alipay::shopper::find(self, token)?;
                alipay::shopper::bill(&account, &trade, None)
            }
            ProviderKind::WechatPay => {
                let (account, order) = wechatpay::shopper::find(self, token)?;
                let refusal = wechatpay::shopper::check(&account, token, now).err();
                wechatpay::shopper::bill(&account, &order, token, refusal)
            }
            ProviderKind::Stripe => {
                let (account, intent) = stripe::shopper::find(self, token)?;
                let token =
                    if intent.id == token { intent.token.clone() } else { token.to_owned() };
                let refusal = stripe::shopper::check(&account, &token).err();
                stripe::shopper::bill(&account, &intent, refusal)
            }
            ProviderKind::UnionPay => {
                let (account, payment) = unionpay::shopper::find(self, token)?;
                let refusal = crate::control::lock(&account.book).check(token, now).err();
                unionpay::shopper::bill(&account, &payment, refusal)
            }
            ProviderKind::Paypal => {
                let (account, order) = paypal::shopper::find(self, token)?;
                let refusal = paypal::shopper::check(&account, token, now).err();
                paypal::shopper::bill(&account, &order, refusal)
            }
        })
    }

    /// Opens the page behind a code; at Alipay that makes the trade.
    pub(crate) fn open_page(&self, provider: ProviderKind, token: &str) -> Option<Bill> {
        if provider != ProviderKind::Alipay {
            return self.bill(provider, token);
        }
        let (account, trade) = alipay::shopper::find(self, token)?;
        let opened = alipay::shopper::open(&account, token, clock::now_ms());
        let trade = opened.as_ref().unwrap_or(&trade);
        Some(alipay::shopper::bill(&account, trade, opened.as_ref().err().copied()))
    }

    fn scan(&self, bill: &Bill) -> Result<PayResult, PayError> {
        let bill = self.open_page(bill.provider, &bill.token).ok_or(ShopperRefusal::Unknown)?;
        match bill.refusal {
            Some(refusal) => Err(refusal.into()),
            None => Ok(result(&bill, false, None)),
        }
    }

    fn act(
        &self,
        bill: &Bill,
        what: &PayTarget,
        fault: &Option<Fault>,
    ) -> Result<PayResult, PayError> {
        let now = clock::now_ms();
        let broken = match fault {
            Some(Fault::BusinessError { code, sub_code, .. }) => {
                Some(sub_code.as_ref().unwrap_or(code).clone())
            }
            _ => None,
        };
        let pays = what.outcome == PayOutcome::Pay && broken.is_none();
        let (bank, token) = (what.bank.as_deref(), bill.token.as_str());
        let why = || broken.clone().unwrap_or_else(|| "declined_by_shopper".to_owned());
        match bill.provider {
            ProviderKind::Alipay if pays => {
                let (account, _) =
                    alipay::shopper::find(self, token).ok_or(ShopperRefusal::Unknown)?;
                let trade = alipay::shopper::pay(self, &account, token, bank, now)?;
                Ok(result(&alipay::shopper::bill(&account, &trade, None), true, None))
            }
            ProviderKind::WechatPay if pays => {
                let (account, _) =
                    wechatpay::shopper::find(self, token).ok_or(ShopperRefusal::Unknown)?;
                let order = wechatpay::shopper::pay(self, &account, token, bank, now)?;
                Ok(result(&wechatpay::shopper::bill(&account, &order, token, None), true, None))
            }
            ProviderKind::UnionPay => {
                let (account, _) =
                    unionpay::shopper::find(self, token).ok_or(ShopperRefusal::Unknown)?;
                if !pays {
                    let code = why();
                    unionpay::shopper::refuse(&account, token, &code, now)?;
                    return Ok(result(bill, false, Some(code)));
                }
                let payment = unionpay::shopper::pay(self, &account, token, bank, now)?;
                Ok(result(&unionpay::shopper::bill(&account, &payment, None), true, None))
            }
            ProviderKind::Paypal if pays => {
                let (account, _) =
                    paypal::shopper::find(self, token).ok_or(ShopperRefusal::Unknown)?;
                let order = paypal::shopper::approve(self, &account, token, bank, now)?;
                Ok(result(&paypal::shopper::bill(&account, &order, None), true, None))
            }
            // A decline is invisible to the merchant, but only what is payable can be declined.
            ProviderKind::Alipay | ProviderKind::WechatPay | ProviderKind::Paypal => {
                self.scan(bill).map(|seen| PayResult { declined: Some(why()), ..seen })
            }
            ProviderKind::Stripe => self.act_at_stripe(bill, what, pays, why(), now),
        }
    }

    fn act_at_stripe(
        &self,
        bill: &Bill,
        what: &PayTarget,
        pays: bool,
        why: String,
        now: i64,
    ) -> Result<PayResult, PayError> {
        let (account, intent) =
            stripe::shopper::find(self, &bill.token).ok_or(ShopperRefusal::Unknown)?;
        let token = intent.token.as_str();
        let tried = if intent.next_action.is_some() {
            stripe::shopper::complete(self, &account, token, pays, what.bank.as_deref(), now)?
        } else if pays {
            let number = what.card.as_deref().unwrap_or("4242424242424242");
            stripe::shopper::enter_card(self, &account, token, number, now)?
        } else {
            // Nobody entered a card, so the provider has nothing to record.
            stripe::shopper::check(&account, token)?;
            return Ok(result(bill, false, Some(why)));
        };
        Ok(match tried {
            Tried::Paid(intent) => {
                result(&stripe::shopper::bill(&account, &intent, None), true, None)
            }
            Tried::Declined(intent, code) => {
                let code = if pays { code } else { why };
                result(&stripe::shopper::bill(&account, &intent, None), false, Some(code))
            }
            Tried::Waiting(intent) => {
                let url = format!("{}/pay/stripe/{}", self.public_url, intent.token);
                let waiting = result(&stripe::shopper::bill(&account, &intent, None), false, None);
                PayResult { redirect: Some(url), ..waiting }
            }
        })
    }
}

fn result(bill: &Bill, paid: bool, declined: Option<String>) -> PayResult {
    PayResult {
        provider: bill.provider,
        account: bill.account.clone(),
        order_no: bill.order_no.clone(),
        amount_minor: bill.amount_minor,
        currency: bill.currency.clone(),
        paid,
        redirect: bill.return_url.clone().filter(|_| paid || declined.is_some()),
        declined,
        provider_status: bill.status.clone(),
    }
}
