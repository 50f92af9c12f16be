//! What makes rooms live: the series that charts draw, and a stream that says when to look
//! again.
//!
//! A stream carries no figures: it says that something changed, at most once a second, and now
//! and then that it is still there. So nothing is computed for pages that have not asked, and a
//! stream that falls behind loses nothing.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use resilience::Point;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::reply::Stop;
use super::sessions::Key;
use super::visitor::{Typed, Visitor, console_of};
use crate::app::Shared;

/// The spans that charts know.
pub(super) const SPANS: [(&str, Duration); 3] = [
    ("5m", Duration::from_secs(300)),
    ("15m", Duration::from_secs(900)),
    ("1h", Duration::from_secs(3_600)),
];
/// Between two pieces of news of one stream.
const PACE: Duration = Duration::from_secs(1);
/// The longest silence of a stream.
const BEAT: Duration = Duration::from_secs(5);

/// What charts draw: one list of times, and as many figures of each kind for every channel.
#[derive(Serialize)]
pub(super) struct Answer {
    /// When steps began, in seconds since the epoch.
    times: Vec<i64>,
    channels: Vec<OfChannel>,
}

#[derive(Serialize)]
struct OfChannel {
    name: String,
    figures: Figures,
}

#[derive(Serialize)]
struct Figures {
    /// In `[0, 1]`; null without calls.
    success: Vec<Option<f64>>,
    /// Calls a second; null for the present step, which is not whole.
    traffic: Vec<Option<f64>>,
    /// Milliseconds.
    p95: Vec<Option<u32>>,
    /// Calls in the step.
    unknown: Vec<u32>,
}

impl Figures {
    fn of(points: &[Point], step: Duration) -> Figures {
        let rate = |point: &Point| point.calls() as f64 / step.as_secs_f64();
        let mut traffic: Vec<Option<f64>> = points.iter().map(|p| Some(rate(p))).collect();
        if let Some(present) = traffic.last_mut() {
            *present = None;
        }
        Figures {
            success: points.iter().map(Point::success).collect(),
            traffic,
            p95: points.iter().map(|p| p.p95_ms).collect(),
            unknown: points.iter().map(|p| p.unknown).collect(),
        }
    }
}

pub(super) async fn series(
    State(state): State<Shared>,
    _visitor: Visitor,
    RawQuery(raw): RawQuery,
) -> Json<Answer> {
    let query = Typed::query(raw.as_deref());
    let asked = SPANS.iter().find(|(name, _)| *name == query.get("span"));
    let (_, span) = asked.unwrap_or(&SPANS[1]);
    let (series, step) = (state.engine.series(*span), state.engine.series_step());
    let times = series.first().map_or_else(Vec::new, |channel| {
        channel.points.iter().map(|point| point.at.as_secs()).collect()
    });
    let channels = series.iter().map(|channel| OfChannel {
        name: channel.channel.to_string(),
        figures: Figures::of(&channel.points, step),
    });
    Json(Answer { times, channels: channels.collect() })
}

/// The stream of news: `change`, `beat`, and `gone` when the session has ended.
pub(super) async fn events(
    State(state): State<Shared>,
    visitor: Visitor,
) -> Result<Response, Stop> {
    let console = console_of(&state)?;
    let Ok(place) = std::sync::Arc::clone(&console.streams).try_acquire_owned() else {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, "too many streams").into_response());
    };
    let (say, heard) = mpsc::channel(4);
    tokio::spawn(tell(state, visitor.signed.key, say, Place::take(place)));
    let body = Body::new(Feed(heard).boxed_unsync());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that gather answers before they pass them on would hold the news back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

/// A place among the streams.
struct Place(#[expect(dead_code, reason = "held while the stream is open")] OwnedSemaphorePermit);

impl Place {
    fn take(permit: OwnedSemaphorePermit) -> Place {
        metrics::gauge!("evergate_console_streams").increment(1.0);
        Place(permit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("evergate_console_streams").decrement(1.0);
    }
}

/// Tells one page until it is gone, its session has ended, or the server stops.
async fn tell(state: Shared, key: Key, say: mpsc::Sender<&'static str>, _place: Place) {
    let mut news = state.engine.news();
    let mut spoke = Instant::now();
    if say.send("event: beat\ndata:\n\n").await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = say.closed() => return,
            () = tokio::time::sleep(PACE) => {}
        }
        if state.draining.load(Ordering::Relaxed) {
            return;
        }
        if !is_signed_in(&state, key) {
            let _ = say.send("event: gone\ndata:\n\n").await;
            return;
        }
        let text = if news.has_changed().unwrap_or(false) {
            news.mark_unchanged();
            "event: change\ndata:\n\n"
        } else if spoke.elapsed() >= BEAT {
            "event: beat\ndata:\n\n"
        } else {
            continue;
        };
        spoke = Instant::now();
        if say.send(text).await.is_err() {
            return;
        }
    }
}

fn is_signed_in(state: &Shared, key: Key) -> bool {
    let now = state.engine.now();
    state.console.as_ref().is_some_and(|console| {
        console.sessions.find_key(key, &console.operators, false, now).is_some()
    })
}

/// A body that is made while it is sent.
struct Feed(mpsc::Receiver<&'static str>);

impl hyper::body::Body for Feed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.0.poll_recv(context);
        next.map(|text| text.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}
