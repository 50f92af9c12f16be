//! The health of channels as gauges, brought up to date when somebody reads them.

use engine::{Engine, MethodView};
use metrics::{Unit, describe_counter, describe_gauge, gauge};

/// Every state, so that a cell's gauges add up to 1.
const STATES: [&str; 5] = ["healthy", "suspect", "down", "probing", "ramping"];

/// Brings the gauges up to date.
pub(crate) fn refresh(engine: &Engine) {
    for channel in engine.channels() {
        for (method, view) in &channel.methods {
            let labels =
                [("channel", channel.id.to_string()), ("method", method.name().to_owned())];
            cell(&labels, view);
        }
    }
    let fleet = engine.fleet();
    gauge!("evergate_retries_left").set(fleet.retries_left);
    gauge!("evergate_issuers_sick").set(fleet.sick_issuers.len() as f64);
    gauge!("evergate_rates_drifting").set(f64::from(u8::from(fleet.is_drifting)));
}

fn cell(labels: &[(&'static str, String); 2], view: &MethodView) {
    let flag = |on: bool| f64::from(u8::from(on));
    for state in STATES {
        let [channel, method] = labels.clone();
        gauge!("evergate_cell_state", &[channel, method, ("state", state.to_owned())])
            .set(flag(view.health.name() == state));
    }
    let changed_s = view.changed_at.map_or(0.0, |at| at.as_millis() as f64 / 1_000.0);
    gauge!("evergate_cell_statistic_nats", labels).set(view.evidence.statistic);
    gauge!("evergate_cell_threshold_nats", labels).set(view.evidence.threshold);
    gauge!("evergate_cell_changed_timestamp", labels).set(changed_s);
    gauge!("evergate_cell_share", labels).set(f64::from(view.share_percent) / 100.0);
    gauge!("evergate_cell_technical_base", labels).set(view.technical_base);
    if let Some(base) = view.approval_base {
        gauge!("evergate_cell_approval_base", labels).set(base);
    }
    gauge!("evergate_cell_silence_nats", &of(labels, "calls")).set(view.silence.calls.statistic);
    gauge!("evergate_cell_silence_nats", &of(labels, "codes")).set(view.silence.codes.statistic);
    gauge!("evergate_cell_unpaid_codes", labels).set(f64::from(view.silence.unpaid_codes));
    gauge!("evergate_cell_issuers_out", labels).set(view.issuers.len() as f64);
    gauge!("evergate_cell_has_room", labels).set(flag(view.has_room));
    if let Some(latency) = view.latency {
        gauge!("evergate_cell_latency_usual", labels).set(latency.usual_ms / 1_000.0);
        gauge!("evergate_cell_latency_ratio", labels).set(latency.ratio);
        gauge!("evergate_cell_slow", labels).set(flag(latency.is_slow));
        gauge!("evergate_cell_in_flight", labels).set(f64::from(latency.in_flight));
    }
}

fn of(labels: &[(&'static str, String); 2], what: &str) -> [(&'static str, String); 3] {
    let [channel, method] = labels.clone();
    [channel, method, ("of", what.to_owned())]
}

/// Says what the gauges mean.
pub(crate) fn describe() {
    describe_gauge!("evergate_cell_state", "1 for the state that a channel's method is in");
    describe_gauge!("evergate_cell_statistic_nats", "Evidence of outcomes against a cell");
    describe_gauge!("evergate_cell_threshold_nats", "Where that evidence is an alarm");
    describe_gauge!(
        "evergate_cell_changed_timestamp",
        Unit::Seconds,
        "When a cell's health last changed, since the Unix epoch"
    );
    describe_gauge!("evergate_cell_share", "Share of payments that a cell's health lets through");
    describe_gauge!("evergate_cell_technical_base", "Learned share of calls that work");
    describe_gauge!("evergate_cell_approval_base", "Learned share of payments not refused");
    describe_gauge!(
        "evergate_cell_silence_nats",
        "Evidence that calls hang, or that codes cannot be paid"
    );
    describe_gauge!("evergate_cell_unpaid_codes", "Codes that are shown and not paid yet");
    describe_gauge!("evergate_cell_issuers_out", "Issuers that a cell is routed around for");
    describe_gauge!("evergate_cell_has_room", "1 while a cell may take one more payment");
    describe_gauge!("evergate_cell_latency_usual", Unit::Seconds, "Learned time of a call");
    describe_gauge!("evergate_cell_latency_ratio", "By how much calls take longer of late");
    describe_gauge!("evergate_cell_slow", "1 while a cell is slow and its calls are capped");
    describe_gauge!("evergate_cell_in_flight", "Create calls under way on a cell");
    describe_gauge!("evergate_retries_left", "Further attempts of requests that may be made now");
    describe_gauge!("evergate_issuers_sick", "Issuers that fail on every channel");
    describe_gauge!("evergate_rates_drifting", "1 while success rates drift");
    describe_counter!("evergate_cell_changes_total", "Changes of a cell's health, by new state");
    describe_counter!("evergate_decline_shifts_total", "Shifts in why customers are refused");
    describe_counter!(
        "evergate_retries_refused_total",
        "Further attempts that were not made because the budget of retries was spent"
    );
}
