//! The edge where this crate reads the clock, and the providers' ways of writing a time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::books::Millis;

/// By how much the clock of this process runs ahead.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// Lets every sandbox of this process run ahead of the system's clock, to play tomorrow.
pub fn run_ahead(by: Duration) {
    AHEAD_MS.store(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::Relaxed);
}

/// Milliseconds since 1970 UTC. The one place that reads the clock.
pub(crate) fn now_ms() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ahead = AHEAD_MS.load(Ordering::Relaxed);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(ahead)
}

const BEIJING: Offset = Offset::constant(8);

fn format(ms: Millis, pattern: &str) -> String {
    let moment = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned_datetime(TimeZone::fixed(BEIJING)).strftime(pattern).to_string()
}

/// `yyyy-MM-dd HH:mm:ss`, Beijing time, as Alipay writes it.
pub(crate) fn alipay_time(ms: Millis) -> String {
    format(ms, "%Y-%m-%d %H:%M:%S")
}

/// The same as the front of a trade number.
pub(crate) fn compact_day(ms: Millis) -> String {
    format(ms, "%Y%m%d")
}

/// `yyyyMMddHHmmss`, Beijing time, as UnionPay writes it.
pub(crate) fn unionpay_time(ms: Millis) -> String {
    format(ms, "%Y%m%d%H%M%S")
}

/// RFC 3339 with `+08:00`, as WeChat Pay writes it.
pub(crate) fn wechat_time(ms: Millis) -> String {
    format(ms, "%Y-%m-%dT%H:%M:%S%:z")
}

pub(crate) fn parse_alipay_time(text: &str) -> Option<Millis> {
    let local = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    BEIJING.to_timestamp(local).ok().map(Timestamp::as_millisecond)
}

pub(crate) fn parse_unionpay_time(text: &str) -> Option<Millis> {
    let digits = text.len() == 14 && text.bytes().all(|b| b.is_ascii_digit());
    let local = DateTime::strptime("%Y%m%d%H%M%S", text).ok().filter(|_| digits)?;
    BEIJING.to_timestamp(local).ok().map(Timestamp::as_millisecond)
}

/// RFC 3339 with any offset.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Millis> {
    // jiff also takes looser forms, of which the provider takes none.
    let has_time = text.as_bytes().get(10) == Some(&b'T');
    text.parse::<Timestamp>().ok().filter(|_| has_time).map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_round_trip() {
        let ms = 1_790_000_000_000;
        assert_eq!(parse_alipay_time(&alipay_time(ms)), Some(ms));
        assert_eq!(parse_rfc3339(&wechat_time(ms)), Some(ms));
        assert!(wechat_time(ms).ends_with("+08:00"));
        assert_eq!(parse_unionpay_time(&unionpay_time(ms)), Some(ms));
        assert_eq!(parse_unionpay_time("2026-01-01"), None);
        assert_eq!(parse_alipay_time("2026/01/01"), None);
        assert_eq!(parse_rfc3339("2026-01-01 00:00:00Z"), None);
    }
}
