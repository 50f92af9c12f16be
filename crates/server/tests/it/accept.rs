//! Slow, many and cut-off connections, and a shutdown that lets requests end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{World, order, world_with};

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.running.addr()).await.unwrap()
}

/// Everything until the server closes.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all));
    // A reset is a close too.
    let _ = read.await.expect("the server closes the connection");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn half_sent_heads_are_not_kept_for_ever() {
    let world = world_with(|o| o.header_timeout = Duration::from_millis(800)).await;
    for start in ["", "GET /healthz HTT", "PRI * HTTP/2.0", "GET /healthz HTTP/1.1\r\nHost: a\r\n"]
    {
        let mut stream = connect(&world).await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let told = until_closed(&mut stream).await;
        assert!(!told.contains("200 OK"), "{start}: {told}");
    }
    // A whole request on the same server is well.
    assert_eq!(world.get("", "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_kept_connection_that_says_nothing_is_closed() {
    let world = world_with(|o| {
        o.header_timeout = Duration::from_millis(800);
        o.idle_timeout = Duration::from_millis(1_600);
    })
    .await;
    let mut stream = connect(&world).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut stream).await.contains("200 OK"));
}

#[tokio::test]
async fn bodies_that_stop_or_grow_are_cut() {
    let world = world_with(|o| {
        o.body_timeout = Duration::from_millis(800);
        o.max_body_bytes = 100;
    })
    .await;
    let head = format!(
        "POST /v1/payments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n",
        world.shop
    );
    let mut stream = connect(&world).await;
    stream.write_all(format!("{head}Content-Length: 50\r\n\r\n{{").as_bytes()).await.unwrap();
    let told = until_closed(&mut stream).await;
    assert!(told.contains("408") && told.contains("/problems/body-timeout"), "{told}");

    let mut stream = connect(&world).await;
    let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n65\r\n{}\r\n", "x".repeat(0x65));
    stream.write_all(chunk.as_bytes()).await.unwrap();
    let told = until_closed(&mut stream).await;
    assert!(told.contains("413") && told.contains("/problems/body-too-large"), "{told}");
}

#[tokio::test]
async fn connections_above_the_cap_are_closed_at_once() {
    let world = world_with(|o| o.max_connections = 2).await;
    let (_one, mut two) = (connect(&world).await, connect(&world).await);
    two.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    two.read_exact(&mut byte).await.unwrap();
    let mut three = connect(&world).await;
    assert_eq!(until_closed(&mut three).await, "");
    drop(two);
    // The place is free again; the server may need a moment to see it.
    while world.http.get(world.url("/healthz")).send().await.is_err() {}
    assert!(world.metric(r#"evergate_connections_refused_total{reason="too_many"}"#).await >= 1.0);
}

#[tokio::test]
async fn one_address_has_its_share() {
    let world = world_with(|o| o.max_connections_per_ip = 1).await;
    let mut one = connect(&world).await;
    one.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    one.read_exact(&mut byte).await.unwrap();
    let mut two = connect(&world).await;
    assert_eq!(until_closed(&mut two).await, "");
}

#[tokio::test]
async fn a_shutdown_lets_requests_end_and_takes_no_more() {
    let world = world_with(|_| {}).await;
    world.script.gate.acquire().await.unwrap().forget();
    let (url, key, http) = (world.url("/v1/payments"), world.shop.clone(), world.http.clone());
    let held = tokio::spawn(async move {
        http.post(url).bearer_auth(key).json(&order("SO-1")).send().await.unwrap().status()
    });
    while world.script.calls.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let addr = world.running.addr();
    let down = tokio::spawn(world.running.shutdown());
    // No new connection is taken: the listener is gone.
    while TcpStream::connect(addr).await.is_ok() {}
    assert!(!down.is_finished());
    world.script.gate.add_permits(1);
    assert_eq!(held.await.unwrap(), 201);
    down.await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_nothing() {
    let world = world_with(|_| {}).await;
    world.script.gate.acquire().await.unwrap().forget();
    let body = order("SO-1").to_string();
    let mut stream = connect(&world).await;
    let request = format!(
        "POST /v1/payments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        world.shop,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    while world.script.calls.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    world.script.gate.add_permits(1);
    let mut status = serde_json::Value::Null;
    while status != "requires_customer" {
        let listed = world.get(&world.shop, "/v1/payments").await.json();
        status = listed["payments"][0]["status"].clone();
    }
}
