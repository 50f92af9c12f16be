//! The checkout page.

use askama::Template;
use domain::{Locale, Method};

use crate::words::Words;

/// What the customer may know of a payment.
#[derive(Clone, Debug)]
pub struct Checkout<'a> {
    /// The payment's id, as in the page's address.
    pub id: &'a str,
    /// The attempts so far: a form says how many the customer had seen, so that a second click,
    /// the back button and another tab wish nothing new.
    pub seen: usize,
    /// The customer's language.
    pub locale: Locale,
    /// Whether the address asks for that language; then it is kept in every further address.
    pub asked: bool,
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
        /// How long it can be paid.
        ends: Ends<'a>,
    },
    /// A call is under way.
    Working,
    /// A charge may have happened.
    Confirming,
    /// Paid.
    Paid {
        /// What becomes of the money of a second payment of the same order, where there was one.
        twice: Option<Back>,
    },
    /// Paid, and all of it given back.
    Refunded,
    /// Paid after the order had ended: the money goes back.
    Late(Back),
    /// The feature that it is for is paused.
    Paused,
    /// The order is kept, and can be paid now.
    Kept(Held<'a>),
    /// Refused by the customer's side; [`Checkout::choices`] says what is left.
    Declined(Charge),
    /// Ended by the merchant.
    Cancelled(Charge),
    /// Ended by time.
    Expired(Charge),
    /// Nothing online takes it.
    Nothing {
        /// Whether an earlier try may have charged.
        charge: Charge,
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

/// How far money is on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// It is being sent.
    Under,
    /// The provider has it.
    Done,
}

/// Paying later.
#[derive(Clone, Copy, Debug)]
pub enum Later<'a> {
    /// The customer may have the order kept.
    Offered,
    /// It is kept.
    Held(Held<'a>),
}

/// A kept order.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Until when, as people read it.
    pub until: &'a str,
    /// The durable link.
    pub link: &'a str,
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
    /// The wallet's own app takes over: parameters for its script, as JSON.
    Wallet(&'a str),
    /// Only a script in the shop's page can show it.
    Shop,
}

/// How long something can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends<'a> {
    /// Soon enough for a countdown: seconds that are left.
    In(u64),
    /// At a time, as people read it.
    At(&'a str),
    /// The account says it itself.
    Stated,
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

/// The whole page. `base` is the path before `/pay`, without a slash at its end.
pub fn page(view: &Checkout<'_>, base: &str) -> String {
    let words = Words(view.locale);
    render(&Page { view, words, base })
}

/// What changes of the page: its main part, for the script's refresh.
pub fn panel(view: &Checkout<'_>, base: &str) -> String {
    let words = Words(view.locale);
    render(&Panel { view, words, base })
}

/// A page that says one thing: why there is nothing to pay here, or that a wish was refused.
/// `link` leads on, where there is a way on.
pub fn saying(locale: Locale, saying: Saying, link: Option<&str>, base: &str) -> String {
    render(&SayingPage { words: Words(locale), saying, link, base })
}

/// Why there is no page of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    /// No payment has this address.
    Unknown,
    /// The form is not one of ours.
    Changed,
    /// Another site sent the form.
    Foreign,
    /// Too much is going on, or the books do not answer.
    Busy,
}

/// Writing into a text cannot fail.
pub(crate) fn render(template: &impl Template) -> String {
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

#[derive(Template)]
#[template(path = "saying.html")]
struct SayingPage<'a> {
    words: Words,
    saying: Saying,
    link: Option<&'a str>,
    base: &'a str,
}

impl Checkout<'_> {
    /// Tells two states of the page apart, whatever time is left: the script asks for the panel
    /// again when it has changed. The same in every process of one version.
    pub fn version(&self) -> String {
        let mut timeless = self.clone();
        if let Standing::Pay { ends: Ends::In(seconds), .. } = &mut timeless.standing {
            *seconds = 0;
        }
        format!("{:x}", crate::hash(format!("{timeless:?}").as_bytes()))
    }

    /// What is added to an address in order to keep the language.
    fn kept(&self) -> &'static str {
        match (self.asked, self.locale) {
            (false, _) => "",
            (true, Locale::Zh) => "?lang=zh",
            (true, Locale::En) => "?lang=en",
        }
    }

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
        let back_under_way = matches!(
            self.standing,
            Standing::Paid { twice: Some(Back::Under) } | Standing::Late(Back::Under)
        );
        let sure = matches!(
            self.standing,
            Standing::Paid { .. }
                | Standing::Refunded
                | Standing::Late(_)
                | Standing::Cancelled(Charge::Proven)
                | Standing::Expired(Charge::Proven)
        );
        back_under_way || !sure
    }

    fn is_choosing(&self) -> bool {
        matches!(self.standing, Standing::Choose | Standing::Kept(_))
    }

    fn has_choice(&self) -> bool {
        self.choices.iter().any(|choice| !choice.chosen)
    }

    fn gone(back: &Back) -> bool {
        *back == Back::Done
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
            seen: 1,
            locale: Locale::Zh,
            asked: false,
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
    fn the_version_knows_everything_but_the_time_that_is_left() {
        let pay = |seconds| {
            let shown = Shown::Link("https://pay.example/1");
            view(Standing::Pay { shown, method: Method::Alipay, ends: Ends::In(seconds) })
        };
        let version = pay(900).version();
        assert_eq!(version, pay(899).version());
        let mut out = pay(900);
        out.out = Some(Method::Alipay);
        assert_ne!(version, out.version());
    }

    #[test]
    fn an_asked_language_is_kept_in_every_address() {
        let mut view = view(Standing::Choose);
        view.choices = vec![Choice { method: Method::Card, available: true, chosen: false }];
        assert!(page(&view, "/x").contains("action=\"/x/pay/pay_01/method\""));
        view.asked = true;
        assert!(page(&view, "/x").contains("action=\"/x/pay/pay_01/method?lang=zh\""));
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
            page(&view(Standing::Pay { shown, method: Method::Alipay, ends: Ends::In(900) }), "");
        let all = html.len() + crate::CHECKOUT_CSS.len() + crate::CHECKOUT_JS.len();
        assert!(all < 50_000, "{all} bytes");
    }
}
