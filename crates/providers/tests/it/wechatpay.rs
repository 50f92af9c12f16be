//! WeChat Pay's requests, and the answers that need care.

use domain::{
    Answer, Class, CloseState, CloseWhy, Created, Device, Method, Operation, OrderState, Outcome,
    Presentation, RefundState,
};
use providers::Verdict;
use serde_json::{Value, json};

use crate::fake::{Back, Fake, Got};
use crate::keys::{OURS, THEIRS};
use crate::peers::{
    Facts, KEY_ID, Peer, transaction, wechat_headers, wechat_signed, wechatpay_settings,
};
use crate::world::{NOW, call, codec, made, number, order, refund, refund_number, settings, stamp};

fn qr() -> domain::Order {
    order(Method::WechatPay, Device::Qr)
}

fn query() -> Operation {
    Operation::Query(made(&qr(), None))
}

fn close() -> Operation {
    Operation::Close(made(&qr(), None), CloseWhy::Shown)
}

#[test]
fn requests_are_signed_over_five_lines() {
    let codec = codec(&settings(wechatpay_settings()));
    for (op, verb, target) in [
        (Operation::Create(qr()), "POST", "/v3/pay/transactions/native".to_owned()),
        (
            query(),
            "GET",
            format!("/v3/pay/transactions/out-trade-no/{}?mchid=1900000001", number()),
        ),
        (close(), "POST", format!("/v3/pay/transactions/out-trade-no/{}/close", number())),
    ] {
        let Ok(Verdict::Ask(request, _)) = codec.request(&op, &stamp()) else {
            panic!("a request")
        };
        assert_eq!((request.method.as_str(), &request.url[18..]), (verb, target.as_str()));
        let header = |name| request.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v);
        let authorization = header("authorization").expect("a signature");
        let part = |name: &str| {
            let from = authorization.split_once(&format!("{name}=\"")).expect(name).1;
            from.split('"').next().expect("quotes").to_owned()
        };
        assert!(authorization.starts_with("WECHATPAY2-SHA256-RSA2048 "));
        assert_eq!(part("mchid"), "1900000001");
        assert_eq!(part("serial_no"), OURS.serial_hex);
        assert_eq!(part("timestamp"), "1790000000");
        let body = String::from_utf8(request.body.clone()).expect("text");
        let text = format!("{verb}\n{target}\n1790000000\n{}\n{body}\n", stamp().nonce);
        assert!(OURS.verifies(text.as_bytes(), &part("signature")));
        assert_eq!(header("wechatpay-serial").map(String::as_str), Some(KEY_ID));
        assert_eq!(header("accept").map(String::as_str), Some("application/json"));
    }
}

#[test]
fn a_native_order_carries_fen_and_an_end() {
    let codec = codec(&settings(wechatpay_settings()));
    let op = Operation::Create(qr());
    let Ok(Verdict::Ask(request, _)) = codec.request(&op, &stamp()) else { panic!("a request") };
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "appid": "wx0000000000000001", "mchid": "1900000001",
            "description": "订单 a/b=c&d", "out_trade_no": number().as_str(),
            "time_expire": "2026-09-21T22:28:20+08:00",
            "notify_url": "https://pay.example/v1/notifications/main",
            "amount": { "total": 1234, "currency": "CNY" },
        })
    );
}

/// What comes of an operation, with a script of `(what the path ends in, answer)`.
async fn says(
    op: &Operation,
    script: impl Fn(&Got) -> Back + Send + Sync + 'static,
) -> (Answer, usize) {
    let fake = Fake::start(script).await;
    let answer = call(&Peer::WechatPay.settings(&fake.url()), op).await;
    (answer, fake.requests().len())
}

fn error(status: u16, code: &str) -> Back {
    Back::json(status, json!({ "code": code, "message": "客户信息", "detail": {} }).to_string())
}

fn state(state: &str) -> Back {
    let mut trade = transaction(&Facts { closed: true, ..Facts::good() });
    trade["trade_state"] = state.into();
    wechat_signed(200, trade.to_string(), &THEIRS)
}

fn paid(state: &str) -> Back {
    let mut trade = transaction(&Facts::good());
    trade["trade_state"] = state.into();
    wechat_signed(200, trade.to_string(), &THEIRS)
}

fn done() -> Back {
    wechat_signed(204, String::new(), &THEIRS)
}

#[tokio::test]
async fn phones_and_the_wallet_get_their_own_call_up() {
    let phone = Operation::Create(order(Method::WechatPay, Device::Mobile));
    let (answer, _) = says(&phone, |got| {
        assert!(String::from_utf8_lossy(&got.body).contains("203.0.113.7"));
        Peer::WechatPay.answer(got, &Facts::good())
    })
    .await;
    let Answer::Create(Outcome::Ok(Created::Presented {
        presentation: Presentation::Redirect { url },
        ..
    })) = answer
    else {
        panic!("a link: {answer:?}")
    };
    assert!(url.ends_with("&redirect_url=https%3A%2F%2Fshop.example%2Fback%3Fx%3D1"), "{url}");
    let wallet = Operation::Create(order(Method::WechatPay, Device::InApp));
    let (answer, _) = says(&wallet, |got| Peer::WechatPay.answer(got, &Facts::good())).await;
    let Answer::Create(Outcome::Ok(Created::Presented {
        presentation: Presentation::WalletScript { parameters },
        ..
    })) = answer
    else {
        panic!("a script: {answer:?}")
    };
    let text = format!(
        "{}\n{}\n{}\n{}\n",
        parameters["appId"], parameters["timeStamp"], parameters["nonceStr"], parameters["package"]
    );
    assert_eq!(parameters["package"], "prepay_id=wx2016121516420242444321ca0631331346");
    assert_eq!(parameters["signType"], "RSA");
    assert!(OURS.verifies(text.as_bytes(), &parameters["paySign"]));
    let mut homeless = order(Method::WechatPay, Device::Mobile);
    homeless.payer_ip = None;
    let codec = codec(&settings(wechatpay_settings()));
    assert!(codec.request(&Operation::Create(homeless), &stamp()).is_err());
}

#[tokio::test]
async fn every_state_of_an_order_is_read() {
    for (back, wanted) in [
        (state("NOTPAY"), OrderState::Payable),
        (state("USERPAYING"), OrderState::Processing),
        (state("CLOSED"), OrderState::Closed),
        (state("REVOKED"), OrderState::Closed),
        (error(404, "ORDER_NOT_EXIST"), OrderState::NotFound),
        (error(404, "ORDERNOTEXIST"), OrderState::NotFound),
    ] {
        let (answer, _) = says(&query(), move |_| back.clone()).await;
        assert_eq!(answer, Answer::Query(Outcome::Ok(wanted)));
    }
    for word in ["SUCCESS", "REFUND"] {
        let (answer, _) = says(&query(), move |_| paid(word)).await;
        let Answer::Query(Outcome::Ok(OrderState::Paid(receipt))) = answer else {
            panic!("{word} means paid: {answer:?}")
        };
        assert_eq!((receipt.captured.minor(), receipt.paid_at), (1234, Some(NOW)));
    }
    for back in [state("SUCCESS"), state("NEW_STATE"), error(500, "SYSTEM_ERROR"), error(202, "")] {
        let (answer, _) = says(&query(), move |_| back.clone()).await;
        assert_eq!(answer.class(), Class::Unknown, "{answer:?}");
    }
}

#[tokio::test]
async fn a_close_is_proved_by_a_query_alone() {
    let both = |first: Back, second: Back| {
        move |got: &Got| {
            if got.path().ends_with("/close") { first.clone() } else { second.clone() }
        }
    };
    let ok = |state| Answer::Close(Outcome::Ok(state));
    let (answer, asked) = says(&close(), both(done(), state("CLOSED"))).await;
    assert_eq!((answer, asked), (ok(CloseState::Closed), 2));
    let (answer, _) = says(&close(), both(done(), error(404, "ORDER_NOT_EXIST"))).await;
    assert_eq!(answer, ok(CloseState::NotFound), "204 is said to any number");
    let (answer, _) = says(&close(), both(done(), Back::Close)).await;
    assert_eq!(answer, ok(CloseState::Accepted));
    let (answer, _) = says(&close(), both(done(), state("NOTPAY"))).await;
    assert_eq!(answer, ok(CloseState::Accepted));
    for code in ["ORDERPAID", "ORDER_PAID"] {
        let (answer, _) = says(&close(), both(error(403, code), paid("SUCCESS"))).await;
        assert!(matches!(answer, Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))));
        let (answer, _) = says(&close(), both(error(400, code), state("NOTPAY"))).await;
        assert_eq!(answer.class(), Class::Unknown, "an unsigned word against a signed one");
    }
    let (answer, _) = says(&close(), both(error(400, "ORDER_CLOSED"), state("CLOSED"))).await;
    assert_eq!(answer, ok(CloseState::Closed));
    let (answer, asked) = says(&close(), both(error(202, "USERPAYING"), state("CLOSED"))).await;
    assert_eq!((answer, asked), (ok(CloseState::Processing), 1));
    let unsigned = Back::Http(204, vec![], vec![]);
    let (answer, _) = says(&close(), both(unsigned.clone(), state("NOTPAY"))).await;
    assert_eq!(answer.class(), Class::Unknown);
    let (answer, _) = says(&close(), both(unsigned, state("CLOSED"))).await;
    assert_eq!(answer, ok(CloseState::Closed), "the query proves it by itself");
}

#[tokio::test]
async fn a_create_call_is_classed_by_its_code() {
    let op = Operation::Create(qr());
    for (back, class) in [
        (error(400, "PARAM_ERROR"), Class::Rejected),
        (error(401, "SIGN_ERROR"), Class::Rejected),
        (error(403, "NO_AUTH"), Class::Rejected),
        (error(429, "FREQUENCY_LIMITED"), Class::Unavailable),
        (error(500, "SYSTEM_ERROR"), Class::Unknown),
        (error(503, "SERVICE_UNAVAILABLE"), Class::Unknown),
        (error(418, "NEW"), Class::Unknown),
    ] {
        let (answer, asked) = says(&op, move |_| back.clone()).await;
        assert_eq!((answer.class(), asked), (class, 1), "{answer:?}");
        assert!(!format!("{answer:?}").contains("客户"), "no texts of theirs in our faults");
    }
    let script = |first: Back, second: Back| {
        move |got: &Got| if got.method == "POST" { first.clone() } else { second.clone() }
    };
    let (answer, _) = says(&op, script(error(403, "ORDERPAID"), paid("SUCCESS"))).await;
    assert!(matches!(answer, Answer::Create(Outcome::Ok(Created::Paid(_)))), "{answer:?}");
    let (answer, _) = says(&op, script(error(400, "ORDER_CLOSED"), state("CLOSED"))).await;
    assert_eq!(answer, Answer::Create(Outcome::Ok(Created::NumberClosed)));
    let (answer, _) = says(&op, script(error(403, "OUT_TRADE_NO_USED"), state("NOTPAY"))).await;
    assert_eq!(answer.class(), Class::Unknown);
}

fn refund_body(status: &str) -> Back {
    let body = json!({
        "out_refund_no": refund_number().as_str(), "out_trade_no": number().as_str(),
        "status": status, "amount": { "refund": 500, "total": 1234, "currency": "CNY" },
    });
    wechat_signed(200, body.to_string(), &THEIRS)
}

#[tokio::test]
async fn a_refund_is_what_its_status_says_and_fails_only_when_none_is_known() {
    let op = Operation::Refund(refund(made(&qr(), None)));
    let ok = |state| Answer::Refund(Outcome::Ok(state));
    let (answer, _) = says(&op, |_| refund_body("PROCESSING")).await;
    assert_eq!(answer, ok(RefundState::Pending), "200 is accepted only");
    let (answer, _) = says(&op, |_| refund_body("ABNORMAL")).await;
    assert_eq!((answer.class(), answer.code()), (Class::Unknown, Some("ABNORMAL")));
    let (answer, _) = says(&op, |_| refund_body("CLOSED")).await;
    assert!(matches!(answer, Answer::Refund(Outcome::Ok(RefundState::Failed(_)))));
    for code in ["FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED", ""] {
        let (answer, _) = says(&op, move |_| error(429, code)).await;
        assert_eq!(answer.class(), Class::Unknown, "a limited refund may be under way");
    }
    let (answer, _) = says(&op, |_| error(403, "NOT_ENOUGH")).await;
    assert_eq!(answer.class(), Class::Unavailable);
    let script = |code: &'static str, second: Back| {
        move |got: &Got| if got.method == "POST" { error(400, code) } else { second.clone() }
    };
    let none = error(404, "RESOURCE_NOT_EXISTS");
    let (answer, asked) = says(&op, script("TRADE_OVERDUE", none.clone())).await;
    assert!(matches!(answer, Answer::Refund(Outcome::Ok(RefundState::Failed(_)))));
    assert_eq!(asked, 2);
    let (answer, _) = says(&op, script("TRADE_OVERDUE", refund_body("SUCCESS"))).await;
    assert_eq!(answer, ok(RefundState::Succeeded), "an earlier send had arrived");
    let (answer, _) = says(&op, script("PARAM_ERROR", none)).await;
    assert_eq!(answer.class(), Class::Rejected);
    let (answer, _) = says(&op, script("TRADE_OVERDUE", Back::Close)).await;
    assert_eq!(answer.class(), Class::Unknown);
}

#[tokio::test]
async fn answers_are_believed_in_either_key_mode_for_five_minutes() {
    let answer = |serial: &'static str, at: i64| {
        move |_: &Got| {
            let body = transaction(&Facts::good()).to_string();
            Back::Http(200, wechat_headers(&body, &THEIRS, serial, at), body.into())
        }
    };
    let now = NOW.as_secs();
    let serial: &'static str = Box::leak(THEIRS.serial_hex.clone().into_boxed_str());
    for (serial, at, class) in [
        (serial, now, Class::Ok),
        (KEY_ID, now, Class::Ok),
        (KEY_ID, now - 300, Class::Ok),
        (KEY_ID, now - 301, Class::Unknown),
        (KEY_ID, now + 301, Class::Unknown),
        ("PUB_KEY_ID_9", now, Class::Unknown),
        ("5157C5F1", now, Class::Unknown),
    ] {
        let (said, _) = says(&query(), answer(serial, at)).await;
        assert_eq!(said.class(), class, "{serial} {at}");
    }
}
