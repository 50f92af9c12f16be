//! Mistakes in settings, collected.

use std::path::Path;

use domain::ChannelId;

/// One mistake: where, which rule, and what to do. Never holds a setting's secret value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}; {fix}")]
pub struct SettingError {
    /// The field, with its channel in front: `channels.alipay-main.private_key`.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
    /// What to do about it.
    pub fix: String,
}

/// The mistakes of one channel so far.
pub(crate) struct Mistakes {
    channel: String,
    found: Vec<SettingError>,
}

impl Mistakes {
    pub(crate) fn new(channel: &ChannelId) -> Mistakes {
        Mistakes { channel: channel.to_string(), found: Vec::new() }
    }

    /// Notes a mistake.
    pub(crate) fn add(&mut self, field: &str, rule: &str, fix: &str) {
        self.found.push(SettingError {
            field: format!("channels.{}.{field}", self.channel),
            rule: rule.to_owned(),
            fix: fix.to_owned(),
        });
    }

    /// The value, or a note of why there is none.
    pub(crate) fn take<T>(
        &mut self,
        field: &str,
        result: Result<T, &'static str>,
        fix: &str,
    ) -> Option<T> {
        result.map_err(|rule| self.add(field, rule, fix)).ok()
    }

    /// Notes a file that cannot be read.
    pub(crate) fn unreadable(&mut self, field: &str, file: &Path, error: &std::io::Error) {
        self.add(
            field,
            &format!("the file {} cannot be read ({})", file.display(), error.kind()),
            "check the path and that the service's user may read it",
        );
    }

    /// Notes a number outside its range.
    pub(crate) fn within(&mut self, field: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            let rule = format!("{value} is outside {least} to {most}");
            self.add(field, &rule, "choose a number inside the range");
        }
    }

    /// Notes a text that is empty or holds spaces.
    pub(crate) fn name(&mut self, field: &str, value: &str) {
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic() && b != b'"') {
            self.add(
                field,
                "it must be letters and digits without spaces or quotes",
                "copy it from the provider's console",
            );
        }
    }

    /// The value when nothing was wrong, else every mistake.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<SettingError>> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(self.found),
        }
    }
}
