//! Playing transport faults: what happens to an answer between the provider and the merchant.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use super::http::Reply;
use crate::faults::Fault;

/// How long the first half of a cut answer has to leave.
const FLUSH: Duration = Duration::from_millis(30);

/// Mark of a response that must never be written: the connection is dropped instead.
#[derive(Clone, Copy)]
pub(crate) struct HangUp;

/// Drops the connection without a byte.
pub(crate) fn hang_up() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HangUp);
    response
}

/// Says nothing until the client gives up, which drops this future, or the sandbox stops.
pub(crate) async fn silence(stop: &CancellationToken) -> Response {
    stop.cancelled().await;
    hang_up()
}

/// Sends the answer as the fault has it.
pub(crate) async fn deliver(
    reply: Reply,
    fault: Option<&Fault>,
    stop: &CancellationToken,
) -> Response {
    match fault {
        Some(Fault::SuccessThenTimeout) => silence(stop).await,
        Some(Fault::Slow { delay_ms }) => {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(*delay_ms)) => reply.into_response(),
                () = stop.cancelled() => hang_up(),
            }
        }
        Some(Fault::Drip { byte_interval_ms }) => {
            drip(reply, Duration::from_millis(*byte_interval_ms))
        }
        Some(Fault::TruncatedBody) => truncate(reply),
        _ => reply.into_response(),
    }
}

fn drip(mut reply: Reply, interval: Duration) -> Response {
    let bytes = std::mem::take(&mut reply.body);
    let body = DripBody { bytes: bytes.into(), interval, pause: None };
    reply.into_response_with(Body::new(body))
}

/// The length says all, the body breaks off in the middle: the client sees a cut connection.
fn truncate(mut reply: Reply) -> Response {
    // Without a body there is nothing to cut, so the whole answer goes missing.
    if reply.body.is_empty() || reply.status == StatusCode::NO_CONTENT {
        return hang_up();
    }
    let whole = std::mem::take(&mut reply.body);
    let length = whole.len();
    let half = Bytes::from(whole).slice(..length / 2);
    let mut response =
        reply.into_response_with(Body::new(CutBody { half: Some(half), pause: None }));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

struct DripBody {
    bytes: Bytes,
    interval: Duration,
    pause: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl hyper::body::Body for DripBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        use std::task::Poll;
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let interval = self.interval;
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(interval)));
        std::task::ready!(pause.as_mut().poll(cx));
        self.pause = None;
        let byte = self.bytes.split_to(1);
        Poll::Ready(Some(Ok(Frame::data(byte))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

struct CutBody {
    half: Option<Bytes>,
    /// What was written before is flushed only while the body has nothing to say.
    pause: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl hyper::body::Body for CutBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        use std::task::Poll;
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH)));
        std::task::ready!(pause.as_mut().poll(cx));
        Poll::Ready(Some(Err(std::io::ErrorKind::BrokenPipe.into())))
    }
}
