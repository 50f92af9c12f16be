//! UnionPay's forms and messages, and whom they are believed from.

use std::collections::BTreeMap;

use domain::{
    Answer, Class, CloseState, CloseWhy, Created, Device, Method, NoticeKind, Operation,
    OrderState, Outcome, Presentation, RefundState,
};
use providers::{Delivery, Forged, Unsupported, Verdict};
use serde_json::{Value, json};

use crate::fake::{Fake, Got};
use crate::keys::{Authority, MIDDLE, OURS, Pair, ROOT, STRANGERS, THEIRS};
use crate::peers::{
    Peer, QUERY_ID, SIGNER, union_body, union_digest, union_sealed, unionpay_settings,
};
use crate::world::{
    NOW, call, channel, codec, made, number, order, refund, refund_number, settings, stamp,
};

type Fields = BTreeMap<String, String>;

fn fields(text: &[u8]) -> Fields {
    form_urlencoded::parse(text).into_owned().collect()
}

fn canonical(fields: &Fields) -> String {
    let kept = fields.iter().filter(|(name, _)| *name != "signature");
    kept.map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&")
}

fn certificate() -> String {
    MIDDLE.leaf(&THEIRS, SIGNER, (2020, 2040))
}

#[test]
fn the_form_is_the_documented_text() {
    let codec = codec(&settings(unionpay_settings()));
    let op = Operation::Create(order(Method::UnionPay, Device::Desktop));
    let Ok(Verdict::Done(Answer::Create(Outcome::Ok(Created::Presented {
        presentation: Presentation::Form { url, fields },
        reference: None,
    })))) = codec.request(&op, &stamp())
    else {
        panic!("a form at once")
    };
    assert_eq!(url, "http://127.0.0.1:1/gateway/api/frontTransReq.do");
    let wanted = format!(
        "accessType=0&backUrl=https://pay.example/v1/notifications/main&bizType=000201&\
         certId={}&channelType=07&currencyCode=156&encoding=UTF-8&\
         frontUrl=https://shop.example/back?x=1&merId=777290058110048&orderDesc=订单 a/b c d&\
         orderId={}&payTimeout=20260921222820&signMethod=01&txnAmt=1234&txnSubType=01&\
         txnTime=20260921221320&txnType=01&version=5.1.0",
        OURS.serial_decimal(),
        number()
    );
    assert_eq!(canonical(&fields), wanted);
    assert!(OURS.verifies(union_digest(&fields).as_bytes(), &fields["signature"]));
}

#[test]
fn phones_are_named_and_what_cannot_be_done_is_said() {
    let codec = codec(&settings(unionpay_settings()));
    let create = |order| codec.request(&Operation::Create(order), &stamp());
    let Ok(Verdict::Done(Answer::Create(Outcome::Ok(Created::Presented {
        presentation: Presentation::Form { fields, .. },
        ..
    })))) = create(order(Method::UnionPay, Device::Mobile))
    else {
        panic!("a form")
    };
    assert_eq!(fields["channelType"], "08");
    let mut nowhere = order(Method::UnionPay, Device::Mobile);
    nowhere.return_url = None;
    assert!(matches!(create(nowhere), Err(Unsupported(why)) if why.contains("return_url")));
    let card = order(Method::Card, Device::Desktop);
    assert!(create(card.clone()).is_err(), "cards only where the settings say so");
    let mut value = unionpay_settings();
    value["methods"] = json!(["union_pay", "card"]);
    let both = crate::world::codec(&settings(value));
    assert!(both.request(&Operation::Create(card), &stamp()).is_ok());
}

#[test]
fn back_end_calls_are_the_documented_texts() {
    let codec = codec(&settings(unionpay_settings()));
    let paid = made(&order(Method::UnionPay, Device::Desktop), Some(QUERY_ID));
    let ask = |op: Operation| match codec.request(&op, &stamp()) {
        Ok(Verdict::Ask(request, _)) => (request.url.clone(), fields(&request.body)),
        other => panic!("a request: {other:?}"),
    };
    let common = |kind: &str, business: &str, id: &str| {
        format!(
            "bizType={business}&certId={}&channelType=07&{kind}encoding=UTF-8&\
             merId=777290058110048&orderId={id}&",
            OURS.serial_decimal()
        )
    };
    for op in [Operation::Query(paid.clone()), Operation::Close(paid.clone(), CloseWhy::Shown)] {
        let (url, query) = ask(op);
        assert_eq!(url, "http://127.0.0.1:1/gateway/api/queryTrans.do");
        let wanted = format!(
            "accessType=0&{}signMethod=01&txnSubType=00&txnTime=20260921221320&txnType=00&\
             version=5.1.0",
            common("", "000000", number().as_str())
        );
        assert_eq!(canonical(&query), wanted);
        assert!(OURS.verifies(union_digest(&query).as_bytes(), &query["signature"]));
    }
    let (url, back) = ask(Operation::Refund(refund(paid)));
    assert_eq!(url, "http://127.0.0.1:1/gateway/api/backTransReq.do");
    let wanted = format!(
        "accessType=0&backUrl=https://pay.example/v1/notifications/main&{}\
         origQryId={QUERY_ID}&reqReserved={}&signMethod=01&txnAmt=500&txnSubType=00&\
         txnTime=20260921221320&txnType=04&version=5.1.0",
        common("", "000201", refund_number().as_str()),
        number()
    );
    assert_eq!(canonical(&back), wanted);
    assert!(OURS.verifies(union_digest(&back).as_bytes(), &back["signature"]));
}

/// What comes of an operation when the platform's answers are these fields over the request's.
async fn says(op: &Operation, answers: &'static [&'static [(&str, &str)]]) -> (Answer, usize) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |got: &Got| {
        let at = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut answer = fields(&got.body);
        answer.retain(|name, _| !matches!(&**name, "signature" | "backUrl"));
        let said = answers.get(at).copied().unwrap_or_default();
        answer.extend(said.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        union_body(answer, &THEIRS, &certificate())
    })
    .await;
    let answer = call(&Peer::UnionPay.settings(&fake.url()), op).await;
    (answer, fake.requests().len())
}

const PAID: &[(&str, &str)] = &[
    ("respCode", "00"),
    ("origRespCode", "00"),
    ("queryId", QUERY_ID),
    ("txnAmt", "1234"),
    ("currencyCode", "156"),
    ("reqReserved", "{a=1&b={c=2}}"),
];

#[tokio::test]
async fn queries_say_what_the_payment_came_to() {
    let order = made(&order(Method::UnionPay, Device::Desktop), None);
    let state = async |answers| says(&Operation::Query(order.clone()), answers).await.0;
    let paid = state(&[PAID]).await;
    let Answer::Query(Outcome::Ok(OrderState::Paid(receipt))) = paid else { panic!("{paid:?}") };
    assert_eq!((receipt.reference.as_str(), receipt.captured), (QUERY_ID, order.money));
    let found = |state| Answer::Query(Outcome::Ok(state));
    let limited = state(&[&[
        ("respCode", "00"),
        ("origRespCode", "A6"),
        ("queryId", QUERY_ID),
        ("txnAmt", "1234"),
    ]])
    .await;
    assert!(matches!(limited, Answer::Query(Outcome::Ok(OrderState::Paid(_)))), "{limited:?}");
    for code in ["03", "04", "05"] {
        let leaked: &'static [(&str, &str)] =
            Box::leak(Box::new([("respCode", "00"), ("origRespCode", code)]));
        let leaked: &'static [&'static [(&str, &str)]] = Box::leak(Box::new([leaked]));
        assert_eq!(state(leaked).await, found(OrderState::Processing), "{code}");
    }
    assert_eq!(state(&[&[("respCode", "34")]]).await, found(OrderState::NotFound));
    let refused = state(&[&[("respCode", "00"), ("origRespCode", "64")]]).await;
    assert_eq!(refused, found(OrderState::NotFound), "one try, not the order");
    for answers in [
        &[&[("respCode", "00"), ("origRespCode", "74")] as &[(&str, &str)]],
        &[&[("respCode", "00"), ("origRespCode", "75")]],
        &[&[("respCode", "00"), ("origRespCode", "42")]],
        &[&[("respCode", "00"), ("origRespCode", "??")]],
        &[&[("respCode", "00")]],
        &[&[("respCode", "00"), ("origRespCode", "00"), ("txnAmt", "1234")]],
        &[&[("respCode", "00"), ("origRespCode", "00"), ("queryId", "1")]],
        &[&[
            ("respCode", "00"),
            ("origRespCode", "00"),
            ("queryId", "1"),
            ("txnAmt", "1234"),
            ("currencyCode", "840"),
        ]],
    ] as [&[&[(&str, &str)]]; 8]
    {
        assert_eq!(state(answers).await.class(), Class::Unknown, "{answers:?}");
    }
}

#[tokio::test]
async fn an_answer_about_another_transaction_or_merchant_proves_nothing() {
    let order = made(&order(Method::UnionPay, Device::Desktop), None);
    for answers in [
        &[&[("respCode", "34"), ("orderId", "E0000000000000000000000000099")] as &[(&str, &str)]],
        &[&[("respCode", "34"), ("txnTime", "20260921221321")]],
        &[&[("respCode", "34"), ("merId", "777000000000000")]],
    ] as [&[&[(&str, &str)]]; 3]
    {
        for op in
            [Operation::Query(order.clone()), Operation::Close(order.clone(), CloseWhy::Shown)]
        {
            let (answer, _) = says(&op, answers).await;
            assert_eq!((answer.class(), answer.code().is_some()), (Class::Unknown, true));
        }
    }
}

#[tokio::test]
async fn a_close_asks_and_never_claims() {
    let order = made(&order(Method::UnionPay, Device::Desktop), None);
    let close = Operation::Close(order, CloseWhy::Shown);
    let found = |state| Answer::Close(Outcome::Ok(state));
    let (answer, calls) = says(&close, &[&[("respCode", "34")]]).await;
    assert_eq!((answer, calls), (found(CloseState::NotFound), 1));
    let (answer, _) = says(&close, &[&[("respCode", "00"), ("origRespCode", "05")]]).await;
    assert_eq!(answer, found(CloseState::Processing));
    let (answer, _) = says(&close, &[PAID]).await;
    assert!(matches!(answer, Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))));
    let (answer, _) = says(&close, &[&[("respCode", "00"), ("origRespCode", "74")]]).await;
    assert_eq!(answer.class(), Class::Unknown);
}

#[tokio::test]
async fn refunds_find_their_payment_and_look_before_they_fail() {
    let unlearned = made(&order(Method::UnionPay, Device::Desktop), None);
    let learned = made(&order(Method::UnionPay, Device::Desktop), Some(QUERY_ID));
    let pending = Answer::Refund(Outcome::Ok(RefundState::Pending));
    let op = Operation::Refund(refund(unlearned));
    assert_eq!(says(&op, &[PAID, &[("respCode", "00")]]).await, (pending.clone(), 2));
    let (answer, calls) = says(&op, &[&[("respCode", "34")]]).await;
    assert_eq!((answer.class(), calls), (Class::Unknown, 1), "no payment to give back");
    let op = Operation::Refund(refund(learned));
    assert_eq!(says(&op, &[&[("respCode", "00")]]).await, (pending, 1));
    // Refused, and nothing stands under its number.
    let (answer, calls) = says(&op, &[&[("respCode", "43")], &[("respCode", "34")]]).await;
    let failed = matches!(&answer, Answer::Refund(Outcome::Ok(RefundState::Failed(_))));
    assert!(failed && calls == 2, "{answer:?}");
    // Refused, because an earlier send of it went through.
    let done: &[(&str, &str)] = &[("respCode", "00"), ("origRespCode", "00"), ("txnAmt", "500")];
    let succeeded = Answer::Refund(Outcome::Ok(RefundState::Succeeded));
    let leaked: &'static [&'static [(&str, &str)]] =
        Box::leak(Box::new([&[("respCode", "12")] as &[(&str, &str)], done]));
    assert_eq!(says(&op, leaked).await, (succeeded, 2));
    // Its number is called taken, and nothing stands under it: a doubt.
    let (answer, _) = says(&op, &[&[("respCode", "12")], &[("respCode", "34")]]).await;
    assert_eq!(answer.class(), Class::Unknown);
    // The look was not answered.
    let (answer, _) = says(&op, &[&[("respCode", "43")], &[("respCode", "06")]]).await;
    assert_eq!(answer.class(), Class::Unknown);
}

fn paid_fields() -> Fields {
    [
        ("version", "5.1.0"),
        ("encoding", "UTF-8"),
        ("signMethod", "01"),
        ("txnType", "01"),
        ("txnSubType", "01"),
        ("merId", "777290058110048"),
        ("orderId", number().as_str()),
        ("txnTime", "20260921221320"),
        ("txnAmt", "1234"),
        ("currencyCode", "156"),
        ("queryId", QUERY_ID),
        ("traceTime", "0921221325"),
        ("respCode", "00"),
        ("respMsg", "成功[0000000]"),
        ("accNo", "6226********0065"),
        ("reserved", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn delivery(fields: &Fields) -> Delivery {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Delivery { headers: vec![], body: body.into_bytes() }
}

fn with(mut fields: Fields, changes: &[(&str, &str)]) -> Fields {
    fields.extend(changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    fields
}

#[test]
fn notices_say_what_they_prove() {
    let codec = codec(&settings(unionpay_settings()));
    let read = |changes: &[(&str, &str)]| {
        let fields = union_sealed(with(paid_fields(), changes), &THEIRS, &certificate());
        codec.notice(&delivery(&fields), NOW)
    };
    let told = read(&[]).expect("a proof");
    assert_eq!(told.number, number());
    let NoticeKind::Order(OrderState::Paid(receipt)) = &told.kind else { panic!("{told:?}") };
    assert_eq!((receipt.captured.minor(), receipt.reference.as_str()), (1234, QUERY_ID));
    assert_eq!(receipt.paid_at, Some(NOW + std::time::Duration::from_secs(5)));
    assert!(read(&[("respCode", "A6")]).is_ok_and(|n| matches!(n.kind, NoticeKind::Order(_))));
    assert_eq!(read(&[("respCode", "05")]).map(|n| n.kind), Ok(NoticeKind::Hint));
    let back = [
        ("txnType", "04"),
        ("orderId", refund_number().as_str()),
        ("reqReserved", number().as_str()),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()));
    let back: Vec<_> = back.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let told = read(&back).expect("a proof");
    assert_eq!(told.number, number());
    let wanted = NoticeKind::Refund { refund: refund_number(), state: RefundState::Succeeded };
    assert_eq!(told.kind, wanted);
    assert_eq!(read(&[("merId", "777000000000000")]), Err(Forged::Account("merId")));
    assert!(matches!(read(&[("txnType", "76")]), Err(Forged::Irrelevant(_))));
    for broken in [("txnAmt", "12.34"), ("txnAmt", ""), ("currencyCode", "840"), ("queryId", "")] {
        assert!(matches!(read(&[broken]), Err(Forged::Malformed(_))), "{broken:?}");
    }
    assert_eq!(codec.acknowledge(true).status, 200);
    assert_ne!(codec.acknowledge(false).status, 200);
}

#[test]
fn only_unionpays_own_valid_certificate_of_the_configured_chain_proves() {
    let codec = codec(&settings(unionpay_settings()));
    let read = |key: &Pair, certificate: &str| {
        let fields = union_sealed(paid_fields(), key, certificate);
        codec.notice(&delivery(&fields), NOW)
    };
    assert!(read(&THEIRS, &certificate()).is_ok());
    let strangers_root = Authority::root("up-stranger");
    // The same names, another root's key.
    let look_alike = Authority::root("up-stranger-2");
    for (what, key, pem) in [
        ("a stranger's key", &STRANGERS, certificate()),
        ("another merchant of the same issuer", &STRANGERS, {
            MIDDLE.leaf(&STRANGERS, "041@Z2014-11-11@777290058110048:SIGN@00000006", (2020, 2040))
        }),
        ("a production name in the test system", &THEIRS, {
            MIDDLE.leaf(&THEIRS, "041@Z2014-11-11@中国银联股份有限公司@00000005", (2020, 2040))
        }),
        ("expired", &THEIRS, MIDDLE.leaf(&THEIRS, SIGNER, (2015, 2020))),
        ("not valid yet", &THEIRS, MIDDLE.leaf(&THEIRS, SIGNER, (2030, 2040))),
        ("another issuer", &STRANGERS, strangers_root.leaf(&STRANGERS, SIGNER, (2020, 2040))),
        ("its own issuer", &STRANGERS, look_alike.certificate_pem.clone()),
        ("the root itself", &THEIRS, ROOT.leaf(&THEIRS, SIGNER, (2020, 2040))),
        ("no certificate", &THEIRS, "x".to_owned()),
        ("an empty one", &THEIRS, String::new()),
    ] {
        let found = read(key, &pem);
        assert!(matches!(found, Err(Forged::Signature(_))), "{what}: {found:?}");
    }
    // A changed field, a missing signature, a field twice.
    let good = union_sealed(paid_fields(), &THEIRS, &certificate());
    let changed = codec.notice(&delivery(&with(good.clone(), &[("txnAmt", "1")])), NOW);
    assert!(matches!(changed, Err(Forged::Signature(_))));
    let mut unsigned = good.clone();
    unsigned.remove("signature");
    assert!(matches!(codec.notice(&delivery(&unsigned), NOW), Err(Forged::Signature(_))));
    let mut twice = delivery(&good);
    twice.body.extend_from_slice(b"&txnAmt=1");
    assert!(matches!(codec.notice(&twice, NOW), Err(Forged::Malformed(_))));
    // Signing the text itself, as some clients do, is not the protocol's way.
    let mut once = good.clone();
    let text: Vec<_> = once
        .iter()
        .filter(|(n, v)| *n != "signature" && !v.is_empty())
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    let signature = THEIRS.sign(text.join("&").as_bytes());
    once.insert("signature".into(), signature);
    assert!(matches!(codec.notice(&delivery(&once), NOW), Err(Forged::Signature(_))));
}

fn mistakes(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut value = unionpay_settings();
    change(&mut value);
    match settings(value).build(&channel(), crate::world::NOTIFY) {
        Ok(_) => Vec::new(),
        Err(found) => found.into_iter().map(|m| m.field).collect(),
    }
}

#[test]
fn settings_name_every_mistake() {
    assert!(mistakes(|_| {}).is_empty());
    let stranger = Authority::root("up-stranger").middle("up-middle");
    let told = mistakes(|v| v["middle_certificate"] = stranger.certificate_pem.clone().into());
    assert_eq!(told, ["channels.main.middle_certificate"], "no configured root signed it");
    let leaf = certificate();
    let told = mistakes(|v| v["middle_certificate"] = leaf.into());
    assert_eq!(told, ["channels.main.middle_certificate"], "it may not vouch for others");
    let told = mistakes(|v| v["certificate"] = THEIRS.certificate_pem.clone().into());
    assert_eq!(told, ["channels.main.private_key"]);
    let told = mistakes(|v| {
        v["mer_id"] = "1".into();
        v["base_url"] = "ftp://x".into();
        v.as_object_mut().unwrap().remove("root_certificate");
        v.as_object_mut().unwrap().remove("certificate");
    });
    let wanted = ["mer_id", "base_url", "root_certificate", "certificate"];
    assert_eq!(told, wanted.map(|field| format!("channels.main.{field}")));
    let names: Vec<_> =
        settings(unionpay_settings()).certificates().into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["certificate", "middle_certificate", "root_certificate"]);
}
