//! The gauges of the desk.

use domain::Timestamp;
use recovery::assist::Desk;
use store::CaseState;

/// Brings the gauges of the desk up to date.
pub(crate) async fn refresh(desk: &Desk, now: Timestamp) {
    let totals = match desk.books().assist_totals().await {
        Ok(totals) => totals,
        Err(error) => return tracing::warn!(%error, "the desk's cases could not be counted"),
    };
    for state in CaseState::NAMES.into_iter().filter(|state| *state != "closed") {
        let here = totals.iter().find(|total| total.state == state);
        let age = here.map_or(0.0, |total| now.since(total.oldest).as_secs_f64());
        metrics::gauge!("evergate_assist_cases", "state" => state)
            .set(here.map_or(0.0, |total| total.count as f64));
        metrics::gauge!("evergate_assist_cases_oldest_seconds", "state" => state).set(age);
    }
}

/// Says what the metrics mean.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_gauge!("evergate_assist_cases", "Cases of the VIP desk that are not closed, by state");
    describe_gauge!("evergate_assist_cases_oldest_seconds", "Age of the oldest one");
    describe_counter!("evergate_assist_opened_total", "Cases that were opened, by who asked");
    describe_counter!("evergate_assist_closed_total", "Cases that ended, by how");
}
