//! From an event to the notes that tell of it.

use std::sync::Arc;
use std::time::Duration;

use domain::{Event, EventKind, HoldBy, HoldEnd, Payment, RefundReason, Reminder, Timestamp};
use engine::Render;
use notify::{Contact, Facts, Kind};
use store::{NewNote, Private};

use super::{NoteDesk, Post};
use crate::render::MessageRenderer;

/// How long a note that no end of an order bounds is worth sending.
const WORTH: Duration = Duration::from_secs(3 * 86_400);

/// Writes the messages to merchants and, while there is a post, the notes to customers.
#[derive(Debug)]
pub struct NoteRenderer {
    desk: Arc<NoteDesk>,
    messages: MessageRenderer,
}

impl NoteRenderer {
    /// A renderer whose notes the desk keeps.
    pub fn new(desk: Arc<NoteDesk>, messages: MessageRenderer) -> NoteRenderer {
        NoteRenderer { desk, messages }
    }
}

impl Render for NoteRenderer {
    fn message(&self, payment: &Payment, event: &Event) -> Option<String> {
        self.messages.message(payment, event)
    }

    fn notes(&self, payment: &Payment, event: &Event) -> Vec<NewNote> {
        let Some(post) = self.desk.post() else { return Vec::new() };
        let Some(news) = news(payment, event, &post) else { return Vec::new() };
        let id = format!("note_{}_{:04}", &payment.id.to_string()[4..], event.seq);
        self.desk.drafts(&post, payment, &news, &id, event.at)
    }
}

/// What a note is to say.
pub(super) struct News {
    pub(super) kind: Kind,
    /// When what it tells of began.
    pub(super) since: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) facts: Facts,
}

impl News {
    pub(super) fn of(payment: &Payment, kind: Kind, at: Timestamp) -> News {
        let facts = Facts {
            order: payment.order.as_str().to_owned(),
            subject: payment.terms.subject.clone(),
            amount: payment.money,
            refund: None,
            until: None,
            coupon: None,
            is_answer: false,
        };
        News { kind, since: payment.created_at, not_after: at + WORTH, facts }
    }

    /// About something that lasts until then: pointless afterwards.
    fn until(self, until: Timestamp) -> News {
        let facts = Facts { until: Some(until), ..self.facts };
        News { not_after: until, facts, ..self }
    }
}

/// What customers are told of an event.
fn news(payment: &Payment, event: &Event, post: &Post) -> Option<News> {
    let of = |kind| News::of(payment, kind, event.at);
    match event.kind {
        EventKind::Held { .. } => held(payment, of(Kind::Held)),
        EventKind::HoldExtended { .. } => held(payment, of(Kind::Extended)),
        EventKind::Reminded { why: Reminder::Recovered } => held(payment, of(Kind::Recovered)),
        EventKind::Reminded { why: Reminder::ExpiresSoon } => held(payment, of(Kind::ExpiresSoon)),
        EventKind::HoldReleased { end: HoldEnd::Expired } => Some(of(Kind::Expired)),
        // The customer has waited, and now it is done.
        EventKind::HoldReleased { end: HoldEnd::Paid } if !post.settings.receipts_always => {
            Some(of(Kind::Paid))
        }
        EventKind::Paid { .. } if post.settings.receipts_always => Some(of(Kind::Paid)),
        EventKind::GraceExtended { until } => Some(of(Kind::Grace).until(until)),
        EventKind::RefundSucceeded { refund } => refunded(payment, refund, of),
        _ => None,
    }
}

/// About an order that is kept. Two orders of a person that were held in one incident have
/// both waited since before the first word of its end.
fn held(payment: &Payment, news: News) -> Option<News> {
    let hold = payment.hold.as_ref()?;
    let mut news = News { since: hold.since, ..news.until(hold.until) };
    // The customer stands at the checkout and wants to know; whom a machine charges sleeps.
    news.facts.is_answer = news.kind == Kind::Held
        && matches!(hold.by, HoldBy::Ladder | HoldBy::Customer)
        && !payment.terms.purpose.is_by_itself();
    Some(news)
}

fn refunded(payment: &Payment, refund: u16, of: impl Fn(Kind) -> News) -> Option<News> {
    let refund = payment.refund(refund)?;
    let mut news = match refund.reason {
        RefundReason::Merchant => of(Kind::Refunded),
        RefundReason::Duplicate | RefundReason::Late => of(Kind::Returned),
        RefundReason::Synthetic => return None,
    };
    news.facts.refund = Some(refund.amount);
    Some(news)
}

impl NoteDesk {
    /// A note by each way that leads to the customer. The first has the id as it is.
    pub(super) fn drafts(
        &self,
        post: &Post,
        payment: &Payment,
        news: &News,
        id: &str,
        at: Timestamp,
    ) -> Vec<NewNote> {
        let terms = &payment.terms;
        let contact = terms.contact.as_deref().and_then(Contact::parse);
        let device = terms.push_token.as_deref().map(Contact::device);
        let Ok(data) = serde_json::to_string(&news.facts) else { return Vec::new() };
        let ways = contact.into_iter().chain(device).filter(|to| post.goes(to.way()));
        ways.map(|to| NewNote {
            id: match to.way() {
                notify::Way::Push => format!("{id}_push"),
                _ => id.to_owned(),
            },
            kind: news.kind.name().to_owned(),
            way: to.way().name().to_owned(),
            addressee: Private::new(self.addressee(&payment.merchant, &to)),
            contact: Private::new(to.expose()),
            locale: terms.locale,
            data: data.clone(),
            since: news.since,
            due_at: at,
            not_after: news.not_after,
        })
        .collect()
    }
}
