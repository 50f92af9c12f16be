//! The documentation that the server itself serves: the OpenAPI document, a page to browse it,
//! and a page for every kind of problem. All of it is in the binary; nothing is loaded from
//! elsewhere, and the policy header forbids it.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header;
use serde_json::Value;

use crate::app::Shared;
use crate::params::NameInPath;
use crate::problem::{Kind, Problem, kinds};

/// RapiDoc 9.3.8 (MIT; its parts MIT and BSD-3-Clause: see `assets/rapidoc-LICENSE.txt`),
/// compressed as its publisher packs it.
const RAPIDOC: &[u8] = include_bytes!("assets/rapidoc-min.js.gz");
const RAPIDOC_LICENSE: &str = include_str!("assets/rapidoc-LICENSE.txt");
const PAGE: &str = include_str!("assets/docs.html");

/// RapiDoc writes its styles at run time, hence the exception for styles and only for them.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";
const DAY: &str = "public, max-age=86400";

/// The OpenAPI document of this server.
pub(crate) async fn openapi(State(state): State<Shared>) -> Json<Value> {
    Json(Value::clone(&state.openapi))
}

pub(crate) async fn page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, DOCS_POLICY)], Html(PAGE)).into_response()
}

pub(crate) async fn script() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CONTENT_ENCODING, "gzip"),
        (header::CACHE_CONTROL, DAY),
    ];
    (headers, RAPIDOC).into_response()
}

pub(crate) async fn script_license() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], RAPIDOC_LICENSE).into_response()
}

/// The page of one kind of problem.
pub(crate) async fn problem(NameInPath(slug): NameInPath) -> Result<Response, Problem> {
    let kind = kinds::of(&slug)
        .ok_or_else(|| Problem::new(&kinds::NOT_FOUND, "there is no problem of this name"))?;
    let mut body = String::new();
    write_kind(&mut body, kind);
    body.push_str("<p><a href=\"/problems\">All problems / 所有问题</a></p>");
    Ok(html(kind.title, &body))
}

/// All kinds of problems on one page.
pub(crate) async fn problems() -> Response {
    let mut body = String::from("<h1>Problems / 问题</h1>");
    for kind in kinds::ALL {
        write_kind(&mut body, kind);
    }
    html("Problems", &body)
}

/// The texts are ours, and have no character that HTML minds.
fn write_kind(out: &mut String, kind: &Kind) {
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<section id=\"{slug}\"><h2>{title}<br>{title_zh}</h2>\
         <p><code>{slug}</code> · HTTP {status}</p><p>{advice}</p><p lang=\"zh\">{advice_zh}</p>\
         </section>",
        slug = kind.slug,
        status = kind.status,
        title = kind.title,
        title_zh = kind.title_zh,
        advice = kind.advice,
        advice_zh = kind.advice_zh,
    );
}

fn html(title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} · Evergate</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:2em auto;\
         padding:0 1em;color:#1c2733}}code{{background:#eef2f6;padding:.1em .4em}}\
         h2{{margin-bottom:.2em}}section{{border-top:1px solid #d7dee6;padding:.5em 0}}</style>\
         <main>{body}</main></html>"
    );
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_texts_need_no_escaping() {
        for kind in kinds::ALL {
            let all = [kind.slug, kind.title, kind.title_zh, kind.advice, kind.advice_zh].concat();
            assert!(!all.contains(['<', '>', '&', '"']), "{}", kind.slug);
            assert!((400..600).contains(&kind.status));
        }
    }
}
