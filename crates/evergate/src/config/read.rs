//! From a TOML document to typed tables, finding every mistake and not only the first.
//!
//! serde stops at its first error. So each table is read again and again: the entry that an
//! error points at is noted and taken out, a missing one is noted and filled with a stand-in,
//! until the table reads; the outcome is then good for nothing but finding the other mistakes,
//! which the caller knows because some were noted.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::Mistake;

/// Marks a stand-in, so that an error about it is not taken for the user's.
const NOWHERE: Range<usize> = usize::MAX..usize::MAX;

/// More mistakes than this in one table are more than anyone reads.
const ROUNDS: usize = 100;

/// A document being read, with the mistakes found so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Reader<'t> {
        Reader { text, mistakes: Vec::new() }
    }

    /// The text itself.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// The document's table, as far as it is TOML at all.
    pub(super) fn document(&mut self) -> Spanned<DeTable<'t>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            self.note(span, "", error.message(), "mend the TOML syntax here");
        }
        document
    }

    /// Notes a mistake at a place of the text.
    pub(super) fn note(&mut self, span: Range<usize>, field: &str, rule: &str, fix: &str) {
        let (line, column) = self.position(span.start);
        self.mistakes.push(Mistake {
            line,
            column,
            field: field.to_owned(),
            rule: rule.to_owned(),
            fix: fix.to_owned(),
        });
    }

    /// Where a text begins within a place, if it is written there as it reads.
    pub(super) fn find(&self, within: &Range<usize>, text: &str) -> Option<usize> {
        let start = self.text.get(within.clone())?.find(text)?;
        Some(within.start + start)
    }

    /// Line and column, both from 1, of a byte of the text.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Reads one table. `None` when it cannot be made readable.
    pub(super) fn table<T: DeserializeOwned>(
        &mut self,
        field: &str,
        value: &Spanned<DeValue<'t>>,
    ) -> Option<T> {
        let mut value = value.clone();
        let mut removed = BTreeSet::new();
        for _ in 0..ROUNDS {
            let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            if !self.mend(field, &mut value, &mut removed, &error) {
                return None;
            }
        }
        None
    }

    /// Notes the error and changes the table so that reading comes further.
    fn mend(
        &mut self,
        field: &str,
        value: &mut Spanned<DeValue<'t>>,
        removed: &mut BTreeSet<String>,
        error: &toml::de::Error,
    ) -> bool {
        let message = error.message();
        if let Some(missing) = quoted(message, "missing field `") {
            let whole = value.span();
            let DeValue::Table(table) = value.get_mut() else { return false };
            if !removed.contains(missing) {
                let fix = format!("add `{missing} = ...`");
                self.note(whole, &join(field, missing), "it is required", &fix);
            }
            let key = Spanned::new(NOWHERE, Cow::Owned(missing.to_owned()));
            let stand_in = Spanned::new(NOWHERE, DeValue::String(Cow::Borrowed("stand-in")));
            return table.insert(key, stand_in).is_none();
        }
        let span = error.span().unwrap_or_else(|| value.span());
        if span == NOWHERE {
            return next_stand_in(value);
        }
        let DeValue::Table(table) = value.get_mut() else {
            self.note(span, field, message, "write it as a table");
            return false;
        };
        let Some(key) = entry_at(table, &span) else {
            // The error knows no place: it is about the table as a whole.
            self.note(value.span(), field, message, FIX);
            return false;
        };
        let (rule, fix) = explain(message);
        self.note(span, &join(field, &key), &rule, &fix);
        table.remove(key.as_str());
        removed.insert(key);
        true
    }
}

const FIX: &str = "see `evergate config default` for what can be written here";

fn explain(message: &str) -> (String, String) {
    if let Some(unknown) = quoted(message, "unknown field `") {
        let known = message.split_once("expected ").map_or("", |(_, known)| known);
        let nearest = nearest(unknown, known);
        let fix = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("remove it, or write {known}"),
        };
        return ("there is no such setting".to_owned(), fix);
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        // The value itself is not repeated: it may be a secret (rule 13).
        let rule = format!("it must be {}, not {}", in_words(expected), in_words(found));
        return (rule, FIX.to_owned());
    }
    (message.trim().replace('\n', "; "), FIX.to_owned())
}

/// A type of serde's in words for people.
fn in_words(type_name: &str) -> &str {
    const WORDS: [(&str, &str); 12] = [
        ("string", "a text"),
        ("a string", "a text"),
        ("integer", "a number"),
        ("float", "a number"),
        ("u", "a whole number"),
        ("i", "a whole number"),
        ("f", "a number"),
        ("bool", "true or false"),
        ("a bool", "true or false"),
        ("sequence", "a list"),
        ("a sequence", "a list"),
        ("map", "a table"),
    ];
    let found = WORDS.iter().find(|(name, _)| type_name.starts_with(name));
    found.map_or(type_name, |(_, words)| words)
}

/// The known name that differs least, if it is near enough to be meant.
fn nearest<'k>(unknown: &str, known: &'k str) -> Option<&'k str> {
    let names = known.split('`').skip(1).step_by(2);
    names
        .map(|name| (distance(unknown, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

fn quoted<'m>(message: &'m str, opening: &str) -> Option<&'m str> {
    message.split_once(opening)?.1.split('`').next()
}

fn join(field: &str, key: &str) -> String {
    if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") }
}

/// The entry whose key or value covers the place.
fn entry_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let covers = |whole: Range<usize>| whole.start <= span.start && span.end <= whole.end;
    let found = table.iter().find(|(key, value)| covers(key.span()) || covers(value.span()));
    found.map(|(key, _)| key.get_ref().to_string())
}

/// Gives the stand-ins another type: one of them did not fit.
fn next_stand_in(value: &mut Spanned<DeValue<'_>>) -> bool {
    let DeValue::Table(table) = value.get_mut() else { return false };
    for (_, entry) in table.iter_mut().filter(|(key, _)| key.span() == NOWHERE) {
        let next = match entry.get_ref() {
            DeValue::String(_) => DeValue::Boolean(false),
            DeValue::Boolean(_) => DeValue::Array(Default::default()),
            DeValue::Array(_) => DeValue::Table(Default::default()),
            _ => continue,
        };
        *entry = Spanned::new(NOWHERE, next);
        return true;
    }
    false
}

/// Where a setting is written: `channels[2].app_id` as (`channels`, 2, `app_id`).
pub(super) fn place(
    document: &DeTable<'_>,
    section: &str,
    index: Option<usize>,
    key: &str,
) -> Range<usize> {
    let Some(value) = document.get(section) else { return 0..0 };
    let value = match (index, value.get_ref()) {
        (Some(index), DeValue::Array(entries)) => entries.get(index).unwrap_or(value),
        _ => value,
    };
    let found = match value.get_ref() {
        DeValue::Table(table) => table.get_key_value(key).map(|(key, _)| key.span()),
        _ => None,
    };
    found.unwrap_or_else(|| value.span())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        let known = "one of `bind`, `public_url`, `workers`";
        assert_eq!(nearest("publik_url", known), Some("public_url"));
        assert_eq!(nearest("worker", known), Some("workers"));
        assert_eq!(nearest("database", known), None);
    }
}
