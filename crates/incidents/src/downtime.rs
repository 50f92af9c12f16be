//! Events by which somebody tells that a channel, a method or a bank is down.
//!
//! Two forms are read: Evergate's own, and Razorpay's `payment.downtime.*`. A sender that
//! signs (see [`Sender`]) speaks about its own channel only, whatever the event names. What a
//! provider says is evidence: it makes cells suspect and has them tried at once, and it takes
//! nothing out of service by itself.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{ChannelId, Method, Scope, Timestamp};
use resilience::Severity;
use serde_json::{Map, Value};

use crate::calendar::{LONGEST, Span};
use crate::statuspage::Said;

/// A downtime without an end is forgotten after this, unless it is told again.
pub const FORGOTTEN: Duration = Duration::from_secs(6 * 3_600);
/// The most downtimes that are kept.
const KEPT_MAX: usize = 1_000;
/// How far a signed event's clock may be off.
const SKEW: Duration = Duration::from_secs(300);
/// The largest text of an event.
const TEXT_MAX: usize = 200;

/// What an event says has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is down.
    Started,
    /// It is well again, or the plan was called off.
    Resolved,
    /// It will be away.
    Scheduled,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Names the downtime; its later events carry the same.
    pub id: String,
    /// What it is about.
    pub scope: Scope,
    /// What has happened.
    pub status: Status,
    /// How bad.
    pub severity: Severity,
    /// Since when, or from when.
    pub from: Timestamp,
    /// Until when, where known.
    pub until: Option<Timestamp>,
    /// In the sender's words.
    pub reason: String,
}

/// A field of an event that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Which.
    pub field: String,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// Why an event is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// Fields that cannot be read.
    #[error("the event cannot be read")]
    Fields(Vec<BadField>),
    /// About something that Evergate has no name for; acknowledge and ignore.
    #[error("the event is about {0}, which is not handled")]
    Irrelevant(String),
}

struct Reading<'v> {
    fields: &'v Map<String, Value>,
    bad: Vec<BadField>,
}

impl<'v> Reading<'v> {
    fn note(&mut self, field: &str, rule: &'static str, fix: &'static str) {
        self.bad.push(BadField { field: field.to_owned(), rule, fix });
    }

    fn text(&mut self, field: &str) -> Option<&'v str> {
        match self.fields.get(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if !text.is_empty() && text.len() <= TEXT_MAX => Some(text),
            Some(_) => {
                self.note(field, "must be 1 to 200 bytes of text", "shorten it");
                None
            }
        }
    }

    fn parsed<T: std::str::FromStr>(
        &mut self,
        field: &str,
        rule: &'static str,
        fix: &'static str,
    ) -> Option<T> {
        let parsed = self.text(field)?.parse().ok();
        if parsed.is_none() {
            self.note(field, rule, fix);
        }
        parsed
    }

    fn time(&mut self, field: &str) -> Option<Timestamp> {
        let rule = "must be a time in RFC 3339";
        let at: jiff::Timestamp = self.parsed(field, rule, "send 2026-11-24T12:00:00Z, say")?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    }
}

const KNOWN: [&str; 9] =
    ["id", "channel", "method", "issuer", "status", "severity", "from", "until", "reason"];

/// Reads an event in Evergate's own form. `now` stands for an absent `from`.
///
/// # Errors
/// Every field that cannot be read.
pub fn read(event: &Map<String, Value>, now: Timestamp) -> Result<Event, BadEvent> {
    let mut reading = Reading { fields: event, bad: Vec::new() };
    for unknown in event.keys().filter(|k| !KNOWN.contains(&k.as_str())) {
        let field: String = unknown.chars().take(40).collect();
        reading.note(&field, "is not a field of a downtime", "leave it out");
    }
    let channel: Option<ChannelId> =
        reading.parsed("channel", "must be a channel's name", "see GET /v1/channels");
    let method: Option<Method> =
        reading.parsed("method", "must be a method", "send card or alipay, for example");
    let issuer = reading.text("issuer").map(str::to_owned);
    let scope = Scope { channel, method, issuer };
    if scope.is_empty() && reading.bad.is_empty() {
        let rule = "say what is down: a channel, a method or an issuer";
        reading.note("channel", rule, "send one of the three, or several to narrow it");
    }
    let status = match reading.text("status") {
        Some("started") => Some(Status::Started),
        Some("resolved") => Some(Status::Resolved),
        Some("scheduled") => Some(Status::Scheduled),
        _ => {
            let rule = "must be started, resolved or scheduled";
            reading.note("status", rule, "send one of them");
            None
        }
    };
    let severity = match reading.text("severity") {
        None => Severity::Minor,
        Some(text) => severity(text).unwrap_or_else(|| {
            let rule = "must be low, medium or high";
            reading.note("severity", rule, "send one of them");
            Severity::Minor
        }),
    };
    let from = reading.time("from").unwrap_or(now);
    let until = reading.time("until");
    let id = reading.text("id").map_or_else(|| format!("downtime of {scope}"), str::to_owned);
    let reason = reading.text("reason").unwrap_or("told by a downtime event").to_owned();
    check_times(&mut reading, status, from, until);
    match (status, reading.bad) {
        (Some(status), bad) if bad.is_empty() => {
            Ok(Event { id, scope, status, severity, from, until, reason })
        }
        (_, bad) => Err(BadEvent::Fields(bad)),
    }
}

fn check_times(
    reading: &mut Reading<'_>,
    status: Option<Status>,
    from: Timestamp,
    until: Option<Timestamp>,
) {
    match until {
        Some(until) if until <= from => {
            reading.note("until", "must be later than `from`", "send the end, or leave it out");
        }
        Some(until) if until.since(from) > LONGEST => {
            reading.note("until", "must be at most 31 days after `from`", "send a nearer end");
        }
        None if status == Some(Status::Scheduled) => {
            reading.note("until", "is required for what is scheduled", "send its end");
        }
        _ => {}
    }
}

/// `medium` is minor: some of the payments fail.
fn severity(text: &str) -> Option<Severity> {
    match text {
        "low" | "medium" | "minor" => Some(Severity::Minor),
        "high" | "major" | "critical" => Some(Severity::Major),
        _ => None,
    }
}

/// Reads Razorpay's `payment.downtime.started`, `.updated` and `.resolved`.
///
/// # Errors
/// When it is another event, or about a method that Evergate does not know.
pub fn read_razorpay(body: &Value, now: Timestamp) -> Result<Event, BadEvent> {
    let irrelevant = |text: &str| BadEvent::Irrelevant(text.chars().take(TEXT_MAX).collect());
    let event = body["event"].as_str().unwrap_or("");
    if !event.starts_with("payment.downtime.") {
        return Err(irrelevant(event));
    }
    let entity = &body["payload"]["payment.downtime"]["entity"];
    let text = |value: &Value| value.as_str().map(|t| t.chars().take(TEXT_MAX).collect::<String>());
    let method = match entity["method"].as_str().unwrap_or("") {
        "card" => Method::Card,
        "netbanking" => Method::BankTransfer,
        other => return Err(irrelevant(other)),
    };
    let status = match entity["status"].as_str().unwrap_or("") {
        "started" => Status::Started,
        "scheduled" => Status::Scheduled,
        "resolved" | "cancelled" => Status::Resolved,
        other => return Err(irrelevant(other)),
    };
    let at = |name: &str| entity[name].as_i64().filter(|s| *s > 0).map(Timestamp::from_secs);
    let from = at("begin").unwrap_or(now);
    let until = at("end").filter(|until| *until > from && until.since(from) <= LONGEST);
    if status == Status::Scheduled && until.is_none() {
        return Err(irrelevant("a plan without an end"));
    }
    let instrument = &entity["instrument"];
    Ok(Event {
        id: text(&entity["id"]).unwrap_or_else(|| format!("downtime of {method}")),
        scope: Scope {
            channel: None,
            method: Some(method),
            issuer: text(&instrument["issuer"]).or_else(|| text(&instrument["bank"])),
        },
        status,
        severity: entity["severity"].as_str().and_then(severity).unwrap_or(Severity::Minor),
        from,
        until,
        reason: "told by Razorpay".to_owned(),
    })
}

/// The form and the signature of a sender's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Evergate's own form, signed as Standard Webhooks says.
    Standard,
    /// Razorpay's, signed in `X-Razorpay-Signature`.
    Razorpay,
}

/// Somebody who may tell of downtimes by a signature instead of an operator's key.
#[derive(Clone)]
pub struct Sender {
    /// Its name, which the address carries.
    pub name: String,
    /// The form of its events.
    pub form: Form,
    /// The only channel that it may speak about.
    pub channel: ChannelId,
    key: hmac::Key,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("name", &self.name).field("channel", &self.channel).finish()
    }
}

/// Headers of an event that prove its sender, where they are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof<'h> {
    /// `webhook-id`
    pub id: Option<&'h str>,
    /// `webhook-timestamp`
    pub timestamp: Option<&'h str>,
    /// `webhook-signature`, or `x-razorpay-signature`.
    pub signature: Option<&'h str>,
}

impl Sender {
    /// A sender. A `standard` secret is written `whsec_` and base64, of at least 24 bytes.
    ///
    /// # Errors
    /// The rule that the secret breaks.
    pub fn new(
        name: &str,
        form: Form,
        channel: ChannelId,
        secret: &str,
    ) -> Result<Sender, &'static str> {
        let bytes = match form {
            Form::Standard => secret.strip_prefix("whsec_").and_then(|b| STANDARD.decode(b).ok()),
            Form::Razorpay => Some(secret.as_bytes().to_vec()),
        };
        let bytes = bytes.ok_or("a standard secret is `whsec_` and base64")?;
        let least = if form == Form::Standard { 24 } else { 8 };
        if bytes.len() < least {
            return Err("the secret is too short: 24 bytes for standard, 8 for razorpay");
        }
        Ok(Sender {
            name: name.to_owned(),
            form,
            channel,
            key: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
        })
    }

    /// Whether a body comes from this sender, and lately.
    pub fn proves(&self, proof: &Proof<'_>, body: &[u8], now: Timestamp) -> bool {
        let Some(signature) = proof.signature else { return false };
        match self.form {
            Form::Razorpay => {
                hex::decode(signature).is_ok_and(|tag| hmac::verify(&self.key, body, &tag).is_ok())
            }
            Form::Standard => {
                let (Some(id), Some(time)) = (proof.id, proof.timestamp) else { return false };
                let Ok(at) = time.parse::<i64>() else { return false };
                let at = Timestamp::from_secs(at);
                let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
                let fits = |part: &str| {
                    let tag = part.strip_prefix("v1,").and_then(|b| STANDARD.decode(b).ok());
                    tag.is_some_and(|tag| hmac::verify(&self.key, &signed, &tag).is_ok())
                };
                now.since(at).max(at.since(now)) <= SKEW && signature.split(' ').any(fits)
            }
        }
    }

    /// Reads its event, narrowed to its channel.
    ///
    /// # Errors
    /// When the event cannot be read or is about something else.
    pub fn read(&self, body: &[u8], now: Timestamp) -> Result<Event, BadEvent> {
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut event = match (self.form, &value) {
            (Form::Razorpay, value) => read_razorpay(value, now)?,
            (Form::Standard, Value::Object(fields)) => read(fields, now)?,
            (Form::Standard, _) => {
                let field = String::new();
                let fix = "send the event as a JSON object";
                return Err(BadEvent::Fields(vec![BadField { field, rule: "is no object", fix }]));
            }
        };
        if event.scope.channel.as_ref().is_some_and(|named| *named != self.channel) {
            return Err(BadEvent::Irrelevant("another channel".to_owned()));
        }
        event.scope.channel = Some(self.channel.clone());
        // Two senders may use the same names.
        event.id = format!("{}: {}", self.name, event.id);
        Ok(event)
    }
}

/// What has been told and is not over.
#[derive(Clone, Debug, Default)]
pub struct Downtimes {
    told: Vec<(Event, Timestamp)>,
}

impl Downtimes {
    /// Takes an event in, told at `now`. Whether it changed anything.
    pub fn take(&mut self, event: Event, now: Timestamp) -> bool {
        self.told.retain(|(known, told)| !is_over(known, *told, now));
        let known = self.told.iter().position(|(known, _)| known.id == event.id);
        match (known, event.status) {
            (Some(place), Status::Resolved) => {
                self.told.remove(place);
                true
            }
            (None, Status::Resolved) => false,
            (Some(place), _) => {
                let changed = self.told[place].0 != event;
                self.told[place] = (event, now);
                changed
            }
            (None, _) => {
                if self.told.len() >= KEPT_MAX {
                    self.told.remove(0);
                }
                self.told.push((event, now));
                true
            }
        }
    }

    /// What is not over, in the order in which it was told first.
    pub fn standing(&self, now: Timestamp) -> impl Iterator<Item = &Event> {
        self.told.iter().filter(move |(e, told)| !is_over(e, *told, now)).map(|(event, _)| event)
    }

    /// What is said to be down now.
    pub fn said(&self, now: Timestamp) -> Vec<Said> {
        let down = |e: &&Event| e.status == Status::Started && e.from <= now;
        self.standing(now)
            .filter(down)
            .map(|e| Said { scope: e.scope.clone(), severity: e.severity, text: e.reason.clone() })
            .collect()
    }

    /// What is planned.
    pub fn planned(&self, now: Timestamp) -> Vec<(&Event, Span)> {
        self.standing(now)
            .filter(|event| event.status == Status::Scheduled)
            .filter_map(|e| Some((e, Span { from: e.from, until: e.until? })))
            .collect()
    }
}

fn is_over(event: &Event, told: Timestamp, now: Timestamp) -> bool {
    match event.until {
        Some(until) => until <= now,
        None => now.since(told) >= FORGOTTEN,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    fn event(value: Value) -> Result<Event, BadEvent> {
        read(value.as_object().unwrap(), at(0))
    }

    #[test]
    fn an_event_is_read_or_every_mistake_is_told() {
        let read = event(json!({
            "channel": "stripe-main", "method": "card", "issuer": "icbc", "status": "started",
            "severity": "high", "from": "2027-01-15T08:00:00Z", "until": "2027-01-15T09:00:00Z",
        }))
        .unwrap();
        assert_eq!(read.scope.to_string(), "stripe-main card bank icbc");
        assert_eq!((read.severity, read.status), (Severity::Major, Status::Started));
        let mistakes = |value| match event(value) {
            Err(BadEvent::Fields(bad)) => bad.into_iter().map(|b| b.field).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(mistakes(json!({})), ["channel", "status"]);
        assert_eq!(
            mistakes(json!({ "channel": "A B", "status": "gone", "severity": 7, "x": 1 })),
            ["x", "channel", "status", "severity"]
        );
        assert_eq!(mistakes(json!({ "method": "card", "status": "scheduled" })), ["until"]);
        let backwards = json!({
            "method": "card", "status": "started", "from": "2027-01-15T08:00:00Z",
            "until": "2027-01-15T08:00:00Z",
        });
        assert_eq!(mistakes(backwards), ["until"]);
    }

    fn razorpay(status: &str) -> Value {
        json!({
            "entity": "event", "event": format!("payment.downtime.{status}"),
            "payload": { "payment.downtime": { "entity": {
                "id": "down_1", "method": "card", "begin": 1_800_000_000, "end": null,
                "status": status, "scheduled": false, "severity": "high",
                "instrument": { "issuer": "HDFC" },
            } } },
        })
    }

    #[test]
    fn razorpays_events_are_read() {
        let read = read_razorpay(&razorpay("started"), at(9)).unwrap();
        assert_eq!((read.from, read.until), (at(0), None));
        assert_eq!(read.scope.issuer.as_deref(), Some("HDFC"));
        let mut upi = razorpay("started");
        upi["payload"]["payment.downtime"]["entity"]["method"] = json!("upi");
        for value in [upi, json!({ "event": "payment.captured" }), Value::Null] {
            assert!(matches!(read_razorpay(&value, at(0)), Err(BadEvent::Irrelevant(_))));
        }
    }

    #[test]
    fn a_downtime_ends_by_its_word_by_its_end_or_by_being_forgotten() {
        let mut all = Downtimes::default();
        let channel = ChannelId::new("razorpay").unwrap();
        let sender = Sender::new("rzp", Form::Razorpay, channel.clone(), "a secret").unwrap();
        let read = |status: &str| sender.read(razorpay(status).to_string().as_bytes(), at(0));
        assert!(all.take(read("started").unwrap(), at(0)));
        assert!(!all.take(read("started").unwrap(), at(1)), "told again");
        assert_eq!(all.said(at(1))[0].scope.channel, Some(channel));
        assert!(all.take(read("resolved").unwrap(), at(2)));
        assert_eq!(all.said(at(2)), []);
        all.take(read("started").unwrap(), at(3));
        assert_eq!(all.said(at(3) + FORGOTTEN), []);
        let plan = event(json!({
            "method": "card", "status": "scheduled",
            "from": "2027-01-15T08:30:00Z", "until": "2027-01-15T09:00:00Z",
        }));
        all.take(plan.unwrap(), at(3));
        assert_eq!(all.said(at(2_000)).len(), 1, "a plan is no word that it is down");
        assert_eq!(all.planned(at(3)).len(), 1);
        assert_eq!(all.planned(at(3_600)).len(), 0);
        for n in 0..2 * KEPT_MAX {
            let id = format!("d{n}");
            all.take(
                event(json!({ "id": id, "method": "card", "status": "started" })).unwrap(),
                at(9),
            );
        }
        assert!(all.standing(at(9)).count() <= KEPT_MAX);
    }

    #[test]
    fn only_the_sender_itself_is_believed_and_only_about_its_channel() {
        let channel = ChannelId::new("mine").unwrap();
        let secret = format!("whsec_{}", STANDARD.encode([7; 32]));
        let sender = Sender::new("s", Form::Standard, channel, &secret).unwrap();
        let body = br#"{"method":"card","status":"started"}"#;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let time = at(0).as_secs().to_string();
        let signed = [b"id.", time.as_bytes(), b".", body].concat();
        let signature = format!("v1,AAAA v1,{}", STANDARD.encode(hmac::sign(&key, &signed)));
        let proof = Proof { id: Some("id"), timestamp: Some(&time), signature: Some(&signature) };
        assert!(sender.proves(&proof, body, at(10)));
        assert!(!sender.proves(&proof, body, at(301)), "stale");
        assert!(!sender.proves(&proof, b"{}", at(10)));
        assert!(!sender.proves(&Proof { id: Some("other"), ..proof }, body, at(10)));
        assert!(!sender.proves(&Proof::default(), body, at(10)));
        assert_eq!(sender.read(body, at(0)).unwrap().scope.to_string(), "mine card");
        let foreign = br#"{"channel":"yours","status":"started"}"#;
        assert!(matches!(sender.read(foreign, at(0)), Err(BadEvent::Irrelevant(_))));
        assert!(Sender::new("s", Form::Standard, sender.channel.clone(), "whsec_AAAA").is_err());
        assert!(Sender::new("s", Form::Standard, sender.channel.clone(), "plain").is_err());
    }

    proptest! {
        #[test]
        fn no_event_panics_the_readers(text in "\\PC*", at_s in any::<i64>(), n in any::<i64>()) {
            let now = Timestamp::from_secs(at_s);
            let value = json!({
                "id": text, "channel": text, "method": "card", "issuer": text, "status": "started",
                "from": text, "until": n, "severity": text,
            });
            let _ = read(value.as_object().unwrap(), now);
            let mut rzp = razorpay("started");
            rzp["payload"]["payment.downtime"]["entity"]["begin"] = json!(n);
            rzp["payload"]["payment.downtime"]["entity"]["end"] = json!(at_s);
            let _ = read_razorpay(&rzp, now);
        }
    }
}
