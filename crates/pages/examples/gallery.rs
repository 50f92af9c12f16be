//! Writes the checkout page in each of its states into a folder, to be looked at.

use std::path::Path;

use domain::{Locale, Method};
use pages::{Back, Charge, Checkout, Choice, Ends, Held, Later, Saying, Shown, Standing, Transfer};

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "gallery".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder.join("assets"))?;
    std::fs::write(folder.join("assets/checkout.css"), pages::CHECKOUT_CSS)?;
    let code =
        qrcode::QrCode::new("https://qr.example/bax0123456789").map_err(std::io::Error::other)?;
    let svg = code.render::<qrcode::render::svg::Color<'_>>().build();
    let svg = svg.split_once("?>").map_or(svg.as_str(), |(_, drawing)| drawing);
    for (name, locale, standing) in states(svg) {
        let html = pages::page(&view(locale, standing), ".");
        std::fs::write(folder.join(format!("{name}.html")), html)?;
    }
    for (name, saying) in [("unknown", Saying::Unknown), ("changed", Saying::Changed)] {
        let html = pages::saying(Locale::Zh, saying, Some("code.html"), ".");
        std::fs::write(folder.join(format!("{name}.html")), html)?;
    }
    rooms(folder)
}

fn states(svg: &str) -> Vec<(&'static str, Locale, Standing<'_>)> {
    let pay = |shown, method| Standing::Pay { shown, method, ends: Ends::In(894) };
    let code = || Shown::Code { svg, link: Some("https://qr.example/1") };
    let to = Transfer {
        payee: "杭州茶铺有限公司",
        bank: "招商银行杭州分行",
        account: "5719 0000 1234 5678",
        bank_code: Some("308331012345"),
        reference: Some("EG7K-3MPX-9Q"),
        until: "2026-11-27 20:00",
        parts: Some(("¥10.00", "¥9.90")),
    };
    let held = Held { until: "2026-11-25 20:00", link: "https://pay.shop.example/pay/pay_01" };
    let nothing = |later| Standing::Nothing {
        charge: Charge::Proven,
        later: Some(later),
        staff_asked: Some(false),
    };
    vec![
        ("choose", Locale::Zh, Standing::Choose),
        ("code", Locale::Zh, pay(code(), Method::WechatPay)),
        ("code-en", Locale::En, pay(code(), Method::WechatPay)),
        ("transfer", Locale::Zh, pay(Shown::Transfer(to), Method::BankTransfer)),
        ("confirming", Locale::En, Standing::Confirming),
        ("paid", Locale::Zh, Standing::Paid { twice: None }),
        ("twice", Locale::En, Standing::Paid { twice: Some(Back::Done) }),
        ("kept", Locale::En, Standing::Kept(held)),
        ("expired", Locale::En, Standing::Expired(Charge::Proven)),
        ("nothing", Locale::En, nothing(Later::Offered)),
        ("held", Locale::Zh, nothing(Later::Held(held))),
    ]
}

fn view(locale: Locale, standing: Standing<'_>) -> Checkout<'_> {
    let choice = |method, available| Choice { method, available, chosen: false };
    let choices = match standing {
        Standing::Choose | Standing::Pay { .. } | Standing::Kept(_) => vec![
            choice(Method::WechatPay, true),
            choice(Method::Card, true),
            choice(Method::BankTransfer, true),
            choice(Method::Alipay, false),
        ],
        _ => Vec::new(),
    };
    let out = (!choices.is_empty()).then_some(Method::Alipay);
    Checkout {
        id: "pay_01",
        seen: 1,
        locale,
        asked: false,
        payee: "茶铺",
        order: "order-1001",
        subject: "明前龙井 50 g",
        amount: "¥19.90",
        standing,
        choices,
        out,
        return_url: Some("https://shop.example/"),
    }
}

/// The console's rooms, with invented figures.
fn rooms(folder: &Path) -> std::io::Result<()> {
    use pages::console::{self, Cell, Overview, Role, Room, Shell, Table, Tile, Tone};
    let mut channels = Table::new(&["通道", "方式", "状态", "#成功率", "#p95", "#未知"]);
    let rows = [
        ("alipay-main", "支付宝", Tone::Bad, "down"),
        ("wechat-main", "微信支付", Tone::Good, "healthy"),
    ];
    for (name, method, tone, state) in rows {
        let state = Cell::text(state).toned(tone).with("calls fail, 12.1 of 15.2 nats");
        let cells = vec![
            Cell::text(name).to("/console/channels"),
            Cell::text(method),
            state,
            Cell::number("99.2 %"),
            Cell::number("120 ms"),
            Cell::number(0),
        ];
        channels.push(None, cells);
    }
    let tile =
        |name: &str, figure: &str, tone| Tile { name: name.into(), figure: figure.into(), tone };
    let view = Overview {
        tiles: vec![
            tile("技术成功率", "97.1 %", Tone::Warn),
            tile("调用量", "48/s", Tone::Good),
            tile("延迟 p95", "180 ms", Tone::Good),
            tile("结果未知", "3", Tone::Bad),
        ],
        channels,
        charts: Overview::charts(Locale::Zh),
    };
    let shell = Shell {
        locale: Locale::Zh,
        room: Room::Overview,
        operator: "li",
        role: Role::Operator,
        csrf: "token",
        told: None,
    };
    let html = console::overview(&shell, &view).replace("/console/assets", "assets");
    std::fs::write(folder.join("console.html"), html)?;
    std::fs::write(
        folder.join("sign-in.html"),
        console::sign_in(Locale::En, true).replace("/console/assets", "assets"),
    )?;
    std::fs::write(folder.join("assets/console.css"), console::CSS)
}
