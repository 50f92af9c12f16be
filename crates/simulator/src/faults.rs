//! The faults that the world can have, how often, and which of them a seed has at all.
//!
//! A seed has about half of the kinds ("swarm testing": a run without crashes reaches states
//! that a run with crashes never stays long enough to reach). A fault that is spared by a
//! shrinking run still draws its dice, so that the rest of the run stays as it was.
//!
//! Times are bounded by what the policy assumes of the world (`not_found_settles` and
//! `lapse_margin`, 120 s both): a provider holds a call for at most [`HOLD_S`] after its
//! deadline, a query lags behind the truth for at most [`LIE_S`], and two clocks differ by at
//! most twice [`SKEW_S`]; together they stay below 120 s.

use crate::stream::Stream;

/// The longest that an order or refund reaches a provider after its call's deadline, in seconds.
pub(crate) const HOLD_S: i64 = 45;
/// The longest that a query denies what has happened, in seconds.
pub(crate) const LIE_S: i64 = 40;
/// Outages begin within this from the start, in seconds.
pub(crate) const FAULTS_WINDOW_S: i64 = 10 * 60;
/// The most that a process's clock is off, in seconds.
pub(crate) const SKEW_S: i64 = 10;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $per_10k:literal;)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every kind.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            /// The name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$name => $text,)* }
            }

            /// Chances in 10,000 at each occasion.
            fn base_rate(self) -> u32 {
                match self { $(Fault::$name => $per_10k,)* }
            }
        }
    };
}

faults! {
    /// Not sent: no connection.
    NotSent = "call_not_sent", 250;
    /// No answer, no effect.
    HangNoEffect = "call_hangs_without_effect", 200;
    /// No answer, but the effect took place.
    HangEffect = "success_then_timeout", 250;
    /// No answer, and the effect takes place after the deadline.
    HangLateEffect = "effect_after_deadline", 200;
    /// An error of the provider's without effect.
    ErrorNoEffect = "server_error_without_effect", 150;
    /// An error of the provider's, but the effect took place.
    ErrorEffect = "server_error_with_effect", 150;
    /// Refused for our own mistake.
    Rejected = "call_rejected", 100;
    /// The answer takes seconds.
    SlowCall = "slow_call", 300;
    /// A query denies what has happened.
    QueryLies = "query_lies", 3000;
    /// A query of a refund denies what has happened.
    RefundQueryLies = "refund_query_lies", 3000;
    /// An answer states a wrong amount.
    WrongAmount = "answer_with_wrong_amount", 500;
    /// A close that is answered "paid" without a receipt.
    CloseMute = "close_answer_without_receipt", 4000;
    /// Somebody gives a payment back in the provider's own console.
    ReturnedByHand = "returned_by_hand_at_provider", 500;
    /// A whole channel refuses connections for a while.
    OutageRefused = "outage_refused", 3000;
    /// A whole channel swallows calls for a while.
    OutageHangs = "outage_hangs", 3000;
    /// A notification is never delivered.
    NoticeLost = "notification_lost", 2500;
    /// A notification comes up to an hour late.
    NoticeLate = "notification_late", 2500;
    /// A notification is delivered again and again.
    NoticeRepeated = "notification_repeated", 3000;
    /// A notification about an earlier state is delivered late.
    NoticeStale = "notification_out_of_order", 4000;
    /// Somebody made it up; refused before the engine.
    NoticeForged = "notification_forged", 500;
    /// It states another amount.
    NoticeWrongAmount = "notification_wrong_amount", 1000;
    /// It comes in for another channel.
    NoticeWrongChannel = "notification_wrong_channel", 1000;
    /// Its number is nobody's.
    NoticeUnknownNumber = "notification_unknown_number", 1000;
    /// A refund is accepted and works on.
    RefundSlow = "refund_accepted_then_pending", 4000;
    /// An accepted refund fails in the end.
    RefundFails = "refund_fails_after_acceptance", 1000;
    /// The provider refuses a refund (no balance).
    RefundDeclined = "refund_declined", 300;
    /// A card is refused for good.
    HardDecline = "card_declined_hard", 800;
    /// A card is refused and another channel may do better.
    SoftDecline = "card_declined_soft", 800;
    /// A charge takes a while.
    ChargeSlow = "charge_processing", 800;
    /// A customer pays a code that no merchant was told of.
    OrphanPaid = "orphan_paid", 4000;
    /// A commit fails for sure.
    DiskFull = "commit_failed", 100;
    /// A commit took place and nobody says so.
    CommitUnknownDone = "commit_unknown_done", 100;
    /// A commit did not take place and nobody says so.
    CommitUnknownNot = "commit_unknown_not_done", 100;
    /// A commit takes place after its caller has given up.
    CommitUnknownLate = "commit_unknown_lands_later", 100;
    /// A commit takes seconds.
    CommitSlow = "commit_slow", 150;
    /// A read fails.
    ReadFails = "read_failed", 60;
    /// Reading an unknown commit back fails for a while.
    ReadBackFails = "read_back_failed", 4000;
    /// A process dies.
    Crash = "crash", 25;
    /// A process stands still for a while.
    Pause = "pause", 12;
    /// A process's clock jumps.
    ClockJump = "clock_jump", 60;
    /// A whole channel refuses connections, is well, refuses, and so on.
    OutageFlaps = "outage_flaps", 0;
    /// A whole channel fails in half of its calls for a while.
    OutageBrown = "outage_half_fails", 0;
    /// A whole channel takes seconds for every answer for a while.
    OutageSlow = "outage_slow", 0;
    /// One issuer's customers cannot pay on one channel.
    IssuerFailsOnOne = "issuer_fails_on_one_channel", 0;
    /// One issuer's customers cannot pay anywhere.
    IssuerFailsOnAll = "issuer_fails_on_all_channels", 0;
    /// All accounts at one provider fail together, or one after the other.
    OutageOfProvider = "outage_of_all_accounts_at_a_provider", 0;
    /// A customer is debited after the order's end; the provider gives it back and tells nobody.
    DebitedLate = "debited_late_and_given_back_by_provider", 0;
    /// The funding source refuses when an approved order is captured.
    CaptureDeclined = "capture_declined", 0;
}

/// How many kinds there are.
pub(crate) const FAULTS: usize = Fault::ALL.len();

/// Kinds that a storm may have: all but the last ones, which only a crowd or a bazaar has.
const STORMY: u32 = FAULTS as u32 - 8;
/// Kinds that were there before there were bazaars; their dice are the same in every seed.
const OLD: usize = FAULTS - BAZAAR.len();

/// Chances of a bazaar's own faults, in 10,000: for each provider, for each customer who comes
/// after the end, for each capture.
const BAZAAR: [(Fault, u32); 3] =
    [(Fault::OutageOfProvider, 4_000), (Fault::DebitedLate, 5_000), (Fault::CaptureDeclined, 500)];

/// Chances of a crowd's own faults, in 10,000 for each channel or issuer.
const CROWD: [(Fault, u32); 7] = [
    (Fault::OutageRefused, 1_500),
    (Fault::OutageHangs, 2_500),
    (Fault::OutageFlaps, 1_500),
    (Fault::OutageBrown, 1_500),
    (Fault::OutageSlow, 1_500),
    (Fault::IssuerFailsOnOne, 3_000),
    (Fault::IssuerFailsOnAll, 3_000),
];

/// What makes refunds go wrong together.
const REFUND_STORM: [(Fault, u32); 5] = [
    (Fault::Rejected, 1_500),
    (Fault::HangEffect, 2_000),
    (Fault::HangNoEffect, 1_000),
    (Fault::RefundQueryLies, 3_000),
    (Fault::CommitSlow, 500),
];

/// The chances of a seed, in 10,000, by kind.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    rates: [u32; FAULTS],
}

impl Weather {
    /// No faults at all.
    pub(crate) fn calm() -> Weather {
        Weather { rates: [0; FAULTS] }
    }

    /// The weather of a seed: about half of the kinds, each at a third, once or three times its
    /// usual rate; every tenth seed is calm.
    pub(crate) fn draw(dice: &mut Stream) -> Weather {
        let mut weather = Weather::calm();
        let calm = dice.percent(10);
        for fault in &Fault::ALL[..OLD] {
            let (here, strength) = (dice.percent(55), dice.below(4));
            let rate = fault.base_rate();
            let rate = match strength {
                0 => rate / 3,
                1 | 2 => rate,
                _ => rate * 3,
            };
            if here && !calm {
                weather.rates[*fault as usize] = rate.min(6_000);
            }
        }
        weather
    }

    /// The weather of a seed that has few kinds and those often, so that they meet.
    pub(crate) fn draw_storm(dice: &mut Stream) -> Weather {
        let mut weather = Weather::calm();
        for _ in 0..dice.between(3, 7) {
            let fault = Fault::ALL[dice.below(STORMY) as usize];
            let host = matches!(fault, Fault::Crash | Fault::Pause | Fault::ClockJump);
            let most = if host { 300 } else { 4_000 };
            weather.rates[fault as usize] = (fault.base_rate() * 8).min(most);
        }
        if dice.percent(30) {
            // Refunds that are refused, lost and sent again.
            for (fault, rate) in REFUND_STORM {
                weather.rates[fault as usize] = rate;
            }
        }
        // A process that sleeps is what most mistakes need.
        weather.rates[Fault::Pause as usize] = dice.between(20, 300).unsigned_abs() as u32;
        weather
    }

    /// The weather of a crowd: channels and issuers fail as a whole. Every other crowd has a
    /// third of the usual small faults besides, and all of them late effects of held calls.
    pub(crate) fn draw_crowd(dice: &mut Stream) -> Weather {
        let small = dice.percent(50);
        let mut weather = if small { Weather::draw(dice) } else { Weather::calm() };
        weather.rates.iter_mut().for_each(|rate| *rate /= 3);
        for fault in [Fault::HangLateEffect, Fault::NoticeLost, Fault::OrphanPaid] {
            weather.rates[fault as usize] = fault.base_rate();
        }
        for (fault, rate) in CROWD {
            weather.rates[fault as usize] = rate;
        }
        weather
    }

    /// The same weather with a bazaar's own faults, unless it is calm.
    pub(crate) fn of_bazaar(mut self) -> Weather {
        if self.rates.iter().any(|rate| *rate > 0) {
            for (fault, rate) in BAZAAR {
                self.rates[fault as usize] = rate;
            }
        }
        self
    }

    /// The one of `among` that strikes now, if any; one draw however many are possible.
    pub(crate) fn strike(&self, among: &[Fault], dice: &mut Stream) -> Option<Fault> {
        let mut draw = dice.below(10_000);
        for fault in among {
            let rate = self.rates[*fault as usize];
            if draw < rate {
                return Some(*fault);
            }
            draw -= rate;
        }
        None
    }
}
