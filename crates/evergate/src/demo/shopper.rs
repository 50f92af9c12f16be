//! One shopper's visit, over real HTTP: the shop asks the gateway, the shopper pays at the
//! sandbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Method, PaymentId};
use serde_json::{Value, json};

use super::bank::Bank;
use super::books::went_elsewhere;
use super::tally::{Ending, Tally};
use super::till::{Purse, Till, TillAnswer};
use super::traffic::{Card, Intent, Repeat, Visit};
use crate::client::{Api, ApiError};

/// How often a shopper to whom nothing could be shown tries again, and after which pause.
const TRIES_AGAIN: u32 = 2;
const TRY_PAUSE: Duration = Duration::from_secs(1);
/// After which time a shopper whose order is kept looks at it again without a reminder.
const LOOKS_AGAIN: Duration = Duration::from_secs(8);
/// How long a shopper waits for a charge to be confirmed, and a shop for a payment.
const PATIENCE: Duration = Duration::from_secs(40);

/// The shop and the street outside.
pub(super) struct Town {
    /// The gateway, with the shop's key.
    pub(super) api: Api,
    /// The providers' pages.
    pub(super) till: Till,
    /// Where shoppers make transfers.
    pub(super) bank: Arc<Bank>,
    /// What has happened.
    pub(super) tally: Arc<Tally>,
    /// Makes order numbers of this run its own.
    pub(super) run: String,
}

impl Town {
    /// Lives through one visit, and notes its ending.
    pub(super) async fn visit(&self, visit: &Visit) {
        let ending = self.buy(visit).await;
        self.tally.ended(visit.number, ending);
    }

    async fn buy(&self, visit: &Visit) -> Ending {
        let began = Instant::now();
        let mut payment = match self.ask(visit).await {
            Ok(payment) => payment,
            Err(_) => return self.could_not(visit, began),
        };
        let id = text(&payment, "id");
        if visit.repeat == Repeat::OrderAgain {
            self.order_again(visit, &id).await;
        }
        for _ in 0..TRIES_AGAIN {
            if payment["status"] != "unavailable" {
                break;
            }
            tokio::time::sleep(TRY_PAUSE).await;
            payment = self.another_code(&id).await.unwrap_or(payment);
        }
        match payment["status"].as_str() {
            Some("requires_customer") => self.at_the_code(visit, payment, began).await,
            Some("unavailable" | "held") => self.come_back(visit, &id, began).await,
            _ => self.charged(visit, &id, began).await,
        }
    }

    /// Asks for the payment, as often as it takes to be sure that it was asked for.
    async fn ask(&self, visit: &Visit) -> Result<Value, ApiError> {
        let body = self.order(visit);
        let key = format!("{}-{}", self.run, visit.number);
        self.tally.asked();
        if visit.repeat == Repeat::DoubleClick {
            let (first, second) =
                tokio::join!(self.create(&body, &key, None), self.create(&body, &key, None));
            if let (Ok(first), Ok(second)) = (&first, &second)
                && first["id"] != second["id"]
            {
                self.tally.violated(format!("two payments under one key: {key}"));
            }
            return first.or(second);
        }
        self.create(&body, &key, Some(Instant::now())).await
    }

    /// One create request, repeated under its key while nobody can say what became of it.
    async fn create(
        &self,
        body: &Value,
        key: &str,
        measured: Option<Instant>,
    ) -> Result<Value, ApiError> {
        let mut last = None;
        for turn in 0..4_u32 {
            match self.api.post("/v1/payments", body, Some(key)).await {
                Ok((_, payment)) => {
                    self.answered(&payment, measured.filter(|_| turn == 0));
                    return Ok(payment);
                }
                Err(error) if error.status().is_none_or(|status| status >= 500) => {
                    last = Some(error);
                    tokio::time::sleep(TRY_PAUSE / 2).await;
                }
                Err(error) => {
                    self.tally.violated(format!("the gateway refused a good order: {error}"));
                    return Err(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| ApiError::Silent("no answer".to_owned())))
    }

    fn answered(&self, payment: &Value, began: Option<Instant>) {
        let rerouted = payment["attempts"].as_array().is_some_and(|attempts| {
            let reason = attempts.last().and_then(|attempt| attempt["reason"].as_str());
            reason.is_some_and(went_elsewhere)
        });
        let served = matches!(
            payment["status"].as_str(),
            Some("requires_customer" | "paid" | "declined" | "confirming")
        );
        let id: Option<PaymentId> = payment["id"].as_str().and_then(|id| id.parse().ok());
        self.tally.answered(id, began.map(|b| b.elapsed()), rerouted && served);
    }

    fn order(&self, visit: &Visit) -> Value {
        let methods: Vec<&str> = visit.methods.iter().map(|m| m.name()).collect();
        let mut order = json!({
            "order_no": format!("{}-{:05}", self.run, visit.number),
            "amount": visit.amount_minor,
            "currency": visit.currency().code(),
            "methods": methods,
            "subject": format!("Order {}", visit.number),
            "return_url": "https://shop.example/thanks",
        });
        if let Some(bank) = visit.bank {
            order["issuer"] = json!(bank);
        }
        if visit.methods[0] == Method::Card && visit.card.is_saved() {
            let refused = visit.card.is_refused();
            let token = if refused { "pm_card_chargeDeclined" } else { "pm_card_visa" };
            order["token"] = json!(token);
        }
        order
    }

    /// The shop's software forgot what it did, and asks again by order number only.
    async fn order_again(&self, visit: &Visit, id: &str) {
        if let Ok((_, again)) = self.api.post("/v1/payments", &self.order(visit), None).await
            && again["id"] != *id
        {
            self.tally.violated(format!("two payments for one order: {id}"));
        }
    }

    async fn another_code(&self, id: &str) -> Option<Value> {
        self.another_way(id, &Value::Null).await
    }

    async fn another_way(&self, id: &str, wish: &Value) -> Option<Value> {
        let path = format!("/v1/payments/{id}/attempts");
        let (_, payment) = self.api.post(&path, wish, None).await.ok()?;
        self.answered(&payment, None);
        Some(payment)
    }

    /// Another code, or at UnionPay the shopper's last method: its form is made without a call,
    /// so the gateway cannot know yet that the cashier does not answer.
    async fn after_no_page(&self, visit: &Visit, payment: &Value) -> Option<Value> {
        let id = text(payment, "id");
        let last = visit.methods.last().filter(|method| **method != Method::UnionPay);
        match last.filter(|_| payment["method"] == Method::UnionPay.name()) {
            Some(other) => self.another_way(&id, &json!({ "method": other.name() })).await,
            None => self.another_code(&id).await,
        }
    }

    /// The shopper's bank refuses at UnionPay's cashier: the shop offers another method, if the
    /// shopper has one.
    async fn another_method(&self, visit: &Visit, payment: &Value) -> Option<Value> {
        let bank = visit.bank.filter(|_| payment["method"] == Method::UnionPay.name())?;
        let Some(other) = visit.instead_of(Method::UnionPay) else {
            self.tally.turned_away(bank);
            return None;
        };
        self.tally.offered(bank);
        self.another_way(&text(payment, "id"), &json!({ "method": other.name() })).await
    }

    async fn cancel(&self, id: &str) {
        let path = format!("/v1/payments/{id}/cancel");
        for _ in 0..3 {
            match self.api.post(&path, &Value::Null, None).await {
                // Cancelled, or refused because it has ended otherwise.
                Ok(_) | Err(ApiError::Refused { status: 400..500, .. }) => return,
                Err(_) => tokio::time::sleep(TRY_PAUSE).await,
            }
        }
    }

    /// The shopper has a code or link.
    async fn at_the_code(&self, visit: &Visit, payment: Value, began: Instant) -> Ending {
        let id = text(&payment, "id");
        tokio::time::sleep(visit.think).await;
        match visit.intent {
            Intent::Leaves => {
                self.cancel(&id).await;
                Ending::Left
            }
            Intent::Pays => self.pay(visit, &payment, began).await,
            Intent::PaysOldCodeToo => {
                let Some(newer) = self.another_code(&id).await else {
                    return self.pay(visit, &payment, began).await;
                };
                let ending = self.pay(visit, &newer, began).await;
                tokio::time::sleep(visit.think / 4).await;
                // Mostly refused, because the old code was closed; where its close did not get
                // through, the gateway has to give this money back.
                let purse = Purse { bank: bank_at(visit, &payment), ..Purse::default() };
                let _ = self.till.pay(&payment["presentation"], purse).await;
                ending
            }
        }
    }

    async fn pay(&self, visit: &Visit, payment: &Value, began: Instant) -> Ending {
        let id = text(payment, "id");
        let mut payment = payment.clone();
        for turn in 0..=TRIES_AGAIN {
            if payment["method"] == Method::BankTransfer.name() && self.bank.transfer(&payment) {
                self.tally.paid();
                return Ending::Paid;
            }
            let on_card = payment["method"] == Method::Card.name();
            let card = (on_card && visit.card == Card::TypedRefused).then_some("4000000000000002");
            let purse = Purse { card, bank: bank_at(visit, &payment) };
            match self.till.pay(&payment["presentation"], purse).await {
                TillAnswer::Paid => {
                    if payment["method"] == Method::Paypal.name() {
                        self.tally.approved(&id);
                    }
                    return self.afterwards(visit, &id).await;
                }
                TillAnswer::Declined => match self.another_method(visit, &payment).await {
                    Some(newer) if newer["status"] == "paid" => {
                        return self.afterwards(visit, &id).await;
                    }
                    Some(newer) => payment = newer,
                    None => {
                        self.cancel(&id).await;
                        return Ending::Refused;
                    }
                },
                TillAnswer::Unreachable if turn == 0 => tokio::time::sleep(TRY_PAUSE).await,
                TillAnswer::Unreachable | TillAnswer::Refused => {
                    // The page does not come, or the code is of no use: ask for another one.
                    match self.after_no_page(visit, &payment).await {
                        Some(newer) if newer["status"] == "paid" => {
                            return self.afterwards(visit, &id).await;
                        }
                        Some(newer) => payment = newer,
                        None => tokio::time::sleep(TRY_PAUSE).await,
                    }
                }
            }
        }
        self.cancel(&id).await;
        self.could_not(visit, began)
    }

    /// Nothing takes the order: the shop has it kept, and the shopper comes back through its link
    /// once the gateway says that it can be paid.
    async fn come_back(&self, visit: &Visit, id: &str, began: Instant) -> Ending {
        let path = format!("/v1/payments/{id}");
        // Refused when the gateway has kept it by itself, or when it cannot be kept.
        let _ = self.api.post(&format!("{path}/hold"), &Value::Null, None).await;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.until_reminded(&path).await;
            match self.another_code(id).await {
                Some(payment) if payment["status"] == "requires_customer" => {
                    return Box::pin(self.at_the_code(visit, payment, began)).await;
                }
                Some(payment) if payment["status"] == "paid" => {
                    return self.afterwards(visit, id).await;
                }
                _ => {}
            }
        }
        self.cancel(id).await;
        self.could_not(visit, began)
    }

    /// Waits for the reminder; a shopper who was reminded before, or forgotten, looks again after
    /// a while.
    async fn until_reminded(&self, path: &str) {
        let until = Instant::now() + LOOKS_AGAIN;
        while Instant::now() < until {
            tokio::time::sleep(TRY_PAUSE / 2).await;
            if self.is_reminded(path).await {
                return;
            }
        }
    }

    async fn is_reminded(&self, path: &str) -> bool {
        let story = self.api.get(&format!("{path}/events"), &[]).await.unwrap_or_default();
        let events = story["events"].as_array().map_or(&[][..], Vec::as_slice);
        events.iter().any(|event| event["event"] == "reminded" && event["why"] == "recovered")
    }

    /// A saved card: the money moves without the shopper.
    async fn charged(&self, visit: &Visit, id: &str, began: Instant) -> Ending {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let path = format!("/v1/payments/{id}");
            if let Ok(payment) = self.api.get(&path, &[]).await {
                match payment["status"].as_str() {
                    Some("paid") => return self.afterwards(visit, id).await,
                    Some("declined") => return Ending::Refused,
                    Some("cancelled" | "expired") => return self.could_not(visit, began),
                    // The charge never arrived, so it may be tried again.
                    Some("unavailable" | "held") => {
                        self.another_code(id).await;
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(TRY_PAUSE / 4).await;
        }
        Ending::Waiting
    }

    /// The shopper has paid; the shop may give a part back.
    async fn afterwards(&self, visit: &Visit, id: &str) -> Ending {
        self.tally.paid();
        if let Some(percent) = visit.refund_percent {
            self.give_back(visit, id, percent).await;
        }
        Ending::Paid
    }

    async fn give_back(&self, visit: &Visit, id: &str, percent: i64) {
        let until = Instant::now() + PATIENCE;
        let path = format!("/v1/payments/{id}");
        while Instant::now() < until {
            let paid = self.api.get(&path, &[]).await.is_ok_and(|p| p["status"] == "paid");
            if paid {
                break;
            }
            tokio::time::sleep(TRY_PAUSE / 4).await;
        }
        let amount = (visit.amount_minor * percent / 100).max(1);
        let body = json!({ "amount": amount, "reason": "one item came back" });
        let key = format!("{}-{}-refund", self.run, visit.number);
        for _ in 0..4 {
            match self.api.post(&format!("{path}/refunds"), &body, Some(&key)).await {
                Ok(_) | Err(ApiError::Refused { status: 400..500, .. }) => return,
                Err(_) => tokio::time::sleep(TRY_PAUSE / 2).await,
            }
        }
    }

    /// Nothing could be paid. Whether that was the world's fault is found out from the
    /// scenario.
    fn could_not(&self, visit: &Visit, began: Instant) -> Ending {
        let (methods, bank) = (visit.methods.clone(), visit.bank);
        Ending::CouldNot { methods, bank, from: began, to: Instant::now() }
    }
}

/// The bank that a shopper chooses at UnionPay's cashier.
fn bank_at(visit: &Visit, payment: &Value) -> Option<&'static str> {
    visit.bank.filter(|_| payment["method"] == Method::UnionPay.name())
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or("").to_owned()
}
