//! The checkout page.

use askama::Template;
use domain::{Locale, Method};

use crate::words::Words;

/// What the customer may know of a payment.
#[derive(Clone, Debug)]
pub struct Checkout<'a> {
    /// The payment's id, as in the page's address.
    pub id: &'a str,
    /// Counts what has changed; the script refreshes when it grows.
    pub version: u64,
    /// The customer's language.
    pub locale: Locale,
    /// Who is paid.
    pub payee: &'a str,
    /// The merchant's order number.
    pub order: &'a str,
    /// What is bought.
    pub subject: &'a str,
    /// The amount as people read it, currency included.
    pub amount: &'a str,
    /// Where it stands.
    pub standing: Standing<'a>,
    /// The ways to pay, the best first; empty when it cannot be paid any more.
    pub choices: Vec<Choice>,
    /// The method that the customer wanted and cannot have now.
    pub out: Option<Method>,
    /// Where the shop wants the browser afterwards.
    pub return_url: Option<&'a str>,
}

/// Where a payment stands for its customer.
#[derive(Clone, Debug)]
pub enum Standing<'a> {
    /// A method is to be chosen.
    Choose,
    /// A code, link or account is shown.
    Pay {
        /// What is shown.
        shown: Shown<'a>,
        /// By which method.
        method: Method,
        /// Seconds until it ends.
        seconds_left: u64,
    },
    /// A call is under way.
    Working,
    /// A charge may have happened.
    Confirming,
    /// Paid.
    Paid,
    /// Paid, and all of it given back.
    Refunded,
    /// Refused by the customer's side; [`Checkout::choices`] says what is left.
    Declined(Charge),
    /// Ended by the merchant.
    Cancelled(Charge),
    /// Ended by time.
    Expired(Charge),
    /// Nothing online takes it.
    Nothing {
        /// The order is kept, or can be.
        later: Option<Later<'a>>,
        /// Staff can help: whether they were asked already.
        staff_asked: Option<bool>,
    },
}

/// Whether money may have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The books prove that none did.
    Proven,
    /// It is not known yet.
    Doubtful,
}

/// A kept order.
#[derive(Clone, Debug)]
pub enum Later<'a> {
    /// The customer may have it kept.
    Offered,
    /// It is kept until then, at this address.
    Held {
        /// As people read it.
        until: &'a str,
        /// The durable link.
        link: &'a str,
    },
}

/// What the customer acts on.
#[derive(Clone, Debug)]
pub enum Shown<'a> {
    /// A QR code as SVG, and the link inside it where it is one.
    Code {
        /// The drawing; made by us, put into the page as it is.
        svg: &'a str,
        /// The same for a phone's browser.
        link: Option<&'a str>,
    },
    /// A link.
    Link(&'a str),
    /// A form that is posted to the provider.
    Form {
        /// Where to.
        url: &'a str,
        /// Names and values.
        fields: Vec<(&'a str, &'a str)>,
    },
    /// A bank account.
    Transfer(Transfer<'a>),
    /// The provider's own script or app takes over.
    Script(Script),
}

impl Shown<'_> {
    /// Whether it ends in minutes, so that a countdown says something.
    fn is_quick(&self) -> bool {
        !matches!(self, Shown::Transfer(_))
    }
}

/// A bank account to transfer to; texts as people read them.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// The account's holder.
    pub payee: &'a str,
    /// The bank's name.
    pub bank: &'a str,
    /// The account's number.
    pub account: &'a str,
    /// The bank's number.
    pub bank_code: Option<&'a str>,
    /// What to write into the transfer, where the account does not tell.
    pub reference: Option<&'a str>,
    /// Until when.
    pub until: &'a str,
    /// What has come in, and what is left.
    pub parts: Option<(&'a str, &'a str)>,
}

/// A way to pay that only another program can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Inside the wallet's own app.
    Wallet,
    /// In the shop's page.
    Shop,
}

/// A way to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The method.
    pub method: Method,
    /// Whether a payment would be tried by it now.
    pub available: bool,
    /// Whether it is what the page shows now.
    pub chosen: bool,
}

/// The whole page. `nonce` is of its Content-Security-Policy; `base` the path before `/pay`.
pub fn page(view: &Checkout<'_>, base: &str) -> String {
    let words = Words(view.locale);
    render(&Page { view, words, base })
}

/// What changes of the page: its main part, for the script's refresh.
pub fn panel(view: &Checkout<'_>, base: &str) -> String {
    let words = Words(view.locale);
    render(&Panel { view, words, base })
}

/// Writing into a text cannot fail.
fn render(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

#[derive(Template)]
#[template(path = "checkout.html")]
struct Page<'a> {
    view: &'a Checkout<'a>,
    words: Words,
    base: &'a str,
}

#[derive(Template)]
#[template(path = "panel.html")]
struct Panel<'a> {
    view: &'a Checkout<'a>,
    words: Words,
    base: &'a str,
}

impl Checkout<'_> {
    /// The first that works: what the prompt names instead.
    fn instead(&self) -> Option<Method> {
        let other = |c: &&Choice| c.available && Some(c.method) != self.out;
        self.choices.iter().find(other).map(|c| c.method)
    }

    fn prompt(&self, words: &Words) -> Option<String> {
        self.out.map(|out| words.prompt(out, self.instead()))
    }

    /// Whether the page changes by itself.
    fn is_live(&self) -> bool {
        !matches!(self.standing, Standing::Paid | Standing::Refunded)
    }

    fn is_choosing(&self) -> bool {
        matches!(self.standing, Standing::Choose)
    }

    fn sure(charge: &Charge) -> bool {
        *charge == Charge::Proven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(standing: Standing<'static>) -> Checkout<'static> {
        Checkout {
            id: "pay_01",
            version: 3,
            locale: Locale::Zh,
            payee: "茶铺",
            order: "order-1001",
            subject: "Tea <script>alert(1)</script>",
            amount: "¥19.90",
            standing,
            choices: Vec::new(),
            out: None,
            return_url: None,
        }
    }

    #[test]
    fn not_charged_is_said_only_when_it_is_proven() {
        let end = [Standing::Expired, Standing::Cancelled, Standing::Declined];
        for standing in end {
            for locale in [Locale::Zh, Locale::En] {
                let words = Words(locale);
                let mut proven = view(standing(Charge::Proven));
                proven.locale = locale;
                let mut doubtful = view(standing(Charge::Doubtful));
                doubtful.locale = locale;
                let (proven, doubtful) = (page(&proven, ""), page(&doubtful, ""));
                assert!(proven.contains(words.not_charged()), "{proven}");
                assert!(!doubtful.contains(words.not_charged()), "{doubtful}");
                assert!(doubtful.contains(words.maybe_charged()), "{doubtful}");
            }
        }
        let confirming = page(&view(Standing::Confirming), "");
        assert!(confirming.contains("请不要重复付款"));
        assert!(!confirming.contains("您没有被扣款"));
    }

    #[test]
    fn what_people_typed_stays_text() {
        let html = page(&view(Standing::Choose), "");
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(html.contains("alert(1)"));
    }

    #[test]
    fn the_prompt_names_the_first_that_works() {
        let mut view = view(Standing::Choose);
        view.out = Some(Method::Alipay);
        let choice = |method, available| Choice { method, available, chosen: false };
        view.choices = vec![
            choice(Method::Alipay, false),
            choice(Method::Card, false),
            choice(Method::WechatPay, true),
        ];
        assert!(page(&view, "").contains("支付宝暂时不可用，请使用微信支付"));
        view.locale = Locale::En;
        let english = page(&view, "");
        assert!(english.contains("Alipay is unavailable right now, please use WeChat Pay"));
        assert!(english.contains("lang=\"en\""));
    }

    #[test]
    fn the_first_view_is_small() {
        let svg = "x".repeat(9_000);
        let svg: &'static str = svg.leak();
        let shown = Shown::Code { svg, link: Some("https://qr.example/1") };
        let html =
            page(&view(Standing::Pay { shown, method: Method::Alipay, seconds_left: 900 }), "");
        let all = html.len() + crate::CHECKOUT_CSS.len() + crate::CHECKOUT_JS.len();
        assert!(all < 50_000, "{all} bytes");
    }
}
