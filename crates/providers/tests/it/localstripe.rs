//! Stripe's codec against somebody else's Stripe: the PyPI package `localstripe`, run here.
//!
//! It knows neither idempotency keys nor a refund's limit nor the time filter of the list of
//! intents, so those are tested elsewhere.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domain::{
    Answer, Class, CloseState, CloseWhy, Created, Decline, Method, Operation, Order, OrderState,
    Outcome, Presentation, RefundState,
};
use providers::Driver;

use crate::peers::stripe_settings;
use crate::world::{UNTIL, channel, direct, driver, made, order, refund, settings};

const VERSION: &str = "1.15.10";

/// The server; it is ended by its own process id when the test is over.
struct LocalStripe {
    child: Child,
    url: String,
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "{shown}: {error}. This test needs Python: \
             apt-get install -y python3 python3-venv python3-pip"
        )
    });
    assert!(
        output.status.success(),
        "{shown} failed. This test needs Python with venv and pip \
         (apt-get install -y python3 python3-venv python3-pip) and a package index.\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A virtual environment with the pinned package, made once.
fn installed() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("localstripe-{VERSION}"));
    let server = folder.join("bin/localstripe");
    if !server.exists() {
        // A half-made environment of an interrupted run is made anew.
        let _ = std::fs::remove_dir_all(&folder);
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let package = format!("localstripe=={VERSION}");
        let quiet = ["install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(folder.join("bin/pip")).args(quiet).arg(package));
    }
    server
}

async fn start() -> LocalStripe {
    let server = installed();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("an address").port()
    };
    let child = Command::new(server)
        .args(["--from-scratch", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("localstripe was just installed");
    let server = LocalStripe { child, url: format!("http://127.0.0.1:{port}") };
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "localstripe does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server
}

/// A saved card at a customer, as `customer/payment method`.
async fn saved_card(url: &str, number: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let post = |path: String, form: String| {
        let request = http.post(format!("{url}{path}")).bearer_auth("sk_test_evergate");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        async move {
            let body = request.body(form).send().await.expect("an answer").bytes().await;
            let value: serde_json::Value =
                serde_json::from_slice(&body.expect("a body")).expect("JSON");
            value["id"].as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
        }
    };
    let customer = post("/v1/customers".into(), "description=a".into()).await;
    let card = format!(
        "type=card&card[number]={number}&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123"
    );
    let method = post("/v1/payment_methods".into(), card).await;
    let attach = format!("/v1/payment_methods/{method}/attach");
    post(attach, format!("customer={customer}")).await;
    format!("{customer}/{method}")
}

async fn charge(driver: &Driver, token: String) -> (Order, Answer) {
    // It refuses fields that it does not know, a description among them.
    let order = Order { token: Some(token), subject: String::new(), ..direct() };
    let answer = driver.call(&channel(), &Operation::Create(order.clone()), UNTIL).await;
    (order, answer)
}

#[tokio::test]
async fn payments_and_refunds_against_localstripe() {
    let server = start().await;
    let mut value = stripe_settings();
    value["base_url"] = server.url.clone().into();
    let driver = driver(&settings(value));
    let call = async |op: Operation| driver.call(&channel(), &op, UNTIL).await;

    let (order, answer) = charge(&driver, saved_card(&server.url, "4242424242424242").await).await;
    let Answer::Create(Outcome::Ok(Created::Paid(receipt))) = answer else {
        panic!("charged: {answer:?}")
    };
    assert_eq!(receipt.captured, order.money);
    let paid = made(&order, Some(&receipt.reference));
    let answer = call(Operation::Query(paid.clone())).await;
    assert!(
        matches!(&answer, Answer::Query(Outcome::Ok(OrderState::Paid(r))) if r.reference == receipt.reference),
        "{answer:?}"
    );
    let answer = call(Operation::Close(paid.clone(), CloseWhy::Shown)).await;
    assert!(
        matches!(answer, Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))),
        "{answer:?}"
    );
    let part = refund(paid);
    let answer = call(Operation::QueryRefund(part.clone())).await;
    assert_eq!(answer, Answer::QueryRefund(Outcome::Ok(RefundState::NotFound)));
    let answer = call(Operation::Refund(part.clone())).await;
    assert_eq!(answer, Answer::Refund(Outcome::Ok(RefundState::Succeeded)));
    let answer = call(Operation::QueryRefund(part)).await;
    assert_eq!(answer, Answer::QueryRefund(Outcome::Ok(RefundState::Succeeded)));

    declined(&driver, &server.url).await;
    presented_and_cancelled(&driver).await;
}

/// This card can be saved, and refuses every charge.
async fn declined(driver: &Driver, url: &str) {
    let (_, answer) = charge(driver, saved_card(url, "4000000000000341").await).await;
    let Answer::Create(Outcome::Declined(Decline { code, soft: false })) = &answer else {
        panic!("declined: {answer:?}")
    };
    assert!(code == "card_declined" || code == "generic_decline", "{code}");
}

async fn presented_and_cancelled(driver: &Driver) {
    let order = Order { subject: String::new(), ..order(Method::Card, domain::Device::Desktop) };
    let answer = driver.call(&channel(), &Operation::Create(order.clone()), UNTIL).await;
    let Answer::Create(Outcome::Ok(Created::Presented {
        presentation: Presentation::ClientSecret { reference, .. },
        ..
    })) = answer
    else {
        panic!("a client secret: {answer:?}")
    };
    let open = made(&order, Some(&reference));
    let answer = driver.call(&channel(), &Operation::Query(open.clone()), UNTIL).await;
    assert_eq!(answer, Answer::Query(Outcome::Ok(OrderState::Payable)));
    let close = Operation::Close(open.clone(), CloseWhy::Shown);
    for _ in 0..2 {
        let answer = driver.call(&channel(), &close, UNTIL).await;
        assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::Closed)), "also again");
    }
    let answer = driver.call(&channel(), &Operation::Query(open), UNTIL).await;
    assert_eq!(answer, Answer::Query(Outcome::Ok(OrderState::Closed)));
    let unknown = made(&order, Some("pi_none"));
    let answer = driver.call(&channel(), &Operation::Query(unknown), UNTIL).await;
    // It says 404 without a code, which a wrong address would say as well.
    assert_eq!(answer.class(), Class::Unknown, "{answer:?}");
}
