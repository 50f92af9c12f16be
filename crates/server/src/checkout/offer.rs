//! What a customer may be offered now.

use domain::{Method, Payment};
use engine::Engine;

/// What the page offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    /// The ways to pay in the order of the merchant, and whether each works now.
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
        let channels = engine.channels();
        let works = |method: Method| {
            channels.iter().flat_map(|c| &c.methods).any(|(m, view)| {
                *m == method && view.disabled.is_none() && !matches!(view.health.name(), "down" | "probing")
            })
        };
        let methods: Vec<_> = payment.terms.methods.iter().map(|m| (*m, works(*m))).collect();
        let wanted =
            payment.presented().map(|a| a.method).or(payment.terms.methods.first().copied());
        let out = methods.iter().find(|(m, works)| Some(*m) == wanted && !works).map(|(m, _)| *m);
        Offered { methods, out, ..Offered::default() }
    }

    /// Whether a way works now.
    pub(crate) fn takes(&self, method: Method) -> bool {
        self.methods.contains(&(method, true))
    }
}
