//! Alipay's requests, and the answers that need care.

use std::collections::BTreeMap;

use domain::{
    Answer, Class, CloseState, CloseWhy, Created, Device, Method, Operation, OrderState, Outcome,
    Presentation, RefundState,
};
use providers::{Reply, Response, Verdict};

use crate::fake::{Fake, Got};
use crate::keys::{OURS, STRANGERS, THEIRS};
use crate::peers::{Peer, alipay_body, alipay_settings};
use crate::world::{call, codec, made, number, order, refund, settings, stamp};

fn fields(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn canonical(mut fields: BTreeMap<String, String>) -> (String, String) {
    let sign = fields.remove("sign").expect("it is signed");
    let text: Vec<_> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
    (text.join("&"), sign)
}

#[test]
fn a_precreate_request_is_the_documented_text() {
    let codec = codec(&settings(alipay_settings()));
    let op = Operation::Create(order(Method::Alipay, Device::Qr));
    let Ok(Verdict::Ask(request, _)) = codec.request(&op, &stamp()) else { panic!("a request") };
    let (base, query) = request.url.split_once('?').expect("system parameters");
    assert_eq!(base, "http://127.0.0.1:1/gateway.do");
    let mut all = fields(query);
    assert!(!all.contains_key("biz_content"), "the content is in the body");
    all.extend(fields(std::str::from_utf8(&request.body).expect("a form")));
    let (text, sign) = canonical(all);
    assert_eq!(
        text,
        "app_id=2021000000000001&\
         biz_content={\"out_trade_no\":\"E01K00000000E0080000000000101\",\
         \"product_code\":\"QR_CODE_OFFLINE\",\"subject\":\"订单 a b c d\",\
         \"time_expire\":\"2026-09-21 22:28:20\",\"total_amount\":\"12.34\"}&\
         charset=utf-8&format=JSON&method=alipay.trade.precreate&\
         notify_url=https://pay.example/v1/notifications/main&sign_type=RSA2&\
         timestamp=2026-09-21 22:13:20&version=1.0"
            .replace("E01K00000000E0080000000000101", number().as_str())
    );
    assert!(OURS.verifies(text.as_bytes(), &sign));
}

#[test]
fn page_and_phone_links_are_signed_here_and_need_no_call() {
    let codec = codec(&settings(alipay_settings()));
    for (device, method, product) in [
        (Device::Desktop, "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        (Device::Mobile, "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    ] {
        let op = Operation::Create(order(Method::Alipay, device));
        let Ok(Verdict::Done(Answer::Create(Outcome::Ok(Created::Presented {
            presentation: Presentation::Redirect { url },
            reference: None,
        })))) = codec.request(&op, &stamp())
        else {
            panic!("an answer at once")
        };
        let all = fields(url.split_once('?').expect("parameters").1);
        assert_eq!(all["method"], method);
        assert_eq!(all["return_url"], "https://shop.example/back?x=1");
        assert!(all["biz_content"].contains(product));
        let (text, sign) = canonical(all);
        assert!(OURS.verifies(text.as_bytes(), &sign));
    }
}

/// What comes of an operation when the gateway answers each interface with one node.
async fn says(
    op: &Operation,
    nodes: &'static [(&'static str, &'static str)],
) -> (Answer, Vec<Got>) {
    let fake = Fake::start(move |got| {
        let method = got.field("method").unwrap_or_default();
        let node = nodes.iter().find(|(m, _)| method.ends_with(m)).map_or("{}", |(_, n)| n);
        alipay_body(&method, &node.replace("NUMBER", number().as_str()), &THEIRS)
    })
    .await;
    let answer = call(&Peer::Alipay.settings(&fake.url()), op).await;
    (answer, fake.requests())
}

const NO_TRADE: &str = r#"{"code":"40004","msg":"Business Failed","sub_code":"ACQ.TRADE_NOT_EXIST","sub_msg":"交易不存在"}"#;
const STATUS: &str =
    r#"{"code":"40004","msg":"Business Failed","sub_code":"ACQ.TRADE_STATUS_ERROR"}"#;
const BUSY: &str = r#"{"code":"40004","msg":"Business Failed","sub_code":"ACQ.SYSTEM_ERROR"}"#;
const WAITS: &str = r#"{"code":"10000","out_trade_no":"NUMBER","trade_no":"T","trade_status":"WAIT_BUYER_PAY","total_amount":"12.34"}"#;
const PAID: &str = r#"{"code":"10000","out_trade_no":"NUMBER","trade_no":"T","trade_status":"TRADE_SUCCESS","total_amount":"12.34","send_pay_date":"2026-09-21 22:13:20"}"#;
const REFUNDED: &str = r#"{"code":"10000","out_trade_no":"NUMBER","trade_no":"T","trade_status":"TRADE_CLOSED","total_amount":"12.34","send_pay_date":"2026-09-21 22:13:20"}"#;
const CLOSED: &str = r#"{"code":"10000","out_trade_no":"NUMBER","trade_no":"T","trade_status":"TRADE_CLOSED","total_amount":"12.34","receipt_amount":"0.00"}"#;
const YES: &str = r#"{"code":"10000","out_trade_no":"NUMBER","trade_no":"T"}"#;

fn close(why: CloseWhy) -> Operation {
    Operation::Close(made(&order(Method::Alipay, Device::Qr), None), why)
}

fn query() -> Operation {
    Operation::Query(made(&order(Method::Alipay, Device::Qr), None))
}

#[tokio::test]
async fn a_closed_trade_was_paid_if_it_shows_a_payment() {
    let (answer, _) = says(&query(), &[("query", REFUNDED)]).await;
    let Answer::Query(Outcome::Ok(OrderState::PaidAndRefunded(receipt))) = answer else {
        panic!("paid, and all of it given back: {answer:?}")
    };
    assert_eq!(receipt.captured.minor(), 1234);
    let (answer, _) = says(&query(), &[("query", CLOSED)]).await;
    assert_eq!(answer, Answer::Query(Outcome::Ok(OrderState::Closed)));
    let (answer, _) = says(&query(), &[("query", NO_TRADE)]).await;
    assert_eq!(answer, Answer::Query(Outcome::Ok(OrderState::NotFound)));
    let (answer, _) = says(&query(), &[("query", WAITS)]).await;
    assert_eq!(answer, Answer::Query(Outcome::Ok(OrderState::Payable)));
}

#[tokio::test]
async fn a_close_is_proved_or_looked_into() {
    let shown = close(CloseWhy::Shown);
    let (answer, asked) = says(&shown, &[("close", YES)]).await;
    assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::Closed)));
    assert_eq!(asked.len(), 1);
    let (answer, asked) = says(&shown, &[("close", STATUS), ("query", PAID)]).await;
    assert!(matches!(answer, Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))));
    assert_eq!(asked.len(), 2);
    let (answer, _) = says(&shown, &[("close", NO_TRADE), ("query", NO_TRADE)]).await;
    assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::NotFound)), "no proof");
    let (answer, _) = says(&shown, &[("close", NO_TRADE), ("query", WAITS)]).await;
    assert_eq!(answer.class(), Class::Unknown, "the buyer opened it in between");
    let (answer, asked) = says(&shown, &[("close", BUSY)]).await;
    assert_eq!((answer.class(), asked.len()), (Class::Unknown, 1));
}

#[tokio::test]
async fn rule_6_an_orphan_is_looked_at_closed_and_never_cancelled() {
    let orphan = close(CloseWhy::Orphan);
    let (answer, asked) = says(&orphan, &[("query", PAID)]).await;
    assert!(matches!(answer, Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))));
    assert_eq!(asked.len(), 1);
    let (answer, _) = says(&orphan, &[("query", WAITS), ("close", YES)]).await;
    assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::Closed)));
    let (answer, asked) = says(&orphan, &[("query", NO_TRADE)]).await;
    assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::NotFound)), "no proof");
    assert_eq!(asked.len(), 1, "a cancel could give back what nobody told us of yet");
    let (answer, asked) = says(&orphan, &[("query", BUSY)]).await;
    assert_eq!((answer.class(), asked.len()), (Class::Unknown, 1));
}

#[tokio::test]
async fn a_number_with_a_state_of_its_own_is_looked_at() {
    let op = Operation::Create(order(Method::Alipay, Device::Qr));
    const HAS: &str = r#"{"code":"40004","sub_code":"ACQ.TRADE_HAS_SUCCESS"}"#;
    const SHUT: &str = r#"{"code":"40004","sub_code":"ACQ.TRADE_HAS_CLOSE"}"#;
    let (answer, _) = says(&op, &[("precreate", HAS), ("query", PAID)]).await;
    assert!(matches!(answer, Answer::Create(Outcome::Ok(Created::Paid(_)))), "{answer:?}");
    let (answer, _) = says(&op, &[("precreate", SHUT), ("query", CLOSED)]).await;
    assert_eq!(answer, Answer::Create(Outcome::Ok(Created::NumberClosed)));
    let (answer, _) = says(&op, &[("precreate", HAS), ("query", NO_TRADE)]).await;
    assert_eq!(answer.code(), Some("ACQ.TRADE_HAS_SUCCESS"));
    assert_eq!(answer.class(), Class::Unknown);
}

#[tokio::test]
async fn a_refund_fails_only_when_none_stands_under_its_number() {
    let op = Operation::Refund(refund(made(&order(Method::Alipay, Device::Qr), None)));
    const NO: &str = r#"{"code":"40004","sub_code":"ACQ.TRADE_NOT_ALLOW_REFUND"}"#;
    const NONE: &str = r#"{"code":"10000","msg":"Success"}"#;
    const N: &str = r#"{"code":"10000","out_trade_no":"NUMBER","trade_no":"T","fund_change":"N","refund_fee":"5.00"}"#;
    const POOR: &str = r#"{"code":"40004","sub_code":"ACQ.SELLER_BALANCE_NOT_ENOUGH"}"#;
    const OTHER: &str = r#"{"code":"40004","sub_code":"ACQ.DISCORDANT_REPEAT_REQUEST"}"#;
    let (answer, asked) = says(&op, &[("trade.refund", NO), ("refund.query", NONE)]).await;
    let Answer::Refund(Outcome::Ok(RefundState::Failed(fault))) = answer else {
        panic!("failed for good: {answer:?}")
    };
    assert_eq!((fault.code.as_str(), asked.len()), ("ACQ.TRADE_NOT_ALLOW_REFUND", 2));
    let (answer, _) = says(&op, &[("trade.refund", N)]).await;
    assert_eq!(answer, Answer::Refund(Outcome::Ok(RefundState::Pending)), "N is no failure");
    let (answer, _) = says(&op, &[("trade.refund", POOR)]).await;
    assert_eq!(answer.class(), Class::Unavailable);
    let (answer, _) = says(&op, &[("trade.refund", OTHER), ("refund.query", NONE)]).await;
    assert_eq!(answer.class(), Class::Unknown, "something stands under this number");
    let (answer, _) = says(&op, &[("trade.refund", BUSY)]).await;
    assert_eq!(answer.class(), Class::Unknown);
}

#[test]
fn an_unsigned_refusal_is_believed_only_where_no_money_moves() {
    let codec = codec(&settings(alipay_settings()));
    let order = order(Method::Alipay, Device::Qr);
    let body = r#"{"error_response":{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-app-id"}}"#;
    for (op, class) in [
        (Operation::Create(order.clone()), Class::Rejected),
        (query(), Class::Rejected),
        (close(CloseWhy::Shown), Class::Unknown),
        (Operation::Refund(refund(made(&order, None))), Class::Unknown),
        (Operation::QueryRefund(refund(made(&order, None))), Class::Rejected),
    ] {
        let Ok(Verdict::Ask(_, step)) = codec.request(&op, &stamp()) else { panic!("a request") };
        let response = Response { status: 200, headers: vec![], body: body.into() };
        let verdict = codec.reply(&op, &step, &Reply::Answered(response), &stamp());
        let Verdict::Done(answer) = verdict else { panic!("an answer") };
        assert_eq!((answer.class(), answer.code()), (class, Some("isv.invalid-app-id")));
    }
}

#[tokio::test]
async fn certificate_mode_names_our_certificates_and_picks_theirs() {
    let mut value = alipay_settings();
    value.as_object_mut().expect("a table").remove("alipay_public_key");
    value["app_certificate"] = OURS.certificate_pem.clone().into();
    value["alipay_certificate"] =
        format!("{}{}", STRANGERS.certificate_pem, THEIRS.certificate_pem).into();
    value["alipay_root_certificate"] =
        format!("{}{}", STRANGERS.certificate_pem, THEIRS.certificate_pem).into();
    let names = |pair: &crate::keys::Pair| {
        md5(&format!("CN={},O=Evergate\\, tests,C=CN{}", pair.name, pair.serial_decimal()))
    };
    let theirs = names(&THEIRS);
    let fake = {
        let theirs = theirs.clone();
        Fake::start(move |got| {
            let wrong = got.field("method").is_some_and(|m| m.ends_with("close"));
            let sn = if wrong { names(&STRANGERS) } else { theirs.clone() };
            let node = format!(
                r#"{{"code":"10000","out_trade_no":"{}","trade_no":"T","trade_status":"WAIT_BUYER_PAY","total_amount":"12.34"}}"#,
                number()
            );
            let name = got.field("method").unwrap_or_default().replace('.', "_");
            let sign = THEIRS.sign(node.as_bytes());
            crate::fake::Back::json(
                200,
                format!(r#"{{"{name}_response":{node},"alipay_cert_sn":"{sn}","sign":"{sign}"}}"#),
            )
        })
        .await
    };
    value["base_url"] = fake.url().into();
    let settings = settings(value);
    assert_eq!(call(&settings, &query()).await, Answer::Query(Outcome::Ok(OrderState::Payable)));
    let answer = call(&settings, &close(CloseWhy::Shown)).await;
    assert_eq!(answer.code(), Some("unverified"), "the named certificate did not sign it");
    let sent = &fake.requests()[0];
    assert_eq!(sent.field("app_cert_sn"), Some(names(&OURS)));
    let roots = format!("{}_{theirs}", names(&STRANGERS));
    assert_eq!(sent.field("alipay_root_cert_sn"), Some(roots));
    assert_eq!(settings.certificates().len(), 5);
}

/// The reference for the MD5 of a short text, from the system's own tool.
fn md5(text: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut tool = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("md5sum, of the package coreutils");
    tool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a write");
    let output = tool.wait_with_output().expect("an end").stdout;
    String::from_utf8_lossy(&output[..32]).into_owned()
}
