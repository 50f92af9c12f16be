//! The accept loop: plain TCP, HTTP/1.1 and HTTP/2, with a limit on everything that a client
//! could hold on to.
//!
//! - A connection that has not sent a whole request head within the header time-out is closed;
//!   so is one that stands still longer than the idle time-out, or that drips an HTTP/2
//!   preface.
//! - Connections above the caps are closed at once and counted, so that accepting goes on.
//! - Running out of file descriptors slows the loop down instead of ending it.
//!
//! TLS is left to a proxy in front.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::app::{self, App, Shared};
use crate::idle::Idle;
use crate::options::ServerOptions;
use crate::workers::WorkersHandle;
use crate::{status_page, system};

/// The HTTP server.
#[derive(Debug)]
pub struct Server;

/// A server that runs.
pub struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    shared: Shared,
    metrics_addr: Option<SocketAddr>,
    accepting: Vec<JoinHandle<GracefulShutdown>>,
    workers: Option<WorkersHandle>,
}

impl Server {
    /// Listens and answers until [`Running::shutdown`].
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(app: App, options: ServerOptions) -> io::Result<Running> {
        let listener = TcpListener::bind(options.bind).await?;
        let addr = listener.local_addr()?;
        let watched = match options.metrics_bind {
            Some(bind) => Some(TcpListener::bind(bind).await?),
            None => None,
        };
        let metrics_addr = watched.as_ref().map(TcpListener::local_addr).transpose()?;
        let stop = CancellationToken::new();
        system::describe();
        if let Some(handle) = app.metrics.clone() {
            tokio::spawn(system::upkeep(handle, stop.clone()));
        }
        // A port that was left to the system is known only now.
        let options = ServerOptions { bind: addr, ..options };
        let (router, shared) = app::build(app, options);
        let door = Door::new(router, Arc::clone(&shared));
        let mut accepting = vec![tokio::spawn(door.accept(listener, stop.clone()))];
        if let Some(listener) = watched {
            let door = Door::new(app::metrics_only(&shared), Arc::clone(&shared));
            accepting.push(tokio::spawn(door.accept(listener, stop.clone())));
        }
        tokio::spawn(status_page::watch(Arc::clone(&shared)));
        tracing::info!(%addr, ?metrics_addr, "listening");
        Ok(Running { addr, metrics_addr, stop, shared, accepting, workers: None })
    }
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where `/metrics` is, when it has a port of its own.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// Ties workers to the server, so that they end after its last request.
    #[must_use]
    pub fn with_workers(mut self, workers: WorkersHandle) -> Running {
        self.workers = Some(workers);
        self
    }

    /// Says "not ready" for the lame-duck time, stops accepting, lets requests under way end
    /// within the drain time-out, and then lets the workers end.
    pub async fn shutdown(self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        let limits = self.shared.limits.clone();
        if !limits.lame_duck.is_zero() {
            tracing::info!(seconds = limits.lame_duck.as_secs(), "not ready; still accepting");
            tokio::time::sleep(limits.lame_duck).await;
        }
        self.stop.cancel();
        self.shared.ending.cancel();
        self.shared.tasks.close();
        let drained = tokio::time::timeout(limits.drain_timeout, async {
            for accepting in self.accepting {
                if let Ok(connections) = accepting.await {
                    connections.shutdown().await;
                }
            }
            // Work whose client went away, or was told to come back.
            self.shared.tasks.wait().await;
        });
        match drained.await {
            Ok(()) => tracing::info!("drained"),
            Err(_) => tracing::warn!(
                requests = self.shared.tasks.len(),
                "the drain time is over; what is left will be recovered from the books"
            ),
        }
        if let Some(workers) = self.workers {
            workers.shutdown().await;
        }
    }
}

/// What a connection needs.
struct Door {
    router: Router,
    limits: ServerOptions,
    places: Arc<Semaphore>,
    per_ip: Arc<PerIp>,
    http: Arc<Builder<TokioExecutor>>,
    // Keeps the shared state alive as long as the loop runs.
    _shared: Shared,
}

impl Door {
    fn new(router: Router, shared: Shared) -> Door {
        let limits = shared.limits.clone();
        Door {
            router,
            places: Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS))),
            per_ip: Arc::new(PerIp::default()),
            http: Arc::new(protocol(&limits)),
            limits,
            _shared: shared,
        }
    }

    async fn accept(self, listener: TcpListener, stop: CancellationToken) -> GracefulShutdown {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return graceful,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(pass) = self.pass(peer.ip()) {
                        self.serve(stream, pass, &graceful);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    refused("accept_error");
                    // Out of descriptors: closing connections will free some.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// A place for a connection from this address, or none; dropping the stream closes it.
    fn pass(&self, ip: IpAddr) -> Option<Pass> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            refused("too_many");
            return None;
        };
        let cap = self.limits.max_connections_per_ip;
        let Some(from) = PerIp::enter(&self.per_ip, ip, cap) else {
            refused("too_many_from_address");
            return None;
        };
        let gauge = metrics::gauge!("evergate_connections_open");
        gauge.increment(1.0);
        Some(Pass { _place: place, _from: from, gauge })
    }

    fn serve(&self, stream: TcpStream, pass: Pass, graceful: &GracefulShutdown) {
        // Answers are small and whole; nothing is won by waiting for more.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Idle::new(stream, self.limits.idle_timeout));
        let spoken = Arc::new(AtomicBool::new(false));
        let (router, heard) = (self.router.clone(), Arc::clone(&spoken));
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = self.http.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        let patience = self.limits.header_timeout;
        tokio::spawn(async move {
            let _pass = pass;
            tokio::pin!(connection);
            tokio::select! {
                // Errors are the client's: gone, too slow, or not speaking HTTP.
                _ = &mut connection => return,
                () = tokio::time::sleep(patience) => {}
            }
            // Covers what hyper's own time-out does not: a preface that never ends.
            if spoken.load(Ordering::Relaxed) {
                let _ = connection.await;
            } else {
                refused("no_request");
            }
        });
    }
}

fn protocol(limits: &ServerOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(64)
        .max_buf_size(32 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(16 * 1024)
        .max_pending_accept_reset_streams(32)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

fn refused(why: &'static str) {
    metrics::counter!("evergate_connections_refused_total", "reason" => why).increment(1);
}

/// A connection's place; free again when it is dropped.
struct Pass {
    _place: OwnedSemaphorePermit,
    _from: FromIp,
    gauge: metrics::Gauge,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
    }
}

/// Connections by address.
#[derive(Default)]
struct PerIp(Mutex<HashMap<IpAddr, usize>>);

/// One connection of an address.
struct FromIp {
    counts: Arc<PerIp>,
    ip: IpAddr,
}

impl PerIp {
    fn enter(counts: &Arc<PerIp>, ip: IpAddr, cap: usize) -> Option<FromIp> {
        let mut map = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = map.entry(ip).or_insert(0);
        if cap > 0 && *count >= cap {
            return None;
        }
        *count += 1;
        Some(FromIp { counts: Arc::clone(counts), ip })
    }
}

impl Drop for FromIp {
    fn drop(&mut self) {
        let mut map = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = map.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                map.remove(&self.ip);
            }
        }
    }
}
