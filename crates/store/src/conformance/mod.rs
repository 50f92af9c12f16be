//! What every engine must do, as plain async functions that panic when it does not.
//!
//! [`conformance_suite!`](crate::conformance_suite) makes a test of each. An engine's own
//! tests add what only that engine can get wrong: its files, its network, its crashes.

mod assist;
mod bank;
mod claims;
mod commits;
mod lists;
mod messages;
mod notes;
mod races;
pub mod sample;
mod versions;

use std::sync::Arc;

pub use assist::{
    SharedAssist, a_case_changes_over_its_version_only,
    a_case_its_tally_and_its_lines_are_there_as_a_whole,
    a_payment_has_one_open_case_and_a_slip_pays_once, cases_come_back_as_they_were,
    one_of_many_takes_a_case, the_queue_shows_vips_first_and_the_longest_wait_first,
};
pub use bank::{
    SharedBooks, a_bank_change_is_there_as_a_whole, a_bank_change_over_another_version_is_refused,
    a_unique_key_has_one_holder_at_a_time, bank_records_come_back_as_they_were,
    one_of_many_wins_a_record, one_of_many_wins_a_unique_key, records_are_found_and_listed,
    the_same_bank_change_twice_is_one_change,
};
pub use claims::*;
pub use commits::*;
pub use lists::*;
pub use messages::*;
pub use notes::{
    SharedNotes, a_note_goes_its_way_once, a_note_is_made_with_its_change,
    a_note_made_twice_is_one, a_person_has_one_note_under_way, a_secret_is_kept,
    notes_are_found_by_payment_person_and_state, people_leave_and_come_back,
};
pub use races::*;
pub use versions::*;

use crate::{Change, Commit, Store};

/// A store that many tasks may use.
pub type Shared = Arc<dyn Store>;

/// Makes a test of each case. The argument is an async function that gives an empty store as
/// [`Shared`], and a guard that lives as long as the test does (a folder, a database).
#[macro_export]
macro_rules! conformance_suite {
    ($make:expr) => {
        $crate::conformance_suite! { @cases $make;
            a_change_is_there_as_a_whole,
            the_same_change_twice_is_one_change,
            another_version_is_refused,
            a_taken_order_number_is_refused,
            a_taken_key_is_refused_before_a_taken_order_number,
            a_refused_change_leaves_no_trace,
            a_malformed_change_fails_and_leaves_no_trace,
            an_event_number_is_used_once,
            every_state_and_text_comes_back_as_it_was,
            only_due_payments_are_claimed_and_the_earliest_first,
            a_leased_payment_is_claimed_again_only_after_its_lease,
            a_stale_claim_is_fenced,
            a_commit_under_a_claim_gives_it_back,
            a_commit_without_a_claim_leaves_the_lease_alone,
            a_released_payment_is_due_when_it_was_said,
            the_next_due_time_counts_leases_and_messages,
            a_message_is_sent_until_it_is_delivered,
            a_dead_message_can_be_sent_again,
            a_message_that_is_made_twice_is_one_message,
            messages_are_listed_newest_first,
            controls_change_one_version_at_a_time,
            the_audit_log_is_searched_page_by_page,
            payments_are_listed_by_every_filter,
            a_list_is_paged_by_its_cursor,
            payments_are_counted_by_status,
            synthetic_payments_stay_apart,
            paused_payments_queue_by_their_due_time,
            the_store_answers_a_ping,
            one_of_many_wins_an_order_number,
            one_of_many_wins_a_key,
            one_of_many_wins_a_version,
            many_workers_share_the_due_payments,
            one_of_many_wins_the_controls,
        }
    };
    (@cases $make:expr; $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $make().await;
                $crate::conformance::$case(store).await;
            }
        )*
    };
}

/// Commits a change that nothing stands in the way of.
///
/// # Panics
/// When it is not done.
pub async fn done(store: &dyn Store, change: Change) {
    assert_eq!(store.commit(change).await, Commit::Done);
}
