//! The overview: figures, live charts, every channel in short, the newest changes of health.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::{ChannelId, Locale, Status};
use engine::{ChannelView, Turn};
use pages::console::{Block, Cell, Chart, Charts, Part, Room, Table, Tile, Tone, View, Words};
use resilience::{Cause, HealthState, Point};
use store::Filter;

use super::live::SPANS;
use super::reply::Stop;
use super::say;
use super::visitor::{Typed, Visitor};
use crate::app::Shared;

/// What figures without charts are about.
const LATELY: Duration = Duration::from_secs(300);
/// More than this many are not counted.
const COUNTED: usize = 100;

pub(super) async fn show(
    State(state): State<Shared>,
    visitor: Visitor,
    RawQuery(raw): RawQuery,
) -> Result<Response, Stop> {
    let query = Typed::query(raw.as_deref());
    let span = SPANS.iter().find(|(name, _)| *name == query.get("span"));
    let span = span.map_or("15m", |(name, _)| *name);
    let words = Words(visitor.locale);
    let (all, each) = state.engine.lately(LATELY);
    let views = state.engine.channels();
    let mut tiles = figures(words, &all, &views);
    tiles.extend(waiting(&state, words).await);
    let charts =
        Charts { series: format!("/console/series?span={span}"), charts: charts(visitor.locale) };
    let changes = state.engine.fleet().changes;
    let view = View {
        live: true,
        blocks: vec![
            Block::live("figures", vec![Part::Tiles(tiles)]),
            Block::still(vec![Part::Links(spans(words, span)), Part::Charts(charts)]),
            Block::live(
                "channels",
                vec![
                    Part::Heading(format!("{} · {}", words.channels(), words.last_minutes())),
                    Part::Table(channels(words, &views, &each)),
                    Part::Heading(words.changes().to_owned()),
                    Part::Table(turns(words, &changes)),
                ],
            ),
        ],
        ..View::default()
    };
    Ok(visitor.page(&state, Room::Overview, &view))
}

fn spans(words: Words, chosen: &str) -> Vec<(String, String, bool)> {
    let label = |name: &str| match name {
        "5m" => words.span_5m(),
        "1h" => words.span_1h(),
        _ => words.span_15m(),
    };
    let link = |(name, _): &(&str, Duration)| {
        (label(name).to_owned(), format!("/console?span={name}"), *name == chosen)
    };
    SPANS.iter().map(link).collect()
}

fn charts(locale: Locale) -> Vec<Chart> {
    let words = Words(locale);
    let chart = |title: &str, about: &str, figure, unit| Chart {
        title: title.to_owned(),
        about: about.to_owned(),
        figure,
        unit,
    };
    vec![
        chart(words.success_rate(), words.success_about(), "success", "share"),
        chart(words.traffic(), words.traffic_about(), "traffic", "rate"),
        chart(words.latency(), words.latency_about(), "p95", "ms"),
        chart(words.unknowns(), words.unknowns_about(), "unknown", "count"),
    ]
}

fn figures(words: Words, all: &Point, views: &[ChannelView]) -> Vec<Tile> {
    let tile = |name: &str, figure: String, small: &str, tone| Tile {
        name: name.to_owned(),
        figure,
        small: Some(small.to_owned()),
        tone,
    };
    let (success, tone) = say::success(all, words);
    let unknown = if all.unknown > 0 { Tone::Warn } else { Tone::Good };
    let out = views.iter().filter(|view| is_out(view)).count();
    let out_tone = if out > 0 { Tone::Bad } else { Tone::Good };
    let lately = words.last_minutes();
    vec![
        tile(words.success_rate(), success, lately, tone),
        tile(words.traffic(), say::rate(all, LATELY), lately, Tone::Quiet),
        tile(words.latency(), say::latency(all.p95_ms), lately, Tone::Quiet),
        tile(words.unknowns(), all.unknown.to_string(), lately, unknown),
        tile(words.channels_out(), format!("{out} / {}", views.len()), "", out_tone),
    ]
}

/// What waits for an answer or a person. Figures of health are shown even when the books do not
/// answer.
async fn waiting(state: &Shared, words: Words) -> Vec<Tile> {
    let count = async |filter: Filter| {
        let found = state.engine.store().list(&Filter { limit: COUNTED, ..filter }).await;
        found.map(|found| found.len()).ok()
    };
    let confirming =
        Filter { status: Some(Status::Confirming), synthetic: Some(false), ..Filter::default() };
    let for_people = Filter { review: Some(true), ..Filter::default() };
    let (confirming, for_people) = tokio::join!(count(confirming), count(for_people));
    let tile = |name: &str, count: Option<usize>| Tile {
        name: name.to_owned(),
        figure: match count {
            None => "–".to_owned(),
            Some(COUNTED..) => format!("{COUNTED}+"),
            Some(count) => count.to_string(),
        },
        small: None,
        tone: match count {
            Some(0) => Tone::Good,
            _ => Tone::Warn,
        },
    };
    vec![tile(words.confirming_now(), confirming), tile(words.for_a_person(), for_people)]
}

/// The most pressing of a channel's states in its name, and how it is to be taken.
fn worst(view: &ChannelView) -> (HealthOrOff, Tone) {
    let all = view.methods.iter();
    if view.methods.iter().all(|(_, method)| method.disabled.is_some()) {
        return (HealthOrOff::Off, Tone::Bad);
    }
    let rank = |tone: Tone| match tone {
        Tone::Bad => 2,
        Tone::Warn => 1,
        Tone::Good | Tone::Quiet => 0,
    };
    let most = all.max_by_key(|(_, method)| rank(say::tone(&method.health)));
    let health = most.map_or(HealthState::Healthy, |(_, method)| method.health);
    (HealthOrOff::Is(health), say::tone(&health))
}

/// Whether any of its methods is in service neither by health nor by people.
fn is_out(view: &ChannelView) -> bool {
    view.methods.iter().any(|(_, method)| method.disabled.is_some() || method.health.is_out())
}

enum HealthOrOff {
    Is(HealthState),
    Off,
}

fn channels(words: Words, views: &[ChannelView], each: &[(ChannelId, Point)]) -> Table {
    let mut table = Table::new(
        words.channels(),
        &[
            words.channel(),
            words.state(),
            &format!("#{}", words.success_rate()),
            &format!("#{}", words.traffic()),
            &format!("#{}", words.latency()),
            &format!("#{}", words.declines()),
            &format!("#{}", words.failures()),
            &format!("#{}", words.unknowns()),
        ],
    );
    for view in views {
        let point = each.iter().find(|(id, _)| *id == view.id);
        let point = point.map_or_else(Point::default, |(_, point)| *point);
        let (health, tone) = worst(view);
        let state = match health {
            HealthOrOff::Is(health) => Cell::from(words.health(health.name())),
            HealthOrOff::Off => Cell::from(words.pick("已停用", "disabled")),
        };
        let causes = view.methods.iter().filter_map(|(_, method)| method.cause);
        let cause = causes.map(|cause| words.cause(Cause::name(cause))).next().unwrap_or_default();
        let (success, success_tone) = say::success(&point, words);
        let link =
            pages::console::Line::link(view.id.as_str(), format!("/console/channels#{}", view.id));
        let methods = view.methods.iter().map(|(method, _)| method.label(words.0));
        let unknown = Cell::number(point.unknown);
        let unknown = if point.unknown > 0 { unknown.toned(Tone::Warn) } else { unknown };
        table.push(vec![
            Cell::from(link).with(methods.collect::<Vec<_>>().join(words.pick("、", ", "))),
            state.toned(tone).with(cause),
            Cell::number(success).toned(success_tone),
            Cell::number(say::rate(&point, LATELY)),
            Cell::number(say::latency(point.p95_ms)),
            Cell::number(point.declined),
            Cell::number(point.failed),
            unknown,
        ]);
    }
    table
}

fn turns(words: Words, changes: &[Turn]) -> Table {
    let mut table = Table::new(
        words.changes(),
        &[words.when(), words.channel(), words.method(), words.state(), words.why()],
    );
    table.empty = Some(words.no_changes().to_owned());
    for turn in changes.iter().rev().take(12) {
        let to = words.health(turn.to);
        let tone = match turn.to {
            "healthy" => Tone::Good,
            "down" => Tone::Bad,
            _ => Tone::Warn,
        };
        let cause = turn.cause.map_or_else(String::new, |cause| words.cause(Cause::name(cause)));
        table.push(vec![
            Cell::from(turn.at),
            Cell::from(turn.channel.as_str()),
            Cell::from(turn.method.label(words.0)),
            Cell::from(to).toned(tone),
            Cell::from(cause),
        ]);
    }
    table
}
