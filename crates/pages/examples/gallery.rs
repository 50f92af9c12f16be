//! Writes the checkout page in each of its states into a folder, to be looked at.

use std::path::Path;

use domain::{Locale, Method};
use pages::{Charge, Checkout, Choice, Later, Shown, Standing, Transfer};

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
    Ok(())
}

fn states(svg: &str) -> Vec<(&'static str, Locale, Standing<'_>)> {
    let pay = |shown, method| Standing::Pay { shown, method, seconds_left: 894 };
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
    let held =
        Later::Held { until: "2026-11-25 20:00", link: "https://pay.shop.example/pay/pay_01" };
    vec![
        ("choose", Locale::Zh, Standing::Choose),
        ("code", Locale::Zh, pay(code(), Method::WechatPay)),
        ("code-en", Locale::En, pay(code(), Method::WechatPay)),
        ("transfer", Locale::Zh, pay(Shown::Transfer(to), Method::BankTransfer)),
        ("confirming", Locale::En, Standing::Confirming),
        ("paid", Locale::Zh, Standing::Paid),
        ("expired", Locale::En, Standing::Expired(Charge::Proven)),
        ("held", Locale::Zh, Standing::Nothing { later: Some(held), staff_asked: Some(false) }),
    ]
}

fn view(locale: Locale, standing: Standing<'_>) -> Checkout<'_> {
    let choice = |method, available| Choice { method, available, chosen: false };
    let choices = match standing {
        Standing::Choose | Standing::Pay { .. } => vec![
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
        version: 1,
        locale,
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
