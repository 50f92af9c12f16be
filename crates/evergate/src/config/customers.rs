//! `[customer_messages]`: what customers are told, in whose name, when, and by which way.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::{Locale, MerchantId};
use notify::{
    Brand, House, Kind, Limits, Mailer, MailerOptions, QuietHours, Settings, Template, Templates,
    TextPart, Tls, Way, day_minute, zone,
};
use providers::{Secret, SecretFields, SettingError};
use serde::Deserialize;
use server::{Endpoint, Post, WebhookSecret};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::read::Reader;

/// The table with everything below it; `None` when it is not there, and then customers are told
/// nothing.
#[derive(Clone, Debug)]
pub struct CustomersSections {
    main: MainSection,
    smtp: Option<SmtpSection>,
    sms: Option<HookSection>,
    push: Option<HookSection>,
    merchants: Vec<HouseSection>,
    templates: Vec<TemplateSection>,
}

/// A name in one language or in both.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum BrandSetting {
    One(String),
    Both { zh: String, en: String },
}

impl BrandSetting {
    fn read(&self) -> Brand {
        match self {
            BrandSetting::One(name) => Brand { zh: name.clone(), en: name.clone() },
            BrandSetting::Both { zh, en } => Brand { zh: zh.clone(), en: en.clone() },
        }
    }
}

/// Which payments get a receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Receipts {
    /// Those that were held before: the customer has waited.
    #[default]
    Held,
    /// All.
    Always,
}

/// `[customer_messages]` itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MainSection {
    brand: Option<BrandSetting>,
    from: Option<String>,
    time_zone: Option<String>,
    quiet_hours: Option<String>,
    per_kind_per_day: Option<usize>,
    per_day: Option<usize>,
    receipts: Receipts,
}

/// `[customer_messages.smtp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SmtpSection {
    host: String,
    port: Option<u16>,
    #[serde(default)]
    tls: TlsSetting,
    username: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    password_command: Option<Vec<String>>,
    ca_file: Option<PathBuf>,
    timeout_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TlsSetting {
    #[default]
    Required,
    StartTls,
    None,
}

/// `[customer_messages.sms]` and `[customer_messages.push]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HookSection {
    url: String,
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    secret_command: Option<Vec<String>>,
}

/// One of `[[customer_messages.merchants]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HouseSection {
    name: MerchantId,
    brand: Option<BrandSetting>,
    from: Option<String>,
    time_zone: Option<String>,
    quiet_hours: Option<String>,
}

/// One of `[[customer_messages.templates]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateSection {
    merchant: Option<MerchantId>,
    kind: String,
    language: Locale,
    subject: Option<String>,
    text: Option<String>,
    short: Option<String>,
}

const NAME: &str = "customer_messages";

/// Reads the table; what is below it by itself, so that each mistake has its place.
pub(super) fn read<'t>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    folder: &Path,
) -> Option<CustomersSections> {
    let value = document.get(NAME)?;
    let DeValue::Table(table) = value.get_ref() else {
        reader.note(value.span(), NAME, "it must be a table", "write it as `[customer_messages]`");
        return None;
    };
    let before = reader.mistakes.len();
    let mut rest = table.clone();
    let mut part = |name: &str| rest.remove(name);
    let (smtp, sms, push) = (part("smtp"), part("sms"), part("push"));
    for list in ["merchants", "templates"] {
        rest.remove(list);
    }
    let at = |name: &str| format!("{NAME}.{name}");
    let rest = Spanned::new(value.span(), DeValue::Table(rest));
    let mut sections = CustomersSections {
        main: reader.table(NAME, &rest)?,
        smtp: smtp.and_then(|value| reader.table(&at("smtp"), &value)),
        sms: sms.and_then(|value| reader.table(&at("sms"), &value)),
        push: push.and_then(|value| reader.table(&at("push"), &value)),
        merchants: super::list_at(reader, table, "merchants", &at("merchants")),
        templates: super::list_at(reader, table, "templates", &at("templates")),
    };
    sections.rebase(folder);
    if reader.mistakes.len() == before {
        check(reader, table, &sections);
    }
    Some(sections)
}

/// Notes every rule that is broken.
fn check<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, sections: &CustomersSections) {
    let (_, mistakes) = sections.settings();
    for Wrong { path, rule, fix } in mistakes.into_iter().chain(sections.ways()) {
        let span = place(table, &path);
        reader.note(span, &format!("{NAME}.{}", shown(&path)), &rule, &fix);
    }
}

/// A mistake: where within the table, the rule, what to do.
struct Wrong {
    path: Vec<Step>,
    rule: String,
    fix: String,
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Place(usize),
}

fn wrong(path: &[Step], rule: impl Into<String>, fix: impl Into<String>) -> Wrong {
    Wrong { path: path.to_vec(), rule: rule.into(), fix: fix.into() }
}

fn shown(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Place(place) => text.push_str(&format!("[{place}]")),
        }
    }
    text
}

/// Where a path is written, or the last part of it that is.
fn place(table: &DeTable<'_>, path: &[Step]) -> Range<usize> {
    let mut span = 0..0;
    let mut here: Option<&DeTable<'_>> = Some(table);
    let mut list = None;
    for step in path {
        match (step, here, list) {
            (Step::Key(key), Some(table), _) => {
                let Some((name, value)) = table.get_key_value(*key) else { break };
                span = name.span();
                (here, list) = match value.get_ref() {
                    DeValue::Table(table) => (Some(table), None),
                    DeValue::Array(list) => (None, Some(list)),
                    _ => (None, None),
                };
            }
            (Step::Place(at), _, Some(values)) => {
                let Some(value) = values.get(*at) else { break };
                span = value.span();
                here = match value.get_ref() {
                    DeValue::Table(table) => Some(table),
                    _ => None,
                };
            }
            _ => break,
        }
    }
    span
}

/// `22:00-08:00`, or `off`.
fn quiet(text: &str) -> Option<Option<QuietHours>> {
    if text == "off" {
        return Some(None);
    }
    let (from, until) = text.split_once('-')?;
    let (from, until) = (day_minute(from.trim())?, day_minute(until.trim())?);
    (from != until).then_some(Some(QuietHours { from, until }))
}

impl CustomersSections {
    fn rebase(&mut self, folder: &Path) {
        for path in self.paths_mut().into_iter().flatten() {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        }
    }

    fn paths_mut(&mut self) -> [Option<&mut PathBuf>; 4] {
        let (password, issuer) = match &mut self.smtp {
            Some(smtp) => (smtp.password_file.as_mut(), smtp.ca_file.as_mut()),
            None => (None, None),
        };
        [
            password,
            issuer,
            self.sms.as_mut().and_then(|hook| hook.secret_file.as_mut()),
            self.push.as_mut().and_then(|hook| hook.secret_file.as_mut()),
        ]
    }

    /// Every file that it names.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut copy = self.clone();
        copy.paths_mut().into_iter().flatten().map(|path| path.clone()).collect()
    }

    /// What is said and when, with every mistake.
    fn settings(&self) -> (Settings, Vec<Wrong>) {
        let mut mistakes = Vec::new();
        let main = &self.main;
        let usual = House {
            brand: main.brand.as_ref().map(BrandSetting::read),
            from: None, // The mailer's own.
            zone: zone("Asia/Shanghai").unwrap_or(jiff::tz::TimeZone::UTC),
            quiet: Some(QuietHours::default()),
        };
        let set = (main.time_zone.as_deref(), main.quiet_hours.as_deref());
        let usual = house(usual, set, &[], &mut mistakes);
        let mut merchants = BTreeMap::new();
        for (at, set) in self.merchants.iter().enumerate() {
            let path = [Step::Key("merchants"), Step::Place(at)];
            let own = House {
                brand: set.brand.as_ref().map(BrandSetting::read).or_else(|| usual.brand.clone()),
                from: set.from.clone(),
                ..usual.clone()
            };
            let times = (set.time_zone.as_deref(), set.quiet_hours.as_deref());
            let own = house(own, times, &path, &mut mistakes);
            if merchants.insert(set.name.clone(), own).is_some() {
                let rule = "two of them have this name";
                mistakes.push(wrong(&path, rule, "keep one of them"));
            }
        }
        let usual_limits = Limits::default();
        let limits = Limits {
            per_kind: main.per_kind_per_day.unwrap_or(usual_limits.per_kind),
            per_day: main.per_day.unwrap_or(usual_limits.per_day),
        };
        for (key, value) in [("per_kind_per_day", limits.per_kind), ("per_day", limits.per_day)] {
            if !(1..=100).contains(&value) {
                let fix = "the defaults are 3 and 6";
                mistakes.push(wrong(&[Step::Key(key)], "it must be 1 to 100", fix));
            }
        }
        let templates = self.read_templates(&mut mistakes);
        let receipts_always = main.receipts == Receipts::Always;
        (Settings { usual, merchants, limits, receipts_always, templates }, mistakes)
    }

    fn read_templates(&self, mistakes: &mut Vec<Wrong>) -> Templates {
        let mut templates = Templates::default();
        for (at, set) in self.templates.iter().enumerate() {
            let path = |key| [Step::Key("templates"), Step::Place(at), Step::Key(key)];
            let kind: Kind = match set.kind.parse() {
                Ok(kind) => kind,
                Err(why) => {
                    let why: notify::NoSuchKind = why;
                    mistakes.push(wrong(&path("kind"), why.to_string(), "such as held"));
                    continue;
                }
            };
            let parts = [
                ("subject", &set.subject, TextPart::Subject),
                ("text", &set.text, TextPart::Text),
                ("short", &set.short, TextPart::Short),
            ];
            for (key, text, part) in parts {
                let Some(text) = text else { continue };
                match Template::parse(text, kind, part) {
                    Ok(template) => {
                        templates.set((set.merchant.clone(), kind, set.language, part), template);
                    }
                    Err(found) => mistakes
                        .extend(found.into_iter().map(|bad| wrong(&path(key), bad.rule, bad.fix))),
                }
            }
        }
        templates
    }

    /// What is wrong with the ways, as far as that can be told without reading other files.
    fn ways(&self) -> Vec<Wrong> {
        let mut mistakes = Vec::new();
        if let Some(smtp) = &self.smtp {
            let at = |key| [Step::Key("smtp"), Step::Key(key)];
            if self.main.from.is_none() {
                let fix = "add `from = \"orders@shop.example\"` to [customer_messages]";
                mistakes.push(wrong(&[Step::Key("smtp")], "e-mail needs a sender", fix));
            }
            let is_local = matches!(smtp.host.as_str(), "localhost" | "127.0.0.1" | "::1");
            if smtp.tls == TlsSetting::None && !is_local {
                let rule = "an unprotected connection leaves the machine";
                mistakes.push(wrong(&at("tls"), rule, "take \"required\" or \"starttls\""));
            }
            let has_password = smtp.secret().is_given();
            if has_password != smtp.username.is_some() {
                let rule = "username and password go together";
                mistakes.push(wrong(&at("username"), rule, "write both, or none"));
            }
            if smtp.timeout_ms.is_some_and(|ms| !(100..=20_000).contains(&ms)) {
                let rule = "it must be 100 to 20000";
                mistakes.push(wrong(&at("timeout_ms"), rule, "the default is 15000"));
            }
        }
        for (name, hook) in [("sms", &self.sms), ("push", &self.push)] {
            let Some(hook) = hook else { continue };
            let url = reqwest::Url::parse(&hook.url);
            if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
                let path = [Step::Key(name), Step::Key("url")];
                let fix = "such as https://sms.example.com/send";
                mistakes.push(wrong(&path, "it must be an http or https address", fix));
            }
        }
        mistakes
    }

    /// Whether mail is sent.
    pub fn has_smtp(&self) -> bool {
        self.smtp.is_some()
    }

    /// The mailer. Reads files and runs commands, so it blocks.
    ///
    /// # Errors
    /// Every mistake.
    pub fn mailer(&self) -> Result<Option<Mailer>, Vec<SettingError>> {
        let Some(smtp) = &self.smtp else { return Ok(None) };
        let at = |field: &str| format!("{NAME}.smtp.{field}");
        let password = smtp.secret().read(&at("")).map_err(|error| vec![error])?;
        let ca_pem = match smtp.ca_file.as_ref().map(|file| (file, std::fs::read(file))) {
            Some((file, Err(error))) => {
                return Err(vec![SettingError {
                    field: at("ca_file"),
                    rule: format!("the file {} cannot be read ({})", file.display(), error.kind()),
                    fix: "check the path and that the service's user may read it".to_owned(),
                }]);
            }
            Some((_, Ok(pem))) => Some(pem),
            None => None,
        };
        let tls = match smtp.tls {
            TlsSetting::Required => Tls::Required,
            TlsSetting::StartTls => Tls::StartTls,
            TlsSetting::None => Tls::None,
        };
        let login = smtp.username.clone().zip(password.map(|p| p.expose().trim().to_owned()));
        let options = MailerOptions {
            host: smtp.host.clone(),
            port: smtp.port.unwrap_or(tls.port()),
            tls,
            login,
            ca_pem,
            from: self.main.from.clone().unwrap_or_default(),
            timeout: Duration::from_millis(smtp.timeout_ms.unwrap_or(15_000)),
        };
        let owned = |(field, rule): (&str, String)| {
            let field = match field {
                "from" => format!("{NAME}.from"),
                field => at(field),
            };
            vec![SettingError { field, rule, fix: "see `evergate config default`".to_owned() }]
        };
        Mailer::new(&options).map(Some).map_err(owned)
    }

    fn hooks(&self) -> Result<HashMap<Way, Endpoint>, Vec<SettingError>> {
        let mut hooks = HashMap::new();
        for (name, way, hook) in [("sms", Way::Sms, &self.sms), ("push", Way::Push, &self.push)] {
            let Some(hook) = hook else { continue };
            let at = format!("{NAME}.{name}.");
            let bad = |rule: &str| {
                let fix =
                    "write `secret = \"whsec_...\"`, or give it by a file, variable or command";
                let field = format!("{at}secret");
                vec![SettingError { field, rule: rule.to_owned(), fix: fix.to_owned() }]
            };
            let text = hook.secret().read(&at).map_err(|error| vec![error])?;
            let text = text.ok_or_else(|| bad("what is sent must be signed"))?;
            let secrets = text.expose().split_whitespace().map(WebhookSecret::parse);
            let secrets: Result<Vec<_>, _> = secrets.collect();
            let secrets = secrets.map_err(|why| bad(&why.to_string()))?;
            hooks.insert(way, Endpoint { url: hook.url.clone(), secrets });
        }
        Ok(hooks)
    }

    /// Everything that notes go out by. Reads files and runs commands, so it blocks.
    ///
    /// # Errors
    /// Every mistake.
    pub fn post(&self, public_url: &str) -> Result<Arc<Post>, Vec<SettingError>> {
        let (mailer, hooks) = match (self.mailer(), self.hooks()) {
            (Ok(mailer), Ok(hooks)) => (mailer, hooks),
            (mailer, hooks) => {
                let found = mailer.err().into_iter().chain(hooks.err());
                return Err(found.flatten().collect());
            }
        };
        let (settings, _) = self.settings();
        let senders = settings.merchants.values().filter_map(|house| house.from.as_deref());
        for from in senders {
            notify::check_sender(from).map_err(|rule| {
                let field = format!("{NAME}.merchants.from");
                let fix = "such as `Shop <orders@shop.example>`".to_owned();
                vec![SettingError { field, rule, fix }]
            })?;
        }
        let no_client = |error: reqwest::Error| {
            vec![SettingError {
                field: NAME.to_owned(),
                rule: error.to_string(),
                fix: "install the system's TLS certificates".to_owned(),
            }]
        };
        Post::new(settings, public_url.to_owned(), mailer, hooks).map(Arc::new).map_err(no_client)
    }

    /// What a merchant is called, and how it writes; for a test mail.
    pub fn sample(&self) -> Settings {
        self.settings().0
    }
}

impl SmtpSection {
    fn secret(&self) -> SecretFields<'_> {
        SecretFields {
            field: "password",
            inline: self.password.as_ref(),
            file: self.password_file.as_deref(),
            env: self.password_env.as_deref(),
            command: self.password_command.as_deref(),
        }
    }
}

impl HookSection {
    fn secret(&self) -> SecretFields<'_> {
        SecretFields {
            field: "secret",
            inline: self.secret.as_ref(),
            file: self.secret_file.as_deref(),
            env: self.secret_env.as_deref(),
            command: self.secret_command.as_deref(),
        }
    }
}

/// A house with its clock and hours as they were set.
fn house(
    mut house: House,
    (time_zone, quiet_hours): (Option<&str>, Option<&str>),
    path: &[Step],
    mistakes: &mut Vec<Wrong>,
) -> House {
    let at = |key| [path, &[Step::Key(key)]].concat();
    if let Some(name) = time_zone {
        match zone(name) {
            Some(zone) => house.zone = zone,
            None => {
                let fix = "such as \"Asia/Shanghai\", or \"+08:00\"";
                mistakes.push(wrong(&at("time_zone"), "there is no such time zone", fix));
            }
        }
    }
    if let Some(text) = quiet_hours {
        match quiet(text) {
            Some(quiet) => house.quiet = quiet,
            None => {
                let rule = "it must be two times of the day that differ, or off";
                mistakes.push(wrong(&at("quiet_hours"), rule, "such as \"22:00-08:00\""));
            }
        }
    }
    house
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const CHANNEL: &str = "\n[[channels]]\nname = \"bank-main\"\nprovider = \"bank\"\npayee = \"S\"\n\
                           bank = \"B\"\naccount = \"1\"\ncurrencies = [\"CNY\"]\n";

    fn mistakes(text: &str) -> Vec<(usize, String, String)> {
        let found = Config::parse(&format!("{text}{CHANNEL}"), Path::new("")).unwrap_err();
        found.into_iter().map(|m| (m.line, m.field, m.rule)).collect()
    }

    #[test]
    fn every_mistake_has_its_place() {
        let found = mistakes(
            "[customer_messages]\ntime_zone = \"Shanghai\"\nquiet_hours = \"22-8\"\nper_day = 0\n\
             [customer_messages.smtp]\nhost = \"mail.example.com\"\ntls = \"none\"\nusername = \"u\"\n\
             [customer_messages.sms]\nurl = \"ftp://x\"\nsecret = \"s\"\n\
             [[customer_messages.templates]]\nkind = \"held\"\nlanguage = \"zh\"\nshort = \"{refund}\"\n\
             [[customer_messages.templates]]\nkind = \"hold\"\nlanguage = \"en\"\n",
        );
        let places: Vec<(usize, &str)> =
            found.iter().map(|(line, field, _)| (*line, field.as_str())).collect();
        assert_eq!(
            places,
            [
                (2, "customer_messages.time_zone"),
                (3, "customer_messages.quiet_hours"),
                (4, "customer_messages.per_day"),
                (5, "customer_messages.smtp"),
                (7, "customer_messages.smtp.tls"),
                (8, "customer_messages.smtp.username"),
                (10, "customer_messages.sms.url"),
                (15, "customer_messages.templates[0].short"),
                (17, "customer_messages.templates[1].kind"),
            ],
            "{found:?}"
        );
        let found =
            mistakes("[customer_messages]\nbrend = \"x\"\n[customer_messages.smtp]\nhots = 1\n");
        let fields: Vec<&str> = found.iter().map(|(_, field, _)| field.as_str()).collect();
        assert!(fields.contains(&"customer_messages.brend"), "{fields:?}");
        assert!(fields.contains(&"customer_messages.smtp.hots"), "{fields:?}");
    }

    #[test]
    fn the_reference_is_a_table_that_reads() {
        let from = crate::config::REFERENCE.find("# [customer_messages]").unwrap();
        let rest = &crate::config::REFERENCE[from..];
        let until = rest.find("\n\n").unwrap();
        let bare = |line: &str| line.trim_start_matches('#').trim_start().to_owned();
        // A line of prose is none of TOML.
        let is_setting = |line: &String| {
            line.starts_with('[')
                || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
        };
        let lines = rest[..until].lines().map(bare).filter(is_setting);
        let text = lines.collect::<Vec<_>>().join("\n");
        let config = Config::parse(&format!("{text}{CHANNEL}"), Path::new(""));
        let customers = config.unwrap().customers.unwrap();
        assert_eq!((customers.templates.len(), customers.merchants.len()), (1, 1));
        let missing = customers.post("https://pay.example.com").unwrap_err();
        assert!(missing[0].field.starts_with("customer_messages.smtp.password"), "{missing:?}");
    }

    #[test]
    fn what_is_set_is_what_counts() {
        let text = "[customer_messages]\nbrand = { zh = \"示例\", en = \"Sample\" }\nfrom = \"a@b.example\"\n\
                    quiet_hours = \"off\"\nreceipts = \"always\"\n\
                    [customer_messages.smtp]\nhost = \"127.0.0.1\"\ntls = \"none\"\n\
                    [[customer_messages.merchants]]\nname = \"other\"\nquiet_hours = \"23:00-07:00\"\n";
        let config = Config::parse(&format!("{text}{CHANNEL}"), Path::new("")).unwrap();
        let customers = config.customers.unwrap();
        let settings = customers.sample();
        let other = MerchantId::new("other").unwrap();
        assert_eq!(settings.house(&MerchantId::new("shop").unwrap()).quiet, None);
        let quiet = Some(QuietHours { from: 23 * 60, until: 7 * 60 });
        assert_eq!(settings.house(&other).quiet, quiet);
        assert_eq!(settings.brand(&other, Locale::En), "Sample");
        assert!(settings.receipts_always && customers.mailer().unwrap().is_some());
    }
}
