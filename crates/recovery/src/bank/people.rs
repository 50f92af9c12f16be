//! What people do to transfers: record one that no statement shows yet, say what one is for,
//! agree, refuse. Whatever moves money takes two of them (rule 12).

use domain::{ChannelId, Money, ProviderOrderNo, Timestamp};
use providers::bank::{BankSettings, Reference};
use store::{
    Allotment, BankKind, BankRecord, Payout, PayoutKind, PayoutState, Proposal, Transfer,
    TransferState,
};

use super::ledger::Ledger;
use super::work::{Work, as_allotment, changed};
use super::{BankError, count};

/// Who does it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The name of the person's key.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
}

/// A transfer that staff have seen and no statement shows yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// How much.
    pub money: Money,
    /// The day of booking, `2026-11-24`.
    pub booked_on: String,
    /// Who sent it.
    pub payer_name: Option<String>,
    /// From which account.
    pub payer_account: Option<String>,
    /// The bank's own id.
    pub bank_reference: Option<String>,
    /// What it is for: a payment's id, an attempt's number, a reference or a virtual account.
    pub target: String,
}

impl Ledger {
    /// Records a transfer that somebody has seen. It counts once a second person agrees, or
    /// once a statement shows it.
    ///
    /// # Errors
    /// When nothing is expected under what it names.
    pub async fn record(
        &self,
        channel: &ChannelId,
        new: &NewTransfer,
        word: &Word,
    ) -> Result<Transfer, BankError> {
        self.settings(channel)?;
        changed!(self, |work| {
            let target = self.target(&mut work, channel, &new.target).await?;
            if target.money.currency() != new.money.currency() {
                return Err(BankError::WrongCurrency);
            }
            let transfer = Transfer {
                id: self.fresh("tr", work.now),
                channel: channel.clone(),
                money: new.money,
                booked_on: new.booked_on.clone(),
                learned_at: work.now,
                payer_name: new.payer_name.clone(),
                payer_account: new.payer_account.clone(),
                text: String::new(),
                bank_reference: new.bank_reference.clone(),
                identity: None,
                statement: None,
                entry: None,
                recorded_by: Some(word.by.clone()),
                suggestions: Vec::new(),
                reversed_by: None,
                state: TransferState::Proposed {
                    what: Proposal::Record { number: target.number.clone() },
                    by: word.by.clone(),
                    reason: word.reason.clone(),
                    at: work.now,
                    why: String::new(),
                },
            };
            work.tell(&transfer.id, &word.by, "recorded", &word.reason);
            work.put(BankRecord::Transfer(transfer.clone()));
            transfer
        })
    }

    /// Says which payment a transfer in suspense is for.
    ///
    /// # Errors
    /// When it is not in suspense, nothing is expected under `target`, or currencies differ.
    pub async fn propose_match(
        &self,
        id: &str,
        target: &str,
        word: &Word,
    ) -> Result<Transfer, BankError> {
        changed!(self, |work| {
            let transfer = found(&mut work, id).await?;
            let target = self.target(&mut work, &transfer.channel, target).await?;
            if target.money.currency() != transfer.money.currency() {
                return Err(BankError::WrongCurrency);
            }
            propose(&mut work, transfer, Proposal::Match { number: target.number }, word)?
        })
    }

    /// Says that a transfer in suspense should go back to its payer.
    ///
    /// # Errors
    /// When it is not in suspense.
    pub async fn propose_return(&self, id: &str, word: &Word) -> Result<Transfer, BankError> {
        changed!(self, |work| {
            let transfer = found(&mut work, id).await?;
            propose(&mut work, transfer, Proposal::Return, word)?
        })
    }

    /// Agrees to what another person proposed, and does it.
    ///
    /// # Errors
    /// When nothing is proposed, or it was proposed by the same person.
    pub async fn approve(&self, id: &str, word: &Word) -> Result<Transfer, BankError> {
        changed!(self, |work| {
            let mut transfer = found(&mut work, id).await?;
            let TransferState::Proposed { what, by, .. } = transfer.state.clone() else {
                return Err(not_proposed(&transfer));
            };
            if by == word.by {
                return Err(BankError::SamePerson(by));
            }
            let both = format!("{by} + {}", word.by);
            match what {
                Proposal::Match { number } | Proposal::Record { number } => {
                    self.agree(&mut work, &mut transfer, &number, &both).await?;
                }
                Proposal::Return => self.send_back(&mut work, &mut transfer),
            }
            work.tell(id, &word.by, "approved", &word.reason);
            work.put(BankRecord::Transfer(transfer.clone()));
            transfer
        })
    }

    /// Refuses what was proposed: the transfer is in suspense again, and one that only its
    /// recorder has seen counts for nothing. Whoever proposed it may take it back like this.
    ///
    /// # Errors
    /// When nothing is proposed.
    pub async fn reject(&self, id: &str, word: &Word) -> Result<Transfer, BankError> {
        changed!(self, |work| {
            let mut transfer = found(&mut work, id).await?;
            let TransferState::Proposed { what, why, .. } = transfer.state.clone() else {
                return Err(not_proposed(&transfer));
            };
            transfer.state = match what {
                Proposal::Record { .. } if transfer.identity.is_none() => {
                    TransferState::Refused { by: word.by.clone(), at: work.now }
                }
                _ => TransferState::Suspense { why },
            };
            work.tell(id, &word.by, "rejected", &word.reason);
            work.put(BankRecord::Transfer(transfer.clone()));
            transfer
        })
    }

    /// Two people have said what a transfer is for. Where one of the same payment and amount
    /// was recorded by staff before, it is that one: the statement proves it, and it does not
    /// count twice.
    async fn agree(
        &self,
        work: &mut Work<'_>,
        transfer: &mut Transfer,
        number: &ProviderOrderNo,
        both: &str,
    ) -> Result<(), BankError> {
        if transfer.identity.is_some()
            && let Some(mut recorded) = unproven(work, transfer, number).await?
        {
            let pending = matches!(recorded.state, TransferState::Proposed { .. });
            work.tell(&recorded.id, both, "shown by the statement", &transfer.id);
            recorded.state = TransferState::Refused { by: both.to_owned(), at: work.now };
            // The entry takes its place: what it was counted for, the entry is counted for.
            work.put(BankRecord::Transfer(recorded));
            if !pending {
                let number = number.clone();
                let by = both.to_owned();
                transfer.state = TransferState::Matched { number, by, at: work.now };
                return Ok(());
            }
        }
        self.book(work, transfer, number, both).await
    }

    /// Counts a transfer for an attempt, whatever that makes of it.
    pub(super) async fn book(
        &self,
        work: &mut Work<'_>,
        transfer: &mut Transfer,
        number: &ProviderOrderNo,
        by: &str,
    ) -> Result<(), BankError> {
        let mut allotment = work.allotment(number).await?.ok_or(BankError::NoSuchTarget)?;
        let settings = self.settings(&transfer.channel)?;
        let booked_at = booked_at(transfer, &settings);
        let left = count::count(&mut allotment, transfer, booked_at, false, &settings, work.now);
        transfer.state =
            TransferState::Matched { number: number.clone(), by: by.to_owned(), at: work.now };
        if let Some(left) = left {
            self.owe(work, &allotment, left, transfer, &settings);
        }
        work.tell(&transfer.id, by, "counted", number.as_str());
        work.put(BankRecord::Allotment(allotment));
        Ok(())
    }

    fn send_back(&self, work: &mut Work<'_>, transfer: &mut Transfer) {
        let id = self.fresh("po", work.now);
        work.put(BankRecord::Payout(Payout {
            id: id.clone(),
            channel: transfer.channel.clone(),
            money: transfer.money,
            kind: PayoutKind::Return,
            reference: count::reference(&id),
            number: None,
            transfer: Some(transfer.id.clone()),
            to_name: transfer.payer_name.clone(),
            to_account: transfer.payer_account.clone(),
            requested_at: work.now,
            state: PayoutState::Requested,
            entries: Vec::new(),
            news: false,
        }));
        transfer.state = TransferState::Returning { payout: id };
    }

    /// What a person means: a payment's id (its latest attempt on the channel), an attempt's
    /// number, a reference, or a virtual account.
    async fn target(
        &self,
        work: &mut Work<'_>,
        channel: &ChannelId,
        text: &str,
    ) -> Result<Allotment, BankError> {
        let text = text.trim();
        if let Ok(payment) = text.parse() {
            let found = work.find(BankKind::Allotment, &Allotment::by_payment(payment)).await?;
            let own = found.into_iter().filter_map(as_allotment);
            let last = own.filter(|a| a.channel == *channel).max_by_key(|a| a.ordinal);
            return last.ok_or(BankError::NoSuchTarget);
        }
        let number = ProviderOrderNo::received(text);
        if let Some(allotment) = work.allotment(&number).await?
            && allotment.channel == *channel
        {
            return Ok(allotment);
        }
        let mut keys = vec![Allotment::by_account(channel, text)];
        if let Ok(reference) = text.parse::<Reference>() {
            keys.push(Allotment::by_reference(channel, reference.compact()));
        }
        for key in keys {
            let found = work.find(BankKind::Allotment, &key).await?;
            // Two with the same reference are for a person to name by their payments.
            if let [BankRecord::Allotment(one)] = found.as_slice() {
                return Ok(one.clone());
            }
        }
        Err(BankError::NoSuchTarget)
    }
}

/// The beginning of a transfer's booking day in the bank's zone, as a time; the time it was
/// learned where the day cannot be read.
pub(super) fn booked_at(transfer: &Transfer, settings: &BankSettings) -> Timestamp {
    let Ok(day) = transfer.booked_on.parse::<jiff::civil::Date>() else {
        return transfer.learned_at;
    };
    let offset = jiff::tz::Offset::from_seconds(settings.utc_offset_minutes * 60);
    let midnight = offset.ok().and_then(|o| o.to_timestamp(day.at(0, 0, 0, 0)).ok());
    midnight.map_or(transfer.learned_at, |t| Timestamp::from_secs(t.as_second()))
}

/// A transfer that staff recorded for an attempt, of the same amount, which no statement has
/// shown yet.
pub(super) async fn unproven(
    work: &mut Work<'_>,
    entry: &Transfer,
    number: &ProviderOrderNo,
) -> Result<Option<Transfer>, BankError> {
    let found = work.transfers_of(number).await?;
    Ok(found
        .into_iter()
        .find(|t| t.identity.is_none() && t.money == entry.money && t.id != entry.id))
}

async fn found(work: &mut Work<'_>, id: &str) -> Result<Transfer, BankError> {
    work.transfer(id).await?.ok_or(BankError::NotFound("transfer"))
}

fn not_proposed(transfer: &Transfer) -> BankError {
    BankError::WrongState { is: transfer.state.name().to_owned(), wanted: "proposed" }
}

fn propose(
    work: &mut Work<'_>,
    mut transfer: Transfer,
    what: Proposal,
    word: &Word,
) -> Result<Transfer, BankError> {
    let TransferState::Suspense { why } = transfer.state else {
        let is = transfer.state.name().to_owned();
        return Err(BankError::WrongState { is, wanted: "suspense" });
    };
    let action = match what {
        Proposal::Return => "return proposed",
        Proposal::Match { .. } | Proposal::Record { .. } => "match proposed",
    };
    work.tell(&transfer.id, &word.by, action, &word.reason);
    transfer.state = TransferState::Proposed {
        what,
        by: word.by.clone(),
        reason: word.reason.clone(),
        at: work.now,
        why,
    };
    work.put(BankRecord::Transfer(transfer.clone()));
    Ok(transfer)
}
