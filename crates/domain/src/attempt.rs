//! One try of a payment on one channel, as a state machine.
//!
//! Silence is never failure here: an attempt leaves [`AttemptState::InFlight`] only by an
//! answer or into a state whose effect is not known, and leaves that only by the provider's
//! word (rule 3). A success is believed in every state (rule 6); nothing lowers it (rule 14).
//!
//! What is not here: which attempt may be started, and what a success means for the payment.

use serde::{Deserialize, Serialize};

use crate::{
    ChannelId, Class, CloseState, CloseWhy, Created, Decline, Fault, Flow, Method, OrderState,
    Outcome, Policy, Presentation, Proves, ProviderOrderNo, Receipt, Timestamp,
};

/// One try of a payment on one channel, under a number of its own at the provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its place among the payment's attempts, from 1.
    pub ordinal: u16,
    /// The channel.
    pub channel: ChannelId,
    /// The method.
    pub method: Method,
    /// Whether the create call itself charges.
    pub flow: Flow,
    /// The number at the provider, derived from the payment and the ordinal (rule 8).
    pub number: ProviderOrderNo,
    /// When the intent became durable; the call is made right after.
    pub sent_at: Timestamp,
    /// The caller's lease: after this the create call may not be sent any more (rule 15).
    pub until: Timestamp,
    /// What the provider was told as the order's own end.
    pub expires_at: Timestamp,
    /// The provider's id of the order, once learned.
    pub reference: Option<String>,
    /// What has come of a bank transfer while it is not whole, in minor units; 0 for every
    /// other method, and once it is paid the receipt says it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub received_minor: i64,
    /// Why this channel.
    pub choice: Choice,
    /// Where it stands.
    pub state: AttemptState,
}

/// Why a channel was chosen, kept with the attempt so that anyone can ask later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The reason in a few words, such as `preferred` or `failover from alipay-main`.
    pub reason: String,
    /// The channels that were left out.
    pub excluded: Vec<Considered>,
    /// The order in which channels would be tried, this one first; at most [`Choice::KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Considered>,
    /// The rules that held, and those that were skipped with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleNote>,
}

impl Choice {
    /// Channels kept of the order: a record is read by people, and kept for every attempt.
    pub const KEPT: usize = 8;

    /// A choice that needs no more than a word.
    pub fn plain(reason: &str) -> Choice {
        Choice { reason: reason.to_owned(), ..Choice::default() }
    }
}

/// A channel that was considered, and what was known of it then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
    /// Why it is where it is, in a few words, such as `down` or `disabled by li`.
    pub why: String,
    /// The name of its state of health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Expected success, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_ppm: Option<u32>,
    /// What the payment would cost on it, in minor units, where the price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_minor: Option<i64>,
}

impl Considered {
    /// A channel of which no more is said.
    pub fn plain(channel: ChannelId, method: Method, why: String) -> Considered {
        Considered { channel, method, why, state: None, success_ppm: None, fee_minor: None }
    }
}

/// What a rule had to say about a choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleNote {
    /// Its name.
    pub name: String,
    /// What it did, such as `prefer stripe-main`, or why it was skipped.
    pub said: String,
    /// Whether it was skipped because its condition could not be evaluated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// Where an attempt stands; each state holds only what is true in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum AttemptState {
    /// The intent is durable; the create call may be on the wire.
    InFlight,
    /// The customer has a code or link.
    Presented {
        /// What was shown.
        presentation: Presentation,
        /// The next question.
        check: Check,
    },
    /// A direct charge whose effect is not known. Blocks every other attempt (rule 3).
    Unknown {
        /// Since when.
        since: Timestamp,
        /// What happened to the call.
        fault: Fault,
        /// The next question.
        check: Check,
    },
    /// To be made unpayable; asked until the provider gives proof.
    Closing {
        /// An orphan, or one that the customer has seen.
        why: CloseWhy,
        /// Since when.
        since: Timestamp,
        /// What to ask next.
        ask: Ask,
        /// When.
        check: Check,
        /// Whether the provider has answered a close at all, if without proof.
        answered: bool,
        /// Since when no call begins that may take the money, where it takes a call of ours to
        /// take it: the first answer that nothing was taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<Timestamp>,
    },
    /// Nobody can pay it any more, and nobody did.
    Closed {
        /// Since when.
        at: Timestamp,
        /// How that is known.
        proof: Proof,
    },
    /// The customer's side refused.
    Declined {
        /// When.
        at: Timestamp,
        /// Why.
        decline: Decline,
    },
    /// The call had surely no effect.
    Failed {
        /// When.
        at: Timestamp,
        /// [`Class::Rejected`] or [`Class::Unavailable`].
        class: Class,
        /// Why.
        fault: Fault,
    },
    /// The provider captured the money.
    Paid {
        /// When we learned it.
        at: Timestamp,
        /// The provider's proof.
        receipt: Receipt,
        /// How we learned it.
        source: Source,
    },
}

/// The next question to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When to ask.
    pub at: Timestamp,
    /// How often it was asked before.
    pub tries: u32,
}

/// What to ask about an attempt that is being closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Close it.
    Close,
    /// What became of it?
    Query,
}

/// How it is known that nobody can pay an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The provider said so.
    Provider,
    /// Its own end has passed, and the provider, asked afterwards, does not know it.
    Lapsed,
}

/// How we learned of a success (rule 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The answer to the create call.
    Answer,
    /// A notification.
    Notification,
    /// A query of ours.
    Query,
    /// The answer to a close.
    Close,
    /// The provider's statement.
    Statement,
    /// Staff, who took the money.
    Staff,
}

/// Something learned about one attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptFact {
    Created(Outcome<Created>),
    Interrupted,
    Learned(Outcome<OrderState>, Source),
    CloseAsked,
    CloseAnswered(Outcome<CloseState>),
}

impl Attempt {
    /// Whether money may still move under this attempt's number.
    pub fn is_live(&self) -> bool {
        matches!(
            self.state,
            AttemptState::InFlight
                | AttemptState::Presented { .. }
                | AttemptState::Unknown { .. }
                | AttemptState::Closing { .. }
        )
    }

    /// Whether the customer holds a code or link of this attempt, or may hold one.
    pub fn is_shown(&self) -> bool {
        match &self.state {
            AttemptState::Presented { .. } => true,
            AttemptState::Closing { why, .. } => *why == CloseWhy::Shown,
            _ => false,
        }
    }

    /// The proof of money, when it was captured.
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.state {
            AttemptState::Paid { receipt, .. } => Some(receipt),
            _ => None,
        }
    }

    /// Since when the effect of this attempt has been unknown, if it is.
    pub fn unknown_since(&self) -> Option<Timestamp> {
        match &self.state {
            AttemptState::Unknown { since, .. } | AttemptState::Closing { since, .. } => {
                Some(*since)
            }
            _ => None,
        }
    }

    /// The attempt after a fact. The flat match is the whole diagram.
    pub(crate) fn apply(&self, fact: AttemptFact, now: Timestamp, policy: &Policy) -> Attempt {
        let mut next = self.clone();
        next.learn_reference(&fact);
        if let AttemptFact::Learned(Outcome::Ok(OrderState::PartlyPaid { received }), _) = &fact
            && self.is_live()
        {
            next.received_minor = received.minor();
        }
        if let Some(state) = next.transition(fact, now, policy) {
            next.state = state;
        }
        next
    }

    /// The next state, or `None` when the fact changes nothing.
    fn transition(
        &self,
        fact: AttemptFact,
        now: Timestamp,
        policy: &Policy,
    ) -> Option<AttemptState> {
        use AttemptFact as F;
        use AttemptState as S;
        match (&self.state, fact) {
            // Paid stays paid (rule 14).
            (S::Paid { .. }, _) => None,

            // A success is believed in every other state (rule 6).
            (_, F::Created(Outcome::Ok(Created::Paid(r)))) => paid(r, Source::Answer, now),
            (
                _,
                F::Learned(
                    Outcome::Ok(OrderState::Paid(r) | OrderState::PaidAndRefunded(r)),
                    source,
                ),
            ) => paid(r, source, now),
            (
                _,
                F::CloseAnswered(Outcome::Ok(
                    CloseState::AlreadyPaid(Some(r)) | CloseState::PaidAndRefunded(r),
                )),
            ) => paid(r, Source::Close, now),

            // The other ends are final, but for a success.
            (S::Closed { .. } | S::Declined { .. } | S::Failed { .. }, _) => None,

            // The answer to the create call, in time or late.
            (S::InFlight, F::Created(Outcome::Ok(Created::Presented { presentation, .. }))) => {
                Some(S::Presented { presentation, check: self.first_query(now, policy) })
            }
            (S::Presented { .. }, F::Created(_)) => None,
            (_, F::Created(Outcome::Declined(decline))) => Some(S::Declined { at: now, decline }),
            (_, F::Created(Outcome::Rejected(fault))) => failed(Class::Rejected, fault, now),
            (_, F::Created(Outcome::Unavailable(fault))) => failed(Class::Unavailable, fault, now),
            (_, F::Created(Outcome::Ok(Created::NumberClosed))) => closed(Proof::Provider, now),
            (S::InFlight, F::Created(Outcome::Unknown(fault))) => {
                Some(self.effect_unknown(fault, now, policy))
            }
            (S::InFlight, F::Created(Outcome::Ok(Created::Processing { .. }))) => {
                let fault = Fault::new("processing", "the provider is working on it");
                Some(self.effect_unknown(fault, now, policy))
            }
            (S::InFlight, F::Interrupted) => {
                let fault = Fault::new("interrupted", "the call's owner stopped before an answer");
                Some(self.effect_unknown(fault, now, policy))
            }
            // Too late to be shown: the attempt goes on being settled.
            (S::Unknown { .. } | S::Closing { .. }, F::Created(_) | F::Interrupted) => None,
            (S::Presented { .. }, F::Interrupted) => None,

            // The provider's word, asked for or not.
            (_, F::Learned(Outcome::Ok(OrderState::Closed), _)) => closed(Proof::Provider, now),
            (S::InFlight, F::Learned(..)) => None,
            (S::Presented { .. }, F::Learned(Outcome::Ok(OrderState::Declined(_)), _)) => {
                // The customer may try again with the same code.
                self.ask_again(now, policy)
            }
            (_, F::Learned(Outcome::Ok(OrderState::Declined(decline)), _)) => {
                Some(S::Declined { at: now, decline })
            }
            (S::Presented { .. }, F::Learned(..)) => self.ask_again(now, policy),
            (
                S::Unknown { .. } | S::Closing { .. },
                F::Learned(Outcome::Ok(OrderState::NotFound), Source::Query),
            ) if self.not_found_proves(now, policy) => self.surely_unpaid(now, policy),
            (S::Unknown { since, .. }, F::Learned(Outcome::Ok(OrderState::Payable), _))
                if now >= self.until + policy.not_found_settles =>
            {
                // It is there, unpaid, and nobody will pay it: close it to know for sure.
                Some(self.closing(CloseWhy::Orphan, *since, now))
            }
            (S::Unknown { .. }, F::Learned(..)) => self.ask_again(now, policy),
            // "Payable" proves nothing however late it is: not every provider ends an order by
            // itself, and a notification may tell of long ago. It is closed until that is proof.
            // The close is still to be tried: an answer to a question from before is no try
            // (rule 5).
            (S::Closing { ask: Ask::Close, .. }, F::Learned(..)) => None,
            (S::Closing { .. }, F::Learned(outcome, source)) => {
                // A provider that does not answer questions may still close; take turns.
                let ask = match outcome {
                    Outcome::Ok(OrderState::Processing) => Ask::Query,
                    _ => Ask::Close,
                };
                // Hearing "not yet" from a notification is no answer to our question.
                (source == Source::Query).then(|| self.close_again(ask, false, now, policy))
            }

            // Closing.
            (S::InFlight, F::CloseAsked) => match self.flow {
                Flow::Presented => Some(self.closing(CloseWhy::Shown, now, self.until.max(now))),
                // A charge cannot be called back; it is settled when its call is.
                Flow::Direct => None,
            },
            (S::Presented { .. }, F::CloseAsked) => Some(self.closing(CloseWhy::Shown, now, now)),
            (S::Unknown { since, .. }, F::CloseAsked) => {
                Some(self.closing(CloseWhy::Orphan, *since, now))
            }
            (S::Closing { .. }, F::CloseAsked) => None,
            (_, F::CloseAnswered(Outcome::Ok(CloseState::Closed))) => closed(Proof::Provider, now),
            (S::Closing { .. }, F::CloseAnswered(Outcome::Ok(CloseState::NotTaken))) => {
                Some(self.not_taken(now, policy))
            }
            (S::Closing { .. }, F::CloseAnswered(outcome)) => {
                Some(self.after_close(&outcome, now, policy))
            }
            (S::InFlight | S::Presented { .. } | S::Unknown { .. }, F::CloseAnswered(_)) => None,
        }
    }

    /// The state after a create call whose effect is not known: a direct charge is asked about
    /// (rule 3); a code that nobody has seen is closed in the background (rule 4).
    fn effect_unknown(&self, fault: Fault, now: Timestamp, policy: &Policy) -> AttemptState {
        match self.flow {
            Flow::Direct => AttemptState::Unknown {
                since: now,
                fault,
                check: Check { at: now + policy.close_schedule.wait(0), tries: 0 },
            },
            Flow::Presented => self.closing(CloseWhy::Orphan, now, now),
        }
    }

    fn closing(&self, why: CloseWhy, since: Timestamp, at: Timestamp) -> AttemptState {
        let check = Check { at, tries: 0 };
        AttemptState::Closing { why, since, ask: Ask::Close, check, answered: false, left: None }
    }

    /// Nothing was taken. From now on no call begins that may take it (see
    /// [`Payment::wants`](crate::Payment::wants)); one that has begun may still arrive, so the
    /// same answer to a later question is the proof.
    fn not_taken(&self, now: Timestamp, policy: &Policy) -> AttemptState {
        let AttemptState::Closing { why, since, check, left, .. } = self.state else {
            return self.closing(CloseWhy::Shown, now, now);
        };
        let left = left.unwrap_or(now);
        let settled = left + policy.calls_land();
        if now >= settled {
            return AttemptState::Closed { at: now, proof: Proof::Provider };
        }
        let check = Check { at: settled, tries: check.tries + 1 };
        let left = Some(left);
        AttemptState::Closing { why, since, ask: Ask::Close, check, answered: true, left }
    }

    fn after_close(
        &self,
        outcome: &Outcome<CloseState>,
        now: Timestamp,
        policy: &Policy,
    ) -> AttemptState {
        let ask = match outcome {
            Outcome::Ok(_) => Ask::Query,
            // A provider that cannot be reached, or refuses our close, may still answer a
            // question; take turns.
            _ => self.other_ask(),
        };
        let next = self.close_again(ask, matches!(outcome, Outcome::Ok(_)), now, policy);
        match (outcome, next) {
            // The receipt is one question away.
            (
                Outcome::Ok(CloseState::AlreadyPaid(None)),
                AttemptState::Closing { why, since, ask, check, answered, left },
            ) => {
                let check = Check { at: now, ..check };
                AttemptState::Closing { why, since, ask, check, answered, left }
            }
            (_, next) => next,
        }
    }

    fn other_ask(&self) -> Ask {
        match self.state {
            AttemptState::Closing { ask: Ask::Close, .. } => Ask::Query,
            _ => Ask::Close,
        }
    }

    fn close_again(&self, ask: Ask, heard: bool, now: Timestamp, policy: &Policy) -> AttemptState {
        match self.state {
            AttemptState::Closing { why, since, check, answered, left, .. } => {
                AttemptState::Closing {
                    why,
                    since,
                    left,
                    ask,
                    check: self.later(check, policy.close_schedule.wait(check.tries), now),
                    answered: answered || heard,
                }
            }
            _ => self.closing(CloseWhy::Shown, now, now),
        }
    }

    fn first_query(&self, now: Timestamp, policy: &Policy) -> Check {
        let wait = policy.rules(&self.channel).query_schedule.wait(0);
        Check { at: now + spread(self.number.as_str(), 0, wait), tries: 0 }
    }

    fn ask_again(&self, now: Timestamp, policy: &Policy) -> Option<AttemptState> {
        let mut state = self.state.clone();
        match &mut state {
            AttemptState::Presented { check, .. } | AttemptState::Unknown { check, .. } => {
                let wait = policy.rules(&self.channel).query_schedule.wait(check.tries + 1);
                *check = self.later(*check, wait, now);
            }
            _ => return None,
        }
        Some(state)
    }

    fn later(&self, check: Check, wait: std::time::Duration, now: Timestamp) -> Check {
        let wait = spread(self.number.as_str(), check.tries + 1, wait);
        Check { at: now + wait, tries: check.tries + 1 }
    }

    /// Whether "not found" proves by now that nobody can pay it. That is the channel's to say.
    fn not_found_proves(&self, now: Timestamp, policy: &Policy) -> bool {
        let window_over = now >= self.until + policy.not_found_settles;
        let end_over = now >= self.expires_at + policy.lapse_margin;
        match policy.rules(&self.channel).not_found.of(self.flow) {
            Proves::Nothing => false,
            Proves::AfterEnd => end_over,
            // One that was shown had been made, whatever is said of it now.
            Proves::AfterWindow => window_over && (end_over || !self.is_shown()),
        }
    }

    /// The end of an attempt of which "not found" is proof.
    fn surely_unpaid(&self, now: Timestamp, policy: &Policy) -> Option<AttemptState> {
        match policy.rules(&self.channel).not_found.of(self.flow) {
            Proves::AfterWindow if !self.is_shown() => never_arrived(now),
            _ => closed(Proof::Lapsed, now),
        }
    }

    fn learn_reference(&mut self, fact: &AttemptFact) {
        let learned = match fact {
            AttemptFact::Created(Outcome::Ok(
                Created::Presented { reference, .. } | Created::Processing { reference },
            )) => reference.clone(),
            AttemptFact::Created(Outcome::Ok(Created::Paid(receipt)))
            | AttemptFact::Learned(
                Outcome::Ok(OrderState::Paid(receipt) | OrderState::PaidAndRefunded(receipt)),
                _,
            ) => Some(receipt.reference.clone()),
            _ => None,
        };
        if self.reference.is_none() {
            self.reference = learned;
        }
    }
}

fn is_zero(minor: &i64) -> bool {
    *minor == 0
}

fn paid(receipt: Receipt, source: Source, now: Timestamp) -> Option<AttemptState> {
    Some(AttemptState::Paid { at: now, receipt, source })
}

fn closed(proof: Proof, now: Timestamp) -> Option<AttemptState> {
    Some(AttemptState::Closed { at: now, proof })
}

fn failed(class: Class, fault: Fault, now: Timestamp) -> Option<AttemptState> {
    Some(AttemptState::Failed { at: now, class, fault })
}

fn never_arrived(now: Timestamp) -> Option<AttemptState> {
    let detail = "the provider does not know the order long after the last moment to send it";
    failed(Class::Unavailable, Fault::new("never_arrived", detail), now)
}

/// `wait` plus or minus a tenth, by a hash of the order number and the try: many payments that
/// began together do not ask together, and the same payment always waits the same.
pub(crate) fn spread(number: &str, tries: u32, wait: std::time::Duration) -> std::time::Duration {
    let hash = number
        .bytes()
        .chain(tries.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let tenths = (hash >> 32) as f64 / f64::from(u32::MAX);
    wait.mul_f64(0.9 + 0.2 * tenths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_from_before_rules_and_prices_still_reads() {
        let old = r#"{"reason":"alipay-main is down",
            "excluded":[{"channel":"alipay-main","method":"alipay","why":"down"}]}"#;
        let choice: Choice = serde_json::from_str(old).unwrap();
        let channel = ChannelId::new("alipay-main").unwrap();
        let down = Considered::plain(channel, Method::Alipay, "down".to_owned());
        assert_eq!(choice.excluded, [down]);
        assert!(choice.order.is_empty() && choice.rules.is_empty());
    }

    #[test]
    fn a_record_says_nothing_where_nothing_is_known() {
        let plain = serde_json::to_string(&Choice::plain("preferred")).unwrap();
        assert_eq!(plain, r#"{"reason":"preferred","excluded":[]}"#);
    }
}
