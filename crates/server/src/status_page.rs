//! The public status page, and the same in the shape of Statuspage v2, which other gateways'
//! watchers read (our own among them: `incidents::statuspage`).
//!
//! Its parts are ways to pay. Nothing else of the inside is told: no channel, no provider's code,
//! no operator's words. An incident is what customers can notice, so a way to pay that another
//! channel carries silently has none.
//!
//! What is over is remembered by this process only; what goes on keeps its id over a restart,
//! because levels of the ladder are durable and say since when.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use domain::{ChannelId, Level, Locale, Method, Timestamp};
use http::HeaderMap;
use incidents::calendar::{Absence, Span};
use pages::status::{Happening, Plan, State as How, StatusPage};
use serde_json::{Value, json};

use crate::app::Shared;
use crate::availability::tagged;
use crate::checkout;
use crate::time::rfc3339;

/// The most incidents that are remembered.
const KEPT: usize = 50;
/// How long one that is over is remembered.
const KEPT_FOR: Duration = Duration::from_secs(14 * 86_400);
/// One that comes back within this time is the same one.
const RELAPSE: Duration = Duration::from_secs(300);
/// How often it is looked at how things are, besides at every change of what customers see.
const LOOK: Duration = Duration::from_secs(2);
/// How far ahead plans are told.
const AHEAD: Duration = Duration::from_secs(14 * 86_400);

/// What customers may know of a way to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) method: Method,
    /// Whether a payment would be tried by it now.
    pub(crate) available: bool,
    /// How far customers of it are led from the ordinary way.
    pub(crate) level: Level,
    /// Since when that level, where it is below the top.
    pub(crate) since: Option<Timestamp>,
    /// Whether it is away by plan.
    pub(crate) planned: bool,
}

impl Part {
    fn how(&self) -> How {
        match (self.available, self.planned) {
            (false, true) => How::Planned,
            (false, false) => How::Out,
            (true, _) if self.level >= Level::OtherMethod => How::Ill,
            (true, _) => How::Fine,
        }
    }
}

/// An incident of one way to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Incident {
    method: Method,
    began: Timestamp,
    /// What it became and when, oldest first; [`How::Fine`] ends it.
    turns: Vec<(Timestamp, How)>,
}

impl Incident {
    fn id(&self) -> String {
        format!("{}-{}", self.method, self.began.as_secs())
    }

    fn last(&self) -> (Timestamp, How) {
        self.turns.last().copied().unwrap_or((self.began, How::Ill))
    }

    fn ended(&self) -> Option<Timestamp> {
        let (at, how) = self.last();
        (how == How::Fine).then_some(at)
    }

    fn worst(&self) -> How {
        self.turns.iter().map(|(_, how)| *how).max().unwrap_or(How::Ill)
    }
}

/// What went on lately, as far as this process saw it.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Vec<Incident>>);

impl History {
    /// Takes in how things are now.
    pub(crate) fn observe(&self, parts: &[Part], now: Timestamp) {
        let mut incidents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in parts {
            turn(&mut incidents, part, now);
        }
        incidents.retain(|i| i.ended().is_none_or(|at| now.since(at) < KEPT_FOR));
        let excess = incidents.len().saturating_sub(KEPT);
        incidents.drain(..excess);
    }

    /// The newest first.
    fn all(&self) -> Vec<Incident> {
        let incidents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        incidents.iter().rev().cloned().collect()
    }
}

fn turn(incidents: &mut Vec<Incident>, part: &Part, now: Timestamp) {
    let how = part.how();
    let goes_on = |i: &&mut Incident| {
        i.method == part.method && i.ended().is_none_or(|at| now.since(at) < RELAPSE)
    };
    let known = incidents.iter_mut().rev().find(goes_on);
    let is_bad = matches!(how, How::Ill | How::Out);
    match known {
        Some(incident) if !is_bad && incident.ended().is_none() => {
            incident.turns.push((now, How::Fine));
        }
        Some(incident) if is_bad && incident.last().1 != how => incident.turns.push((now, how)),
        Some(_) => {}
        None if is_bad => {
            let began = part.since.unwrap_or(now).min(now);
            incidents.push(Incident { method: part.method, began, turns: vec![(now, how)] });
        }
        None => {}
    }
}

/// A plan that takes a way to pay away from customers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Planned {
    id: String,
    method: Method,
    span: Span,
}

/// The plans that customers will notice: those that leave no channel of a way to pay.
fn noticed(cells: &[(ChannelId, Method)], due: &[Absence]) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    for absence in due.iter().filter(|a| a.scope.issuer.is_none()) {
        let away = |(channel, method): &(ChannelId, Method)| {
            due.iter().filter(|a| a.scope.issuer.is_none()).any(|other| {
                other.scope.covers(channel, *method)
                    && other.span.from < absence.span.until
                    && absence.span.from < other.span.until
            })
        };
        let mut methods: Vec<Method> = cells
            .iter()
            .filter(|(channel, method)| absence.scope.covers(channel, *method))
            .map(|(_, method)| *method)
            .collect();
        methods.sort_unstable();
        methods.dedup();
        for method in methods {
            let new = !planned.iter().any(|p| p.method == method && p.span == absence.span);
            if new && cells.iter().filter(|(_, m)| *m == method).all(away) {
                let id = format!("plan-{method}-{}", absence.span.from.as_secs());
                planned.push(Planned { id, method, span: absence.span });
            }
        }
    }
    planned
}

/// Everything that is told.
struct Told {
    parts: Vec<Part>,
    incidents: Vec<Incident>,
    planned: Vec<Planned>,
    now: Timestamp,
    locale: Locale,
    /// The page's address.
    url: String,
}

impl Told {
    fn of(state: &Shared, locale: Locale) -> Told {
        let now = state.engine.now();
        let (parts, planned) = now_and_planned(state, now);
        state.history.observe(&parts, now);
        let url = format!("{}/status", state.public_url);
        Told { parts, incidents: state.history.all(), planned, now, locale, url }
    }

    fn pick<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        match self.locale {
            Locale::Zh => zh,
            Locale::En => en,
        }
    }

    fn name(&self, method: Method) -> &'static str {
        method.label(self.locale)
    }

    fn incident_name(&self, incident: &Incident) -> String {
        let name = self.name(incident.method);
        let what = match incident.worst() {
            How::Out => self.pick("不可用", "unavailable"),
            _ => self.pick("部分异常", "partly unavailable"),
        };
        format!("{name}{}{what}", self.pick("：", ": "))
    }

    fn update(&self, method: Method, how: How) -> String {
        let name = self.name(method);
        match (self.locale, how) {
            (Locale::Zh, How::Out) => format!("目前无法使用{name}付款，请使用其他支付方式。"),
            (Locale::Zh, How::Fine | How::Planned) => format!("{name}已恢复正常。"),
            (Locale::Zh, How::Ill) => format!("部分{name}付款可能失败，我们正在观察。"),
            (Locale::En, How::Out) => {
                format!("Customers cannot pay by {name} right now. Please use another way to pay.")
            }
            (Locale::En, How::Fine | How::Planned) => format!("{name} works again."),
            (Locale::En, How::Ill) => format!("Some payments by {name} may fail. We are watching."),
        }
    }

    fn plan_name(&self, plan: &Planned) -> String {
        let name = self.name(plan.method);
        format!("{name}{}{}", self.pick("：", ": "), self.pick("计划维护", "planned maintenance"))
    }
}

/// How everything is, and what is planned.
fn now_and_planned(state: &Shared, now: Timestamp) -> (Vec<Part>, Vec<Planned>) {
    let options = state.engine.options();
    let methods = |channel: &engine::Channel| {
        let id = channel.id.clone();
        let all = channel.capabilities.methods.iter().map(move |(method, _)| (id.clone(), *method));
        all.collect::<Vec<_>>()
    };
    let cells: Vec<_> = options.channels.iter().flat_map(methods).collect();
    let planned = noticed(&cells, &crate::signals::calendar_of(state).due(now, AHEAD));
    let mut parts = state.parts(now);
    for part in &mut parts {
        part.planned = planned.iter().any(|p| p.method == part.method && p.span.holds(now));
    }
    (parts, planned)
}

/// Takes in how things are, so that what nobody looked at is on the page later.
pub(crate) async fn watch(state: Shared) {
    let mut look = tokio::time::interval(LOOK);
    let mut sight = state.engine.sight_changed();
    loop {
        tokio::select! {
            () = state.ending.cancelled() => return,
            _ = look.tick() => {}
            changed = sight.changed() => if changed.is_err() { return },
        }
        let now = state.engine.now();
        let (parts, _) = now_and_planned(&state, now);
        state.history.observe(&parts, now);
    }
}

// Statuspage v2.

fn condition(how: How) -> &'static str {
    match how {
        How::Fine => "operational",
        How::Planned => "under_maintenance",
        How::Ill => "degraded_performance",
        How::Out => "major_outage",
    }
}

impl Told {
    fn page(&self) -> Value {
        let name = self.pick("支付服务", "Payments");
        json!({ "id": "evergate", "name": name, "url": self.url, "time_zone": "Etc/UTC",
            "updated_at": rfc3339(self.now) })
    }

    fn status(&self) -> Value {
        let count = |how: How| self.parts.iter().filter(|p| p.how() == how).count();
        let (indicator, text) = match (count(How::Out), count(How::Ill), count(How::Planned)) {
            (0, 0, 0) => ("none", self.pick("所有支付方式正常", "All ways to pay work")),
            (0, 0, _) => ("maintenance", self.pick("计划维护中", "Under planned maintenance")),
            (n, ..) if n == self.parts.len() => {
                ("critical", self.pick("暂时无法付款", "Payment is not possible right now"))
            }
            (0, ..) => ("minor", self.pick("部分支付方式异常", "Some ways to pay are impaired")),
            _ => ("major", self.pick("部分支付方式不可用", "Some ways to pay do not work")),
        };
        json!({ "indicator": indicator, "description": text })
    }

    fn component(&self, method: Method, how: How, at: usize) -> Value {
        let since = self.since(method).map_or(Value::Null, |at| rfc3339(at).into());
        json!({ "id": method.name(), "name": self.name(method), "status": condition(how),
            "description": Value::Null, "group": false, "group_id": Value::Null,
            "only_show_if_degraded": false, "showcase": true, "page_id": "evergate",
            "position": at + 1, "created_at": Value::Null, "updated_at": since })
    }

    /// When a way to pay last changed, as far as that is remembered.
    fn since(&self, method: Method) -> Option<Timestamp> {
        self.incidents.iter().find(|i| i.method == method).map(|i| i.last().0)
    }

    fn components(&self) -> Vec<Value> {
        let parts = self.parts.iter().enumerate();
        parts.map(|(at, part)| self.component(part.method, part.how(), at)).collect()
    }

    fn part(&self, method: Method) -> Value {
        let at = self.parts.iter().position(|p| p.method == method).unwrap_or(0);
        let how = self.parts.get(at).filter(|p| p.method == method).map_or(How::Fine, Part::how);
        self.component(method, how, at)
    }

    fn incidents(&self, wanted: impl Fn(&Incident) -> bool) -> Vec<Value> {
        self.incidents.iter().filter(|i| wanted(i)).map(|i| self.incident(i)).collect()
    }

    fn incident(&self, incident: &Incident) -> Value {
        let (id, ended) = (incident.id(), incident.ended().map(rfc3339));
        let impact = match incident.worst() {
            How::Out => "major",
            _ => "minor",
        };
        let updates = incident.turns.iter().enumerate().rev().map(|(n, (at, how))| {
            let at = rfc3339(*at);
            json!({ "id": format!("{id}-{}", n + 1), "incident_id": id, "status": status(*how),
                "body": self.update(incident.method, *how), "created_at": at, "display_at": at,
                "updated_at": at })
        });
        json!({ "id": id, "name": self.incident_name(incident), "page_id": "evergate",
            "status": status(incident.last().1), "impact": impact, "shortlink": self.url,
            "created_at": rfc3339(incident.began), "started_at": rfc3339(incident.began),
            "updated_at": rfc3339(incident.last().0), "monitoring_at": Value::Null,
            "resolved_at": ended, "components": [self.part(incident.method)],
            "incident_updates": updates.collect::<Vec<_>>() })
    }

    fn maintenances(&self, wanted: impl Fn(&Planned) -> bool) -> Vec<Value> {
        let plan = |plan: &Planned| {
            let state = if plan.span.holds(self.now) { "in_progress" } else { "scheduled" };
            let (from, until) = (rfc3339(plan.span.from), rfc3339(plan.span.until));
            json!({ "id": plan.id, "name": self.plan_name(plan), "page_id": "evergate",
                "status": state, "impact": "maintenance", "shortlink": self.url,
                "scheduled_for": from, "scheduled_until": until, "started_at": from,
                "created_at": from, "updated_at": from, "resolved_at": Value::Null,
                "components": [self.part(plan.method)], "incident_updates": [] })
        };
        self.planned.iter().filter(|p| wanted(p)).map(plan).collect()
    }
}

fn status(how: How) -> &'static str {
    match how {
        How::Fine | How::Planned => "resolved",
        How::Ill => "monitoring",
        How::Out => "identified",
    }
}

/// A document with the page's head and these members.
fn document(told: &Told, members: Value) -> Value {
    let mut document = json!({ "page": told.page() });
    if let (Value::Object(document), Value::Object(members)) = (&mut document, members) {
        document.extend(members);
    }
    document
}

/// `/api/v2/...`: which document is meant, by the end of its address.
pub(crate) async fn feed(
    State(state): State<Shared>,
    axum::extract::Path(name): axum::extract::Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // Machines keep what they read, so the browser's language changes nothing here.
    let locale = checkout::tongue(uri.query(), &HeaderMap::new(), Locale::En).locale;
    let told = Told::of(&state, locale);
    match member(&told, &name) {
        Some(members) => tagged(&headers, &document(&told, members), "public, max-age=10"),
        None => crate::problem::Problem::new(
            &crate::problem::kinds::NOT_FOUND,
            "the status feed has summary.json, status.json, components.json, incidents.json, \
             incidents/unresolved.json, scheduled-maintenances.json and its active.json and \
             upcoming.json",
        )
        .into_response(),
    }
}

fn member(told: &Told, name: &str) -> Option<Value> {
    let active = |plan: &Planned| plan.span.holds(told.now);
    Some(match name {
        "summary.json" => json!({
            "status": told.status(),
            "components": told.components(),
            "incidents": told.incidents(|i| i.ended().is_none()),
            "scheduled_maintenances": told.maintenances(|_| true),
        }),
        "status.json" => json!({ "status": told.status() }),
        "components.json" => json!({ "components": told.components() }),
        "incidents.json" => json!({ "incidents": told.incidents(|_| true) }),
        "incidents/unresolved.json" => {
            json!({ "incidents": told.incidents(|i| i.ended().is_none()) })
        }
        "scheduled-maintenances.json" => {
            json!({ "scheduled_maintenances": told.maintenances(|_| true) })
        }
        "scheduled-maintenances/active.json" => {
            json!({ "scheduled_maintenances": told.maintenances(active) })
        }
        "scheduled-maintenances/upcoming.json" => {
            json!({ "scheduled_maintenances": told.maintenances(|plan| !active(plan)) })
        }
        _ => return None,
    })
}

/// The page for people.
pub(crate) async fn page(State(state): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let tongue = checkout::tongue(uri.query(), &headers, Locale::En);
    let told = Told::of(&state, tongue.locale);
    let options = state.engine.options();
    let people = |at| checkout::people(at, &options.guide.zone);
    let as_of = people(told.now);
    let happening = |incident: &Incident| Happening {
        name: told.incident_name(incident),
        over: incident.ended().is_some(),
        updates: (incident.turns.iter().rev())
            .map(|(at, how)| (people(*at), told.update(incident.method, *how)))
            .collect(),
    };
    let plan = |plan: &Planned| Plan {
        name: told.plan_name(plan),
        from: people(plan.span.from),
        until: people(plan.span.until),
        active: plan.span.holds(told.now),
    };
    let view = StatusPage {
        locale: tongue.locale,
        methods: told.parts.iter().map(|part| (part.method, part.how())).collect(),
        incidents: told.incidents.iter().map(happening).collect(),
        planned: told.planned.iter().map(plan).collect(),
        as_of: &as_of,
    };
    let html = pages::status::page(&view, checkout::base(&state));
    let mut response = Html(html).into_response();
    checkout::protect(&mut response, None);
    checkout::remembering(&mut response, tongue);
    response
}

#[cfg(test)]
mod tests {
    use domain::Scope;
    use incidents::calendar::Origin;
    use incidents::statuspage::{Condition, Summary};
    use resilience::Severity;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_500_000);

    fn part(method: Method, available: bool, level: Level) -> Part {
        Part { method, available, level, since: None, planned: false }
    }

    fn later(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn told(parts: Vec<Part>, history: &History, planned: Vec<Planned>, now: Timestamp) -> Told {
        let url = "https://pay.example/status".to_owned();
        Told { parts, incidents: history.all(), planned, now, locale: Locale::En, url }
    }

    fn summary(told: &Told) -> Summary {
        let page = document(told, member(told, "summary.json").unwrap());
        Summary::read(page.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn our_own_reader_reads_it_back() {
        let history = History::default();
        let parts = vec![
            part(Method::Alipay, false, Level::OtherMethod),
            part(Method::WechatPay, true, Level::Rerouted),
            part(Method::Card, true, Level::OtherMethod),
            Part { planned: true, ..part(Method::Paypal, false, Level::Normal) },
        ];
        history.observe(&parts, NOW);
        let span = Span { from: NOW, until: later(3_600) };
        let plan = Planned { id: "plan-paypal-1".into(), method: Method::Paypal, span };
        let read = summary(&told(parts, &history, vec![plan], NOW));
        assert_eq!(read.skipped, 0);
        let conditions: Vec<_> = read.components.iter().map(|c| c.condition).collect();
        let (ill, planned) = (Condition::DegradedPerformance, Condition::UnderMaintenance);
        assert_eq!(conditions, [Condition::MajorOutage, Condition::Operational, ill, planned]);
        let incidents: Vec<_> =
            read.incidents.iter().map(|i| (i.name.as_str(), i.severity)).collect();
        assert_eq!(
            incidents,
            [
                ("Card: partly unavailable", Some(Severity::Minor)),
                ("Alipay: unavailable", Some(Severity::Major))
            ]
        );
        assert_eq!(read.incidents[1].parts[0].id, "alipay");
        assert_eq!(read.planned.len(), 1);
        assert_eq!((read.planned[0].span, read.planned[0].parts[0].id.as_str()), (span, "paypal"));
    }

    #[test]
    fn an_incident_keeps_its_id_tells_its_turns_and_ends() {
        let history = History::default();
        let alipay = |available, level| [part(Method::Alipay, available, level)];
        history.observe(&alipay(true, Level::Rerouted), NOW);
        assert_eq!(history.all(), [], "what nobody notices is none");
        history.observe(&alipay(false, Level::OtherMethod), later(10));
        history.observe(&alipay(false, Level::Held), later(20));
        history.observe(&alipay(true, Level::OtherMethod), later(30));
        history.observe(&alipay(true, Level::Normal), later(40));
        let [one] = &history.all()[..] else { panic!("{:?}", history.all()) };
        assert_eq!(one.id(), format!("alipay-{}", later(10).as_secs()));
        let turns = [(10, How::Out), (30, How::Ill), (40, How::Fine)];
        assert_eq!(one.turns, turns.map(|(s, how)| (later(s), how)));
        history.observe(&alipay(false, Level::Normal), later(100));
        assert_eq!(history.all().len(), 1, "a relapse is the same one");
        history.observe(&alipay(true, Level::Normal), later(110));
        history.observe(&alipay(false, Level::Normal), later(1_000));
        assert_eq!(history.all().len(), 2);
        let page = told(alipay(false, Level::Normal).to_vec(), &history, vec![], later(1_000));
        let open = member(&page, "incidents/unresolved.json").unwrap();
        assert_eq!(open["incidents"].as_array().unwrap().len(), 1);
        let all = member(&page, "incidents.json").unwrap();
        let old = &all["incidents"][1];
        assert_eq!(
            (old["status"].as_str(), old["resolved_at"].is_null()),
            (Some("resolved"), false)
        );
        history.observe(&alipay(true, Level::Normal), later(15 * 86_400));
        history.observe(&alipay(true, Level::Normal), later(31 * 86_400));
        assert_eq!(history.all(), [], "in the end it is forgotten");
    }

    #[test]
    fn after_a_restart_the_id_is_that_of_the_level_in_force() {
        let since = Some(NOW);
        let out = Part { since, ..part(Method::Alipay, false, Level::OtherMethod) };
        for start in [5, 500] {
            let history = History::default();
            history.observe(&[out], later(start));
            assert_eq!(history.all()[0].id(), format!("alipay-{}", NOW.as_secs()));
        }
    }

    #[test]
    fn only_plans_that_leave_no_channel_are_told_and_without_the_channels_name() {
        let channel = |name: &str| ChannelId::new(name).unwrap();
        let cells = [
            (channel("alipay-main"), Method::Alipay),
            (channel("alipay-spare"), Method::Alipay),
            (channel("stripe-main"), Method::Card),
        ];
        let absence = |name: Option<&str>, method, from, until| Absence {
            id: "secret-upgrade".into(),
            scope: Scope { channel: name.map(channel), method, ..Scope::default() },
            span: Span { from: later(from), until: later(until) },
            reason: "internal words".into(),
            origin: Origin::Operator("li".into()),
        };
        let one = absence(Some("alipay-main"), None, 0, 100);
        assert_eq!(noticed(&cells, std::slice::from_ref(&one)), []);
        let apart = absence(Some("alipay-spare"), None, 100, 200);
        assert_eq!(noticed(&cells, &[one.clone(), apart]), []);
        let both = noticed(&cells, &[one, absence(Some("alipay-spare"), None, 50, 200)]);
        assert_eq!(both.len(), 2);
        let card = noticed(&cells, &[absence(Some("stripe-main"), None, 0, 9)]);
        assert_eq!(card.iter().map(|p| p.method).collect::<Vec<_>>(), [Method::Card]);
        let method = noticed(&cells, &[absence(None, Some(Method::Alipay), 0, 9)]);
        assert_eq!(method.len(), 1);
        let page = told(vec![], &History::default(), method, NOW);
        let json = member(&page, "scheduled-maintenances.json").unwrap().to_string();
        for inside in ["secret", "internal", "alipay-main", "\"li\""] {
            assert!(!json.contains(inside), "{inside}: {json}");
        }
    }
}
