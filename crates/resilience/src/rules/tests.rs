use std::collections::BTreeMap;
use std::time::Instant;

use domain::{Currency, Flow, Locale, Method, Purpose, Tier, Timestamp};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

struct Shop {
    metadata: BTreeMap<String, String>,
    zone: TimeZone,
}

impl Shop {
    fn new() -> Shop {
        let metadata = BTreeMap::from([("brand".to_owned(), "luna".to_owned())]);
        Shop { metadata, zone: TimeZone::fixed(jiff::tz::offset(8)) }
    }

    /// 2026-11-24 is a Tuesday; 02:05 UTC is 10:05 in Shanghai.
    fn facts(&self) -> Facts<'_> {
        Facts {
            method: Method::Alipay,
            amount_minor: 12_50,
            currency: Currency::CNY,
            issuer: "icbc",
            purpose: Purpose::Checkout,
            tier: Tier::Vip,
            flow: Flow::Presented,
            locale: Locale::Zh,
            merchant: None,
            metadata: &self.metadata,
            now: Timestamp::from_secs(1_795_485_900),
            zone: &self.zone,
        }
    }
}

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn channels() -> Vec<ChannelId> {
    ["alipay-a", "alipay-b", "stripe"].map(channel).to_vec()
}

fn rule(name: &str, when: &str, then: Then) -> RuleText {
    RuleText { name: name.into(), when: Some(when.into()), then, goes_on: false }
}

fn prefer(name: &str) -> Then {
    Then { prefer: vec![channel(name)], ..Then::default() }
}

fn holds(when: &str) -> Result<bool, String> {
    let shop = Shop::new();
    let expression = Expression::read(when).map_err(|wrong| wrong.to_string())?;
    expression.holds(&Scope::of(&shop.facts()))
}

fn payment(n: u128) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(n))
}

#[test]
fn conditions_see_the_payment() {
    for when in [
        "method == 'alipay'",
        "amount_minor >= 1250 && amount_minor < 1251",
        "amount_minor % 100 == 50 && amount_minor / 100 + 1 - 1 * 1 == 12",
        "currency in ['CNY', 'HKD'] && issuer != 'abc'",
        "purpose == 'checkout' && tier == 'vip' && flow == 'presented' && locale == 'zh'",
        "merchant == ''",
        "metadata.brand == 'luna' && metadata['brand'].startsWith('lu')",
        "'brand' in metadata && !('shop' in metadata) && has(metadata.brand)",
        "has(metadata.shop) ? metadata.shop == 'x' : true",
        "date == '2026-11-24' && time >= '10:00' && time < '10:06'",
        "weekday == 'tue' && !(weekday in ['sat', 'sun'])",
        "issuer.size() == 4 && size(issuer) == 4 && issuer.contains('cb') && issuer.endsWith('c')",
        "method == 'card' || (tier == 'vip' && -amount_minor < 0)",
    ] {
        assert_eq!(holds(when), Ok(true), "{when}");
    }
    assert_eq!(holds("method == 'card'"), Ok(false));
    assert_eq!(holds("amount_minor in [1, 2]"), Ok(false));
}

#[test]
fn what_cannot_be_said_is_told_without_values() {
    let told = [
        ("metadata.shop == 'x'", "the payment's metadata has no such name"),
        ("amount_minor * 9223372036854775807 > 0", "a number is out of range"),
        ("1 / (amount_minor - 1250) > 0", "a division by zero"),
    ];
    for (when, why) in told {
        assert_eq!(holds(when), Err(why.to_owned()), "{when}");
    }
}

#[test]
fn mistakes_are_found_when_a_condition_is_read() {
    let told = |when: &str| match Expression::read(when) {
        Ok(_) => "read".to_owned(),
        Err(Wrong { at, rule, fix }) => format!("{when}\n  {at}: {rule}\n  fix: {fix}"),
    };
    let long = format!("issuer == '{}'", "x".repeat(TEXT_MAX));
    let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
    let sums = format!("amount_minor > 1{}", "+1".repeat(200));
    let whens = [
        "",
        "methd == 'alipay'",
        "method == 'alipai'",
        "method in ['alipay', 'wechat']",
        "method == alipay",
        "amount_minor >= '100'",
        "amount_minor >= 12.5",
        "amount_minor",
        "method = 'alipay'",
        "method == 'alipay",
        "method == 'alipay' and tier == 'vip'",
        "issuer.matches('.*')",
        "['a', 'b'].all(x, x == issuer)",
        "metadata == 'x'",
        "issuer.name == 'x'",
        "issuer in []",
        "time >= 9",
        "{'a': 1}['a'] == 1",
        "订单 == 'x'",
        "issuer == 'a\\'b'",
        "issuer == '''a'''",
        "tier == 'vip' // staff",
        "issuer == '(a)'",
        "(tier == 'vip'",
        "(tier == 'vip']",
    ];
    let mut all: Vec<String> = whens.iter().map(|when| told(when)).collect();
    for long in [long, deep, sums] {
        let Err(Wrong { at, rule, fix }) = Expression::read(&long) else { panic!("{long}") };
        all.push(format!("(long)\n  {at}: {rule}\n  fix: {fix}"));
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn places_are_counted_in_characters() {
    let wrong = Expression::read("issuer == '工商银行' && methd == 'x'").unwrap_err();
    assert_eq!(wrong.at, 21);
    let wrong = Expression::read("issuer == '工商银行' &&\n methd == 'x'").unwrap_err();
    assert_eq!(wrong.at, 22);
}

#[test]
fn the_first_rule_that_holds_decides_unless_it_goes_on() {
    let shop = Shop::new();
    let avoid = Then { avoid: vec![channel("alipay-a")], ..Then::default() };
    let only = Then { only: vec![channel("alipay-a"), channel("alipay-b")], ..Then::default() };
    let mut texts = vec![
        rule("never", "method == 'card'", prefer("stripe")),
        RuleText { goes_on: true, ..rule("keep", "currency == 'CNY'", only) },
        RuleText { goes_on: true, ..rule("broken", "metadata.shop == 'x'", prefer("stripe")) },
        rule("night", "true", avoid),
        rule("after", "true", prefer("alipay-a")),
    ];
    let rules = Rules::read(&texts, &channels()).unwrap();
    let ruling = rules.judge(&shop.facts(), None);
    assert_eq!(ruling.matched().collect::<Vec<_>>(), ["keep", "night"]);
    assert_eq!(ruling.failed()[0].rule, "broken");
    assert_eq!(ruling.standing(&channel("stripe")), Standing::Out("keep"));
    assert_eq!(ruling.standing(&channel("alipay-a")), Standing::Avoided("night"));
    assert_eq!(ruling.standing(&channel("alipay-b")), Standing::Plain);
    texts[3].goes_on = true;
    let rules = Rules::read(&texts, &channels()).unwrap();
    let ruling = rules.judge(&shop.facts(), None);
    assert_eq!(
        ruling.standing(&channel("alipay-a")),
        Standing::Avoided("night"),
        "the earlier counts"
    );
}

#[test]
fn a_split_is_sticky_and_keeps_its_proportions() {
    let shop = Shop::new();
    let split = BTreeMap::from([(channel("alipay-a"), 70), (channel("alipay-b"), 30)]);
    let then = Then { split, ..Then::default() };
    let twice = [
        RuleText { goes_on: true, ..rule("first", "true", then.clone()) },
        rule("second", "true", then),
    ];
    let rules = Rules::read(&twice, &channels()).unwrap();
    let falls = |n: u128, index: usize| {
        let ruling = rules.judge(&shop.facts(), Some(payment(n)));
        ruling.matched[index].share.cloned().unwrap()
    };
    let all = 20_000_u128;
    let on_a: Vec<bool> = (0..all).map(|n| falls(n, 0) == channel("alipay-a")).collect();
    let share = on_a.iter().filter(|a| **a).count();
    assert!((13_700..=14_300).contains(&share), "{share} of {all}");
    let both = (0..all).filter(|n| on_a[*n as usize] && falls(*n, 1) == channel("alipay-a"));
    let both = both.count();
    assert!((9_400..=10_200).contains(&both), "{both}: two splits fall independently, 49 %");
    assert!((0..100).all(|n| falls(n, 0) == falls(n, 0)));
    let ruling = rules.judge(&shop.facts(), None);
    assert_eq!(
        ruling.standing(&channel("alipay-a")),
        Standing::Preferred { step: 0, place: 0, rule: "first" }
    );
    assert_eq!(
        ruling.standing(&channel("alipay-b")),
        Standing::Preferred { step: 1, place: 0, rule: "first" }
    );
    assert_eq!(ruling.standing(&channel("stripe")), Standing::Plain);
    let (_, action) = ruling.actions().next().unwrap();
    assert_eq!(action, "split alipay-a 70, alipay-b 30: alipay-a");
}

#[test]
fn every_mistake_of_every_rule_is_told() {
    let both = Then {
        split: BTreeMap::from([(channel("alipay-a"), 0)]),
        avoid: vec![channel("alipay-a")],
        only: vec![channel("stripe")],
        ..prefer("nowhere")
    };
    let texts = [
        rule("", "true", Then::default()),
        rule("twice", "true", prefer("stripe")),
        rule("twice", "amount > 5", both),
    ];
    let wrong = Rules::read(&texts, &channels()).unwrap_err();
    let told: Vec<String> = wrong.iter().map(|w| format!("{w} (fix: {})", w.fix)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

/// Pieces from which odd conditions are made.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "method",
        "amount_minor",
        "metadata",
        "metadata.brand",
        "'alipay'",
        "1",
        "0x1",
        "1.5",
        "1u",
        "9223372036854775807",
        "true",
        "null",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        ",",
        "?",
        ":",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        " in ",
        "all(",
        "has(",
        "size(",
        ".map(x, x)",
        ".startsWith('a')",
        "'",
        "\"",
        "\\",
        "b'",
        "r'",
        "\n",
        "é",
        "订",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Conditions that are mostly well formed, to get past the reader.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "method == 'alipay'",
        "amount_minor > 10",
        "tier in ['vip']",
        "has(metadata.brand)",
        "metadata.none == 'x'",
        "amount_minor * amount_minor > 5",
        "issuer.startsWith('i')",
        "true",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 32, 3, |inner| {
        (inner.clone(), inner.clone(), inner, 0..4).prop_map(|(a, b, c, shape)| match shape {
            0 => format!("({a} && {b})"),
            1 => format!("({a} || {b})"),
            2 => format!("!({a})"),
            _ => format!("({a} ? {b} : {c})"),
        })
    })
}

proptest! {

    /// No text panics, and none takes long to refuse; what is accepted is evaluated quickly.
    #[test]
    fn any_text_is_read_and_evaluated_in_bounded_time(
        text in prop_oneof![pieces(), condition(), any::<String>()],
        (repeats, depth) in (1..40_usize, 0..=DEPTH_MAX),
    ) {
        let text = text.repeat(repeats);
        let text = format!("{}{text}{}", "(".repeat(depth), ")".repeat(depth));
        let begun = Instant::now();
        if let Ok(expression) = Expression::read(&text) {
            let read = begun.elapsed();
            let _ = expression.holds(&Scope::of(&Shop::new().facts()));
            prop_assert!((begun.elapsed() - read).as_millis() < 200, "{}", text);
        }
        prop_assert!(begun.elapsed().as_secs() < 10, "{}", text);
    }

    /// Rules never lose a channel: each stands somewhere, and only an `only` takes one out.
    #[test]
    fn every_channel_stands_somewhere(whens in prop::collection::vec(condition(), 0..6), id: u128) {
        let then = |n: usize| match n % 3 {
            0 => prefer("alipay-b"),
            1 => Then { avoid: vec![channel("alipay-a")], ..Then::default() },
            _ => Then { split: channels().into_iter().zip(1..).collect(), ..Then::default() },
        };
        let texts: Vec<RuleText> = whens.iter().enumerate().map(|(n, when)| RuleText {
            goes_on: n % 2 == 0, ..rule(&format!("rule {n}"), when, then(n))
        }).collect();
        if let Ok(rules) = Rules::read(&texts, &channels()) {
            let shop = Shop::new();
            let facts = shop.facts();
            let ruling = rules.judge(&facts, Some(payment(id)));
            for channel in channels() {
                prop_assert!(!matches!(ruling.standing(&channel), Standing::Out(_)));
            }
        }
    }
}
