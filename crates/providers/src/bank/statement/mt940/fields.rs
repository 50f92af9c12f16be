//! The tagged fields of a file of MT940 messages.

use super::super::common::number;

/// A field: its tag without colons, and its lines.
pub(super) struct Tagged<'t> {
    pub(super) line: u32,
    pub(super) tag: &'t str,
    pub(super) value: String,
}

impl Tagged<'_> {
    pub(super) fn name(&self) -> String {
        format!(":{}:", self.tag)
    }
}

/// All fields in order. Envelopes (`{1:...}{4:`, `-}`) are passed over; a line that begins with
/// no tag goes on with the field before.
pub(super) fn fields(text: &str) -> Vec<Tagged<'_>> {
    let mut fields: Vec<Tagged<'_>> = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        let line = unwrapped(line);
        match tagged(line) {
            Some((tag, value)) => {
                inside = true;
                fields.push(Tagged { line: number(at + 1), tag, value: value.to_owned() });
            }
            None if line.trim_end() == "-" || line.starts_with("-}") || line.starts_with('{') => {
                inside = false;
            }
            None if inside => {
                if let Some(field) = fields.last_mut() {
                    field.value.push('\n');
                    field.value.push_str(line);
                }
            }
            None => {}
        }
    }
    fields
}

/// A line without the blocks of an envelope before its text.
fn unwrapped(line: &str) -> &str {
    let line = line.trim_start_matches('\u{1}');
    match line.starts_with('{').then(|| line.rfind("{4:")).flatten() {
        Some(at) => &line[at + 3..],
        None => line,
    }
}

/// `:61:...` and the like: two digits and perhaps a letter.
fn tagged(line: &str) -> Option<(&str, &str)> {
    let (tag, value) = line.strip_prefix(':')?.split_once(':')?;
    let (number, option) = tag.split_at_checked(2)?;
    let good = number.bytes().all(|b| b.is_ascii_digit())
        && option.len() < 2
        && option.bytes().all(|b| b.is_ascii_uppercase());
    good.then_some((tag, value))
}
