//! Looks at a provider layer by layer, so that what broke is known by its name.
//!
//! DNS, TCP, TLS with the days that certificates have left, HTTP, and at last a signed
//! question about an order that does not exist: a provider that answers "not found" has
//! proven address, key, signature and service at once. `evergate check`, `evergate probe` and
//! the running server use this one prober.
//!
//! A probe is evidence about the way to a provider. It moves no money and decides nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{ChannelId, Operation, Timestamp};
use providers::{CallLimits, Driver, ProbeLayer, Roots};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The most that is read of an HTTP answer's head.
const HEAD_MAX: usize = 16 * 1024;

/// What a probe passes through, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The name has an address.
    Dns,
    /// Something takes the connection.
    Tcp,
    /// It proves that it is the provider.
    Tls,
    /// It speaks HTTP and does not fail at once.
    Http,
    /// It takes our signature, and answers a question well.
    Signed,
}

impl Layer {
    /// Every layer, the lowest first.
    pub const ALL: [Layer; 5] = [Layer::Dns, Layer::Tcp, Layer::Tls, Layer::Http, Layer::Signed];

    /// The name in the API, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Dns => "dns",
            Layer::Tcp => "tcp",
            Layer::Tls => "tls",
            Layer::Http => "http",
            Layer::Signed => "signed",
        }
    }
}

/// Where a layer broke, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first layer that broke.
    pub layer: Layer,
    /// Short, stable, lower case; the provider's own code in the last layer.
    pub code: String,
    /// For a person; without secrets.
    pub detail: String,
}

/// The certificate of the chain that ends first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whom it names.
    pub subject: String,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Ending {
    /// Whole days that are left; negative when it has ended.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after.as_secs() - now.as_secs()).div_euclid(86_400)
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The channel.
    pub channel: ChannelId,
    /// When it began.
    pub at: Timestamp,
    /// The first layer that broke; `None` when all hold.
    pub broken: Option<Broken>,
    /// How long each layer took, as far as the probe came.
    pub times: Vec<(Layer, Duration)>,
    /// Whom it was connected to.
    pub address: Option<SocketAddr>,
    /// The certificate that ends first, where there is TLS.
    pub certificate: Option<Ending>,
    /// The HTTP status of the signed question, where it had one.
    pub status: Option<u16>,
    /// The provider's clock minus ours, in seconds.
    pub clock_skew_s: Option<i64>,
    /// The probe itself could not be made, which says nothing about the provider: all of its
    /// calls at once are in use.
    pub crowded: bool,
}

impl Probed {
    /// Whether it speaks against the channel.
    pub fn is_bad(&self) -> bool {
        self.broken.is_some()
    }

    /// All layers together.
    pub fn took(&self) -> Duration {
        self.times.iter().map(|(_, took)| *took).sum()
    }
}

/// A channel's address and what may be spent on looking at it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The channel.
    pub channel: ChannelId,
    /// The provider's address.
    pub base_url: String,
    /// Whose certificates are believed, and for how long each layer may take.
    pub limits: CallLimits,
    /// The question that changes nothing.
    pub question: Operation,
}

/// A layer that broke, before it is known where.
type Failure = (&'static str, String);

fn failed(code: &'static str, detail: impl Into<String>) -> Failure {
    (code, detail.into())
}

struct Probing {
    probed: Probed,
}

impl Probing {
    async fn step<T>(
        &mut self,
        layer: Layer,
        within: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Option<T> {
        let began = Instant::now();
        let ended = tokio::time::timeout(within, work).await;
        self.probed.times.push((layer, began.elapsed()));
        let late = || failed("timeout", format!("no answer within {} ms", within.as_millis()));
        match ended.unwrap_or_else(|_| Err(late())) {
            Ok(value) => Some(value),
            Err((code, detail)) => {
                self.probed.broken = Some(Broken { layer, code: code.to_owned(), detail });
                None
            }
        }
    }
}

/// Looks at a channel's provider, layer by layer; `now` is when.
pub async fn probe(driver: &Driver, target: &Target, now: Timestamp) -> Probed {
    let mut probing = Probing {
        probed: Probed {
            channel: target.channel.clone(),
            at: now,
            broken: None,
            times: Vec::new(),
            address: None,
            certificate: None,
            status: None,
            clock_skew_s: None,
            crowded: false,
        },
    };
    if reach(&mut probing, target).await.is_some() {
        ask(&mut probing, driver, target).await;
    }
    probing.probed
}

/// The layers up to HTTP, on a connection of their own.
async fn reach(probing: &mut Probing, target: &Target) -> Option<()> {
    let wait = target.limits.connect_timeout;
    let (host, port, tls) = address(target)
        .map_err(|detail| {
            let code = "address".to_owned();
            probing.probed.broken = Some(Broken { layer: Layer::Dns, code, detail });
        })
        .ok()?;
    let found = probing.step(Layer::Dns, wait, look_up(&host, port)).await?;
    let stream = probing.step(Layer::Tcp, wait, connect(&found)).await?;
    probing.probed.address = stream.peer_addr().ok();
    let path = reqwest::Url::parse(&target.base_url).ok()?.path().to_owned();
    if !tls {
        return probing.step(Layer::Http, target.limits.timeout, head(stream, &host, &path)).await;
    }
    let seen = Arc::new(Seen::default());
    let shaken = shake(stream, &host, &target.limits.roots, Arc::clone(&seen));
    let shaken = probing.step(Layer::Tls, wait, shaken).await;
    probing.probed.certificate = seen.ends_first();
    probing.step(Layer::Http, target.limits.timeout, head(shaken?, &host, &path)).await
}

fn address(target: &Target) -> Result<(String, u16, bool), String> {
    let url = reqwest::Url::parse(&target.base_url).map_err(|_| "the address cannot be read")?;
    let host = url.host_str().ok_or("the address names no host")?;
    let port = url.port_or_known_default().ok_or("the address has no port")?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port, url.scheme() == "https"))
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.map_err(|_| failed("dns", format!("{host} has no address")))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() { Err(failed("dns", format!("{host} has no address"))) } else { Ok(found) }
}

async fn connect(found: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut why = None;
    for address in found {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => why = Some(error),
        }
    }
    let why = why.map_or("refused".to_owned(), |error| error.kind().to_string());
    Err(failed("connect", format!("no connection: {why}")))
}

async fn shake(
    stream: TcpStream,
    host: &str,
    roots: &Roots,
    seen: Arc<Seen>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
    let config = client(roots, seen).map_err(|why| failed("roots", why))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| failed("name", format!("{host} cannot be the name in a certificate")))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connecting.await.map_err(|error| {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        failed("tls", inner.map_or_else(|| error.kind().to_string(), ToString::to_string))
    })
}

fn client(roots: &Roots, seen: Arc<Seen>) -> Result<ClientConfig, String> {
    let crypto = Arc::new(aws_lc_rs::default_provider());
    let inner = verifier(roots, &crypto).map_err(|error| error.to_string())?;
    let verifier = Arc::new(Watching { inner, seen });
    let builder = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The verifier that the driver's calls use.
fn verifier(
    roots: &Roots,
    crypto: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let pem = match roots {
        Roots::System => {
            let system = rustls_platform_verifier::Verifier::new(Arc::clone(crypto))?;
            return Ok(Arc::new(system));
        }
        Roots::Only(pem) => pem.as_slice(),
        Roots::None => &[],
    };
    let mut store = RootCertStore::empty();
    let read = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    store.add_parsable_certificates(read);
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(crypto));
    let built = built.build().map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(built)
}

/// The chain that was shown, kept also when it is refused.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Ending>>);

impl Seen {
    fn ends_first(&self) -> Option<Ending> {
        let chain = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chain.iter().min_by_key(|c| c.not_after).cloned()
    }
}

/// Verifies as the inner one does, and looks at what was shown.
#[derive(Debug)]
struct Watching {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).filter_map(ending);
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn ending(der: &CertificateDer<'_>) -> Option<Ending> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Ending {
        subject: certificate.subject().to_string().chars().take(200).collect(),
        not_after: Timestamp::from_secs(certificate.validity().not_after.timestamp()),
    })
}

/// Sends the shortest request there is, and reads the first line of the answer.
async fn head<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    host: &str,
    path: &str,
) -> Result<(), Failure> {
    let cut = |_| failed("reset", "the connection ended before an answer began");
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let agent = concat!("evergate/", env!("CARGO_PKG_VERSION"));
    let request = format!(
        "HEAD {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(cut)?;
    stream.flush().await.map_err(cut)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1_024];
    while !answer.contains(&b'\n') && answer.len() < HEAD_MAX {
        match stream.read(&mut buffer).await.map_err(cut)? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    if answer.is_empty() {
        return Err(failed("reset", "the connection ended before an answer began"));
    }
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Any status will do: most providers have nothing at this address without a question.
    if line.starts_with(b"HTTP/1.") {
        Ok(())
    } else {
        Err(failed("malformed", "what came back is not HTTP"))
    }
}

/// The signed question, by the driver that carries the calls.
async fn ask(probing: &mut Probing, driver: &Driver, target: &Target) {
    let asked = driver.probe(&target.channel, &target.question).await;
    let probed = &mut probing.probed;
    probed.times.push((Layer::Signed, asked.took));
    (probed.status, probed.clock_skew_s) = (asked.status, asked.clock_skew_s);
    let fault = asked.fault;
    let layer = match asked.reached {
        ProbeLayer::Accepted => return,
        ProbeLayer::Local => {
            probed.crowded = true;
            return;
        }
        ProbeLayer::Dns => Layer::Dns,
        ProbeLayer::Connect => Layer::Tcp,
        ProbeLayer::Tls => Layer::Tls,
        ProbeLayer::Http => Layer::Http,
        ProbeLayer::Answered if asked.status.is_some_and(|status| status >= 500) => Layer::Http,
        ProbeLayer::Answered => Layer::Signed,
    };
    let (code, detail) = fault.map_or_else(
        || ("refused".to_owned(), "the provider refused the question".to_owned()),
        |fault| (fault.code, fault.detail),
    );
    probed.broken = Some(Broken { layer, code, detail });
}

/// What a person should do about a layer that broke, in English and in Chinese.
pub fn advice(layer: Layer) -> [&'static str; 2] {
    match layer {
        Layer::Dns => [
            "the name has no address: check base_url and DNS",
            "域名无法解析：请检查 base_url 和 DNS",
        ],
        Layer::Tcp => {
            ["nothing listens there, or a firewall is between", "对方未监听，或被防火墙拦截"]
        }
        Layer::Tls => [
            "check base_url, the system's TLS certificates, or set ca_file",
            "请检查 base_url、系统 TLS 证书，或设置 ca_file",
        ],
        Layer::Http => [
            "connected, but no whole and good answer: the provider is in trouble, or base_url or \
             a proxy between is wrong",
            "已连接但没有完整正确的应答：服务商故障，或 base_url、中间代理有误",
        ],
        Layer::Signed => [
            "the provider refused the credentials or the answer does not prove itself: compare \
             app id, keys and certificates with the provider's console",
            "服务商拒绝了凭据，或应答无法验签：请与服务商后台核对应用号、密钥和证书",
        ],
    }
}
