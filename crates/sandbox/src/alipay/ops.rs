//! The operations: from parameters through the books to the fields of an answer.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::biz::{Biz, yuan};
use super::codes::Failure;
use super::{AlipayAccount, Answer, Params, notify, shopper};
use crate::books::Millis;
use crate::books::alipay::{CancelAction, Product, Trade, TradeStatus};
use crate::clock::alipay_time;
use crate::control::lock;
use crate::faults::Operation;
use crate::state::State;

/// One call, past the gateway's own checks.
struct Job<'a> {
    state: &'a State,
    account: &'a Arc<AlipayAccount>,
    params: &'a Params,
    biz: Biz,
    now: Millis,
}

type Fields = Map<String, Value>;

pub(crate) fn run(
    state: &State,
    account: &Arc<AlipayAccount>,
    params: &Params,
    lie: bool,
    now: Millis,
) -> Result<Answer, Failure> {
    let method = params.get("method").map(String::as_str).unwrap_or_default();
    if super::operation(method) == Operation::Other {
        return Err(Failure::invalid("method"));
    }
    let job = Job { state, account, params, biz: Biz::read(params)?, now };
    let fields = match method {
        "alipay.trade.precreate" => job.precreate(),
        "alipay.trade.create" => job.create(),
        "alipay.trade.page.pay" => return job.page(Product::Page),
        "alipay.trade.wap.pay" => return job.page(Product::Wap),
        "alipay.trade.app.pay" => return job.page(Product::App),
        "alipay.trade.query" => job.query(lie),
        "alipay.trade.close" => job.close(),
        "alipay.trade.cancel" => job.cancel(),
        "alipay.trade.refund" => job.refund(),
        "alipay.trade.fastpay.refund.query" => job.refund_query(),
        _ => return Err(Failure::invalid("method")),
    }?;
    Ok(Answer::Fields(fields))
}

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

impl Job<'_> {
    fn order(&self, product: Product) -> Result<Trade, Failure> {
        let spec = self.biz.order(self.params, product)?;
        Ok(lock(&self.account.book).order(spec, self.now)?)
    }

    fn precreate(&self) -> Result<Fields, Failure> {
        let trade = self.order(Product::Precreate)?;
        let code = format!("{}/pay/alipay/{}", self.state.public_url, trade.token);
        Ok(fields(json!({ "out_trade_no": trade.spec.out_trade_no, "qr_code": code })))
    }

    fn create(&self) -> Result<Fields, Failure> {
        if self.biz.text("buyer_id")?.or(self.biz.text("buyer_open_id")?).is_none() {
            return Err(Failure::parameter("buyer_id"));
        }
        Ok(both_numbers(&self.order(Product::Create)?))
    }

    /// The buyer's browser is here: the cashier opens, and with it the trade.
    fn page(&self, product: Product) -> Result<Answer, Failure> {
        let trade = self.order(product)?;
        let opened = shopper::open(self.account, &trade.token, self.now);
        Ok(Answer::Page(shopper::bill(self.account, &trade, opened.err())))
    }

    fn query(&self, lie: bool) -> Result<Fields, Failure> {
        let (trade_no, out_trade_no) = self.biz.numbers()?;
        let trade = lock(&self.account.book).find(trade_no, out_trade_no, self.now)?.clone();
        let mut answer = both_numbers(&trade);
        let status = trade.status(self.now).unwrap_or(TradeStatus::WaitBuyerPay);
        let status = if lie { TradeStatus::WaitBuyerPay } else { status };
        answer.insert("trade_status".to_owned(), status.as_str().into());
        answer.insert("total_amount".to_owned(), yuan(trade.spec.total).into());
        if let Some(buyer) = trade.buyer.as_ref().filter(|_| !lie) {
            answer.extend(notify::money_fields(&trade));
            answer.insert("buyer_user_id".to_owned(), buyer.id.as_str().into());
            answer.insert("buyer_logon_id".to_owned(), buyer.logon_id.as_str().into());
            answer.insert("send_pay_date".to_owned(), paid_at(&trade).into());
            let bills = json!([notify::fund_bill(&trade)]);
            answer.insert("fund_bill_list".to_owned(), bills);
        }
        Ok(answer)
    }

    fn close(&self) -> Result<Fields, Failure> {
        let (trade_no, out_trade_no) = self.biz.numbers()?;
        Ok(both_numbers(&lock(&self.account.book).close(trade_no, out_trade_no, self.now)?))
    }

    fn cancel(&self) -> Result<Fields, Failure> {
        let (trade_no, out_trade_no) = self.biz.numbers()?;
        let done = lock(&self.account.book).cancel(trade_no, out_trade_no, self.now);
        let Some((trade, action)) = done else {
            // Success without an action: nothing was found, and nothing is proved.
            return Ok(fields(json!({ "out_trade_no": out_trade_no, "retry_flag": "N" })));
        };
        let action = match action {
            CancelAction::Close => "close",
            CancelAction::Refund => "refund",
        };
        let mut answer = both_numbers(&trade);
        answer.insert("retry_flag".to_owned(), "N".into());
        answer.insert("action".to_owned(), action.into());
        Ok(answer)
    }

    fn refund(&self) -> Result<Fields, Failure> {
        let (trade_no, out_trade_no) = self.biz.numbers()?;
        let amount = self.biz.amount("refund_amount")?;
        let request_no = self.biz.text("out_request_no")?;
        if request_no.is_some_and(|no| no.len() > 64) {
            return Err(Failure::parameter("out_request_no"));
        }
        let (trade, moved) = lock(&self.account.book).refund(
            trade_no,
            out_trade_no,
            request_no,
            amount,
            self.now,
        )?;
        if moved {
            notify::refunded(self.state, self.account, &trade, self.now);
        }
        let mut answer = both_numbers(&trade);
        let logon_id = trade.buyer.as_ref().map(|buyer| buyer.logon_id.as_str());
        answer.insert("buyer_logon_id".to_owned(), logon_id.into());
        answer.insert("fund_change".to_owned(), if moved { "Y" } else { "N" }.into());
        answer.insert("refund_fee".to_owned(), yuan(trade.refunded()).into());
        answer.insert("gmt_refund_pay".to_owned(), alipay_time(self.now).into());
        Ok(answer)
    }

    fn refund_query(&self) -> Result<Fields, Failure> {
        let (trade_no, out_trade_no) = self.biz.numbers()?;
        let request_no =
            self.biz.text("out_request_no")?.ok_or_else(|| Failure::parameter("out_request_no"))?;
        let trade = lock(&self.account.book).find(trade_no, out_trade_no, self.now)?.clone();
        let mut answer = both_numbers(&trade);
        answer.insert("out_request_no".to_owned(), request_no.into());
        // Not refunded means that the status is missing, not that it says so.
        if let Some(refund) = trade.refunds.iter().find(|r| r.out_request_no == request_no) {
            answer.insert("refund_status".to_owned(), "REFUND_SUCCESS".into());
            answer.insert("total_amount".to_owned(), yuan(trade.spec.total).into());
            answer.insert("refund_amount".to_owned(), yuan(refund.amount).into());
            answer.insert("gmt_refund_pay".to_owned(), alipay_time(refund.at).into());
        }
        Ok(answer)
    }
}

fn both_numbers(trade: &Trade) -> Fields {
    fields(json!({ "out_trade_no": trade.spec.out_trade_no, "trade_no": trade.trade_no }))
}

fn paid_at(trade: &Trade) -> String {
    trade.paid_at.map(alipay_time).unwrap_or_default()
}
