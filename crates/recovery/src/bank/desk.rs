//! The ledger with the engine beside it: what is new in the books reaches the payments.
//!
//! Whatever has something to tell is marked in the books by the commit that made it so, and the
//! mark goes only when the engine has been told: a process that dies in between tells it after
//! its restart (rule 6).

use std::sync::Arc;

use domain::{Notice, NoticeKind, PaymentId, ProviderOrderNo, Review};
use engine::{Engine, EngineError};
use store::{Allotment, BankKind, BankRecord, Expecting, Kept, NEWS, Payout, PayoutState};
use tokio::sync::Notify;

use super::ledger::{Ledger, refund_state};
use super::{BankError, Imported, NewTransfer, Upload, Word};

/// The ledger as people and workers use it.
pub struct Desk {
    ledger: Arc<Ledger>,
    engine: Arc<Engine>,
    news: Notify,
}

impl Desk {
    /// The desk of a ledger that this engine is answered by.
    pub fn new(ledger: Arc<Ledger>, engine: Arc<Engine>) -> Desk {
        Desk { ledger, engine, news: Notify::new() }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Waits until something may be new.
    pub async fn news_arrived(&self) {
        self.news.notified().await;
    }

    /// Tells the engine everything that it has not been told. How much there was.
    ///
    /// # Errors
    /// When the books cannot be read; what the engine could not be told stays marked.
    pub async fn tell(&self) -> Result<usize, BankError> {
        let books = self.ledger.books();
        let mut told = 0;
        for kept in books.bank_find(BankKind::Allotment, NEWS).await? {
            told += usize::from(self.tell_one(kept).await);
        }
        for kept in books.bank_find(BankKind::Payout, NEWS).await? {
            told += usize::from(self.tell_one(kept).await);
        }
        Ok(told)
    }

    /// Tells of one record, and takes its mark away if it is still the same. `false`: later.
    async fn tell_one(&self, kept: Kept) -> bool {
        let id = kept.record.id().to_owned();
        let told = match &kept.record {
            BankRecord::Allotment(allotment) => self.tell_payment(allotment).await,
            BankRecord::Payout(payout) => self.tell_refund(payout).await,
            _ => Ok(()),
        };
        match told {
            Ok(()) => {}
            // Nothing in the books of payments is waited for: telling again will not help.
            Err(EngineError::NotFound) => {
                tracing::error!(record = %id, "the ledger knows a payment that the books do not");
            }
            Err(error) => {
                tracing::warn!(record = %id, %error, "the engine could not be told; later again");
                return false;
            }
        }
        self.ledger.told(kept).await.unwrap_or(false)
    }

    async fn tell_payment(&self, allotment: &Allotment) -> Result<(), EngineError> {
        let notice = Notice { number: allotment.number.clone(), kind: NoticeKind::Hint };
        self.engine.notice(&allotment.channel, notice).await?;
        if allotment.reversed_minor > 0 {
            self.engine.flag(allotment.payment, Review::MoneyReversed).await?;
        }
        let paid = matches!(allotment.state, Expecting::Paid { .. });
        if paid && !self.knows(allotment.payment, allotment.ordinal).await? {
            return Err(EngineError::Busy);
        }
        Ok(())
    }

    async fn knows(&self, id: PaymentId, ordinal: u16) -> Result<bool, EngineError> {
        let payment = self.engine.store().payment(id).await?.ok_or(EngineError::NotFound)?;
        Ok(payment.attempt(ordinal).is_some_and(|a| a.receipt().is_some()))
    }

    async fn tell_refund(&self, payout: &Payout) -> Result<(), EngineError> {
        let Some(number) = payout.number.clone() else { return Ok(()) };
        let refund = ProviderOrderNo::received(&payout.id);
        let kind = NoticeKind::Refund { refund, state: refund_state(payout) };
        let payment = ProviderOrderNo::parse(number.as_str()).map(|(id, _)| id);
        self.engine.notice(&payout.channel, Notice { number, kind }).await?;
        let failed = matches!(payout.state, PayoutState::Failed { .. });
        let Some(id) = payment.filter(|_| failed) else { return Ok(()) };
        // A refund that was called done stays so for the merchant; that its money came back
        // is for a person.
        let payment = self.engine.store().payment(id).await?.ok_or(EngineError::NotFound)?;
        let done = payment.refunds.iter().any(|r| {
            r.number.as_str() == payout.id
                && matches!(r.progress, domain::RefundProgress::Succeeded { .. })
        });
        if done { self.engine.flag(id, Review::RefundStuck).await } else { Ok(()) }
    }

    async fn after<T>(&self, done: Result<T, BankError>) -> Result<T, BankError> {
        let done = done?;
        // Told by the caller's own hand, so that its answer finds the payment settled; the
        // worker does it again should this fail.
        if let Err(error) = self.tell().await {
            tracing::warn!(%error, "the engine is told later");
        }
        self.news.notify_one();
        Ok(done)
    }

    /// See [`Ledger::import`].
    ///
    /// # Errors
    /// See there.
    pub async fn import(
        &self,
        channel: &domain::ChannelId,
        upload: &Upload,
    ) -> Result<Imported, BankError> {
        self.after(self.ledger.import(channel, upload).await).await
    }

    /// See [`Ledger::record`].
    ///
    /// # Errors
    /// See there.
    pub async fn record(
        &self,
        channel: &domain::ChannelId,
        new: &NewTransfer,
        word: &Word,
    ) -> Result<store::Transfer, BankError> {
        self.ledger.record(channel, new, word).await
    }

    /// See [`Ledger::approve`].
    ///
    /// # Errors
    /// See there.
    pub async fn approve(&self, id: &str, word: &Word) -> Result<store::Transfer, BankError> {
        self.after(self.ledger.approve(id, word).await).await
    }

    /// See [`Ledger::payout_confirm`].
    ///
    /// # Errors
    /// See there.
    pub async fn payout_confirm(&self, id: &str, word: &Word) -> Result<Payout, BankError> {
        self.after(self.ledger.payout_confirm(id, word).await).await
    }

    /// See [`Ledger::payout_failed`].
    ///
    /// # Errors
    /// See there.
    pub async fn payout_failed(&self, id: &str, word: &Word) -> Result<Payout, BankError> {
        self.after(self.ledger.payout_failed(id, word).await).await
    }
}

impl Ledger {
    /// Takes the mark off a record that the engine was told of, unless it has changed since.
    async fn told(&self, kept: Kept) -> Result<bool, BankError> {
        let mut work = self.work();
        work.keep(kept.clone());
        match kept.record {
            BankRecord::Allotment(mut allotment) => {
                allotment.news = false;
                work.put(BankRecord::Allotment(allotment));
            }
            BankRecord::Payout(mut payout) => {
                payout.news = false;
                work.put(BankRecord::Payout(payout));
            }
            _ => return Ok(true),
        }
        self.commit(work).await
    }
}
