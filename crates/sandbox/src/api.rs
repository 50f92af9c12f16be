//! The control API under `/sandbox`, the shopper pages under `/pay`, and the index page.

use std::collections::BTreeMap;

use axum::response::Response;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::books::{EntryStatus, ProviderKind};
use crate::faults::FaultRule;
use crate::pages::{self, Lang, escape, money};
use crate::scenario::Scenario;
use crate::server::{Call, Reply};
use crate::shopper::{PayError, PayOutcome, PayTarget};
use crate::state::State;
use crate::statuspage;

/// Open orders that the index page lists.
const INDEX_MAX: usize = 100;

/// An error of the control API: what is wrong, and what to do.
fn refuse(status: StatusCode, code: &str, message: impl Into<String>) -> Reply {
    let message: String = message.into();
    Reply::json(status, &json!({ "error": { "code": code, "message": message } }))
}

fn ok(value: &Value) -> Reply {
    Reply::json(StatusCode::OK, value)
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Reply> {
    serde_json::from_slice(&call.body)
        .map_err(|why| refuse(StatusCode::BAD_REQUEST, "invalid_body", why.to_string()))
}

/// Answers a call to `/sandbox/…`.
pub(crate) async fn control(state: &State, call: &Call) -> Reply {
    let path: Vec<&str> = call.path.split('/').filter(|part| !part.is_empty()).skip(1).collect();
    if let Some(reply) = statuspage::answer(state, call, &path, crate::clock::now_ms()) {
        return reply;
    }
    let result = match (call.method.as_str(), &path[..]) {
        ("GET", ["faults"]) => Ok(ok(&json!({ "faults": state.faults.rules() }))),
        ("POST", ["faults"]) => add_fault(state, call),
        ("DELETE", ["faults"]) => Ok(ok(&json!({ "removed": state.faults.clear() }))),
        ("DELETE", ["faults", id]) => remove_fault(state, id),
        ("GET", ["scenarios"]) => Ok(ok(&json!({ "scenarios": scenarios() }))),
        ("POST", ["scenario"]) => load_scenario(state, call),
        ("GET", ["books"]) => Ok(books(state, call)),
        ("GET", ["accounts"]) => Ok(ok(&json!({ "accounts": accounts(state) }))),
        ("GET", ["notifications"]) => Ok(ok(&json!({ "notifications": state.notifier.log() }))),
        ("POST", ["webhook"]) => set_webhook(state, call),
        ("POST", ["pay"]) => pay(state, call).await,
        (
            _,
            [
                "faults" | "scenario" | "scenarios" | "books" | "accounts" | "notifications"
                | "pay" | "webhook" | "status",
            ],
        ) => {
            let message = format!("{} does not take {}", call.path, call.method);
            Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
        }
        _ => Err(refuse(StatusCode::NOT_FOUND, "not_found", format!("no {} here", call.path))),
    };
    result.unwrap_or_else(|refusal| refusal)
}

fn add_fault(state: &State, call: &Call) -> Result<Reply, Reply> {
    let rule: FaultRule = body(call)?;
    let id = state.faults.add(rule).map_err(|why| {
        refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fault", why.to_string())
    })?;
    Ok(Reply::json(StatusCode::CREATED, &json!({ "id": id })))
}

fn remove_fault(state: &State, id: &str) -> Result<Reply, Reply> {
    let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    if state.faults.remove(&id) {
        return Ok(ok(&json!({ "removed": 1 })));
    }
    Err(refuse(StatusCode::NOT_FOUND, "no_such_fault", format!("no rule is named `{id}`")))
}

fn scenarios() -> Vec<Value> {
    Scenario::names()
        .into_iter()
        .filter_map(Scenario::embedded)
        .map(|one| {
            json!({ "name": one.name, "description": one.description, "duration_s": one.duration_s })
        })
        .collect()
}

/// A scenario by name, as JSON, or as TOML, told apart by `Content-Type`.
fn load_scenario(state: &State, call: &Call) -> Result<Reply, Reply> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: String,
        /// Stretches or shortens every time in the scenario.
        scale: Option<f64>,
    }
    let invalid = |why: String| refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_scenario", why);
    let text = std::str::from_utf8(&call.body)
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "invalid_body", "the body is not UTF-8"))?;
    let is_toml = call.header("content-type").is_some_and(|kind| kind.contains("toml"));
    let scenario = if is_toml {
        Scenario::from_toml(text).map_err(|why| invalid(why.to_string()))?
    } else if let Ok(named) = serde_json::from_str::<Named>(text) {
        let known = Scenario::embedded(&named.name).ok_or_else(|| {
            let names = Scenario::names().join(", ");
            refuse(
                StatusCode::NOT_FOUND,
                "no_such_scenario",
                format!("no scenario is named `{}`; known: {names}", named.name),
            )
        })?;
        match named.scale {
            None => known,
            Some(scale) if scale > 0.0 && scale < 1e6 => known.scaled(scale),
            Some(_) => return Err(invalid("scale: must be positive".to_owned())),
        }
    } else {
        Scenario::from_json(text).map_err(|why| invalid(why.to_string()))?
    };
    state.faults.load(&scenario);
    Ok(ok(&json!({ "name": scenario.name, "faults": state.faults.rules() })))
}

/// Orders and movements; `?provider=`, `?account=` and `?order_no=` narrow them.
fn books(state: &State, call: &Call) -> Reply {
    let mut books = state.books();
    let wanted = |name: &str| call.query_value(name);
    let (provider, account, number) = (wanted("provider"), wanted("account"), wanted("order_no"));
    let is = |filter: &Option<String>, value: &str| filter.as_ref().is_none_or(|f| f == value);
    books.orders.retain(|one| {
        is(&provider, one.provider.as_str())
            && is(&account, &one.account)
            && is(&number, &one.order_no)
    });
    books.movements.retain(|one| {
        is(&provider, one.provider.as_str())
            && is(&account, &one.account)
            && is(&number, &one.order_no)
    });
    match serde_json::to_value(books) {
        Ok(books) => ok(&books),
        Err(why) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "unreadable_books", why.to_string()),
    }
}

/// Accounts with their public ids; with their keys only when the sandbox's owner allowed it.
fn accounts(state: &State) -> Vec<Value> {
    let reveals = state.reveals_keys();
    state
        .accounts
        .iter()
        .map(|account| {
            let mut shown = json!({
                "name": account.name,
                "provider": account.provider,
                "merchant_id": account.merchant_id(),
            });
            if reveals {
                shown["material"] =
                    serde_json::to_value(account.merchant_material()).unwrap_or_default();
            }
            shown
        })
        .collect()
}

fn set_webhook(state: &State, call: &Call) -> Result<Reply, Reply> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Webhook {
        account: String,
        url: String,
    }
    let webhook: Webhook = body(call)?;
    if state.set_webhook(&webhook.account, &webhook.url) {
        return Ok(ok(&json!({ "account": webhook.account, "url": webhook.url })));
    }
    let message = format!("no Stripe or PayPal account is named `{}`", webhook.account);
    Err(refuse(StatusCode::NOT_FOUND, "no_such_account", message))
}

async fn pay(state: &State, call: &Call) -> Result<Reply, Reply> {
    let target: PayTarget = body(call)?;
    match state.shop(&target).await {
        Ok(result) => Ok(ok(&serde_json::to_value(result).unwrap_or_default())),
        Err(error) => {
            let (status, code) = match error {
                PayError::Unclear => (StatusCode::BAD_REQUEST, "unclear_target"),
                PayError::Refused(crate::books::ShopperRefusal::Unknown) => {
                    (StatusCode::NOT_FOUND, "unknown_code")
                }
                PayError::Refused(_) => (StatusCode::CONFLICT, "refused"),
                PayError::LinkRefused => (StatusCode::UNPROCESSABLE_ENTITY, "link_refused"),
                PayError::Unreachable => (StatusCode::BAD_GATEWAY, "unreachable"),
            };
            Err(refuse(status, code, error.to_string()))
        }
    }
}

/// Answers a call to `/pay/{provider}/{token}`.
pub(crate) async fn page(state: &State, call: &Call) -> Response {
    let lang = Lang::of(call);
    let path: Vec<&str> = call.path.split('/').filter(|part| !part.is_empty()).collect();
    let known = |name: &str| ProviderKind::ALL.into_iter().find(|kind| kind.as_str() == name);
    let reply = match path[..] {
        ["pay", provider, token] => match known(provider) {
            Some(provider) if call.method == Method::GET => show(state, provider, token, lang),
            Some(provider) if call.method == Method::POST => {
                press(state, call, provider, token, lang).await
            }
            Some(_) => Reply::text(StatusCode::METHOD_NOT_ALLOWED, "GET or POST"),
            None => not_here(lang),
        },
        ["pay", provider, token, "qr.svg"] => match known(provider) {
            Some(_) => qr(token),
            None => not_here(lang),
        },
        _ => not_here(lang),
    };
    reply.into_response()
}

fn not_here(lang: Lang) -> Reply {
    let words = lang.pick("这里什么都没有", "There is nothing here");
    pages::problem(StatusCode::NOT_FOUND, lang, words)
}

fn show(state: &State, provider: ProviderKind, token: &str, lang: Lang) -> Reply {
    match state.open_page(provider, token) {
        Some(bill) => pages::checkout(&bill, lang),
        None => pages::refusal_page(crate::books::ShopperRefusal::Unknown, lang),
    }
}

fn qr(token: &str) -> Reply {
    let content = format!("weixin://wxpay/bizpayurl?pr={token}");
    match qrcode::QrCode::new(content.as_bytes()) {
        Ok(code) => {
            let image = code.render::<qrcode::render::svg::Color<'_>>().build();
            Reply::new(StatusCode::OK, "image/svg+xml", image)
        }
        Err(_) => Reply::text(StatusCode::NOT_FOUND, "this token does not fit a code"),
    }
}

async fn press(
    state: &State,
    call: &Call,
    provider: ProviderKind,
    token: &str,
    lang: Lang,
) -> Reply {
    let form: BTreeMap<String, String> = form_urlencoded::parse(&call.body).into_owned().collect();
    let filled = |name: &str| form.get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    let outcome = match form.get("outcome").map(String::as_str) {
        Some("pay") => PayOutcome::Pay,
        Some("decline") => PayOutcome::Decline,
        _ => {
            let words = lang.pick("请选择付款或拒付", "Choose to pay or to decline");
            return pages::problem(StatusCode::BAD_REQUEST, lang, words);
        }
    };
    let target = PayTarget {
        outcome,
        bank: filled("bank"),
        card: filled("card"),
        ..PayTarget::code(format!("/pay/{provider}/{token}"))
    };
    let result = match state.shop(&target).await {
        Ok(result) => result,
        Err(PayError::Refused(refusal)) => return pages::refusal_page(refusal, lang),
        Err(error) => return pages::problem(StatusCode::BAD_GATEWAY, lang, &error.to_string()),
    };
    let Some(bill) = state.bill(provider, token) else { return not_here(lang) };
    let words = match &result.declined {
        _ if result.paid => lang.pick("付款成功", "Paid").to_owned(),
        Some(code) => format!("{} ({code})", lang.pick("未付款", "Not paid")),
        None => lang.pick("还需要验证", "One more step").to_owned(),
    };
    pages::done(&bill, lang, &words, result.redirect.as_deref())
}

/// The index: what is open, what is broken, and what the books add up to.
pub(crate) fn index(state: &State, lang: Lang) -> Reply {
    let books = state.books();
    let mut content = format!("<h1>Evergate {}</h1>", lang.pick("沙箱", "sandbox"));
    content.push_str(&totals(&books.orders, lang));
    let faults = state.faults.rules();
    content.push_str(&format!("<h2>{} ({})</h2>", lang.pick("故障", "Faults"), faults.len()));
    content.push_str("<table>");
    for rule in &faults {
        let text = serde_json::to_string(rule).unwrap_or_default();
        content.push_str(&format!(
            "<tr><td>{}</td><td>{}</td></tr>",
            escape(&rule.id),
            escape(&text)
        ));
    }
    content.push_str("</table>");
    let is_open = |status| matches!(status, EntryStatus::NotOpened | EntryStatus::Open);
    let open: Vec<_> = books.orders.iter().rev().filter(|order| is_open(order.status)).collect();
    content.push_str(&format!(
        "<h2>{} ({})</h2>",
        lang.pick("待付订单", "Open orders"),
        open.len()
    ));
    content.push_str("<table>");
    for order in open.into_iter().take(INDEX_MAX) {
        let link = state.page_of(order.provider, &order.account, &order.order_no);
        content.push_str(&format!(
            "<tr><td>{}</td><td><a href=\"{}\">{}</a></td><td class=n>{}</td></tr>",
            escape(&order.account),
            escape(&link),
            escape(&order.order_no),
            money(order.amount_minor, &order.currency),
        ));
    }
    content.push_str("</table>");
    let title = lang.pick("Evergate 沙箱", "Evergate sandbox");
    Reply::html(StatusCode::OK, pages::frame(title, "#1677ff", true, lang, &content))
}

fn totals(orders: &[crate::books::OrderEntry], lang: Lang) -> String {
    // Orders, paid, captured and refunded for each account and currency.
    let mut rows: BTreeMap<(&str, &str), (u64, u64, i64, i64)> = BTreeMap::new();
    for order in orders {
        let row = rows.entry((&order.account, &order.currency)).or_default();
        row.0 += 1;
        row.1 += u64::from(order.paid_at_ms.is_some());
        row.2 += order.captured_minor;
        row.3 += order.refunded_minor;
    }
    let heads = [
        lang.pick("账户", "Account"),
        lang.pick("订单", "Orders"),
        lang.pick("已付", "Paid"),
        lang.pick("收款", "Captured"),
        lang.pick("退款", "Refunded"),
    ];
    let mut table = String::from("<table><tr>");
    for (index, head) in heads.iter().enumerate() {
        let class = if index == 0 { "" } else { " class=n" };
        table.push_str(&format!("<th{class}>{head}</th>"));
    }
    table.push_str("</tr>");
    for ((account, currency), (count, paid, captured, refunded)) in rows {
        table.push_str(&format!(
            "<tr><td>{}</td><td class=n>{count}</td><td class=n>{paid}</td>\
             <td class=n>{}</td><td class=n>{}</td></tr>",
            escape(account),
            money(captured, currency),
            money(refunded, currency),
        ));
    }
    table.push_str("</table>");
    table
}

impl State {
    /// Sets where an account's webhooks go; `false` when no account with such a setting has
    /// this name.
    pub(crate) fn set_webhook(&self, account: &str, url: &str) -> bool {
        let stripe = self.stripe.iter().find(|one| one.name == account).map(|a| &a.webhook_url);
        let paypal = self.paypal.iter().find(|one| one.name == account).map(|a| &a.webhook_url);
        let Some(place) = stripe.or(paypal) else { return false };
        *crate::control::lock(place) = Some(url.to_owned());
        true
    }

    /// The shopper's page of an order.
    fn page_of(&self, provider: ProviderKind, account: &str, order_no: &str) -> String {
        let account = Some(account);
        let token = match provider {
            ProviderKind::Alipay => crate::alipay::shopper::token_of(self, account, order_no),
            ProviderKind::WechatPay => crate::wechatpay::shopper::token_of(self, account, order_no),
            ProviderKind::Stripe => crate::stripe::shopper::token_of(self, account, order_no),
            ProviderKind::UnionPay => crate::unionpay::shopper::token_of(self, account, order_no),
            ProviderKind::Paypal => crate::paypal::shopper::token_of(self, account, order_no),
        };
        format!("/pay/{provider}/{}", token.unwrap_or_default())
    }
}
