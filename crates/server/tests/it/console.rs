//! The operators' console: signing in, roles, rooms, forms and the stream of news.

use std::time::Duration;

use domain::*;
use serde_json::json;
use server::{Operator, Operators, Role, hash_password};

use crate::world::{Answered, PASSWORD, World, order, people, world, world_at};

/// A browser, as far as the console needs one: it keeps cookies and follows no redirect.
struct Browser<'w> {
    world: &'w World,
    http: reqwest::Client,
    cookies: Vec<(String, String)>,
    language: &'static str,
}

impl<'w> Browser<'w> {
    fn new(world: &'w World) -> Browser<'w> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none());
        Browser { world, http: http.build().unwrap(), cookies: Vec::new(), language: "en" }
    }

    async fn signed_in(world: &'w World, name: &str) -> Browser<'w> {
        let mut browser = Browser::new(world);
        let done = browser.sign_in(name, PASSWORD).await;
        assert_eq!((done.status, done.header("location")), (303, "/console"), "{done:?}");
        browser
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Answered {
        let cookies = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        let request =
            request.header("cookie", cookies.join("; ")).header("accept-language", self.language);
        let answer = Answered::of(request.send().await.unwrap()).await;
        for set in answer.headers.get_all("set-cookie") {
            let (name, value) = set.to_str().unwrap().split_once('=').unwrap();
            let value = value.split(';').next().unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !set.to_str().unwrap().contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answered {
        let request = self.http.get(self.world.url(path));
        self.send(request).await
    }

    /// As the page's script asks.
    async fn ask(&mut self, path: &str) -> Answered {
        let request = self.http.get(self.world.url(path)).header("x-console-live", "1");
        self.send(request).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answered {
        let body = encoded(fields);
        let request = self.http.post(self.world.url(path)).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Posts with the token of the page at `room`.
    async fn submit(&mut self, room: &str, path: &str, fields: &[(&str, &str)]) -> Answered {
        let page = self.get(room).await;
        let token = token(&page);
        let mut all = vec![("csrf", token.as_str())];
        all.extend(fields);
        self.post(path, &all).await
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Answered {
        let fields = [("name", name), ("password", password)];
        self.submit("/console/sign-in", "/console/sign-in", &fields).await
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(fields);
    text.finish()
}

/// The token of the first form of a page.
fn token(page: &Answered) -> String {
    let (_, rest) =
        page.text.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("{page:?}"));
    rest.split('"').next().unwrap().to_owned()
}

async fn audited(world: &World) -> Vec<(String, String, String)> {
    let lines = world.engine.store().audit(50).await.unwrap();
    lines.into_iter().map(|line| (line.by, line.action, line.reason)).collect()
}

fn line(by: &str, action: &str, reason: &str) -> (String, String, String) {
    (by.to_owned(), action.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn nobody_looks_without_signing_in() {
    let world = world().await;
    let mut browser = Browser::new(&world);
    for room in [
        "/console",
        "/console/channels",
        "/console/payments?q=a",
        "/console/ladder",
        "/console/audit",
    ] {
        let answer = browser.get(room).await;
        assert_eq!(answer.status, 303, "{room}");
        assert!(
            answer.header("location").starts_with("/console/sign-in?next=%2Fconsole"),
            "{room}"
        );
        assert!(answer.text.is_empty());
    }
    for asked in ["/console/series", "/console/events", "/console"] {
        assert_eq!(browser.ask(asked).await.status, 401, "{asked}");
    }
    let door = browser.get("/console/sign-in").await;
    assert_eq!(door.status, 200);
    let policy = door.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(door.header("cache-control"), "no-store");
}

#[tokio::test]
async fn an_operator_signs_in_and_out() {
    let world = world().await;
    let mut browser = Browser::new(&world);
    let wrong = browser.sign_in("li", "wrong").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.text.contains("Name or password is not right"), "{wrong:?}");
    assert!(wrong.text.contains("value=\"li\""), "the name is kept");
    assert!(!wrong.text.contains("value=\"wrong\""), "the password is not");
    let nobody = browser.sign_in("my password 123", PASSWORD).await;
    assert_eq!(nobody.status, 401, "the same answer");

    let done = browser.sign_in("li", PASSWORD).await;
    assert_eq!((done.status, done.header("location")), (303, "/console"));
    let cookie = done.headers.get_all("set-cookie").iter().next().unwrap().to_str().unwrap();
    assert!(cookie.starts_with("evergate_console="), "{cookie}");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "it would not come back over http: {cookie}");
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    assert!(value.len() >= 43, "256 bits: {value}");

    let home = browser.get("/console").await;
    assert_eq!(home.status, 200);
    assert!(home.text.contains("<strong>li</strong>"), "{}", home.text);
    let held = browser.cookies.clone();
    let out = browser.submit("/console", "/console/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, "/console/sign-in?told=out"));
    browser.cookies = held;
    assert_eq!(browser.get("/console").await.status, 303, "the cookie is worth nothing now");
    assert_eq!(
        audited(&world).await,
        [
            line("console:li", "sign out", ""),
            line("console:li", "sign in", ""),
            line("console", "sign in refused", "unknown name"),
            line("console:li", "sign in refused", "wrong password"),
        ]
    );
}

#[tokio::test]
async fn over_https_the_cookie_is_for_this_host_alone() {
    let world = world_at("https://pay.example.com", |_| {}).await;
    let mut browser = Browser::signed_in(&world, "li").await;
    assert!(browser.cookies.iter().any(|(name, _)| name == "__Host-evergate_console"));
    let again = browser.sign_in("li", PASSWORD).await;
    let set = again.headers.get_all("set-cookie").iter().next().unwrap().to_str().unwrap();
    assert!(set.contains("Path=/; Secure; HttpOnly; SameSite=Strict"), "{set}");
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    let before = browser.cookies.clone();
    assert_eq!(browser.sign_in("li", PASSWORD).await.status, 303);
    assert_ne!(browser.cookies, before);
    browser.cookies = before;
    assert_eq!(browser.get("/console").await.status, 303);
}

#[tokio::test]
async fn guessing_is_slowed_down_by_name() {
    let world = world().await;
    let mut browser = Browser::new(&world);
    for _ in 0..5 {
        assert_eq!(browser.sign_in("li", "wrong").await.status, 401);
    }
    let throttled = browser.sign_in("li", PASSWORD).await;
    assert_eq!(throttled.status, 429, "even the right one");
    let wait: u64 = throttled.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(browser.sign_in("zhang", PASSWORD).await.status, 303, "another name");
    world.clock.wind(Duration::from_secs(wait + 1));
    assert_eq!(browser.sign_in("li", PASSWORD).await.status, 303);
    let refused = audited(&world).await;
    assert_eq!(refused.iter().filter(|l| l.1 == "sign in refused").count(), 5);
}

#[tokio::test]
async fn a_session_ends_by_itself_and_with_its_operator() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    world.clock.wind(Duration::from_secs(29 * 60));
    assert_eq!(browser.ask("/console").await.status, 200, "the script looks");
    world.clock.wind(Duration::from_secs(2 * 60));
    assert_eq!(browser.ask("/console/series").await.status, 401, "which is no act of a person");
    assert_eq!(
        browser.get("/console/channels").await.header("location"),
        "/console/sign-in?next=%2Fconsole%2Fchannels"
    );

    let mut browser = Browser::signed_in(&world, "li").await;
    let mut others = people();
    others.retain(|person| person.name != "li");
    world.operators.replace(&Operators::new(others.clone()).unwrap());
    assert_eq!(browser.get("/console").await.status, 303, "removed");
    let password_hash = hash_password("another good password", [9; 16]);
    others.push(Operator { name: "li".into(), role: Role::Viewer, password_hash });
    world.operators.replace(&Operators::new(others).unwrap());
    assert_eq!(browser.sign_in("li", PASSWORD).await.status, 401, "the old password");
}

#[tokio::test]
async fn a_form_needs_the_token_of_its_session_and_our_origin() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    let fields = [("cell", "alipay-main:"), ("for", "1h"), ("reason", "fault"), ("sure", "yes")];
    let path = "/console/channels/disable";
    assert_eq!(browser.post(path, &fields).await.status, 403, "no token");
    let mut wrong = fields.to_vec();
    wrong.push(("csrf", "AAAA"));
    assert_eq!(browser.post(path, &wrong).await.status, 403, "a wrong one");
    let mut other = Browser::signed_in(&world, "zhang").await;
    let theirs = token(&other.get("/console/channels").await);
    wrong.pop();
    wrong.push(("csrf", theirs.as_str()));
    assert_eq!(browser.post(path, &wrong).await.status, 403, "another session's");

    let ours = token(&browser.get("/console/channels").await);
    let mut good = fields.to_vec();
    good.push(("csrf", ours.as_str()));
    for (origin, status) in
        [("https://evil.example", 403), ("null", 403), (world.url("").as_str(), 303)]
    {
        let request =
            browser.http.post(world.url(path)).body(encoded(&good)).header("origin", origin);
        assert_eq!(browser.send(request).await.status, status, "{origin}");
    }
    let mut stranger = Browser::new(&world);
    let page = stranger.get("/console/sign-in").await;
    stranger.cookies.clear();
    let form = [("csrf", token(&page)), ("name", "li".into()), ("password", PASSWORD.into())];
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let refused = stranger.post("/console/sign-in", &form).await;
    assert_eq!(refused.status, 403, "no cookie");
    assert!(refused.text.contains("did not keep the cookie"), "{refused:?}");
}

#[tokio::test]
async fn a_channel_is_out_until_a_time_and_the_books_say_who_and_why() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    let fields = [
        ("cell", "stripe-main:"),
        ("for", "at"),
        ("for_at", "2026-11-24T16:00"),
        ("for_zone", "-480"),
        ("reason", "bank says <b>noon</b>"),
    ];
    let path = "/console/channels/disable";
    let asked = browser.submit("/console/channels", path, &fields).await;
    assert_eq!(asked.status, 422, "the last that takes cards: {asked:?}");
    assert!(asked.text.contains("last channel in service"), "{}", asked.text);
    assert!(asked.text.contains("value=\"2026-11-24T16:00\""), "nothing typed is lost");
    let mut sure = fields.to_vec();
    sure.push(("sure", "yes"));
    let done = browser.submit("/console/channels", path, &sure).await;
    assert_eq!((done.status, done.header("location")), (303, "/console/channels"), "{done:?}");

    let until = Timestamp::from_secs(1_795_507_200); // 16:00 at +08:00
    let controls = world.engine.controls();
    let over = &controls.overrides[0];
    assert_eq!((over.channel.as_str(), over.until), ("stripe-main", Some(until)));
    assert_eq!(over.by, "console:li");
    let action = format!("disable stripe-main until {}", until.as_secs());
    let reason = "bank says <b>noon</b>";
    assert!(audited(&world).await.contains(&line("console:li", &action, reason)));

    let page = browser.get("/console/channels").await;
    assert!(page.text.contains("Out of service: stripe-main"), "told once");
    assert!(!page.text.contains("<b>noon</b>"), "a reason stays text");
    assert!(page.text.contains("2026-11-24T08:00:00Z"), "{}", page.text);
    assert!(!browser.get("/console/channels").await.text.contains("Out of service: stripe-main"));
    let listed = world.get(&world.li, "/v1/channels").await.json();
    assert_eq!(listed["channels"][2]["methods"][0]["disabled"]["by"], "console:li");

    let back = [("cell", "stripe-main:"), ("reason", "they are back")];
    let done = browser.submit("/console/channels", "/console/channels/enable", &back).await;
    assert_eq!(done.status, 303, "{done:?}");
    assert!(world.engine.controls().overrides.is_empty());
    assert!(audited(&world).await.contains(&line(
        "console:li",
        "enable stripe-main",
        "they are back"
    )));
}

#[tokio::test]
async fn a_form_with_mistakes_comes_back_with_all_that_was_typed() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    let path = "/console/channels/disable";
    let bad = [("cell", "nope:"), ("for", "at"), ("for_at", "2026-11-24T01:00"), ("reason", "")];
    let again = browser.submit("/console/channels", path, &bad).await;
    assert_eq!(again.status, 422);
    for told in [
        "is no channel of this server",
        "must be in the future",
        "is required: say why",
        "Nothing was done yet",
    ] {
        assert!(again.text.contains(told), "{told}: {}", again.text);
    }
    assert!(again.text.contains("2026-11-24T01:00"));
    assert!(world.engine.controls().overrides.is_empty());
    world.store.fail(Some(store::StoreError::Unavailable("gone".into())));
    let good = [("cell", "wechat-main:"), ("for", "15m"), ("reason", "typed"), ("sure", "yes")];
    let failed = browser.submit("/console/channels", path, &good).await;
    assert!(failed.text.contains("value=\"typed\""), "{failed:?}");
    world.store.fail(None);
}

#[tokio::test]
async fn whoever_only_looks_sees_no_forms_and_changes_nothing() {
    let world = world().await;
    let mut wei = Browser::signed_in(&world, "wei").await;
    for room in ["/console", "/console/channels", "/console/ladder"] {
        let page = wei.get(room).await;
        assert_eq!(page.status, 200, "{room}");
        assert!(!page.text.contains("class=\"act\""), "{room}: {}", page.text);
    }
    for (path, fields) in [
        (
            "/console/channels/disable",
            vec![("cell", "alipay-main:"), ("for", "1h"), ("reason", "x"), ("sure", "yes")],
        ),
        ("/console/channels/enable", vec![("cell", "alipay-main:"), ("reason", "x")]),
        (
            "/console/ladder/move",
            vec![("scope", "all"), ("level", "held"), ("for", "1h"), ("reason", "x")],
        ),
        ("/console/ladder/pause", vec![("purpose", "renewal"), ("for", "1h"), ("reason", "x")]),
    ] {
        let refused = wei.submit("/console", path, &fields).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text.contains("Your role may look only"), "{refused:?}");
    }
    assert_eq!(world.engine.controls().version, 0);
    let mut zhang = Browser::signed_in(&world, "zhang").await;
    assert!(
        zhang.get("/console/channels").await.text.contains("class=\"act\""),
        "approvers operate"
    );
}

#[tokio::test]
async fn payments_are_found_by_every_number_and_tell_their_story() {
    let world = world().await;
    let down = Answer::Create(Outcome::Unavailable(Fault::new("http_503", "no <i>answer</i>")));
    world.script.next([down]);
    let mut body = order("SO-1");
    body["subject"] = json!("<script>alert(1)</script> 茶");
    body["contact"] = json!("mei@example.com");
    let payment = world.pay(body).await;
    let silent = Answer::Create(Outcome::Unknown(Fault::new("timeout", "no answer")));
    world.script.next([silent]);
    let orphaned = world.pay(order("SO-2")).await;
    let id = payment["id"].as_str().unwrap();
    let number = payment["attempts"][1]["number"].as_str().unwrap();
    let mut browser = Browser::signed_in(&world, "wei").await;
    for query in ["SO-1", id, number] {
        let found = browser.get(&format!("/console/payments?q={query}")).await;
        assert_eq!(found.text.matches("href=\"/console/payments/pay_").count(), 1, "{query}");
        assert!(found.text.contains(&format!("/console/payments/{id}")), "{query}");
    }
    let nothing = browser.get("/console/payments?q=mei%40example.com").await;
    assert!(nothing.text.contains("contacts cannot be searched"), "{}", nothing.text);
    let all = browser.get("/console/payments?status=requires_customer").await;
    assert_eq!(all.text.matches("href=\"/console/payments/pay_").count(), 2);

    let room = browser.get(&format!("/console/payments/{id}")).await;
    assert_eq!(room.status, 200, "{room:?}");
    assert!(!room.text.contains("<script>alert") && !room.text.contains("<i>answer"), "stays text");
    assert!(!room.text.contains("mei@example.com"), "rule 13");
    for told in [
        "failover from alipay-main",
        "already tried for this payment",
        "http_503",
        "Attempt 1: failed (http_503), surely not charged",
        "a code or link was shown",
    ] {
        assert!(room.text.contains(told), "{told}: {}", room.text);
    }
    browser.language = "zh-CN,zh;q=0.9";
    let room = browser.get(&format!("/console/payments/{id}")).await;
    for told in ["alipay-main 失败后切换", "本支付单已尝试过", "尝试 1：失败（http_503）"]
    {
        assert!(room.text.contains(told), "{told}: {}", room.text);
    }
    let to = format!("/console/payments/{}", orphaned["id"].as_str().unwrap());
    assert!(browser.get(&to).await.text.contains("没有人见过它的付款码"));
    let gone = browser.get("/console/payments/pay_00000000000000000000000000").await;
    assert_eq!(gone.status, 404);
    assert_eq!(browser.get("/console/payments/nonsense").await.status, 404);
    assert_eq!(browser.get("/console/nonsense").await.status, 404);
}

#[tokio::test]
async fn lists_are_paged() {
    let world = world().await;
    for n in 0..31 {
        world.pay(order(&format!("SO-{n}"))).await;
    }
    let mut browser = Browser::signed_in(&world, "wei").await;
    let first = browser.get("/console/payments").await;
    assert_eq!(first.text.matches("href=\"/console/payments/pay_").count(), 30);
    let (_, rest) = first.text.split_once("href=\"/console/payments?before=").unwrap();
    let cursor = rest.split('"').next().unwrap();
    let second = browser.get(&format!("/console/payments?before={cursor}")).await;
    assert_eq!(second.text.matches("href=\"/console/payments/pay_").count(), 1);
    assert!(second.text.contains("SO-0<"), "{}", second.text);
}

#[tokio::test]
async fn levels_are_moved_and_features_paused_until_a_time() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    let room = "/console/ladder";
    let shift = [
        ("scope", "method:alipay"),
        ("level", "other_method"),
        ("for", "1h"),
        ("reason", "bank is down"),
    ];
    let done = browser.submit(room, "/console/ladder/move", &shift).await;
    assert_eq!(done.status, 303, "{done:?}");
    let pause = [("purpose", "renewal"), ("for", "4h"), ("reason", "double charges feared")];
    assert_eq!(browser.submit(room, "/console/ladder/pause", &pause).await.status, 303);
    let controls = world.engine.controls();
    let now = world.engine.now();
    let passage = Passage { method: Method::Alipay, channel: None, purpose: Purpose::Checkout };
    let (level, descent) = controls.ladder.level(&passage, now);
    assert_eq!(level, Level::OtherMethod);
    assert_eq!(descent.unwrap().mover, Mover::Operator("console:li".into()));
    assert_eq!(controls.ladder.paused(Purpose::Renewal, now).unwrap().by, "console:li");
    let page = browser.get(room).await;
    for told in
        ["bank is down", "double charges feared", "console:li", "2 · another method offered"]
    {
        assert!(page.text.contains(told), "{told}: {}", page.text);
    }
    let endless = [("purpose", "renewal"), ("reason", "no end")];
    let again = browser.submit(room, "/console/ladder/pause", &endless).await;
    assert_eq!(again.status, 422);
    assert!(again.text.contains("is required: choose how long") && again.text.contains("no end"));
    let long = [
        ("scope", "all"),
        ("level", "held"),
        ("for", "at"),
        ("for_at", "2026-12-20T00:00"),
        ("reason", "x"),
    ];
    let again = browser.submit(room, "/console/ladder/move", &long).await;
    assert_eq!(again.status, 422, "{again:?}");
    assert!(again.text.contains("hours away at most"), "{}", again.text);

    let lift = [("scope", "method:alipay"), ("reason", "back")];
    assert_eq!(browser.submit(room, "/console/ladder/lift", &lift).await.status, 303);
    let twice = browser.submit(room, "/console/ladder/lift", &lift).await;
    assert_eq!(twice.status, 422, "nothing is set any more");
    let resume = [("purpose", "renewal"), ("reason", "mended")];
    assert_eq!(browser.submit(room, "/console/ladder/resume", &resume).await.status, 303);
    assert_eq!(browser.submit(room, "/console/ladder/resume", &resume).await.status, 303);
    let told = browser.get(room).await;
    assert!(told.text.contains("was not paused; nothing was changed"), "{}", told.text);
    let acts: Vec<String> = audited(&world).await.into_iter().map(|l| l.1).collect();
    assert_eq!(acts.iter().filter(|act| act.starts_with("resume")).count(), 1, "{acts:?}");
}

#[tokio::test]
async fn the_audit_log_is_searched() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    let off = json!({ "reason": "a <b>word</b> with 100%", "for_s": 60 });
    world.post(&world.li, "/v1/channels/wechat-main/disable", &off).await;
    let all = browser.get("/console/audit").await;
    assert!(
        all.text.contains("sign in") && all.text.contains("disable wechat-main until"),
        "{}",
        all.text
    );
    assert!(!all.text.contains("<b>word"), "stays text");
    let by = browser.get("/console/audit?by=li").await;
    assert!(
        by.text.contains("disable wechat-main")
            && !by.text.contains("<td data-title=\"Act\">sign in")
    );
    let text = browser.get("/console/audit?text=WECHAT").await;
    assert!(text.text.contains("disable wechat-main"));
    let none = browser.get("/console/audit?text=nothing").await;
    assert!(none.text.contains("Nothing here."));
}

#[tokio::test]
async fn the_language_is_the_browsers_or_the_one_that_was_chosen() {
    let world = world().await;
    let mut browser = Browser::signed_in(&world, "li").await;
    browser.language = "zh-CN";
    let rooms =
        ["/console", "/console/channels", "/console/payments", "/console/ladder", "/console/audit"];
    for (room, name) in rooms.iter().zip(["总览", "支付通道", "支付单", "降级与开关", "审计日志"])
    {
        let page = browser.get(room).await;
        assert!(
            page.text.contains("lang=\"zh-CN\"") && page.text.contains(&format!("<h1>{name}</h1>")),
            "{room}"
        );
    }
    let back = "/console/payments?q=SO-1";
    let chosen = [("locale", "en"), ("back", back)];
    let done = browser.submit("/console", "/console/language", &chosen).await;
    assert_eq!((done.status, done.header("location")), (303, back));
    assert!(browser.get("/console").await.text.contains("<h1>Overview</h1>"));
    let away = [("locale", "zh"), ("back", "https://evil.example/")];
    let done = browser.submit("/console", "/console/language", &away).await;
    assert_eq!(done.header("location"), "/console");
    let mut stranger = Browser::new(&world);
    let door = stranger.get("/console/sign-in?lang=zh").await;
    assert!(door.text.contains("登录") && stranger.cookies.iter().any(|(_, v)| v == "zh"));
}

#[tokio::test]
async fn charts_and_figures_show_a_fault() {
    let world = world().await;
    let silent = || Answer::Create(Outcome::Unknown(Fault::new("timeout", "no answer")));
    for n in 0..3 {
        world.script.next([silent()]);
        world.pay(order(&format!("SO-{n}"))).await;
    }
    let mut browser = Browser::signed_in(&world, "wei").await;
    let series = browser.ask("/console/series?span=5m").await.json();
    assert_eq!(series["times"].as_array().unwrap().len(), 60);
    let alipay = &series["channels"][0];
    assert_eq!(alipay["name"], "alipay-main");
    let last = |figure: &str| alipay["figures"][figure].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last("unknown"), 3);
    assert_eq!(last("success"), 0.0);
    assert_eq!(last("traffic"), json!(null), "the present step is not whole");
    let home = browser.get("/console?span=1h").await;
    assert!(home.text.contains("data-series=\"/console/series?span=1h\""));
    assert!(home.text.contains("0.0 %") && home.text.contains("50.0 %"), "{}", home.text);
    world.store.fail(Some(store::StoreError::Unavailable("gone".into())));
    assert_eq!(browser.get("/console").await.status, 200, "health is shown without the books");
    let trouble = browser.get("/console/payments").await;
    assert_eq!(trouble.status, 503);
    assert!(trouble.text.contains("The books do not answer"), "{trouble:?}");
}

#[tokio::test]
async fn the_stream_tells_of_changes_and_of_the_end() {
    let world = world().await;
    let browser = Browser::signed_in(&world, "li").await;
    let cookies = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
    let request =
        browser.http.get(world.url("/console/events")).header("cookie", cookies.join("; "));
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut heard = async || {
        let chunk = tokio::time::timeout(Duration::from_secs(10), stream.chunk()).await;
        chunk.unwrap().unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    };
    assert_eq!(heard().await.as_deref(), Some("event: beat\ndata:\n\n"));
    let off = json!({ "reason": "fault", "for_s": 60 });
    world.post(&world.li, "/v1/channels/alipay-main/disable", &off).await;
    assert_eq!(heard().await.as_deref(), Some("event: change\ndata:\n\n"));
    world.operators.replace(&Operators::default());
    let mut last = heard().await;
    while last.as_deref().is_some_and(|text| text.contains("change") || text.contains("beat")) {
        last = heard().await;
    }
    assert_eq!(last.as_deref(), Some("event: gone\ndata:\n\n"));
    assert_eq!(heard().await, None);
}

#[tokio::test]
async fn keys_that_only_look_change_nothing() {
    use server::{ApiKey, ApiKeys, generate_key};
    let world = world().await;
    let (secret, hash) = generate_key([9; 32]);
    let key = ApiKey { name: "wei".into(), hash, role: Role::Viewer, merchant: None };
    world.keys.replace(&ApiKeys::new(vec![key]).unwrap());
    for path in [
        "/v1/audit",
        "/v1/channels",
        "/v1/payments",
        "/v1/signals",
        "/v1/maintenance",
        "/v1/ladder",
    ] {
        assert_eq!(world.get(&secret, path).await.status, 200, "{path}");
    }
    let off = json!({ "reason": "x", "for_s": 60 });
    for (path, body) in [
        ("/v1/channels/alipay-main/disable", off.clone()),
        ("/v1/channels/alipay-main/prefer", off.clone()),
        ("/v1/ladder/move", json!({ "scope": "all", "level": "held", "reason": "x", "for_s": 60 })),
        ("/v1/payments", order("SO-1")),
        ("/v1/messages/msg_1/resend", json!({})),
    ] {
        assert_eq!(world.post(&secret, path, &body).await.problem(), "forbidden", "{path}");
    }
}
