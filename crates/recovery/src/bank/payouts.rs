//! Money on its way out: one person transfers it, a second one or the statement confirms it.

use store::{BankRecord, Payout, PayoutKind, PayoutState, TransferState};

use super::people::Word;
use super::work::{Work, changed};
use super::{BankError, Ledger};

/// The name that the books give to what a statement says.
pub(super) const STATEMENT: &str = "statement";

impl Ledger {
    /// Somebody has transferred it. One that failed may be tried again, unless it carries out a
    /// refund: the merchant then asks for another.
    ///
    /// # Errors
    /// When it was sent before, or has ended.
    pub async fn payout_sent(&self, id: &str, word: &Word) -> Result<Payout, BankError> {
        changed!(self, |work| {
            let mut payout = found(&mut work, id).await?;
            let again = payout.kind != PayoutKind::Refund;
            match payout.state {
                PayoutState::Held | PayoutState::Requested => {}
                PayoutState::Failed { .. } if again => {}
                _ => return Err(wrong(&payout, "held, requested or failed")),
            }
            payout.state = PayoutState::Sent { by: word.by.clone(), at: work.now };
            ended(&mut work, payout, word, "sent")
        })
    }

    /// A second person has seen that it left the account.
    ///
    /// # Errors
    /// When it was not sent, or the same person sent it (rule 12).
    pub async fn payout_confirm(&self, id: &str, word: &Word) -> Result<Payout, BankError> {
        changed!(self, |work| {
            let mut payout = found(&mut work, id).await?;
            second(&payout, word)?;
            payout.state = PayoutState::Confirmed { by: word.by.clone(), at: work.now };
            payout.news = payout.kind == PayoutKind::Refund;
            ended(&mut work, payout, word, "confirmed")
        })
    }

    /// It cannot be done, or came back. What was sent needs a second person to say so: a refund
    /// that is called failed can be asked for again.
    ///
    /// # Errors
    /// When it has ended, or the same person sent it.
    pub async fn payout_failed(&self, id: &str, word: &Word) -> Result<Payout, BankError> {
        changed!(self, |work| {
            let mut payout = found(&mut work, id).await?;
            match payout.state {
                PayoutState::Held | PayoutState::Requested => {}
                _ => second(&payout, word)?,
            }
            let (by, why) = (word.by.clone(), word.reason.clone());
            payout.state = PayoutState::Failed { by, why, at: work.now };
            payout.news = payout.kind == PayoutKind::Refund;
            ended(&mut work, payout, word, "failed")
        })
    }

    /// The statement shows that a payout left.
    pub(super) async fn payout_shown(
        &self,
        work: &mut Work<'_>,
        id: &str,
        identity: &str,
        agrees: bool,
    ) -> Result<(), BankError> {
        let mut payout = found(work, id).await?;
        payout.entries.push(identity.to_owned());
        // The entry that shows that it came back may stand before the one that shows it going.
        let came_back = matches!(&payout.state, PayoutState::Failed { by, .. } if by == STATEMENT);
        if !agrees || came_back || matches!(payout.state, PayoutState::Confirmed { .. }) {
            let action = if agrees { "shown" } else { "shown with another amount" };
            work.tell(id, STATEMENT, action, "");
            work.put(BankRecord::Payout(payout));
            return Ok(());
        }
        payout.state = PayoutState::Confirmed { by: STATEMENT.to_owned(), at: work.now };
        payout.news = payout.kind == PayoutKind::Refund;
        work.tell(id, STATEMENT, "confirmed", "");
        work.put(BankRecord::Payout(payout));
        Ok(())
    }

    /// The statement shows that a payout came back: the money is owed again.
    pub(super) async fn payout_came_back(
        &self,
        work: &mut Work<'_>,
        id: &str,
        agrees: bool,
    ) -> Result<(), BankError> {
        let mut payout = found(work, id).await?;
        let why = if agrees { "it came back" } else { "it came back with another amount" };
        let by = STATEMENT.to_owned();
        payout.state = PayoutState::Failed { by, why: why.to_owned(), at: work.now };
        payout.news = payout.kind == PayoutKind::Refund;
        work.tell(id, STATEMENT, "failed", why);
        work.put(BankRecord::Payout(payout));
        Ok(())
    }

    /// The credit that a payout was for was taken back by the bank before it was sent.
    pub(super) async fn payout_needless(
        &self,
        work: &mut Work<'_>,
        state: &TransferState,
    ) -> Result<(), BankError> {
        let TransferState::Returning { payout: id } = state else { return Ok(()) };
        let mut payout = found(work, id).await?;
        match payout.state {
            PayoutState::Held | PayoutState::Requested => {
                let (by, why) = (STATEMENT.to_owned(), "the bank took the credit back".to_owned());
                payout.state = PayoutState::Failed { by, why, at: work.now };
                work.tell(id, STATEMENT, "failed", "the bank took the credit back");
                work.put(BankRecord::Payout(payout));
            }
            _ => work.tell(id, STATEMENT, "paid out although the bank took the credit back", ""),
        }
        Ok(())
    }
}

async fn found(work: &mut Work<'_>, id: &str) -> Result<Payout, BankError> {
    work.payout(id).await?.ok_or(BankError::NotFound("payout"))
}

fn wrong(payout: &Payout, wanted: &'static str) -> BankError {
    BankError::WrongState { is: payout.state.name().to_owned(), wanted }
}

/// Checks that it was sent, by somebody else.
fn second(payout: &Payout, word: &Word) -> Result<(), BankError> {
    match &payout.state {
        PayoutState::Sent { by, .. } if *by == word.by => Err(BankError::SamePerson(by.clone())),
        PayoutState::Sent { .. } => Ok(()),
        _ => Err(wrong(payout, "sent")),
    }
}

fn ended(work: &mut Work<'_>, payout: Payout, word: &Word, action: &str) -> Payout {
    work.tell(&payout.id, &word.by, action, &word.reason);
    work.put(BankRecord::Payout(payout.clone()));
    payout
}
