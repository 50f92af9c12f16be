//! Notifications: a sealed resource in signed JSON.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{WechatPayAccount, auth, ops};
use crate::books::wechatpay::{Order, Refund};
use crate::books::{Millis, ProviderKind};
use crate::clock::wechat_time;
use crate::control::lock;
use crate::faults::{Forgery, Operation};
use crate::keys::{SigningKey, seal};
use crate::notify::{Content, Notice, Outgoing};
use crate::state::{Scene, State};

/// Waits between deliveries, seconds: 15 s, 15 s, 30 s, 3 m, 10 m, 20 m, 3 × 30 m, 60 m, 3 × 3 h,
/// 2 × 6 h.
pub(crate) const RESENDS_S: &[u64] = &[
    15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600, 21_600,
];

/// A notification; sealed once, signed anew for each delivery.
#[derive(Clone)]
pub(crate) struct Notification {
    account: Arc<WechatPayAccount>,
    body: String,
}

impl Notification {
    pub(crate) fn outgoing(
        &self,
        forgery: Option<(Forgery, &SigningKey)>,
        now: Millis,
    ) -> Outgoing {
        let (timestamp, nonce) = (now.div_euclid(1_000).to_string(), self.account.nonce());
        let signer = self.account.signer();
        let text = auth::answer_text(&timestamp, &nonce, &self.body);
        let mut headers = vec![
            ("wechatpay-timestamp", timestamp),
            ("wechatpay-nonce", nonce),
            ("wechatpay-serial", signer.serial.clone()),
            ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048".to_owned()),
            ("request-id", format!("08{}-0", self.account.nonce())),
            ("user-agent", "Mozilla/4.0".to_owned()),
        ];
        match forgery {
            None | Some((Forgery::Tampered, _)) => {
                headers.push(("wechatpay-signature", signer.key.sign(text.as_bytes())));
            }
            Some((Forgery::WrongKey, stranger)) => {
                headers.push(("wechatpay-signature", stranger.sign(text.as_bytes())));
            }
            Some((Forgery::Unsigned, _)) => {}
        }
        let body = match forgery {
            Some((Forgery::Tampered, _)) => {
                self.body.replacen("\"summary\":\"", "\"summary\":\"!", 1)
            }
            _ => self.body.clone(),
        };
        Outgoing { content_type: "application/json", headers, body }
    }
}

/// Tells that an order was paid. Declines and closings are never told.
pub(crate) fn paid(state: &State, account: &Arc<WechatPayAccount>, order: &Order, now: Millis) {
    let resource = ops::order_view(account, order, now);
    let event = ("TRANSACTION.SUCCESS", "transaction", "支付成功");
    send(state, account, order, &order.spec.notify_url, event, &resource, (now, 0));
}

/// Tells, when the money arrives, that it did. Without an address there is nobody to tell.
pub(crate) fn refunded(
    state: &State,
    account: &Arc<WechatPayAccount>,
    order: &Order,
    refund: &Refund,
    settle_ms: Millis,
) {
    let Some(url) = &refund.notify_url else { return };
    let resource = json!({
        "mchid": account.mch_id,
        "transaction_id": order.payment.as_ref().map(|payment| payment.transaction_id.as_str()),
        "out_trade_no": order.spec.out_trade_no,
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "refund_status": "SUCCESS",
        "success_time": wechat_time(refund.arrives_at),
        "user_received_account": "支付用户零钱",
        "amount": {
            "total": order.spec.total,
            "refund": refund.amount,
            "payer_total": order.spec.total,
            "payer_refund": refund.amount,
        },
    });
    let event = ("REFUND.SUCCESS", "refund", "退款成功");
    send(state, account, order, url, event, &resource, (refund.arrives_at, settle_ms));
}

fn send(
    state: &State,
    account: &Arc<WechatPayAccount>,
    order: &Order,
    url: &str,
    (event_type, original_type, summary): (&str, &str, &str),
    resource: &Value,
    (created_at, after_ms): (Millis, Millis),
) {
    let (id, nonce) = {
        let mut ids = lock(&account.ids);
        (ids.hex(32), ids.nonce12())
    };
    let plain = resource.to_string();
    let sealed = seal(&account.api_v3_key, &nonce, original_type.as_bytes(), plain.as_bytes());
    let body = json!({
        "id": id,
        "create_time": wechat_time(created_at),
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": summary,
        "resource": {
            "original_type": original_type,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": sealed,
            "associated_data": original_type,
            "nonce": String::from_utf8_lossy(&nonce),
        },
    });
    let scene = Scene {
        provider: ProviderKind::WechatPay,
        account: account.name.clone(),
        operation: Operation::Notify,
        method: Some("wechat_pay"),
        bank: order.payment.as_ref().and_then(|payment| payment.bank.clone()),
    };
    state.notify(Notice {
        scene,
        url: url.to_owned(),
        order_no: order.spec.out_trade_no.clone(),
        event: event_type.to_owned(),
        after_ms,
        content: Content::WechatPay(Notification {
            account: Arc::clone(account),
            body: body.to_string(),
        }),
    });
}
