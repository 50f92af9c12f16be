//! A payment as merchants and operators see it: amounts in minor units, times in RFC 3339,
//! and none of what must not travel (contact, token, payer).

use std::collections::BTreeMap;

use domain::{
    Attempt, AttemptState, Class, Considered, Device, Flow, Hold, HoldBy, HoldEnd, Locale, Method,
    Money, Payment, PaymentState, Presentation, Purpose, Refund, RefundProgress, RefundReason,
    Review, Tier, TransferTo,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::checkout::checkout_url;
use crate::notice;
use crate::route::{ConsideredView, RuleView};
use crate::time::rfc3339;

/// Who looks, which decides what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// The merchant itself, who hands codes and client secrets on to its customer.
    Everything,
    /// Lists, webhooks and other people: no code, link or client secret.
    NothingPayable,
}

/// A payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentView {
    /// Our id: `pay_` and 26 letters and digits.
    #[schema(example = "pay_01KB0C5J4ZVXQ6E9T3M8N2R7SD")]
    pub id: String,
    /// Who collects.
    pub merchant: String,
    /// The merchant's number of the order.
    #[schema(example = "SO-20261124-0001")]
    pub order_no: String,
    /// Where it stands.
    #[schema(schema_with = status_schema)]
    pub status: &'static str,
    /// How much, in minor units (fen, cents).
    #[schema(example = 1999)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "CNY")]
    pub currency: &'static str,
    /// The amount in major units, for people.
    #[schema(example = "19.99")]
    pub amount_text: String,
    /// The allowed methods, the preferred one first.
    #[schema(value_type = Vec<MethodName>)]
    pub methods: Vec<&'static str>,
    /// The method of the attempt that counts: the paid one, the shown one, or the latest.
    #[schema(value_type = Option<MethodName>)]
    pub method: Option<&'static str>,
    /// The channel of that attempt.
    pub channel: Option<String>,
    /// Why the merchant collects: `checkout`, `renewal`, `top_up`, `instalment`, a name of the
    /// merchant's, or `synthetic`.
    #[schema(value_type = String, example = "checkout")]
    pub purpose: Purpose,
    /// Whether nobody collects: Evergate tries a channel, and gives back what was paid.
    pub synthetic: bool,
    /// How the merchant ranks the customer.
    #[schema(value_type = TierName)]
    pub tier: Tier,
    /// What the customer sees.
    pub subject: String,
    /// The customer's bank.
    pub issuer: Option<String>,
    /// The customer's language.
    #[schema(value_type = LocaleName)]
    pub locale: Locale,
    /// The kind of screen.
    #[schema(value_type = DeviceName)]
    pub device: Device,
    /// The customer's page for this payment, by which it can be paid and followed for as long as
    /// it lives. Whoever has the link can open it; `null` for synthetic payments.
    #[schema(example = "https://pay.example/pay/pay_01KB0C5J4ZVXQ6E9T3M8N2R7SD")]
    pub checkout_url: Option<String>,
    /// What the customer needs in order to pay, while there is something to pay. Not in lists
    /// and webhooks.
    pub presentation: Option<PresentationView>,
    /// What to tell the customer, when there is something to tell.
    pub notice: Option<Notice>,
    /// When it was paid: the provider's time, or ours if it gave none.
    #[schema(format = DateTime)]
    pub paid_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ends unpaid.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// That its order is or was kept, to be paid later.
    pub hold: Option<HoldView>,
    /// While its feature is paused: since when, and what the merchant should know.
    pub paused: Option<PausedView>,
    /// While a bank transfer is waited for: what has come so far, in minor units.
    pub received_amount: Option<i64>,
    /// While a bank transfer is waited for: what is still to come, in minor units.
    pub rest_amount: Option<i64>,
    /// What has gone back for sure, in minor units.
    pub refunded_amount: i64,
    /// What may still be refunded, in minor units; refunds under way count as taken.
    pub refundable_amount: i64,
    /// Why a person should look at it: `still_unknown`, `wrong_amount`,
    /// `refund_stuck`, `money_reversed` or `refund_by_hand`.
    #[schema(value_type = Option<String>)]
    pub review: Option<Review>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// Its refunds, oldest first.
    pub refunds: Vec<RefundView>,
    /// The merchant's own notes.
    pub metadata: BTreeMap<String, String>,
}

/// An order that is kept, to be paid later.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Hold)]
pub struct HoldView {
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// Until when it can be paid.
    #[schema(format = DateTime)]
    pub until: String,
    /// Whose wish it was: `ladder`, `customer`, `merchant`, or the name of a person.
    pub by: String,
    /// How it ended: `paid`, `cancelled` or `expired`; null while it is kept.
    pub ended: Option<&'static str>,
}

impl HoldView {
    fn of(hold: &Hold) -> HoldView {
        HoldView {
            since: rfc3339(hold.since),
            until: rfc3339(hold.until),
            by: match &hold.by {
                HoldBy::Ladder => "ladder".to_owned(),
                HoldBy::Customer => "customer".to_owned(),
                HoldBy::Merchant => "merchant".to_owned(),
                HoldBy::Operator(name) => name.clone(),
            },
            ended: hold.ended.map(HoldEnd::name),
        }
    }
}

/// A payment that waits until its feature goes on.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Paused)]
pub struct PausedView {
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// Its place in the queue: what is due longest goes first.
    #[schema(format = DateTime)]
    pub due_at: String,
    /// Until when the subscription behind it is to live on, once it would have lapsed.
    #[schema(format = DateTime)]
    pub grace_until: Option<String>,
}

impl PausedView {
    fn of(payment: &Payment) -> Option<PausedView> {
        let PaymentState::Paused { since, grace } = payment.state else { return None };
        Some(PausedView {
            since: rfc3339(since),
            due_at: rfc3339(payment.queued_from().unwrap_or(since)),
            grace_until: grace.map(rfc3339),
        })
    }
}

/// What the customer needs in order to pay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Presentation)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PresentationView {
    /// Draw `content` as a QR code, or show the picture at `qr_svg_url`.
    QrCode {
        /// The text inside the code.
        content: String,
        /// The code as SVG; needs the API key.
        qr_svg_url: String,
    },
    /// Send the browser to `url`.
    Redirect {
        /// The address.
        url: String,
    },
    /// Send the browser to `url` by POST: submit a form of these hidden fields.
    Form {
        /// The address.
        url: String,
        /// The form's fields by name.
        fields: BTreeMap<String, String>,
    },
    /// Call the wallet's script with `parameters`.
    WalletScript {
        /// By name.
        parameters: BTreeMap<String, String>,
    },
    /// Hand `secret` to the provider's browser library.
    ClientSecret {
        /// The provider's id of the order.
        reference: String,
        /// For the customer's browser only.
        secret: String,
    },
    /// Show these details; the customer transfers the money by a bank.
    BankTransfer(Box<TransferView>),
}

/// A transfer to be made, with a word to the customer. Everything in it is to be copied as it
/// stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BankTransfer)]
pub struct TransferView {
    /// Whose account it is.
    pub payee: Notice,
    /// The bank's name.
    pub bank: Notice,
    /// The account's number or IBAN.
    #[schema(example = "6222020200112233")]
    pub account: String,
    /// The bank's code: a BIC or a CNAPS code.
    pub bank_code: Option<String>,
    /// What the customer must write into the transfer; absent where the account is this
    /// payment's own.
    #[schema(example = "EG7K2M9QX4")]
    pub reference: Option<String>,
    /// How much is still to be transferred, in minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: &'static str,
    /// The same in major units, for people.
    pub amount_text: String,
    /// Until when the money must have come.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// What to tell the customer.
    pub instructions: Notice,
}

/// A sentence for the customer, in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notice {
    /// Chinese.
    #[schema(example = "支付宝暂时不可用，请使用微信支付")]
    pub zh: String,
    /// English.
    #[schema(example = "Alipay is unavailable at the moment, please use WeChat Pay")]
    pub en: String,
}

/// One try of a payment on one channel.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// Its place, from 1.
    pub ordinal: u16,
    /// The channel.
    pub channel: String,
    /// The method.
    #[schema(value_type = MethodName)]
    pub method: &'static str,
    /// `presented` or `direct`.
    #[schema(value_type = String)]
    pub flow: Flow,
    /// The order number that the provider sees.
    pub number: String,
    /// The provider's own id, once learned.
    pub reference: Option<String>,
    /// `in_flight`, `presented`, `unknown`, `closing`, `closed`, `declined`, `failed` or `paid`.
    pub state: &'static str,
    /// What the failure says: `declined`, `rejected`, `unavailable` or `unknown`.
    #[schema(value_type = Option<String>)]
    pub class: Option<Class>,
    /// The provider's code of the failure, or ours in lower case.
    pub code: Option<String>,
    /// The failure for a person.
    pub detail: Option<String>,
    /// When its intent became durable.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// Why this channel: `preferred`, `failover from …`, …
    pub reason: String,
    /// The order in which channels would be tried then, this one first.
    pub order: Vec<ConsideredView>,
    /// The channels that were left out, and why.
    pub excluded: Vec<ConsideredView>,
    /// The rules that held, and those that were skipped.
    pub rules: Vec<RuleView>,
}

/// Money on its way back.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct RefundView {
    /// Its place, from 1.
    pub ordinal: u16,
    /// The refund number that the provider sees.
    pub number: String,
    /// The attempt whose money goes back.
    pub attempt: u16,
    /// How much, in minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: &'static str,
    /// `processing`, `succeeded` or `failed`.
    pub status: &'static str,
    /// Why: `merchant`, `duplicate` (a second success) or `late` (a success after the end).
    #[schema(value_type = String)]
    pub cause: RefundReason,
    /// The merchant's own words.
    pub reason: Option<String>,
    /// The provider's code, if it failed.
    pub code: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub requested_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
}

impl PaymentView {
    /// The payment as `show` allows, at a server that customers reach at `public_url`.
    pub(crate) fn of(payment: &Payment, show: Show, public_url: &str) -> PaymentView {
        let counting = counting(payment);
        let terms = &payment.terms;
        let (refunded_amount, refundable_amount) = refunded(payment);
        PaymentView {
            id: payment.id.to_string(),
            merchant: payment.merchant.to_string(),
            order_no: payment.order.to_string(),
            status: payment.status().name(),
            amount: payment.money.minor(),
            currency: payment.money.currency().code(),
            amount_text: payment.money.to_major(),
            methods: terms.methods.iter().map(|m| m.name()).collect(),
            method: counting.map(|a| a.method.name()),
            channel: counting.map(|a| a.channel.to_string()),
            purpose: terms.purpose,
            synthetic: terms.is_synthetic(),
            tier: terms.tier,
            subject: terms.subject.clone(),
            issuer: terms.issuer.clone(),
            locale: terms.locale,
            device: terms.device,
            checkout_url: (!terms.is_synthetic()).then(|| checkout_url(public_url, payment.id)),
            presentation: (show == Show::Everything).then(|| presentation(payment)).flatten(),
            notice: notice::of(payment),
            paid_at: paid_at(payment),
            created_at: rfc3339(payment.created_at),
            expires_at: rfc3339(payment.expires_at),
            hold: payment.hold.as_ref().map(HoldView::of),
            paused: PausedView::of(payment),
            received_amount: so_far(payment).map(|(received, _)| received),
            rest_amount: so_far(payment).map(|(_, rest)| rest),
            refunded_amount,
            refundable_amount,
            review: payment.review,
            attempts: payment.attempts.iter().map(AttemptView::of).collect(),
            refunds: payment.refunds.iter().map(RefundView::of).collect(),
            metadata: terms.metadata.clone(),
        }
    }
}

fn counting(payment: &Payment) -> Option<&Attempt> {
    let paid = match payment.state {
        PaymentState::Paid { ordinal, .. } => payment.attempt(ordinal),
        _ => None,
    };
    paid.or_else(|| payment.presented()).or_else(|| payment.attempts.last())
}

/// The text inside the QR code that the customer should scan now.
pub(crate) fn qr_content(payment: &Payment) -> Option<&str> {
    match shown(payment)? {
        Presentation::QrCode { content } => Some(content),
        _ => None,
    }
}

/// What is shown, while the payment can be paid by it.
fn shown(payment: &Payment) -> Option<&Presentation> {
    if payment.state != PaymentState::Open {
        return None;
    }
    match &payment.presented()?.state {
        AttemptState::Presented { presentation, .. } => Some(presentation),
        _ => None,
    }
}

fn presentation(payment: &Payment) -> Option<PresentationView> {
    Some(match shown(payment)?.clone() {
        Presentation::QrCode { content } => PresentationView::QrCode {
            content,
            qr_svg_url: format!("/v1/payments/{}/qr.svg", payment.id),
        },
        Presentation::Redirect { url } => PresentationView::Redirect { url },
        Presentation::Form { url, fields } => PresentationView::Form { url, fields },
        Presentation::WalletScript { parameters } => PresentationView::WalletScript { parameters },
        Presentation::ClientSecret { reference, secret } => {
            PresentationView::ClientSecret { reference, secret }
        }
        Presentation::BankTransfer(_) => {
            PresentationView::BankTransfer(Box::new(transfer(payment)?))
        }
    })
}

/// The transfer that is still to be made.
fn transfer(payment: &Payment) -> Option<TransferView> {
    let Presentation::BankTransfer(to) = shown(payment)? else { return None };
    let TransferTo { payee, bank, account, bank_code, reference, .. } = *to.clone();
    let (_, rest) = so_far(payment)?;
    let rest = Money::new(rest, payment.money.currency()).unwrap_or(payment.money);
    let both = |text: domain::Bilingual| Notice { zh: text.zh, en: text.en };
    Some(TransferView {
        instructions: notice::transfer(rest, reference.as_deref()),
        payee: both(payee),
        bank: both(bank),
        account,
        bank_code,
        reference,
        amount: rest.minor(),
        currency: rest.currency().code(),
        amount_text: rest.to_major(),
        // The payment's own end: beginning another attempt may have moved it.
        expires_at: rfc3339(payment.expires_at),
    })
}

/// What has come of a bank transfer, and what is still to come, in minor units; `None` where
/// the payment is not waiting for one.
fn so_far(payment: &Payment) -> Option<(i64, i64)> {
    let attempt = counting(payment).filter(|a| a.method == Method::BankTransfer && a.is_live())?;
    let received = attempt.received_minor;
    Some((received, (payment.money.minor() - received).max(0)))
}

fn paid_at(payment: &Payment) -> Option<String> {
    let PaymentState::Paid { ordinal, at } = payment.state else { return None };
    let stated = payment.attempt(ordinal).and_then(Attempt::receipt).and_then(|r| r.paid_at);
    Some(rfc3339(stated.unwrap_or(at)))
}

/// What has gone back, and what still may, in minor units. A payment that ended unpaid can
/// have given back a late success, which counts too.
fn refunded(payment: &Payment) -> (i64, i64) {
    match payment.state {
        PaymentState::Paid { ordinal, .. } => {
            (payment.refunded_minor(ordinal), payment.refundable_minor(ordinal))
        }
        _ => (payment.attempts.iter().map(|a| payment.refunded_minor(a.ordinal)).sum(), 0),
    }
}

impl AttemptView {
    fn of(attempt: &Attempt) -> AttemptView {
        let (state, class, code, detail) = standing(&attempt.state);
        let considered = |list: &[Considered]| list.iter().map(ConsideredView::of).collect();
        AttemptView {
            ordinal: attempt.ordinal,
            channel: attempt.channel.to_string(),
            method: attempt.method.name(),
            flow: attempt.flow,
            number: attempt.number.to_string(),
            reference: attempt.reference.clone(),
            state,
            class,
            code,
            detail,
            started_at: rfc3339(attempt.sent_at),
            reason: attempt.choice.reason.clone(),
            order: considered(&attempt.choice.order),
            excluded: considered(&attempt.choice.excluded),
            rules: attempt.choice.rules.iter().map(RuleView::of).collect(),
        }
    }
}

type Standing = (&'static str, Option<Class>, Option<String>, Option<String>);

fn standing(state: &AttemptState) -> Standing {
    match state {
        AttemptState::InFlight => ("in_flight", None, None, None),
        AttemptState::Presented { .. } => ("presented", None, None, None),
        AttemptState::Unknown { fault, .. } => {
            let (code, detail) = (fault.code.clone(), fault.detail.clone());
            ("unknown", Some(Class::Unknown), Some(code), Some(detail))
        }
        AttemptState::Closing { .. } => ("closing", None, None, None),
        AttemptState::Closed { .. } => ("closed", None, None, None),
        AttemptState::Declined { decline, .. } => {
            ("declined", Some(Class::Declined), Some(decline.code.clone()), None)
        }
        AttemptState::Failed { class, fault, .. } => {
            ("failed", Some(*class), Some(fault.code.clone()), Some(fault.detail.clone()))
        }
        AttemptState::Paid { .. } => ("paid", None, None, None),
    }
}

impl RefundView {
    /// The refund as everyone may see it.
    pub(crate) fn of(refund: &Refund) -> RefundView {
        let (status, code, ended_at) = match &refund.progress {
            RefundProgress::Requested { .. }
            | RefundProgress::InFlight { .. }
            | RefundProgress::Pending { .. }
            | RefundProgress::ByHand { .. } => ("processing", None, None),
            RefundProgress::Succeeded { at } => ("succeeded", None, Some(*at)),
            RefundProgress::Failed { at, fault } => ("failed", Some(fault.code.clone()), Some(*at)),
        };
        RefundView {
            ordinal: refund.ordinal,
            number: refund.number.to_string(),
            attempt: refund.attempt,
            amount: refund.amount.minor(),
            currency: refund.amount.currency().code(),
            status,
            cause: refund.reason,
            reason: refund.note.clone(),
            code,
            requested_at: rfc3339(refund.requested_at),
            ended_at: ended_at.map(rfc3339),
        }
    }
}

macro_rules! names {
    ($(#[$doc:meta] $name:ident: $($variant:ident)*;)*) => {$(
        #[$doc]
        #[derive(ToSchema)]
        #[schema(rename_all = "snake_case")]
        #[expect(dead_code, reason = "only its schema is used")]
        pub(crate) enum $name { $($variant),* }
    )*};
}

names! {
    /// What the customer pays with.
    MethodName: Alipay WechatPay UnionPay Card Paypal BankTransfer;
    /// How the merchant ranks the customer.
    TierName: Standard Vip;
    /// The customer's language.
    LocaleName: Zh En;
    /// The kind of screen that the customer pays from.
    DeviceName: Qr Desktop Mobile InApp;
}

/// The statuses, as the schema names them.
pub(crate) fn status_schema() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
    let names = domain::Status::ALL.map(domain::Status::name);
    Schema::Object(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names))
            .description(Some("Where the payment stands."))
            .build(),
    )
}
