//! The configuration file: read as a whole, every mistake told at once with its place, the rule
//! that it breaks and what to do.

mod assist;
mod customers;
mod degradation;
mod model;
mod read;
mod routing;
mod rules;
mod signals;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use domain::ChannelId;
use providers::bank::BankSettings;
use providers::{
    AlipaySettings, ChannelSettings, PaypalSettings, SettingError, StripeSettings,
    UnionPaySettings, WechatPaySettings,
};
use resilience::{FeeTable, Guide};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use assist::AssistSection;
pub use customers::CustomersSections;
pub use degradation::DegradationSection;
pub use model::{
    ApiKeySection, ConfigSection, LogFormat, LogSection, MerchantSection, OperatorSection,
    PolicySection, ServerSection, StoreSection,
};
use read::Reader;
pub use signals::SignalsSections;

/// Every setting with its default and what it does; what `evergate config default` prints.
pub const REFERENCE: &str = include_str!("../evergate.default.toml");

/// A configuration whose every part can be read. Whether channels can be built from it is
/// asked by [`Config::channel_mistakes`], because keys lie in other files.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: ServerSection,
    /// `[store]`
    pub store: StoreSection,
    /// `[log]`
    pub log: LogSection,
    /// `[[api_keys]]`
    pub api_keys: Vec<ApiKeySection>,
    /// `[[operators]]`
    pub operators: Vec<OperatorSection>,
    /// `[[merchants]]`
    pub merchants: Vec<MerchantSection>,
    /// `[[channels]]`, the preferred ones first.
    pub channels: Vec<(ChannelId, ChannelSettings)>,
    /// `[policy]`
    pub policy: PolicySection,
    /// `[degradation]`
    pub degradation: DegradationSection,
    /// `[assist]`
    pub assist: AssistSection,
    /// `[health]`
    pub health: resilience::Settings,
    /// `[routing]` and each channel's `[[channels.fees]]`
    pub guide: Guide,
    /// `[probes]`, `[[maintenance]]`, `[[status_feeds]]` and `[[downtime_senders]]`
    pub signals: SignalsSections,
    /// `[customer_messages]`; absent: customers are told nothing.
    pub customers: Option<CustomersSections>,
    /// `[config]`
    pub changes: ConfigSection,
    /// What it was read from.
    pub source: Source,
    /// Where things are written, so that later mistakes can say so.
    places: Places,
}

/// What a configuration was read from. The text may hold secrets, so it does not print itself.
#[derive(Clone, Debug)]
pub struct Source {
    /// The whole text.
    pub text: providers::Secret,
    /// What relative paths are relative to.
    pub folder: PathBuf,
    /// The file; `None` when the text came in another way.
    pub file: Option<PathBuf>,
}

/// The place of every channel's table and keys: channel, key, line and column.
type Places = Vec<(String, String, usize, usize)>;

/// One mistake in the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// From 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Such as `channels.alipay-main.app_id`.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

/// Every mistake of one file.
#[derive(Clone, Debug)]
pub struct Mistakes {
    /// The file.
    pub file: PathBuf,
    /// In the order of the file.
    pub found: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.found.len();
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "{count} {plural} in the configuration:")?;
        for Mistake { line, column, field, rule, fix } in &self.found {
            write!(f, "\n  {}:{line}:{column}: ", self.file.display())?;
            if !field.is_empty() {
                write!(f, "{field}: ")?;
            }
            write!(f, "{rule}\n      fix: {fix}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Reads a file. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// Every mistake.
    pub fn load(file: &Path) -> Result<Config, Mistakes> {
        let text = std::fs::read_to_string(file).map_err(|error| Mistakes {
            file: file.to_owned(),
            found: vec![Mistake {
                line: 0,
                column: 0,
                field: String::new(),
                rule: format!("the file cannot be read ({})", error.kind()),
                fix: "give its path with --config, or start from `evergate config default`".into(),
            }],
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut config = Config::parse(&text, folder)
            .map_err(|found| Mistakes { file: file.to_owned(), found })?;
        config.source.file = Some(file.to_owned());
        Ok(config)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Every mistake, in the order of the text.
    pub fn parse(text: &str, folder: &Path) -> Result<Config, Vec<Mistake>> {
        let mut reader = Reader::new(text);
        let document = reader.document();
        let config = read_document(&mut reader, document.get_ref(), folder);
        let mut mistakes = reader.mistakes;
        mistakes.sort_by_key(|m| (m.line, m.column));
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(mistakes),
        }
    }

    /// Where customers and providers reach the gateway.
    pub fn public_url(&self) -> String {
        self.server.public_url.clone().unwrap_or_else(|| format!("http://{}", self.server.bind))
    }

    /// What keeps channels from being built: keys, certificates, addresses, limits.
    pub fn channel_mistakes(&self) -> Vec<Mistake> {
        let failed = self.channels.iter().filter_map(|(id, settings)| {
            let notify = ChannelSettings::default_notify_url(&self.public_url(), id);
            settings.build(id, &notify).err()
        });
        failed.flatten().map(|error| self.placed(error)).collect()
    }

    /// A mistake of a channel with the place of its field in the file.
    pub fn placed(&self, error: SettingError) -> Mistake {
        let mut parts = error.field.splitn(3, '.').skip(1);
        let (channel, key) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let of_channel = |p: &&(String, String, usize, usize)| p.0 == channel;
        let exact = self.places.iter().filter(of_channel).find(|p| p.1 == key);
        let near = || {
            // A key given as `private_key_file` is spoken of as `private_key`.
            let given = |p: &&(String, String, usize, usize)| {
                p.1.strip_prefix(key)
                    .is_some_and(|rest| matches!(rest, "_file" | "_env" | "_command"))
            };
            let table = |p: &&(String, String, usize, usize)| p.1.is_empty();
            let places = || self.places.iter().filter(of_channel);
            places().find(given).or_else(|| places().find(table))
        };
        let (line, column) = exact.or_else(near).map_or((0, 0), |p| (p.2, p.3));
        let SettingError { field, rule, fix } = error;
        Mistake { line, column, field, rule, fix }
    }
}

const SECTIONS: [&str; 18] = [
    "server",
    "store",
    "log",
    "api_keys",
    "operators",
    "merchants",
    "channels",
    "policy",
    "degradation",
    "assist",
    "health",
    "routing",
    "probes",
    "maintenance",
    "status_feeds",
    "downtime_senders",
    "customer_messages",
    "config",
];

fn read_document<'t>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    folder: &Path,
) -> Option<Config> {
    for (key, _) in document.iter().filter(|(k, _)| !SECTIONS.contains(&k.get_ref().as_ref())) {
        let fix = format!("the tables are {}", SECTIONS.join(", "));
        reader.note(key.span(), key.get_ref(), "there is no such table", &fix);
    }
    let mut places = Places::new();
    let (channels, fees) = read_channels(reader, document, folder, &mut places);
    let merchants = list(reader, document, "merchants");
    let mut config = Config {
        server: section(reader, document, "server").unwrap_or_default(),
        store: section(reader, document, "store").unwrap_or_default(),
        log: section(reader, document, "log").unwrap_or_default(),
        api_keys: list(reader, document, "api_keys"),
        operators: list(reader, document, "operators"),
        merchants,
        channels,
        policy: section(reader, document, "policy").unwrap_or_default(),
        degradation: section(reader, document, "degradation").unwrap_or_default(),
        assist: section(reader, document, "assist").unwrap_or_default(),
        health: section(reader, document, "health").unwrap_or_default(),
        guide: routing::guide(reader, document, &named_channels(document), fees),
        signals: SignalsSections {
            probes: section(reader, document, "probes").unwrap_or_default(),
            maintenance: list(reader, document, "maintenance"),
            feeds: list(reader, document, "status_feeds"),
            senders: list(reader, document, "downtime_senders"),
        },
        customers: customers::read(reader, document, folder),
        changes: section(reader, document, "config").unwrap_or_default(),
        source: Source {
            text: providers::Secret::new(reader.text()),
            folder: folder.to_owned(),
            file: None,
        },
        places,
    };
    if config.store.path.is_relative() {
        config.store.path = folder.join(&config.store.path);
    }
    for merchant in &mut config.merchants {
        let file = merchant.webhook_secrets_file.as_mut().filter(|file| file.is_relative());
        if let Some(file) = file {
            *file = folder.join(&*file);
        }
    }
    rules::check(reader, document, &config);
    signals::check(reader, document, &config.signals, &named_channels(document));
    Some(config)
}

/// A table that may be absent.
fn section<'t, T: serde::de::DeserializeOwned>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    name: &str,
) -> Option<T> {
    reader.table(name, document.get(name)?)
}

/// The tables of an array, those that can be read.
fn list<'t, T: serde::de::DeserializeOwned>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    name: &str,
) -> Vec<T> {
    list_at(reader, document, name, name)
}

/// The same within a table, whose place `field` says.
fn list_at<'t, T: serde::de::DeserializeOwned>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    name: &str,
    field: &str,
) -> Vec<T> {
    tables(reader, table, name)
        .iter()
        .enumerate()
        .filter_map(|(index, value)| reader.table(&format!("{field}[{index}]"), value))
        .collect()
}

fn tables<'t>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    name: &str,
) -> Vec<Spanned<DeValue<'t>>> {
    match document.get(name).map(|value| (value.span(), value.get_ref())) {
        Some((_, DeValue::Array(values))) => values.iter().cloned().collect(),
        Some((span, _)) => {
            let fix = format!("write it as `[[{name}]]`, once for each");
            reader.note(span, name, "it must be a list of tables", &fix);
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn read_channels<'t>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    folder: &Path,
    places: &mut Places,
) -> (Vec<(ChannelId, ChannelSettings)>, BTreeMap<ChannelId, FeeTable>) {
    let mut channels: Vec<(ChannelId, ChannelSettings)> = Vec::new();
    let mut prices = BTreeMap::new();
    for (index, value) in tables(reader, document, "channels").into_iter().enumerate() {
        let before = reader.mistakes.len();
        let Some((id, settings, fees)) = read_channel(reader, index, &value) else { continue };
        if reader.mistakes.len() > before {
            continue;
        }
        if channels.iter().any(|(known, _)| *known == id) {
            let span = read::place(document, "channels", Some(index), "name");
            let field = format!("channels.{id}.name");
            reader.note(span, &field, "two channels have this name", "rename one of them");
        }
        if id.as_str() == domain::OFFLINE_CHANNEL {
            let span = read::place(document, "channels", Some(index), "name");
            let rule = "this name is kept for money that staff take outside any channel";
            reader.note(span, "channels.offline.name", rule, "give the channel another name");
        }
        remember(reader, places, &id, &value);
        let mut settings = settings;
        settings.rebase(folder);
        prices.extend(fees.map(|fees| (id.clone(), fees)));
        channels.push((id, settings));
    }
    (channels, prices)
}

/// The names of all channels, those that could not be read as well: a rule that speaks of one
/// of these is no mistake.
fn named_channels(document: &DeTable<'_>) -> Vec<ChannelId> {
    let Some(DeValue::Array(channels)) = document.get("channels").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let name = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::Table(table) => match table.get("name")?.get_ref() {
            DeValue::String(name) => ChannelId::new(name).ok(),
            _ => None,
        },
        _ => None,
    };
    channels.iter().filter_map(name).collect()
}

/// Keeps the place of a channel's keys, for mistakes that are found when it is built.
fn remember<'t>(
    reader: &Reader<'t>,
    places: &mut Places,
    id: &ChannelId,
    value: &Spanned<DeValue<'t>>,
) {
    let mut keep = |key: &str, at: usize| {
        let (line, column) = reader.position(at);
        places.push((id.to_string(), key.to_owned(), line, column));
    };
    keep("", value.span().start);
    if let DeValue::Table(table) = value.get_ref() {
        table.iter().for_each(|(key, _)| keep(key.get_ref(), key.span().start));
    }
}

/// One channel with its price list. The fields that every provider shares are taken out first,
/// so that errors about the others know their place (serde's tagged enums lose it).
fn read_channel<'t>(
    reader: &mut Reader<'t>,
    index: usize,
    value: &Spanned<DeValue<'t>>,
) -> Option<(ChannelId, ChannelSettings, Option<FeeTable>)> {
    let at = format!("channels[{index}]");
    let DeValue::Table(table) = value.get_ref() else {
        reader.note(value.span(), &at, "it must be a table", "write it as `[[channels]]`");
        return None;
    };
    let mut table = table.clone();
    let name = text(reader, &at, &mut table, "name", value);
    let provider = text(reader, &at, &mut table, "provider", value);
    let id = name.and_then(|name| match ChannelId::new(name.get_ref()) {
        Ok(id) => Some(id),
        Err(why) => {
            reader.note(name.span(), &format!("{at}.name"), why.rule, "such as `alipay-main`");
            None
        }
    });
    let at = id.as_ref().map_or(at, |id| format!("channels.{id}"));
    let fees = table.remove("fees").map(|fees| routing::fees(reader, &at, &fees));
    let rest = Spanned::new(value.span(), DeValue::Table(table));
    let provider = provider?;
    let settings = match provider.get_ref().as_str() {
        "alipay" => {
            let read: Option<AlipaySettings> = reader.table(&at, &rest);
            read.map(|s| ChannelSettings::Alipay(Box::new(s)))
        }
        "wechatpay" => {
            let read: Option<WechatPaySettings> = reader.table(&at, &rest);
            read.map(|s| ChannelSettings::WechatPay(Box::new(s)))
        }
        "unionpay" => {
            let read: Option<UnionPaySettings> = reader.table(&at, &rest);
            read.map(|s| ChannelSettings::UnionPay(Box::new(s)))
        }
        "stripe" => {
            let read: Option<StripeSettings> = reader.table(&at, &rest);
            read.map(|s| ChannelSettings::Stripe(Box::new(s)))
        }
        "paypal" => {
            let read: Option<PaypalSettings> = reader.table(&at, &rest);
            read.map(|s| ChannelSettings::Paypal(Box::new(s)))
        }
        "bank" => {
            let read: Option<BankSettings> = reader.table(&at, &rest);
            read.map(|s| ChannelSettings::Bank(Box::new(s)))
        }
        other => {
            let rule = format!("`{other}` is not a provider that Evergate speaks to");
            let field = format!("{at}.provider");
            reader.note(
                provider.span(),
                &field,
                &rule,
                "one of alipay, wechatpay, unionpay, stripe, paypal, bank",
            );
            None
        }
    };
    Some((id?, settings?, fees))
}

/// A required text, taken out of the table.
fn text<'t>(
    reader: &mut Reader<'t>,
    at: &str,
    table: &mut DeTable<'t>,
    key: &str,
    whole: &Spanned<DeValue<'t>>,
) -> Option<Spanned<String>> {
    let field = format!("{at}.{key}");
    match table.remove(key) {
        Some(value) => match value.get_ref() {
            DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
            _ => {
                reader.note(value.span(), &field, "it must be a text", "write it in quotes");
                None
            }
        },
        None => {
            reader.note(whole.span(), &field, "it is required", &format!("add `{key} = \"...\"`"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_a_configuration_that_reads() {
        let config = Config::parse(REFERENCE, Path::new("/etc/evergate")).unwrap();
        let defaults = ServerSection::default();
        assert_eq!(config.server.bind, defaults.bind);
        assert_eq!(config.health, resilience::Settings::default());
        assert!(config.store.path.starts_with("/etc/evergate"));
    }

    #[test]
    fn the_example_reads() {
        let example = include_str!("../../../../evergate.example.toml");
        let config = Config::parse(example, Path::new("")).unwrap();
        assert_eq!(config.channels.len(), 2);
    }

    #[test]
    fn an_empty_file_is_the_defaults_without_channels() {
        let found = Config::parse("", Path::new("")).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].field, "channels");
    }
}
