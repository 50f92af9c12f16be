//! Live state: one stream of events an open page, which says no more than "look again".
//!
//! What a stream may hold on to is bounded: so many in all, so many for one payment, a beat that
//! finds out who is gone, and an end with the payment or with the server. A page that gets no
//! stream asks now and then instead, and one without a script reloads.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use domain::PaymentId;
use http::{StatusCode, header};
use http_body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The most streams of one payment: tabs and devices of one customer.
const OF_A_PAYMENT_MAX: usize = 8;
/// How often a stream shows that it is alive; below every usual time-out of a proxy.
pub(crate) const BEAT: Duration = Duration::from_secs(15);

/// The places for streams.
pub(crate) struct Streams {
    all: Arc<Semaphore>,
    of: Mutex<HashMap<PaymentId, usize>>,
}

impl Streams {
    pub(crate) fn new(max: usize) -> Arc<Streams> {
        let all = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Arc::new(Streams { all, of: Mutex::default() })
    }

    /// A place for one more stream of a payment, or none.
    pub(crate) fn enter(streams: &Arc<Streams>, id: PaymentId) -> Option<Place> {
        let place = Arc::clone(&streams.all).try_acquire_owned().ok()?;
        let mut of = streams.of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of.entry(id).or_insert(0);
        if *count >= OF_A_PAYMENT_MAX {
            return None;
        }
        *count += 1;
        drop(of);
        metrics::gauge!("evergate_checkout_streams").increment(1.0);
        Some(Place { streams: Arc::clone(streams), id, _place: place })
    }
}

/// A stream's place; free again when it is dropped.
pub(crate) struct Place {
    streams: Arc<Streams>,
    id: PaymentId,
    _place: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("evergate_checkout_streams").decrement(1.0);
        let mut of = self.streams.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                of.remove(&self.id);
            }
        }
    }
}

/// A body whose events come from a task.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A stream, and where its task puts what it has to say.
pub(crate) fn open() -> (mpsc::Sender<Bytes>, Response) {
    let (say, events) = mpsc::channel(4);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // Proxies that gather an answer before they pass it on are asked not to.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (say, (headers, Body::new(Events(events))).into_response())
}

/// "Look again": the page's version, as `x-version` of the panel says it.
pub(crate) fn changed(version: &str) -> Bytes {
    format!("data: {version}\n\n").into()
}

/// A comment, which browsers skip.
pub(crate) fn beat() -> Bytes {
    Bytes::from_static(b": beat\n\n")
}

/// The last word: nothing changes any more.
pub(crate) fn end() -> Bytes {
    Bytes::from_static(b"event: end\ndata: \n\n")
}

/// What a browser understands as "do not come back".
pub(crate) fn over() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_for_one_payment_and_come_back() {
        let id = |n: u128| PaymentId::from_uuid(uuid::Uuid::from_u128(n));
        let streams = Streams::new(10);
        let mut held: Vec<_> = (0..20).filter_map(|_| Streams::enter(&streams, id(1))).collect();
        assert_eq!(held.len(), OF_A_PAYMENT_MAX);
        held.extend((0..20).filter_map(|_| Streams::enter(&streams, id(2))));
        assert_eq!(held.len(), 10, "in all");
        held.clear();
        assert!(Streams::enter(&streams, id(1)).is_some());
        assert!(streams.of.lock().unwrap().is_empty(), "nothing is kept of who is gone");
    }
}
