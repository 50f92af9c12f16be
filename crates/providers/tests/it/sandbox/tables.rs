//! The tables of capabilities are true: what they say of numbers, repeats, closes and
//! notifications is what the adapter and the sandbox do.

use providers::{Closing, Resend};

use super::*;

const ALL: [(&str, Method); 5] = [
    ("alipay-main", Method::Alipay),
    ("wechat-main", Method::WechatPay),
    ("stripe-main", Method::Alipay),
    ("unionpay-main", Method::UnionPay),
    ("paypal-main", Method::Paypal),
];

fn table(stage: &Stage, channel: &str) -> providers::Capabilities {
    let id = ChannelId::new(channel).expect("a name");
    stage.driver.codec(&id).expect("it is there").capabilities().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_takes_our_numbers_and_says_whether_a_create_may_be_repeated() {
    let stage = Stage::set().await;
    for (channel, method) in ALL {
        let table = table(&stage, channel);
        let order = stage.order(method, Device::Qr);
        let (payment, _) = ProviderOrderNo::parse(order.number.as_str()).expect("ours");
        assert!(table.order_number.takes(order.number.as_str()), "{channel}");
        let refund = ProviderOrderNo::of_refund(payment, 50);
        assert!(table.refund_number.takes(refund.as_str()), "{channel}");

        stage.create(channel, &order).await;
        let again = stage.call(channel, Operation::Create(order)).await;
        let is_shown = matches!(again, Answer::Create(Outcome::Ok(Created::Presented { .. })));
        assert_eq!(is_shown, table.resend_create != Resend::Never, "{channel}: {again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_5_every_table_says_what_a_close_proves() {
    let stage = Stage::set().await;
    for (channel, method) in ALL {
        let (shown, made) = stage.create(channel, &stage.order(method, Device::Qr)).await;
        if channel == "alipay-main" {
            // Its trade comes to be when the customer opens the cashier.
            let scan = PayTarget::code(code(&shown)).outcome(PayOutcome::Scan);
            stage.sandbox.pay(&scan).await.expect("a scan");
        }
        let answer = stage.close(channel, &made, CloseWhy::Shown).await;
        let proven = answer == closed(CloseState::Closed);
        let closing = table(&stage, channel).closing;
        assert_eq!(proven, closing != Closing::LapseOnly, "{channel}: {answer:?}");
        let paid = stage.sandbox.pay(&PayTarget::code(code(&shown))).await;
        let took = |order: &OrderRef| {
            let books = stage.sandbox.books();
            books.find(order.number.as_str()).map(|entry| entry.captured_minor).sum::<i64>()
        };
        let payable = closing == Closing::LapseOnly;
        assert_eq!(took(&made) > 0, payable, "{channel}: {paid:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_7_every_table_says_whether_a_notification_books_the_payment_by_itself() {
    let stage = Stage::set().await;
    for (channel, method) in ALL {
        let (shown, made) = stage.create(channel, &stage.order(method, Device::Qr)).await;
        stage.pay(&shown).await;
        let told = stage.notice(channel, |notice| notice.number == made.number).await;
        let states = table(&stage, channel).notifications;
        assert!(states.payments, "{channel}");
        let booked = matches!(
            &told.kind,
            NoticeKind::Order(OrderState::Paid(receipt)) if receipt.captured == made.money
        );
        assert_eq!(booked, states.states_amount, "{channel}: {told:?}");
        assert_eq!(told.kind == NoticeKind::Hint, !states.states_amount, "{channel}: {told:?}");
    }
}
