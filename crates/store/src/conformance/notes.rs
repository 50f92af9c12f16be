//! Notes to customers.
#![expect(clippy::unwrap_used, reason = "what is unwrapped is what the case demands")]
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use std::sync::Arc;

use domain::Locale;

use super::sample::{at, create, id, merchant};
use super::{Shared, done};
use crate::{
    AuditLine, Change, NewNote, Note, NoteEnd, NoteState, Notes, Private, SentNote, Store,
};

/// What keeps both payments and notes.
pub trait NotesStore: Store + Notes {}
impl<T: Store + Notes> NotesStore for T {}

/// A store of notes that many tasks may use.
pub type SharedNotes = Arc<dyn NotesStore>;

/// Makes a test of each case, as [`conformance_suite!`](crate::conformance_suite) does.
#[macro_export]
macro_rules! notes_conformance_suite {
    ($make:expr) => {
        $crate::notes_conformance_suite! { @cases $make;
            a_note_is_made_with_its_change,
            a_note_made_twice_is_one,
            a_note_goes_its_way_once,
            a_person_has_one_note_under_way,
            notes_are_found_by_payment_person_and_state,
            people_leave_and_come_back,
            a_secret_is_kept,
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

fn note(id: &str, to: &str, due: u64) -> NewNote {
    NewNote {
        id: id.into(),
        kind: "held".into(),
        way: "email".into(),
        addressee: Private::new(format!("addressee of {to}")),
        contact: Private::new(to),
        locale: Locale::En,
        data: "{\"order\":\"o-1\"}".into(),
        since: at(0),
        due_at: at(due),
        not_after: at(9_000),
    }
}

fn line(n: u64) -> AuditLine {
    AuditLine { at: at(n), by: "li".into(), action: format!("note {n}"), reason: "asked".into() }
}

async fn made(store: &SharedNotes, n: u64, notes: Vec<NewNote>) {
    done(&**store, Change { notes, ..create(n) }).await;
}

async fn claim(store: &SharedNotes, now: u64, until: u64) -> Vec<Note> {
    store.claim_notes(at(now), at(until), 10).await.unwrap()
}

fn names(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.what.id.as_str()).collect()
}

async fn end(store: &SharedNotes, note: &Note, end: NoteEnd, secs: u64) -> bool {
    store.end_note(&note.what.id, note.fence, end, at(secs)).await.unwrap()
}

/// A note is there when its change is, as it was written, and not when the change is refused.
pub async fn a_note_is_made_with_its_change(store: SharedNotes) {
    let new = note("n-1", "li@example.com", 10);
    made(&store, 1, vec![new.clone()]).await;
    let expected = Note {
        what: new,
        merchant: merchant("shop"),
        payment: id(1),
        created_at: at(1),
        tries: 0,
        state: NoteState::Pending,
        reason: None,
        sent_at: None,
        forced: false,
        fence: 0,
    };
    assert_eq!(store.notes_of(id(1)).await.unwrap(), std::slice::from_ref(&expected));
    assert_eq!(store.find_note("n-1").await.unwrap(), Some(expected.clone()));
    assert!(!format!("{expected:?}").contains("li@"), "contacts do not print themselves");
    assert_eq!(store.next_note_due().await.unwrap(), Some(at(10)));
    let refused = Change { notes: vec![note("n-2", "wang@example.com", 10)], ..create(1) };
    assert_ne!(store.commit(refused).await, crate::Commit::Done);
    assert_eq!(store.find_note("n-2").await.unwrap(), None);
    let shared: Shared = store;
    assert_eq!(shared.next_due().await.unwrap(), None, "notes are work of their own");
}

/// The id is derived from the event: the same id is the same note (rule 8).
pub async fn a_note_made_twice_is_one(store: SharedNotes) {
    made(&store, 1, vec![note("n-1", "li@example.com", 10)]).await;
    made(&store, 2, vec![note("n-1", "wang@example.com", 99)]).await;
    assert_eq!(store.find_note("n-1").await.unwrap().unwrap().payment, id(1));
    let shop = merchant("shop");
    let add = async |name: &str, n| {
        let new = note(name, "li@example.com", 10);
        store.add_note((&shop, id(1)), new, at(5), line(n)).await.unwrap()
    };
    assert!(!add("n-1", 1).await);
    assert!(add("n-9", 2).await);
    assert!(!add("n-9", 3).await);
    assert_eq!(store.audit(10).await.unwrap(), [line(2)], "what was done is what is audited");
}

/// Claimed when due, tried, kept back, tried again; a stale owner does nothing (rule 15).
pub async fn a_note_goes_its_way_once(store: SharedNotes) {
    made(&store, 1, vec![note("n-1", "li@example.com", 10)]).await;
    assert_eq!(claim(&store, 9, 20).await, []);
    let first = claim(&store, 10, 20).await.remove(0);
    assert_eq!(claim(&store, 19, 30).await, [], "somebody has it");
    let second = claim(&store, 20, 30).await.remove(0);
    assert!(second.fence > first.fence);
    assert!(!end(&store, &first, NoteEnd::Sent, 21).await, "a stale answer");

    let later = NoteEnd::Wait { at: at(40), reason: "quiet hours".into() };
    assert!(end(&store, &second, later.clone(), 22).await);
    assert!(!end(&store, &second, later, 22).await, "the same answer counts once");
    let waits = store.find_note("n-1").await.unwrap().unwrap();
    assert_eq!((waits.tries, waits.what.due_at), (0, at(40)), "no try was made");
    assert_eq!(waits.reason.as_deref(), Some("quiet hours"));

    let third = claim(&store, 40, 50).await.remove(0);
    let retry = NoteEnd::Retry { at: at(60), error: "451".into() };
    assert!(end(&store, &third, retry, 41).await);
    let fourth = claim(&store, 60, 70).await.remove(0);
    assert_eq!(fourth.tries, 1);
    assert!(end(&store, &fourth, NoteEnd::Sent, 61).await);
    let sent = store.find_note("n-1").await.unwrap().unwrap();
    assert_eq!((sent.state, sent.tries, sent.sent_at), (NoteState::Sent, 2, Some(at(61))));
    assert_eq!(sent.reason, None);
    assert_eq!(claim(&store, 1_000, 2_000).await, []);
    assert_eq!(store.next_note_due().await.unwrap(), None);

    assert!(store.resend_note("n-1", at(70), line(1)).await.unwrap());
    assert!(!store.resend_note("n-none", at(70), line(2)).await.unwrap());
    assert_eq!(store.audit(10).await.unwrap(), [line(1)]);
    let again = claim(&store, 70, 80).await.remove(0);
    assert!(again.forced && again.tries == 0 && again.fence > fourth.fence);
    assert!(end(&store, &again, NoteEnd::Dead { error: "550".into() }, 71).await);
    let dead = store.find_note("n-1").await.unwrap().unwrap();
    assert_eq!((dead.state, dead.reason.as_deref()), (NoteState::Dead, Some("550")));
    assert_eq!(dead.sent_at, Some(at(61)), "what was sent was sent");
    assert!(!store.end_note("n-none", 1, NoteEnd::Sent, at(1)).await.unwrap());
}

/// Whoever counts what a person got counts all of it: nothing else is under way to the person.
pub async fn a_person_has_one_note_under_way(store: SharedNotes) {
    let notes = vec![
        note("n-1", "li@example.com", 10),
        note("n-2", "li@example.com", 11),
        note("n-3", "wang@example.com", 12),
    ];
    made(&store, 1, notes).await;
    let first = claim(&store, 20, 30).await;
    assert_eq!(names(&first), ["n-1", "n-3"]);
    assert_eq!(claim(&store, 21, 31).await, [], "the second waits for the first");
    assert!(end(&store, &first[0], NoteEnd::Sent, 22).await);
    assert_eq!(names(&claim(&store, 23, 33).await), ["n-2"]);
    // n-3's owner died: its lease ends, and the note is taken over.
    assert_eq!(names(&claim(&store, 30, 40).await), ["n-3"]);
    let (a, b) =
        tokio::join!(store.claim_notes(at(50), at(60), 10), store.claim_notes(at(50), at(60), 10),);
    let claimed = a.unwrap().len() + b.unwrap().len();
    assert_eq!(claimed, 2, "two claimers share what is due");
}

/// By payment oldest first, by state newest first, by person what was sent.
pub async fn notes_are_found_by_payment_person_and_state(store: SharedNotes) {
    for n in 1..=3 {
        made(&store, n, vec![note(&format!("n-{n}"), "li@example.com", n)]).await;
    }
    for (secs, finish) in [
        (10, NoteEnd::Sent),
        (11, NoteEnd::Suppressed { reason: "unsubscribed".into() }),
        (12, NoteEnd::Sent),
    ] {
        let claimed = claim(&store, secs, secs + 100).await.remove(0);
        assert!(end(&store, &claimed, finish, secs).await);
    }
    let list = async |state, limit| store.notes(state, limit).await.unwrap();
    assert_eq!(names(&list(None, 10).await), ["n-3", "n-2", "n-1"]);
    assert_eq!(names(&list(None, 2).await), ["n-3", "n-2"]);
    assert_eq!(names(&list(Some(NoteState::Sent), 10).await), ["n-3", "n-1"]);
    assert_eq!(names(&list(Some(NoteState::Suppressed), 10).await), ["n-2"]);
    assert_eq!(list(Some(NoteState::Dead), 10).await, []);

    let to = "addressee of li@example.com";
    let sent = |n: u64, secs| SentNote {
        id: format!("n-{n}"),
        kind: "held".into(),
        payment: id(n),
        at: at(secs),
    };
    assert_eq!(store.sent_to(to, at(0), 10).await.unwrap(), [sent(3, 12), sent(1, 10)]);
    assert_eq!(store.sent_to(to, at(11), 10).await.unwrap(), [sent(3, 12)]);
    assert_eq!(store.sent_to(to, at(0), 1).await.unwrap(), [sent(3, 12)]);
    assert_eq!(store.sent_to("nobody", at(0), 10).await.unwrap(), []);
    assert_eq!(store.latest_to(to).await.unwrap().unwrap().what.id, "n-3");
    assert_eq!(store.latest_to("nobody").await.unwrap(), None);
}

/// The first word of several stays, and it can be taken back.
pub async fn people_leave_and_come_back(store: SharedNotes) {
    let (who, other) = ("addressee of li@example.com", "addressee of wang@example.com");
    assert_eq!(store.unsubscribed(who).await.unwrap(), None);
    for secs in [5, 9] {
        store.set_subscribed(who, false, at(secs)).await.unwrap();
        assert_eq!(store.unsubscribed(who).await.unwrap(), Some(at(5)));
    }
    assert_eq!(store.unsubscribed(other).await.unwrap(), None);
    for _ in 0..2 {
        store.set_subscribed(who, true, at(20)).await.unwrap();
        assert_eq!(store.unsubscribed(who).await.unwrap(), None);
    }
}

/// The first secret of a name is the secret of that name.
pub async fn a_secret_is_kept(store: SharedNotes) {
    assert_eq!(store.secret("addressees", &[1, 2, 3]).await.unwrap(), [1, 2, 3]);
    assert_eq!(store.secret("addressees", &[9]).await.unwrap(), [1, 2, 3]);
    assert_eq!(store.secret("other", &[9]).await.unwrap(), [9]);
}
