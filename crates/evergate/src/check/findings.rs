//! What a check found, as a table, as JSON and as an exit code.

use std::path::Path;

use owo_colors::OwoColorize;
use serde::Serialize;

use crate::client::table;
use crate::config::Mistake;
use crate::lang::Lang;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works now, and will hurt.
    Warning,
    /// Does not work.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    /// The exit code that stands for it.
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// The channel; empty for the configuration as a whole.
    pub channel: String,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug)]
pub struct Findings {
    pub(super) lang: Lang,
    /// In the order in which it was looked at.
    pub all: Vec<Finding>,
}

impl Findings {
    pub(super) fn new(lang: Lang) -> Findings {
        Findings { lang, all: Vec::new() }
    }

    pub(super) fn ok(&mut self, channel: &str, what: &str, detail: String) {
        self.add(Level::Ok, channel, what, detail, None);
    }

    pub(super) fn warning(&mut self, channel: &str, what: &str, detail: String, fix: &str) {
        self.add(Level::Warning, channel, what, detail, Some(fix));
    }

    pub(super) fn error(&mut self, channel: &str, what: &str, detail: String, fix: &str) {
        self.add(Level::Error, channel, what, detail, Some(fix));
    }

    pub(super) fn mistake(&mut self, file: &Path, channel: &str, mistake: Mistake) {
        let Mistake { line, column, field, rule, fix } = mistake;
        let place = format!("{}:{line}:{column}", file.display());
        let prefix = format!("channels.{channel}.");
        let field = field.strip_prefix(&prefix).unwrap_or(&field).to_owned();
        self.error(channel, &field, format!("{rule} ({place})"), &fix);
    }

    fn add(&mut self, level: Level, channel: &str, what: &str, detail: String, fix: Option<&str>) {
        self.all.push(Finding {
            level,
            channel: channel.to_owned(),
            what: what.to_owned(),
            detail,
            fix: fix.map(str::to_owned),
        });
    }

    /// The worst level; good when nothing was looked at.
    pub fn worst(&self) -> Level {
        self.all.iter().map(|f| f.level).max().unwrap_or(Level::Ok)
    }

    fn count(&self, level: Level) -> usize {
        self.all.iter().filter(|f| f.level == level).count()
    }

    /// One JSON object on one line.
    pub fn json(&self) -> String {
        serde_json::json!({
            "result": self.worst(),
            "errors": self.count(Level::Error),
            "warnings": self.count(Level::Warning),
            "findings": self.all,
        })
        .to_string()
    }

    /// A table for people, with a line that sums up.
    pub fn text(&self, color: bool) -> String {
        let lang = self.lang;
        let mut table = table(lang.pick(
            ["channel", "what", "result", "found", "what to do"],
            ["通道", "检查项", "结果", "发现", "处理办法"],
        ));
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        for finding in &self.all {
            let level = match (color, finding.level) {
                (false, level) => level.name().to_owned(),
                (true, Level::Ok) => "ok".green().to_string(),
                (true, Level::Warning) => "warning".yellow().to_string(),
                (true, Level::Error) => "error".red().to_string(),
            };
            let channel = if finding.channel.is_empty() { "–" } else { &finding.channel };
            table.add_row([
                channel,
                &finding.what,
                &level,
                &finding.detail,
                finding.fix.as_deref().unwrap_or(""),
            ]);
        }
        let (errors, warnings) = (self.count(Level::Error), self.count(Level::Warning));
        let sum = lang.pick(
            format!("{errors} errors, {warnings} warnings"),
            format!("{errors} 个错误，{warnings} 个警告"),
        );
        format!("{table}\n{sum}")
    }
}
