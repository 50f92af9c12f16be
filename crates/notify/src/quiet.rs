//! Quiet hours by the merchant's clock.

use std::time::Duration;

use domain::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};

/// Hours of the day in which nobody is disturbed; over midnight where `from` is later than
/// `until`. Minutes after midnight; the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// The first quiet minute.
    pub from: u16,
    /// The first minute that is quiet no more.
    pub until: u16,
}

impl Default for QuietHours {
    /// 22:00 to 08:00.
    fn default() -> QuietHours {
        QuietHours { from: 22 * 60, until: 8 * 60 }
    }
}

impl QuietHours {
    /// When they end, if `at` is within them. The end is later than `at`.
    pub fn end(self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let local = local.to_zoned_datetime(zone.clone());
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let over_midnight = self.from > self.until;
        let quiet = match over_midnight {
            true => minute >= self.from || minute < self.until,
            false => (self.from..self.until).contains(&minute),
        };
        if !quiet {
            return None;
        }
        let date = match over_midnight && minute >= self.from {
            true => local.date().checked_add(1.day()).ok()?,
            false => local.date(),
        };
        let end = date.to_datetime(time(self.until));
        let end = zone.to_ambiguous_zoned_datetime(end).compatible().ok()?;
        let end = Timestamp::from_micros(end.timestamp().as_microsecond());
        // Where clocks are put back in the night the end may be over once already.
        Some(if end > at { end } else { at + Duration::from_secs(60) })
    }
}

/// A time of the day from minutes after midnight.
fn time(minute: u16) -> Time {
    let part = |value: u16| i8::try_from(value).unwrap_or(0);
    Time::new(part(minute / 60 % 24), part(minute % 60), 0, 0).unwrap_or(Time::midnight())
}

/// A time of the day such as `22:00`, as minutes after midnight.
pub fn day_minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| -> Option<u16> {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// A time zone by its IANA name, or an offset of whole minutes such as `+08:00`.
pub fn zone(name: &str) -> Option<TimeZone> {
    let Some(rest) = name.strip_prefix(['+', '-']) else { return TimeZone::get(name).ok() };
    let minutes = i32::from(day_minute(rest)?);
    let sign = if name.starts_with('-') { -1 } else { 1 };
    Offset::from_seconds(sign * minutes * 60).ok().map(TimeZone::fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn the_night_ends_in_the_morning() {
        let zone = zone("Asia/Shanghai").unwrap();
        let night = QuietHours::default();
        for (now, end) in [
            ("2026-11-24T21:59:59+08:00", None),
            ("2026-11-24T22:00:00+08:00", Some("2026-11-25T08:00:00+08:00")),
            ("2026-11-25T00:00:00+08:00", Some("2026-11-25T08:00:00+08:00")),
            ("2026-11-25T07:59:59+08:00", Some("2026-11-25T08:00:00+08:00")),
            ("2026-11-25T08:00:00+08:00", None),
        ] {
            assert_eq!(night.end(at(now), &zone), end.map(at), "{now}");
        }
        let noon = QuietHours { from: 12 * 60, until: 14 * 60 };
        let end = Some(at("2026-11-24T14:00:00+08:00"));
        assert_eq!(noon.end(at("2026-11-24T13:00:00+08:00"), &zone), end);
        assert_eq!(noon.end(at("2026-11-24T22:30:00+08:00"), &zone), None);
    }

    #[test]
    fn clocks_that_jump_shorten_or_lengthen_the_night() {
        let zone = zone("Europe/Berlin").unwrap();
        let night = QuietHours { from: 23 * 60, until: 2 * 60 + 30 };
        // 02:30 does not exist on that day.
        let end = Some(at("2027-03-28T03:30:00+02:00"));
        assert_eq!(night.end(at("2027-03-28T00:00:00+01:00"), &zone), end);
        // 02:10 comes twice, and is quiet both times.
        let second = at("2026-10-25T02:10:00+01:00");
        assert_eq!(night.end(second, &zone), Some(second + Duration::from_secs(60)));
    }

    #[test]
    fn zones_and_times_are_read_strictly() {
        assert!(zone("Asia/Shanghai").is_some() && zone("+08:00").is_some());
        assert!(zone("UTC").is_some() && zone("-03:30").is_some());
        for bad in ["", "Shanghai", "+8", "+25:00", "08:00"] {
            assert!(zone(bad).is_none(), "{bad}");
        }
        assert_eq!(day_minute("08:30"), Some(510));
        for bad in ["", "8:00", "24:00", "08:60", "08:00:00", "+8:00"] {
            assert_eq!(day_minute(bad), None, "{bad}");
        }
    }
}
