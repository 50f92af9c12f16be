//! When planned absences fall.
//!
//! A weekly window is stated by the clock on a wall and lasts for real time. Where summer time
//! begins, a start that the clock skips is taken as many minutes later as are skipped; where it
//! ends, the first of the two equal times is meant. A window over midnight belongs to the day
//! on which it starts.
//!
//! Windows may overlap: what touches is one absence.

use std::time::Duration;

use domain::{ChannelId, Day, Maintenance, Method, Scope, Timestamp, When};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Offset, TimeZone};

/// The longest absence that a calendar takes: beyond that a channel is disabled, not away.
pub const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// The longest weekly window.
const WEEK: u32 = 7 * 86_400;

/// From one moment to another, which does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

impl Span {
    /// Whether a moment lies in it.
    pub fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// Who stated an absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration.
    Configuration,
    /// An operator, by the API.
    Operator(String),
    /// A provider's status page.
    Provider(String),
}

/// An absence that is under way or coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The id of what was stated.
    pub id: String,
    /// What is away.
    pub scope: Scope,
    /// When.
    pub span: Span,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub origin: Origin,
}

/// Why a statement is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct BadWindow {
    /// The field.
    pub field: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const fn bad(field: &'static str, rule: &'static str, fix: &'static str) -> BadWindow {
    BadWindow { field, rule, fix }
}

/// A time zone by its IANA name, or an offset such as `+08:00` or `Z`.
pub fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "Z" | "UTC" => Some(TimeZone::UTC),
        _ if name.starts_with(['+', '-']) => offset(name).map(TimeZone::fixed),
        _ => TimeZone::get(name).ok(),
    }
}

fn offset(text: &str) -> Option<Offset> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let (hours, minutes) = (two(hours).then_some(hours)?, two(minutes).then_some(minutes)?);
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let seconds = sign * (hours * 3_600 + minutes * 60);
    if hours > 18 || minutes > 59 { None } else { Offset::from_seconds(seconds).ok() }
}

/// Reads a time of the day such as `02:30` as minutes after midnight.
pub fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// Checks what was stated.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(scope: &Scope, when: &When) -> Result<(), BadWindow> {
    if scope.is_empty() {
        let rule = "say what is away: a channel, a method or an issuer";
        return Err(bad("channel", rule, "send one of the three, or several to narrow it"));
    }
    match when {
        When::Once { from, until } if until <= from => {
            let rule = "it must be later than `from`";
            Err(bad("until", rule, "send the end of the window"))
        }
        When::Once { from, until } if until.since(*from) > LONGEST => Err(bad(
            "until",
            "it must be at most 31 days after `from`",
            "disable the channel instead",
        )),
        When::Once { .. } => Ok(()),
        When::Weekly { days, .. } if days.is_empty() => {
            Err(bad("days", "the list is empty", "name days, such as [\"sun\"]"))
        }
        When::Weekly { start_minute, .. } if *start_minute >= 24 * 60 => {
            Err(bad("start", "it must be a time of the day", "write it like 02:30"))
        }
        When::Weekly { duration_s, .. } if *duration_s == 0 || *duration_s > WEEK => {
            Err(bad("duration_s", "it must be 1 second to 7 days", "send seconds, such as 7200"))
        }
        When::Weekly { zone: name, .. } if zone(name).is_none() => Err(bad(
            "zone",
            "it must be an IANA time zone or an offset",
            "write it like Asia/Shanghai or +08:00",
        )),
        When::Weekly { .. } => Ok(()),
    }
}

/// The times at which it falls that touch `window`, earliest first. Windows of one statement
/// that overlap each other are given as they are.
pub fn occurrences(when: &When, window: Span) -> Vec<Span> {
    let touches = |span: &Span| span.from < window.until && window.from < span.until;
    match when {
        When::Once { from, until } => {
            Some(Span { from: *from, until: *until }).filter(touches).into_iter().collect()
        }
        When::Weekly { days, start_minute, duration_s, zone: name } => {
            let Some(zone) = zone(name) else { return Vec::new() };
            let lasts = Duration::from_secs(u64::from(*duration_s));
            // A day more on either side, since days begin elsewhere at other times.
            let day = Duration::from_secs(86_400);
            let (Some(first), Some(last)) =
                (date_of(window.from - lasts - day, &zone), date_of(window.until + day, &zone))
            else {
                return Vec::new();
            };
            let starts = first
                .series(jiff::Span::new().days(1))
                .take_while(|date| *date <= last)
                .filter(|date| days.contains(&day_of(*date)))
                .filter_map(|date| start(date, *start_minute, &zone));
            starts.map(|from| Span { from, until: from + lasts }).filter(touches).collect()
        }
    }
}

fn date_of(at: Timestamp, zone: &TimeZone) -> Option<Date> {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
    Some(at.to_zoned_datetime(zone.clone()).date())
}

fn start(date: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let time = Time::new(hour, minute, 0, 0).ok()?;
    let at = zone.to_ambiguous_zoned_datetime(date.to_datetime(time)).compatible().ok()?;
    Some(Timestamp::from_micros(at.timestamp().as_microsecond()))
}

fn day_of(date: Date) -> Day {
    match date.weekday() {
        Weekday::Monday => Day::Mon,
        Weekday::Tuesday => Day::Tue,
        Weekday::Wednesday => Day::Wed,
        Weekday::Thursday => Day::Thu,
        Weekday::Friday => Day::Fri,
        Weekday::Saturday => Day::Sat,
        Weekday::Sunday => Day::Sun,
    }
}

/// All planned absences, whoever stated them.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    entries: Vec<(Maintenance, Origin)>,
}

impl Calendar {
    /// An empty one.
    pub fn new() -> Calendar {
        Calendar::default()
    }

    /// Adds statements of one origin.
    pub fn add(&mut self, stated: impl IntoIterator<Item = (Maintenance, Origin)>) {
        self.entries.extend(stated);
    }

    /// The statements.
    pub fn entries(&self) -> &[(Maintenance, Origin)] {
        &self.entries
    }

    /// Absences that are under way at `now` or begin within `ahead`, earliest first.
    pub fn due(&self, now: Timestamp, ahead: Duration) -> Vec<Absence> {
        let window = Span { from: now, until: now + ahead };
        let mut due: Vec<Absence> = self
            .entries
            .iter()
            .flat_map(|(stated, origin)| {
                occurrences(&stated.when, window).into_iter().map(|span| Absence {
                    id: stated.id.clone(),
                    scope: stated.scope.clone(),
                    span,
                    reason: stated.reason.clone(),
                    origin: origin.clone(),
                })
            })
            .collect();
        due.sort_by(|a, b| (a.span, &a.id).cmp(&(b.span, &b.id)));
        due
    }
}

/// The first absence of a method of a channel among those that are due, for all of its
/// customers or (`issuer`) for those of one bank. What touches is one absence.
pub fn next(
    due: &[Absence],
    channel: &ChannelId,
    method: Method,
    issuer: Option<&str>,
) -> Option<Span> {
    let concerns =
        |a: &&Absence| a.scope.covers(channel, method) && a.scope.issuer.as_deref() == issuer;
    due.iter().filter(concerns).map(|a| a.span).reduce(|whole, span| {
        // They come sorted by their beginning.
        let touches = span.from <= whole.until;
        if touches { Span { until: whole.until.max(span.until), ..whole } } else { whole }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_micros(at.as_microsecond())
    }

    fn text(at: Timestamp) -> String {
        jiff::Timestamp::from_microsecond(at.as_micros()).unwrap().to_string()
    }

    fn weekly(days: &[Day], start: &str, hours: f64, zone: &str) -> When {
        When::Weekly {
            days: days.to_vec(),
            start_minute: minute_of_day(start).unwrap(),
            duration_s: (hours * 3_600.0) as u32,
            zone: zone.to_owned(),
        }
    }

    fn spans(when: &When, from: &str, until: &str) -> Vec<String> {
        let found = occurrences(when, Span { from: at(from), until: at(until) });
        found.iter().map(|s| format!("{} {}", text(s.from), text(s.until))).collect()
    }

    #[test]
    fn a_weekly_window_falls_by_the_clock_of_its_zone() {
        let night = weekly(&[Day::Sun], "02:00", 2.0, "Asia/Shanghai");
        let found = spans(&night, "2026-11-24T00:00:00Z", "2026-12-07T00:00:00Z");
        assert_eq!(
            found,
            [
                "2026-11-28T18:00:00Z 2026-11-28T20:00:00Z",
                "2026-12-05T18:00:00Z 2026-12-05T20:00:00Z"
            ]
        );
        let same = weekly(&[Day::Sun], "02:00", 2.0, "+08:00");
        assert_eq!(spans(&same, "2026-11-24T00:00:00Z", "2026-12-07T00:00:00Z"), found);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_starts_on() {
        let late = weekly(&[Day::Sat], "23:30", 1.5, "UTC");
        // Asked in the middle of it, on Sunday: it is still the one of Saturday.
        let found = spans(&late, "2026-11-29T00:15:00Z", "2026-11-29T00:16:00Z");
        assert_eq!(found, ["2026-11-28T23:30:00Z 2026-11-29T01:00:00Z"]);
        // Its end does not belong to it.
        assert!(spans(&late, "2026-11-29T01:00:00Z", "2026-11-29T02:00:00Z").is_empty());
    }

    #[test]
    fn summer_time_begins_in_the_middle_of_a_window() {
        // On 29 March 2026 the clock of Berlin goes from 02:00 to 03:00 (01:00 UTC).
        let over = weekly(&[Day::Sun], "01:30", 1.0, "Europe/Berlin");
        let found = spans(&over, "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z");
        assert_eq!(found, ["2026-03-29T00:30:00Z 2026-03-29T01:30:00Z"], "an hour stays an hour");
        // 02:30 is not on the clock that day; it is taken as 03:30.
        let inside = weekly(&[Day::Sun], "02:30", 1.0, "Europe/Berlin");
        let found = spans(&inside, "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z");
        assert_eq!(found, ["2026-03-29T01:30:00Z 2026-03-29T02:30:00Z"]);
        // A week later the same statement is an hour earlier in UTC.
        let found = spans(&inside, "2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z");
        assert_eq!(found, ["2026-04-05T00:30:00Z 2026-04-05T01:30:00Z"]);
    }

    #[test]
    fn summer_time_ends_and_the_first_of_two_equal_times_is_meant() {
        // On 25 October 2026 the clock of Berlin shows 02:30 twice: 00:30 and 01:30 UTC.
        let twice = weekly(&[Day::Sun], "02:30", 1.0, "Europe/Berlin");
        let found = spans(&twice, "2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z");
        assert_eq!(found, ["2026-10-25T00:30:00Z 2026-10-25T01:30:00Z"]);
    }

    #[test]
    fn every_day_that_is_named_has_its_own() {
        let nights = weekly(&[Day::Mon, Day::Wed], "00:00", 1.0, "UTC");
        let found = spans(&nights, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        assert_eq!(
            found,
            [
                "2026-11-23T00:00:00Z 2026-11-23T01:00:00Z",
                "2026-11-25T00:00:00Z 2026-11-25T01:00:00Z"
            ]
        );
    }

    fn scope(channel: Option<&str>, method: Option<Method>, issuer: Option<&str>) -> Scope {
        Scope {
            channel: channel.map(|c| ChannelId::new(c).unwrap()),
            method,
            issuer: issuer.map(str::to_owned),
        }
    }

    fn stated(id: &str, scope: Scope, from: &str, until: &str) -> (Maintenance, Origin) {
        let maintenance = Maintenance {
            id: id.to_owned(),
            scope,
            when: When::Once { from: at(from), until: at(until) },
            by: "li".to_owned(),
            reason: "announced".to_owned(),
            since: Timestamp::EPOCH,
        };
        (maintenance, Origin::Configuration)
    }

    #[test]
    fn what_touches_is_one_absence_and_a_bank_is_not_its_channel() {
        let mut calendar = Calendar::new();
        let main = || scope(Some("alipay-main"), None, None);
        let bank = scope(Some("alipay-main"), None, Some("icbc"));
        calendar.add([
            stated("b", main(), "2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"),
            stated("a", main(), "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"),
            stated("c", main(), "2026-11-24T13:00:00Z", "2026-11-24T14:00:00Z"),
            stated("d", bank, "2026-11-24T09:30:00Z", "2026-11-24T09:45:00Z"),
            stated(
                "e",
                scope(None, Some(Method::Card), None),
                "2026-11-24T09:00:00Z",
                "2026-11-24T09:10:00Z",
            ),
        ]);
        let due = calendar.due(at("2026-11-24T09:00:00Z"), Duration::from_secs(86_400));
        let ids: Vec<&str> = due.iter().map(|a| a.id.as_str()).collect();
        assert_eq!(ids, ["e", "d", "a", "b", "c"]);
        let main = ChannelId::new("alipay-main").unwrap();
        let found = next(&due, &main, Method::Alipay, None).unwrap();
        assert_eq!((found.from, found.until), (due[2].span.from, due[3].span.until));
        let found = next(&due, &main, Method::Alipay, Some("icbc")).unwrap();
        assert_eq!(found, due[1].span);
        let other = ChannelId::new("stripe").unwrap();
        assert_eq!(next(&due, &other, Method::Alipay, None), None);
        assert_eq!(next(&due, &other, Method::Card, None), Some(due[0].span));
    }

    #[test]
    fn statements_that_are_none_are_refused_by_field() {
        let all = scope(Some("a"), None, None);
        let now = at("2026-11-24T09:00:00Z");
        let once = |until| When::Once { from: now, until };
        let field = |scope: &Scope, when: &When| check(scope, when).err().map(|e| e.field);
        assert_eq!(field(&all, &once(now)), Some("until"));
        assert_eq!(field(&all, &once(now + LONGEST + LONGEST)), Some("until"));
        assert_eq!(field(&Scope::default(), &once(now + LONGEST)), Some("channel"));
        assert_eq!(field(&all, &once(now + LONGEST)), None);
        assert_eq!(field(&all, &weekly(&[], "02:00", 1.0, "UTC")), Some("days"));
        assert_eq!(field(&all, &weekly(&[Day::Sun], "02:00", 0.0, "UTC")), Some("duration_s"));
        assert_eq!(field(&all, &weekly(&[Day::Sun], "02:00", 200.0, "UTC")), Some("duration_s"));
        for zone in ["Mars/Olympus", "+8", "+25:00", "+08:61", "", "++8:00"] {
            assert_eq!(field(&all, &weekly(&[Day::Sun], "02:00", 1.0, zone)), Some("zone"));
        }
        for text in ["24:00", "2:00", "02:60", "0200", "-1:00", ""] {
            assert_eq!(minute_of_day(text), None, "{text}");
        }
    }
}
