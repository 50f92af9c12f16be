//! The scenarios there are, and how one is found.

use anyhow::{Context as _, Result, bail};
use sandbox::Scenario;
use serde_json::json;

use super::width;
use crate::lang::Lang;

/// A scenario that comes with the sandbox, or one in a file.
///
/// # Errors
/// When there is no such name and no such file, or the file has mistakes.
pub fn load_scenario(name: &str) -> Result<Scenario> {
    if let Some(scenario) = Scenario::embedded(name) {
        return Ok(scenario);
    }
    let file = std::path::Path::new(name);
    if !file.exists() {
        let known = Scenario::names().join(", ");
        bail!("no scenario and no file is named `{name}`; the scenarios are {known}");
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("the scenario {name}"))?;
    let read = match file.extension().is_some_and(|e| e == "json") {
        true => Scenario::from_json(&text),
        false => Scenario::from_toml(&text),
    };
    read.with_context(|| format!("the scenario {name}"))
}

/// The scenarios that come with the sandbox, a few words about each.
pub fn list(lang: Lang, as_json: bool) -> String {
    let scenarios = Scenario::names().into_iter().filter_map(Scenario::embedded);
    if as_json {
        let of = |s: Scenario| json!({ "name": s.name, "description": s.description });
        return json!({ "scenarios": scenarios.map(of).collect::<Vec<_>>() }).to_string();
    }
    let lines = scenarios.map(|scenario| {
        let what = lang.pick(scenario.description.en, scenario.description.zh);
        let told = width::hang(&what, &" ".repeat(23), width::SCREEN);
        format!("{:<21}  {}", scenario.name, told.trim_start())
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_scenario_in_both_languages_within_80_columns() {
        for lang in [Lang::En, Lang::Zh] {
            let list = list(lang, false);
            for name in Scenario::names() {
                assert!(list.lines().any(|line| line.starts_with(name)), "{name}: {list}");
            }
            assert!(list.lines().all(|line| width::columns(line) <= width::SCREEN), "{list}");
        }
        assert!(list(Lang::Zh, false).contains("银联"));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_the_names_that_are() {
        let error = load_scenario("nothing").unwrap_err().to_string();
        assert!(error.contains("unionpay-night, "), "{error}");
    }
}
