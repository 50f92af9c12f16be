//! What a shopper sees: a bill with two buttons, in Chinese or English, without scripts.

use http::StatusCode;

use crate::books::{ProviderKind, ShopperRefusal};
use crate::server::{Call, Reply};

/// What a page offers to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BillKind {
    /// Pay from a wallet.
    Wallet,
    /// Enter a card.
    Card,
    /// Confirm to one's bank that it is oneself.
    Authentication,
}

/// A bill as a page shows it.
#[derive(Debug, Clone)]
pub(crate) struct Bill {
    pub(crate) provider: ProviderKind,
    pub(crate) kind: BillKind,
    pub(crate) account: String,
    pub(crate) token: String,
    pub(crate) order_no: String,
    pub(crate) subject: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) method: &'static str,
    pub(crate) bank: Option<String>,
    pub(crate) return_url: Option<String>,
    /// Why nothing can be done with it.
    pub(crate) refusal: Option<ShopperRefusal>,
    pub(crate) status: String,
}

/// A page's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lang {
    Zh,
    En,
}

impl Lang {
    /// The first of the two that the browser prefers; English when it names neither.
    pub(crate) fn of(call: &Call) -> Self {
        Self::from_header(call.header("accept-language").unwrap_or_default())
    }

    pub(crate) fn from_header(header: &str) -> Self {
        let first = |tag: &str| {
            header.split(',').position(|part| part.trim().to_ascii_lowercase().starts_with(tag))
        };
        match (first("zh"), first("en")) {
            (Some(zh), Some(en)) if en < zh => Self::En,
            (Some(_), _) => Self::Zh,
            _ => Self::En,
        }
    }

    fn tag(self) -> &'static str {
        self.pick("zh-CN", "en")
    }

    pub(crate) fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// Text made safe within HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Currencies without a minor unit.
const WHOLE: &[&str] = &["JPY", "KRW", "VND", "CLP", "PYG", "UGX", "XAF", "XOF"];

/// Minor units as people write them.
pub(crate) fn money(minor: i64, currency: &str) -> String {
    let symbol = match currency {
        "CNY" => "¥",
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        _ => "",
    };
    let unit = if symbol.is_empty() { format!(" {currency}") } else { String::new() };
    if WHOLE.contains(&currency) {
        return format!("{symbol}{minor}{unit}");
    }
    format!("{symbol}{}.{:02}{unit}", minor / 100, minor % 100)
}

const STYLE: &str = "\
:root{color-scheme:light dark;--accent:#1677ff;--line:#8883;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center}
main{width:min(24rem,90vw);padding:2rem 1.5rem;border:1px solid var(--line);border-radius:1rem}
main.wide{width:min(60rem,94vw);margin:2rem auto;border:0;padding:0}
body.wide{display:block}
header{display:flex;gap:.6rem;align-items:center;font-weight:600}
header i{width:1.6rem;height:1.6rem;border-radius:.4rem;background:var(--accent)}
.amount{font-size:2.4rem;font-weight:650;margin:1.2rem 0 .2rem;font-variant-numeric:tabular-nums}
.muted{opacity:.65;font-size:.9rem;overflow-wrap:anywhere}
.note{padding:.6rem .8rem;border-radius:.6rem;background:var(--soft);margin:1rem 0}
label{display:block;margin:1rem 0 .3rem;font-size:.9rem}
input{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;border:1px solid var(--line);\
border-radius:.6rem;background:transparent;color:inherit}
button{font:inherit;width:100%;padding:.75rem;margin-top:.8rem;border-radius:.7rem;cursor:pointer;\
border:1px solid var(--line);background:transparent;color:inherit}
button.go{background:var(--accent);border-color:var(--accent);color:#fff;font-weight:600}
table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.4rem 0 1.6rem}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
a{color:var(--accent)}";

fn accent(provider: ProviderKind) -> &'static str {
    match provider {
        ProviderKind::Alipay => "#1677ff",
        ProviderKind::WechatPay => "#07a85a",
        ProviderKind::Stripe => "#635bff",
        ProviderKind::UnionPay => "#d7000f",
        ProviderKind::Paypal => "#003087",
    }
}

pub(crate) fn provider_name(provider: ProviderKind, lang: Lang) -> &'static str {
    match provider {
        ProviderKind::Alipay => lang.pick("支付宝", "Alipay"),
        ProviderKind::WechatPay => lang.pick("微信支付", "WeChat Pay"),
        ProviderKind::Stripe => "Stripe",
        ProviderKind::UnionPay => lang.pick("银联", "UnionPay"),
        ProviderKind::Paypal => "PayPal",
    }
}

/// A page around some content.
pub(crate) fn frame(title: &str, accent: &str, wide: bool, lang: Lang, content: &str) -> String {
    let class = if wide { " class=wide" } else { "" };
    let tag = lang.tag();
    format!(
        "<!doctype html><html lang={tag}><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body{class} style=\"--accent:{accent}\"><main{class}>{content}</main></body></html>"
    )
}

fn refusal_words(refusal: ShopperRefusal, lang: Lang) -> &'static str {
    match refusal {
        ShopperRefusal::Unknown => lang.pick("没有这笔订单", "There is no such order"),
        ShopperRefusal::Expired => lang.pick("二维码或订单已过期", "The code or order has expired"),
        ShopperRefusal::Replaced => {
            lang.pick("二维码已失效，请使用新的二维码", "A newer code replaced this one")
        }
        ShopperRefusal::Closed => lang.pick("商家已关闭订单", "The shop closed the order"),
        ShopperRefusal::AlreadyPaid => lang.pick("订单已支付", "The order is already paid"),
    }
}

fn head(bill: &Bill, lang: Lang) -> String {
    format!(
        "<header><i></i>{} · {}</header><p class=amount>{}</p><p>{}</p>\
         <p class=muted>{} {}</p>",
        provider_name(bill.provider, lang),
        lang.pick("沙箱", "sandbox"),
        money(bill.amount_minor, &bill.currency),
        escape(&bill.subject),
        lang.pick("订单号", "Order"),
        escape(&bill.order_no),
    )
}

/// The bill with its buttons, or the reason for having none.
pub(crate) fn checkout(bill: &Bill, lang: Lang) -> Reply {
    let mut content = head(bill, lang);
    match bill.refusal {
        Some(refusal) => {
            content.push_str(&format!("<p class=note>{}</p>", refusal_words(refusal, lang)));
        }
        None => content.push_str(&form(bill, lang)),
    }
    let title = provider_name(bill.provider, lang);
    let page = frame(title, accent(bill.provider), false, lang, &content);
    Reply::html(StatusCode::OK, page)
}

fn form(bill: &Bill, lang: Lang) -> String {
    let card = if bill.kind == BillKind::Card {
        format!(
            "<label for=card>{}</label><input id=card name=card inputmode=numeric \
             autocomplete=off value=\"4242 4242 4242 4242\">",
            lang.pick("测试卡号", "Test card number")
        )
    } else {
        String::new()
    };
    let bank = if bill.kind == BillKind::Wallet {
        format!(
            "<label for=bank>{}</label><input id=bank name=bank autocomplete=off \
             placeholder=\"ICBC\" maxlength=32>",
            lang.pick("付款银行（可不填）", "Bank (optional)")
        )
    } else {
        String::new()
    };
    let (go, stop) = match bill.kind {
        BillKind::Authentication => {
            (lang.pick("验证通过", "Authenticate"), lang.pick("验证失败", "Fail"))
        }
        _ => (lang.pick("付款", "Pay"), lang.pick("拒付", "Decline")),
    };
    format!(
        "<form method=post action=\"/pay/{}/{}\">{card}{bank}\
         <button class=go name=outcome value=pay>{go}</button>\
         <button name=outcome value=decline>{stop}</button></form>",
        bill.provider,
        escape(&bill.token)
    )
}

/// What came of pressing a button.
pub(crate) fn done(bill: &Bill, lang: Lang, words: &str, link: Option<&str>) -> Reply {
    let mut content = head(bill, lang);
    content.push_str(&format!("<p class=note>{}</p>", escape(words)));
    // Only web addresses become links: a shop's other schemes could run scripts.
    if let Some(link) = link.filter(|l| l.starts_with("http://") || l.starts_with("https://")) {
        let text = lang.pick("继续", "Continue");
        content.push_str(&format!("<p><a href=\"{}\">{text}</a></p>", escape(link)));
    }
    let title = provider_name(bill.provider, lang);
    Reply::html(StatusCode::OK, frame(title, accent(bill.provider), false, lang, &content))
}

/// Words for a shopper who got nothing.
pub(crate) fn problem(status: StatusCode, lang: Lang, words: &str) -> Reply {
    let content = format!("<p class=note>{}</p>", escape(words));
    let title = lang.pick("沙箱", "Sandbox");
    Reply::html(status, frame(title, "#888", false, lang, &content))
}

pub(crate) fn refusal_page(refusal: ShopperRefusal, lang: Lang) -> Reply {
    let status = match refusal {
        ShopperRefusal::Unknown => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    problem(status, lang, refusal_words(refusal, lang))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_wins() {
        assert_eq!(Lang::from_header("zh-CN,zh;q=0.9,en;q=0.8"), Lang::Zh);
        assert_eq!(Lang::from_header("en-US,en;q=0.9,zh;q=0.8"), Lang::En);
        assert_eq!(Lang::from_header("fr"), Lang::En);
        assert_eq!(Lang::from_header(""), Lang::En);
    }

    #[test]
    fn money_knows_currencies_without_cents() {
        assert_eq!(money(8_888, "CNY"), "¥88.88");
        assert_eq!(money(500, "JPY"), "500 JPY");
        assert_eq!(money(1_050, "HKD"), "10.50 HKD");
    }

    #[test]
    fn shops_cannot_write_html() {
        assert_eq!(escape("<b a=\"'&\">"), "&lt;b a=&quot;&#39;&amp;&quot;&gt;");
    }
}
