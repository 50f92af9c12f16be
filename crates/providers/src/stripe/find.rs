//! Finding an intent whose id was never learned: by listing what was made around the time, and
//! where that is too much to read, by Stripe's search.
//!
//! The list is exact, but a busy account makes thousands of intents in the window. The search
//! finds one among any number; its index lags by a minute and sometimes more, so that not being
//! found by it says less. For a presented order "not found" is no proof anyway: it is asked
//! about until nobody can pay it. A charge could be made a second time on the strength of it,
//! so for a direct flow it stays unknown.

use domain::{Fault, Flow, Operation, OrderRef};

use super::codec::{FIND, Form, Stripe};
use super::object::{Intent, List, ORDER};
use crate::common::malformed;
use crate::{Response, Step, Verdict};

/// The window around the time that the order was sent: clocks differ, and a re-send of the
/// same create call may be the one that arrived.
const BEFORE_S: i64 = 300;
const AFTER_S: i64 = 600;
const PAGE: &str = "100";
/// The memo of the step that asks the search.
const SEARCH: &str = "search";

/// What a page of the list says.
pub(super) enum Found {
    /// The order's intent.
    Intent(Box<Intent>),
    /// None that Stripe knows of now.
    Nothing,
    /// Another page must be read.
    More(Verdict),
}

impl Stripe {
    /// Asks for a page of the list, newest intents first.
    pub(super) fn find_page(&self, order: &OrderRef, page: u8, after: Option<&str>) -> Verdict {
        let sent = order.sent_at.as_secs();
        let mut query = Form::default()
            .with("limit", PAGE)
            .with("created[gte]", &sent.saturating_sub(BEFORE_S).max(0).to_string())
            .with("created[lte]", &sent.saturating_add(AFTER_S).max(0).to_string());
        if let Some(after) = after {
            query.add("starting_after", after);
        }
        self.get(Step::with(FIND, page.to_string()), "/v1/payment_intents", &query)
    }

    /// Asks the search for the intent of this number.
    fn search(&self, order: &OrderRef) -> Verdict {
        // Our numbers are letters and digits, so nothing in them needs a quote's protection.
        let wanted = format!("metadata['{ORDER}']:'{}'", order.number);
        let query = Form::default().with("query", &wanted).with("limit", "10");
        self.get(Step::with(FIND, SEARCH.to_owned()), "/v1/payment_intents/search", &query)
    }

    /// Reads a page. The bound keeps one operation inside the driver's number of steps; its last
    /// request is the search.
    pub(super) fn found(
        &self,
        op: &Operation,
        order: &OrderRef,
        step: &Step,
        response: &Response,
    ) -> Result<Found, Fault> {
        let list: List<Intent> =
            serde_json::from_slice(&response.body).map_err(|_| malformed("the list of intents"))?;
        let last = list.data.last().map(|intent| intent.id.clone());
        if let Some(intent) = list.data.into_iter().find(|intent| intent.is_about(order)) {
            return Ok(Found::Intent(Box::new(intent)));
        }
        if step.memo == SEARCH {
            return match order.flow {
                Flow::Presented => Ok(Found::Nothing),
                Flow::Direct => Err(Fault::new(
                    "search_bound",
                    "too many intents were made around that time to look through, and the search \
                     index may lag; the next notification, or a person, must settle it",
                )),
            };
        }
        let page: u8 = step.memo.parse().unwrap_or(u8::MAX);
        match (list.has_more, last) {
            (false, _) => Ok(Found::Nothing),
            (true, Some(last)) if page.saturating_add(1) < requests_max(op) => {
                Ok(Found::More(self.find_page(order, page + 1, Some(&last))))
            }
            (true, _) => Ok(Found::More(self.search(order))),
        }
    }
}

/// A close needs two more requests after the search, and so may a refund. Nothing but the whole
/// list proves that a charge was never made, so it is read as far as 2,000 intents.
fn requests_max(op: &Operation) -> u8 {
    match op {
        Operation::Query(order) if order.flow == Flow::Direct => 21,
        Operation::Query(_) => 4,
        Operation::QueryRefund(_) => 3,
        _ => 2,
    }
}
