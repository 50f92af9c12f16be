//! Channels: how each method of each is and why, who took it out, and the forms that take it
//! out and put it back.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::{ChannelId, Locale, Method, Override};
use engine::{ChannelView, EngineError, MethodView};
use pages::console::{
    Block, Cell, Field, Form, Input, Line, Part, Pick, Room, Table, Tone, View, Words,
};

use super::form::{Reading, count};
use super::reply::Stop;
use super::say;
use super::visitor::{Posted, Typed, Visitor};
use crate::app::Shared;

pub(super) async fn show(
    State(state): State<Shared>,
    visitor: Visitor,
    RawQuery(raw): RawQuery,
) -> Response {
    let typed = Typed::query(raw.as_deref());
    let words = Words(visitor.locale);
    let forms = [Reading::new(&typed, words), Reading::new(&typed, words)];
    let view = room(&state, &visitor, forms);
    visitor.page(&state, Room::Channels, &view)
}

fn room(state: &Shared, visitor: &Visitor, [off, on]: [Reading<'_>; 2]) -> View {
    let words = Words(visitor.locale);
    let views = state.engine.channels();
    let mut blocks = vec![Block::live(
        "channels",
        vec![Part::Table(table(words, &views, visitor.may_operate()))],
    )];
    if visitor.may_operate() {
        let overrides = state.engine.controls().overrides.clone();
        let in_force = |o: &Override| o.until.is_none_or(|until| state.engine.now() < until);
        let off_now: Vec<Override> = overrides.into_iter().filter(in_force).collect();
        blocks.push(Block::still(vec![Part::Form(disable_form(&off, &views))]));
        blocks.push(Block::still(vec![match off_now.is_empty() {
            true => Part::Note(words.nothing_disabled().into(), None),
            false => Part::Form(enable_form(&on, &off_now)),
        }]));
    }
    View { live: true, blocks, ..View::default() }
}

fn table(words: Words, views: &[ChannelView], may_operate: bool) -> Table {
    let mut titles = vec![
        words.channel(),
        words.method(),
        words.state(),
        words.why(),
        words.since(),
        words.by_whom(),
    ];
    if may_operate {
        titles.push(words.act_on());
    }
    let mut table = Table::new(words.channels(), &titles);
    for view in views {
        for (place, (method, health)) in view.methods.iter().enumerate() {
            table.push(row(words, view, (*method, health), may_operate));
            if place == 0
                && let Some(row) = table.rows.last_mut()
            {
                row.id = Some(view.id.to_string());
            }
        }
    }
    table
}

fn row(
    words: Words,
    view: &ChannelView,
    (method, health): (Method, &MethodView),
    may_operate: bool,
) -> Vec<Cell> {
    let state = match health.disabled {
        Some(_) => Cell::from(words.pick("已停用", "disabled"))
            .toned(Tone::Bad)
            .with(words.health(health.health.name())),
        None => Cell::from(words.health(health.health.name())).toned(say::tone(&health.health)),
    };
    let since = health.changed_at.map_or(Line::from(words.never_changed()), Line::from);
    let mut people: Vec<Line> = Vec::new();
    if let Some(by) = &health.disabled {
        people.extend(say::set_by(words, words.pick("停用", "disabled"), by));
    }
    if let Some(by) = &health.preferred {
        people.extend(say::set_by(words, words.put_first(), by));
    }
    let mut cells = vec![
        Cell::from(view.id.as_str()).with(view.capabilities.provider),
        Cell::from(method.label(words.0)),
        state,
        lines(say::evidence(words, health)),
        Cell::from(since),
        lines(people),
    ];
    if may_operate {
        let cell = value_of(&view.id, Some(method));
        let (verb, form) = match health.disabled {
            Some(_) => (words.enable(), "enable"),
            None => (words.disable(), "disable"),
        };
        let to = format!("/console/channels?cell={cell}#{form}");
        cells.push(Cell::from(Line::link(format!("{verb}…"), to)));
    }
    cells
}

/// The first line large, the others under it.
fn lines(lines: Vec<Line>) -> Cell {
    let mut lines = lines.into_iter();
    let first = Cell::from(lines.next().unwrap_or_default());
    lines.fold(first, Cell::with)
}

/// Which channel and method, as one value: `alipay-main:alipay`, or `alipay-main:` for all.
fn read_cell(text: &str) -> Option<(ChannelId, Option<Method>)> {
    let (channel, method) = text.split_once(':')?;
    let method = match method {
        "" => None,
        name => Some(name.parse().ok()?),
    };
    Some((ChannelId::new(channel).ok()?, method))
}

fn value_of(channel: &ChannelId, method: Option<Method>) -> String {
    format!("{channel}:{}", method.map_or("", Method::name))
}

fn disable_form(reading: &Reading<'_>, views: &[ChannelView]) -> Form {
    let words = reading.words;
    let chosen = reading.typed.get("cell");
    let pick = |channel: &ChannelId, method| {
        Pick::new(value_of(channel, method), say::cell(words, channel, method), chosen)
    };
    let of = |view: &ChannelView| {
        let mut picks = vec![pick(&view.id, None)];
        if view.methods.len() > 1 {
            picks.extend(view.methods.iter().map(|(method, _)| pick(&view.id, Some(*method))));
        } else {
            // Of a channel with one method, all and that one are the same.
            picks[0].chosen |=
                view.methods.iter().any(|(m, _)| chosen == value_of(&view.id, Some(*m)));
        }
        picks
    };
    let picks = Input::Select(views.iter().flat_map(of).collect());
    let mut fields = vec![
        Field::new("cell", words.which(), picks).wrong(reading.wrong("cell")),
        reading.end_field(),
        reading.reason_field(),
    ];
    if let Some(mistake) = reading.wrong("sure") {
        let input = Input::Check { ticked: false, words: words.i_am_sure().to_owned() };
        fields.push(Field::new("sure", "", input).wrong(Some(mistake)));
    }
    Form {
        id: "disable",
        title: words.take_out().to_owned(),
        about: vec![words.take_out_about().to_owned()],
        action: "/console/channels/disable".to_owned(),
        search: false,
        fields,
        button: words.disable().to_owned(),
    }
}

fn enable_form(reading: &Reading<'_>, off: &[Override]) -> Form {
    let words = reading.words;
    let chosen = reading.typed.get("cell");
    let pick = |o: &Override| {
        let (value, label) =
            (value_of(&o.channel, o.method), say::cell(words, &o.channel, o.method));
        let mut pick = Pick::new(value, format!("{label} ({})", o.reason), chosen);
        // A method's row leads here also when the whole channel is out.
        pick.chosen |= chosen
            .split_once(':')
            .is_some_and(|(c, _)| c == o.channel.as_str() && o.method.is_none());
        pick
    };
    let picks = Input::Select(off.iter().map(pick).collect());
    Form {
        id: "enable",
        title: words.put_back().to_owned(),
        about: vec![words.put_back_about().to_owned()],
        action: "/console/channels/enable".to_owned(),
        search: false,
        fields: vec![
            Field::new("cell", words.which(), picks).wrong(reading.wrong("cell")),
            reading.reason_field(),
        ],
        button: words.enable().to_owned(),
    }
}

/// The channel and method of a form, if this server has them.
fn wanted(state: &Shared, reading: &mut Reading<'_>) -> Option<(ChannelId, Option<Method>)> {
    let found = read_cell(reading.typed.get("cell")).filter(|(channel, method)| {
        let options = state.engine.options();
        let has = |m: Method| {
            options
                .channel(channel)
                .is_some_and(|c| c.capabilities.methods.iter().any(|(o, _)| *o == m))
        };
        options.channel(channel).is_some() && method.is_none_or(has)
    });
    if found.is_none() {
        let zh = "没有这个通道或支付方式：请从列表中选择。";
        reading.mistake("cell", zh, "is no channel of this server: choose one from the list.");
    }
    found
}

/// Takes a channel out until a time.
pub(super) async fn disable(State(state): State<Shared>, posted: Posted) -> Result<Response, Stop> {
    posted.visitor.must_operate()?;
    let words = Words(posted.visitor.locale);
    let mut reading = Reading::new(&posted.typed, words);
    let now = state.engine.now();
    let cell = wanted(&state, &mut reading);
    let (until, reason) = (reading.end(now), reading.reason());
    if let Some((channel, method)) = &cell
        && posted.typed.get("sure") != "yes"
        && is_last(&state.engine.channels(), channel, *method)
    {
        reading.mistake("sure", Words(Locale::Zh).last_one(), Words(Locale::En).last_one());
    }
    let (Some((channel, method)), Some(until), true) = (cell, until, reading.is_good()) else {
        return Ok(again(&state, &posted.visitor, [Some(reading), None]));
    };
    let new = Override {
        channel: channel.clone(),
        method,
        by: posted.visitor.by(),
        reason,
        since: now,
        until: Some(until),
    };
    let told = say::cell(words, &channel, method);
    match state.engine.disable(new).await {
        Ok(_) => {
            count("disable", "done");
            let text = words.pick(format!("已停用：{told}"), format!("Out of service: {told}"));
            Ok(posted.done(&state, text, "/console/channels"))
        }
        Err(error) => failed(&state, &posted, error, "disable", |reading| [Some(reading), None]),
    }
}

/// Puts a channel back.
pub(super) async fn enable(State(state): State<Shared>, posted: Posted) -> Result<Response, Stop> {
    posted.visitor.must_operate()?;
    let words = Words(posted.visitor.locale);
    let mut reading = Reading::new(&posted.typed, words);
    let (cell, reason) = (wanted(&state, &mut reading), reading.reason());
    let (Some((channel, method)), true) = (cell, reading.is_good()) else {
        return Ok(again(&state, &posted.visitor, [None, Some(reading)]));
    };
    let told = say::cell(words, &channel, method);
    match state.engine.enable(&channel, method, &posted.visitor.by(), &reason).await {
        Ok(_) => {
            count("enable", "done");
            let text = words.pick(format!("已恢复：{told}"), format!("Back in service: {told}"));
            Ok(posted.done(&state, text, "/console/channels"))
        }
        Err(error) => failed(&state, &posted, error, "enable", |reading| [None, Some(reading)]),
    }
}

/// The room again, with everything that was typed into one of its forms.
fn again(state: &Shared, visitor: &Visitor, forms: [Option<Reading<'_>>; 2]) -> Response {
    let nothing = Typed::nothing();
    let words = Words(visitor.locale);
    let forms = forms.map(|form| form.unwrap_or_else(|| Reading::new(&nothing, words)));
    visitor.page_again(Room::Channels, &room(state, visitor, forms))
}

/// What the engine or the books refused, on the form itself, so that nothing typed is lost.
fn failed<'p>(
    state: &Shared,
    posted: &'p Posted,
    error: EngineError,
    act: &'static str,
    place: impl FnOnce(Reading<'p>) -> [Option<Reading<'p>>; 2],
) -> Result<Response, Stop> {
    count(act, "failed");
    let mut reading = Reading::new(&posted.typed, Words(posted.visitor.locale));
    reading.refused(&error);
    Ok(again(state, &posted.visitor, place(reading)))
}

/// Whether a method would be left without any channel in service.
fn is_last(views: &[ChannelView], channel: &ChannelId, method: Option<Method>) -> bool {
    let serves = |m: &MethodView| m.disabled.is_none() && !m.health.is_out();
    let of = |view: &ChannelView| -> Vec<Method> {
        let working = view.methods.iter().filter(|(_, m)| serves(m));
        working.map(|(method, _)| *method).collect()
    };
    let Some(view) = views.iter().find(|view| view.id == *channel) else { return false };
    let leaving = of(view).into_iter().filter(|m| method.is_none_or(|only| only == *m));
    let others: Vec<Method> =
        views.iter().filter(|view| view.id != *channel).flat_map(of).collect();
    leaving.into_iter().any(|method| !others.contains(&method))
}
