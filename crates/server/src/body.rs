//! JSON bodies, read strictly: the right type, not too large, in time, UTF-8, one object, no
//! name twice.

use std::fmt;

use aws_lc_rs::digest;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::app::Shared;
use crate::problem::{Mistake, Problem, kinds};

/// A JSON object from a request's body. No body at all, or null, is an empty object: which
/// fields are required is for the reader of the fields to say.
pub(crate) struct JsonBody {
    pub(crate) object: Map<String, Value>,
    /// Verb and path.
    asked: (Method, String),
    is_null: bool,
}

impl JsonBody {
    /// A digest of verb, path and body that does not depend on spaces or the order of names:
    /// what an idempotency key stands for.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let (verb, path) = &self.asked;
        let mut text = format!("{verb} {path}\n");
        match self.is_null {
            true => text.push_str("null"),
            false => canonical_object(&self.object, &mut text),
        }
        digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
    }
}

impl FromRequest<Shared> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Problem> {
        let asked = (request.method().clone(), request.uri().path().to_owned());
        let is_json = is_json(request.headers());
        let bytes = read(request, state).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(JsonBody { object: Map::new(), asked, is_null: true });
        }
        if !is_json {
            let detail = "the body must be sent as application/json";
            return Err(Problem::new(&kinds::UNSUPPORTED_CONTENT_TYPE, detail).at(
                "Content-Type",
                "must be application/json",
                "send the header `Content-Type: application/json`",
            ));
        }
        match parse(&bytes)? {
            Value::Object(object) => Ok(JsonBody { object, asked, is_null: false }),
            Value::Null => Ok(JsonBody { object: Map::new(), asked, is_null: true }),
            other => Err(Problem::mistakes(vec![Mistake::new(
                "",
                format!("the body must be a JSON object, not {}", kind(&other)),
                "send one object, such as {\"amount\": 1999}",
            )])),
        }
    }
}

/// How much of a body that is too large is read and thrown away, because a client that still
/// writes when the connection closes never sees the answer.
const THROWN_AWAY_MAX: usize = 1024 * 1024;

/// Reads a body whole, within the limits on size and time.
pub(crate) async fn read(request: Request, state: &Shared) -> Result<Bytes, Problem> {
    read_up_to(request, state, state.limits.max_body_bytes).await
}

/// As [`read`], with a limit of its own, for files.
pub(crate) async fn read_up_to(
    request: Request,
    state: &Shared,
    limit: usize,
) -> Result<Bytes, Problem> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit.saturating_add(THROWN_AWAY_MAX)) {
        return Err(too_large(limit));
    }
    let deadline = Instant::now() + state.limits.body_timeout;
    let (mut body, mut kept, mut seen) = (request.into_body(), Vec::new(), 0_usize);
    while seen <= limit.saturating_add(THROWN_AWAY_MAX) {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) if seen <= limit => return Ok(kept.into()),
            // Late or broken off does not matter any more for one that is too large.
            _ if seen > limit => break,
            Ok(_) => return Err(cut_off("the body ended before its announced length")),
            Err(_) => return Err(cut_off("the body did not arrive in time")),
        };
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(&data);
        }
    }
    Err(too_large(limit))
}

fn too_large(limit: usize) -> Problem {
    Problem::new(&kinds::BODY_TOO_LARGE, format!("the body is larger than {limit} bytes"))
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn cut_off(detail: &str) -> Problem {
    Problem::new(&kinds::BODY_TIMEOUT, detail)
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let media = value.split(';').next().unwrap_or("").trim();
    media.eq_ignore_ascii_case("application/json")
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let detail = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        return Err(Problem::new(&kinds::MALFORMED_JSON, detail));
    }
    let strict: Strict = serde_json::from_slice(bytes).map_err(|error| {
        // `error` itself may repeat what was sent, so only its place and kind are told.
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the body ends too early",
            serde_json::error::Category::Data => "a name occurs twice in one object",
            _ => "the JSON is broken, too deep or has a number that is too large",
        };
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::new(&kinds::MALFORMED_JSON, format!("{what}: {place}"))
    })?;
    Ok(strict.0)
}

/// The value with sorted names and no spaces, whatever map `serde_json` was built with.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => canonical_object(map, out),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn canonical_object(map: &Map<String, Value>, out: &mut String) {
    let mut names: Vec<&String> = map.keys().collect();
    names.sort();
    out.push('{');
    for name in names {
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        canonical(&map[name], out);
        out.push(',');
    }
    out.push('}');
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a number with decimals or too large",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A JSON value in which no object has a name twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(de::Error::custom("a name occurs twice"));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> Vec<u8> {
        let Value::Object(object) = parse(text.as_bytes()).unwrap() else { unreachable!() };
        let asked = (Method::POST, "/v1/payments".to_owned());
        JsonBody { object, asked, is_null: false }.fingerprint()
    }

    #[test]
    fn the_fingerprint_sees_meaning_and_not_spelling() {
        assert_eq!(print(r#"{"a":1,"b":"x"}"#), print("{ \"b\" : \"\\u0078\",\n\"a\":1}"));
        assert_ne!(print(r#"{"a":1}"#), print(r#"{"a":2}"#));
        assert_ne!(print(r#"{"a":[1,2]}"#), print(r#"{"a":[2,1]}"#));
        assert_ne!(print(r#"{"a":"1"}"#), print(r#"{"a":1}"#));
    }

    #[test]
    fn broken_json_is_placed() {
        let detail = |bytes: &[u8]| {
            let problem = parse(bytes).unwrap_err();
            assert_eq!(problem.kind.slug, "malformed-json");
            problem.document("r").detail
        };
        assert_eq!(
            detail(b"{\n \"a\": }"),
            "the JSON is broken, too deep or has a number that is too large: line 2, column 7"
        );
        assert_eq!(detail(br#"{"a":1"#), "the body ends too early: line 1, column 6");
        assert_eq!(
            detail(br#"{"a":1,"a":2}"#),
            "a name occurs twice in one object: line 1, column 10"
        );
        assert_eq!(detail(b"{\"a\":\"\xff\"}"), "the body is not UTF-8 from byte 6 on");
        assert!(detail("[".repeat(1_000_000).as_bytes()).contains("too deep"));
    }
}
