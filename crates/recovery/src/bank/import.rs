//! A statement file into the books. Each entry counts once, in whatever file and however often
//! it comes; a file that stops half-way is finished by sending it again.

use std::collections::{BTreeMap, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use domain::{ChannelId, ProviderOrderNo};
use providers::bank::statement::{self, Entry, Format, LineMistake, Statement};
use providers::bank::{BankSettings, LateTransfer, Reference};
use store::{
    Allotment, BankFilter, BankKind, BankRecord, Counts, Expecting, Hint, StatementFile, Transfer,
    TransferState,
};

use super::ledger::OURSELVES;
use super::people::unproven;
use super::work::{TRIES, Work, as_allotment, as_payout, as_transfer};
use super::{BankError, Ledger, count};
use crate::matching::{
    Books, By, Earlier, Expectation, Lateness, MatchPolicy, Payout, Placement, Standing, Target,
    place,
};

/// How many entries one commit takes in.
const AT_ONCE: usize = 100;
/// How far back credits are known for the bank to take back.
const CREDITS_MAX: usize = 20_000;

/// A file that somebody sends.
#[derive(Clone)]
pub struct Upload {
    /// What whoever sends it calls it.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// One of the channel's formats: `csv`, `camt053` or `mt940`; its first when absent.
    pub format: Option<String>,
    /// Only say what would become of it.
    pub dry_run: bool,
    /// The name of the sender's key.
    pub by: String,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The file as the books keep it.
    pub file: StatementFile,
    /// Whether the very same file was imported before.
    pub seen_before: bool,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What was done with each entry that was not known: its line, and a word.
    pub entries: Vec<(u32, &'static str)>,
}

/// An entry to be placed, by its identity.
type Fresh = (String, Entry);

impl Ledger {
    /// Imports a statement file.
    ///
    /// # Errors
    /// When the file has mistakes; nothing of it was imported then. When the store stops
    /// half-way, the entries before are in the books, and the same file again brings the rest.
    pub async fn import(
        &self,
        channel: &ChannelId,
        upload: &Upload,
    ) -> Result<Imported, BankError> {
        let settings = self.settings(channel)?;
        let format = choose(&settings, upload.format.as_deref())?;
        let statements = statement::read(&upload.bytes, &format).map_err(BankError::Mistakes)?;
        let strange = statements.iter().filter(|s| !is_ours(&settings, &s.account));
        let mistakes: Vec<LineMistake> = strange.map(|_| another_account()).collect();
        if !mistakes.is_empty() {
            return Err(BankError::Mistakes(mistakes));
        }
        let mut file = self.file(channel, upload, &statements);
        let seen_before = self.books.bank_record(BankKind::Statement, &file.id).await?.is_some();
        let mut fresh: Vec<Fresh> = statements
            .into_iter()
            .flat_map(|s| s.entries)
            .map(|entry| (entry.identity(&settings.account), entry))
            .collect();
        // By day, credits before what takes them back: the order in the file says nothing.
        fresh.sort_by(|(a, x), (b, y)| {
            (x.booked_on, x.reversal, x.direction, a).cmp(&(
                y.booked_on,
                y.reversal,
                y.direction,
                b,
            ))
        });
        fresh.dedup_by(|(a, _), (b, _)| a == b);
        // What is only tried is tried at once: a later part would not see what an earlier one
        // would have done.
        let at_once = if upload.dry_run { fresh.len().max(1) } else { AT_ONCE };
        let mut entries = Vec::new();
        for chunk in fresh.chunks(at_once) {
            let did = self.chunk(channel, &settings, &file, chunk, upload.dry_run).await?;
            add(&mut file.counts, &did.counts);
            entries.extend(did.entries);
        }
        if !upload.dry_run {
            self.note_file(&file, seen_before).await?;
        }
        entries.sort_unstable();
        Ok(Imported { file, seen_before, dry_run: upload.dry_run, entries })
    }

    fn file(
        &self,
        channel: &ChannelId,
        upload: &Upload,
        statements: &[Statement],
    ) -> StatementFile {
        let digest = hex::encode(digest(&SHA256, &upload.bytes).as_ref());
        let day = |days: Vec<jiff::civil::Date>, last: bool| {
            let best = if last { days.into_iter().max() } else { days.into_iter().min() };
            best.map(|day| day.to_string())
        };
        let skipped = statements.iter().map(|s| s.skipped.len() as u64).sum();
        StatementFile {
            id: format!("{channel} {digest}"),
            channel: channel.clone(),
            name: upload.name.clone(),
            digest,
            by: upload.by.clone(),
            at: self.clock.now(),
            from: day(statements.iter().filter_map(|s| s.from).collect(), false),
            to: day(statements.iter().filter_map(|s| s.to).collect(), true),
            currency: statements.first().map(|s| s.currency),
            opening_minor: statements.first().and_then(|s| s.opening_minor),
            closing_minor: statements.last().and_then(|s| s.closing_minor),
            counts: Counts { skipped, ..Counts::default() },
        }
    }

    /// The file's own record, once. A second import leaves only a line in its history.
    async fn note_file(&self, file: &StatementFile, seen_before: bool) -> Result<(), BankError> {
        for _ in 0..TRIES {
            let mut work = self.work();
            let known = work.record(BankKind::Statement, &file.id).await?.is_some();
            let action = if known || seen_before { "imported again" } else { "imported" };
            work.tell(&file.id, &file.by, action, &file.name);
            if !known {
                work.put(BankRecord::Statement(file.clone()));
            }
            if self.commit(work).await? {
                return Ok(());
            }
        }
        Err(BankError::Busy)
    }

    async fn chunk(
        &self,
        channel: &ChannelId,
        settings: &BankSettings,
        file: &StatementFile,
        fresh: &[Fresh],
        dry_run: bool,
    ) -> Result<Did, BankError> {
        for _ in 0..TRIES {
            let mut work = self.work();
            let did = self.place_all(&mut work, channel, settings, file, fresh).await?;
            if dry_run || self.commit(work).await? {
                return Ok(did);
            }
        }
        Err(BankError::Busy)
    }

    async fn place_all(
        &self,
        work: &mut Work<'_>,
        channel: &ChannelId,
        settings: &BankSettings,
        file: &StatementFile,
        fresh: &[Fresh],
    ) -> Result<Did, BankError> {
        let mut did = Did::default();
        did.counts.entries = fresh.len() as u64;
        let mut new = Vec::new();
        for each in fresh {
            if work.is_known(channel, &each.0).await? {
                did.counts.known += 1;
            } else {
                new.push(each);
            }
        }
        if new.is_empty() {
            return Ok(did);
        }
        let policy = policy(settings);
        let mut books = self.known(work, channel, settings, &new).await?;
        for (identity, entry) in new {
            let placement = place(entry, &books, &policy);
            let mut one = One { channel, settings, file, identity, entry };
            let word = self.take(work, &mut one, &placement, &mut did.counts).await?;
            books.note(identity, entry, &placement);
            did.entries.push((entry.line, word));
        }
        Ok(did)
    }

    /// What the entries can be placed against: everything that is open, and what they name.
    async fn known(
        &self,
        work: &mut Work<'_>,
        channel: &ChannelId,
        settings: &BankSettings,
        new: &[&Fresh],
    ) -> Result<Books, BankError> {
        let mut allotments: BTreeMap<String, Allotment> = BTreeMap::new();
        let open = BankFilter {
            channel: Some(channel.clone()),
            states: vec!["open"],
            ..BankFilter::all(BankKind::Allotment)
        };
        for kept in self.books.bank_list(&open).await? {
            work.keep(kept);
        }
        let mut keys = HashSet::new();
        for (_, entry) in new {
            let texts = [Some(entry.text.as_str()), entry.end_to_end.as_deref()];
            for text in texts.into_iter().flatten() {
                let found = Reference::find(text);
                keys.extend(found.iter().map(|r| Allotment::by_reference(channel, r.compact())));
            }
            let own = entry.virtual_account.iter().map(|account| plain(account));
            let scheme = settings.virtual_accounts.as_ref();
            let told = scheme.map_or(Vec::new(), |scheme| scheme.find(&entry.text));
            keys.extend(own.chain(told).map(|a| Allotment::by_account(channel, &a)));
        }
        for key in keys {
            work.find(BankKind::Allotment, &key).await?;
        }
        for record in work.all(BankKind::Allotment) {
            if let Some(a) = as_allotment(record).filter(|a| a.channel == *channel) {
                allotments.insert(a.number.to_string(), a);
            }
        }
        let payouts =
            BankFilter { channel: Some(channel.clone()), ..BankFilter::all(BankKind::Payout) };
        let payouts = self.books.bank_list(&payouts).await?.into_iter();
        let payouts = payouts.filter_map(|kept| as_payout(kept.record)).map(|payout| Payout {
            number: ProviderOrderNo::received(&payout.id),
            money: payout.money,
        });
        let credits = self.credits(work, channel, new).await?;
        let expected = allotments.values().filter_map(expectation).collect();
        Ok(Books::new(expected, credits, payouts.collect()))
    }

    /// Credits that the bank may take back, where the file takes any back.
    async fn credits(
        &self,
        work: &mut Work<'_>,
        channel: &ChannelId,
        new: &[&Fresh],
    ) -> Result<Vec<Earlier>, BankError> {
        if !new.iter().any(|(_, entry)| entry.reversal) {
            return Ok(Vec::new());
        }
        let filter = BankFilter {
            channel: Some(channel.clone()),
            states: vec!["suspense", "proposed", "matched", "returning"],
            newest_first: true,
            limit: CREDITS_MAX,
            ..BankFilter::all(BankKind::Transfer)
        };
        for kept in self.books.bank_list(&filter).await? {
            work.keep(kept);
        }
        let earlier = |transfer: Transfer| {
            let entry = serde_json::from_value(transfer.entry?).ok()?;
            let target = match &transfer.state {
                TransferState::Matched { number, .. } => target(number),
                _ => None,
            };
            Some(Earlier { identity: transfer.identity?, entry, target })
        };
        let all = work.all(BankKind::Transfer).into_iter().filter_map(as_transfer);
        let live = all.filter(|t| !matches!(t.state, TransferState::Reversed { .. }));
        Ok(live.filter(|t| t.channel == *channel).filter_map(earlier).collect())
    }

    /// Puts one entry where it belongs. A word that says what was done.
    async fn take(
        &self,
        work: &mut Work<'_>,
        one: &mut One<'_>,
        placement: &Placement,
        counts: &mut Counts,
    ) -> Result<&'static str, BankError> {
        match placement {
            Placement::Matched { to, by, late, .. } => {
                let number = ProviderOrderNo::of(to.payment, to.ordinal);
                let late =
                    *late == Some(Lateness::Ended) && one.settings.late == LateTransfer::Suspense;
                if late {
                    let hints = self.hints(work, std::iter::once((*to, Vec::new()))).await?;
                    return Ok(self.suspend(work, one, "late", hints, counts));
                }
                self.matched(work, one, &number, *by, counts).await
            }
            Placement::Unreferenced { suggestions, .. } => {
                let named = suggestions.iter().map(|s| {
                    let reasons = s.reasons.iter().map(word).collect();
                    (s.to, reasons)
                });
                let hints = self.hints(work, named).await?;
                if let Some(word) = self.recorded(work, one, counts).await? {
                    return Ok(word);
                }
                Ok(self.suspend(work, one, "unreferenced", hints, counts))
            }
            Placement::Ambiguous { between, .. } => {
                let named = between.iter().map(|to| (*to, Vec::new()));
                let hints = self.hints(work, named).await?;
                Ok(self.suspend(work, one, "ambiguous", hints, counts))
            }
            Placement::WrongCurrency { to, .. } => {
                let hints = self.hints(work, std::iter::once((*to, Vec::new()))).await?;
                Ok(self.suspend(work, one, "wrong_currency", hints, counts))
            }
            Placement::Reversal { of: Some(of), .. } => {
                self.reversed(work, one, of).await?;
                counts.reversed += 1;
                Ok("reversed")
            }
            Placement::Reversal { of: None, candidates, .. } => {
                for candidate in candidates {
                    if let Some(transfer) = work.by_identity(one.channel, candidate).await? {
                        work.tell(&transfer.id, OURSELVES, "may have been taken back", "");
                    }
                }
                counts.unplaced += 1;
                Ok("reversal_unplaced")
            }
            Placement::Payout { number, agrees } => {
                self.payout_shown(work, number.as_str(), one.identity, *agrees).await?;
                counts.payouts += 1;
                Ok("payout")
            }
            Placement::PayoutReturned { number, agrees } => {
                self.payout_came_back(work, number.as_str(), *agrees).await?;
                let state = TransferState::PayoutBack { payout: number.to_string() };
                work.put(BankRecord::Transfer(self.transfer(one, work.now, state, Vec::new())));
                counts.payouts += 1;
                Ok("payout_back")
            }
            Placement::OtherDebit => {
                counts.other += 1;
                Ok("other")
            }
        }
    }

    async fn matched(
        &self,
        work: &mut Work<'_>,
        one: &One<'_>,
        number: &ProviderOrderNo,
        by: By,
        counts: &mut Counts,
    ) -> Result<&'static str, BankError> {
        let by = match by {
            By::Reference => "reference",
            By::VirtualAccount => "virtual_account",
            By::Both => "reference and virtual_account",
        };
        let waiting = TransferState::Suspense { why: String::new() };
        let mut transfer = self.transfer(one, work.now, waiting, Vec::new());
        if let Some(recorded) = unproven(work, &transfer, number).await? {
            self.prove(work, one, recorded, Some((number, by))).await?;
            counts.reconciled += 1;
            return Ok("reconciled");
        }
        self.book(work, &mut transfer, number, by).await?;
        work.put(BankRecord::Transfer(transfer));
        counts.matched += 1;
        Ok("matched")
    }

    /// An entry that names nothing, and is by the bank's own id what staff have recorded.
    async fn recorded(
        &self,
        work: &mut Work<'_>,
        one: &One<'_>,
        counts: &mut Counts,
    ) -> Result<Option<&'static str>, BankError> {
        let Some(id) = &one.entry.bank_reference else { return Ok(None) };
        let found = work.find(BankKind::Transfer, &Transfer::unproven(one.channel)).await?;
        let same = found
            .into_iter()
            .filter_map(as_transfer)
            .find(|t| t.money == one.entry.amount && t.bank_reference.as_ref() == Some(id));
        let Some(recorded) = same else { return Ok(None) };
        self.prove(work, one, recorded, None).await?;
        counts.reconciled += 1;
        Ok(Some("reconciled"))
    }

    /// The statement shows what staff recorded: it is the same money. While it still waited for
    /// a second person, a rule that places it takes that person's part; without one the person
    /// is waited for.
    async fn prove(
        &self,
        work: &mut Work<'_>,
        one: &One<'_>,
        mut recorded: Transfer,
        placed: Option<(&ProviderOrderNo, &str)>,
    ) -> Result<(), BankError> {
        let shown = self.transfer(one, work.now, recorded.state.clone(), Vec::new());
        recorded = Transfer {
            id: recorded.id,
            learned_at: recorded.learned_at,
            recorded_by: recorded.recorded_by,
            ..shown
        };
        work.tell(&recorded.id, super::payouts::STATEMENT, "shown by the statement", "");
        match (&mut recorded.state, placed) {
            (TransferState::Proposed { .. }, Some((number, by))) => {
                self.book(work, &mut recorded, number, by).await?;
            }
            // Should it be refused now, the money is there all the same.
            (TransferState::Proposed { why, .. }, None) => "unreferenced".clone_into(why),
            _ => {}
        }
        work.put(BankRecord::Transfer(recorded));
        Ok(())
    }

    fn suspend(
        &self,
        work: &mut Work<'_>,
        one: &One<'_>,
        why: &'static str,
        hints: Vec<Hint>,
        counts: &mut Counts,
    ) -> &'static str {
        let state = TransferState::Suspense { why: why.to_owned() };
        let transfer = self.transfer(one, work.now, state, hints);
        work.tell(&transfer.id, OURSELVES, "suspense", why);
        work.put(BankRecord::Transfer(transfer));
        counts.suspense += 1;
        why
    }

    async fn reversed(
        &self,
        work: &mut Work<'_>,
        one: &One<'_>,
        of: &str,
    ) -> Result<(), BankError> {
        let Some(mut transfer) = work.by_identity(one.channel, of).await? else { return Ok(()) };
        let number = match &transfer.state {
            TransferState::Matched { number, .. } => Some(number.clone()),
            TransferState::Reversed { .. } => return Ok(()),
            _ => None,
        };
        if let Some(number) = &number
            && let Some(mut allotment) = work.allotment(number).await?
        {
            count::reverse(&mut allotment, transfer.money.minor());
            work.put(BankRecord::Allotment(allotment));
        }
        self.payout_needless(work, &transfer.state).await?;
        work.tell(&transfer.id, super::payouts::STATEMENT, "taken back by the bank", "");
        transfer.reversed_by = Some(one.identity.clone());
        transfer.state = TransferState::Reversed { at: work.now, number };
        work.put(BankRecord::Transfer(transfer));
        Ok(())
    }

    async fn hints(
        &self,
        work: &mut Work<'_>,
        named: impl Iterator<Item = (Target, Vec<String>)>,
    ) -> Result<Vec<Hint>, BankError> {
        let mut hints = Vec::new();
        for (to, reasons) in named {
            let number = ProviderOrderNo::of(to.payment, to.ordinal);
            let Some(allotment) = work.allotment(&number).await? else { continue };
            let rest_minor = (allotment.money.minor() - allotment.received_minor).max(0);
            hints.push(Hint { number, payment: to.payment, rest_minor, reasons });
        }
        Ok(hints)
    }

    fn transfer(
        &self,
        one: &One<'_>,
        now: domain::Timestamp,
        state: TransferState,
        suggestions: Vec<Hint>,
    ) -> Transfer {
        let entry = one.entry;
        Transfer {
            id: self.fresh("tr", now),
            channel: one.channel.clone(),
            money: entry.amount,
            booked_on: entry.booked_on.to_string(),
            learned_at: now,
            payer_name: entry.counterparty.name.clone(),
            payer_account: entry.counterparty.account.clone(),
            text: entry.text.clone(),
            bank_reference: entry.bank_reference.clone(),
            identity: Some(one.identity.clone()),
            statement: Some(one.file.id.clone()),
            entry: serde_json::to_value(entry).ok(),
            recorded_by: None,
            suggestions,
            reversed_by: None,
            state,
        }
    }
}

/// One entry and where it is from.
struct One<'a> {
    channel: &'a ChannelId,
    settings: &'a BankSettings,
    file: &'a StatementFile,
    identity: &'a String,
    entry: &'a Entry,
}

/// What was done with some entries.
#[derive(Default)]
struct Did {
    counts: Counts,
    entries: Vec<(u32, &'static str)>,
}

fn add(sum: &mut Counts, more: &Counts) {
    sum.entries += more.entries;
    sum.known += more.known;
    sum.matched += more.matched;
    sum.reconciled += more.reconciled;
    sum.suspense += more.suspense;
    sum.reversed += more.reversed;
    sum.payouts += more.payouts;
    sum.other += more.other;
    sum.unplaced += more.unplaced;
    sum.skipped += more.skipped;
}

fn format_name(format: &Format) -> &'static str {
    match format {
        Format::Csv(_) => "csv",
        Format::Camt053(_) => "camt053",
        Format::Mt940(_) => "mt940",
    }
}

/// The format that is asked for, or the channel's first. The two standards need no settings.
fn choose(settings: &BankSettings, asked: Option<&str>) -> Result<Format, BankError> {
    let standard = [Format::Camt053(Default::default()), Format::Mt940(Default::default())];
    let all = settings.statements.iter().chain(&standard);
    let found = match asked {
        Some(name) => all.into_iter().find(|format| format_name(format) == name),
        None => all.into_iter().next(),
    };
    let missing = || BankError::NoSuchFormat(asked.unwrap_or_default().to_owned());
    found.cloned().ok_or_else(missing)
}

fn plain(account: &str) -> String {
    account.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

/// Whether a statement is of the channel's account; one that names none is believed.
fn is_ours(settings: &BankSettings, account: &str) -> bool {
    let ours = settings.statement_account.as_ref().unwrap_or(&settings.account);
    account.is_empty()
        || plain(account) == plain(ours)
        || plain(account) == plain(&settings.account)
}

fn another_account() -> LineMistake {
    LineMistake {
        line: 1,
        field: "account".to_owned(),
        rule: "the statement is of another account than the channel's".to_owned(),
        fix: "upload it to its own channel, or set statement_account to how the bank names it"
            .to_owned(),
    }
}

fn policy(settings: &BankSettings) -> MatchPolicy {
    MatchPolicy {
        short_max_minor: settings.short_max_minor,
        virtual_accounts: settings.virtual_accounts.clone(),
        utc_offset_minutes: settings.utc_offset_minutes,
    }
}

fn target(number: &ProviderOrderNo) -> Option<Target> {
    let (payment, ordinal) = ProviderOrderNo::parse(number.as_str())?;
    Some(Target { payment, ordinal })
}

fn expectation(allotment: &Allotment) -> Option<Expectation> {
    Some(Expectation {
        target: Target { payment: allotment.payment, ordinal: allotment.ordinal },
        number: allotment.number.clone(),
        reference: allotment.reference.parse().ok()?,
        virtual_account: allotment.account.clone(),
        money: allotment.money,
        received_minor: allotment.received_minor,
        state: match allotment.state {
            Expecting::Open => Standing::Open,
            Expecting::Closed { .. } => Standing::EndedUnpaid,
            Expecting::Paid { .. } => Standing::Paid,
        },
        shown_at: allotment.shown_at,
        expires_at: allotment.expires_at,
        payer_name: None,
    })
}

/// A reason's name, as it is written in JSON.
fn word(reason: &crate::matching::Reason) -> String {
    let value = serde_json::to_value(reason).ok();
    value.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
