//! One payment intent and every change that its status allows.

use std::collections::BTreeMap;

use super::{Behaviour, Card, Change, ConfirmSpec, IntentError, IntentSpec};
use crate::books::{
    EntryStatus, Millis, OrderEntry, ProviderKind, RefundEntry, RefundStatus, ShopperRefusal,
};

/// What a customer pays with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MethodKind {
    Card,
    Alipay,
    WechatPay,
}

impl MethodKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Alipay => "alipay",
            Self::WechatPay => "wechat_pay",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Card, Self::Alipay, Self::WechatPay].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A payment method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) id: String,
    pub(crate) kind: MethodKind,
    /// Present for cards.
    pub(crate) card: Option<Card>,
    pub(crate) created_at: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// What the customer has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextAction {
    Authenticate,
    AlipayRedirect,
    WechatPayQr,
}

/// Why the last try failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentError {
    pub(crate) code: &'static str,
    pub(crate) decline_code: Option<&'static str>,
    pub(crate) method: Option<Method>,
    pub(crate) charge: Option<String>,
}

/// A try that reached the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) captured: i64,
    pub(crate) created_at: Millis,
    pub(crate) method: Method,
    pub(crate) failure: Option<(&'static str, Option<&'static str>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) charge: String,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) created_at: Millis,
}

/// Something that happened, for the merchant's webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Succeeded,
    PaymentFailed,
    RequiresAction,
    AmountCapturable,
    Canceled,
    Refunded,
}

#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) client_secret: String,
    /// What the shopper's link ends in; a new confirmation makes a new one.
    pub(crate) token: String,
    pub(crate) spec: IntentSpec,
    pub(crate) status: IntentStatus,
    pub(crate) method: Option<Method>,
    pub(crate) next_action: Option<NextAction>,
    pub(crate) last_error: Option<PaymentError>,
    pub(crate) charges: Vec<Charge>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) created_at: Millis,
    pub(crate) captured_at: Option<Millis>,
    pub(crate) canceled_at: Option<Millis>,
    pub(crate) cancellation_reason: Option<String>,
    /// The payer's bank, when the shopper said it.
    pub(crate) bank: Option<String>,
}

impl Intent {
    pub(super) fn new(
        id: String,
        client_secret: String,
        token: String,
        spec: IntentSpec,
        now: Millis,
    ) -> Self {
        Self {
            id,
            client_secret,
            token,
            spec,
            status: IntentStatus::RequiresPaymentMethod,
            method: None,
            next_action: None,
            last_error: None,
            charges: Vec::new(),
            refunds: Vec::new(),
            created_at: now,
            captured_at: None,
            canceled_at: None,
            cancellation_reason: None,
            bank: None,
        }
    }

    pub(crate) fn created_s(&self) -> i64 {
        self.created_at.div_euclid(1_000)
    }

    fn good_charge(&self) -> Option<&Charge> {
        self.charges.iter().find(|charge| charge.failure.is_none())
    }

    pub(crate) fn amount_received(&self) -> i64 {
        if self.captured_at.is_some() { self.good_charge().map_or(0, |c| c.captured) } else { 0 }
    }

    pub(crate) fn amount_capturable(&self) -> i64 {
        if self.status == IntentStatus::RequiresCapture { self.spec.amount } else { 0 }
    }

    pub(crate) fn refunded(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    fn changed(&self, facts: &[Fact]) -> Change {
        Change { intent: self.clone(), facts: facts.to_vec(), refund: None }
    }

    fn unexpected(&self, verb: &'static str) -> IntentError {
        IntentError::UnexpectedState(Box::new(self.clone()), verb)
    }

    pub(super) fn set_amount(&mut self, amount: i64) -> Result<(), IntentError> {
        match self.status {
            IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::RequiresCapture => {
                Err(self.unexpected("update the amount of"))
            }
            _ => {
                self.spec.amount = amount;
                Ok(())
            }
        }
    }

    pub(super) fn attach(&mut self, method: Method) {
        self.method = Some(method);
        self.status = IntentStatus::RequiresConfirmation;
    }

    pub(super) fn confirm(
        &mut self,
        confirm: ConfirmSpec,
        charge_id: &str,
        token: String,
        now: Millis,
    ) -> Result<Change, IntentError> {
        match self.status {
            IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::RequiresCapture => {
                return Err(self.unexpected("confirm"));
            }
            _ => {}
        }
        if confirm.return_url.is_some() {
            self.spec.return_url = confirm.return_url;
        }
        let method = self.method_to_try(confirm.method)?;
        let action = match (method.kind, method.card.as_ref().map(|card| card.behaviour)) {
            (MethodKind::Alipay, _) => NextAction::AlipayRedirect,
            (MethodKind::WechatPay, _) => NextAction::WechatPayQr,
            (MethodKind::Card, Some(Behaviour::Authenticate)) if confirm.off_session => {
                let why = ("authentication_required", Some("authentication_required"));
                return Err(self.decline(method, charge_id, why, now));
            }
            (MethodKind::Card, Some(Behaviour::Authenticate)) => NextAction::Authenticate,
            (MethodKind::Card, Some(Behaviour::Decline { code, decline_code })) => {
                return Err(self.decline(method, charge_id, (code, decline_code), now));
            }
            (MethodKind::Card, _) => return Ok(self.charge(method, charge_id, now)),
        };
        self.token = token;
        self.method = Some(method);
        self.next_action = Some(action);
        self.status = IntentStatus::RequiresAction;
        Ok(self.changed(&[Fact::RequiresAction]))
    }

    fn method_to_try(&self, given: Option<Method>) -> Result<Method, IntentError> {
        let method = given.or_else(|| self.method.clone()).ok_or(IntentError::Parameter {
            param: "payment_method",
            code: "payment_intent_unexpected_state",
            message: "You cannot confirm this PaymentIntent because it's missing a payment method."
                .to_owned(),
        })?;
        if !self.spec.method_types.contains(&method.kind) {
            return Err(IntentError::Parameter {
                param: "payment_method",
                code: "payment_intent_incompatible_payment_method",
                message: format!(
                    "The payment method type `{}` is not allowed for this PaymentIntent.",
                    method.kind.as_str()
                ),
            });
        }
        if method.kind == MethodKind::Alipay && self.spec.return_url.is_none() {
            return Err(IntentError::Parameter {
                param: "return_url",
                code: "parameter_missing",
                message: "A `return_url` is needed to confirm with a redirect payment method."
                    .to_owned(),
            });
        }
        Ok(method)
    }

    fn decline(
        &mut self,
        method: Method,
        charge_id: &str,
        (code, decline_code): (&'static str, Option<&'static str>),
        now: Millis,
    ) -> IntentError {
        self.charges.push(Charge {
            id: charge_id.to_owned(),
            amount: self.spec.amount,
            captured: 0,
            created_at: now,
            method: method.clone(),
            failure: Some((code, decline_code)),
        });
        self.fail(code, decline_code, Some(method), Some(charge_id.to_owned()));
        IntentError::Declined(Box::new(self.changed(&[Fact::PaymentFailed])))
    }

    /// A failed try leaves the intent payable with another method.
    fn fail(
        &mut self,
        code: &'static str,
        decline_code: Option<&'static str>,
        method: Option<Method>,
        charge: Option<String>,
    ) {
        self.status = IntentStatus::RequiresPaymentMethod;
        self.method = None;
        self.next_action = None;
        self.last_error = Some(PaymentError { code, decline_code, method, charge });
    }

    fn charge(&mut self, method: Method, charge_id: &str, now: Millis) -> Change {
        let captures = !self.spec.manual_capture;
        self.charges.push(Charge {
            id: charge_id.to_owned(),
            amount: self.spec.amount,
            captured: if captures { self.spec.amount } else { 0 },
            created_at: now,
            method: method.clone(),
            failure: None,
        });
        self.method = Some(method);
        self.next_action = None;
        self.last_error = None;
        if captures {
            self.captured_at = Some(now);
            self.status = IntentStatus::Succeeded;
            self.changed(&[Fact::Succeeded])
        } else {
            self.status = IntentStatus::RequiresCapture;
            self.changed(&[Fact::AmountCapturable])
        }
    }

    /// The customer has done, or refused, what `next_action` asked for.
    pub(super) fn complete(
        &mut self,
        pays: bool,
        bank: Option<&str>,
        charge_id: &str,
        now: Millis,
    ) -> Result<Change, ShopperRefusal> {
        let waiting = self.status == IntentStatus::RequiresAction;
        let method = self.method.clone().filter(|_| waiting).ok_or(ShopperRefusal::Replaced)?;
        if bank.is_some() {
            self.bank = bank.map(str::to_owned);
        }
        if pays {
            return Ok(self.charge(method, charge_id, now));
        }
        self.fail("payment_intent_authentication_failure", None, Some(method), None);
        Ok(self.changed(&[Fact::PaymentFailed]))
    }

    pub(super) fn cancel(
        &mut self,
        reason: Option<String>,
        now: Millis,
    ) -> Result<Change, IntentError> {
        match self.status {
            IntentStatus::Succeeded | IntentStatus::Canceled => Err(self.unexpected("cancel")),
            _ => {
                self.status = IntentStatus::Canceled;
                self.canceled_at = Some(now);
                self.cancellation_reason = reason;
                self.next_action = None;
                Ok(self.changed(&[Fact::Canceled]))
            }
        }
    }

    pub(super) fn capture(
        &mut self,
        amount: Option<i64>,
        now: Millis,
    ) -> Result<Change, IntentError> {
        if self.status != IntentStatus::RequiresCapture {
            return Err(self.unexpected("capture"));
        }
        let amount = amount.unwrap_or(self.spec.amount);
        if !(1..=self.spec.amount).contains(&amount) {
            return Err(IntentError::Parameter {
                param: "amount_to_capture",
                code: "amount_too_large",
                message: "The amount to capture is not within what is capturable.".to_owned(),
            });
        }
        if let Some(charge) = self.charges.iter_mut().find(|charge| charge.failure.is_none()) {
            charge.captured = amount;
        }
        self.captured_at = Some(now);
        self.status = IntentStatus::Succeeded;
        Ok(self.changed(&[Fact::Succeeded]))
    }

    pub(super) fn refund(
        &mut self,
        id: String,
        amount: Option<i64>,
        reason: Option<String>,
        metadata: BTreeMap<String, String>,
        now: Millis,
    ) -> Result<Change, IntentError> {
        let Some(charge) = self.good_charge().filter(|_| self.captured_at.is_some()) else {
            return Err(self.unexpected("refund"));
        };
        let charge = charge.id.clone();
        let rest = self.amount_received() - self.refunded();
        let amount = amount.unwrap_or(rest);
        if rest == 0 {
            return Err(IntentError::AlreadyRefunded);
        }
        if amount > rest {
            return Err(IntentError::Parameter {
                param: "amount",
                code: "amount_too_large",
                message: format!("Refund amount ({amount}) is greater than what is left ({rest})."),
            });
        }
        let refund = Refund { id, amount, charge, reason, metadata, created_at: now };
        self.refunds.push(refund.clone());
        Ok(Change { refund: Some(refund), ..self.changed(&[Fact::Refunded]) })
    }

    pub(super) fn entry(&self, account: &str) -> OrderEntry {
        let method = self.method.as_ref().map(|method| method.kind);
        let method = method.or_else(|| self.spec.method_types.first().copied());
        OrderEntry {
            provider: ProviderKind::Stripe,
            account: account.to_owned(),
            order_no: self.spec.metadata.get("order_id").unwrap_or(&self.id).clone(),
            provider_no: self.id.clone(),
            amount_minor: self.spec.amount,
            currency: self.spec.currency.to_uppercase(),
            status: match self.status {
                IntentStatus::Succeeded if self.refunded() == self.amount_received() => {
                    EntryStatus::Refunded
                }
                IntentStatus::Succeeded => EntryStatus::Paid,
                IntentStatus::RequiresCapture => EntryStatus::Authorised,
                IntentStatus::Canceled => EntryStatus::Closed,
                _ => EntryStatus::Open,
            },
            provider_status: self.status.as_str().to_owned(),
            method: method.map(|kind| kind.as_str().to_owned()),
            bank: self.bank.clone().or_else(|| bank_hint(&self.spec.metadata)),
            created_at_ms: self.created_at,
            paid_at_ms: self.captured_at,
            captured_minor: self.amount_received(),
            refunded_minor: self.refunded(),
            refunds: self.refunds.iter().map(refund_entry).collect(),
            metadata: self.spec.metadata.clone(),
        }
    }
}

/// The bank that a merchant names in metadata, so that "one bank only" has something to match.
pub(crate) fn bank_hint(metadata: &BTreeMap<String, String>) -> Option<String> {
    ["bank", "issuer"].iter().find_map(|key| metadata.get(*key)).cloned()
}

fn refund_entry(refund: &Refund) -> RefundEntry {
    RefundEntry {
        refund_no: refund.id.clone(),
        provider_no: refund.id.clone(),
        amount_minor: refund.amount,
        status: RefundStatus::Succeeded,
        created_at_ms: refund.created_at,
        succeeded_at_ms: Some(refund.created_at),
    }
}
