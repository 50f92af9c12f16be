//! From a payment and what is offered to the page's view: texts as people read them, and
//! nothing that is not for whoever has the link (no contact, note, channel or reason).

use domain::{
    Attempt, AttemptState, Bilingual, Locale, Method, Money, Payment, Presentation, Timestamp,
    TransferTo,
};
use jiff::tz::TimeZone;
use pages::{Checkout, Choice, Ends, Held, Later, Shown, Standing, Transfer};

use super::asked::Tongue;
use super::offer::Offered;
use super::standing::{Stands, charge, stands};
use crate::payments::draw;

/// Longer than this a countdown in minutes says little, and a time is told.
const COUNTDOWN_S_MAX: u64 = 3 * 3_600;

/// What a page is made from besides the payment.
pub(crate) struct Scene<'a> {
    pub(crate) offered: &'a Offered,
    pub(crate) tongue: Tongue,
    pub(crate) now: Timestamp,
    /// The zone of times that customers read.
    pub(crate) zone: &'a TimeZone,
    /// The page's own address, without a query.
    pub(crate) link: &'a str,
}

/// Makes the view and hands it to `write`: the view borrows what is made here for it.
pub(crate) fn with<T>(
    payment: &Payment,
    scene: &Scene<'_>,
    write: impl FnOnce(&Checkout<'_>) -> T,
) -> T {
    let id = payment.id.to_string();
    let amount = money(payment.money);
    let until = people(payment.expires_at, scene.zone);
    let held = Held { until: &until, link: scene.link };
    let shown = payment.presented().and_then(|attempt| Drawn::of(payment, attempt, scene));
    let standing = match (stands(payment), &shown) {
        (Stands::Pay, Some(drawn)) => drawn.standing(),
        (stands, _) => standing(stands, payment, scene, held),
    };
    let choices = choices(payment, &standing, scene.offered);
    let terms = &payment.terms;
    write(&Checkout {
        id: &id,
        seen: payment.attempts.len(),
        locale: scene.tongue.locale,
        asked: scene.tongue.asked,
        payee: payment.merchant.as_str(),
        order: payment.order.as_str(),
        subject: &terms.subject,
        amount: &amount,
        out: scene.offered.out.filter(|_| !choices.is_empty()),
        standing,
        choices,
        return_url: terms.return_url.as_deref(),
    })
}

fn standing<'a>(
    stands: Stands,
    payment: &Payment,
    scene: &Scene<'a>,
    held: Held<'a>,
) -> Standing<'a> {
    match stands {
        Stands::Choose => open(payment, scene, held),
        // Shown a moment ago, and being replaced.
        Stands::Pay | Stands::Working => Standing::Working,
        Stands::Confirming => Standing::Confirming,
        Stands::Paid(twice) => Standing::Paid { twice },
        Stands::Refunded => Standing::Refunded,
        Stands::Late(back) => Standing::Late(back),
        Stands::Declined(charge) => Standing::Declined(charge),
        Stands::Cancelled(charge) => Standing::Cancelled(charge),
        Stands::Expired(charge) => Standing::Expired(charge),
        Stands::Paused => Standing::Paused,
    }
}

/// A payment that nobody is asked to pay at the moment.
fn open<'a>(payment: &Payment, scene: &Scene<'a>, held: Held<'a>) -> Standing<'a> {
    let offered = scene.offered;
    let payable = offered.methods.iter().any(|(_, available)| *available);
    match (payable, offered.held) {
        (true, true) => Standing::Kept(held),
        (true, false) => Standing::Choose,
        (false, is_held) => Standing::Nothing {
            charge: charge(payment),
            later: match is_held {
                true => Some(Later::Held(held)),
                false => offered.later.then_some(Later::Offered),
            },
            staff_asked: offered.assist,
        },
    }
}

/// The ways to pay, those that work first; none where it cannot be paid any more.
fn choices(payment: &Payment, standing: &Standing<'_>, offered: &Offered) -> Vec<Choice> {
    let open = matches!(
        standing,
        Standing::Choose | Standing::Kept(_) | Standing::Pay { .. } | Standing::Nothing { .. }
    );
    let again = matches!(standing, Standing::Declined(_)) && payment.state == OPEN;
    if !open && !again {
        return Vec::new();
    }
    let shown = payment.presented().map(|a| a.method);
    let choice = |&(method, available): &(Method, bool)| Choice {
        method,
        available,
        chosen: shown == Some(method),
    };
    let mut choices: Vec<Choice> = offered.methods.iter().map(choice).collect();
    choices.sort_by_key(|choice| !choice.available);
    choices
}

const OPEN: domain::PaymentState = domain::PaymentState::Open;

/// What is shown, with the texts and drawings that the view borrows.
struct Drawn<'p> {
    method: Method,
    presentation: &'p Presentation,
    svg: Option<String>,
    json: String,
    until: String,
    seconds: u64,
    received: Option<(String, String)>,
    locale: Locale,
}

impl<'p> Drawn<'p> {
    fn of(payment: &Payment, attempt: &'p Attempt, scene: &Scene<'_>) -> Option<Drawn<'p>> {
        let AttemptState::Presented { presentation, .. } = &attempt.state else { return None };
        let ends = match attempt.method {
            Method::BankTransfer => payment.expires_at,
            _ => attempt.expires_at.min(payment.expires_at),
        };
        let svg = match presentation {
            Presentation::QrCode { content } => draw(content).map(without_prolog),
            _ => None,
        };
        let json = match presentation {
            Presentation::WalletScript { parameters } => {
                serde_json::to_string(parameters).unwrap_or_default()
            }
            _ => String::new(),
        };
        Some(Drawn {
            method: attempt.method,
            presentation,
            svg,
            json,
            until: people(ends, scene.zone),
            seconds: ends.since(scene.now).as_secs(),
            received: parts(payment.money, attempt.received_minor),
            locale: scene.tongue.locale,
        })
    }

    fn ends(&self) -> Ends<'_> {
        match self.presentation {
            Presentation::BankTransfer(_) => Ends::Stated,
            _ if self.seconds > COUNTDOWN_S_MAX => Ends::At(&self.until),
            _ => Ends::In(self.seconds),
        }
    }

    fn shown(&self) -> Shown<'_> {
        match self.presentation {
            Presentation::QrCode { content } => Shown::Code {
                svg: self.svg.as_deref().unwrap_or(""),
                link: Some(content.as_str()).filter(|c| is_web(c)),
            },
            Presentation::Redirect { url } => Shown::Link(url),
            Presentation::Form { url, fields } => Shown::Form {
                url,
                fields: fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
            },
            Presentation::WalletScript { .. } => Shown::Wallet(&self.json),
            Presentation::ClientSecret { .. } => Shown::Shop,
            Presentation::BankTransfer(to) => Shown::Transfer(self.transfer(to)),
        }
    }

    fn transfer<'t>(&'t self, to: &'t TransferTo) -> Transfer<'t> {
        Transfer {
            payee: of(&to.payee, self.locale),
            bank: of(&to.bank, self.locale),
            account: &to.account,
            bank_code: to.bank_code.as_deref(),
            reference: to.reference.as_deref(),
            until: &self.until,
            parts: self.received.as_ref().map(|(so_far, rest)| (so_far.as_str(), rest.as_str())),
        }
    }
}

impl<'p> Drawn<'p> {
    fn standing(&self) -> Standing<'_> {
        Standing::Pay { shown: self.shown(), method: self.method, ends: self.ends() }
    }
}

fn of(text: &Bilingual, locale: Locale) -> &str {
    match locale {
        Locale::Zh => &text.zh,
        Locale::En => &text.en,
    }
}

/// What has come of a transfer and what is left, once something has come.
fn parts(asked: Money, received_minor: i64) -> Option<(String, String)> {
    let of = |minor| Money::new(minor, asked.currency()).ok().map(money);
    Some((of(received_minor)?, of(asked.minor() - received_minor)?))
}

/// Only web addresses become links: another scheme could run a script, or does nothing.
fn is_web(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// A drawing inside a page has no XML declaration.
fn without_prolog(svg: String) -> String {
    match svg.split_once("?>") {
        Some((_, drawing)) => drawing.to_owned(),
        None => svg,
    }
}

/// An amount as people read it.
pub(crate) fn money(money: Money) -> String {
    let amount = money.to_major();
    match money.currency().code() {
        "CNY" => format!("¥{amount}"),
        "USD" => format!("US${amount}"),
        "EUR" => format!("€{amount}"),
        "GBP" => format!("£{amount}"),
        "HKD" => format!("HK${amount}"),
        other => format!("{amount} {other}"),
    }
}

/// A time as people read it, with the zone that it is told in.
pub(crate) fn people(at: Timestamp, zone: &TimeZone) -> String {
    let moment = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(jiff::Timestamp::MAX);
    moment.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M (UTC%:z)").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_are_readable() {
        let cny = Money::new(1_990, "CNY".parse().unwrap()).unwrap();
        assert_eq!(money(cny), "¥19.90");
        let jpy = Money::new(500, "JPY".parse().unwrap()).unwrap();
        assert_eq!(money(jpy), "500 JPY");
        let beijing = TimeZone::fixed(jiff::tz::Offset::constant(8));
        let at = Timestamp::from_secs(1_795_500_000);
        assert_eq!(people(at, &beijing), "2026-11-24 14:00 (UTC+08:00)");
        assert_eq!(parts(cny, 0), None);
        assert_eq!(parts(cny, 1_000), Some(("¥10.00".into(), "¥9.90".into())));
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert!(is_web("https://qr.alipay.com/bax0"));
        assert!(!is_web("weixin://wxpay/bizpayurl?pr=1") && !is_web("javascript:alert(1)"));
    }
}
