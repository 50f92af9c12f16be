//! The ledger as the engine's provider: orders, questions, closes and refunds, answered from
//! the books alone. The same number always gets the same answer (rule 8).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use domain::{
    Answer, ChannelId, CloseState, Created, Fault, Operation, Order, OrderRef, OrderState, Outcome,
    Presentation, ProviderOrderNo, Receipt, RefundOrder, RefundState, Timestamp, TransferTo,
};
use engine::{Caller, Clock, Entropy};
use providers::bank::{BankSettings, IdentifyBy, Reference};
use store::{
    Allotment, BankBooks, BankFilter, BankKind, BankRecord, Counter, Expecting, Payout, PayoutKind,
    PayoutState,
};

use super::work::{Work, as_allotment, changed};
use super::{BankError, count};

/// The name that the books give to what happens by itself.
pub(super) const OURSELVES: &str = "evergate";

/// The ledger of every bank channel.
pub struct Ledger {
    pub(super) books: Arc<dyn BankBooks>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    channels: ArcSwap<HashMap<ChannelId, Arc<BankSettings>>>,
}

impl Ledger {
    /// A ledger of these channels.
    pub fn new(
        books: Arc<dyn BankBooks>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        channels: HashMap<ChannelId, BankSettings>,
    ) -> Ledger {
        let ledger = Ledger { books, clock, entropy, channels: ArcSwap::default() };
        ledger.set_channels(channels);
        ledger
    }

    /// Takes over the channels of a changed configuration. What was shown stays as it was shown,
    /// and a channel that is configured no more is still answered for: what was begun on it has
    /// to end.
    pub fn set_channels(&self, channels: HashMap<ChannelId, BankSettings>) {
        let mut all = HashMap::clone(&self.channels.load());
        all.extend(channels.into_iter().map(|(id, settings)| (id, Arc::new(settings))));
        self.channels.store(Arc::new(all));
    }

    /// Whether it answers for this channel.
    pub fn has(&self, channel: &ChannelId) -> bool {
        self.channels.load().contains_key(channel)
    }

    /// The channels that it answers for, by name.
    pub fn channels(&self) -> Vec<ChannelId> {
        let mut names: Vec<ChannelId> = self.channels.load().keys().cloned().collect();
        names.sort();
        names
    }

    /// The books, for reading.
    pub fn books(&self) -> &Arc<dyn BankBooks> {
        &self.books
    }

    pub(super) fn settings(&self, channel: &ChannelId) -> Result<Arc<BankSettings>, BankError> {
        self.channels.load().get(channel).cloned().ok_or(BankError::NoSuchChannel)
    }

    /// A fresh id that begins with `prefix`.
    pub(super) fn fresh(&self, prefix: &str, now: Timestamp) -> String {
        format!("{prefix}_{}", self.entropy.uuid(now).simple())
    }

    async fn create(&self, channel: &ChannelId, order: &Order) -> Result<Created, BankError> {
        let settings = self.settings(channel)?;
        let (payment, ordinal) =
            ProviderOrderNo::parse(order.number.as_str()).ok_or(BankError::NoSuchTarget)?;
        changed!(self, |work| {
            match work.allotment(&order.number).await? {
                Some(known) => created(&known),
                None => {
                    let account = self.account(&mut work, channel, &settings).await?;
                    let allotment = Allotment {
                        number: order.number.clone(),
                        channel: channel.clone(),
                        payment,
                        ordinal,
                        money: order.money,
                        shown: shown(order, account.as_deref(), &settings),
                        reference: Reference::of(&order.number).compact().to_owned(),
                        account,
                        shown_at: work.now,
                        expires_at: order.expires_at,
                        state: Expecting::Open,
                        received_minor: 0,
                        reversed_minor: 0,
                        free_at: None,
                        news: false,
                    };
                    work.tell(order.number.as_str(), OURSELVES, "allotted", "");
                    let created = created(&allotment);
                    work.put(BankRecord::Allotment(allotment));
                    created
                }
            }
        })
    }

    /// A virtual account that nobody else has, where the channel gives them out: a number that
    /// was never used, and when those are used up the one that has rested longest.
    async fn account(
        &self,
        work: &mut Work<'_>,
        channel: &ChannelId,
        settings: &BankSettings,
    ) -> Result<Option<String>, BankError> {
        let (IdentifyBy::VirtualAccount, Some(scheme)) =
            (settings.identify_by, &settings.virtual_accounts)
        else {
            return Ok(None);
        };
        let (first, last) = settings.virtual_range.unwrap_or((0, u64::MAX));
        let next = match work.record(BankKind::Counter, channel.as_str()).await? {
            Some(BankRecord::Counter(counter)) => counter.next.max(first),
            _ => first,
        };
        if next <= last
            && let Some(account) = scheme.number(next)
        {
            let counter = Counter { channel: channel.clone(), next: next + 1 };
            work.put(BankRecord::Counter(counter));
            return Ok(Some(account));
        }
        self.rested(work, channel).await.map(Some)
    }

    async fn rested(&self, work: &mut Work<'_>, channel: &ChannelId) -> Result<String, BankError> {
        let filter = BankFilter {
            channel: Some(channel.clone()),
            states: vec!["closed", "paid"],
            rank_max: Some(work.now.as_micros()),
            limit: 1,
            ..BankFilter::all(BankKind::Allotment)
        };
        let kept = self.books.bank_list(&filter).await?.into_iter().next();
        let old = kept.and_then(|kept| {
            work.keep(kept.clone());
            as_allotment(kept.record)
        });
        let Some(mut old) = old else { return Err(BankError::NotFound("free virtual account")) };
        let account = old.account.take().ok_or(BankError::Busy)?;
        old.free_at = None;
        work.tell(old.number.as_str(), OURSELVES, "account given to another payment", "");
        work.put(BankRecord::Allotment(old));
        Ok(account)
    }

    async fn query(&self, order: &OrderRef) -> Result<OrderState, BankError> {
        let found = self.work().allotment(&order.number).await?;
        Ok(found.map_or(OrderState::NotFound, |allotment| state(&allotment)))
    }

    async fn close(&self, channel: &ChannelId, order: &OrderRef) -> Result<CloseState, BankError> {
        let settings = self.settings(channel)?;
        changed!(self, |work| {
            let known = work.allotment(&order.number).await?;
            match known {
                Some(Allotment { state: Expecting::Paid { .. }, .. }) => {
                    CloseState::AlreadyPaid(known.as_ref().and_then(receipt))
                }
                Some(Allotment { state: Expecting::Closed { .. }, .. }) => CloseState::Closed,
                Some(mut open) => {
                    let left = count::close(&mut open, &settings, work.now);
                    work.tell(order.number.as_str(), OURSELVES, "closed", "");
                    if let Some(left) = left {
                        self.give_back_parts(&mut work, &open, left, &settings).await?;
                    }
                    work.put(BankRecord::Allotment(open));
                    CloseState::Closed
                }
                None => {
                    // Nothing was shown, and now nothing ever will be under this number.
                    work.put(BankRecord::Allotment(never(channel, order, &settings, work.now)?));
                    CloseState::Closed
                }
            }
        })
    }

    /// Owes the parts of an expectation that ended to those who sent them.
    async fn give_back_parts(
        &self,
        work: &mut Work<'_>,
        allotment: &Allotment,
        left: count::Left,
        settings: &BankSettings,
    ) -> Result<(), BankError> {
        let mut rest = left.minor;
        for part in work.transfers_of(&allotment.number).await? {
            if !matches!(part.state, store::TransferState::Matched { .. }) || rest <= 0 {
                continue;
            }
            let minor = part.money.minor().min(rest);
            rest -= minor;
            let share = count::Left { minor, kind: left.kind };
            self.owe(work, allotment, share, &part, settings);
        }
        Ok(())
    }

    /// Owes something left over to the payer of a transfer.
    pub(super) fn owe(
        &self,
        work: &mut Work<'_>,
        allotment: &Allotment,
        left: count::Left,
        payer: &store::Transfer,
        settings: &BankSettings,
    ) {
        let id = self.fresh("po", work.now);
        if let Some(payout) = count::payout(id, left, allotment, payer, settings, work.now) {
            work.tell(&payout.id, OURSELVES, payout.state.name(), payout.kind.name());
            work.put(BankRecord::Payout(payout));
        }
    }

    async fn refund(
        &self,
        channel: &ChannelId,
        refund: &RefundOrder,
    ) -> Result<RefundState, BankError> {
        changed!(self, |work| {
            match work.payout(refund.number.as_str()).await? {
                Some(known) => refund_state(&known),
                None => {
                    let payer = payer(&mut work, &refund.order.number).await?;
                    let payout = Payout {
                        id: refund.number.to_string(),
                        channel: channel.clone(),
                        money: refund.amount,
                        kind: PayoutKind::Refund,
                        reference: count::reference(refund.number.as_str()),
                        number: Some(refund.order.number.clone()),
                        transfer: payer.as_ref().map(|t| t.id.clone()),
                        to_name: payer.as_ref().and_then(|t| t.payer_name.clone()),
                        to_account: payer.and_then(|t| t.payer_account),
                        requested_at: work.now,
                        state: PayoutState::Requested,
                        entries: Vec::new(),
                        news: false,
                    };
                    work.tell(&payout.id, OURSELVES, "requested", "refund");
                    work.put(BankRecord::Payout(payout));
                    RefundState::Pending
                }
            }
        })
    }

    async fn query_refund(&self, refund: &RefundOrder) -> Result<RefundState, BankError> {
        let found = self.work().payout(refund.number.as_str()).await?;
        Ok(found.map_or(RefundState::NotFound, |payout| refund_state(&payout)))
    }
}

/// The transfer that made an order whole; the last one where none did.
async fn payer(
    work: &mut Work<'_>,
    number: &ProviderOrderNo,
) -> Result<Option<store::Transfer>, BankError> {
    let whole = match work.allotment(number).await?.map(|allotment| allotment.state) {
        Some(Expecting::Paid { transfer, .. }) => Some(transfer),
        _ => None,
    };
    let mut transfers = work.transfers_of(number).await?;
    let paid = transfers.iter().position(|t| whole.as_ref() == Some(&t.id));
    Ok(match paid {
        Some(at) => Some(transfers.swap_remove(at)),
        None => transfers.pop(),
    })
}

/// What the customer is shown.
fn shown(order: &Order, account: Option<&str>, settings: &BankSettings) -> Presentation {
    let reference = account.is_none().then(|| Reference::of(&order.number).to_string());
    Presentation::BankTransfer(Box::new(TransferTo {
        payee: settings.payee.both(),
        bank: settings.bank.both(),
        account: account.unwrap_or(&settings.account).to_owned(),
        bank_code: settings.bank_code.clone(),
        reference,
        money: order.money,
        expires_at: order.expires_at,
    }))
}

/// What stands in the books for an order that was closed before it was made.
fn never(
    channel: &ChannelId,
    order: &OrderRef,
    settings: &BankSettings,
    now: Timestamp,
) -> Result<Allotment, BankError> {
    let (payment, ordinal) =
        ProviderOrderNo::parse(order.number.as_str()).ok_or(BankError::NoSuchTarget)?;
    Ok(Allotment {
        number: order.number.clone(),
        channel: channel.clone(),
        payment,
        ordinal,
        money: order.money,
        shown: Presentation::BankTransfer(Box::new(TransferTo {
            payee: settings.payee.both(),
            bank: settings.bank.both(),
            account: settings.account.clone(),
            bank_code: settings.bank_code.clone(),
            reference: None,
            money: order.money,
            expires_at: now,
        })),
        reference: Reference::of(&order.number).compact().to_owned(),
        account: None,
        shown_at: now,
        expires_at: now,
        state: Expecting::Closed { at: now },
        received_minor: 0,
        reversed_minor: 0,
        free_at: None,
        news: false,
    })
}

fn created(allotment: &Allotment) -> Created {
    match &allotment.state {
        Expecting::Closed { .. } => Created::NumberClosed,
        Expecting::Open => {
            Created::Presented { presentation: allotment.shown.clone(), reference: None }
        }
        Expecting::Paid { .. } => receipt(allotment).map_or(Created::NumberClosed, Created::Paid),
    }
}

fn state(allotment: &Allotment) -> OrderState {
    match &allotment.state {
        Expecting::Closed { .. } => OrderState::Closed,
        Expecting::Paid { .. } => receipt(allotment).map_or(OrderState::Payable, OrderState::Paid),
        Expecting::Open => {
            let received = domain::Money::new(allotment.received_minor, allotment.money.currency());
            received.map_or(OrderState::Payable, |received| OrderState::PartlyPaid { received })
        }
    }
}

fn receipt(allotment: &Allotment) -> Option<Receipt> {
    match &allotment.state {
        Expecting::Paid { captured, transfer, booked_at, .. } => Some(Receipt {
            reference: transfer.clone(),
            captured: *captured,
            paid_at: Some(*booked_at),
        }),
        _ => None,
    }
}

pub(super) fn refund_state(payout: &Payout) -> RefundState {
    match &payout.state {
        PayoutState::Held | PayoutState::Requested | PayoutState::Sent { .. } => {
            RefundState::Pending
        }
        PayoutState::Confirmed { .. } => RefundState::Succeeded,
        PayoutState::Failed { why, .. } => {
            RefundState::Failed(Fault::new("payout_failed", why.clone()))
        }
    }
}

/// The books did not say. A create that may be in the books is asked about; whatever else was
/// asked is asked again.
fn unanswered<T>(error: &BankError) -> Outcome<T> {
    let fault = |code: &str| Fault::new(code, error.to_string());
    match error {
        BankError::CommitUnknown => Outcome::Unknown(fault("ledger_unknown")),
        BankError::NotFound(_) => Outcome::Unavailable(fault("no_account_free")),
        BankError::Store(_) | BankError::Busy => Outcome::Unavailable(fault("ledger")),
        _ => Outcome::Rejected(fault("ledger")),
    }
}

fn outcome<T>(result: Result<T, BankError>) -> Outcome<T> {
    result.map_or_else(|error| unanswered(&error), Outcome::Ok)
}

#[async_trait]
impl Caller for Ledger {
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        if self.clock.now() >= until {
            let fault = Fault::new("deadline", "the time for this call had passed");
            return op.unavailable(fault);
        }
        match op {
            Operation::Create(order) => Answer::Create(outcome(self.create(channel, order).await)),
            Operation::Query(order) => Answer::Query(outcome(self.query(order).await)),
            Operation::Close(order, _) => Answer::Close(outcome(self.close(channel, order).await)),
            Operation::Refund(refund) => {
                Answer::Refund(outcome(self.refund(channel, refund).await))
            }
            Operation::QueryRefund(refund) => {
                Answer::QueryRefund(outcome(self.query_refund(refund).await))
            }
        }
    }
}
