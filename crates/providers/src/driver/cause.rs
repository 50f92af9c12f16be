//! From the HTTP client's errors to the one question: may bytes have reached the provider?

use std::error::Error;
use std::fmt::Write;

use super::{not_sent, unanswered};
use crate::Reply;

/// An error before an answer began. Only what failed while the connection was being made is
/// "not sent".
pub(super) fn reply(error: &reqwest::Error) -> Reply {
    if error.is_builder() {
        return not_sent("request", "the request cannot be written as HTTP");
    }
    if !error.is_connect() {
        return cut_off(error);
    }
    if error.is_timeout() {
        return not_sent("connect", "no connection was made within the time for connecting");
    }
    match layer(error) {
        Layer::Dns => not_sent("dns", "the provider's host name has no address"),
        Layer::Tls => not_sent("tls", &format!("TLS was refused: {}", tls_detail(error))),
        Layer::Tcp => not_sent("connect", "the provider's host refused the connection"),
    }
}

/// An error after the request may have left.
pub(super) fn cut_off(error: &reqwest::Error) -> Reply {
    if error.is_timeout() {
        return unanswered("timeout", "the answer did not come in time");
    }
    let parse = sources(error)
        .any(|e| e.downcast_ref::<hyper::Error>().is_some_and(|e| e.is_parse() || e.is_user()));
    if parse {
        return unanswered("malformed", "what came back is not HTTP");
    }
    unanswered("reset", "the connection ended before the whole answer was there")
}

enum Layer {
    Dns,
    Tls,
    Tcp,
}

fn layer(error: &reqwest::Error) -> Layer {
    for source in sources(error) {
        if source.is::<rustls::Error>() || source.to_string().contains("invalid peer certificate") {
            return Layer::Tls;
        }
        // The connector names this layer in words only.
        if source.to_string().contains("dns error") {
            return Layer::Dns;
        }
        let inner = source.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
        if inner.is_some_and(|e| e.is::<rustls::Error>()) {
            return Layer::Tls;
        }
    }
    Layer::Tcp
}

fn tls_detail(error: &reqwest::Error) -> String {
    for source in sources(error) {
        let inner = source.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
        let tls = source.downcast_ref::<rustls::Error>();
        let tls = tls.or_else(|| inner.and_then(|e| e.downcast_ref()));
        if let Some(tls) = tls {
            return tls.to_string();
        }
    }
    "the handshake failed".to_owned()
}

fn sources<'e>(error: &'e reqwest::Error) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(error.source(), |e| (*e).source())
}

/// An error with its reasons, without the address that it was about.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::from("client");
    for source in sources(error) {
        let _ = write!(text, ": {source}");
    }
    text
}
