//! From facts to sentences: the usual texts in both languages, and how they become an e-mail
//! of two forms, a text message and a push message.

use std::fmt::Write as _;

use domain::{Locale, MerchantId, Money, Timestamp};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::settings::Settings;
use crate::template::TextPart;

/// What a text is filled with, as the note's row keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The merchant's order number.
    pub order: String,
    /// What is bought.
    pub subject: String,
    /// What it costs.
    pub amount: Money,
    /// What was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Money>,
    /// Until when the order is kept, or the subscription goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What makes up for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// Whether it answers what the customer has just done.
    #[serde(default)]
    pub is_answer: bool,
}

/// Where a note leads.
#[derive(Clone, Debug)]
pub struct Place {
    /// To the payment's page.
    pub link: String,
    /// To where reminders are unsubscribed from; `None` where nothing can be.
    pub unsubscribe: Option<String>,
}

/// A note in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// One line: an e-mail's subject, a push message's title.
    pub subject: String,
    /// The e-mail as plain text.
    pub text: String,
    /// The e-mail as HTML.
    pub html: String,
    /// One line: the text message, a push message's body.
    pub short: String,
}

/// Writes a note.
pub fn write(
    settings: &Settings,
    (kind, merchant, locale): (Kind, &MerchantId, Locale),
    facts: &Facts,
    place: &Place,
) -> Written {
    let zone = &settings.house(merchant).zone;
    let values: [(&str, String); 8] = [
        ("brand", one_line(settings.brand(merchant, locale), 60)),
        ("order", one_line(&facts.order, 64)),
        ("subject", one_line(&facts.subject, 120)),
        ("amount", money(facts.amount)),
        ("link", place.link.clone()),
        ("refund", facts.refund.map(money).unwrap_or_default()),
        ("until", facts.until.map(|at| time(at, zone, locale)).unwrap_or_default()),
        ("coupon", one_line(facts.coupon.as_deref().unwrap_or(""), 200)),
    ];
    let value = |name: &str| values.iter().find(|(known, _)| *known == name).map_or("", |(_, v)| v);
    let part = |part| settings.templates.get(merchant, kind, locale, part).fill(&value);
    let body = part(TextPart::Text);
    let footer = place.unsubscribe.as_deref().map(|link| (farewell(locale), link));
    Written {
        subject: one_line(&part(TextPart::Subject), 200),
        html: html(&body, &place.link, footer, locale),
        text: match footer {
            Some((words, link)) => format!("{body}\n\n-- \n{words}\n{link}\n"),
            None => format!("{body}\n"),
        },
        short: one_line(&part(TextPart::Short), 600),
    }
}

fn farewell(locale: Locale) -> &'static str {
    match locale {
        Locale::Zh => "不想再收到提醒？点此退订：",
        Locale::En => "No more reminders? Unsubscribe here:",
    }
}

/// A text without anything that could end a line or turn its direction, and not too long.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let plain: String = text.chars().map(|c| if is_odd(c) { ' ' } else { c }).collect();
    let mut line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(max) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

fn money(money: Money) -> String {
    match money.currency().code() {
        "CNY" => format!("¥{}", money.to_major()),
        code => format!("{} {code}", money.to_major()),
    }
}

/// A time by the merchant's clock, to the minute; with the zone where it is not China's.
fn time(at: Timestamp, zone: &TimeZone, locale: Locale) -> String {
    let Ok(at) = jiff::Timestamp::from_microsecond(at.as_micros()) else { return String::new() };
    let local = at.to_zoned_datetime(zone.clone());
    let china = local.offset().seconds() == 8 * 3_600;
    match (locale, china) {
        (Locale::Zh, true) => local.strftime("%-m月%-d日 %H:%M").to_string(),
        (Locale::Zh, false) => local.strftime("%-m月%-d日 %H:%M（UTC%:z）").to_string(),
        (Locale::En, _) => local.strftime("%-d %B, %H:%M (UTC%:z)").to_string(),
    }
}

/// How many messages of a telephone network a text takes: 70 signs of UCS-2 in one, 67 in each
/// of several; 160 and 153 where every sign is in the GSM alphabet's plain part (3GPP 23.038).
pub fn sms_parts(text: &str) -> usize {
    let plain = |c: char| matches!(c, ' '..='~') && !"[]\\^{}|~`".contains(c);
    let (units, whole, part) = match text.chars().all(plain) {
        true => (text.len(), 160, 153),
        false => (text.encode_utf16().count(), 70, 67),
    };
    if units <= whole { 1 } else { units.div_ceil(part) }
}

/// The e-mail as HTML that every reader shows: no script, no picture, nothing that is fetched.
fn html(body: &str, link: &str, footer: Option<(&str, &str)>, locale: Locale) -> String {
    const FONT: &str = "font:16px/1.6 -apple-system,'Segoe UI','PingFang SC',\
                        'Microsoft YaHei',sans-serif;color:#1c1e21";
    const BUTTON: &str = "display:inline-block;padding:10px 24px;border-radius:6px;\
                          background:#0b57d0;color:#ffffff;text-decoration:none";
    let (lang, go) = match locale {
        Locale::Zh => ("zh-CN", "打开订单"),
        Locale::En => ("en", "Open your order"),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\"></head>\
         <body style=\"margin:0;padding:24px;background:#f4f5f7\">\
         <div style=\"max-width:560px;margin:0 auto;padding:24px;background:#ffffff;{FONT}\">\n"
    );
    for paragraph in body.split("\n\n") {
        if paragraph.trim() == link {
            let link = escaped(link);
            // Writing to a text cannot fail.
            let _ = writeln!(
                page,
                "<p><a style=\"{BUTTON}\" href=\"{link}\">{go}</a></p>\n\
                 <p style=\"font-size:13px;color:#5f6368;word-break:break-all\">{link}</p>"
            );
        } else {
            let _ = writeln!(page, "<p>{}</p>", escaped(paragraph).replace('\n', "<br>\n"));
        }
    }
    if let Some((words, link)) = footer {
        let link = escaped(link);
        let _ = writeln!(
            page,
            "<p style=\"font-size:13px;color:#5f6368\">{words} <a style=\"color:#5f6368\" \
             href=\"{link}\">{link}</a></p>"
        );
    }
    page.push_str("</div></body></html>\n");
    page
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// The usual texts.
pub(crate) fn usual(kind: Kind, locale: Locale, part: TextPart) -> &'static str {
    let [subject, text, short] = match locale {
        Locale::Zh => zh(kind),
        Locale::En => en(kind),
    };
    match part {
        TextPart::Subject => subject,
        TextPart::Text => text,
        TextPart::Short => short,
    }
}

fn zh(kind: Kind) -> [&'static str; 3] {
    match kind {
        Kind::Held => [
            "【{brand}】订单 {order} 已为您保留，可稍后付款",
            "您好：\n\n支付暂时不可用，您的订单已保留，不会丢失。请在 {until} 前打开下面的链接付款。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{link}\n\n{brand}",
            "【{brand}】订单已保留至{until}，稍后付款：{link}",
        ],
        Kind::Extended => [
            "【{brand}】订单 {order} 的保留时间已延长",
            "您好：\n\n您的订单已延长保留，请在 {until} 前付款。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{link}\n\n{brand}",
            "【{brand}】订单已延长保留至{until}：{link}",
        ],
        Kind::Recovered => [
            "【{brand}】支付已恢复，订单 {order} 可以付款了",
            "您好：\n\n支付已恢复。您的订单仍为您保留，请在 {until} 前付款。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{link}\n\n{brand}",
            "【{brand}】支付已恢复，请于{until}前付款：{link}",
        ],
        Kind::ExpiresSoon => [
            "【{brand}】订单 {order} 的保留即将到期",
            "您好：\n\n您的订单保留到 {until}，到期未付款将自动取消。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{link}\n\n{brand}",
            "【{brand}】订单保留将于{until}到期：{link}",
        ],
        Kind::Paid => [
            "【{brand}】订单 {order} 已支付",
            "您好：\n\n我们已收到您的付款，感谢您的耐心等待。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{brand}",
            "【{brand}】订单{order}已支付{amount}。",
        ],
        Kind::Expired => [
            "【{brand}】订单 {order} 已到期",
            "您好：\n\n您的订单在保留期内没有完成付款，已自动结束。如仍需要，请重新下单。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{brand}",
            "【{brand}】订单{order}保留已到期，如仍需要请重新下单。",
        ],
        Kind::Refunded => [
            "【{brand}】订单 {order} 已退款 {refund}",
            "您好：\n\n退款 {refund} 已原路退回，到账时间以您的银行或钱包为准。\n\n订单：{order}（{subject}）\n\n{brand}",
            "【{brand}】订单{order}退款{refund}已原路退回。",
        ],
        Kind::Returned => [
            "【{brand}】订单 {order} 多收的 {refund} 已退回",
            "您好：\n\n我们误收了您 {refund}，已原路退回，到账时间以您的银行或钱包为准。给您带来不便，非常抱歉。您无需任何操作。\n\n订单：{order}（{subject}）\n\n{brand}",
            "【{brand}】订单{order}多收的{refund}已原路退回，抱歉给您带来不便。",
        ],
        Kind::Assist => [
            "【{brand}】我们会尽快联系您完成订单 {order} 的付款",
            "您好：\n\n支付暂时不可用，我们的同事会尽快与您联系，协助您付款。我们不会索要您的密码或验证码。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{link}\n\n{brand}",
            "【{brand}】同事将尽快联系您协助付款，绝不索要密码或验证码。",
        ],
        Kind::Grace => [
            "【{brand}】您的续费将稍后进行，服务不受影响",
            "您好：\n\n自动续费暂停，我们稍后再进行扣款。在 {until} 之前您的服务不受影响，无需任何操作。\n\n订单：{order}（{subject}）\n金额：{amount}\n\n{brand}",
            "【{brand}】续费延后，{until}前服务不受影响，无需操作。",
        ],
        Kind::Apology => [
            "【{brand}】关于订单 {order}，我们很抱歉",
            "您好：\n\n支付故障给您带来不便，非常抱歉。\n\n送您一份心意：{coupon}\n\n订单：{order}（{subject}）\n\n{brand}",
            "【{brand}】支付故障给您带来不便，非常抱歉。{coupon}",
        ],
    }
}

fn en(kind: Kind) -> [&'static str; 3] {
    match kind {
        Kind::Held => [
            "{brand}: your order {order} is kept, you can pay later",
            "Hello,\n\nPayment is not possible right now. Your order is kept and nothing is lost. Please open this link and pay before {until}.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{link}\n\n{brand}",
            "{brand}: your order is kept until {until}. Pay later: {link}",
        ],
        Kind::Extended => [
            "{brand}: your order {order} is kept for longer",
            "Hello,\n\nYour order is kept for longer. Please pay before {until}.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{link}\n\n{brand}",
            "{brand}: your order is now kept until {until}: {link}",
        ],
        Kind::Recovered => [
            "{brand}: you can pay for your order {order} now",
            "Hello,\n\nPayment works again. Your order is still kept; please pay before {until}.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{link}\n\n{brand}",
            "{brand}: payment works again. Pay before {until}: {link}",
        ],
        Kind::ExpiresSoon => [
            "{brand}: your order {order} is kept for a little while only",
            "Hello,\n\nYour order is kept until {until}. After that it ends by itself if it is not paid.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{link}\n\n{brand}",
            "{brand}: your order is kept only until {until}: {link}",
        ],
        Kind::Paid => [
            "{brand}: your order {order} is paid",
            "Hello,\n\nWe have your payment. Thank you for your patience.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{brand}",
            "{brand}: order {order} is paid, {amount}.",
        ],
        Kind::Expired => [
            "{brand}: your order {order} has ended",
            "Hello,\n\nYour order was not paid while it was kept, and has ended. Please order again if you still want it.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{brand}",
            "{brand}: order {order} has ended unpaid. Please order again if you still want it.",
        ],
        Kind::Refunded => [
            "{brand}: {refund} refunded for your order {order}",
            "Hello,\n\n{refund} went back the way it came. When it arrives depends on your bank or wallet.\n\nOrder: {order} ({subject})\n\n{brand}",
            "{brand}: {refund} refunded for order {order}.",
        ],
        Kind::Returned => [
            "{brand}: {refund} that we took by mistake went back to you",
            "Hello,\n\nWe took {refund} from you by mistake and have sent it back the way it came. When it arrives depends on your bank or wallet. We are sorry. There is nothing that you need to do.\n\nOrder: {order} ({subject})\n\n{brand}",
            "{brand}: {refund} that we took by mistake for order {order} went back to you. We are sorry.",
        ],
        Kind::Assist => [
            "{brand}: we will contact you about paying for your order {order}",
            "Hello,\n\nPayment is not possible right now. Our staff will contact you soon and help you pay. We never ask for passwords or codes.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{link}\n\n{brand}",
            "{brand}: our staff will contact you soon to help you pay. We never ask for passwords or codes.",
        ],
        Kind::Grace => [
            "{brand}: your renewal comes later, your service goes on",
            "Hello,\n\nAutomatic renewal is paused, and we will collect later. Your service goes on until {until}. There is nothing that you need to do.\n\nOrder: {order} ({subject})\nAmount: {amount}\n\n{brand}",
            "{brand}: your renewal comes later; your service goes on until {until}.",
        ],
        Kind::Apology => [
            "{brand}: we are sorry about your order {order}",
            "Hello,\n\nWe are sorry for the trouble that our payment outage gave you.\n\nPlease take this from us: {coupon}\n\nOrder: {order} ({subject})\n\n{brand}",
            "{brand}: we are sorry for the trouble with payment. {coupon}",
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::Currency;

    use super::*;
    use crate::settings::{Brand, House};
    use crate::{Limits, QuietHours, Templates, zone};

    fn settings() -> Settings {
        let brand = Some(Brand { zh: "示例商店".into(), en: "Sample & Sons".into() });
        let zone = zone("Asia/Shanghai").unwrap();
        let quiet = Some(QuietHours::default());
        Settings {
            usual: House { brand, from: None, zone, quiet },
            merchants: BTreeMap::new(),
            limits: Limits::default(),
            receipts_always: false,
            templates: Templates::default(),
        }
    }

    fn facts() -> Facts {
        Facts {
            order: "SO-1".into(),
            subject: "一杯咖啡 <b>&\r\nBcc: x@y.zz".into(),
            amount: Money::new(1_999, Currency::CNY).unwrap(),
            refund: None,
            until: Some(Timestamp::from_secs(1_795_530_600)),
            coupon: None,
            is_answer: true,
        }
    }

    fn place() -> Place {
        Place {
            link: "https://pay.example.com/pay/pay_01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
            unsubscribe: Some("https://pay.example.com/u/abc".into()),
        }
    }

    fn written(kind: Kind, locale: Locale) -> Written {
        let shop = MerchantId::new("shop").unwrap();
        write(&settings(), (kind, &shop, locale), &facts(), &place())
    }

    #[test]
    fn a_held_order_in_chinese() {
        let held = written(Kind::Held, Locale::Zh);
        assert_eq!(held.subject, "【示例商店】订单 SO-1 已为您保留，可稍后付款");
        assert!(held.text.contains("请在 11月24日 22:30 前"), "{}", held.text);
        assert!(held.text.contains("订单：SO-1（一杯咖啡 <b>& Bcc: x@y.zz）\n金额：¥19.99\n"));
        assert!(
            held.text.ends_with("点此退订：\nhttps://pay.example.com/u/abc\n"),
            "{}",
            held.text
        );
        assert!(held.html.contains("一杯咖啡 &lt;b&gt;&amp; Bcc"), "{}", held.html);
        assert!(held.html.contains(">打开订单</a>") && !held.html.contains("<b>"));
        assert!(held.short.starts_with("【示例商店】订单已保留至11月24日 22:30，稍后付款：https"));
        // The address alone takes 56 of the 70 signs that fit into one.
        assert_eq!(sms_parts(&held.short), 2);
    }

    #[test]
    fn a_held_order_in_english() {
        let held = written(Kind::Held, Locale::En);
        assert_eq!(held.subject, "Sample & Sons: your order SO-1 is kept, you can pay later");
        assert!(held.text.contains("pay before 24 November, 22:30 (UTC+08:00)."), "{}", held.text);
        assert!(held.html.contains("Sample &amp; Sons"));
    }

    #[test]
    fn no_text_holds_a_second_line_where_it_may_not() {
        for kind in Kind::ALL {
            for locale in [Locale::Zh, Locale::En] {
                let note = written(kind, locale);
                for line in [&note.subject, &note.short] {
                    assert!(!line.is_empty() && !line.contains(['\r', '\n']), "{line}");
                }
                assert!(!note.text.contains(['{', '}', '\r']), "{}", note.text);
            }
        }
    }

    #[test]
    fn messages_of_the_network_are_counted() {
        assert_eq!(sms_parts(&"a".repeat(160)), 1);
        assert_eq!(sms_parts(&"a".repeat(161)), 2);
        assert_eq!(sms_parts(&"字".repeat(70)), 1);
        assert_eq!(sms_parts(&"字".repeat(71)), 2);
        assert_eq!(sms_parts(&"字".repeat(135)), 3);
    }

    #[test]
    fn texts_without_a_link_fit_into_one_message_in_chinese() {
        for kind in [Kind::Paid, Kind::Expired, Kind::Refunded, Kind::Assist, Kind::Grace] {
            let short = written(kind, Locale::Zh).short;
            assert_eq!(sms_parts(&short), 1, "{short}");
        }
    }
}
