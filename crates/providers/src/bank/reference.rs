//! The code that a customer writes into a transfer's remittance text.
//!
//! Twelve letters and digits that are not taken for one another (no 0, 1, I, L, O): nine say
//! which order, three check. The check is a Reed-Solomon code over the 31 characters: any two
//! references differ in four places at least, so that up to three wrong characters, and every
//! pair of exchanged ones, are always noticed, and one wrong character still shows what was
//! meant. Other text passes for a reference once in 29,791 tries.
//!
//! Nine characters have 31^9 = 2.6 * 10^13 values: among 100,000 references that are live at
//! once, any two are the same with a probability of 0.02 %. Whoever matches must notice that and
//! leave it to a person; it costs time and no money.
//!
//! What is *not* here: which references are live, and what a transfer that names one is for.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use domain::ProviderOrderNo;
use serde::{Deserialize, Serialize};

/// 31 characters, a prime number of them, so that they count as a field.
const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
const PRIME: u16 = 31;
const LENGTH: usize = 12;
const DATA: usize = 9;
/// (x - 3)(x - 9)(x - 27) modulo 31, highest power first; 3 generates the field.
const GENERATOR: [u16; 4] = [1, 23, 10, 15];

/// A payment reference: the same for the same provider order number, always (rule 8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference([u8; LENGTH]);

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Not twelve characters of the alphabet.
    #[error("a payment reference is 12 of the characters 2-9 and A-Z without I, L and O")]
    Form,
    /// The check characters do not fit: a character is wrong.
    #[error("the payment reference has a wrong character; compare it with the payer's text")]
    Check,
}

impl Reference {
    /// The reference of one order.
    pub fn of(number: &ProviderOrderNo) -> Reference {
        // The label keeps these digests apart from any other use of the number.
        let digest = digest(&SHA256, format!("evergate bank {number}").as_bytes());
        let mut value =
            digest.as_ref()[..16].iter().fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
        let mut data = [0; DATA];
        for place in &mut data {
            *place = (value % u128::from(PRIME)) as u16;
            value /= u128::from(PRIME);
        }
        encode(data)
    }

    /// The twelve characters without hyphens, as a copy button gives them.
    pub fn compact(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Every reference in a free text, in order and once each.
    ///
    /// Case, width, spaces, line breaks, hyphens and all other punctuation count for nothing;
    /// letters of other scripts, and characters that no reference has, end a run.
    pub fn find(text: &str) -> Vec<Reference> {
        let mut found: Vec<Reference> = Vec::new();
        for reference in windows(text).filter_map(|window| checked(window).ok()) {
            if !found.contains(&reference) {
                found.push(reference);
            }
        }
        found
    }

    /// Every reference that a text holds with one wrong character or with two neighbours
    /// exchanged, in order and once each; those that it holds rightly are not told again. Good
    /// for a suggestion to a person and for nothing else.
    pub fn near(text: &str) -> Vec<Reference> {
        let mut found: Vec<Reference> = Vec::new();
        let wrong = windows(text).filter(|window| checked(*window).is_err());
        for reference in wrong.flat_map(corrections) {
            if !found.contains(&reference) {
                found.push(reference);
            }
        }
        found
    }
}

fn corrections(window: [u8; LENGTH]) -> Vec<Reference> {
    let mut found = Vec::new();
    for place in 0..LENGTH {
        let replaced = ALPHABET.iter().map(|byte| {
            let mut other = window;
            other[place] = *byte;
            other
        });
        found.extend(replaced.filter_map(|other| checked(other).ok()));
        if place + 1 < LENGTH {
            let mut other = window;
            other.swap(place, place + 1);
            found.extend(checked(other));
        }
    }
    found
}

/// All runs of twelve characters that a reference could consist of.
fn windows(text: &str) -> impl Iterator<Item = [u8; LENGTH]> + use<> {
    let mut runs = vec![Vec::new()];
    for c in text.chars().map(narrow) {
        match u8::try_from(c.to_ascii_uppercase()) {
            Ok(byte) if ALPHABET.contains(&byte) => {
                if let Some(run) = runs.last_mut() {
                    run.push(byte);
                }
            }
            _ if c.is_alphanumeric() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.into_iter().flat_map(|run: Vec<u8>| {
        let window = |w: &[u8]| w.try_into().ok();
        run.windows(LENGTH).filter_map(window).collect::<Vec<[u8; LENGTH]>>()
    })
}

/// The ASCII form of a full-width character; others as they are.
pub(crate) fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

fn value_of(byte: u8) -> Option<u16> {
    ALPHABET.iter().position(|a| *a == byte).and_then(|at| u16::try_from(at).ok())
}

/// Moves every place by its own distance, so that runs of one character are no references.
fn shifted(value: u16, place: usize) -> usize {
    (usize::from(value) + place + 1) % usize::from(PRIME)
}

fn encode(data: [u16; DATA]) -> Reference {
    let mut rest = [0; LENGTH];
    rest[..DATA].copy_from_slice(&data);
    for i in 0..DATA {
        let lead = rest[i];
        for (j, factor) in GENERATOR.iter().enumerate() {
            rest[i + j] = (rest[i + j] + (PRIME - lead) * factor) % PRIME;
        }
    }
    let mut code = [0; LENGTH];
    for (i, place) in code.iter_mut().enumerate() {
        let value = if i < DATA { data[i] } else { (PRIME - rest[i]) % PRIME };
        *place = ALPHABET[shifted(value, i)];
    }
    Reference(code)
}

fn checked(text: [u8; LENGTH]) -> Result<Reference, InvalidReference> {
    let mut values = [0; LENGTH];
    for (i, byte) in text.iter().enumerate() {
        let value = value_of(*byte).ok_or(InvalidReference::Form)?;
        let back = u16::try_from((i + 1) % usize::from(PRIME)).unwrap_or_default();
        values[i] = (value + PRIME - back) % PRIME;
    }
    let vanishes = |root: u16| values.iter().fold(0, |sum, v| (sum * root + v) % PRIME) == 0;
    if [3, 9, 27].into_iter().all(vanishes) {
        Ok(Reference(text))
    } else {
        Err(InvalidReference::Check)
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// Reads one reference and nothing else; case, width, spaces and hyphens count for nothing.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let plain: Vec<u8> = text
            .chars()
            .map(narrow)
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| u8::try_from(c.to_ascii_uppercase()).map_err(|_| InvalidReference::Form))
            .collect::<Result<_, _>>()?;
        checked(plain.try_into().map_err(|_| InvalidReference::Form)?)
    }
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;
    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.compact();
        write!(f, "{}-{}-{}", &text[..4], &text[4..8], &text[8..])
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
