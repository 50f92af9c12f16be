//! A server for tools of other people, such as schemathesis.

use std::time::Duration;

use crate::world::world_with;

/// Run it with `EVERGATE_PORT=8080 cargo test -p server --test it serve -- --ignored --nocapture`;
/// it prints the keys and stays for `EVERGATE_SECONDS`, an hour when absent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for use by hand"]
async fn serve_for_tools() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let port = number("EVERGATE_PORT").map_or(8080, |p| u16::try_from(p).unwrap());
    let world = world_with(|o| o.bind.set_port(port)).await;
    println!("{} shop={} li={}", world.url("/docs"), world.shop, world.li);
    let seconds = number("EVERGATE_SECONDS").unwrap_or(3600);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    world.running.shutdown().await;
}
