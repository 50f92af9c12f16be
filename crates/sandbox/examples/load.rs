//! How many orders a second the sandbox itself takes, so that a benchmark of something in front
//! of it knows its ceiling: `cargo run --release -p sandbox --example load -- 20000 64`.
//!
//! Requests are signed beforehand; what is measured is the sandbox and this client, which share
//! the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sandbox::{MerchantMaterial, Options, Sandbox};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let count = numbers.next().transpose()?.unwrap_or(20_000);
    let clients = numbers.next().transpose()?.unwrap_or(64);
    let sandbox = Sandbox::start(Options::demo(7)).await?;
    let base = sandbox.base_url();
    for account in sandbox.accounts() {
        let requests: Vec<Order> = match account.merchant_material() {
            MerchantMaterial::Stripe { secret_key, .. } => {
                (0..count).map(|i| stripe(&base, &secret_key, i)).collect()
            }
            MerchantMaterial::Alipay { app_id, app_private_key_pem, .. } => {
                let key = key(&app_private_key_pem)?;
                (0..count).map(|i| alipay(&base, &app_id, &key, i)).collect::<Result<_, _>>()?
            }
            MerchantMaterial::WechatPay { .. }
            | MerchantMaterial::UnionPay { .. }
            | MerchantMaterial::Paypal { .. } => continue,
        };
        let seconds = run(requests, clients).await?;
        println!("{}: {:.0} orders/s", account.name, count as f64 / seconds);
    }
    println!("in the books: {}", sandbox.books().orders.len());
    sandbox.shutdown().await;
    Ok(())
}

struct Order {
    url: String,
    secret: Option<String>,
    body: String,
}

fn stripe(base: &str, secret: &str, number: usize) -> Order {
    let body = format!(
        "amount=2000&currency=usd&payment_method_types[]=card&payment_method=pm_card_visa\
         &confirm=true&metadata[order_id]=o{number}"
    );
    let url = format!("{base}/v1/payment_intents");
    Order { url, secret: Some(secret.to_owned()), body }
}

fn key(pem: &str) -> Result<RsaKeyPair, Failure> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    RsaKeyPair::from_pkcs8(&BASE64.decode(body)?).map_err(|why| why.to_string().into())
}

fn alipay(base: &str, app_id: &str, key: &RsaKeyPair, number: usize) -> Result<Order, Failure> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let stamp = jiff::Timestamp::from_second(since.as_secs().try_into()?)?;
    let beijing = jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(8));
    let stamp = stamp.to_zoned_datetime(beijing).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let biz =
        format!("{{\"out_trade_no\":\"o{number}\",\"total_amount\":\"1.00\",\"subject\":\"tea\"}}");
    let mut pairs = vec![
        ("app_id", app_id.to_owned()),
        ("biz_content", biz),
        ("charset", "utf-8".to_owned()),
        ("method", "alipay.trade.precreate".to_owned()),
        ("sign_type", "RSA2".to_owned()),
        ("timestamp", stamp),
        ("version", "1.0".to_owned()),
    ];
    let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut signature = vec![0; key.public_modulus_len()];
    let text = text.join("&");
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|why| why.to_string())?;
    pairs.push(("sign", BASE64.encode(signature)));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ok(Order { url: format!("{base}/gateway.do"), secret: None, body })
}

async fn run(orders: Vec<Order>, clients: usize) -> Result<f64, Failure> {
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let (orders, next) = (Arc::new(orders), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let workers: Vec<_> = (0..clients)
        .map(|_| {
            let (http, orders, next) = (http.clone(), Arc::clone(&orders), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(order) = orders.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut request = http
                        .post(&order.url)
                        .header("content-type", "application/x-www-form-urlencoded")
                        .body(order.body.clone());
                    if let Some(secret) = &order.secret {
                        request = request.bearer_auth(secret);
                    }
                    request.send().await?.error_for_status()?.bytes().await?;
                }
                Ok::<(), reqwest::Error>(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(start.elapsed().as_secs_f64())
}
