//! A sandbox for trials by hand: `cargo run -p sandbox --example serve -- 127.0.0.1:8800`.
//!
//! Prints one line of JSON with the base URL and everything that a merchant has to be configured
//! with, the shape that the scripts in `tests/sdk/` read, and serves until it is interrupted.

use sandbox::{Options, Sandbox};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::demo(7);
    if let Some(bind) = std::env::args().nth(1) {
        options.bind = bind.parse()?;
    }
    let sandbox = Sandbox::start(options).await?;
    let material: Vec<_> = sandbox.accounts().iter().map(|one| one.merchant_material()).collect();
    let config = json!({
        "base_url": sandbox.base_url(),
        "alipay": material[0],
        "wechatpay": material[1],
        "stripe": material[2],
    });
    println!("{config}");
    std::future::pending::<()>().await;
    Ok(())
}
