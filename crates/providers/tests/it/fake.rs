//! A tiny HTTP server that answers whatever a test says, byte for byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A field of the query string or of a form body.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let find = |text: &[u8]| {
            form_urlencoded::parse(text).find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
        };
        find(query.as_bytes()).or_else(|| find(&self.body))
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Back {
    Http(u16, Vec<(String, String)>, Vec<u8>),
    Raw(Vec<u8>),
    /// Never answer.
    Hang,
    /// End the connection without a word.
    Close,
}

impl Back {
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Back {
        Back::Http(status, vec![("content-type".into(), "application/json".into())], body.into())
    }
}

/// The server; it ends with the test's runtime.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Got>>>,
}

impl Fake {
    pub(crate) async fn start(answer: impl Fn(&Got) -> Back + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&log));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                tokio::spawn(async move {
                    let _ = serve(stream, answer.as_ref(), &seen).await;
                });
            }
        });
        Fake { address, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Got> {
        self.log.lock().expect("no test panics while it holds this").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&Got) -> Back + Send + Sync),
    log: &Mutex<Vec<Got>>,
) -> std::io::Result<()> {
    let got = read(&mut stream).await?;
    let back = answer(&got);
    log.lock().expect("no test panics while it holds this").push(got);
    match back {
        Back::Http(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Answer\r\nconnection: close\r\n");
            if status != 204 {
                head += &format!("content-length: {}\r\n", body.len());
            }
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(b"\r\n").await?;
            stream.write_all(&body).await?;
        }
        Back::Raw(bytes) => stream.write_all(&bytes).await?,
        Back::Hang => tokio::time::sleep(std::time::Duration::from_secs(60)).await,
        Back::Close => {}
    }
    stream.shutdown().await
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Got> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap_or(0));
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default().to_owned();
    Ok(Got { method, target, headers, body })
}
