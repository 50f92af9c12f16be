//! Fields of a request, read one by one; every mistake is noted, and told together at the end.
//!
//! No text that was sent is repeated in a mistake, but for names of unknown fields, which are
//! cut short: a value may be a secret or personal data (rule 13).

use std::ops::RangeInclusive;

use domain::InvalidText;
use serde_json::{Map, Value};

use crate::body::kind;
use crate::problem::{Mistake, Problem};

/// What a text may be.
pub(crate) struct Text {
    /// The most characters.
    pub(crate) max: usize,
    /// Which characters.
    pub(crate) allowed: fn(char) -> bool,
    /// The rule in words.
    pub(crate) rule: &'static str,
    /// How to mend it.
    pub(crate) fix: &'static str,
}

/// Reads the fields of one object.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    mistakes: Vec<Mistake>,
}

impl<'a> Fields<'a> {
    /// Begins; fields that are not `known` are mistakes.
    pub(crate) fn new(object: &'a Map<String, Value>, known: &[&str]) -> Fields<'a> {
        let strange = object.keys().filter(|name| !known.contains(&name.as_str()));
        let mistakes = strange.map(|name| unknown(name, known)).collect();
        Fields { object, mistakes }
    }

    /// Notes a mistake.
    pub(crate) fn mistake(
        &mut self,
        field: impl Into<String>,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.mistakes.push(Mistake::new(field, rule, fix));
    }

    /// A field's value; null is the same as absent.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Notes when a field is absent.
    pub(crate) fn require(&mut self, name: &str, fix: &str) {
        if self.value(name).is_none() {
            self.mistake(name, "is required", fix);
        }
    }

    /// A text as it is.
    pub(crate) fn string(&mut self, name: &str) -> Option<&'a str> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            other => {
                let rule = format!("must be a text, not {}", kind(other));
                self.mistake(name, rule, "put it in double quotes");
                None
            }
        }
    }

    /// A text within rules.
    pub(crate) fn text(&mut self, name: &str, rules: &Text) -> Option<String> {
        let text = self.string(name)?;
        let length = text.chars().count();
        if length == 0 || length > rules.max || !text.chars().all(rules.allowed) {
            self.mistake(name, rules.rule, rules.fix);
            return None;
        }
        Some(text.to_owned())
    }

    /// A text that is one of ours.
    pub(crate) fn parsed<T: std::str::FromStr<Err = InvalidText>>(
        &mut self,
        name: &str,
        fix: &str,
    ) -> Option<T> {
        let text = self.string(name)?;
        self.note(name, text.parse(), fix)
    }

    /// A text that is one of a few.
    pub(crate) fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(name)?;
        let found = choices.iter().find(|(choice, _)| *choice == text);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            let rule = format!("must be one of {}", names.join(", "));
            self.mistake(name, rule, format!("send \"{}\", for example", names[0]));
        }
        found.map(|(_, value)| *value)
    }

    /// A whole number within a range.
    pub(crate) fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<i64>,
        fix: &str,
    ) -> Option<i64> {
        let value = self.value(name)?;
        let rule = match value.as_i64() {
            Some(number) if range.contains(&number) => return Some(number),
            Some(number) if number < *range.start() => {
                format!("must be at least {}", range.start())
            }
            Some(_) => format!("must be at most {}", range.end()),
            None if value.as_u64().is_some() => format!("must be at most {}", range.end()),
            None => format!("must be a whole number, not {}", kind(value)),
        };
        self.mistake(name, rule, fix);
        None
    }

    /// Yes or no.
    pub(crate) fn boolean(&mut self, name: &str, fix: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(*value),
            other => {
                self.mistake(name, format!("must be true or false, not {}", kind(other)), fix);
                None
            }
        }
    }

    /// The value of a result, or its rule noted.
    pub(crate) fn note<T>(
        &mut self,
        name: &str,
        result: Result<T, InvalidText>,
        fix: &str,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistake(name, error.rule, fix);
                None
            }
        }
    }

    /// Takes the mistakes of other readers in.
    pub(crate) fn take(&mut self, mistakes: Vec<Mistake>) {
        self.mistakes.extend(mistakes);
    }

    /// Ends well, or with every mistake.
    pub(crate) fn end(self) -> Result<(), Problem> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Problem::mistakes(self.mistakes)) }
    }
}

fn unknown(name: &str, known: &[&str]) -> Mistake {
    let fix = match nearest(name, known) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("leave it out; the fields are {}", known.join(", ")),
    };
    Mistake::new(short(name), "is no field of this request", fix)
}

/// What is safe to repeat of a name that somebody sent.
fn short(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(40).collect()
}

/// A known name that is the same but for case, `-`, `_` and two letters.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| -> Vec<u8> {
        let letters = text.bytes().filter(u8::is_ascii_alphanumeric).take(40);
        letters.map(|b| b.to_ascii_lowercase()).collect()
    };
    let asked = plain(name);
    let near = known.iter().map(|k| (distance(&asked, &plain(k)), *k)).min()?;
    (near.0 <= 2 && asked.len() > 3).then_some(near.1)
}

/// How many letters must be put in, left out or replaced to make `a` into `b` (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The pairs of a query string as an object of texts; a name twice is a mistake.
pub(crate) fn query(raw: Option<&str>) -> Result<Map<String, Value>, Problem> {
    let mut map = Map::new();
    for (name, value) in form_urlencoded::parse(raw.unwrap_or("").as_bytes()) {
        if map.contains_key(name.as_ref()) {
            let mistake = Mistake::new(short(&name), "occurs twice", "send it once");
            return Err(Problem::mistakes(vec![mistake]));
        }
        map.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Ok(map)
}

/// A whole number in a query parameter.
pub(crate) fn query_integer(
    fields: &mut Fields<'_>,
    name: &str,
    range: RangeInclusive<i64>,
    fix: &str,
) -> Option<i64> {
    let text = fields.string(name)?;
    let number = Some(text).filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    match number.and_then(|t| t.parse().ok()).filter(|n| range.contains(n)) {
        Some(number) => Some(number),
        None => {
            let rule = format!("must be a whole number from {} to {}", range.start(), range.end());
            fields.mistake(name, rule, fix);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_guessed() {
        let known = ["amount", "order_no", "currency"];
        for (typed, meant) in [
            ("amout", Some("amount")),
            ("orderNo", Some("order_no")),
            ("Currency", Some("currency")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, &known), meant, "{typed}");
        }
        assert!(nearest(&"a".repeat(1_000_000), &known).is_none());
    }
}
