//! Seeds that once broke a rule, each under the name of what was wrong.

use simulator::{Run, simulate};

fn holds(seed: u64, payments: usize) {
    let outcome = simulate(Run::new(seed, payments));
    assert_eq!(outcome.violation, None, "seed {seed}");
}

/// Rule 15: the call of a refund had a fresh lease instead of the durable one, so a process
/// that stood still between commit and call could send it long after others took over.
#[test]
fn a_refund_is_sent_under_its_durable_lease_only() {
    holds(43, 40);
}

/// Rule 6: a close that gave the money back was not booked when a notification had told of the
/// capture before, so the payment stayed paid in our books only.
#[test]
fn what_a_close_gives_back_is_booked_after_a_notification_too() {
    holds(1772, 40);
    holds(1994, 40);
}

/// Rules 3 and 4: a process slept on "not found" until it was late enough to be proof, and
/// took it for one.
#[test]
fn an_answer_that_was_slept_on_proves_nothing() {
    holds(11_937, 40);
    holds(14_754, 40);
}

/// Rule 5: an answer to a question from before a close counted as the try to close, so another
/// code was shown beside one that nobody had tried to close; and a provider that answered no
/// questions was never asked to close at all.
#[test]
fn an_old_answer_is_no_try_to_close() {
    holds(22_335, 40);
    holds(27_211, 40);
}

/// Rule 17: a provider that stated a wrong amount was asked again at once, for ever, and the
/// payment's other tasks never had their turn.
#[test]
fn a_wrong_amount_is_asked_about_on_schedule() {
    holds(30_089, 40);
    holds(34_166, 40);
}

/// Rule 2: a refund that failed and is owed was hidden behind an older question to a person.
#[test]
fn an_owed_refund_is_not_hidden_behind_another_review() {
    holds(11_516, 40);
    holds(17_118, 40);
}

/// Rule 14: a process woke up with the refusal of a refund that others had meanwhile sent again
/// and that its provider had accepted, and booked it as failed.
#[test]
fn a_stale_refusal_does_not_fail_a_refund_that_was_sent_again() {
    holds(234_865, 40);
}

/// Rule 17: giving a claim back overwrote the time of work that somebody else had caused
/// meanwhile, and nobody ever came for it.
#[test]
fn giving_a_claim_back_loses_no_work() {
    holds(212_245, 40);
}

/// Rules 2 and 6: where a call of ours takes the money (PayPal), "nothing was taken" counted as
/// proof while such a call was still under way, or was slept on while one was made; the money
/// that it took was in nobody's books, or was kept beside another success.
#[test]
fn that_nothing_was_taken_is_no_proof_while_a_call_may_be_under_way() {
    holds(500_272, 40);
    holds(500_424, 40);
    holds(502_320, 40);
    holds(505_664, 40);
}

/// Rule 5: "payable" after the expiry counted as proof that the order lapsed, but Stripe's
/// orders do not end by themselves and were paid later.
#[test]
fn an_order_that_is_payable_has_not_lapsed() {
    holds(54, 40);
}
