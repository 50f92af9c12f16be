//! The interesting ways that a payment can go, counted by name.
//!
//! A check that never meets its case proves nothing, so a test fails when a path is never
//! reached within CI's budget of seeds.

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// One path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Path { $($(#[$doc])* $name,)* }

        impl Path {
            /// Every path.
            pub const ALL: &'static [Path] = &[$(Path::$name,)*];

            /// The name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Path::$name => $text,)* }
            }
        }
    };
}

paths! {
    /// A success after the payment expired.
    LateSuccessAfterExpiry = "late_success_after_expiry";
    /// A success after the merchant's cancel was done.
    LateSuccessAfterCancel = "late_success_after_cancel";
    /// A second success went back to the customer.
    RefundOfSecondSuccess = "refund_of_second_success";
    /// A late success went back to the customer.
    RefundOfLateSuccess = "refund_of_late_success";
    /// The customer was faster than our close.
    CloseLostToPayment = "close_lost_to_payment";
    /// A close gave the money back in the same call.
    PaidAndRefundedByClose = "paid_and_refunded_by_close";
    /// An unknown commit was read back: done.
    UnknownCommitDone = "unknown_commit_done";
    /// An unknown commit was read back: not done.
    UnknownCommitNotDone = "unknown_commit_not_done";
    /// An unknown commit could not be read back.
    UnknownCommitUnread = "unknown_commit_unread";
    /// A commit took place after its owner had given up on it.
    CommitLandedLate = "commit_landed_late";
    /// A commit failed for sure.
    CommitFailed = "commit_failed";
    /// An orphan was closed.
    OrphanClosed = "orphan_closed";
    /// An orphan turned out paid.
    OrphanPaid = "orphan_paid";
    /// A charge of unknown effect turned out paid.
    DirectUnknownSettledPaid = "direct_unknown_settled_paid";
    /// A charge of unknown effect turned out declined.
    DirectUnknownDeclined = "direct_unknown_declined";
    /// A charge of unknown effect never arrived.
    DirectUnknownNeverArrived = "direct_unknown_never_arrived";
    /// A charge of unknown effect blocked another try.
    BlockedByUnknown = "blocked_by_unknown_charge";
    /// A commit under a stale claim was refused.
    StaleOwnerRefused = "stale_owner_refused";
    /// A call after its lease was refused.
    StaleCallRefused = "stale_call_refused";
    /// A commit over an old version was refused.
    VersionConflict = "version_conflict";
    /// A repeated notification changed nothing.
    DuplicateNotification = "duplicate_notification";
    /// A notification came before the answer to the create call.
    NotificationBeforeAnswer = "notification_before_answer";
    /// A notification of an earlier state came after a success.
    NotificationOutOfOrder = "notification_out_of_order";
    /// A notification with a wrong amount was refused.
    WrongAmountRefused = "wrong_amount_refused";
    /// A notification for a wrong channel was refused.
    WrongChannelRefused = "wrong_channel_refused";
    /// A notification with nobody's number was refused.
    UnknownNumberRefused = "unknown_number_refused";
    /// A provider's answer stated a wrong amount, and a person is asked.
    WrongAmountFlagged = "wrong_amount_flagged";
    /// A query denied a success that came out later.
    LyingQuery = "lying_query";
    /// A refund of unknown effect turned out done.
    RefundUnknownSettled = "refund_unknown_settled";
    /// A refund was sent again under its own number.
    RefundResentSameNumber = "refund_resent_same_number";
    /// A refund was accepted and done later.
    RefundPendingThenDone = "refund_pending_then_done";
    /// A refund failed in the end.
    RefundFailed = "refund_failed";
    /// A refund that Evergate owes is with a person.
    RefundStuck = "refund_stuck";
    /// More than was left was asked back.
    RefundTooMuch = "refund_too_much_refused";
    /// Two requests with one key made one refund.
    RefundRepeated = "refund_repeated_one_refund";
    /// An attempt ended by its own expiry.
    LapsedByTime = "lapsed_by_time";
    /// A process died after an intent was durable and before its call.
    CrashBetweenCommitAndCall = "crash_between_commit_and_call";
    /// A process died after an answer and before its commit.
    CrashBetweenCallAndCommit = "crash_between_call_and_commit";
    /// A process died while a call was under way.
    CrashDuringCall = "crash_during_call";
    /// A process stood still and woke up late.
    ZombieWoke = "zombie_woke";
    /// A call was taken for interrupted.
    Interrupted = "interrupted_call_recovered";
    /// Two equal requests raced and one payment came of it.
    DuplicateRequestRaced = "duplicate_request_raced";
    /// A request was answered with the payment that was there.
    Replayed = "request_replayed";
    /// A key came with another body and was refused.
    KeyReusedWithOtherBody = "key_reused_with_other_body";
    /// An order number came with another body and was refused.
    OrderReusedWithOtherBody = "order_reused_with_other_body";
    /// A payment went to another channel.
    Rerouted = "rerouted";
    /// A payment went around a channel that was down.
    RoutedAroundDown = "routed_around_down_channel";
    /// A shown code was closed before another was shown.
    SwitchedAfterClose = "switched_after_close";
    /// Another code was shown while the close of the first had no proof.
    SwitchedWithoutProof = "switched_without_proof";
    /// The customer paid an old code after a switch.
    PaidOldCode = "paid_old_code";
    /// The customer paid after the payment's expiry.
    PaidAfterExpiry = "paid_after_expiry";
    /// The customer refused and could try again.
    CustomerRefused = "customer_refused";
    /// The payment was declined.
    Declined = "declined";
    /// The payment was cancelled.
    Cancelled = "cancelled";
    /// The payment expired.
    Expired = "expired";
    /// The merchant cancelled and the customer was faster.
    CancelLostToPayment = "cancel_lost_to_payment";
    /// A payment ended on the guard of rule 2, without its provider's word.
    EndedWithoutProof = "ended_without_proof";
    /// A person was asked to look.
    ReviewRaised = "review_raised";
    /// What a person was to look at resolved itself.
    ReviewCleared = "review_cleared";
    /// A channel was found to hang by what it did not answer.
    HangSeen = "hang_seen_by_silence";
    /// A call was given up because its channel had stopped answering.
    GivenUp = "hanging_call_given_up";
    /// A channel was found to fail by codes that nobody paid.
    SilentCodesSeen = "failure_seen_by_unpaid_codes";
    /// A channel fell by its outcomes.
    ChannelFell = "channel_fell";
    /// A channel came back by steps.
    ChannelRamped = "channel_ramped";
    /// A channel has all of its traffic again.
    ChannelCameBack = "channel_came_back";
    /// An issuer was found to fail everywhere.
    IssuerSick = "issuer_fails_everywhere";
    /// No channel would take it.
    Unavailable = "no_channel_took_it";
    /// A question of ours took the money of an approved order.
    ApprovalCaptured = "approval_taken_by_our_call";
    /// The answer to taking the money was lost, and asking again found it taken once.
    CaptureRepeated = "lost_capture_found_by_asking_again";
    /// The funding source refused when the money was to be taken.
    CaptureDeclined = "capture_declined_then_approved_again";
    /// An approved order that its payment does not want any more was left alone.
    ApprovedAndLeft = "approval_not_wanted_and_not_taken";
    /// A customer approved an old link after a switch.
    ApprovedAfterSwitch = "approved_after_switch";
    /// A customer approved after the payment's expiry.
    ApprovedAfterExpiry = "approved_after_expiry";
    /// An order that nobody can close lapsed at its own end.
    UnclosableLapsed = "unclosable_order_lapsed";
    /// An order that nobody can close was paid after the customer had gone elsewhere.
    UnclosablePaid = "unclosable_order_paid_after_all";
    /// A customer was debited after the order's end and given it back by the provider.
    DebitedLate = "debited_late_and_given_back_by_provider";
    /// A payment went on at another account of the same provider.
    OtherAccount = "other_account_of_the_same_provider";
    /// A transfer made its payment paid.
    TransferMatched = "transfer_matched";
    /// A payment has heard of a part of its transfer.
    PartSeen = "part_of_a_transfer_seen";
    /// A transfer counted for a payment that had ended.
    TransferAfterClose = "transfer_after_close";
    /// More was transferred than was asked for.
    TransferOver = "transfer_of_too_much";
    /// A part of a payment that ended goes back.
    PartGivenBack = "part_of_a_transfer_given_back";
    /// A transfer that came late waits for people.
    TransferLateInSuspense = "late_transfer_in_suspense";
    /// A transfer that names nothing waits for people.
    TransferInSuspense = "transfer_in_suspense";
    /// Two people have said what a transfer is for.
    TransferByTwoPeople = "transfer_placed_by_two_people";
    /// A transfer goes back to its payer.
    TransferReturned = "transfer_returned";
    /// A customer transferred who had paid otherwise as well.
    TransferBesidesCode = "transfer_beside_another_success";
    /// A statement showed again what an earlier one had shown.
    StatementOverlaps = "statement_overlaps";
    /// A statement's import stopped half-way or was not known to be done.
    ImportStopped = "import_stopped_half_way";
    /// A process died before it had told the engine what its ledger knew.
    DeskDiedUntold = "desk_died_before_telling";
    /// A statement showed that a payout left.
    PayoutShown = "payout_shown_by_statement";
    /// A refund's payout could not be done.
    PayoutFailed = "payout_of_a_refund_failed";
    /// One person alone was refused.
    OnePersonRefused = "one_person_alone_refused";
    /// The ledger did what was asked, and nobody heard its answer.
    LedgerUnheard = "ledger_answer_lost";
    /// A customer transferred to an account of its payment's own.
    TransferToOwnAccount = "transfer_to_a_virtual_account";
    /// A payment was kept because its feature is paused.
    Kept = "kept_while_paused";
    /// It was paused again after its release.
    KeptAgain = "kept_again_after_release";
    /// A released payment's intent was durable with its release.
    ReleasedAndSent = "released_and_sent";
    /// A released payment waits for its customer.
    ReleasedToCustomer = "released_to_its_customer";
    /// A pause ended by itself, and what it had kept went on.
    PauseLapsed = "pause_ended_by_itself";
    /// A pause came between an intent and its call.
    CallStoppedByPause = "call_stopped_by_a_pause";
    /// A process made a call while another knew of a pause.
    PauseNotHeardOf = "pause_not_heard_of_by_another_process";
    /// A customer's approval was not taken while its feature was paused.
    ApprovalPaused = "approval_left_while_paused";
    /// A payment was cancelled while it was paused.
    CancelledWhilePaused = "cancelled_while_paused";
    /// A payment came to its end while it was paused.
    ExpiredWhilePaused = "expired_while_paused";
    /// A subscription lives on although its renewal is paused.
    GraceExtended = "grace_extended";
    /// A feature was resumed twice.
    ResumedTwice = "resumed_twice";
    /// The effect of a change of the controls was not known.
    ControlsUnknown = "controls_change_unknown";
    /// It took place after its caller had given up on it.
    ControlsLandedLate = "controls_change_landed_late";
    /// Two changed the controls at once.
    ControlsRaced = "controls_changed_by_two";
    /// An order was held because nothing took it.
    HeldByLadder = "held_by_the_ladder";
    /// A person wanted an order held.
    HeldByPeople = "held_by_people";
    /// An order was not held, or not for longer.
    HoldRefused = "hold_refused";
    /// A hold was extended.
    HoldExtended = "hold_extended";
    /// A held order was paid.
    HoldPaid = "held_order_paid";
    /// A held order was cancelled.
    HoldCancelled = "held_order_cancelled";
    /// A held order expired.
    HoldExpired = "held_order_expired";
    /// A held order was paid twice, and one went back.
    HeldPaidTwice = "held_order_paid_twice";
    /// A success came after a hold's end, and went back.
    LateAfterHold = "late_success_after_hold";
    /// The customer of a held order was told that it can be paid.
    RecoveryTold = "held_order_recovery_told";
    /// The customer of a held order was told that it ends soon.
    ExpiryTold = "held_order_expiry_told";
    /// Staff recorded a transfer, and the statement showed it later.
    TransferRecorded = "transfer_recorded_then_shown";
}

/// How many paths there are.
pub(crate) const PATHS: usize = Path::ALL.len();
