//! Listeners that break at one layer, and a channel that points at them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use domain::{ChannelId, Timestamp};
use incidents::layers::Target;
use providers::{ChannelSettings, Driver};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::EPOCH + since
}

/// A Stripe channel at this address, which believes this certificate only.
pub(crate) fn channel(base_url: &str, key: &str, ca_file: Option<&str>) -> (Driver, Target) {
    let settings: ChannelSettings = serde_json::from_value(serde_json::json!({
        "provider": "stripe", "secret_key": key, "base_url": base_url, "ca_file": ca_file,
        "webhook_secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "timeout_ms": 400, "connect_timeout_ms": 300,
    }))
    .unwrap();
    target(&settings)
}

pub(crate) fn target(settings: &ChannelSettings) -> (Driver, Target) {
    // Fails only when another test was faster.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let channel = ChannelId::new("under-test").unwrap();
    let (codec, limits) = settings.build(&channel, "http://127.0.0.1:1/n").unwrap();
    let driver = Driver::new(Arc::new(now), Arc::new(|| "0123456789abcdef".repeat(2)));
    driver.set_channel(channel.clone(), codec, &limits).unwrap();
    let question = settings.probe_operation();
    (driver, Target { channel, base_url: settings.base_url().to_owned(), limits, question })
}

pub(crate) const KEY: &str = "sk_test_0123456789abcdef0123456789abcdef";

/// What a listener does with a connection.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// Takes it and says nothing.
    Nothing,
    /// Answers every request with this.
    Says(&'static str),
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, does: Does) {
    let mut buffer = [0; 4_096];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        match does {
            Does::Nothing => {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Does::Says(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Listens in the clear.
pub(crate) async fn plain(does: Does) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, does));
        }
    });
    url
}

/// Listens with TLS; the certificate is valid on these days from today. Gives the address and
/// the file of the certificate.
pub(crate) async fn encrypted(does: Does, days: (i64, i64)) -> (String, tempfile::NamedTempFile) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let day = |days: i64| {
        let at = jiff::Timestamp::from_second(now().as_secs() + days * 86_400).unwrap();
        let date = at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let small = |part: i8| u8::try_from(part).unwrap();
        rcgen::date_time_ymd(i32::from(date.year()), small(date.month()), small(date.day()))
    };
    (params.not_before, params.not_after) = (day(days.0), day(days.1));
    let certificate = params.self_signed(&key).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    let der: CertificateDer<'static> = certificate.der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    talk(stream, does).await;
                }
            });
        }
    });
    (url, file)
}
