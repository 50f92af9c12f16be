//! No bytes, however odd, make a codec panic or take an answer for good.

use std::sync::LazyLock;

use domain::{Answer, Class, CloseState, Operation, Outcome};
use proptest::prelude::*;
use providers::{Delivery, Provider, Reply, Response, Verdict};

use crate::peers::{PEERS, Peer};
use crate::world::{NOW, codec, stamp};

type Subject = (Peer, std::sync::Arc<dyn Provider>, Vec<Operation>);

static CODECS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let make = |peer: Peer| {
        let ops = peer.operations();
        (peer, codec(&peer.settings("http://127.0.0.1:1")), ops)
    };
    PEERS.into_iter().map(make).collect()
});

/// Bytes that are nearly an answer: parts of the protocols in any order, cut anywhere.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        r#"{"alipay_trade_query_response":"#,
        r#"{"code":"10000""#,
        r#","sign":"AA=="}"#,
        "{",
        "}",
        r#""trade_status":"TRADE_SUCCESS""#,
        r#""total_amount":"12.34""#,
        ",",
        ":",
        "[",
        "]",
        r#""out_trade_no":"E""#,
        r#"{"error":{"type":"card_error","code":"card_declined"}}"#,
        r#""trade_state":"SUCCESS""#,
        r#"{"id":"pi_1","amount":1,"currency":"cny"}"#,
        "\\/",
        "\u{0}",
        "订单",
        "null",
        "1e999",
        "-1",
        r#"{"data":[],"has_more":true}"#,
        "\"",
        "&",
        "=",
        "sign=",
        "notify_type=trade_status_sync",
        "respCode=00",
        "origRespCode=34",
        "signPubKeyCert=-----BEGIN CERTIFICATE-----",
        "%",
        "%zz",
        "+",
    ]);
    prop_oneof![
        prop::collection::vec(parts, 0..12).prop_map(|p| p.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = prop::sample::select(vec![
        "wechatpay-timestamp",
        "wechatpay-nonce",
        "wechatpay-signature",
        "wechatpay-serial",
        "stripe-signature",
        "paypal-transmission-id",
        "paypal-transmission-time",
        "paypal-transmission-sig",
        "paypal-cert-url",
        "paypal-auth-algo",
        "date",
        "content-type",
    ]);
    let values = prop_oneof![
        Just("1790000000".to_owned()),
        Just(crate::peers::KEY_ID.to_owned()),
        Just("t=1790000000,v1=00,v1=,v1".to_owned()),
        Just("t=,v1=zz".to_owned()),
        ".{0,20}",
    ];
    prop::collection::vec((names.prop_map(String::from), values), 0..6)
}

fn proves_nothing(answer: &Answer) -> bool {
    !matches!(answer.class(), Class::Ok | Class::Declined)
        || matches!(answer, Answer::Close(Outcome::Ok(CloseState::Accepted)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_answer_panics_a_codec_or_is_taken_for_good(
        status in prop_oneof![Just(200_u16), Just(204), 100..600_u16],
        headers in headers(),
        body in nearly(),
    ) {
        for (peer, codec, ops) in CODECS.iter() {
            for op in ops {
                let Ok(Verdict::Ask(_, mut step)) = codec.request(op, &stamp()) else { continue };
                for _ in 0..5 {
                    let response =
                        Response { status, headers: headers.clone(), body: body.clone() };
                    let reply = Reply::Answered(response);
                    match codec.reply(op, &step, &reply, &stamp()) {
                        Verdict::Ask(_, next) => step = next,
                        Verdict::Done(answer) => {
                            // Stripe signs nothing, so a well-made lie is its answer.
                            prop_assert!(*peer == Peer::Stripe || proves_nothing(&answer)
                                || status >= 400, "{peer:?} {answer:?}");
                            break;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_delivery_panics_a_codec_or_is_taken_for_good(
        headers in headers(),
        body in nearly(),
    ) {
        for (_, codec, _) in CODECS.iter() {
            let delivery = Delivery { headers: headers.clone(), body: body.clone() };
            prop_assert!(codec.notice(&delivery, NOW).is_err());
            let said = Response { status: 200, headers: Vec::new(), body: body.clone() };
            prop_assert!(codec.testified(&delivery, &said, NOW).is_err());
            let _ = codec.witness(&delivery, NOW);
        }
    }
}
