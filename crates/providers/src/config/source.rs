//! Keys come as a text in the file, as a file of their own, or from the environment.

use std::path::{Path, PathBuf};

use super::Mistakes;
use crate::crypto::Secret;

/// The three fields of one key: `name`, `name_file` and `name_env`.
pub(crate) struct Source<'s> {
    pub(crate) field: &'static str,
    pub(crate) inline: Option<&'s Secret>,
    pub(crate) file: Option<&'s Path>,
    pub(crate) env: Option<&'s str>,
}

impl Source<'_> {
    /// Whether any of the three is set.
    pub(crate) fn is_set(&self) -> bool {
        self.inline.is_some() || self.file.is_some() || self.env.is_some()
    }

    /// The text; missing is a mistake.
    pub(crate) fn required(&self, mistakes: &mut Mistakes) -> Option<Secret> {
        if !self.is_set() {
            let field = self.field;
            mistakes.add(
                field,
                "it is required",
                &format!("set one of `{field}`, `{field}_file` or `{field}_env`"),
            );
        }
        self.optional(mistakes)
    }

    /// The text, if one is given; giving it twice or unreadably is a mistake.
    pub(crate) fn optional(&self, mistakes: &mut Mistakes) -> Option<Secret> {
        let field = self.field;
        match (self.inline, self.file, self.env) {
            (None, None, None) => None,
            (Some(text), None, None) => Some(text.clone()),
            (None, Some(file), None) => match std::fs::read_to_string(file) {
                Ok(text) => Some(Secret::new(text)),
                Err(error) => {
                    mistakes.unreadable(&format!("{field}_file"), file, &error);
                    None
                }
            },
            (None, None, Some(name)) => match std::env::var(name) {
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
            _ => {
                mistakes.add(
                    field,
                    "it is given more than once",
                    &format!("keep one of `{field}`, `{field}_file` and `{field}_env`"),
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

/// Makes a relative path relative to `folder`.
pub(crate) fn rebase(path: &mut Option<PathBuf>, folder: &Path) {
    if let Some(path) = path
        && path.is_relative()
    {
        *path = folder.join(&*path);
    }
}

/// The [`Source`] of a key that a settings struct holds in its three fields.
macro_rules! source {
    ($settings:expr, $inline:ident, $file:ident, $env:ident) => {
        crate::config::Source {
            field: stringify!($inline),
            inline: $settings.$inline.as_ref(),
            file: $settings.$file.as_deref(),
            env: $settings.$env.as_deref(),
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
