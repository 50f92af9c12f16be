//! Two configurations compared by meaning: by the path of each setting, whatever the order, the
//! comments and the spelling.
//!
//! The invariant: no secret leaves, neither what it was nor what it is (rule 13).

use std::collections::BTreeMap;

use server::ConfigChange;
use toml::{Table, Value};

/// Settings that count only after a restart, by the beginning of their path.
const AFTER_RESTART: [&str; 7] =
    ["server", "store", "log", "health", "probes", "status_feeds", "downtime_senders"];
/// The same for lists that are compared as a whole.
const LISTS_AFTER_RESTART: &str = "maintenance";

/// What stands for a secret.
const HIDDEN: &str = "***";
const CHANGED: &str = "(changed)";

/// A text as a table; one that cannot be read is empty, because it was read before.
pub(super) fn table(text: &str) -> Table {
    text.parse().unwrap_or_default()
}

/// Every setting that differs, in the order of paths.
pub(super) fn changes(from: &Table, to: &Table) -> Vec<ConfigChange> {
    let (from, to) = (flat(from), flat(to));
    let paths: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let differ = paths.into_iter().filter(|path| from.get(*path) != to.get(*path));
    differ.map(|path| change(path, from.get(path), to.get(path))).collect()
}

fn change(path: &str, from: Option<&Value>, to: Option<&Value>) -> ConfigChange {
    let key = path.rsplit('.').next().unwrap_or(path);
    let shown = |value: &Value| match is_secret(key, value) {
        true => CHANGED.to_owned(),
        false => redacted(key, value).to_string(),
    };
    ConfigChange {
        path: path.to_owned(),
        kind: match (from, to) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        },
        from: from.map(shown),
        to: to.map(shown),
        live: is_live(path),
    }
}

/// A channel whose keys differ although its settings read the same: a file, a variable or
/// a program gives another one.
pub(super) fn rekeyed(channel: &str) -> ConfigChange {
    ConfigChange {
        path: format!("channels.{channel} (keys)"),
        kind: "changed",
        from: Some(CHANGED.to_owned()),
        to: Some(CHANGED.to_owned()),
        live: true,
    }
}

/// Whether a setting counts at once.
pub(super) fn is_live(path: &str) -> bool {
    let first = path.split(['.', '[']).next().unwrap_or(path);
    path == "server.public_url" || !(AFTER_RESTART.contains(&first) || first == LISTS_AFTER_RESTART)
}

/// Settings by their path. Tables of a list go by their name where they have one.
fn flat(table: &Table) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    flatten("", &Value::Table(table.clone()), &mut flat);
    flat
}

fn flatten(path: &str, value: &Value, flat: &mut BTreeMap<String, Value>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(key, value)| flatten(&below(key), value, flat));
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (place, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str);
                let hash = item.get("hash").and_then(Value::as_str).and_then(|h| h.get(..8));
                match name.or(hash) {
                    Some(name) => flatten(&below(name), item, flat),
                    None => flatten(&format!("{path}[{place}]"), item, flat),
                }
            }
            if path == "channels" {
                flat.insert("channels (order)".to_owned(), names(items));
            }
        }
        value => {
            flat.insert(path.to_owned(), value.clone());
        }
    }
}

/// The order of channels is their rank, so it is a setting of its own.
fn names(items: &[Value]) -> Value {
    Value::Array(items.iter().filter_map(|item| item.get("name").cloned()).collect())
}

/// Whether a setting holds a secret, by its name and by what it looks like. Files, variables
/// and programs that give one are none.
fn is_secret(key: &str, value: &Value) -> bool {
    if key.ends_with("_file") || key.ends_with("_env") || key.ends_with("_command") {
        return false;
    }
    let named = ["private_key", "secret", "password", "api_v3_key", "token"];
    let looks = |text: &str| {
        text.contains("PRIVATE KEY-----")
            || ["sk_", "rk_", "whsec_", "evk_"].iter().any(|start| text.starts_with(start))
    };
    named.iter().any(|name| key.contains(name)) || value.as_str().is_some_and(looks)
}

/// A setting without what nobody shall read: secrets, arguments of programs, user names and
/// passwords in addresses.
fn redacted(key: &str, value: &Value) -> Value {
    match value {
        value if is_secret(key, value) => HIDDEN.into(),
        Value::Table(table) => {
            let pairs = table.iter().map(|(key, value)| (key.clone(), redacted(key, value)));
            Value::Table(pairs.collect())
        }
        Value::Array(words) if key.ends_with("_command") => {
            let rest = words.iter().skip(1).map(|_| HIDDEN.into());
            Value::Array(words.first().cloned().into_iter().chain(rest).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|i| redacted(key, i)).collect()),
        Value::String(text) => without_login(text).into(),
        other => other.clone(),
    }
}

fn without_login(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            match rest[..host].rfind('@') {
                Some(at) => format!("{scheme}://{HIDDEN}{}", &rest[at..]),
                None => text.to_owned(),
            }
        }
        None => text.to_owned(),
    }
}

/// A text without comments and secrets. Comments go because old keys are kept in them.
pub(super) fn shown(text: &str) -> String {
    let value = redacted("", &Value::Table(table(text)));
    value.as_table().map(ToString::to_string).unwrap_or_default()
}

/// One channel's own table, without what its codec does not read.
pub(super) fn channel(table: &Table, name: &str) -> String {
    let channels = table.get("channels").and_then(Value::as_array);
    let mut of = channels.into_iter().flatten();
    let found = of.find(|c| c.get("name").and_then(Value::as_str) == Some(name));
    let mut own = found.and_then(Value::as_table).cloned().unwrap_or_default();
    own.remove("fees");
    own.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"
# secret_key = "sk_live_old"
[server]
max_requests = 512
[[merchants]]
name = "shop"
webhook_url = "https://user:pass@shop.example/hook"
webhook_secrets = ["whsec_one"]
[[channels]]
name = "card"
provider = "stripe"
secret_key = "sk_live_1"
timeout_ms = 8000
[[channels]]
name = "ali"
private_key_file = "a.pem"
alipay_public_key_command = ["vault", "-token=xyz"]
"#;

    #[test]
    fn order_and_comments_do_not_count_but_the_rank_of_channels_does() {
        let same = OLD
            .replace("# secret_key", "# other")
            .replace("max_requests = 512", "max_requests=512");
        assert!(changes(&table(OLD), &table(&same)).is_empty());
        let (first, second) = OLD.split_at(OLD.find("[[channels]]").unwrap());
        let (one, two) = second.split_at(second.rfind("[[channels]]").unwrap());
        let turned = changes(&table(OLD), &table(&format!("{first}{two}{one}")));
        assert_eq!(turned.len(), 1, "{turned:?}");
        assert_eq!(turned[0].path, "channels (order)");
    }

    #[test]
    fn each_change_has_its_path_and_no_secret() {
        let new = OLD
            .replace("sk_live_1", "sk_live_2")
            .replace("8000", "9000")
            .replace("whsec_one", "whsec_two")
            .replace("max_requests = 512", "max_requests = 1")
            .replace("a.pem", "b.pem")
            .replace("xyz", "zyx")
            .replace("pass@", "word@");
        let found = changes(&table(OLD), &table(&new));
        let paths: Vec<&str> = found.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "channels.ali.alipay_public_key_command",
                "channels.ali.private_key_file",
                "channels.card.secret_key",
                "channels.card.timeout_ms",
                "merchants.shop.webhook_secrets",
                "merchants.shop.webhook_url",
                "server.max_requests",
            ]
        );
        let told = format!("{found:?}");
        for secret in ["sk_live", "whsec_", "xyz", "zyx", "user:", "pass@", "word@"] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
        assert_eq!(found[3].to.as_deref(), Some("9000"));
        let live: Vec<bool> = found.iter().map(|c| c.live).collect();
        assert_eq!(live, [true, true, true, true, true, true, false]);
    }

    #[test]
    fn a_shown_text_has_neither_comments_nor_secrets_and_reads() {
        let text = shown(OLD);
        for hidden in ["sk_live", "whsec_", "xyz", "user:", "#"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert!(text.contains("timeout_ms = 8000") && text.contains("a.pem"), "{text}");
        assert_eq!(table(&text).len(), 3);
    }
}
