//! What happened lately, in equal steps of time, for charts that people look at.
//!
//! Nothing is decided from it. It forgets by itself, and its size does not depend on traffic.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{ChannelId, Class, Timestamp};

/// Steps that are kept for each channel.
const STEPS: usize = 720;

/// Upper bounds of the latency classes, in milliseconds; what is longer falls into the last.
const BOUNDS_MS: [u32; 16] =
    [5, 10, 20, 35, 50, 75, 100, 150, 250, 400, 700, 1_200, 2_000, 4_000, 8_000, u32::MAX];

/// Counts of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Step {
    /// The step's number since the epoch; tells a fresh step from one of an hour ago.
    number: i64,
    ok: u32,
    declined: u32,
    failed: u32,
    unknown: u32,
    latency: [u32; BOUNDS_MS.len()],
}

impl Step {
    fn add(&mut self, other: &Step) {
        let counts = [
            (&mut self.ok, other.ok),
            (&mut self.declined, other.declined),
            (&mut self.failed, other.failed),
            (&mut self.unknown, other.unknown),
        ];
        let classes = self.latency.iter_mut().zip(other.latency);
        for (count, more) in counts.into_iter().chain(classes) {
            *count = count.saturating_add(more);
        }
    }
}

/// One step of a channel's chart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// When the step began.
    pub at: Timestamp,
    /// Calls that did what was asked.
    pub ok: u32,
    /// Calls that the customer's side refused.
    pub declined: u32,
    /// Calls that surely had no effect: rejected or unavailable.
    pub failed: u32,
    /// Calls whose effect is not known.
    pub unknown: u32,
    /// The latency that half of the calls stayed below, in milliseconds, by class; `None`
    /// without calls.
    pub p50_ms: Option<u32>,
    /// The same for 95 of 100.
    pub p95_ms: Option<u32>,
}

impl Point {
    /// Calls that were answered, or given up.
    pub fn calls(&self) -> u64 {
        [self.ok, self.declined, self.failed, self.unknown].into_iter().map(u64::from).sum()
    }

    /// Technical successes among the calls whose end is known (rule 11), in `[0, 1]`; `None`
    /// without any.
    pub fn success(&self) -> Option<f64> {
        let good = f64::from(self.ok) + f64::from(self.declined);
        let bad = f64::from(self.failed) + f64::from(self.unknown);
        (good + bad > 0.0).then(|| good / (good + bad))
    }
}

/// The last hour of each channel.
#[derive(Clone, Debug)]
pub struct Series {
    step: Duration,
    rings: BTreeMap<ChannelId, Vec<Step>>,
}

impl Default for Series {
    /// Steps of five seconds.
    fn default() -> Self {
        Series { step: Duration::from_secs(5), rings: BTreeMap::new() }
    }
}

impl Series {
    /// How long one step is.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// Notes a call that has ended.
    pub fn answered(&mut self, channel: &ChannelId, class: Class, took: Duration, now: Timestamp) {
        let number = self.number(now);
        if !self.rings.contains_key(channel) {
            self.rings.insert(channel.clone(), vec![Step::default(); STEPS]);
        }
        let Some(ring) = self.rings.get_mut(channel) else { return };
        let step = &mut ring[place(number)];
        // A clock that went back writes over what was noted of the time after.
        if step.number != number {
            *step = Step { number, ..Step::default() };
        }
        let count = match class {
            Class::Ok => &mut step.ok,
            Class::Declined => &mut step.declined,
            Class::Rejected | Class::Unavailable => &mut step.failed,
            Class::Unknown => &mut step.unknown,
        };
        *count = count.saturating_add(1);
        let ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let class = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len() - 1);
        step.latency[class] = step.latency[class].saturating_add(1);
    }

    /// The steps of the last `span`, oldest first, the present one last and not yet whole; at
    /// most an hour. Steps without calls are there as well.
    pub fn points(&self, channel: &ChannelId, span: Duration, now: Timestamp) -> Vec<Point> {
        let last = self.number(now);
        let wanted = (span.as_micros() / self.step.as_micros().max(1)) as usize;
        let count = wanted.clamp(1, STEPS) as i64;
        let ring = self.rings.get(channel);
        let step = |number: i64| {
            let kept = ring.map(|ring| ring[place(number)]).filter(|step| step.number == number);
            self.point(kept.unwrap_or(Step { number, ..Step::default() }))
        };
        (last - count + 1..=last).map(step).collect()
    }

    /// The last `span` as one step: of one channel, or of all together. Begins where the first
    /// of its steps begins.
    pub fn sum(&self, channel: Option<&ChannelId>, span: Duration, now: Timestamp) -> Point {
        let last = self.number(now);
        let wanted = (span.as_micros() / self.step.as_micros().max(1)) as usize;
        let first = last - wanted.clamp(1, STEPS) as i64 + 1;
        let meant = |(name, _): &(&ChannelId, _)| channel.is_none_or(|channel| channel == *name);
        let steps = self.rings.iter().filter(meant).flat_map(|(_, ring)| ring);
        let within = steps.filter(|step| (first..=last).contains(&step.number));
        let mut sum = Step { number: first, ..Step::default() };
        within.for_each(|step| sum.add(step));
        self.point(sum)
    }

    fn number(&self, at: Timestamp) -> i64 {
        at.as_micros().div_euclid(self.step.as_micros().max(1) as i64)
    }

    fn point(&self, step: Step) -> Point {
        let Step { number, ok, declined, failed, unknown, latency } = step;
        let at = Timestamp::from_micros(number.saturating_mul(self.step.as_micros() as i64));
        let (p50_ms, p95_ms) = (quantile(&latency, 0.5), quantile(&latency, 0.95));
        Point { at, ok, declined, failed, unknown, p50_ms, p95_ms }
    }
}

fn place(number: i64) -> usize {
    number.rem_euclid(STEPS as i64) as usize
}

/// The upper bound of the class that holds the quantile; of the last class its lower bound.
fn quantile(latency: &[u32; BOUNDS_MS.len()], share: f64) -> Option<u32> {
    let total: u64 = latency.iter().map(|count| u64::from(*count)).sum();
    let rank = (total as f64 * share).ceil().max(1.0) as u64;
    let mut seen = 0;
    for (class, count) in latency.iter().enumerate() {
        seen += u64::from(*count);
        if seen >= rank {
            return Some(BOUNDS_MS[class.min(BOUNDS_MS.len() - 2)]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(1_795_500_000_000_000 + ms * 1_000)
    }

    fn channel() -> ChannelId {
        ChannelId::new("alipay-main").unwrap()
    }

    fn note(series: &mut Series, class: Class, ms: u64, now: Timestamp) {
        series.answered(&channel(), class, Duration::from_millis(ms), now);
    }

    #[test]
    fn steps_are_counted_apart_and_forgotten_after_an_hour() {
        let mut series = Series::default();
        note(&mut series, Class::Ok, 30, at(0));
        note(&mut series, Class::Declined, 40, at(4_999));
        note(&mut series, Class::Unavailable, 9_000, at(5_000));
        let points = series.points(&channel(), Duration::from_secs(10), at(9_999));
        assert_eq!(points.len(), 2);
        assert_eq!((points[0].ok, points[0].declined, points[0].success()), (1, 1, Some(1.0)));
        assert_eq!((points[1].failed, points[1].success()), (1, Some(0.0)));
        assert_eq!((points[0].p50_ms, points[1].p95_ms), (Some(35), Some(8_000)));
        let hour = Duration::from_secs(3_600);
        let later = series.points(&channel(), hour, at(3_600_000));
        assert_eq!(later.len(), STEPS);
        assert_eq!(later[0].failed, 1, "59 min 55 s ago");
        note(&mut series, Class::Ok, 1, at(3_600_000));
        let later = series.points(&channel(), hour, at(3_600_000));
        assert!(later.iter().all(|point| point.declined == 0));
    }

    #[test]
    fn steps_are_added_up_for_one_channel_and_for_all() {
        let mut series = Series::default();
        let other = ChannelId::new("wechat-main").unwrap();
        note(&mut series, Class::Ok, 30, at(0));
        note(&mut series, Class::Unknown, 8_000, at(20_000));
        series.answered(&other, Class::Declined, Duration::from_millis(30), at(20_000));
        let minute = Duration::from_secs(60);
        let one = series.sum(Some(&channel()), minute, at(20_000));
        assert_eq!((one.ok, one.unknown, one.calls()), (1, 1, 2));
        assert_eq!((one.success(), one.p95_ms), (Some(0.5), Some(8_000)));
        let all = series.sum(None, minute, at(20_000));
        assert_eq!((all.calls(), all.declined, all.p50_ms), (3, 1, Some(35)));
        let late = series.sum(None, Duration::from_secs(10), at(20_000));
        assert_eq!(late.calls(), 2, "what is older is not counted");
    }

    #[test]
    fn without_calls_nothing_is_claimed() {
        let points = Series::default().points(&channel(), Duration::from_secs(15), at(0));
        assert_eq!(points.len(), 3);
        assert!(points.iter().all(|p| p.success().is_none() && p.p50_ms.is_none()));
        assert!(points[0].at < points[1].at);
    }

    #[test]
    fn quantiles_lie_in_their_class() {
        let mut series = Series::default();
        for ms in 1..=100 {
            note(&mut series, Class::Ok, ms, at(0));
        }
        let point = series.points(&channel(), Duration::from_secs(5), at(0))[0];
        assert_eq!((point.p50_ms, point.p95_ms), (Some(50), Some(100)));
    }
}
