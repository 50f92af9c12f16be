//! Keys come as a text in the file, as a file of their own, from the environment, or from a
//! program that prints them.

use std::path::{Path, PathBuf};

use super::{Mistakes, SettingError, command};
use crate::crypto::Secret;

/// The four fields of one key: `name`, `name_file`, `name_env` and `name_command`.
pub(crate) struct Source<'s> {
    pub(crate) field: &'static str,
    pub(crate) inline: Option<&'s Secret>,
    pub(crate) file: Option<&'s Path>,
    pub(crate) env: Option<&'s str>,
    pub(crate) command: Option<&'s [String]>,
}

impl Source<'_> {
    /// Whether any of the four is set.
    pub(crate) fn is_set(&self) -> bool {
        self.inline.is_some() || self.file.is_some() || self.env.is_some() || self.command.is_some()
    }

    /// The text; missing is a mistake.
    pub(crate) fn required(&self, mistakes: &mut Mistakes) -> Option<Secret> {
        if !self.is_set() {
            let field = self.field;
            mistakes.add(
                field,
                "it is required",
                &format!(
                    "set one of `{field}`, `{field}_file`, `{field}_env` or `{field}_command`"
                ),
            );
        }
        self.optional(mistakes)
    }

    /// The text, if one is given; giving it twice or unreadably is a mistake.
    pub(crate) fn optional(&self, mistakes: &mut Mistakes) -> Option<Secret> {
        let field = self.field;
        match (self.inline, self.file, self.env, self.command) {
            (None, None, None, None) => None,
            (Some(text), None, None, None) => Some(text.clone()),
            (None, Some(file), None, None) => match std::fs::read_to_string(file) {
                Ok(text) => Some(Secret::new(text)),
                Err(error) => {
                    mistakes.unreadable(&format!("{field}_file"), file, &error);
                    None
                }
            },
            (None, None, Some(name), None) => match std::env::var(name) {
                Ok(text) => Some(Secret::new(text)),
                Err(_) => {
                    mistakes.add(
                        &format!("{field}_env"),
                        &format!("the environment variable {name} is not set or is not text"),
                        "set it for the service, or use a file",
                    );
                    None
                }
            },
            (None, None, None, Some(words)) => match command::run(words) {
                Ok(text) => Some(text),
                Err(rule) => {
                    mistakes.add(&format!("{field}_command"), &rule, COMMAND_FIX);
                    None
                }
            },
            _ => {
                mistakes.add(
                    field,
                    "it is given more than once",
                    &format!(
                        "keep one of `{field}`, `{field}_file`, `{field}_env` and `{field}_command`"
                    ),
                );
                None
            }
        }
    }

    /// The text without reporting anything, for tables that list what can be read.
    pub(crate) fn quiet(&self) -> Option<Secret> {
        let nobody = domain::ChannelId::new("x").ok()?;
        self.optional(&mut Mistakes::new(&nobody))
    }
}

/// A secret of settings that belong to no channel, in the same four fields.
#[derive(Clone, Copy)]
pub struct SecretFields<'s> {
    /// Its name.
    pub field: &'static str,
    /// The text itself.
    pub inline: Option<&'s Secret>,
    /// A file that holds it.
    pub file: Option<&'s Path>,
    /// An environment variable that holds it.
    pub env: Option<&'s str>,
    /// A program that prints it.
    pub command: Option<&'s [String]>,
}

impl SecretFields<'_> {
    /// Whether any of the four is set.
    pub fn is_given(&self) -> bool {
        self.source().is_set()
    }

    /// The text, if one is given. It reads files and runs commands, so it blocks. `at` stands
    /// before the field's name in a mistake.
    ///
    /// # Errors
    /// When it is given twice or cannot be read.
    pub fn read(&self, at: &str) -> Result<Option<Secret>, SettingError> {
        let nobody = "channels.x.";
        let Ok(channel) = domain::ChannelId::new("x") else { return Ok(None) };
        let mut mistakes = Mistakes::new(&channel);
        let text = self.source().optional(&mut mistakes);
        match mistakes.finish(Some(())) {
            Ok(()) => Ok(text),
            Err(found) => {
                let error = found.into_iter().next();
                let place = |field: &str| format!("{at}{}", field.trim_start_matches(nobody));
                error.map_or(Ok(text), |e| Err(SettingError { field: place(&e.field), ..e }))
            }
        }
    }

    fn source(&self) -> Source<'_> {
        let SecretFields { field, inline, file, env, command } = *self;
        Source { field, inline, file, env, command }
    }
}

/// One key of a settings struct, to be filled in.
pub(crate) struct KeySlot<'s> {
    pub(crate) field: &'static str,
    pub(crate) inline: &'s mut Option<Secret>,
    pub(crate) file: Option<&'s Path>,
    pub(crate) env: Option<&'s str>,
    pub(crate) command: &'s mut Option<Vec<String>>,
}

impl KeySlot<'_> {
    /// Runs the command and keeps what it printed as the text itself. A key that is given in
    /// another way as well is left as it is, for the mistake to be found.
    pub(crate) fn run(self, mistakes: &mut Mistakes) {
        if self.inline.is_some() || self.file.is_some() || self.env.is_some() {
            return;
        }
        let Some(words) = self.command.take() else { return };
        match command::run(&words) {
            Ok(text) => *self.inline = Some(text),
            Err(rule) => {
                mistakes.add(&format!("{}_command", self.field), &rule, COMMAND_FIX);
                *self.command = Some(words);
            }
        }
    }

    /// The text, where it needs no command and can be read.
    pub(crate) fn text(&self) -> Option<Vec<u8>> {
        let inline = self.inline.as_ref().map(|text| text.expose().as_bytes().to_vec());
        let file = || self.file.and_then(|file| std::fs::read(file).ok());
        let env = || self.env.and_then(|name| std::env::var(name).ok()).map(String::into_bytes);
        inline.or_else(file).or_else(env)
    }
}

/// What to do about a command that gives no key.
const COMMAND_FIX: &str = "run it by hand as the service's user; it must print the key alone";

/// The [`KeySlot`]s of a settings struct.
macro_rules! slots {
    ($settings:expr, $($inline:ident, $file:ident, $env:ident, $command:ident;)*) => {
        vec![$(crate::config::KeySlot {
            field: stringify!($inline),
            inline: &mut $settings.$inline,
            file: $settings.$file.as_deref(),
            env: $settings.$env.as_deref(),
            command: &mut $settings.$command,
        }),*]
    };
}
pub(crate) use slots;

/// Makes a relative path relative to `folder`.
pub(crate) fn rebase(path: &mut Option<PathBuf>, folder: &Path) {
    if let Some(path) = path
        && path.is_relative()
    {
        *path = folder.join(&*path);
    }
}

/// The [`Source`] of a key that a settings struct holds in its four fields.
macro_rules! source {
    ($settings:expr, $inline:ident, $file:ident, $env:ident, $command:ident) => {
        crate::config::Source {
            field: stringify!($inline),
            inline: $settings.$inline.as_ref(),
            file: $settings.$file.as_deref(),
            env: $settings.$env.as_deref(),
            command: $settings.$command.as_deref(),
        }
    };
}
pub(crate) use source;

/// The [`Common`](super::Common) settings that a settings struct holds in its own fields.
macro_rules! common {
    ($settings:expr) => {
        crate::config::Common {
            base_url: &$settings.base_url,
            notify_url: $settings.notify_url.as_deref(),
            timeout_ms: $settings.timeout_ms,
            connect_timeout_ms: $settings.connect_timeout_ms,
            max_in_flight: $settings.max_in_flight,
            max_per_second: $settings.max_per_second,
            methods: $settings.methods.as_deref(),
            currencies: $settings.currencies.as_deref(),
            amount_min_minor: $settings.amount_min_minor,
            amount_max_minor: $settings.amount_max_minor,
            refund_days: $settings.refund_days,
            allow_insecure: $settings.allow_insecure,
            ca_file: $settings.ca_file.as_deref(),
        }
    };
}
pub(crate) use common;
