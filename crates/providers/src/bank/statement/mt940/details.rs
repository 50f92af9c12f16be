//! `:86:`, what the bank tells about an entry: in numbered parts, in parts with code words, or
//! as free text.

use super::super::Party;
use super::super::common::{joined, some};
use super::super::identity::real_reference;

/// What was told.
#[derive(Default)]
pub(super) struct Details {
    pub(super) party: Party,
    pub(super) text: String,
    pub(super) end_to_end: Option<String>,
}

pub(super) fn read(value: &str) -> Details {
    numbered(value)
        .or_else(|| worded(value))
        .unwrap_or_else(|| Details { text: unwrapped(value.lines(), 65), ..Details::default() })
}

/// Joins parts that were cut at a fixed length: a full one goes on in the next without a blank.
fn unwrapped<'t>(parts: impl Iterator<Item = &'t str>, full: usize) -> String {
    let mut text = String::new();
    let mut cut = true;
    for part in parts {
        if !cut {
            text.push(' ');
        }
        text.push_str(part);
        cut = part.chars().count() == full;
    }
    joined([text.as_str()])
}

/// Three digits, then parts that begin with `?` and two digits: 20-29 and 60-63 the text, 31 the
/// account, 32 and 33 the name.
fn numbered(value: &str) -> Option<Details> {
    let joined_lines: String = value.lines().collect();
    let code = joined_lines.get(..3)?;
    let parts = joined_lines.get(3..)?.strip_prefix('?')?;
    if !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<(u8, &str)> = parts
        .split('?')
        .filter_map(|part| {
            let (number, text) = part.split_at_checked(2)?;
            Some((number.parse().ok()?, text))
        })
        .collect();
    let of = |numbers: &[std::ops::RangeInclusive<u8>]| -> Vec<&str> {
        let wanted = |n: u8| numbers.iter().any(|range| range.contains(&n));
        parts.iter().filter(|(n, _)| wanted(*n)).map(|(_, text)| *text).collect()
    };
    let text = unwrapped(of(&[20..=29, 60..=63]).into_iter(), 27);
    let name = unwrapped(of(&[32..=33]).into_iter(), 27);
    let account = of(&[31..=31]).concat();
    Some(Details {
        party: Party { name: some(&name), account: some(&account) },
        end_to_end: labelled(&text, "EREF+"),
        text,
    })
}

/// What follows a label such as `EREF+`, up to the next of its kind.
fn labelled(text: &str, label: &str) -> Option<String> {
    let (_, rest) = text.split_once(label)?;
    let next = rest.match_indices('+').find_map(|(at, _)| {
        let word = rest.get(at.checked_sub(4)?..at)?;
        word.bytes().all(|b| b.is_ascii_uppercase()).then(|| at - 4)
    });
    real_reference(&rest[..next.unwrap_or(rest.len())])
}

/// The code words that begin a part; others are text.
const WORDS: [&str; 17] = [
    "TRTP", "IBAN", "BIC", "NAME", "REMI", "EREF", "ORDP", "BENM", "CNTP", "USTD", "STRD", "CSID",
    "MARF", "PURP", "RTRN", "PREF", "KREF",
];

/// Parts that begin with `/WORD/`.
fn worded(value: &str) -> Option<Details> {
    let line = unwrapped(value.lines(), 65);
    if !line.starts_with('/') {
        return None;
    }
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for token in line[1..].split('/') {
        match parts.last_mut() {
            _ if WORDS.contains(&token) => parts.push((token, Vec::new())),
            Some((_, values)) => values.push(token),
            None => return None,
        }
    }
    let of = |word: &str| -> String {
        let found = parts.iter().filter(|(w, _)| *w == word);
        joined(
            found
                .map(|(_, values)| values.join("/"))
                .collect::<Vec<_>>()
                .iter()
                .map(|v| v.trim_matches('/')),
        )
    };
    let partner = parts.iter().find(|(w, _)| *w == "CNTP").map(|(_, v)| v.clone());
    let partner = |at: usize| partner.as_ref().and_then(|v| v.get(at).and_then(|t| some(t)));
    Some(Details {
        party: Party {
            name: some(&of("NAME")).or_else(|| partner(2)),
            account: some(&of("IBAN")).or_else(|| partner(0)),
        },
        text: joined([of("REMI").as_str(), &of("USTD"), &of("STRD")]),
        end_to_end: real_reference(&of("EREF")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_parts_are_told_apart() {
        let told = read(
            "166?00GUTSCHRIFT?109310?20EREF+INV-2026-0042SVWZ+EG7\n?21K-9M2P-QXRT?30COBADEFF\
             ?31DE89370400440532013000?32ERIKA MUSTERMANN ?33UND SOHN",
        );
        assert_eq!(told.text, "EREF+INV-2026-0042SVWZ+EG7 K-9M2P-QXRT");
        assert_eq!(told.end_to_end.as_deref(), Some("INV-2026-0042"));
        assert_eq!(told.party.account.as_deref(), Some("DE89370400440532013000"));
        assert_eq!(told.party.name.as_deref(), Some("ERIKA MUSTERMANN UND SOHN"));
    }

    #[test]
    fn parts_with_code_words_are_told_apart() {
        let told = read(
            "/TRTP/SEPA/IBAN/NL91ABNA0417164300/BIC/ABNANL2A/NAME/J JANSEN\n\
             /REMI/EG7K-9M2P-QXRT order 7/8/EREF/NOTPROVIDED",
        );
        assert_eq!(told.text, "EG7K-9M2P-QXRT order 7/8");
        assert_eq!(told.end_to_end, None);
        assert_eq!(told.party.name.as_deref(), Some("J JANSEN"));
        let told = read("/CNTP/NL91ABNA0417164300/ABNANL2A/J JANSEN//REMI/USTD//EG7K/EREF/A-1/");
        assert_eq!((told.text.as_str(), told.end_to_end.as_deref()), ("EG7K", Some("A-1")));
        assert_eq!(told.party.account.as_deref(), Some("NL91ABNA0417164300"));
        assert_eq!(told.party.name.as_deref(), Some("J JANSEN"));
    }

    #[test]
    fn free_text_is_joined_where_it_was_cut() {
        let cut = "A".repeat(65);
        assert_eq!(read(&format!("{cut}\nB\nC")).text, format!("{cut}B C"));
        assert_eq!(read("123 ABC").text, "123 ABC");
        assert_eq!(read("").text, "");
    }
}
