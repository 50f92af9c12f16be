//! Replies to answers.

use std::collections::BTreeMap;

use domain::{
    Answer, CloseState, Created, Fault, Operation, OrderRef, OrderState, Outcome, Presentation,
    Receipt, RefundOrder, RefundState,
};
use serde::Deserialize;

use super::codec::{CLOSE, CLOSE_LOOK, CREATE_LOOK, H5, JSAPI, REFUND_LOOK, WechatPay};
use super::sign::{Unproven, pay_sign};
use super::table::meaning;
use crate::common::{answered, malformed, order_ref, other, read_rfc3339, unverified};
use crate::table::{Call, Meaning, answer};
use crate::{Reply, Response, Stamp, Step, Verdict};

/// An order as a query or a notification states it.
#[derive(Debug, Deserialize)]
pub(super) struct Transaction {
    pub(super) appid: Option<String>,
    pub(super) mchid: Option<String>,
    pub(super) out_trade_no: String,
    transaction_id: Option<String>,
    pub(super) trade_state: String,
    success_time: Option<String>,
    amount: Option<TransactionAmount>,
}

#[derive(Debug, Deserialize)]
struct TransactionAmount {
    total: Option<i64>,
    currency: Option<String>,
}

/// A refund as an answer states it; notifications say `refund_status`.
#[derive(Debug, Deserialize)]
struct RefundBody {
    out_trade_no: Option<String>,
    out_refund_no: String,
    status: String,
    amount: RefundAmount,
}

#[derive(Debug, Deserialize)]
struct RefundAmount {
    refund: i64,
    currency: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prepaid {
    code_url: Option<String>,
    h5_url: Option<String>,
    prepay_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    code: String,
}

/// What a response says before its body is read.
enum Said<'r> {
    /// A signed 2xx with this body.
    Good(&'r [u8]),
    /// An error, not signed.
    Bad(Meaning, Fault),
}

impl WechatPay {
    pub(super) fn answer(
        &self,
        op: &Operation,
        step: &Step,
        reply: &Reply,
        stamp: &Stamp,
    ) -> Verdict {
        let looked = matches!(step.asks, CREATE_LOOK | CLOSE_LOOK | REFUND_LOOK);
        let response = match answered(op, looked, reply) {
            Ok(response) => response,
            Err(answer) if step.asks == CLOSE_LOOK => {
                return Verdict::Done(close_unproven(&step.memo, answer));
            }
            Err(answer) => return Verdict::Done(answer),
        };
        let said = self.read(call_of(op, step), response, stamp);
        match op {
            Operation::Create(_) if step.asks == CREATE_LOOK => {
                Verdict::Done(self.after_create_look(op, step, said))
            }
            Operation::Create(_) => self.created(op, step, said, stamp),
            Operation::Query(order) => Verdict::Done(match said {
                Ok(Said::Good(body)) => Answer::Query(or_unknown(self.order_state(body, order))),
                Ok(Said::Bad(meaning, fault)) => answer(op, meaning, fault),
                Err(fault) => op.unknown(fault),
            }),
            Operation::Close(order, _) => self.closed(op, order, step, said, stamp),
            Operation::Refund(refund) => self.refunded(op, refund, step, said, stamp),
            Operation::QueryRefund(refund) => Verdict::Done(match said {
                Ok(Said::Good(body)) => Answer::QueryRefund(refund_state(body, refund)),
                Ok(Said::Bad(meaning, fault)) => answer(op, meaning, fault),
                Err(fault) => op.unknown(fault),
            }),
        }
    }

    fn read<'r>(
        &self,
        call: Call,
        response: &'r Response,
        stamp: &Stamp,
    ) -> Result<Said<'r>, Fault> {
        if matches!(response.status, 200 | 204) {
            let proof = self.trust.prove(|name| response.header(name), &response.body, stamp.now);
            return match proof {
                Ok(()) => Ok(Said::Good(&response.body)),
                Err(Unproven::Signature(why)) => Err(unverified(why)),
                Err(Unproven::Stale(_)) => Err(unverified("its time is more than 5 minutes off")),
            };
        }
        let body: ErrorBody = serde_json::from_slice(&response.body).unwrap_or_default();
        let code = known_shape(&body.code).unwrap_or_default();
        let meaning = meaning(call, response.status, code);
        let name =
            if code.is_empty() { format!("http_{}", response.status) } else { code.to_owned() };
        let detail = format!("WeChat Pay answered HTTP {} {name}", response.status);
        Ok(Said::Bad(meaning, Fault::new(name, detail)))
    }

    fn created(
        &self,
        op: &Operation,
        step: &Step,
        said: Result<Said<'_>, Fault>,
        stamp: &Stamp,
    ) -> Verdict {
        let body = match said {
            Ok(Said::Good(body)) => body,
            Ok(Said::Bad(Meaning::Look, fault)) => {
                return self.ask_order(Step::with(CREATE_LOOK, fault.code), &order_ref(op), stamp);
            }
            Ok(Said::Bad(meaning, fault)) => return Verdict::Done(answer(op, meaning, fault)),
            Err(fault) => return Verdict::Done(op.unknown(fault)),
        };
        let prepaid: Prepaid = serde_json::from_slice(body).unwrap_or_default();
        let presentation = match step.asks {
            H5 => prepaid.h5_url.map(|url| Presentation::Redirect { url: returning(url, op) }),
            JSAPI => prepaid.prepay_id.map(|id| self.script(&id, stamp)),
            _ => prepaid.code_url.map(|content| Presentation::QrCode { content }),
        };
        Verdict::Done(match presentation {
            Some(presentation) => {
                Answer::Create(Outcome::Ok(Created::Presented { presentation, reference: None }))
            }
            None => op.unknown(malformed("nothing to show the customer")),
        })
    }

    /// What the wallet's script is called with inside WeChat.
    fn script(&self, prepay_id: &str, stamp: &Stamp) -> Presentation {
        let package = format!("prepay_id={prepay_id}");
        let seconds = stamp.now.as_secs();
        let signature = pay_sign(&self.app_id, seconds, &stamp.nonce, &package, &self.key);
        let parameters = BTreeMap::from([
            ("appId".to_owned(), self.app_id.clone()),
            ("timeStamp".to_owned(), seconds.to_string()),
            ("nonceStr".to_owned(), stamp.nonce.clone()),
            ("package".to_owned(), package),
            ("signType".to_owned(), "RSA".to_owned()),
            ("paySign".to_owned(), signature),
        ]);
        Presentation::WalletScript { parameters }
    }

    /// After a create call was told that its number has a state of its own.
    fn after_create_look(
        &self,
        op: &Operation,
        step: &Step,
        said: Result<Said<'_>, Fault>,
    ) -> Answer {
        let fault =
            || Fault::new(step.memo.clone(), "the number has a state at WeChat Pay already");
        let state = match said {
            Ok(Said::Good(body)) => self.order_state(body, &order_ref(op)),
            Ok(Said::Bad(..)) => Err(fault()),
            Err(fault) => Err(fault),
        };
        Answer::Create(match state {
            Ok(OrderState::Paid(receipt)) => Outcome::Ok(Created::Paid(receipt)),
            Ok(OrderState::Closed) => Outcome::Ok(Created::NumberClosed),
            Ok(_) => Outcome::Unknown(fault()),
            Err(fault) => Outcome::Unknown(fault),
        })
    }

    fn closed(
        &self,
        op: &Operation,
        order: &OrderRef,
        step: &Step,
        said: Result<Said<'_>, Fault>,
        stamp: &Stamp,
    ) -> Verdict {
        if step.asks == CLOSE {
            let memo = match said {
                Ok(Said::Good(_)) => ACCEPTED.to_owned(),
                Ok(Said::Bad(Meaning::Look, fault)) => fault.code,
                Ok(Said::Bad(meaning, fault)) => {
                    return Verdict::Done(answer(op, meaning, fault));
                }
                // Without a signature the query alone must prove it.
                Err(fault) => fault.code,
            };
            return self.ask_order(Step::with(CLOSE_LOOK, memo), order, stamp);
        }
        let state = match said {
            Ok(Said::Good(body)) => self.order_state(body, order),
            Ok(Said::Bad(Meaning::NotFound, _)) => Ok(OrderState::NotFound),
            Ok(Said::Bad(_, fault)) | Err(fault) => Err(fault),
        };
        Verdict::Done(match state {
            Ok(OrderState::Paid(receipt)) => close_ok(CloseState::AlreadyPaid(Some(receipt))),
            Ok(OrderState::PaidAndRefunded(receipt)) => {
                close_ok(CloseState::PaidAndRefunded(receipt))
            }
            Ok(OrderState::Closed) => close_ok(CloseState::Closed),
            Ok(OrderState::NotFound) => close_ok(CloseState::NotFound),
            Ok(OrderState::Processing) => close_ok(CloseState::Processing),
            Ok(OrderState::Payable | OrderState::PartlyPaid { .. } | OrderState::Declined(_)) => {
                let fault = Fault::new(
                    step.memo.clone(),
                    "WeChat Pay did not close the order, and a query says that it can be paid",
                );
                close_unproven(&step.memo, Answer::Close(Outcome::Unknown(fault)))
            }
            Err(fault) => close_unproven(&step.memo, Answer::Close(Outcome::Unknown(fault))),
        })
    }

    fn refunded(
        &self,
        op: &Operation,
        refund: &RefundOrder,
        step: &Step,
        said: Result<Said<'_>, Fault>,
        stamp: &Stamp,
    ) -> Verdict {
        let done = |outcome| Verdict::Done(Answer::Refund(outcome));
        let looking = step.asks == REFUND_LOOK;
        match said {
            Ok(Said::Good(body)) => done(refund_state(body, refund)),
            Ok(Said::Bad(Meaning::NotFound, _)) if looking => {
                let code = step.memo.clone();
                let detail = format!("WeChat Pay refused the refund: {code}");
                done(refused(Fault::new(code, detail)))
            }
            Ok(Said::Bad(_, fault)) if looking => done(Outcome::Unknown(fault)),
            Ok(Said::Bad(Meaning::Refused | Meaning::Look, fault)) => {
                self.ask_refund(Step::with(REFUND_LOOK, fault.code), refund, stamp)
            }
            Ok(Said::Bad(meaning, fault)) => Verdict::Done(answer(op, meaning, fault)),
            Err(fault) => done(Outcome::Unknown(fault)),
        }
    }

    /// The state of an order, if the answer is about this order, account and amount.
    fn order_state(&self, body: &[u8], order: &OrderRef) -> Result<OrderState, Fault> {
        let trade: Transaction =
            serde_json::from_slice(body).map_err(|_| malformed("the order"))?;
        if trade.out_trade_no != order.number.as_str() {
            return Err(other("order"));
        }
        if !self.is_ours(&trade) {
            return Err(other("account"));
        }
        if let Some(amount) = &trade.amount {
            let minor = amount.total.is_none_or(|total| total == order.money.minor());
            let currency = amount.currency.as_deref().unwrap_or("CNY");
            if !minor || currency != order.money.currency().code() {
                return Err(other("amount"));
            }
        }
        let state = state_of(&trade)?;
        match (state, trade.amount.as_ref().and_then(|a| a.total)) {
            (OrderState::Paid(_), None) => Err(malformed("a paid order without an amount")),
            (OrderState::Paid(receipt), Some(_)) => {
                Ok(OrderState::Paid(Receipt { captured: order.money, ..receipt }))
            }
            (state, _) => Ok(state),
        }
    }

    /// Whether an order belongs to this merchant and app.
    pub(super) fn is_ours(&self, trade: &Transaction) -> bool {
        trade.mchid.as_ref() == Some(&self.mch_id)
            && trade.appid.as_ref().is_none_or(|app| *app == self.app_id)
    }
}

const ACCEPTED: &str = "accepted";

/// The looks in between are questions; what they find decides nothing by itself.
fn call_of(op: &Operation, step: &Step) -> Call {
    match step.asks {
        CREATE_LOOK | CLOSE_LOOK => Call::Query,
        REFUND_LOOK => Call::QueryRefund,
        _ => Call::of(op),
    }
}

/// A code is upper-case letters, digits and underscores; anything else may be somebody's data.
fn known_shape(code: &str) -> Option<&str> {
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (code.len() <= 64 && code.bytes().all(fits)).then_some(code)
}

fn or_unknown<T>(state: Result<T, Fault>) -> Outcome<T> {
    state.map_or_else(Outcome::Unknown, Outcome::Ok)
}

fn close_ok(state: CloseState) -> Answer {
    Answer::Close(Outcome::Ok(state))
}

/// A close that said yes, without the proof that only a query gives.
fn close_unproven(memo: &str, otherwise: Answer) -> Answer {
    if memo == ACCEPTED { close_ok(CloseState::Accepted) } else { otherwise }
}

/// H5 pages send the customer back where the address says so.
fn returning(url: String, op: &Operation) -> String {
    let Operation::Create(order) = op else { return url };
    let Some(back) = &order.return_url else { return url };
    let joint = if url.contains('?') { '&' } else { '?' };
    let back: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
    format!("{url}{joint}redirect_url={back}")
}

/// What `trade_state` says. The receipt's amount is the order's total, which coupons that the
/// customer used do not lower.
pub(super) fn state_of(trade: &Transaction) -> Result<OrderState, Fault> {
    match trade.trade_state.as_str() {
        "SUCCESS" | "REFUND" => {
            let amount = trade.amount.as_ref();
            let currency = amount.and_then(|a| a.currency.as_deref()).unwrap_or("CNY");
            let money = currency
                .parse()
                .ok()
                .and_then(|currency| domain::Money::new(amount?.total?, currency).ok());
            let reference = trade.transaction_id.clone().filter(|id| !id.is_empty());
            match (money, reference) {
                (Some(captured), Some(reference)) => Ok(OrderState::Paid(Receipt {
                    reference,
                    captured,
                    paid_at: trade.success_time.as_deref().and_then(read_rfc3339),
                })),
                _ => Err(malformed("a paid order without amount or transaction_id")),
            }
        }
        "NOTPAY" | "PAYERROR" => Ok(OrderState::Payable),
        "USERPAYING" | "ACCEPT" => Ok(OrderState::Processing),
        "CLOSED" | "REVOKED" => Ok(OrderState::Closed),
        _ => Err(malformed("trade_state")),
    }
}

/// What a refund's status says; also used for notifications.
pub(super) fn status_of(status: &str) -> Outcome<RefundState> {
    match status {
        "SUCCESS" => Outcome::Ok(RefundState::Succeeded),
        "PROCESSING" => Outcome::Ok(RefundState::Pending),
        "CLOSED" => Outcome::Ok(RefundState::Failed(Fault::new(
            "CLOSED",
            "WeChat Pay closed the refund; another number may be used",
        ))),
        "ABNORMAL" => Outcome::Unknown(Fault::new(
            "ABNORMAL",
            "the refund could not reach the customer; handle it in the merchant console and \
             keep its number",
        )),
        _ => Outcome::Unknown(malformed("the refund's status")),
    }
}

fn refund_state(body: &[u8], refund: &RefundOrder) -> Outcome<RefundState> {
    let Ok(said) = serde_json::from_slice::<RefundBody>(body) else {
        return Outcome::Unknown(malformed("the refund"));
    };
    let order = said.out_trade_no.as_deref();
    if said.out_refund_no != refund.number.as_str()
        || order.is_some_and(|no| no != refund.order.number.as_str())
    {
        return Outcome::Unknown(other("refund"));
    }
    let currency = said.amount.currency.as_deref().unwrap_or("CNY");
    if said.amount.refund != refund.amount.minor() || currency != refund.amount.currency().code() {
        return Outcome::Unknown(other("amount"));
    }
    status_of(&said.status)
}

/// A refusal that the refund query confirmed. Our own mistakes are told apart, because an
/// operator can mend them and the same number then goes through.
fn refused(fault: Fault) -> Outcome<RefundState> {
    match meaning(Call::Create, 499, &fault.code) {
        Meaning::Rejected => Outcome::Rejected(fault),
        _ => Outcome::Ok(RefundState::Failed(fault)),
    }
}
