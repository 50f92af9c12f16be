//! When notes may go out, checked against random days.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::time::Duration;

use domain::{PaymentId, Timestamp};
use notify::{Kind, Limits, Past, Question, QuietHours, Standing, Verdict, Way, Why, decide, zone};
use proptest::prelude::*;
use uuid::Uuid;

const START: i64 = 1_795_500_000;
const DAY: Duration = Duration::from_secs(86_400);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(START + secs)
}

fn payment(n: u8) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(u128::from(n)))
}

fn question(kind: Kind, n: u8) -> Question {
    Question {
        kind,
        way: Way::Email,
        payment: payment(n),
        standing: if kind == Kind::Expired { Standing::Ended } else { Standing::Open },
        is_answer: false,
        since: at(0),
        not_after: at(3 * 86_400),
        is_forced: false,
        is_unsubscribed: false,
    }
}

fn ask(question: &Question, past: &[Past], now: Timestamp) -> Verdict {
    let zone = zone("Asia/Shanghai").unwrap();
    decide(question, past, Limits::default(), Some(QuietHours::default()), &zone, now)
}

fn past(kind: Kind, n: u8, secs: i64) -> Past {
    Past { kind, payment: payment(n), at: at(secs) }
}

// 14:00 in Shanghai is START; 22:00 is 8 hours later.
const NIGHT: i64 = 9 * 3_600;
const MORNING: i64 = 18 * 3_600;

#[test]
fn each_reason_has_its_verdict() {
    let reminder = question(Kind::Recovered, 1);
    let suppressed = Verdict::Suppress;
    for (name, question, past, now, verdict) in [
        ("nothing stands in the way", reminder, vec![], 0, Verdict::Send),
        (
            "its time is over",
            Question { not_after: at(10), ..reminder },
            vec![],
            10,
            suppressed(Why::TooLate),
        ),
        (
            "paid meanwhile",
            Question { standing: Standing::Paid, ..reminder },
            vec![],
            0,
            suppressed(Why::Overtaken),
        ),
        (
            "unsubscribed",
            Question { is_unsubscribed: true, ..reminder },
            vec![],
            0,
            suppressed(Why::Unsubscribed),
        ),
        (
            "unsubscribed stands above an operator",
            Question { is_unsubscribed: true, is_forced: true, ..reminder },
            vec![],
            0,
            suppressed(Why::Unsubscribed),
        ),
        (
            "a receipt is owed at night to someone who unsubscribed",
            Question { is_unsubscribed: true, ..question(Kind::Paid, 1) },
            vec![],
            NIGHT,
            Verdict::Send,
        ),
        (
            "the person heard of this incident for another order",
            reminder,
            vec![past(Kind::Recovered, 2, 5)],
            10,
            suppressed(Why::Told),
        ),
        (
            "that was another incident, before this order was held",
            reminder,
            vec![past(Kind::Recovered, 2, -5)],
            10,
            Verdict::Send,
        ),
        (
            "held twice in one incident",
            question(Kind::Held, 1),
            vec![past(Kind::Held, 1, 5)],
            10,
            suppressed(Why::Told),
        ),
        (
            "another order is held",
            question(Kind::Held, 1),
            vec![past(Kind::Held, 2, 5)],
            10,
            Verdict::Send,
        ),
        (
            "it is night",
            reminder,
            vec![],
            NIGHT,
            Verdict::Wait { until: at(MORNING), why: Why::QuietHours },
        ),
        (
            "the customer has just acted, at night",
            Question { is_answer: true, ..question(Kind::Held, 1) },
            vec![],
            NIGHT,
            Verdict::Send,
        ),
        (
            "the night outlasts it",
            Question { not_after: at(MORNING), ..reminder },
            vec![],
            NIGHT,
            suppressed(Why::QuietHours),
        ),
        (
            "three of a kind were enough",
            question(Kind::Extended, 1),
            vec![
                past(Kind::Extended, 1, 1),
                past(Kind::Extended, 1, 2),
                past(Kind::Extended, 2, 3),
            ],
            10,
            Verdict::Wait { until: at(86_401), why: Why::Limit },
        ),
        (
            "an operator stands above limits and hours",
            Question { is_forced: true, not_after: at(1), ..reminder },
            vec![past(Kind::Recovered, 1, 5)],
            NIGHT,
            Verdict::Send,
        ),
    ] {
        assert_eq!(ask(&question, &past, at(now)), verdict, "{name}");
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

fn local_hour(at: Timestamp) -> i64 {
    (at.as_secs() + 8 * 3_600).rem_euclid(86_400) / 3_600
}

proptest! {
    /// A person's notes over some days, each asked about until it is sent or suppressed: nothing
    /// is kept for ever, no reminder goes at night, and no window of a day holds too much.
    #[test]
    fn every_note_ends_and_no_rule_is_broken(
        made in prop::collection::vec((kind(), 0_u8..4, 0_i64..200_000, any::<bool>()), 1..40),
        life in 3_600_i64..300_000,
    ) {
        let mut waiting: Vec<(Timestamp, Question)> = made
            .into_iter()
            .map(|(kind, n, secs, is_answer)| {
                let not_after = at(secs + life);
                (at(secs), Question { is_answer, not_after, since: at(secs), ..question(kind, n) })
            })
            .collect();
        let mut sent: Vec<(Past, bool)> = Vec::new();
        let mut looks = 0;
        while !waiting.is_empty() {
            waiting.sort_by_key(|(due, _)| *due);
            let (now, question) = waiting.remove(0);
            let past: Vec<Past> = sent.iter().map(|(past, _)| *past).collect();
            match ask(&question, &past, now) {
                Verdict::Send => {
                    let Question { kind, payment, .. } = question;
                    sent.push((Past { kind, payment, at: now }, question.is_answer));
                }
                Verdict::Wait { until, .. } => {
                    prop_assert!(until > now && until < question.not_after);
                    waiting.push((until, question));
                }
                Verdict::Suppress(_) => {}
            }
            looks += 1;
            prop_assert!(looks < 4_000, "a note is looked at again and again");
        }
        let limits = Limits::default();
        for (i, (note, is_answer)) in sent.iter().enumerate() {
            if note.kind.is_owed() {
                continue;
            }
            let hour = local_hour(note.at);
            prop_assert!(*is_answer || (8..22).contains(&hour), "{note:?} at {hour}");
            let window = sent[..i].iter().filter(|(past, _)| past.at + DAY > note.at);
            let (all, like) = window.fold((0, 0), |(all, like), (past, _)| {
                (all + 1, like + usize::from(past.kind == note.kind))
            });
            prop_assert!(like < limits.per_kind, "{note:?} is number {}", like + 1);
            prop_assert!(all < limits.per_day, "{note:?} is number {}", all + 1);
        }
    }

    /// Who unsubscribed gets what is owed and nothing else, whatever else holds.
    #[test]
    fn nobody_who_left_is_reminded(kind in kind(), n in 0_u8..3, forced: bool, secs in 0_i64..200_000) {
        let left = Question { is_unsubscribed: true, is_forced: forced, ..question(kind, n) };
        let verdict = ask(&left, &[], at(secs));
        prop_assert_eq!(verdict == Verdict::Send, kind.is_owed(), "{:?}", verdict);
    }
}
