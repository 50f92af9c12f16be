//! What a customer may be offered now, as the page shows it.

use domain::{Method, Payment};
use engine::Engine;

/// What the page offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    /// The ways to pay, those that work first, and whether each works now.
    pub(crate) methods: Vec<(Method, bool)>,
    /// The way that the customer wanted and cannot have.
    pub(crate) out: Option<Method>,
    /// Whether the order may be kept.
    pub(crate) later: bool,
    /// Whether the order is kept.
    pub(crate) held: bool,
    /// Whether staff can help, and then whether they were asked.
    pub(crate) assist: Option<bool>,
}

impl Offered {
    pub(crate) fn of(engine: &Engine, payment: &Payment) -> Offered {
        let offer = engine.offer(payment);
        let mut methods = offer.methods;
        if offer.transfer {
            methods.push((Method::BankTransfer, true));
        }
        let held = payment.is_held();
        let assist = offer.assist.then_some(false);
        Offered { methods, out: offer.wanted_out, later: offer.later, held, assist }
    }

    /// Whether a way works now.
    pub(crate) fn takes(&self, method: Method) -> bool {
        self.methods.contains(&(method, true))
    }
}
