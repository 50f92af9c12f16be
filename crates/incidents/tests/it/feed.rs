//! Fetching a status page, from the sandbox's and from servers that misbehave.

use incidents::feed::{FeedError, Fetched, Fetcher};
use incidents::statuspage::{BYTES_MAX, BadPage, Condition};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::peer::{Does, plain};

fn fetcher(url: &str) -> Fetcher {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Fetcher::new(url).unwrap()
}

async fn set(base: &str, page: serde_json::Value) {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let told = http.post(format!("{base}/sandbox/status")).body(page.to_string());
    assert_eq!(told.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_page_is_fetched_again_only_when_it_has_changed() {
    let sandbox = sandbox::Sandbox::start(sandbox::Options::demo(3)).await.unwrap();
    let base = sandbox.base_url();
    let mut fetcher = fetcher(&format!("{base}/sandbox/status/summary.json"));
    let Fetched::Page(page) = fetcher.fetch().await.unwrap() else { panic!("the first is whole") };
    assert!(page.components.iter().all(|c| c.condition == Condition::Operational));
    assert!(matches!(fetcher.fetch().await, Ok(Fetched::Same)));
    set(&base, json!({ "components": { "alipay-main": "partial_outage" } })).await;
    let Fetched::Page(page) = fetcher.fetch().await.unwrap() else { panic!("it has changed") };
    let part = page.components.iter().find(|c| c.name == "alipay-main").unwrap();
    assert_eq!(part.condition, Condition::PartialOutage);
    // A broken page is not taken for the one before, however often it is fetched.
    set(&base, json!({ "raw": "<html>" })).await;
    for _ in 0..2 {
        let broken = fetcher.fetch().await.unwrap_err();
        assert!(matches!(broken, FeedError::Page(BadPage::NotJson(_))), "{broken}");
    }
    sandbox.shutdown().await;
    assert!(matches!(fetcher.fetch().await, Err(FeedError::Unreachable(_))));
}

#[tokio::test]
async fn another_status_is_no_page() {
    let url = plain(Does::Says("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"));
    assert!(matches!(fetcher(&url.await).fetch().await, Err(FeedError::Status(503))));
    // Nobody asked conditionally, so "not modified" is no answer.
    let url = plain(Does::Says("HTTP/1.1 304 Not Modified\r\n\r\n"));
    assert!(matches!(fetcher(&url.await).fetch().await, Err(FeedError::Status(304))));
}

#[tokio::test]
async fn an_endless_page_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/summary.json", listener.local_addr().unwrap());
    let sent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1_024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut sent = 0;
        while stream.write_all(&[b' '; 8_192]).await.is_ok() && sent < 100 * BYTES_MAX {
            sent += 8_192;
        }
        sent
    });
    let given_up = fetcher(&url).fetch().await.unwrap_err();
    assert!(matches!(given_up, FeedError::Page(BadPage::TooLarge)), "{given_up}");
    assert!(sent.await.unwrap() < 20 * BYTES_MAX);
}
