//! Callbacks: payments and refunds, sealed with the APIv3 key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Notice, NoticeKind, Outcome, ProviderOrderNo, RefundState, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{Transaction, state_of, status_of};
use super::codec::WechatPay;
use super::sign::{TOLERANCE_S, Unproven};
use crate::crypto::open_aes_256_gcm;
use crate::{Delivery, Forged};

#[derive(Deserialize)]
struct Envelope {
    event_type: String,
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    #[serde(default)]
    associated_data: String,
    nonce: String,
}

#[derive(Deserialize)]
struct Refund {
    mchid: Option<String>,
    out_trade_no: String,
    out_refund_no: String,
    refund_status: String,
}

impl WechatPay {
    pub(super) fn read_notice(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Notice, Forged> {
        let proof = self.trust.prove(|name| delivery.header(name), &delivery.body, now);
        proof.map_err(|why| match why {
            Unproven::Signature(why) => Forged::Signature(why),
            Unproven::Stale(skew_s) => Forged::Stale { skew_s, limit_s: TOLERANCE_S },
        })?;
        let envelope: Envelope = serde_json::from_slice(&delivery.body)
            .map_err(|_| Forged::Malformed("the callback is not the documented JSON".into()))?;
        match envelope.event_type.as_str() {
            "TRANSACTION.SUCCESS" => self.payment(&self.open(&envelope.resource)?),
            "REFUND.SUCCESS" | "REFUND.ABNORMAL" | "REFUND.CLOSED" => {
                self.refund_notice(&self.open(&envelope.resource)?)
            }
            _ => Err(Forged::Irrelevant("another kind of event".into())),
        }
    }

    fn payment(&self, trade: &Transaction) -> Result<Notice, Forged> {
        if !self.is_ours(trade) {
            return Err(Forged::Account("mchid or appid"));
        }
        let state = state_of(trade).map_err(|fault| Forged::Malformed(fault.detail))?;
        Ok(Notice {
            number: ProviderOrderNo::received(&trade.out_trade_no),
            kind: NoticeKind::Order(state),
        })
    }

    fn refund_notice(&self, refund: &Refund) -> Result<Notice, Forged> {
        if refund.mchid.as_ref().is_some_and(|mchid| *mchid != self.mch_id) {
            return Err(Forged::Account("mchid"));
        }
        // A refund that could not reach the customer is not at an end; the query tells more.
        let state = match status_of(&refund.refund_status) {
            Outcome::Ok(state) => state,
            _ => RefundState::Pending,
        };
        Ok(Notice {
            number: ProviderOrderNo::received(&refund.out_trade_no),
            kind: NoticeKind::Refund {
                refund: ProviderOrderNo::received(&refund.out_refund_no),
                state,
            },
        })
    }

    fn open<T: DeserializeOwned>(&self, resource: &Resource) -> Result<T, Forged> {
        if resource.algorithm != "AEAD_AES_256_GCM" {
            return Err(Forged::Malformed("an algorithm other than AEAD_AES_256_GCM".into()));
        }
        let sealed = STANDARD
            .decode(&resource.ciphertext)
            .map_err(|_| Forged::Malformed("the ciphertext is not Base64".into()))?;
        let plain = open_aes_256_gcm(
            self.api_v3_key.expose().as_bytes(),
            resource.nonce.as_bytes(),
            resource.associated_data.as_bytes(),
            &sealed,
        )
        .ok_or(Forged::Signature("the sealed part does not open with the APIv3 key"))?;
        serde_json::from_slice(&plain)
            .map_err(|_| Forged::Malformed("the sealed part is not the documented JSON".into()))
    }
}
