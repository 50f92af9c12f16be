//! Forms: their usual fields, and reading what was typed with every mistake named.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use engine::EngineError;
use pages::console::{Field, Input, Pick, Words};

use super::visitor::Typed;

/// The longest time that anything may be set for.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
const REASON_MAX: u16 = 200;

/// Reads a form; what is wrong is noted by field: the rule, and how to mend it.
pub(super) struct Reading<'t> {
    pub(super) typed: &'t Typed,
    pub(super) words: Words,
    mistakes: BTreeMap<&'static str, String>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(typed: &'t Typed, words: Words) -> Reading<'t> {
        Reading { typed, words, mistakes: BTreeMap::new() }
    }

    /// Notes a mistake, in both languages.
    pub(super) fn mistake(&mut self, field: &'static str, zh: &str, en: &str) {
        let text = self.words.pick(zh, en).to_owned();
        self.mistakes.entry(field).or_insert(text);
    }

    /// Notes what the engine or the books refused.
    pub(super) fn refused(&mut self, error: &EngineError) {
        match error {
            EngineError::NoSuchChannel => {
                let zh = "没有这个通道：请从列表中选择。";
                self.mistake("cell", zh, "is no channel of this server: choose one from the list.");
            }
            EngineError::EndPassed => {
                let zh = "必须在将来：请填写晚于现在的时间。";
                self.mistake("for", zh, "must be in the future: give a later time.");
            }
            EngineError::TooLong { max_s, .. } => {
                let hours = max_s / 3_600;
                let zh = format!("最长 {hours} 小时：请填写更早的时间。");
                let en = format!("may be {hours} hours away at most: give an earlier time.");
                self.mistake("for", &zh, &en);
            }
            EngineError::NotMoved => {
                let zh = "没有人工设定可取消；自动策略会随健康状况自行恢复。";
                let en = "nobody has moved it; what the policy sets comes up by itself.";
                self.mistake("scope", zh, en);
            }
            EngineError::NoSuchPurpose(_) => {
                let zh = "没有这个功能：请从列表中选择。";
                let en = "is no feature of this server: choose one from the list.";
                self.mistake("purpose", zh, en);
                self.mistake("scope", zh, en);
            }
            EngineError::CommitUnknown => {
                let zh = "账本没有及时答复，不确定是否已生效：请先查看上方状态，再决定是否重试。";
                let en = "The books did not answer in time, and it may be in force: look at the \
                          state above before you try again.";
                self.mistake("reason", zh, en);
            }
            error => {
                tracing::warn!(%error, "an act of the console was refused");
                let zh = "账本暂时没有响应，未做任何更改：请稍后重试。";
                let en = "The books do not answer right now and nothing was changed: try again.";
                self.mistake("reason", zh, en);
            }
        }
    }

    /// What was wrong with a field.
    pub(super) fn wrong(&self, field: &str) -> Option<String> {
        self.mistakes.get(field).cloned()
    }

    /// Whether all is well.
    pub(super) fn is_good(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Why something is done.
    pub(super) fn reason(&mut self) -> String {
        let text = self.typed.get("reason");
        let length = text.chars().count();
        if length == 0 {
            let zh = "必填：请写明原因，例如“银行通知维护至中午”。";
            self.mistake("reason", zh, "is required: say why, such as \"maintenance until noon\".");
        } else if length > usize::from(REASON_MAX) || text.chars().any(char::is_control) {
            let zh = "最多 200 个字，不能有换行等控制字符：请缩短。";
            let en = "may have 200 characters and no line breaks: make it shorter.";
            self.mistake("reason", zh, en);
        }
        text.to_owned()
    }

    /// When something ends: a span from now, or a time.
    pub(super) fn end(&mut self, now: Timestamp) -> Option<Timestamp> {
        let minutes = |m: u64| Some(now + Duration::from_secs(m * 60));
        let until = match self.typed.get("for") {
            "15m" => return minutes(15),
            "1h" => return minutes(60),
            "4h" => return minutes(240),
            "24h" => return minutes(1_440),
            "at" => read_local(self.typed.get("for_at"), self.typed.get("for_zone")),
            _ => {
                let zh = "必选：请选择一个时长或填写结束时间。";
                self.mistake("for", zh, "is required: choose how long, or give an end time.");
                return None;
            }
        };
        match until {
            None => {
                let zh = "不是有效的时间：请填写日期和时间，例如 2026-11-24 18:00。";
                let en = "is no time: give date and time, such as 2026-11-24 18:00.";
                self.mistake("for", zh, en);
                None
            }
            Some(until) if until <= now => {
                let zh = "必须在将来：请填写晚于现在的时间。";
                self.mistake("for", zh, "must be in the future: give a later time.");
                None
            }
            Some(until) if until > now + LONGEST => {
                let zh = "最长 31 天：请填写更早的时间。";
                self.mistake("for", zh, "may be 31 days away at most: give an earlier time.");
                None
            }
            Some(until) => Some(until),
        }
    }

    /// The field for [`Reading::reason`].
    pub(super) fn reason_field(&self) -> Field {
        let value = self.typed.get("reason").to_owned();
        let input = Input::Text { value, max: REASON_MAX, required: true };
        Field::new("reason", self.words.reason(), input)
            .hint(self.words.reason_hint())
            .wrong(self.wrong("reason"))
    }

    /// The field for [`Reading::end`].
    pub(super) fn end_field(&self) -> Field {
        let words = self.words;
        let chosen = Some(self.typed.get("for")).filter(|c| !c.is_empty()).unwrap_or("1h");
        let spans = [
            ("15m", words.m15()),
            ("1h", words.h1()),
            ("4h", words.h4()),
            ("24h", words.h24()),
            ("at", words.at_time()),
        ];
        let input = Input::End {
            spans: spans.map(|(value, label)| Pick::new(value, label, chosen)).to_vec(),
            at: self.typed.get("for_at").to_owned(),
            zone: self.typed.get("for_zone").to_owned(),
        };
        Field::new("for", words.ends(), input).hint(words.ends_hint()).wrong(self.wrong("for"))
    }
}

/// Counts an act by its end: `done`, or `failed` where the books refused it.
pub(super) fn count(act: &'static str, end: &'static str) {
    metrics::counter!("evergate_console_acts_total", "act" => act, "end" => end).increment(1);
}

/// A time as a browser sends it, without a zone, and the minutes that UTC is ahead of its zone
/// (none without the script: the page says UTC then).
fn read_local(text: &str, zone: &str) -> Option<Timestamp> {
    let local: jiff::civil::DateTime = text.parse().ok()?;
    let at = jiff::tz::Offset::UTC.to_timestamp(local).ok()?;
    let minutes: i64 = if zone.is_empty() { 0 } else { zone.parse().ok()? };
    let minutes = (-1_440..=1_440).contains(&minutes).then_some(minutes)?;
    Some(Timestamp::from_micros(at.as_microsecond() + minutes * 60_000_000))
}

#[cfg(test)]
mod tests {
    use domain::Locale;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_500_000); // 2026-11-24T06:00:00Z

    fn end(query: &str) -> Result<i64, String> {
        let typed = Typed::query(Some(query));
        let mut reading = Reading::new(&typed, Words(Locale::En));
        match reading.end(NOW) {
            Some(until) => Ok(until.as_secs() - NOW.as_secs()),
            None => Err(reading.wrong("for").unwrap()),
        }
    }

    #[test]
    fn ends_are_spans_or_times_of_the_readers_zone() {
        assert_eq!(end("for=15m"), Ok(900));
        assert_eq!(end("for=at&for_at=2026-11-24T15:00&for_zone=-480"), Ok(3_600));
        assert_eq!(end("for=at&for_at=2026-11-24T07:00&for_zone="), Ok(3_600));
        assert_eq!(end("for=at&for_at=2026-11-24T07:00"), Ok(3_600));
    }

    #[test]
    fn ends_that_are_none_are_refused_with_the_rule() {
        for (query, rule) in [
            ("", "is required"),
            ("for=forever", "is required"),
            ("for=at", "is no time"),
            ("for=at&for_at=tomorrow", "is no time"),
            ("for=at&for_at=2026-11-24T07:00&for_zone=99999", "is no time"),
            ("for=at&for_at=2026-11-24T05:00", "must be in the future"),
            ("for=at&for_at=2027-11-24T05:00", "31 days"),
        ] {
            let told = end(query).unwrap_err();
            assert!(told.starts_with(rule) || told.contains(rule), "{query}: {told}");
        }
    }

    #[test]
    fn a_reason_is_required_and_short() {
        for (reason, good) in [("why", true), ("", false), ("++", false), ("a%0Ab", false)] {
            let typed = Typed::query(Some(&format!("reason={reason}")));
            let mut reading = Reading::new(&typed, Words(Locale::Zh));
            reading.reason();
            assert_eq!(reading.is_good(), good, "{reason}");
        }
    }
}
