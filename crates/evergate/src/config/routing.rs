//! `[routing]`, `[[routing.rules]]` and `[[channels.fees]]`.

use std::collections::BTreeMap;
use std::ops::Range;

use domain::ChannelId;
use jiff::tz::TimeZone;
use resilience::{Fee, FeeTable, Guide, InvalidRule, RuleText, Rules};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::read::Reader;

/// Reads a channel's price list, which stands in its table.
pub(super) fn fees<'t>(
    reader: &mut Reader<'t>,
    at: &str,
    value: &Spanned<DeValue<'t>>,
) -> FeeTable {
    let DeValue::Array(lines) = value.get_ref() else {
        let field = format!("{at}.fees");
        reader.note(
            value.span(),
            &field,
            "it must be a list of tables",
            "write `[[channels.fees]]`",
        );
        return FeeTable::default();
    };
    let mut table = FeeTable::default();
    for (index, line) in lines.iter().enumerate() {
        let at = format!("{at}.fees[{index}]");
        let Some(fee) = reader.table::<Fee>(&at, line) else { continue };
        for wrong in fee.mistakes() {
            let span = within(line, wrong.field);
            reader.note(span, &format!("{at}.{}", wrong.field), wrong.rule, wrong.fix);
        }
        table.lines.push(fee);
    }
    table
}

/// Reads `[routing]` for these channels.
pub(super) fn guide<'t>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    channels: &[ChannelId],
    fees: BTreeMap<ChannelId, FeeTable>,
) -> Guide {
    let mut guide = Guide { fees, ..Guide::default() };
    let Some(section) = document.get("routing") else { return guide };
    let DeValue::Table(table) = section.get_ref() else {
        reader.note(section.span(), "routing", "it must be a table", "write `[routing]`");
        return guide;
    };
    for (key, _) in table.iter().filter(|(k, _)| !["time_zone", "rules"].contains(&&**k.get_ref()))
    {
        let field = format!("routing.{}", key.get_ref());
        let fix = "the settings are time_zone and rules";
        reader.note(key.span(), &field, "there is no such setting", fix);
    }
    if let Some(zone) = table.get("time_zone") {
        guide.zone = time_zone(reader, zone);
    }
    guide.rules = rules(reader, table, channels);
    guide
}

fn time_zone<'t>(reader: &mut Reader<'t>, value: &Spanned<DeValue<'t>>) -> TimeZone {
    let found = match value.get_ref() {
        DeValue::String(name) => TimeZone::get(name).ok(),
        _ => None,
    };
    found.unwrap_or_else(|| {
        let rule = "it is not the name of a time zone";
        reader.note(
            value.span(),
            "routing.time_zone",
            rule,
            "such as \"Asia/Shanghai\" or \"UTC\"",
        );
        TimeZone::UTC
    })
}

fn rules<'t>(reader: &mut Reader<'t>, routing: &DeTable<'t>, channels: &[ChannelId]) -> Rules {
    let Some(value) = routing.get("rules") else { return Rules::default() };
    let DeValue::Array(entries) = value.get_ref() else {
        let fix = "write it as `[[routing.rules]]`, once for each";
        reader.note(value.span(), "routing.rules", "it must be a list of tables", fix);
        return Rules::default();
    };
    let before = reader.mistakes.len();
    let texts: Vec<RuleText> = entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| reader.table(&format!("routing.rules[{index}]"), entry))
        .collect();
    // A rule that could not be read leaves a gap, and then the places would be wrong.
    if texts.len() < entries.len() {
        return Rules::default();
    }
    match Rules::read(&texts, channels) {
        Ok(rules) => rules,
        Err(wrong) => {
            for wrong in wrong {
                note(reader, entries, &texts, &wrong, before);
            }
            Rules::default()
        }
    }
}

/// Notes a mistake of a rule at its place, unless the same setting was noted before: what was
/// taken out because it does not read is also missing.
fn note<'t>(
    reader: &mut Reader<'t>,
    entries: &[Spanned<DeValue<'t>>],
    texts: &[RuleText],
    wrong: &InvalidRule,
    before: usize,
) {
    let InvalidRule { index, field, at, rule, fix } = wrong;
    let path = format!("routing.rules[{index}].{field}");
    let noted = |field: &str| field == path || path.starts_with(&format!("{field}."));
    if reader.mistakes[before..].iter().any(|m| noted(&m.field)) {
        return;
    }
    let name = texts.get(*index).map_or("", |text| text.name.as_str());
    let rule = match (name, at) {
        ("", _) => rule.clone(),
        (name, Some(at)) => format!("rule \"{name}\", character {at}: {rule}"),
        (name, None) => format!("rule \"{name}\": {rule}"),
    };
    let span = match entries.get(*index) {
        Some(entry) => place(reader, entry, field, *at),
        None => 0..0,
    };
    reader.note(span, &path, &rule, fix);
}

/// Where a setting of a rule is written; for a condition, where in its text.
fn place<'t>(
    reader: &Reader<'t>,
    entry: &Spanned<DeValue<'t>>,
    field: &str,
    at: Option<usize>,
) -> Range<usize> {
    let mut inner = entry;
    for key in field.split('.') {
        let DeValue::Table(table) = inner.get_ref() else { break };
        match table.get(key) {
            Some(value) => inner = value,
            None => break,
        }
    }
    let span = inner.span();
    let (Some(at), DeValue::String(text)) = (at, inner.get_ref()) else { return span };
    // A text with escapes is not written as it reads; then its beginning must do.
    let Some(start) = reader.find(&span, text) else { return span };
    let before = text.chars().take(at - 1).map(char::len_utf8).sum::<usize>();
    start + before..span.end
}

/// The place of a setting in a table, or of the table.
fn within(table: &Spanned<DeValue<'_>>, key: &str) -> Range<usize> {
    let found = match table.get_ref() {
        DeValue::Table(table) => table.get_key_value(key).map(|(key, _)| key.span()),
        _ => None,
    };
    found.unwrap_or_else(|| table.span())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, REFERENCE};

    const CHANNELS: &str = r#"
[[channels]]
name = "alipay-a"
provider = "alipay"
app_id = "2021000000000000"
private_key = "x"
alipay_public_key = "x"

[[channels.fees]]
method = "alipay"
rate_ppm = 6000

[[channels.fees]]
currency = "CNY"
rate_ppm = 2000000
fixed_minor = 10

[[channels.fees]]
rate = 1
fee_max_minor = 5

[routing]
time_zone = "Mars/Olympus"
rule = 1

[[routing.rules]]
name = "large"
when = "amount_minor >= 100000 && methd == 'alipay'"
then = { prefer = ["alipay-a"] }

[[routing.rules]]
name = "elsewhere"
when = 5
then = { only = ["alipay-b"], split = { alipay-a = 0 } }

[[routing.rules]]
name = "nothing"
"#;

    #[test]
    fn every_mistake_has_its_place() {
        let found = Config::parse(CHANNELS, Path::new("")).unwrap_err();
        let told: Vec<String> = found
            .iter()
            .map(|m| format!("{}:{} {}: {}\n  fix: {}", m.line, m.column, m.field, m.rule, m.fix))
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn the_reference_routes_by_the_merchants_order_alone() {
        let config = Config::parse(REFERENCE, Path::new("")).unwrap();
        assert!(config.guide.rules.is_empty() && config.guide.fees.is_empty());
    }
}
