//! The degradation ladder during a demo: where it stood, told as it moves and for the report.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Ladder, Level, Locale, Reach, Timestamp};

use super::story::Happened;
use crate::lang::Lang;

/// What was seen of the ladder, for everybody and by method; single channels are told of by
/// their health.
#[derive(Default)]
pub(super) struct Watch {
    spans: BTreeMap<Reach, Vec<Span>>,
}

/// A time below the top.
struct Span {
    level: Level,
    deepest: Level,
    from: Duration,
    until: Option<Duration>,
}

impl Watch {
    /// Looks at the levels in force, and says what has moved.
    pub(super) fn look(
        &mut self,
        ladder: &Ladder,
        now: Timestamp,
        at: Duration,
        lang: Lang,
    ) -> Vec<String> {
        let mut levels: BTreeMap<Reach, Level> = BTreeMap::new();
        for descent in ladder.in_force(now) {
            if matches!(descent.reach, Reach::All | Reach::Method(_)) {
                let level = levels.entry(descent.reach.clone()).or_default();
                *level = descent.level.max(*level);
            }
        }
        let below = self.spans.iter().filter(|(_, spans)| is_below(spans));
        let up: Vec<Reach> =
            below.map(|(reach, _)| reach.clone()).filter(|r| !levels.contains_key(r)).collect();
        levels.extend(up.into_iter().map(|reach| (reach, Level::Normal)));
        let moved = levels.into_iter().filter(|(reach, level)| self.note(reach, *level, at));
        moved.map(|(reach, level)| told(&reach, level, lang)).collect::<Vec<_>>()
    }

    /// Whether a scope has moved.
    fn note(&mut self, reach: &Reach, level: Level, at: Duration) -> bool {
        let spans = self.spans.entry(reach.clone()).or_default();
        match spans.last_mut().filter(|span| span.until.is_none()) {
            Some(span) if span.level == level => return false,
            Some(span) if level == Level::Normal => span.until = Some(at),
            Some(span) => {
                span.level = level;
                span.deepest = span.deepest.max(level);
            }
            None if level == Level::Normal => return false,
            None => spans.push(Span { level, deepest: level, from: at, until: None }),
        }
        true
    }

    /// The times below the top, each scope once: from the first descent to the last return.
    pub(super) fn story(&self) -> Vec<Happened> {
        let scope = |(reach, spans): (&Reach, &Vec<Span>)| {
            let (first, last) = (spans.first()?, spans.last()?);
            let deepest = spans.iter().map(|span| span.deepest).max()?;
            Some(Happened::Ladder {
                scope: reach.to_string().replace(' ', ":"),
                deepest: deepest.number(),
                from_s: first.from.as_secs_f64(),
                until_s: last.until.map(|until| until.as_secs_f64()),
            })
        };
        self.spans.iter().filter_map(scope).collect()
    }
}

fn is_below(spans: &[Span]) -> bool {
    spans.last().is_some_and(|span| span.until.is_none())
}

fn told(reach: &Reach, level: Level, lang: Lang) -> String {
    let (number, name) = (level.number(), level.label(locale(lang)));
    let who = who(reach, lang);
    lang.pick(
        format!("ladder: {who} at level {number}, {name}"),
        format!("降级阶梯：{who}为 {number} 级（{name}）"),
    )
}

/// A scope for people.
pub(super) fn who(reach: &Reach, lang: Lang) -> String {
    match reach {
        Reach::Method(method) => method.label(locale(lang)).to_owned(),
        _ => lang.pick("everybody", "所有人").to_owned(),
    }
}

pub(super) fn locale(lang: Lang) -> Locale {
    lang.pick(Locale::En, Locale::Zh)
}

#[cfg(test)]
mod tests {
    use domain::{Descent, Method, Mover};

    use super::*;

    #[test]
    fn a_descent_is_told_once_and_its_end_as_well() {
        let now = Timestamp::from_secs(1_000);
        let at = Duration::from_secs;
        let set = |level| {
            Ladder::default().descend(
                Descent {
                    reach: Reach::Method(Method::Alipay),
                    level,
                    mover: Mover::Policy,
                    reason: "out".into(),
                    since: now,
                    until: now + at(60),
                },
                now,
            )
        };
        let mut watch = Watch::default();
        let mut look = |level, s| watch.look(&set(level), now, at(s), Lang::En);
        assert_eq!(look(Level::Normal, 0), [""; 0]);
        let down = look(Level::OtherMethod, 1);
        assert_eq!(down, ["ladder: Alipay at level 2, another method offered"]);
        assert_eq!(look(Level::OtherMethod, 2), [""; 0]);
        assert_eq!(look(Level::Rerouted, 3), ["ladder: Alipay at level 1, rerouted silently"]);
        assert_eq!(look(Level::Normal, 4), ["ladder: Alipay at level 0, as usual"]);
        let story = watch.story();
        assert_eq!(
            story,
            [Happened::Ladder {
                scope: "method:alipay".into(),
                deepest: 2,
                from_s: 1.0,
                until_s: Some(4.0),
            }]
        );
    }
}
