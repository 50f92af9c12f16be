//! The limits of the HTTP side.

use std::net::SocketAddr;
use std::time::Duration;

/// Where the server listens and how much it takes on.
///
/// It speaks plain HTTP/1.1 and HTTP/2 (with prior knowledge). TLS belongs to a proxy in
/// front, or keep the port on a private network: API keys travel in the clear otherwise.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where providers and customers reach it; `http://` and the address when absent.
    pub public_url: Option<String>,
    /// Open checkout pages that are told of changes at once; further ones ask every few seconds.
    pub max_streams: usize,
    /// Where `/metrics` is served instead of on `bind`, to keep it from the public.
    pub metrics_bind: Option<SocketAddr>,
    /// The largest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// How long a request may take in all; its work goes on after that. Longer than
    /// [`engine::Options::request_deadline`].
    pub request_timeout: Duration,
    /// How long the head of a request may take to arrive, counted from the connection or from
    /// the end of the request before.
    pub header_timeout: Duration,
    /// How long the body may take to arrive.
    pub body_timeout: Duration,
    /// How long a connection may stand still, whichever side waits. Longer than
    /// `request_timeout`.
    pub idle_timeout: Duration,
    /// Connections at once; one more is closed at once and counted.
    pub max_connections: usize,
    /// Connections at once from one address; 0 is no limit (for a server behind a proxy).
    pub max_connections_per_ip: usize,
    /// API requests worked on at once; one more is refused with 503 `overloaded`.
    pub max_requests: usize,
    /// Further places that only notifications of providers may take, so that shoppers cannot
    /// crowd out the news that somebody has paid.
    pub notification_reserve: usize,
    /// How long the server goes on accepting after a shutdown began, while `/readyz` says no.
    pub lame_duck: Duration,
    /// How long a shutdown waits for requests under way.
    pub drain_timeout: Duration,
}

impl ServerOptions {
    /// The defaults on this address.
    pub fn new(bind: SocketAddr) -> ServerOptions {
        let secs = Duration::from_secs;
        ServerOptions {
            bind,
            public_url: None,
            max_streams: 1024,
            metrics_bind: None,
            max_body_bytes: 256 * 1024,
            request_timeout: secs(30),
            header_timeout: secs(10),
            body_timeout: secs(10),
            idle_timeout: secs(75),
            max_connections: 4096,
            max_connections_per_ip: 0,
            max_requests: 512,
            notification_reserve: 64,
            lame_duck: Duration::ZERO,
            drain_timeout: secs(20),
        }
    }

    /// Where providers and customers reach it.
    pub(crate) fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.bind))
    }
}
