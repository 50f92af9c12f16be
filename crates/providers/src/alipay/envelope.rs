//! The envelope of an answer: which bytes the signature covers.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An answer's parts, still as received.
pub(super) struct Envelope<'a> {
    /// The answer object exactly as it arrived, from `{` to the matching `}`; slashes that were
    /// escaped stay escaped. The signature covers these bytes.
    pub(super) node: &'a str,
    /// The signature, where there is one.
    pub(super) sign: Option<String>,
    /// Which of Alipay's certificates signed, in certificate mode.
    pub(super) cert_sn: Option<String>,
}

/// Splits an answer to `method`. `None` when it is not such an answer, or is ambiguous.
pub(super) fn split<'a>(body: &'a [u8], method: &str) -> Option<Envelope<'a>> {
    let members = members(body)?;
    let wanted = format!("{}_response", method.replace('.', "_"));
    let get = |name: &str| {
        let mut found = members.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value.get()),
            _ => None,
        }
    };
    let text = |name: &str| get(name).and_then(|raw| serde_json::from_str::<String>(raw).ok());
    let node = get(&wanted).or_else(|| get("error_response")).filter(|n| n.starts_with('{'))?;
    Some(Envelope { node, sign: text("sign"), cert_sn: text("alipay_cert_sn") })
}

/// The members of the outer object, repeated names included.
fn members(body: &[u8]) -> Option<Vec<(String, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_kept_byte_for_byte() {
        let body = br#" {"alipay_trade_query_response": {"a":"x\/y {\"}","b":{"c":[1,2]}} ,"sign":"AA\/BB=","alipay_cert_sn":"sn"}"#;
        let envelope = split(body, "alipay.trade.query").unwrap();
        assert_eq!(envelope.node, r#"{"a":"x\/y {\"}","b":{"c":[1,2]}}"#);
        assert_eq!(envelope.sign.as_deref(), Some("AA/BB="));
        assert_eq!(envelope.cert_sn.as_deref(), Some("sn"));
        let reversed = br#"{"sign":"s","alipay_trade_query_response":{"code":"10000"}}"#;
        assert_eq!(split(reversed, "alipay.trade.query").unwrap().node, r#"{"code":"10000"}"#);
    }

    #[test]
    fn what_is_ambiguous_or_cut_off_is_no_answer() {
        for body in [
            &br#"{"alipay_trade_query_response":{"code":"10000"},"alipay_trade_query_response":{}}"#[..],
            br#"{"alipay_trade_query_response":{"code":"10000"}"#,
            br#"{"alipay_trade_query_response":"x"}"#,
            br#"{"alipay_trade_close_response":{}}"#,
            b"<html>", b"", b"[]", b"{} {}", b"\xff",
        ] {
            assert!(split(body, "alipay.trade.query").is_none());
        }
    }
}
