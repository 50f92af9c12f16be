//! Messages: fields by name, the text that a signature covers, and the two ways of writing them.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use percent_encoding::percent_decode;

use crate::crypto::{PrivateKey, PublicKey};

/// A message's fields, in the byte order that signatures need.
pub(super) type Fields = BTreeMap<String, String>;

/// The text that a signature covers: every field that is not empty but `signature`, as
/// `name=value` joined by `&`, values as they are before URL encoding.
pub(super) fn canonical(fields: &Fields) -> String {
    let kept = fields.iter().filter(|(name, value)| *name != "signature" && !value.is_empty());
    kept.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// What RSA signs: the text's SHA-256 in lower-case hexadecimal, which SHA256withRSA then
/// hashes a second time.
pub(super) fn digested(fields: &Fields) -> String {
    hex::encode(digest(&SHA256, canonical(fields).as_bytes()))
}

/// Adds the signature.
pub(super) fn sign(fields: &mut Fields, key: &PrivateKey) {
    let signature = key.sign(digested(fields).as_bytes());
    fields.insert("signature".to_owned(), signature);
}

/// Whether the signature of a message fits a key.
pub(super) fn verifies(fields: &Fields, key: &PublicKey) -> bool {
    fields.get("signature").is_some_and(|s| key.verifies(digested(fields).as_bytes(), s))
}

/// The value of a field that is there and not empty.
pub(super) fn text<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// A form's body.
pub(super) fn encode(fields: &Fields) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

/// A form's fields. `None` when it is not UTF-8 or a field comes twice, which could be read
/// in two ways.
pub(super) fn decode(body: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let mut parts = pair.splitn(2, |b| *b == b'=');
        let name = unescape(parts.next().unwrap_or_default())?;
        let value = unescape(parts.next().unwrap_or_default())?;
        if fields.insert(name, value).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn unescape(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok()
}

/// The fields of a synchronous answer, which is not URL-encoded: an `&` or `=` inside braces
/// or brackets belongs to the value. `None` when it is not such a text.
pub(super) fn split(body: &[u8]) -> Option<Fields> {
    let whole = std::str::from_utf8(body).ok()?;
    // A line end after the last value is the server's, but a certificate's own is signed.
    let trimmed = whole.trim_end();
    let mut rest = if trimmed.ends_with("CERTIFICATE-----") { whole } else { trimmed };
    let mut fields = Fields::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        let end = value_end(after);
        if !named || fields.insert(name.to_owned(), after[..end].to_owned()).is_some() {
            return None;
        }
        rest = after[end..].strip_prefix('&').unwrap_or(&after[end..]);
    }
    Some(fields)
}

/// Where a value ends. One that opens with a brace or bracket ends where that is closed, if
/// another field or the end follows there; every other one at the next `&`.
fn value_end(text: &str) -> usize {
    let plain = || text.find('&').unwrap_or(text.len());
    let (open, close) = match text.as_bytes().first() {
        Some(b'{') => (b'{', b'}'),
        Some(b'[') => (b'[', b']'),
        _ => return plain(),
    };
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                let ends = matches!(text.as_bytes().get(at + 1), None | Some(b'&'));
                return if ends { at + 1 } else { plain() };
            }
        }
    }
    plain()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_signed_text_is_sorted_raw_and_without_empty_fields() {
        let message = fields(&[
            ("txnTime", "20261124100000"),
            ("signature", "x"),
            ("backUrl", "https://a.example/n"),
            ("orderDesc", ""),
            ("reqReserved", "{a=1&b=2}"),
            ("Zeta", "大写在前"),
        ]);
        assert_eq!(
            canonical(&message),
            "Zeta=大写在前&backUrl=https://a.example/n&reqReserved={a=1&b=2}&txnTime=20261124100000"
        );
    }

    #[test]
    fn the_digest_is_taken_twice() {
        // SHA-256 of `a=b`, by another program.
        let text = "42144f3939c3ffbbf0bf8b1f12affb5c23a4c5bd41e0ff672d54a5754f062058";
        let ours = digested(&fields(&[("a", "b")]));
        assert_eq!(ours, text);
        let key = PrivateKey::read(&crate::crypto::test_key()).unwrap();
        let mut message = fields(&[("a", "b")]);
        sign(&mut message, &key);
        // Signed is the hexadecimal text, not the canonical one.
        assert_eq!(message["signature"], key.sign(ours.as_bytes()));
        assert_ne!(message["signature"], key.sign(b"a=b"));
    }

    #[test]
    fn braces_keep_their_content() {
        let body = "a=1&reqReserved={x=1&y={z=2&w=3}}&respMsg=ok[00]&list=[p=1&q]&cert=AB+/==\r\n";
        let read = split(body.as_bytes()).unwrap();
        assert_eq!(read["reqReserved"], "{x=1&y={z=2&w=3}}");
        assert_eq!(read["respMsg"], "ok[00]");
        assert_eq!(read["list"], "[p=1&q]");
        assert_eq!(read["cert"], "AB+/==");
        assert_eq!(split(b"a=-CERTIFICATE-----\n").unwrap()["a"], "-CERTIFICATE-----\n");
        assert_eq!(split(b"a={x&b=2").unwrap(), fields(&[("a", "{x"), ("b", "2")]));
        assert_eq!(split(b"a={x}y&b=2").unwrap()["a"], "{x}y");
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        assert_eq!(split(b"a=1&a=2"), None);
        assert_eq!(split(b"<html>"), None);
        assert_eq!(split(b"a"), None);
        assert_eq!(split(&[0xff, b'=', b'1']), None);
        assert_eq!(decode(b"a=1&a=2"), None);
        assert_eq!(decode(b"a=%ff"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_the_readers(body: Vec<u8>) {
            let _ = split(&body);
            let _ = decode(&body);
        }

        #[test]
        fn a_form_survives_its_encoding(a in ".*", b in ".*") {
            let message = fields(&[("a", &a), ("b", &b)]);
            prop_assert_eq!(decode(&encode(&message)), Some(message));
        }
    }
}
