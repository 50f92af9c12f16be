//! Points in time as the API writes and reads them: RFC 3339, UTC.

use domain::Timestamp;

/// As RFC 3339 in UTC, such as `2026-11-24T04:37:00.25Z`.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    // Only times outside the years -9999 to 9999 fail, which are no dates to anyone.
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| "9999-12-31T23:59:59Z".to_owned(), |t| t.to_string())
}

/// Reads RFC 3339 with `Z` or an offset.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        let at = Timestamp::from_micros(1_795_500_000_250_000);
        assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        assert_eq!(rfc3339(Timestamp::from_secs(0)), "1970-01-01T00:00:00Z");
        assert_eq!(
            parse_rfc3339("2026-11-24T12:00:00+08:00"),
            parse_rfc3339("2026-11-24T04:00:00Z")
        );
        assert_eq!(parse_rfc3339("yesterday"), None);
        assert_eq!(rfc3339(Timestamp::MAX), "9999-12-31T23:59:59Z");
    }
}
