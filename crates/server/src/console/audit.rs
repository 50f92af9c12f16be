//! The audit log: who did what, when and why.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use pages::console::{Block, Cell, Field, Form, Input, Part, Room, Table, View, Words};
use store::{AuditFilter, AuditLine};

use super::reply::Stop;
use super::say;
use super::visitor::{Typed, Visitor};
use crate::app::Shared;

const PAGE: usize = 50;
const TEXT_MAX: u16 = 60;

pub(super) async fn show(
    State(state): State<Shared>,
    visitor: Visitor,
    RawQuery(raw): RawQuery,
) -> Result<Response, Stop> {
    let typed = Typed::query(raw.as_deref());
    let view = room(&state, &visitor, &typed).await?;
    Ok(visitor.page(&state, Room::Audit, &view))
}

async fn room(state: &Shared, visitor: &Visitor, typed: &Typed) -> Result<View, Stop> {
    let words = Words(visitor.locale);
    let text = |name| Some(typed.get(name).to_owned()).filter(|text| !text.is_empty());
    let filter = AuditFilter {
        by: text("by"),
        text: text("text"),
        before: typed.get("before").parse().ok(),
        limit: PAGE + 1,
    };
    let found = state.engine.store().audit_page(&filter).await;
    let mut lines = found.map_err(Stop::books(visitor.locale))?;
    let more = lines.len() > PAGE;
    lines.truncate(PAGE);
    let mut links = Vec::new();
    if filter.before.is_some() {
        links.push((words.newest().to_owned(), address(typed, None), false));
    }
    if let Some((last, _)) = lines.last().filter(|_| more) {
        links.push((words.older().to_owned(), address(typed, Some(*last)), false));
    }
    let table = table(words, lines.iter().map(|(_, line)| line));
    Ok(View {
        live: true,
        blocks: vec![
            Block::still(vec![Part::Form(search(typed, words))]),
            Block::live("lines", vec![Part::Table(table), Part::Links(links)]),
        ],
        ..View::default()
    })
}

fn address(typed: &Typed, before: Option<u64>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in ["by", "text"] {
        if !typed.get(name).is_empty() {
            query.append_pair(name, typed.get(name));
        }
    }
    if let Some(before) = before {
        query.append_pair("before", &before.to_string());
    }
    format!("/console/audit?{}", query.finish())
}

fn search(typed: &Typed, words: Words) -> Form {
    let input =
        |name| Input::Text { value: typed.get(name).to_owned(), max: TEXT_MAX, required: false };
    Form {
        id: "search",
        title: String::new(),
        about: Vec::new(),
        action: "/console/audit".to_owned(),
        search: true,
        fields: vec![
            Field::new("by", words.who(), input("by")),
            Field::new("text", words.contains(), input("text")),
        ],
        button: words.filter().to_owned(),
    }
}

fn table<'l>(words: Words, lines: impl Iterator<Item = &'l AuditLine>) -> Table {
    let mut table = Table::new(
        words.room(Room::Audit),
        &[words.when(), words.who(), words.act(), words.reason()],
    );
    for line in lines {
        let reason = pages::console::phrase(words.0, &line.reason);
        table.push(vec![
            Cell::from(line.at),
            Cell::from(line.by.as_str()),
            Cell::from(say::act(words, &line.action)),
            Cell::from(reason),
        ]);
    }
    table
}
