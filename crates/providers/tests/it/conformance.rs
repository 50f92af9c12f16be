//! What every provider's codec must do, through the real driver.

use domain::{Answer, Class, CloseState, Operation, Outcome, RefundState};

use crate::fake::{Back, Fake, Got};
use crate::peers::{Facts, PEERS, Peer};
use crate::world::{call, operations};

/// Calls each operation at a peer that answers through `twist`, and hands on what came of it.
async fn each(
    facts: impl Fn(&Operation) -> Facts + Send + Sync + Clone + 'static,
    twist: impl Fn(Peer, &Got, Back) -> Back + Send + Sync + Clone + 'static,
    check: impl Fn(Peer, &Operation, Answer),
) {
    for peer in PEERS {
        for op in peer.operations() {
            let (facts, twist) = (facts(&op), twist.clone());
            let fake = Fake::start(move |got| match peer.token(got) {
                // A token that cannot be had is a test of its own.
                Some(token) => token,
                None => twist(peer, got, peer.answer(got, &facts)),
            })
            .await;
            let answer = call(&peer.settings(&fake.url()), &op).await;
            check(peer, &op, answer);
        }
    }
}

/// Good facts: a close finds the order closed, everything else finds it paid.
fn good(op: &Operation) -> Facts {
    Facts { closed: matches!(op, Operation::Close(..)), ..Facts::good() }
}

/// An answer that claims nothing. A close may say that it was accepted, which is no proof.
fn claims_nothing(peer: Peer, op: &Operation, answer: &Answer) {
    let nothing = answer.class() == Class::Unknown
        || matches!(answer, Answer::Close(Outcome::Ok(CloseState::Accepted)));
    assert!(nothing, "{peer:?} {}: {answer:?}", op.name());
}

async fn broken(twist: impl Fn(Back) -> Back + Send + Sync + Clone + 'static) {
    each(good, move |_, _, back| twist(back), |p, o, a| claims_nothing(p, o, &a)).await;
}

#[tokio::test]
async fn good_answers_are_good() {
    each(
        good,
        |_, _, back| back,
        |peer, op, answer| {
            assert_eq!(answer.class(), Class::Ok, "{peer:?} {}: {answer:?}", op.name());
        },
    )
    .await;
}

#[tokio::test]
async fn an_answer_about_another_order_proves_nothing() {
    let other = |op: &Operation| Facts {
        number: "E0000000000000000000000000099".into(),
        refund: "R0000000000000000000000000099".into(),
        ..good(op)
    };
    each(
        other,
        |_, _, back| back,
        |peer, op, answer| {
            let none = Answer::QueryRefund(Outcome::Ok(RefundState::NotFound));
            match (peer, op) {
                // Its answer to a create call names no order.
                (Peer::WechatPay, Operation::Create(_)) => {}
                // Its list of an order's refunds is an answer, and ours is not in it.
                (Peer::Stripe, Operation::QueryRefund(_)) => assert_eq!(answer, none),
                _ => claims_nothing(peer, op, &answer),
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_answer_about_another_amount_proves_nothing() {
    let other = |op: &Operation| Facts { amount: 1233, refunded: 499, ..good(op) };
    each(
        other,
        |_, _, back| back,
        |peer, op, answer| {
            let amountless = matches!(
                (peer, op),
                (Peer::WechatPay, Operation::Create(_))
                    | (Peer::Alipay, Operation::Create(_) | Operation::Close(..))
                    // No transaction has no amount.
                    | (Peer::UnionPay, Operation::Close(..))
            );
            if !amountless {
                claims_nothing(peer, op, &answer);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_wrong_signature_proves_nothing() {
    let forged = |op: &Operation| Facts { forged: true, ..good(op) };
    each(
        forged,
        |_, _, back| back,
        |peer, op, answer| {
            if peer.is_signed() {
                claims_nothing(peer, op, &answer);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_changed_byte_proves_nothing() {
    let change = |peer: Peer, _: &Got, back: Back| match back {
        Back::Http(status, headers, body) if peer.is_signed() => {
            let text = String::from_utf8(body).expect("text");
            let text = text.replace("SUCCESS", "success").replace("qr.a", "qr.b");
            let text = text.replace("respMsg=成", "respMsg=完");
            Back::Http(status, headers, text.replace("weixin", "weixim").into_bytes())
        }
        back => back,
    };
    each(good, change, |peer, op, answer| {
        if peer.is_signed() && !matches!(op, Operation::Close(..) | Operation::Refund(_)) {
            claims_nothing(peer, op, &answer);
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_signature_proves_nothing() {
    let strip = |peer: Peer, _: &Got, back: Back| match back {
        Back::Http(status, headers, body) if peer == Peer::UnionPay => {
            let text = String::from_utf8(body).expect("text");
            let (front, back) = text.split_once("&signature=").expect("it is signed");
            let rest = back.split_once('&').map_or("", |(_, rest)| rest);
            Back::Http(status, headers, format!("{front}&{rest}").into())
        }
        Back::Http(status, _, body) if peer == Peer::WechatPay => Back::Http(status, vec![], body),
        Back::Http(status, headers, body) if peer == Peer::Alipay => {
            let text = String::from_utf8(body).expect("text");
            let cut = text.find(r#","sign""#).expect("it is signed");
            Back::Http(status, headers, format!("{}}}", &text[..cut]).into())
        }
        back => back,
    };
    each(good, strip, |peer, op, answer| {
        if peer.is_signed() {
            claims_nothing(peer, op, &answer);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_cut_off_proves_nothing() {
    // The length is right, so only the content is.
    broken(|back| match back {
        Back::Http(status, headers, body) if status != 204 => {
            let half = body.len() / 2;
            Back::Http(status, headers, body[..half].to_vec())
        }
        _ => Back::Close,
    })
    .await;
    // The connection ends before the length that was promised.
    broken(|_| Back::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\":".to_vec())).await;
    broken(|_| Back::Raw(b"HTTP/1.1 200 OK\r\ntransfer-enc".to_vec())).await;
    broken(|_| {
        Back::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":".to_vec())
    })
    .await;
}

#[tokio::test]
async fn what_is_not_the_protocol_proves_nothing() {
    let html = "<html><body>系统维护中</body></html>";
    broken(move |_| {
        Back::Http(200, vec![("content-type".into(), "text/html".into())], html.into())
    })
    .await;
    broken(|_| Back::json(200, "")).await;
    broken(|_| Back::json(200, "{}")).await;
    broken(|_| Back::json(200, "null")).await;
    broken(|_| Back::json(200, "[".repeat(100_000))).await;
    broken(|_| Back::json(200, vec![0xff, 0xfe, 0x00])).await;
    broken(|_| Back::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await;
    broken(|_| Back::Close).await;
}

#[tokio::test]
async fn server_errors_and_odd_statuses_prove_nothing() {
    for status in [202, 301, 302, 409, 424, 500, 502, 503, 504] {
        broken(move |_| Back::json(status, "{}")).await;
        broken(move |_| Back::json(status, r#"{"code":"SYSTEM_ERROR"}"#)).await;
        broken(move |_| Back::Http(status, vec![], "<html>bad gateway</html>".into())).await;
    }
}

#[tokio::test]
async fn a_refund_or_charge_that_is_limited_by_something_in_between_stays_unknown() {
    let limited = |_: Peer, _: &Got, _: Back| Back::Http(429, vec![], "<html>slow down".into());
    each(good, limited, |peer, op, answer| {
        match op {
            // Each starts with a question there, which changes nothing.
            Operation::Refund(_) | Operation::Close(..) if peer == Peer::Paypal => {
                assert_eq!(answer.class(), Class::Unavailable);
            }
            Operation::Refund(_) | Operation::Close(..) => claims_nothing(peer, op, &answer),
            _ => {}
        }
        assert_ne!(answer.class(), Class::Ok, "{peer:?} {}: {answer:?}", op.name());
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_proves_nothing() {
    for peer in PEERS {
        let op = &operations(&peer.order(), peer.reference())[3];
        let large = move |got: &Got| {
            peer.token(got).unwrap_or_else(|| Back::json(200, vec![b' '; 2 * 1024 * 1024]))
        };
        let fake = Fake::start(large).await;
        let answer = call(&peer.settings(&fake.url()), op).await;
        assert_eq!(
            (answer.class(), answer.code()),
            (Class::Unknown, Some("too_large")),
            "{peer:?}"
        );
    }
}

#[tokio::test]
async fn silence_is_unknown_and_comes_to_an_end() {
    for peer in PEERS {
        let fake = Fake::start(move |got| peer.token(got).unwrap_or(Back::Hang)).await;
        let op = &operations(&peer.order(), peer.reference())[3];
        let answer = call(&peer.settings(&fake.url()), op).await;
        assert_eq!((answer.class(), answer.code()), (Class::Unknown, Some("timeout")), "{peer:?}");
        let sent = fake.requests().into_iter().filter(|got| peer.token(got).is_none());
        assert_eq!(sent.count(), 1, "{peer:?}: nothing is sent again");
    }
}

#[tokio::test]
async fn what_was_not_sent_is_unavailable() {
    for peer in PEERS {
        for op in peer.operations() {
            let answer = call(&peer.settings("http://127.0.0.1:1"), &op).await;
            let said = (answer.class(), answer.code());
            assert_eq!(said, (Class::Unavailable, Some("connect")), "{peer:?} {}", op.name());
        }
    }
}
