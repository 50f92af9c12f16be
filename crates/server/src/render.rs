//! The bodies of messages to merchants.

use domain::{Event, EventKind, Payment};
use engine::Render;
use serde::Serialize;

use crate::time::rfc3339;
use crate::view::{PaymentView, RefundView, Show};

/// Writes what merchants are told: the event's name, its time, and the payment after it,
/// without contact, token, code, link or client secret.
#[derive(Clone, Debug)]
pub struct MessageRenderer {
    public_url: String,
}

impl MessageRenderer {
    /// For a server that customers reach at `public_url`.
    pub fn new(public_url: &str) -> MessageRenderer {
        MessageRenderer { public_url: public_url.trim_end_matches('/').to_owned() }
    }
}

#[derive(Serialize)]
struct Body {
    r#type: &'static str,
    timestamp: String,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    payment: PaymentView,
    /// The refund that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<RefundView>,
}

impl Render for MessageRenderer {
    fn message(&self, payment: &Payment, event: &Event) -> Option<String> {
        let told = event.kind.notification()?;
        let refund = match event.kind {
            EventKind::RefundSucceeded { refund } | EventKind::RefundFailed { refund, .. } => {
                payment.refund(refund).map(RefundView::of)
            }
            _ => None,
        };
        let body = Body {
            r#type: told.0,
            timestamp: rfc3339(event.at),
            data: Data {
                payment: PaymentView::of(payment, Show::NothingPayable, &self.public_url),
                refund,
            },
        };
        match serde_json::to_string(&body) {
            Ok(body) => Some(body),
            Err(error) => {
                // A view is plain texts and numbers; this cannot happen, and must not be silent.
                tracing::error!(payment = %payment.id, %error, "a message could not be written");
                None
            }
        }
    }
}
