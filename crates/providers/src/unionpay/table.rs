//! UnionPay's `respCode`s and what they mean.
//!
//! The same code means different things by where it stands: as the answer to a query it is
//! about the question, as `origRespCode` about the payment or refund that was asked for, and as
//! the answer to a refund or undo about whether that was taken.

use crate::table::{
    HARD, Look, Meaning, NotFound, Processing, Refused, Rejected, SOFT, Unavailable, Unknown,
};

/// Where a code stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The answer to a query: the question itself.
    Question,
    /// The answer to a refund or undo: whether it was taken.
    Return,
    /// `origRespCode` of a payment. `Declined`, `Rejected` and `Unavailable` say that this try
    /// failed, which does not end the order.
    Payment,
    /// `origRespCode` of a refund or undo. `Refused` says that it ended without effect.
    Returned,
}

impl About {
    #[cfg(test)]
    const ALL: [About; 4] = [About::Question, About::Return, About::Payment, About::Returned];
}

/// Whether a code says success. A6 is a success with a limitation of some kind.
pub(super) fn is_success(code: &str) -> bool {
    matches!(code, "00" | "A6")
}

struct Row {
    code: &'static str,
    means: [Meaning; 4],
}

const fn row(code: &'static str, means: [Meaning; 4]) -> Row {
    Row { code, means }
}

/// A refusal by the issuer. Nobody asks an issuer about a question.
const fn issuer(code: &'static str, payment: Meaning) -> Row {
    row(code, [Unknown, Refused, payment, Refused])
}

/// Stopped before it had an effect: ours or the account's to mend.
const fn ours(code: &'static str) -> Row {
    row(code, [Rejected, Rejected, Rejected, Refused])
}

/// The state of the payment forbids the refund or undo.
const fn state(code: &'static str) -> Row {
    row(code, [Unknown, Refused, Unknown, Refused])
}

/// The money may have moved, or surely has and is not where it belongs.
const fn doubt(code: &'static str) -> Row {
    row(code, [Unknown; 4])
}

static ROWS: &[Row] = &[
    // A refusal of a payment; of refunds the provider's own example keeps asking.
    row("01", [Unknown, Unknown, SOFT, Unknown]),
    row("60", [Unknown, Unknown, SOFT, Unknown]),
    // Closed, or outside its hours. A refund that met 02 may have got further than the door.
    row("02", [Unavailable, Unknown, Unavailable, Unknown]),
    row("39", [Unavailable, Unavailable, Unavailable, Refused]),
    // Time-out, unknown, accepted, busy.
    row("03", [Unknown, Unknown, Processing, Processing]),
    row("04", [Unknown, Unknown, Processing, Processing]),
    row("05", [Unknown, Unknown, Processing, Processing]),
    row("06", [Unknown, Unknown, Processing, Processing]),
    row("83", [Unknown, Unknown, Processing, Processing]),
    // Stopped at the door.
    ours("10"),
    ours("11"),
    ours("13"),
    ours("30"),
    ours("31"),
    ours("32"),
    ours("33"),
    ours("36"),
    ours("40"),
    // The number is taken: by an earlier send of ours.
    row("12", [Unknown, Look, Unknown, Unknown]),
    // No such transaction. Of a refund the provider's own example keeps asking.
    row("34", [NotFound, Unknown, NotFound, Unknown]),
    // A limiter may sit behind what it limits.
    row("37", [Unavailable, Unknown, Unavailable, Unknown]),
    row("38", [Unknown, Refused, HARD, Refused]),
    // The issuer.
    issuer("61", HARD),
    issuer("62", SOFT),
    issuer("63", HARD),
    issuer("64", HARD),
    issuer("65", HARD),
    issuer("66", HARD),
    issuer("67", HARD),
    issuer("68", HARD),
    issuer("69", HARD),
    issuer("70", SOFT),
    issuer("71", SOFT),
    issuer("72", SOFT),
    issuer("73", SOFT),
    // Refunds and undos.
    state("35"),
    state("43"),
    state("44"),
    state("45"),
    state("46"),
    // Debited, and not or perhaps not posted; debited after `payTimeout`.
    doubt("42"),
    doubt("74"),
    doubt("75"),
    // Codes of QR payments, which are not made here.
    doubt("86"),
    doubt("88"),
    // A file is not there (98), and its neighbour: no word about a payment.
    row("98", [Rejected, Unknown, Unknown, Unknown]),
    row("99", [Rejected, Unknown, Unknown, Unknown]),
];

/// What a code that is no success means.
pub(super) fn meaning(about: About, code: &str) -> Meaning {
    ROWS.iter().find(|row| row.code == code).map_or(Unknown, |row| row.means[about as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code of the documents, by the class that they give it.
    #[test]
    fn every_documented_code_has_its_class() {
        let all = |codes: &[&str], about, wanted: &[Meaning]| {
            for code in codes {
                let found = meaning(about, code);
                assert!(wanted.contains(&found), "{code} {about:?}: {found:?}");
            }
        };
        // Ambiguous.
        all(&["03", "04", "05", "06"], About::Question, &[Unknown]);
        all(&["03", "04", "05", "06"], About::Return, &[Unknown]);
        all(&["03", "04", "05", "06", "83"], About::Payment, &[Processing]);
        all(&["03", "04", "05", "06", "83"], About::Returned, &[Processing]);
        // Kept undecided for refunds.
        all(&["01", "34", "60"], About::Return, &[Unknown]);
        all(&["01", "12", "34", "60"], About::Returned, &[Unknown]);
        // No such transaction, and no proof.
        all(&["34"], About::Question, &[NotFound]);
        all(&["34"], About::Payment, &[NotFound]);
        // Definitive failures of a payment.
        all(&["01"], About::Payment, &[SOFT]);
        let issuer =
            ["60", "61", "62", "63", "64", "65", "66", "67", "68", "69", "70", "71", "72", "73"];
        all(&issuer, About::Payment, &[HARD, SOFT]);
        all(&issuer[1..], About::Return, &[Refused]);
        all(&issuer[1..], About::Returned, &[Refused]);
        // Safe before effect, configuration and rights.
        let safe = ["10", "11", "13", "30", "31", "32", "33", "36", "40"];
        for about in [About::Question, About::Return, About::Payment] {
            all(&safe, about, &[Rejected]);
        }
        all(&["12"], About::Return, &[Look]);
        // Rate, risk, maintenance.
        all(&["02", "37", "39"], About::Question, &[Unavailable]);
        all(&["02", "37"], About::Return, &[Unknown]);
        all(&["39"], About::Return, &[Unavailable]);
        all(&["38"], About::Payment, &[HARD]);
        all(&["38"], About::Return, &[Refused]);
        // Debited but not posted.
        for about in About::ALL {
            all(&["42", "74", "75", "86", "88"], about, &[Unknown]);
        }
        // Refund and undo state.
        all(&["35", "43", "44", "45", "46"], About::Return, &[Refused]);
        all(&["35", "43", "44", "45", "46"], About::Returned, &[Refused]);
        // Files and the 98/99 family.
        all(&["98", "99"], About::Question, &[Rejected]);
        all(&["98", "99"], About::Return, &[Unknown]);
    }

    #[test]
    fn success_is_two_codes_only() {
        let good: Vec<_> = (0..100).map(|n| format!("{n:02}")).filter(|c| is_success(c)).collect();
        assert_eq!(good, ["00"]);
        assert!(is_success("A6") && !is_success("") && !is_success("0"));
        assert!(ROWS.iter().all(|row| !is_success(row.code)));
    }

    #[test]
    fn what_is_not_listed_is_unknown_and_nothing_is_listed_twice() {
        for about in About::ALL {
            for code in ["", "07", "50", "97", "A1", "timeout"] {
                assert_eq!(meaning(about, code), Unknown, "{code}");
            }
        }
        let mut codes: Vec<_> = ROWS.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
