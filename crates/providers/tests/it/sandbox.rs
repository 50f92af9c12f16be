//! The codecs against the sandbox, which was written from the protocols by other hands: whole
//! lives of orders, with notifications, and the faults that money fears most.

mod paypal;
mod switches;
mod tables;
mod unionpay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};

use ::sandbox::{
    Account, Fault, FaultRule, MerchantMaterial, OneOrMany, Operation as Call, Options, PayOutcome,
    PayTarget, ProviderKind, Sandbox,
    faults::{Effect, Forgery},
};
use domain::{
    Answer, ChannelId, Class, CloseState, CloseWhy, Created, Currency, Decline, Device, Flow,
    Method, Notice, NoticeKind, Operation, Order, OrderRef, OrderState, Outcome, PaymentId,
    Presentation, ProviderOrderNo, Receipt, RefundOrder, RefundState, Timestamp,
};
use providers::{
    ChannelSettings, Delivery, Driver, Forged, LineKind, Nonces, ProbeLayer, StatementError, Unread,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fake::{Back, Fake};
use crate::world::{cny, order};

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Timestamp::EPOCH + since
}

/// A sandbox, a driver with a channel to each of its providers, and a place for notifications.
struct Stage {
    sandbox: Sandbox,
    driver: Driver,
    inbox: Fake,
    settings: Vec<(ChannelId, ChannelSettings)>,
    orders: AtomicU16,
}

fn channel(account: &Account) -> ChannelId {
    ChannelId::new(&account.name).expect("a channel's name")
}

fn settings(account: &Account, base: &str) -> ChannelSettings {
    let mut value = match account.merchant_material() {
        MerchantMaterial::Alipay {
            app_id,
            seller_id,
            app_private_key_pem,
            alipay_public_key_pem,
        } => {
            json!({
                "provider": "alipay", "app_id": app_id, "seller_id": seller_id,
                "private_key": app_private_key_pem, "alipay_public_key": alipay_public_key_pem,
                "base_url": format!("{base}/gateway.do"),
            })
        }
        MerchantMaterial::WechatPay {
            mch_id,
            app_id,
            merchant_private_key_pem,
            merchant_certificate_pem,
            api_v3_key,
            platform_certificate_pem,
            public_key_id,
            public_key_pem,
            ..
        } => json!({
            "provider": "wechatpay", "app_id": app_id, "mch_id": mch_id, "base_url": base,
            "merchant_private_key": merchant_private_key_pem,
            "merchant_certificate": merchant_certificate_pem, "api_v3_key": api_v3_key,
            "platform_certificates": platform_certificate_pem,
            "wechatpay_public_key": public_key_pem, "wechatpay_public_key_id": public_key_id,
        }),
        MerchantMaterial::UnionPay {
            mer_id,
            merchant_private_key_pem,
            merchant_certificate_pem,
            middle_certificate_pem,
            root_certificate_pem,
        } => json!({
            "provider": "unionpay", "environment": "test", "mer_id": mer_id,
            "private_key": merchant_private_key_pem, "certificate": merchant_certificate_pem,
            "middle_certificate": middle_certificate_pem,
            "root_certificate": root_certificate_pem, "base_url": format!("{base}/gateway/api"),
            "file_url": format!("{base}/gateway/api/filedownload"),
        }),
        MerchantMaterial::Stripe { secret_key, webhook_secret } => json!({
            "provider": "stripe", "secret_key": secret_key, "webhook_secret": webhook_secret,
            "base_url": base,
        }),
        MerchantMaterial::Paypal { client_id, client_secret, webhook_id } => json!({
            "provider": "paypal", "client_id": client_id, "client_secret": client_secret,
            "webhook_id": webhook_id, "webhook_certificate_hosts": ["127.0.0.1"],
            "currencies": ["CNY", "USD", "JPY"], "base_url": base,
        }),
    };
    value["timeout_ms"] = Value::from(1_500);
    crate::world::settings(value)
}

/// The sandbox's demo accounts. Their keys take seconds to make, so they are kept between runs
/// in the build's own folder; an unreadable file is made anew.
fn options() -> Options {
    let demo = |accounts| Options {
        bind: (std::net::Ipv4Addr::LOCALHOST, 0).into(),
        seed: 7,
        accounts,
        time_scale: 0.01,
        public_url: None,
    };
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox-accounts.json");
    let kept = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    // An older run may have known fewer providers.
    let whole = |accounts: &Vec<Account>| accounts.len() == ProviderKind::ALL.len();
    if let Some(accounts) = kept.filter(whole) {
        return demo(accounts);
    }
    let fresh = Options::demo(7);
    let mut kept = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    serde_json::to_writer(&mut kept, &fresh.accounts).expect("a write");
    let _ = kept.persist(file);
    fresh
}

impl Stage {
    async fn set() -> Stage {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let sandbox = Sandbox::start(options()).await.expect("a sandbox");
        let inbox = Fake::start(|_| Back::Http(200, vec![], "success".into())).await;
        let nonces: Nonces = Arc::new(|| Uuid::now_v7().simple().to_string());
        let driver = Driver::new(Arc::new(now), nonces);
        let mut all = Vec::new();
        for account in sandbox.accounts() {
            let (channel, settings) = (channel(account), settings(account, &sandbox.base_url()));
            let notify = ChannelSettings::default_notify_url(&inbox.url(), &channel);
            let (codec, limits) = settings.build(&channel, &notify).expect("good settings");
            driver.set_channel(channel.clone(), codec, &limits).expect("a client");
            sandbox.set_webhook(&account.name, &notify);
            all.push((channel, settings));
        }
        Stage { sandbox, driver, inbox, settings: all, orders: AtomicU16::new(0) }
    }

    fn order(&self, method: Method, device: Device) -> Order {
        let fresh = PaymentId::from_uuid(Uuid::now_v7());
        let ordinal = self.orders.fetch_add(1, Ordering::Relaxed) % 90 + 1;
        Order {
            number: ProviderOrderNo::of(fresh, ordinal),
            expires_at: now() + Duration::from_secs(900),
            sent_at: now(),
            ..order(method, device)
        }
    }

    async fn call(&self, channel: &str, op: Operation) -> Answer {
        let channel = ChannelId::new(channel).expect("a channel's name");
        self.driver.call(&channel, &op, now() + Duration::from_secs(30)).await
    }

    async fn create(&self, channel: &str, order: &Order) -> (Presentation, OrderRef) {
        let answer = self.call(channel, Operation::Create(order.clone())).await;
        let Answer::Create(Outcome::Ok(Created::Presented { presentation, reference })) = answer
        else {
            panic!("{channel}: something to show: {answer:?}")
        };
        (presentation, reference_of(order, reference))
    }

    async fn query(&self, channel: &str, order: &OrderRef) -> OrderState {
        match self.call(channel, Operation::Query(order.clone())).await {
            Answer::Query(Outcome::Ok(state)) => state,
            answer => panic!("{channel}: a state: {answer:?}"),
        }
    }

    async fn close(&self, channel: &str, order: &OrderRef, why: CloseWhy) -> Answer {
        self.call(channel, Operation::Close(order.clone(), why)).await
    }

    async fn pay(&self, shown: &Presentation) {
        let paid = self.sandbox.pay(&PayTarget::code(code(shown))).await.expect("a payment");
        assert!(paid.paid, "{paid:?}");
    }

    /// The first delivery to this channel that fits, as its codec reads it.
    async fn notice(&self, channel: &str, wanted: impl Fn(&Notice) -> bool) -> Notice {
        let began = Instant::now();
        loop {
            for delivery in self.deliveries(channel) {
                match self.read(channel, &delivery).await {
                    Ok(notice) if wanted(&notice) => return notice,
                    Ok(_) | Err(Forged::Irrelevant(_)) => {}
                    Err(why) => panic!("{channel}: {why}"),
                }
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{channel}: no such notification");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    fn deliveries(&self, channel: &str) -> Vec<Delivery> {
        let to = format!("/v1/notifications/{channel}");
        let got = self.inbox.requests().into_iter().filter(|got| got.path() == to);
        got.map(|got| Delivery { headers: got.headers, body: got.body }).collect()
    }

    async fn read(&self, channel: &str, delivery: &Delivery) -> Result<Notice, Forged> {
        let id = ChannelId::new(channel).expect("a channel's name");
        match self.driver.notice(&id, delivery).await {
            Ok(notice) => Ok(notice),
            Err(Unread::Refused(why)) => Err(why),
            Err(why) => panic!("{channel}: {why}"),
        }
    }
}

fn reference_of(order: &Order, reference: Option<String>) -> OrderRef {
    OrderRef {
        number: order.number.clone(),
        reference,
        method: order.method,
        flow: order.flow,
        money: order.money,
        sent_at: order.sent_at,
        wanted: true,
    }
}

fn code(shown: &Presentation) -> String {
    match shown {
        Presentation::QrCode { content } => content.clone(),
        Presentation::Redirect { url } => url.clone(),
        // The sandbox takes a form that stands in a link, as a browser would post it.
        Presentation::Form { url, fields } => {
            let form =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            format!("{url}?{form}")
        }
        Presentation::WalletScript { parameters } => {
            parameters["package"].trim_start_matches("prepay_id=").to_owned()
        }
        Presentation::ClientSecret { secret, .. } => secret.clone(),
        Presentation::BankTransfer(_) => panic!("the sandbox has no bank account to show"),
    }
}

fn closed(state: CloseState) -> Answer {
    Answer::Close(Outcome::Ok(state))
}

fn is_paid(state: &OrderState, order: &OrderRef) -> bool {
    matches!(state, OrderState::Paid(receipt) if receipt.captured == order.money)
}

/// Create, pay, hear of it, ask, try to close, give back in two parts.
async fn whole_life(stage: &Stage, channel: &str, order: Order) {
    let (shown, mut made) = stage.create(channel, &order).await;
    assert!(!is_paid(&stage.query(channel, &made).await, &made), "{channel}: nobody paid yet");
    stage.pay(&shown).await;
    let told = stage
        .notice(channel, |notice| {
            notice.number == order.number
                && matches!(&notice.kind, NoticeKind::Order(state) if is_paid(state, &made))
        })
        .await;
    assert_eq!(told.number, order.number);
    let OrderState::Paid(receipt) = stage.query(channel, &made).await else {
        panic!("{channel}: paid")
    };
    assert_eq!(receipt.captured, order.money);
    for why in [CloseWhy::Shown, CloseWhy::Orphan] {
        let answer = stage.close(channel, &made, why).await;
        assert!(is_already_paid(&answer, &receipt), "{channel} {why:?}: {answer:?}");
    }
    made.reference = Some(receipt.reference);
    refund_in_parts(stage, channel, made).await;
}

fn is_already_paid(answer: &Answer, receipt: &Receipt) -> bool {
    let Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(told)))) = answer else {
        return false;
    };
    (told.reference.as_str(), told.captured) == (receipt.reference.as_str(), receipt.captured)
}

async fn refund_in_parts(stage: &Stage, channel: &str, made: OrderRef) {
    let (payment, _) = ProviderOrderNo::parse(made.number.as_str()).expect("ours");
    let requested_at = now();
    let refund = |ordinal: u16, minor: i64| RefundOrder {
        order: made.clone(),
        number: ProviderOrderNo::of_refund(payment, ordinal),
        amount: cny(minor),
        reason: "damaged 破损".into(),
        requested_at,
    };
    let early = stage.call(channel, Operation::QueryRefund(refund(1, 500))).await;
    assert_eq!(early, Answer::QueryRefund(Outcome::Ok(RefundState::NotFound)), "{channel}");
    for (ordinal, minor) in [(1, 500), (2, 734)] {
        settle_refund(stage, channel, &refund(ordinal, minor)).await;
    }
    // The same number again is the same refund, and not one more.
    settle_refund(stage, channel, &refund(1, 500)).await;
    let over = stage.call(channel, Operation::Refund(refund(3, 1))).await;
    assert!(
        matches!(over, Answer::Refund(Outcome::Ok(RefundState::Failed(_)) | Outcome::Rejected(_))),
        "{channel}: more than was paid: {over:?}"
    );
    let number = made.number.as_str().to_owned();
    let books = stage.sandbox.books();
    let entry = books.find(&number).next().expect("an entry in the provider's books");
    assert_eq!((entry.captured_minor, entry.refunded_minor), (1234, 1234), "{channel}");
    let answer = stage.query(channel, &made).await;
    let returned = matches!(&answer, OrderState::PaidAndRefunded(_));
    assert!(is_paid(&answer, &made) || returned, "{channel}: paid stays paid: {answer:?}");
}

async fn settle_refund(stage: &Stage, channel: &str, refund: &RefundOrder) {
    let answer = stage.call(channel, Operation::Refund(refund.clone())).await;
    let accepted = Answer::Refund(Outcome::Ok(RefundState::Pending));
    let done = Answer::Refund(Outcome::Ok(RefundState::Succeeded));
    assert!(answer == accepted || answer == done, "{channel}: {answer:?}");
    let began = Instant::now();
    while stage.call(channel, Operation::QueryRefund(refund.clone())).await
        != Answer::QueryRefund(Outcome::Ok(RefundState::Succeeded))
    {
        assert!(began.elapsed() < Duration::from_secs(20), "{channel}: the refund does not end");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_live_and_are_given_back_at_alipay() {
    let stage = Stage::set().await;
    for device in [Device::Qr, Device::Desktop, Device::Mobile] {
        whole_life(&stage, "alipay-main", stage.order(Method::Alipay, device)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_live_and_are_given_back_at_wechat_pay() {
    let stage = Stage::set().await;
    for device in [Device::Qr, Device::Mobile, Device::InApp] {
        whole_life(&stage, "wechat-main", stage.order(Method::WechatPay, device)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_live_and_are_given_back_at_stripe() {
    let stage = Stage::set().await;
    for method in [Method::Card, Method::Alipay, Method::WechatPay] {
        whole_life(&stage, "stripe-main", stage.order(method, Device::Qr)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saved_cards_are_charged_and_declined_at_stripe() {
    let stage = Stage::set().await;
    let charge = async |token: &str| {
        let order = Order {
            flow: Flow::Direct,
            token: Some(token.into()),
            off_session: true,
            ..stage.order(Method::Card, Device::Qr)
        };
        let answer = stage.call("stripe-main", Operation::Create(order.clone())).await;
        // The same number again is the same charge.
        let again = stage.call("stripe-main", Operation::Create(order.clone())).await;
        assert_eq!(answer, again);
        (answer, reference_of(&order, None))
    };
    let (answer, made) = charge("pm_card_visa").await;
    assert!(matches!(answer, Answer::Create(Outcome::Ok(Created::Paid(_)))), "{answer:?}");
    let state = stage.query("stripe-main", &made).await;
    assert!(is_paid(&state, &made), "found by its number alone: {state:?}");
    refund_in_parts(&stage, "stripe-main", made).await;
    let (answer, made) = charge("pm_card_visa_chargeDeclinedInsufficientFunds").await;
    let decline = Decline { code: "insufficient_funds".into(), soft: false };
    assert_eq!(answer, Answer::Create(Outcome::Declined(decline.clone())));
    assert_eq!(stage.query("stripe-main", &made).await, OrderState::Declined(decline));
    let (answer, _) = charge("pm_card_authenticationRequired").await;
    assert_eq!(answer.class(), Class::Declined, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unpaid_orders_are_closed_for_good() {
    let stage = Stage::set().await;
    for (channel, method) in [("wechat-main", Method::WechatPay), ("stripe-main", Method::Card)] {
        let (shown, made) = stage.create(channel, &stage.order(method, Device::Qr)).await;
        let answer = stage.close(channel, &made, CloseWhy::Shown).await;
        assert_eq!(answer, closed(CloseState::Closed), "{channel}");
        let again = stage.close(channel, &made, CloseWhy::Shown).await;
        assert_eq!(again, closed(CloseState::Closed), "{channel}, again");
        assert!(stage.sandbox.pay(&PayTarget::code(code(&shown))).await.is_err(), "{channel}");
        assert_eq!(stage.query(channel, &made).await, OrderState::Closed, "{channel}");
    }
    for why in [CloseWhy::Shown, CloseWhy::Orphan] {
        let order = stage.order(Method::Alipay, Device::Qr);
        let (shown, made) = stage.create("alipay-main", &order).await;
        let answer = stage.close("alipay-main", &made, why).await;
        assert_eq!(answer, closed(CloseState::NotFound), "no trade before the scan: no proof");
        let scan = PayTarget::code(code(&shown)).outcome(PayOutcome::Scan);
        stage.sandbox.pay(&scan).await.expect("a scan");
        assert_eq!(stage.query("alipay-main", &made).await, OrderState::Payable);
        assert_eq!(stage.close("alipay-main", &made, why).await, closed(CloseState::Closed));
        assert!(stage.sandbox.pay(&PayTarget::code(code(&shown))).await.is_err());
        assert_eq!(stage.query("alipay-main", &made).await, OrderState::Closed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_never_arrived_is_not_found() {
    let stage = Stage::set().await;
    for (channel, method) in CHANNELS {
        let never = reference_of(&stage.order(method, Device::Qr), None);
        assert_eq!(stage.query(channel, &never).await, OrderState::NotFound, "{channel}");
        let answer = stage.close(channel, &never, CloseWhy::Orphan).await;
        // Nobody but us could capture an order at PayPal, and nobody ever will this one.
        let paypal = channel == "paypal-main";
        let state = if paypal { CloseState::Closed } else { CloseState::NotFound };
        assert_eq!(answer, closed(state), "{channel}: no proof but at PayPal");
    }
}

const CHANNELS: [(&str, Method); 5] = [
    ("alipay-main", Method::Alipay),
    ("wechat-main", Method::WechatPay),
    ("stripe-main", Method::Card),
    ("unionpay-main", Method::UnionPay),
    ("paypal-main", Method::Paypal),
];

fn kind(channel: &str) -> ProviderKind {
    match channel {
        "alipay-main" => ProviderKind::Alipay,
        "wechat-main" => ProviderKind::WechatPay,
        "unionpay-main" => ProviderKind::UnionPay,
        "paypal-main" => ProviderKind::Paypal,
        _ => ProviderKind::Stripe,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_unknown_and_the_truth_is_found_afterwards() {
    let stage = Stage::set().await;
    // At UnionPay no call makes an order.
    for (channel, method) in CHANNELS.into_iter().filter(|(c, _)| *c != "unionpay-main") {
        let direct = method == Method::Card;
        let mut order = stage.order(method, Device::Qr);
        if direct {
            order = Order { flow: Flow::Direct, token: Some("pm_card_visa".into()), ..order };
        }
        for fault in [Fault::SuccessThenTimeout, Fault::TruncatedBody] {
            let rule = FaultRule::always(fault.clone()).at(kind(channel)).on(Call::Create);
            stage.sandbox.faults().add(rule).expect("a rule");
            let answer = stage.call(channel, Operation::Create(order.clone())).await;
            assert_eq!(answer.class(), Class::Unknown, "{channel} {fault:?}: {answer:?}");
            stage.sandbox.faults().clear();
            let made = reference_of(&order, None);
            let state = stage.query(channel, &made).await;
            match channel {
                "alipay-main" => assert_eq!(state, OrderState::NotFound, "nobody scanned it"),
                "wechat-main" => assert_eq!(state, OrderState::Payable),
                "paypal-main" => assert_eq!(state, OrderState::NotFound, "its id was not heard"),
                _ => assert!(is_paid(&state, &made), "{state:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_have_the_classes_that_keep_money_safe() {
    let stage = Stage::set().await;
    let wrong = Fault::WrongSignature { probe: false };
    let probe = Fault::WrongSignature { probe: true };
    for (channel, method) in CHANNELS {
        let signed = !matches!(channel, "stripe-main" | "paypal-main");
        let (_, made) = stage.create(channel, &stage.order(method, Device::Qr)).await;
        for (fault, applies) in [
            (Fault::Refuse, true),
            (Fault::BlackHole, true),
            (Fault::Maintenance, true),
            (wrong.clone(), signed),
            (probe.clone(), channel == "wechat-main"),
            (Fault::ExpiredCertificate, matches!(channel, "wechat-main" | "unionpay-main")),
        ] {
            if !applies {
                continue;
            }
            let rule = FaultRule::always(fault.clone()).at(kind(channel));
            stage.sandbox.faults().add(rule).expect("a rule");
            let answer = stage.call(channel, Operation::Query(made.clone())).await;
            let class = answer.class();
            stage.sandbox.faults().clear();
            assert!(
                matches!(class, Class::Unknown | Class::Unavailable),
                "{channel} {fault:?}: {answer:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_notifications_are_refused_and_genuine_ones_are_not() {
    let stage = Stage::set().await;
    for (channel, method) in CHANNELS {
        let order = stage.order(method, Device::Qr);
        let (shown, made) = stage.create(channel, &order).await;
        let forged = Fault::ForgedNotification { forgery: Forgery::WrongKey, alone: false };
        let rule = FaultRule::always(forged).at(kind(channel)).on(Call::Notify);
        stage.sandbox.faults().add(rule).expect("a rule");
        stage.pay(&shown).await;
        let began = Instant::now();
        loop {
            let mut read = Vec::new();
            for delivery in stage.deliveries(channel) {
                read.push(stage.read(channel, &delivery).await);
            }
            let forged = read.iter().any(|r| matches!(r, Err(Forged::Signature(_))));
            let genuine = read.iter().flatten().any(|n| match &n.kind {
                NoticeKind::Order(state) => is_paid(state, &made),
                // PayPal's are never more than that.
                kind => channel == "paypal-main" && *kind == NoticeKind::Hint,
            });
            if forged && genuine {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{channel}: {read:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        stage.sandbox.faults().clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_tell_good_credentials_from_bad_ones() {
    let stage = Stage::set().await;
    for (channel, settings) in &stage.settings {
        let found = stage.driver.probe(channel, &settings.probe_operation()).await;
        assert_eq!(found.reached, ProbeLayer::Accepted, "{channel}: {found:?}");
        assert!(found.clock_skew_s.is_none_or(|skew| skew.abs() < 5), "{channel}: {found:?}");
    }
    let stranger = Account::generate_wechatpay("stranger", 8);
    let settings = settings(&stranger, &stage.sandbox.base_url());
    let (codec, limits) =
        settings.build(&channel(&stranger), "https://a.example/n").expect("good settings");
    stage.driver.set_channel(channel(&stranger), codec, &limits).expect("a client");
    let found = stage.driver.probe(&channel(&stranger), &settings.probe_operation()).await;
    assert_eq!(found.reached, ProbeLayer::Answered, "{found:?}");
}
