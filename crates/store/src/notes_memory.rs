//! Notes to customers in memory.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use domain::{MerchantId, PaymentId, Timestamp};

use crate::notes::{Ended, NewNote, Note, NoteEnd, NoteState, Notes, SentNote};
use crate::{AuditLine, MemoryStore, StoreError};

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    notes: BTreeMap<String, Held>,
    unsubscribed: HashMap<String, Timestamp>,
    secrets: HashMap<String, Vec<u8>>,
}

#[derive(Debug)]
struct Held {
    note: Note,
    lease_until: Option<Timestamp>,
}

impl Outbox {
    /// Adds a note; `false` when it is there.
    pub(crate) fn add(
        &mut self,
        (merchant, payment): (&MerchantId, PaymentId),
        what: NewNote,
        at: Timestamp,
    ) -> bool {
        if self.notes.contains_key(&what.id) {
            return false;
        }
        let note = Note {
            merchant: merchant.clone(),
            payment,
            created_at: at,
            tries: 0,
            state: NoteState::Pending,
            reason: None,
            sent_at: None,
            forced: false,
            fence: 0,
            what,
        };
        self.notes.insert(note.what.id.clone(), Held { note, lease_until: None });
        true
    }

    fn claim(&mut self, now: Timestamp, lease_until: Timestamp, limit: usize) -> Vec<Note> {
        let leased = |held: &&Held| held.lease_until.is_some_and(|until| until > now);
        let name = |held: &Held| held.note.what.addressee.expose().to_owned();
        let mut people: HashSet<String> = self.notes.values().filter(leased).map(name).collect();
        let mut due: Vec<(Timestamp, String)> = self
            .notes
            .values()
            .filter(|held| held.note.state == NoteState::Pending && held.note.what.due_at <= now)
            .map(|held| (held.note.what.due_at, held.note.what.id.clone()))
            .collect();
        due.sort_unstable();
        let mut claimed = Vec::new();
        for (_, id) in due {
            if claimed.len() == limit {
                break;
            }
            let Some(held) = self.notes.get_mut(&id) else { continue };
            if !people.insert(name(held)) {
                continue;
            }
            held.note.fence += 1;
            held.note.what.due_at = lease_until;
            held.lease_until = Some(lease_until);
            claimed.push(held.note.clone());
        }
        claimed
    }

    fn end(&mut self, id: &str, fence: u64, end: NoteEnd, at: Timestamp) -> bool {
        let Some(held) = self.notes.get_mut(id) else { return false };
        let note = &mut held.note;
        if note.fence != fence || note.state != NoteState::Pending {
            return false;
        }
        let Ended { state, due_at, tried, reason } = Ended::from(end);
        note.fence += 1;
        note.state = state;
        note.tries += u32::from(tried);
        note.reason = reason;
        if let Some(due_at) = due_at {
            note.what.due_at = due_at;
        }
        if state == NoteState::Sent {
            note.sent_at = Some(at);
        }
        held.lease_until = None;
        true
    }

    fn newest(&self, wanted: impl Fn(&Note) -> bool) -> Vec<&Note> {
        let notes = self.notes.values().map(|held| &held.note);
        let mut found: Vec<&Note> = notes.filter(|note| wanted(note)).collect();
        found.sort_unstable_by(|a, b| (b.created_at, &b.what.id).cmp(&(a.created_at, &a.what.id)));
        found
    }
}

#[async_trait]
impl Notes for MemoryStore {
    async fn add_note(
        &self,
        about: (&MerchantId, PaymentId),
        note: NewNote,
        at: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        let added = self.outbox(|outbox| outbox.add(about, note, at));
        if added {
            self.add_audit(audit);
        }
        Ok(added)
    }

    async fn claim_notes(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Note>, StoreError> {
        Ok(self.outbox(|outbox| outbox.claim(now, lease_until, limit)))
    }

    async fn end_note(
        &self,
        id: &str,
        fence: u64,
        end: NoteEnd,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.outbox(|outbox| outbox.end(id, fence, end, at)))
    }

    async fn find_note(&self, id: &str) -> Result<Option<Note>, StoreError> {
        Ok(self.outbox(|outbox| outbox.notes.get(id).map(|held| held.note.clone())))
    }

    async fn notes_of(&self, payment: PaymentId) -> Result<Vec<Note>, StoreError> {
        Ok(self.outbox(|outbox| {
            let of_it = outbox.newest(|note| note.payment == payment);
            of_it.into_iter().rev().cloned().collect()
        }))
    }

    async fn notes(&self, state: Option<NoteState>, limit: usize) -> Result<Vec<Note>, StoreError> {
        Ok(self.outbox(|outbox| {
            let found = outbox.newest(|note| state.is_none_or(|state| state == note.state));
            found.into_iter().take(limit).cloned().collect()
        }))
    }

    async fn sent_to(
        &self,
        addressee: &str,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SentNote>, StoreError> {
        Ok(self.outbox(|outbox| {
            let to = outbox.newest(|note| note.what.addressee.expose() == addressee);
            let sent = |note: &Note| {
                let at = note.sent_at.filter(|at| *at >= since)?;
                let (id, kind) = (note.what.id.clone(), note.what.kind.clone());
                Some(SentNote { id, kind, payment: note.payment, at })
            };
            let mut found: Vec<SentNote> = to.into_iter().filter_map(sent).collect();
            found.sort_unstable_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
            found.truncate(limit);
            found
        }))
    }

    async fn resend_note(
        &self,
        id: &str,
        now: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        let found = self.outbox(|outbox| {
            let Some(held) = outbox.notes.get_mut(id) else { return false };
            let note = &mut held.note;
            (note.state, note.tries, note.forced) = (NoteState::Pending, 0, true);
            note.what.due_at = now;
            note.fence += 1;
            held.lease_until = None;
            true
        });
        if found {
            self.add_audit(audit);
        }
        Ok(found)
    }

    async fn next_note_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let pending = |held: &&Held| held.note.state == NoteState::Pending;
        Ok(self.outbox(|outbox| {
            outbox.notes.values().filter(pending).map(|held| held.note.what.due_at).min()
        }))
    }

    async fn latest_to(&self, addressee: &str) -> Result<Option<Note>, StoreError> {
        Ok(self.outbox(|outbox| {
            let to = outbox.newest(|note| note.what.addressee.expose() == addressee);
            to.first().copied().cloned()
        }))
    }

    async fn unsubscribed(&self, addressee: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.outbox(|outbox| outbox.unsubscribed.get(addressee).copied()))
    }

    async fn set_subscribed(
        &self,
        addressee: &str,
        wanted: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.outbox(|outbox| {
            if wanted {
                outbox.unsubscribed.remove(addressee);
            } else {
                outbox.unsubscribed.entry(addressee.to_owned()).or_insert(at);
            }
        });
        Ok(())
    }

    async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.outbox(|outbox| {
            outbox.secrets.entry(name.to_owned()).or_insert_with(|| fresh.to_owned()).clone()
        }))
    }
}
