//! What all codecs share: silence, times and checked texts.

use domain::{Answer, Fault, Money, Operation, OrderRef, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::{Reply, Response};

/// So many days.
pub(crate) fn days(days: u32) -> std::time::Duration {
    std::time::Duration::from_secs(u64::from(days) * 86_400)
}

/// Questions after these waits in seconds, each counted from the one before, and then steadily.
pub(crate) fn waits(waits_s: &[u64], then_every_s: u64) -> domain::Schedule {
    let seconds = std::time::Duration::from_secs;
    domain::Schedule {
        waits: waits_s.iter().copied().map(seconds).collect(),
        then_every: seconds(then_every_s),
    }
}

/// The whole answer, or what its absence means. After an earlier question of the same
/// operation (`earlier`), not even "not sent" proves that nothing happened.
pub(crate) fn answered<'r>(
    op: &Operation,
    earlier: bool,
    reply: &'r Reply,
) -> Result<&'r Response, Answer> {
    match reply {
        Reply::Answered(response) => Ok(response),
        Reply::NotSent(cause) if !earlier => {
            Err(op.unavailable(Fault::new(cause.code, cause.detail.clone())))
        }
        Reply::NotSent(cause) | Reply::Unanswered(cause) => {
            Err(op.unknown(Fault::new(cause.code, cause.detail.clone())))
        }
    }
}

/// Our code for an answer that is not the protocol's.
pub(crate) fn malformed(what: &str) -> Fault {
    Fault::new("malformed", format!("the answer is not what the protocol says: {what}"))
}

/// Our code for an answer whose signature does not prove it.
pub(crate) fn unverified(why: &str) -> Fault {
    Fault::new("unverified", format!("the answer does not prove itself: {why}"))
}

/// Our code for an answer about something else than what was asked.
pub(crate) fn other(what: &str) -> Fault {
    Fault::new("other_order", format!("the answer is about another {what}; it proves nothing"))
}

/// Our code for a bare HTTP status.
pub(crate) fn http_fault(status: u16) -> Fault {
    Fault::new(format!("http_{status}"), format!("HTTP {status} without a code of the protocol"))
}

/// Whether an amount in major units is the order's.
pub(crate) fn is_major(text: &str, money: Money) -> bool {
    Money::from_major(text, money.currency()) == Ok(money)
}

/// An order for questions, from the operation that made it or asked about it.
pub(crate) fn order_ref(op: &Operation) -> OrderRef {
    match op {
        Operation::Create(order) => OrderRef {
            number: order.number.clone(),
            reference: None,
            method: order.method,
            flow: order.flow,
            money: order.money,
            sent_at: order.sent_at,
            wanted: true,
        },
        Operation::Query(order) | Operation::Close(order, _) => order.clone(),
        Operation::Refund(refund) | Operation::QueryRefund(refund) => refund.order.clone(),
    }
}

/// The first `bytes` bytes of a text, whole characters only.
pub(crate) fn shorten(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    &text[..end]
}

/// Beijing has kept UTC+8 without daylight saving since 1991.
const BEIJING: Offset = Offset::constant(8);

/// `2026-11-24 08:00:00`, as Alipay writes times.
pub(crate) fn beijing(at: Timestamp) -> String {
    civil(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2026-11-24T08:00:00+08:00`, as WeChat Pay wants them.
pub(crate) fn beijing_rfc3339(at: Timestamp) -> String {
    format!("{}+08:00", civil(at).strftime("%Y-%m-%dT%H:%M:%S"))
}

/// `20261124080000`, as UnionPay writes times.
pub(crate) fn beijing_compact(at: Timestamp) -> String {
    civil(at).strftime("%Y%m%d%H%M%S").to_string()
}

fn civil(at: Timestamp) -> DateTime {
    jiff::Timestamp::from_second(at.as_secs())
        .map(|t| BEIJING.to_datetime(t))
        .unwrap_or(DateTime::constant(9999, 12, 31, 23, 59, 59, 0))
}

/// Reads Alipay's way of writing times.
pub(crate) fn read_beijing(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    let instant = BEIJING.to_timestamp(time).ok()?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

/// Reads UnionPay's way of writing times.
pub(crate) fn read_beijing_compact(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    let instant = BEIJING.to_timestamp(time).ok()?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

/// Reads an RFC 3339 time.
pub(crate) fn read_rfc3339(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beijing_time_goes_both_ways() {
        let at = Timestamp::from_secs(1_700_000_000);
        assert_eq!(beijing(at), "2023-11-15 06:13:20");
        assert_eq!(read_beijing("2023-11-15 06:13:20"), Some(at));
        assert_eq!(beijing_rfc3339(at), "2023-11-15T06:13:20+08:00");
        assert_eq!(read_rfc3339("2023-11-15T06:13:20+08:00"), Some(at));
        assert_eq!(beijing_compact(at), "20231115061320");
        assert_eq!(read_beijing_compact("20231115061320"), Some(at));
        assert_eq!(read_beijing("yesterday"), None);
        assert_eq!(beijing(Timestamp::MAX).len(), 19);
    }

    #[test]
    fn shortening_keeps_characters_whole() {
        assert_eq!(shorten("订单一", 7), "订单");
        assert_eq!(shorten("abc", 7), "abc");
    }
}
