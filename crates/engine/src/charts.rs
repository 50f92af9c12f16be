//! What happened lately on each channel, for charts that people look at, and the news that
//! something has happened at all.
//!
//! Nothing is decided from either. Synthetic payments are left out (rule 11), and so are calls
//! that this process had no time or place for: they say nothing about the channel.

use std::sync::PoisonError;
use std::time::Duration;

use domain::{Answer, ChannelId, Payment, Timestamp};
use resilience::Point;
use tokio::sync::watch;

use crate::Engine;
use crate::health::is_own_cause;

/// One channel's chart.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelSeries {
    /// The channel.
    pub channel: ChannelId,
    /// Its steps, oldest first, all channels at the same times.
    pub points: Vec<Point>,
}

impl Engine {
    /// The last `span` of every channel, in their order; at most an hour. The newest step is the
    /// present one and not yet whole.
    pub fn series(&self, span: Duration) -> Vec<ChannelSeries> {
        let (options, now) = (self.options(), self.now());
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let chart = |channel: &crate::Channel| ChannelSeries {
            channel: channel.id.clone(),
            points: series.points(&channel.id, span, now),
        };
        options.channels.iter().map(chart).collect()
    }

    /// The last `span` of every channel added up, and of all together; at most an hour.
    pub fn lately(&self, span: Duration) -> (Point, Vec<(ChannelId, Point)>) {
        let (options, now) = (self.options(), self.now());
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |channel: &crate::Channel| {
            (channel.id.clone(), series.sum(Some(&channel.id), span, now))
        };
        (series.sum(None, span, now), options.channels.iter().map(of).collect())
    }

    /// How long a step of [`Engine::series`] is.
    pub fn series_step(&self) -> Duration {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).step()
    }

    /// A number that grows whenever a call was answered, a payment was committed, a channel's
    /// health changed, or the controls did: for whoever shows how things are and would otherwise
    /// have to ask again and again.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(crate) fn tell_news(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Notes a call that has ended.
    pub(crate) fn chart(
        &self,
        payment: &Payment,
        channel: &ChannelId,
        answer: &Answer,
        sent: Timestamp,
    ) {
        if payment.terms.is_synthetic() || is_own_cause(answer) {
            return;
        }
        let now = self.now();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.answered(channel, answer.class(), now.since(sent), now);
        drop(series);
        self.tell_news();
    }
}
