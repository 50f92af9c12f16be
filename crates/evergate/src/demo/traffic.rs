//! The shoppers of a demo, decided in advance by a seed.
//!
//! The generator is open-loop: arrivals are a Poisson process that does not wait for answers,
//! so that a slow gateway meets a queue and not a quiet shop. Each purpose draws from a stream
//! of its own; a new draw disturbs no old seed.

use std::time::Duration;

use anyhow::{Result, bail};
use domain::{Currency, Method};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sandbox::Shoppers;

/// One shopper's visit.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// From 0, by arrival.
    pub number: usize,
    /// When the shopper asks to pay, counted from the start.
    pub at: Duration,
    /// The amount in minor units of [`Visit::currency`].
    pub amount_minor: i64,
    /// What the shop lets the shopper pay with, the preferred one first.
    pub methods: Vec<Method>,
    /// The shopper's bank, where the shop asks for it: before UnionPay's cashier opens.
    pub bank: Option<&'static str>,
    /// How the card is, when one is used.
    pub card: Card,
    /// What the shopper does with the code.
    pub intent: Intent,
    /// Between the code and the payment.
    pub think: Duration,
    /// How the shop repeats the request.
    pub repeat: Repeat,
    /// What the shop gives back afterwards, in percent of the amount.
    pub refund_percent: Option<i64>,
}

impl Visit {
    /// What the amount is in. PayPal's shoppers come from abroad.
    pub fn currency(&self) -> Currency {
        if self.methods[0] == Method::Paypal { Currency::USD } else { Currency::CNY }
    }

    /// Another method that the shopper would take after this one.
    pub fn instead_of(&self, method: Method) -> Option<Method> {
        self.methods.iter().copied().find(|other| *other != method)
    }
}

/// How a shopper's card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// Typed in, and good.
    Typed,
    /// Saved at the provider, and good: the create call itself charges.
    Saved,
    /// Typed in, and refused by its bank.
    TypedRefused,
    /// Saved, and refused by its bank.
    SavedRefused,
}

impl Card {
    /// Whether the shop charges it without the shopper's help.
    pub fn is_saved(self) -> bool {
        matches!(self, Card::Saved | Card::SavedRefused)
    }

    /// Whether its bank says no.
    pub fn is_refused(self) -> bool {
        matches!(self, Card::TypedRefused | Card::SavedRefused)
    }
}

/// What a shopper does once there is something to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Pays.
    Pays,
    /// Goes away; the shop cancels the order a little later.
    Leaves,
    /// Asks for another code and then pays both, the new one first.
    PaysOldCodeToo,
}

/// How the shop's own software repeats a request, as software does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Not at all.
    Once,
    /// Twice at the same time under one idempotency key (a double click).
    DoubleClick,
    /// Again later, by order number only (a crash and a restart).
    OrderAgain,
}

/// How many of a hundred shoppers prefer a method, in the order of the draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    shares: Vec<(Method, f64)>,
    /// Whether everybody transfers from a bank account when nothing else is left.
    transfers: bool,
}

/// Of a hundred shoppers, on a usual day.
const USUAL: [(Method, f64); 5] = [
    (Method::Alipay, 46.0),
    (Method::WechatPay, 28.0),
    (Method::Card, 9.0),
    (Method::UnionPay, 10.0),
    (Method::Paypal, 7.0),
];

impl Mix {
    /// The usual day, but for what a scenario says.
    ///
    /// # Errors
    /// When it names a method that no shopper of the demo has.
    pub fn of(shoppers: &Shoppers) -> Result<Mix> {
        let known = |name: &str| USUAL.iter().any(|(method, _)| method.name() == name);
        if let Some(stranger) = shoppers.prefer.keys().find(|name| !known(name)) {
            let names: Vec<&str> = USUAL.iter().map(|(method, _)| method.name()).collect();
            bail!("shoppers.prefer: `{stranger}` is none of {}", names.join(", "));
        }
        let transfer = Method::BankTransfer.name();
        if let Some(stranger) = shoppers.also.iter().find(|name| *name != transfer) {
            bail!("shoppers.also: `{stranger}` is not {transfer}, which is all that it may name");
        }
        let transfers = !shoppers.also.is_empty();
        let said = |method: Method| shoppers.prefer.get(method.name()).copied().map(f64::from);
        let left = 100.0 - USUAL.iter().filter_map(|(method, _)| said(*method)).sum::<f64>();
        let usual: f64 = USUAL.iter().filter(|(m, _)| said(*m).is_none()).map(|(_, s)| s).sum();
        let share = |(method, share): &(Method, f64)| {
            (*method, said(*method).unwrap_or(share * left / usual.max(1.0)))
        };
        Ok(Mix { shares: USUAL.iter().map(share).collect(), transfers })
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Method {
        let mut draw = percent(rng);
        for (method, share) in &self.shares {
            if draw < *share {
                return *method;
            }
            draw -= share;
        }
        Method::Alipay
    }
}

/// Every visit within `duration` at `rate` a second.
pub fn plan(seed: u64, rate: f64, duration: Duration, mix: &Mix) -> Vec<Visit> {
    let mut streams = Streams::new(seed);
    let mut at = 0.0;
    let mut visits = Vec::new();
    loop {
        at += exponential(&mut streams.arrivals, rate);
        if at >= duration.as_secs_f64() {
            return visits;
        }
        visits.push(streams.visit(visits.len(), Duration::from_secs_f64(at), mix));
    }
}

struct Streams {
    arrivals: ChaCha8Rng,
    methods: ChaCha8Rng,
    amounts: ChaCha8Rng,
    intents: ChaCha8Rng,
    thinking: ChaCha8Rng,
    repeats: ChaCha8Rng,
    refunds: ChaCha8Rng,
    cards: ChaCha8Rng,
    banks: ChaCha8Rng,
}

/// The random stream of one purpose.
fn stream(seed: u64, purpose: &str) -> ChaCha8Rng {
    let text = format!("{seed}/demo/{purpose}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    ChaCha8Rng::from_seed(bytes)
}

impl Streams {
    fn new(seed: u64) -> Streams {
        let stream = |purpose| stream(seed, purpose);
        Streams {
            arrivals: stream("arrivals"),
            methods: stream("methods"),
            amounts: stream("amounts"),
            intents: stream("intents"),
            thinking: stream("thinking"),
            repeats: stream("repeats"),
            refunds: stream("refunds"),
            cards: stream("cards"),
            banks: stream("banks"),
        }
    }

    fn visit(&mut self, number: usize, at: Duration, mix: &Mix) -> Visit {
        let methods = methods(&mut self.methods, mix);
        let bank = bank(&mut self.banks);
        let by_card = methods[0] == Method::Card;
        let card = card(&mut self.cards);
        let think = Duration::from_millis(self.thinking.random_range(200..=2_000));
        Visit {
            number,
            at,
            amount_minor: amount(&mut self.amounts),
            bank: (methods[0] == Method::UnionPay).then_some(bank),
            card,
            intent: intent(&mut self.intents, by_card),
            think,
            repeat: repeat(&mut self.repeats),
            refund_percent: refund(&mut self.refunds),
            methods,
        }
    }
}

/// A fresh number in `[0, 100)`.
fn percent(rng: &mut ChaCha8Rng) -> f64 {
    rng.random_range(0.0..100.0)
}

fn exponential(rng: &mut ChaCha8Rng, rate: f64) -> f64 {
    -(1.0 - rng.random_range(0.0..1.0_f64)).ln() / rate
}

/// The preferred method, and with some shoppers a second one. Who pays by card or through a
/// wallet of few shops mostly has another way.
fn methods(rng: &mut ChaCha8Rng, mix: &Mix) -> Vec<Method> {
    use Method::{Alipay, Card, Paypal, UnionPay, WechatPay};
    let preferred = mix.draw(rng);
    let (second, alone) = match preferred {
        Alipay => (WechatPay, 60.0),
        Paypal => (Card, 25.0),
        UnionPay => (Alipay, 25.0),
        _ => (Alipay, 60.0),
    };
    let mut methods = vec![preferred];
    if percent(rng) >= alone {
        methods.push(second);
    }
    // The account takes yuan only.
    if mix.transfers && preferred != Paypal {
        methods.push(Method::BankTransfer);
    }
    methods
}

/// The big ones, about as often as people have accounts there.
fn bank(rng: &mut ChaCha8Rng) -> &'static str {
    match percent(rng) {
        ..30.0 => "ICBC",
        ..52.0 => "CCB",
        ..72.0 => "ABC",
        ..86.0 => "BOC",
        _ => "CMB",
    }
}

fn card(rng: &mut ChaCha8Rng) -> Card {
    let saved = percent(rng) < 40.0;
    match (percent(rng) < 8.0, saved) {
        (false, false) => Card::Typed,
        (false, true) => Card::Saved,
        (true, false) => Card::TypedRefused,
        (true, true) => Card::SavedRefused,
    }
}

fn intent(rng: &mut ChaCha8Rng, by_card: bool) -> Intent {
    match percent(rng) {
        ..6.0 => Intent::Leaves,
        ..8.0 if !by_card => Intent::PaysOldCodeToo,
        _ => Intent::Pays,
    }
}

fn repeat(rng: &mut ChaCha8Rng) -> Repeat {
    match percent(rng) {
        ..4.0 => Repeat::DoubleClick,
        ..6.0 => Repeat::OrderAgain,
        _ => Repeat::Once,
    }
}

fn refund(rng: &mut ChaCha8Rng) -> Option<i64> {
    let asked = percent(rng) < 3.0;
    let share = rng.random_range(10..=90);
    asked.then_some(share)
}

/// Log-normal in minor units around 68 yuan or dollars, within what every channel takes.
fn amount(rng: &mut ChaCha8Rng) -> i64 {
    let (u, v) = (1.0 - rng.random_range(0.0..1.0_f64), rng.random_range(0.0..1.0_f64));
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    let fen = (6_800_f64.ln() + 0.9 * normal).exp().round();
    (fen as i64).clamp(500, 500_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Mix {
        Mix::of(&Shoppers::default()).unwrap()
    }

    #[test]
    fn a_scenario_says_who_comes_and_the_others_share_the_rest() {
        let mix = |prefer: &[(&str, u32)]| {
            let prefer = prefer.iter().map(|(name, share)| ((*name).to_owned(), *share));
            Mix::of(&Shoppers { prefer: prefer.collect(), ..Shoppers::default() })
        };
        let night = mix(&[("union_pay", 55)]).unwrap();
        let share = |method| night.shares.iter().find(|(m, _)| *m == method).unwrap().1;
        assert_eq!((share(Method::UnionPay), share(Method::Alipay)), (55.0, 23.0));
        assert_eq!(mix(&[]).unwrap().shares, USUAL);
        assert!(
            (mix(&[("card", 100)]).unwrap().shares.iter().map(|(_, s)| s).sum::<f64>() - 100.0)
                .abs()
                < 1e-9
        );
        let error = mix(&[("unionpay", 5)]).unwrap_err().to_string();
        assert!(error.starts_with("shoppers.prefer: `unionpay` is none of alipay,"), "{error}");
    }

    #[test]
    fn the_same_seed_is_the_same_day_and_another_is_another() {
        let plan = |seed, seconds| plan(seed, 50.0, Duration::from_secs(seconds), &usual());
        let day = plan(7, 20);
        assert_eq!(day, plan(7, 20));
        assert_ne!(day, plan(8, 20));
        let longer = plan(7, 30);
        assert_eq!(day, longer[..day.len()], "a longer day begins the same");
    }

    #[test]
    fn shares_are_about_what_they_are_meant_to_be() {
        let day = plan(1, 100.0, Duration::from_secs(100), &usual());
        let share = |test: &dyn Fn(&Visit) -> bool| {
            100.0 * day.iter().filter(|v| test(v)).count() as f64 / day.len() as f64
        };
        assert!((9_500..10_500).contains(&day.len()), "{}", day.len());
        let prefers = |method| share(&move |v: &Visit| v.methods[0] == method);
        for (method, meant) in USUAL {
            assert!((prefers(method) - meant).abs() < 2.0, "{method}: {}", prefers(method));
        }
        let by_union = |v: &Visit| v.methods[0] == Method::UnionPay;
        let icbc = share(&|v| v.bank == Some("ICBC")) / share(&by_union);
        assert!((icbc - 0.30).abs() < 0.05, "{icbc}");
        assert!(day.iter().all(|v| v.bank.is_some() == by_union(v)));
        assert!(
            day.iter().all(|v| (v.currency() == Currency::USD) == (v.methods[0] == Method::Paypal))
        );
        assert!((share(&|v| v.card.is_refused()) - 8.0).abs() < 1.0);
        assert!((share(&|v| v.refund_percent.is_some()) - 3.0).abs() < 1.0);
        assert!(day.iter().all(|v| (500..=500_000).contains(&v.amount_minor)));
        assert!(day.is_sorted_by_key(|v| v.at));
    }
}
