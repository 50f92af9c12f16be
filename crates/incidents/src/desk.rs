//! Where all signals come together: what was seen last, what is said, what is planned.
//!
//! One [`Signals`] serves the background duties, which feed it, and the API, which shows it.
//! It tells the engine three things only: absences, hints, and trials. Nothing here is on the
//! way of a payment; while every duty stands still, payments go on with what was told last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{ChannelId, Flow, Maintenance, Method, Money, PaymentId, Scope, Timestamp, When};
use engine::{Away, Engine, Trial, TrialAnswer};
use providers::Driver;
use resilience::Severity;
use tokio::sync::Notify;

use crate::agenda::Agenda;
use crate::calendar::{self, Absence, Calendar, Origin, Span};
use crate::downtime::{Downtimes, Event, Sender};
use crate::feed::{FeedOptions, FeedState};
use crate::layers::{Probed, Target};
use crate::statuspage::Said;

/// How far ahead absences are told to the engine.
const NEAR: Duration = Duration::from_secs(3_600);
/// How far ahead absences are shown.
pub const AHEAD: Duration = Duration::from_secs(8 * 86_400);

/// A channel's trials.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialOptions {
    /// The channel.
    pub channel: ChannelId,
    /// How much to ask for.
    pub money: Option<Money>,
    /// A saved instrument for tests; makes trials of cards direct.
    pub token: Option<String>,
}

/// What the control plane is to look at.
#[derive(Clone, Debug)]
pub struct SignalsOptions {
    /// How often each channel is probed; `None` is on suspicion only.
    pub probe_every: Option<Duration>,
    /// How often each channel and method is tried with a synthetic payment; `None` is not on a
    /// schedule.
    pub trial_every: Option<Duration>,
    /// Whether a channel under suspicion is tried with a synthetic payment at once.
    pub trial_on_suspicion: bool,
    /// The least time between two probes, or two trials, of the same thing.
    pub least_gap: Duration,
    /// Probes, and trials, at once.
    pub at_once: usize,
    /// What trials ask for when a channel does not say: minor units of its first currency, and
    /// at least what it takes.
    pub trial_amount: i64,
    /// What differs by channel.
    pub trials: Vec<TrialOptions>,
    /// Status pages.
    pub feeds: Vec<FeedOptions>,
    /// Planned absences of the configuration.
    pub maintenance: Vec<Maintenance>,
    /// Who may tell of downtimes by a signature.
    pub senders: Vec<Sender>,
}

impl Default for SignalsOptions {
    fn default() -> Self {
        SignalsOptions {
            probe_every: Some(Duration::from_secs(30)),
            trial_every: None,
            trial_on_suspicion: false,
            least_gap: Duration::from_secs(10),
            at_once: 4,
            trial_amount: 1,
            trials: Vec::new(),
            feeds: Vec::new(),
            maintenance: Vec::new(),
            senders: Vec::new(),
        }
    }
}

/// A channel and a method on it.
pub type Cell = (ChannelId, Method);

/// How a trial went.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialEnd {
    /// When it began.
    pub at: Timestamp,
    /// Its payment; `None` when none could be made.
    pub payment: Option<PaymentId>,
    /// What its create call showed.
    pub answer: TrialAnswer,
    /// Why none could be made.
    pub error: Option<String>,
    /// How long the create call took.
    pub took: Duration,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) probe_agenda: Agenda<ChannelId>,
    pub(crate) trial_agenda: Agenda<Cell>,
    pub(crate) probes: BTreeMap<ChannelId, Probed>,
    pub(crate) trials: BTreeMap<Cell, TrialEnd>,
    pub(crate) feeds: Vec<FeedState>,
    pub(crate) downtimes: Downtimes,
    /// What was said when it was last looked at.
    said: Vec<Said>,
    /// What the engine was told to be absent, since it keeps that.
    told_away: Option<Vec<Away>>,
    /// Changes of health up to here have been looked at.
    pub(crate) health_seen: Timestamp,
}

/// All signals of a gateway.
pub struct Signals {
    pub(crate) engine: Arc<Engine>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) targets: Vec<Target>,
    pub(crate) options: SignalsOptions,
    pub(crate) state: Mutex<State>,
    pub(crate) wake: Notify,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Signals {
    /// Signals of an engine whose channels are at these addresses.
    pub fn new(
        engine: Arc<Engine>,
        driver: Arc<Driver>,
        targets: Vec<Target>,
        options: SignalsOptions,
    ) -> Signals {
        let now = engine.now();
        let mut probe_agenda = Agenda::new(options.probe_every, options.least_gap);
        for target in &targets {
            probe_agenda.add(target.channel.clone(), now, engine.dice());
        }
        let mut trial_agenda = Agenda::new(options.trial_every, options.least_gap);
        for cell in cells(&engine) {
            trial_agenda.add(cell, now, engine.dice());
        }
        let state = State {
            probe_agenda,
            trial_agenda,
            probes: BTreeMap::new(),
            trials: BTreeMap::new(),
            feeds: vec![FeedState::default(); options.feeds.len()],
            downtimes: Downtimes::default(),
            said: Vec::new(),
            told_away: None,
            health_seen: now,
        };
        let (state, wake) = (Mutex::new(state), Notify::new());
        Signals { engine, driver, targets, options, state, wake }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sender of this name, who may tell of downtimes by a signature.
    pub fn sender(&self, name: &str) -> Option<&Sender> {
        self.options.senders.iter().find(|sender| sender.name == name)
    }

    /// Takes a downtime event in, and acts on it at once. Whether it changed anything.
    pub fn take(&self, event: Event) -> bool {
        let now = self.engine.now();
        tracing::info!(
            id = %event.id, scope = %event.scope, status = ?event.status,
            severity = event.severity.name(), "a downtime was told"
        );
        let changed = self.state().downtimes.take(event, now);
        if changed {
            self.hear();
        }
        changed
    }

    /// Tells the engine what is said newly, or worse than before, and has it looked at.
    pub fn hear(&self) {
        let now = self.engine.now();
        let said = self.said(now);
        let mut state = self.state();
        let news = news(&state.said, &said);
        state.said = said;
        drop(state);
        for word in news {
            let (scope, severity) = (word.scope.to_string(), word.severity.name());
            tracing::warn!(%scope, severity, text = %word.text, "a provider says that it is in trouble");
            if word.scope.issuer.is_some() {
                continue; // A bank's trouble is not its channel's.
            }
            for (channel, method) in self.covered(&word.scope) {
                self.engine.hint(&channel, method, word.severity);
                self.suspect(&(channel, method));
            }
        }
    }

    /// Everything that is said to be in trouble.
    pub fn said(&self, now: Timestamp) -> Vec<Said> {
        let state = self.state();
        let pages = self.options.feeds.iter().zip(&state.feeds);
        let mut said: Vec<Said> =
            pages.flat_map(|(options, feed)| feed.said(options, now)).collect();
        said.extend(state.downtimes.said(now));
        said
    }

    /// Has a cell probed, and tried if that is allowed, as soon as the gap lets it.
    pub fn suspect(&self, cell: &Cell) {
        let now = self.engine.now();
        let mut state = self.state();
        state.probe_agenda.ask(&cell.0, now);
        if self.options.trial_on_suspicion {
            state.trial_agenda.ask(cell, now);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn covered(&self, scope: &Scope) -> Vec<Cell> {
        let all = cells(&self.engine).into_iter();
        all.filter(|(channel, method)| scope.covers(channel, *method)).collect()
    }

    /// All planned absences, whoever stated them.
    pub fn calendar(&self, now: Timestamp) -> Calendar {
        let mut calendar = Calendar::new();
        let configured = self.options.maintenance.iter().cloned();
        calendar.add(configured.map(|stated| (stated, Origin::Configuration)));
        let controls = self.engine.controls();
        let operators = controls.maintenance.iter().cloned();
        calendar.add(operators.map(|stated| {
            let origin = Origin::Operator(stated.by.clone());
            (stated, origin)
        }));
        let state = self.state();
        for (options, feed) in self.options.feeds.iter().zip(&state.feeds) {
            calendar.add(feed.planned(options, now).into_iter().map(|(id, scope, span, name)| {
                (once(id, scope, span, options.name.clone(), name), provider(&options.name))
            }));
        }
        calendar.add(state.downtimes.planned(now).into_iter().map(|(event, span)| {
            let (id, scope) = (event.id.clone(), event.scope.clone());
            let stated = once(id, scope, span, "downtime".to_owned(), event.reason.clone());
            (stated, provider("downtime"))
        }));
        calendar
    }

    /// Absences that are under way or begin within `ahead`.
    pub fn due(&self, ahead: Duration) -> Vec<Absence> {
        let now = self.engine.now();
        self.calendar(now).due(now, ahead)
    }

    /// Tells the engine what is absent now and soon, and has what is about to return tried.
    pub fn announce(&self) {
        let now = self.engine.now();
        let due = self.due(NEAR);
        let away = away(&due, &cells(&self.engine));
        let told = self.state().told_away.replace(away.clone());
        if told.as_ref() != Some(&away) {
            self.engine.announce(&away);
        }
        for absent in away.iter().filter(|a| a.issuer.is_none()) {
            if is_returning(Span { from: absent.from, until: absent.until }, now) {
                self.suspect(&(absent.channel.clone(), absent.method));
            }
        }
    }

    /// Whether a cell is left in peace now: taken out by an operator, or absent by plan and
    /// not about to return.
    pub(crate) fn is_left_in_peace(&self, (channel, method): &Cell, now: Timestamp) -> bool {
        if self.engine.controls().disabled(channel, *method, now).is_some() {
            return true;
        }
        let due = self.due(NEAR);
        let absence = calendar::next(&due, channel, *method, None);
        absence.is_some_and(|span| span.holds(now) && !is_returning(span, now))
    }

    /// What to ask for when a cell is tried; `None` when it cannot be tried.
    pub(crate) fn trial(&self, (channel, method): &Cell) -> Option<Trial> {
        let options = self.engine.options();
        let known = options.channel(channel)?;
        let own = self.options.trials.iter().find(|trial| trial.channel == *channel);
        let limits = known.capabilities.amounts.first()?;
        let least = self.options.trial_amount.max(limits.least_minor);
        let money = match own.and_then(|own| own.money) {
            Some(money) => money,
            None => Money::new(least, limits.currency).ok()?,
        };
        let token = own.and_then(|own| own.token.clone()).filter(|_| *method == Method::Card);
        let flow = if token.is_some() { Flow::Direct } else { Flow::Presented };
        known.capabilities.takes(*method, flow, money).then(|| Trial {
            channel: channel.clone(),
            method: *method,
            money,
            token,
            subject: "Evergate test / 通道检测".to_owned(),
        })
    }

    /// The last probe of every channel that was probed.
    pub fn probes(&self) -> Vec<Probed> {
        self.state().probes.values().cloned().collect()
    }

    /// The last trial of every cell that was tried.
    pub fn trials(&self) -> Vec<(Cell, TrialEnd)> {
        self.state().trials.iter().map(|(cell, end)| (cell.clone(), end.clone())).collect()
    }

    /// Every status page with what is known of it.
    pub fn feeds(&self) -> Vec<(FeedOptions, FeedState)> {
        let state = self.state();
        self.options.feeds.iter().cloned().zip(state.feeds.iter().cloned()).collect()
    }

    /// Downtimes that were told and are not over.
    pub fn downtimes(&self) -> Vec<Event> {
        self.state().downtimes.standing(self.engine.now()).cloned().collect()
    }
}

/// Every method of every channel.
pub(crate) fn cells(engine: &Engine) -> Vec<Cell> {
    let options = engine.options();
    let mut cells: Vec<Cell> = options
        .channels
        .iter()
        .flat_map(|c| c.capabilities.methods.iter().map(|(method, _)| (c.id.clone(), *method)))
        .collect();
    cells.dedup();
    cells
}

/// What is said now and was not, or was not as bad.
pub fn news(before: &[Said], now: &[Said]) -> Vec<Said> {
    let known =
        |word: &Said| before.iter().filter(|b| b.scope == word.scope).map(|b| b.severity).max();
    let mut news: Vec<Said> = Vec::new();
    for word in now {
        let is_news = known(word).is_none_or(|severity| severity < word.severity);
        let told = news.iter().any(|n| n.scope == word.scope && n.severity >= word.severity);
        if is_news && !told {
            news.push(word.clone());
        }
    }
    news
}

/// The absences of each cell, for everyone and for each bank that is named.
pub fn away(due: &[Absence], cells: &[Cell]) -> Vec<Away> {
    let mut banks: Vec<Option<&str>> =
        due.iter().map(|absence| absence.scope.issuer.as_deref()).collect();
    banks.sort_unstable();
    banks.dedup();
    let mut away = Vec::new();
    for (channel, method) in cells {
        for issuer in &banks {
            if let Some(span) = calendar::next(due, channel, *method, *issuer) {
                away.push(Away {
                    channel: channel.clone(),
                    method: *method,
                    issuer: issuer.map(str::to_owned),
                    from: span.from,
                    until: span.until,
                });
            }
        }
    }
    away
}

/// The last tenth of an absence, and at most its last two minutes: the time to find out
/// whether it is back.
fn is_returning(span: Span, now: Timestamp) -> bool {
    let lead = (span.until.since(span.from) / 10).min(Duration::from_secs(120));
    span.holds(now) && now >= span.until - lead
}

fn once(id: String, scope: Scope, span: Span, by: String, reason: String) -> Maintenance {
    let when = When::Once { from: span.from, until: span.until };
    Maintenance { id, scope, when, by, reason, since: span.from }
}

fn provider(name: &str) -> Origin {
    Origin::Provider(name.to_owned())
}

/// How bad a failed probe is for the methods of its channel.
pub(crate) fn severity_of(probed: &Probed) -> Option<Severity> {
    use crate::layers::Layer;
    probed.broken.as_ref().map(|broken| match broken.layer {
        Layer::Dns | Layer::Tcp | Layer::Tls => Severity::Major,
        Layer::Http | Layer::Signed => Severity::Minor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(channel: &str, severity: Severity) -> Said {
        let channel = Some(ChannelId::new(channel).unwrap());
        Said { scope: Scope { channel, ..Scope::default() }, severity, text: String::new() }
    }

    #[test]
    fn only_what_is_new_or_worse_is_news() {
        let minor = [said("a", Severity::Minor)];
        let major = [said("a", Severity::Major)];
        let other = said("b", Severity::Minor);
        assert_eq!(news(&[], &minor), minor);
        assert_eq!(news(&minor, &minor), []);
        assert_eq!(news(&minor, &major), major);
        let [minor] = minor;
        assert_eq!(news(&major, &[minor, other.clone(), other.clone()]), [other]);
    }

    #[test]
    fn an_absence_is_told_for_its_cells_and_its_bank() {
        let at = |secs: i64| Timestamp::from_secs(1_000_000 + secs);
        let cell = |name: &str, method| (ChannelId::new(name).unwrap(), method);
        let cells = [cell("a", Method::Alipay), cell("b", Method::Alipay), cell("b", Method::Card)];
        let absence = |scope, from, until| Absence {
            id: "x".to_owned(),
            scope,
            span: Span { from: at(from), until: at(until) },
            reason: String::new(),
            origin: Origin::Configuration,
        };
        let card = Scope { method: Some(Method::Card), ..Scope::default() };
        let bank = Scope { issuer: Some("icbc".to_owned()), ..Scope::default() };
        let due = [absence(card, 0, 60), absence(bank, 10, 20)];
        let away = away(&due, &cells);
        let told: Vec<_> = away
            .iter()
            .map(|a| format!("{} {} {:?}", a.channel, a.method, a.issuer.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                "a alipay Some(\"icbc\")",
                "b alipay Some(\"icbc\")",
                "b card None",
                "b card Some(\"icbc\")"
            ]
        );
    }

    #[test]
    fn the_end_of_an_absence_is_the_time_to_try() {
        let at = |secs: i64| Timestamp::from_secs(1_000_000 + secs);
        let span = |until| Span { from: at(0), until: at(until) };
        assert!(!is_returning(span(600), at(539)));
        assert!(is_returning(span(600), at(540)));
        assert!(!is_returning(span(600), at(600)));
        assert!(!is_returning(span(36_000), at(35_879)), "two minutes at most");
        assert!(is_returning(span(36_000), at(35_880)));
    }
}
