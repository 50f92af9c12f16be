//! Notifications: a signed form that the merchant has to answer with HTTP 200. Only successes
//! are told.

use std::sync::Arc;

use super::message::{self, Fields, Seal};
use super::{UnionPayAccount, ops};
use crate::books::unionpay::{Payment, Return};
use crate::books::{Millis, ProviderKind};
use crate::faults::{Forgery, Operation};
use crate::keys::SigningKey;
use crate::notify::{Content, Notice, Outgoing};
use crate::state::{Scene, State};

/// Waits between deliveries, seconds: five more at growing gaps.
pub(crate) const RESENDS_S: &[u64] = &[60, 120, 240, 300, 300];

/// A notification, the same in every delivery.
#[derive(Clone)]
pub(crate) struct Notification {
    account: Arc<UnionPayAccount>,
    fields: Fields,
}

impl Notification {
    pub(crate) fn outgoing(&self, forgery: Option<(Forgery, &SigningKey)>) -> Outgoing {
        let mut fields = self.fields.clone();
        let seal = match forgery {
            None | Some((Forgery::Tampered, _)) => Seal::Genuine,
            Some((Forgery::WrongKey, stranger)) => Seal::Stranger(stranger),
            Some((Forgery::Unsigned, _)) => Seal::Unsigned,
        };
        message::seal(&mut fields, &self.account, seal);
        if let Some((Forgery::Tampered, _)) = forgery {
            fields.insert("txnAmt".to_owned(), "1".to_owned());
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        Outgoing {
            content_type: "application/x-www-form-urlencoded;charset=UTF-8",
            headers: Vec::new(),
            body,
        }
    }
}

/// Tells that an order was paid.
pub(crate) fn paid(state: &State, account: &Arc<UnionPayAccount>, payment: &Payment) {
    let Some(url) = &payment.spec.back_url else { return };
    let bank = payment.debit.as_ref().and_then(|debit| debit.bank.clone());
    let fields = ops::payment_fields(account, payment);
    send(state, account, (url, &payment.spec.name.0, bank), fields, 0);
}

/// Tells that a refund or undo is done, once it is.
pub(crate) fn given_back(state: &State, account: &Arc<UnionPayAccount>, made: &Return) {
    let Some(url) = &made.spec.back_url else { return };
    let fields = ops::return_fields(account, made);
    let after = made.done_at - made.asked_at;
    send(state, account, (url, &made.spec.name.0, None), fields, after);
}

fn send(
    state: &State,
    account: &Arc<UnionPayAccount>,
    (url, number, bank): (&str, &str, Option<String>),
    mut fields: Fields,
    after_ms: Millis,
) {
    fields.insert("respCode".to_owned(), "00".to_owned());
    fields.insert("respMsg".to_owned(), "成功[0000000]".to_owned());
    let event = format!("txnType {}", fields["txnType"]);
    let scene = Scene {
        provider: ProviderKind::UnionPay,
        account: account.name.clone(),
        operation: Operation::Notify,
        method: Some("union_pay"),
        bank,
    };
    let content = Notification { account: Arc::clone(account), fields };
    state.notify(Notice {
        scene,
        url: url.to_owned(),
        order_no: number.to_owned(),
        event,
        after_ms,
        content: Content::UnionPay(content),
    });
}
