//! Texts with places to be filled, checked when they are read: a place that there is not is a
//! mistake then, and not a hole in a customer's mail.

use std::collections::BTreeMap;

use domain::{Locale, MerchantId};

use crate::kind::Kind;
use crate::text::usual;

/// Places that every text may have.
const EVERYWHERE: [&str; 5] = ["brand", "order", "subject", "amount", "link"];

/// Which text of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextPart {
    /// The subject of an e-mail, the title of a push message: one line.
    Subject,
    /// The e-mail. Paragraphs are apart by an empty line; a line that is a link alone becomes a
    /// button; a line with a place that nothing fills is left out.
    Text,
    /// The text message, the body of a push message: one line.
    Short,
}

/// Why a text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct BadTemplate {
    /// The rule that it breaks.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

/// A text that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Vec<Piece>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(&'static str),
}

impl Template {
    /// Reads a text of a kind of note.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub fn parse(text: &str, kind: Kind, part: TextPart) -> Result<Template, Vec<BadTemplate>> {
        let mut mistakes = Vec::new();
        let text = text.trim();
        let mut note = |rule: String, fix: &str| {
            mistakes.push(BadTemplate { rule, fix: fix.to_owned() });
        };
        if text.is_empty() {
            note("it is empty".into(), "write a text, or leave the setting out");
        }
        let longest = match part {
            TextPart::Subject => 200,
            TextPart::Text => 4_000,
            TextPart::Short => 300,
        };
        if text.chars().count() > longest {
            note(format!("it is longer than {longest} characters"), "shorten it");
        }
        if part != TextPart::Text && text.contains(['\n', '\r']) {
            note("it must be one line".into(), "leave line breaks out");
        }
        let places: Vec<&'static str> =
            EVERYWHERE.iter().chain(kind.own_places()).copied().collect();
        let lines = text.lines().map(|line| pieces(line, &places, &mut note)).collect();
        if mistakes.is_empty() { Ok(Template(lines)) } else { Err(mistakes) }
    }

    /// The text with its places filled. A line with a place that is filled by nothing is left
    /// out, if there are others.
    pub fn fill<'v>(&self, value: &dyn Fn(&str) -> &'v str) -> String {
        let line = |pieces: &Vec<Piece>| -> Option<String> {
            let mut line = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => line.push_str(text),
                    Piece::Place(name) if value(name).is_empty() && self.0.len() > 1 => {
                        return None;
                    }
                    Piece::Place(name) => line.push_str(value(name)),
                }
            }
            Some(line)
        };
        let mut text = String::new();
        for line in self.0.iter().filter_map(line) {
            // A paragraph that was left out leaves one empty line and not two.
            if !(line.is_empty() && (text.is_empty() || text.ends_with("\n\n"))) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text.trim().to_owned()
    }
}

fn pieces(line: &str, places: &[&'static str], note: &mut dyn FnMut(String, &str)) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let Some((name, after)) = from.strip_prefix('{').and_then(|text| text.split_once('}'))
        else {
            note(
                "it has a brace that belongs to no place".into(),
                "write places like {order}; a text cannot hold braces otherwise",
            );
            return pieces;
        };
        match places.iter().find(|place| **place == name) {
            Some(place) => pieces.push(Piece::Place(place)),
            None => {
                let known: Vec<String> = places.iter().map(|p| format!("{{{p}}}")).collect();
                let name: String = name.chars().take(40).collect();
                note(
                    format!("there is no place {{{name}}} in this kind of message"),
                    &format!("the places are {}", known.join(", ")),
                );
            }
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

type Key = (Option<MerchantId>, Kind, Locale, TextPart);

fn code(locale: Locale) -> u8 {
    match locale {
        Locale::Zh => 0,
        Locale::En => 1,
    }
}

/// Every text: the usual ones, and those that were written instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates(BTreeMap<(Option<MerchantId>, Kind, u8, TextPart), Template>);

impl Templates {
    /// Has a text stand in for the usual one, for one merchant or for all.
    pub fn set(&mut self, (merchant, kind, locale, part): Key, template: Template) {
        self.0.insert((merchant, kind, code(locale), part), template);
    }

    /// The text: the merchant's own, else everyone's, else the usual one.
    pub(crate) fn get(
        &self,
        merchant: &MerchantId,
        kind: Kind,
        locale: Locale,
        part: TextPart,
    ) -> Template {
        let own = |of: Option<MerchantId>| self.0.get(&(of, kind, code(locale), part)).cloned();
        let usual = || Template::parse(usual(kind, locale, part), kind, part).ok();
        // Every usual text reads, which a test sees to.
        own(Some(merchant.clone())).or_else(|| own(None)).or_else(usual).unwrap_or(Template(vec![]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_text_reads_and_no_text_message_is_long() {
        for kind in Kind::ALL {
            for locale in [Locale::Zh, Locale::En] {
                for part in [TextPart::Subject, TextPart::Text, TextPart::Short] {
                    let text = usual(kind, locale, part);
                    let read = Template::parse(text, kind, part);
                    assert!(read.is_ok(), "{kind} {locale:?} {part:?}: {read:?}");
                    let own = kind.own_places();
                    let says = own.iter().all(|place| text.contains(&format!("{{{place}}}")));
                    assert!(part != TextPart::Text || says, "{kind} {locale:?} leaves out {own:?}");
                }
            }
        }
    }

    #[test]
    fn every_mistake_of_a_text_is_told() {
        let bad = |text: &str, part| -> Vec<String> {
            let found = Template::parse(text, Kind::Paid, part).unwrap_err();
            found.into_iter().map(|mistake| mistake.rule).collect()
        };
        assert_eq!(bad("", TextPart::Text), ["it is empty"]);
        assert_eq!(
            bad("{ordre} {until}\n{x", TextPart::Subject),
            [
                "it must be one line",
                "there is no place {ordre} in this kind of message",
                "there is no place {until} in this kind of message",
                "it has a brace that belongs to no place",
            ]
        );
        assert_eq!(bad(&"x".repeat(301), TextPart::Short), ["it is longer than 300 characters"]);
        assert!(Template::parse("{refund}", Kind::Refunded, TextPart::Text).is_ok());
    }

    #[test]
    fn lines_that_nothing_fills_are_left_out() {
        let text = "Sorry.\n\nA coupon: {coupon}\n\n{brand}";
        let template = Template::parse(text, Kind::Apology, TextPart::Text).unwrap();
        let with = |coupon: &'static str| {
            template.fill(&move |name| if name == "coupon" { coupon } else { "Shop" })
        };
        assert_eq!(with("SAVE5"), "Sorry.\n\nA coupon: SAVE5\n\nShop");
        assert_eq!(with(""), "Sorry.\n\nShop");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_the_reader(text: String) {
            for part in [TextPart::Subject, TextPart::Text, TextPart::Short] {
                let _ = Template::parse(&text, Kind::Held, part);
            }
        }
    }
}
