//! The degradation ladder and the gates of features: what is in force, who set it and until
//! when, and the forms that change it.

use std::collections::BTreeSet;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::{Descent, Gate, Level, Method, Mover, Purpose, Reach, Timestamp};
use engine::MethodSight;
use pages::console::{
    Block, Cell, Field, Form, Input, Line, Part, Pick, Room, Table, Tone, View, Words,
};

use super::form::{Reading, count};
use super::reply::Stop;
use super::visitor::{Posted, Typed, Visitor};
use crate::app::Shared;

const ROOM: &str = "/console/ladder";

/// The forms of the room, each with what was typed into it.
struct Forms<'t> {
    shift: Reading<'t>,
    lift: Reading<'t>,
    pause: Reading<'t>,
    resume: Reading<'t>,
}

impl<'t> Forms<'t> {
    fn of(typed: &'t Typed, words: Words) -> Forms<'t> {
        let fresh = || Reading::new(typed, words);
        Forms { shift: fresh(), lift: fresh(), pause: fresh(), resume: fresh() }
    }
}

pub(super) async fn show(
    State(state): State<Shared>,
    visitor: Visitor,
    RawQuery(raw): RawQuery,
) -> Response {
    let typed = Typed::query(raw.as_deref());
    let view = room(&state, &visitor, &Forms::of(&typed, Words(visitor.locale)));
    visitor.page(&state, Room::Ladder, &view)
}

fn room(state: &Shared, visitor: &Visitor, forms: &Forms<'_>) -> View {
    let words = Words(visitor.locale);
    let (controls, now) = (state.engine.controls(), state.engine.now());
    let ladder = &controls.ladder;
    let counting: Vec<&Descent> = ladder.in_force(now).collect();
    let levels: Vec<(&Descent, bool)> = ladder
        .descents
        .iter()
        .filter(|d| now < d.until)
        .map(|d| (d, counting.contains(&d)))
        .collect();
    let gates: Vec<&Gate> = ladder.gates.iter().filter(|gate| now < gate.until).collect();
    let mut blocks = vec![Block::live(
        "ladder",
        vec![
            Part::Heading(words.levels().to_owned()),
            Part::Table(levels_table(words, &levels)),
            Part::Heading(words.gates().to_owned()),
            Part::Table(gates_table(words, &gates)),
            Part::Heading(words.sight().to_owned()),
            Part::Table(sight_table(words, &state.engine.sight().methods)),
        ],
    )];
    if visitor.may_operate() {
        blocks.push(Block::still(vec![Part::Form(move_form(&forms.shift, state))]));
        let set: Vec<&Reach> = levels
            .iter()
            .filter(|(d, _)| d.mover != Mover::Policy)
            .map(|(d, _)| &d.reach)
            .collect();
        if !set.is_empty() || !forms.lift.is_good() {
            blocks.push(Block::still(vec![Part::Form(lift_form(&forms.lift, &set))]));
        }
        blocks.push(Block::still(vec![Part::Form(pause_form(&forms.pause, state))]));
        if !gates.is_empty() || !forms.resume.is_good() {
            blocks.push(Block::still(vec![Part::Form(resume_form(&forms.resume, &gates))]));
        }
    }
    View { live: true, blocks, ..View::default() }
}

/// For whom a level is, in words.
pub(super) fn reach_name(words: Words, reach: &Reach) -> String {
    match reach {
        Reach::All => words.everybody().to_owned(),
        Reach::Method(method) => method.label(words.0).to_owned(),
        Reach::Channel(channel) => format!("{} {channel}", words.channel()),
        Reach::Purpose(purpose) => format!("{} {}", words.feature(), words.purpose_name(purpose)),
    }
}

/// The value of a scope in forms, as the API writes it.
fn reach_value(reach: &Reach) -> String {
    crate::ladder::scope(reach)
}

fn mover(words: Words, mover: &Mover) -> String {
    match mover {
        Mover::Policy => words.policy().to_owned(),
        Mover::Runbook(name) => format!("{} {name}", words.runbook()),
        Mover::Operator(name) => name.clone(),
    }
}

fn level_tone(level: Level) -> Tone {
    match level {
        Level::Normal => Tone::Good,
        Level::Rerouted | Level::OtherMethod => Tone::Warn,
        Level::Transfer | Level::Held | Level::Assisted => Tone::Bad,
    }
}

fn levels_table(words: Words, levels: &[(&Descent, bool)]) -> Table {
    let titles =
        [words.reach(), words.level(), words.mover(), words.reason(), words.since(), words.until()];
    let mut table = Table::new(words.levels(), &titles);
    table.empty = Some(words.no_levels().to_owned());
    for (descent, counts) in levels {
        let name = format!("{} · {}", descent.level.number(), words.level_name(descent.level));
        let level = match counts {
            true => Cell::from(name).toned(level_tone(descent.level)),
            false => Cell::from(name).toned(Tone::Quiet).with(words.overruled()),
        };
        table.push(vec![
            Cell::from(reach_name(words, &descent.reach)),
            level,
            Cell::from(mover(words, &descent.mover)),
            Cell::from(pages::console::phrase(words.0, &descent.reason)),
            Cell::from(descent.since),
            Cell::from(descent.until),
        ]);
    }
    table
}

fn gates_table(words: Words, gates: &[&Gate]) -> Table {
    let titles = [words.feature(), words.mover(), words.reason(), words.since(), words.until()];
    let mut table = Table::new(words.gates(), &titles);
    table.empty = Some(words.no_gates().to_owned());
    for gate in gates {
        table.push(vec![
            Cell::from(words.purpose_name(&gate.purpose)).toned(Tone::Warn),
            Cell::from(gate.by.as_str()),
            Cell::from(gate.reason.as_str()),
            Cell::from(gate.since),
            Cell::from(gate.until),
        ]);
    }
    table
}

fn sight_table(words: Words, sights: &[MethodSight]) -> Table {
    let titles = [words.method(), words.state(), words.level(), words.instead()];
    let mut table = Table::new(words.sight(), &titles);
    for sight in sights {
        let state = match sight.available {
            true => Cell::from(words.available()).toned(Tone::Good),
            false => Cell::from(words.unavailable()).toned(Tone::Bad),
        };
        let instead = sight.instead.map_or("–", |method| method.label(words.0));
        table.push(vec![
            Cell::from(sight.method.label(words.0)),
            state,
            Cell::from(words.level_name(sight.level)),
            Cell::from(Line::from(instead)),
        ]);
    }
    table
}

fn move_form(reading: &Reading<'_>, state: &Shared) -> Form {
    let (words, typed) = (reading.words, reading.typed);
    let level = |level: Level| {
        let label = format!("{} · {}", level.number(), words.level_name(level));
        Pick::new(level.name(), label, typed.get("level"))
    };
    let levels = Input::Select(Level::ALL.map(level).to_vec());
    let reach = |reach: Reach| {
        Pick::new(reach_value(&reach), reach_name(words, &reach), typed.get("scope"))
    };
    let reaches = Input::Select(reaches(state).into_iter().map(reach).collect());
    Form {
        id: "move",
        title: words.move_title().to_owned(),
        about: vec![words.move_about().to_owned(), words.move_bars().to_owned()],
        action: "/console/ladder/move".to_owned(),
        search: false,
        fields: vec![
            Field::new("scope", words.reach(), reaches).wrong(reading.wrong("scope")),
            Field::new("level", words.level(), levels).wrong(reading.wrong("level")),
            reading.end_field(),
            reading.reason_field(),
        ],
        button: words.move_level().to_owned(),
    }
}

/// Everybody, the methods and channels of this server, and the purposes that it knows.
fn reaches(state: &Shared) -> Vec<Reach> {
    let options = state.engine.options();
    let of = |c: &engine::Channel| {
        c.capabilities.methods.iter().map(|(method, _)| *method).collect::<Vec<Method>>()
    };
    let methods: BTreeSet<Method> = options.channels.iter().flat_map(of).collect();
    let channels = options.channels.iter().map(|c| Reach::Channel(c.id.clone()));
    std::iter::once(Reach::All)
        .chain(methods.into_iter().map(Reach::Method))
        .chain(channels)
        .chain(purposes(state).into_iter().map(Reach::Purpose))
        .collect()
}

/// What can be paused.
fn purposes(state: &Shared) -> Vec<Purpose> {
    let options = state.engine.options();
    let named = options.degradation.purposes.iter().map(|name| Purpose::Named(*name));
    Purpose::COMMON.into_iter().chain(named).collect()
}

fn lift_form(reading: &Reading<'_>, set: &[&Reach]) -> Form {
    let (words, typed) = (reading.words, reading.typed);
    let pick = |reach: &&Reach| {
        Pick::new(reach_value(reach), reach_name(words, reach), typed.get("scope"))
    };
    let picks = Input::Select(set.iter().map(pick).collect());
    Form {
        id: "lift",
        title: words.lift_title().to_owned(),
        about: vec![words.lift_about().to_owned()],
        action: "/console/ladder/lift".to_owned(),
        search: false,
        fields: vec![
            Field::new("scope", words.reach(), picks).wrong(reading.wrong("scope")),
            reading.reason_field(),
        ],
        button: words.lift().to_owned(),
    }
}

fn pause_form(reading: &Reading<'_>, state: &Shared) -> Form {
    let (words, chosen) = (reading.words, reading.typed.get("purpose"));
    let chosen = if chosen.is_empty() { "renewal" } else { chosen };
    let pick = |p: Purpose| Pick::new(p.name(), words.purpose_name(&p), chosen);
    let picks = Input::Select(purposes(state).into_iter().map(pick).collect());
    Form {
        id: "pause",
        title: words.pause_title().to_owned(),
        about: vec![words.pause_about().to_owned()],
        action: "/console/ladder/pause".to_owned(),
        search: false,
        fields: vec![
            Field::new("purpose", words.feature(), picks).wrong(reading.wrong("purpose")),
            reading.end_field(),
            reading.reason_field(),
        ],
        button: words.pause().to_owned(),
    }
}

fn resume_form(reading: &Reading<'_>, gates: &[&Gate]) -> Form {
    let (words, chosen) = (reading.words, reading.typed.get("purpose"));
    let pick =
        |gate: &&Gate| Pick::new(gate.purpose.name(), words.purpose_name(&gate.purpose), chosen);
    let picks = Input::Select(gates.iter().map(pick).collect());
    Form {
        id: "resume",
        title: words.resume_title().to_owned(),
        about: vec![words.resume_about().to_owned()],
        action: "/console/ladder/resume".to_owned(),
        search: false,
        fields: vec![
            Field::new("purpose", words.feature(), picks).wrong(reading.wrong("purpose")),
            reading.reason_field(),
        ],
        button: words.resume().to_owned(),
    }
}

fn read_reach(reading: &mut Reading<'_>, known: &[Reach]) -> Option<Reach> {
    let reach = reading.typed.get("scope").parse().ok().filter(|reach| known.contains(reach));
    if reach.is_none() {
        let zh = "没有这个范围：请从列表中选择。";
        reading.mistake("scope", zh, "is no scope of this server: choose one from the list.");
    }
    reach
}

fn read_purpose(reading: &mut Reading<'_>, state: &Shared) -> Option<Purpose> {
    let asked = reading.typed.get("purpose").parse().ok();
    let purpose = asked.filter(|purpose| purposes(state).contains(purpose));
    if purpose.is_none() {
        let zh = "没有这个功能：请从列表中选择。";
        reading.mistake("purpose", zh, "is no feature of this server: choose one from the list.");
    }
    purpose
}

fn read_level(reading: &mut Reading<'_>) -> Option<Level> {
    let level = reading.typed.get("level").parse().ok();
    if level.is_none() {
        let zh = "没有这个级别：请从列表中选择。";
        reading.mistake("level", zh, "is no level: choose one from the list.");
    }
    level
}

/// Moves a scope to a level until a time.
pub(super) async fn shift(State(state): State<Shared>, posted: Posted) -> Result<Response, Stop> {
    posted.visitor.must_operate()?;
    let (words, now) = (Words(posted.visitor.locale), state.engine.now());
    let mut reading = Reading::new(&posted.typed, words);
    let reach = read_reach(&mut reading, &reaches(&state));
    let level = read_level(&mut reading);
    let (until, reason) = (reading.end(now), reading.reason());
    if let (Some(reach), Some(level), Some(until), true) = (reach, level, until, reading.is_good())
    {
        let told = format!("{}: {}", reach_name(words, &reach), words.level_name(level));
        let mover = Mover::Operator(posted.visitor.by());
        let new = Descent { reach, level, mover, reason, since: now, until };
        match state.engine.move_level(new).await {
            Ok(_) => return Ok(done(&state, &posted, "move_level", told)),
            Err(error) => reading.refused(&error),
        }
    }
    Ok(again(&state, &posted, |forms| forms.shift = reading))
}

/// Takes people's word on a scope back.
pub(super) async fn lift(State(state): State<Shared>, posted: Posted) -> Result<Response, Stop> {
    posted.visitor.must_operate()?;
    let words = Words(posted.visitor.locale);
    let mut reading = Reading::new(&posted.typed, words);
    let reach = read_reach(&mut reading, &lifted(&state, state.engine.now()));
    let reason = reading.reason();
    if let (Some(reach), true) = (reach, reading.is_good()) {
        match state.engine.lift_level(&reach, &posted.visitor.by(), &reason).await {
            Ok(_) => {
                let told = format!("{}: {}", reach_name(words, &reach), words.lift_about());
                return Ok(done(&state, &posted, "lift_level", told));
            }
            Err(error) => reading.refused(&error),
        }
    }
    Ok(again(&state, &posted, |forms| forms.lift = reading))
}

/// Scopes that people have moved.
fn lifted(state: &Shared, now: Timestamp) -> Vec<Reach> {
    let controls = state.engine.controls();
    let set = controls.ladder.descents.iter().filter(|d| d.mover != Mover::Policy && now < d.until);
    set.map(|d| d.reach.clone()).collect()
}

/// Pauses a feature until a time.
pub(super) async fn pause(State(state): State<Shared>, posted: Posted) -> Result<Response, Stop> {
    posted.visitor.must_operate()?;
    let (words, now) = (Words(posted.visitor.locale), state.engine.now());
    let mut reading = Reading::new(&posted.typed, words);
    let purpose = read_purpose(&mut reading, &state);
    let (until, reason) = (reading.end(now), reading.reason());
    if let (Some(purpose), Some(until), true) = (purpose, until, reading.is_good()) {
        let gate = Gate { purpose, by: posted.visitor.by(), reason, since: now, until };
        match state.engine.pause(gate).await {
            Ok(_) => {
                let name = words.purpose_name(&purpose);
                let told = words.pick(format!("已暂停：{name}"), format!("Paused: {name}"));
                return Ok(done(&state, &posted, "pause", told));
            }
            Err(error) => reading.refused(&error),
        }
    }
    Ok(again(&state, &posted, |forms| forms.pause = reading))
}

/// Lets a feature go on.
pub(super) async fn resume(State(state): State<Shared>, posted: Posted) -> Result<Response, Stop> {
    posted.visitor.must_operate()?;
    let words = Words(posted.visitor.locale);
    let mut reading = Reading::new(&posted.typed, words);
    let (purpose, reason) = (read_purpose(&mut reading, &state), reading.reason());
    if let (Some(purpose), true) = (purpose, reading.is_good()) {
        match state.engine.resume(purpose, &posted.visitor.by(), &reason).await {
            Ok(was_paused) => {
                let name = words.purpose_name(&purpose);
                let told = match was_paused {
                    true => words.pick(format!("已恢复：{name}"), format!("Goes on: {name}")),
                    false => words.pick(
                        format!("{name} 本来就没有暂停，未做任何更改"),
                        format!("{name} was not paused; nothing was changed"),
                    ),
                };
                return Ok(done(&state, &posted, "resume", told));
            }
            Err(error) => reading.refused(&error),
        }
    }
    Ok(again(&state, &posted, |forms| forms.resume = reading))
}

fn done(state: &Shared, posted: &Posted, act: &'static str, told: String) -> Response {
    count(act, "done");
    posted.done(state, told, ROOM)
}

/// The room again, with everything that was typed into one of its forms.
fn again<'p>(state: &Shared, posted: &'p Posted, place: impl FnOnce(&mut Forms<'p>)) -> Response {
    static NOTHING: std::sync::LazyLock<Typed> = std::sync::LazyLock::new(Typed::nothing);
    let mut forms = Forms::of(&NOTHING, Words(posted.visitor.locale));
    place(&mut forms);
    posted.visitor.page_again(Room::Ladder, &room(state, &posted.visitor, &forms))
}
