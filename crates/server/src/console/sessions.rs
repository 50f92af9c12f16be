//! Who is signed in. In memory: a restart signs everybody out.
//!
//! A session is known by the SHA-256 of its cookie, so that whoever reads this process's memory
//! by a mistake of ours still has no cookie. It ends after [`IDLE`] without an act of a person,
//! after [`WHOLE`] in any case, and at once when its operator is removed or has another
//! password. What the page's own script asks for is no act of a person.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use pages::console::Tone;

use super::operators::{Known, Operators};
use crate::auth::Role;

/// The longest time between two acts of a person.
pub(crate) const IDLE: Duration = Duration::from_secs(30 * 60);
/// The longest time in all.
pub(crate) const WHOLE: Duration = Duration::from_secs(12 * 3_600);
/// Sessions of one operator at once; one more ends the one that was used longest ago.
const EACH: usize = 8;

/// What a cookie is known by.
pub(crate) type Key = [u8; 32];

/// A session as a request sees it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) key: Key,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) csrf: String,
}

struct Session {
    name: String,
    /// Of the password that it was opened with.
    mark: [u8; 32],
    csrf: String,
    began: Timestamp,
    seen: Timestamp,
    told: Option<(String, Tone)>,
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Key, Session>>);

impl Sessions {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session; the cookie to hand out. `random` are two fresh secrets.
    pub(crate) fn open(&self, who: &Known, random: [[u8; 32]; 2], now: Timestamp) -> String {
        let [cookie, csrf] = random.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let mut all = self.all();
        all.retain(|_, session| session.is_alive(now));
        let of_them = || all.iter().filter(|(_, session)| session.name == who.name);
        if of_them().count() >= EACH {
            let oldest = of_them().min_by_key(|(_, session)| session.seen).map(|(key, _)| *key);
            oldest.map(|key| all.remove(&key));
        }
        let mark = who.digest.mark();
        let session =
            Session { name: who.name.clone(), mark, csrf, began: now, seen: now, told: None };
        all.insert(key_of(&cookie), session);
        metrics::gauge!("evergate_console_sessions").set(all.len() as f64);
        cookie
    }

    /// The session of a cookie, if it goes on. `touch`: a person did something.
    pub(crate) fn find(
        &self,
        cookie: &str,
        operators: &Operators,
        touch: bool,
        now: Timestamp,
    ) -> Option<Signed> {
        self.find_key(key_of(cookie), operators, touch, now)
    }

    /// The same by what the cookie is known by.
    pub(crate) fn find_key(
        &self,
        key: Key,
        operators: &Operators,
        touch: bool,
        now: Timestamp,
    ) -> Option<Signed> {
        let mut all = self.all();
        let session = all.get_mut(&key)?;
        let known = operators.find(&session.name);
        let known = known.filter(|known| known.digest.mark() == session.mark);
        let Some(known) = known.filter(|_| session.is_alive(now)) else {
            all.remove(&key);
            return None;
        };
        if touch {
            session.seen = now;
        }
        Some(Signed { key, name: known.name, role: known.role, csrf: session.csrf.clone() })
    }

    /// Ends a session; whose it was.
    pub(crate) fn end(&self, key: Key) -> Option<String> {
        let mut all = self.all();
        let ended = all.remove(&key).map(|session| session.name);
        metrics::gauge!("evergate_console_sessions").set(all.len() as f64);
        ended
    }

    /// Keeps what is to be told on the next page.
    pub(crate) fn tell(&self, key: Key, text: String, tone: Tone) {
        if let Some(session) = self.all().get_mut(&key) {
            session.told = Some((text, tone));
        }
    }

    /// What is to be told, once.
    pub(crate) fn told(&self, key: Key) -> Option<(String, Tone)> {
        self.all().get_mut(&key)?.told.take()
    }
}

impl Session {
    fn is_alive(&self, now: Timestamp) -> bool {
        now.since(self.seen) < IDLE && now.since(self.began) < WHOLE
    }
}

/// What a cookie is known by.
pub(crate) fn key_of(cookie: &str) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest::digest(&digest::SHA256, cookie.as_bytes()).as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::super::operators::{Operator, hash_password};
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn operators(password: &str) -> Operators {
        let password_hash = hash_password(password, [1; 16]);
        let li = Operator { name: "li".into(), role: Role::Viewer, password_hash };
        Operators::new(vec![li]).unwrap()
    }

    fn random(n: u8) -> [[u8; 32]; 2] {
        [[n; 32], [n + 100; 32]]
    }

    #[test]
    fn a_session_ends_by_idleness_and_by_age() {
        let (operators, sessions) = (operators("correct horse"), Sessions::default());
        let li = operators.find("li").unwrap();
        let cookie = sessions.open(&li, random(1), NOW);
        let alive = |at, touch| sessions.find(&cookie, &operators, touch, at).is_some();
        assert!(alive(NOW + MINUTE * 29, true));
        assert!(alive(NOW + MINUTE * 58, false), "touched at 29");
        assert!(!alive(NOW + MINUTE * 59, true), "the script's asking was no act");
        let cookie = sessions.open(&li, random(2), NOW);
        for half_hours in 1..24 {
            let at = NOW + MINUTE * (29 * half_hours);
            assert!(sessions.find(&cookie, &operators, true, at).is_some());
        }
        let late = NOW + WHOLE;
        assert!(sessions.find(&cookie, &operators, true, late).is_none());
    }

    #[test]
    fn another_password_or_no_operator_ends_it_at_once() {
        for next in [operators("another password"), Operators::default()] {
            let (operators, sessions) = (operators("correct horse"), Sessions::default());
            let cookie = sessions.open(&operators.find("li").unwrap(), random(1), NOW);
            assert!(sessions.find(&cookie, &operators, true, NOW).is_some());
            operators.replace(&next);
            assert!(sessions.find(&cookie, &operators, true, NOW).is_none());
        }
    }

    #[test]
    fn an_operator_has_few_sessions() {
        let (operators, sessions) = (operators("correct horse"), Sessions::default());
        let li = operators.find("li").unwrap();
        let first = sessions.open(&li, random(0), NOW);
        for n in 1..=EACH {
            sessions.open(&li, random(n as u8), NOW + MINUTE);
        }
        assert!(sessions.find(&first, &operators, false, NOW + MINUTE).is_none());
        assert_eq!(sessions.all().len(), EACH);
    }

    #[test]
    fn what_is_told_is_told_once() {
        let (operators, sessions) = (operators("correct horse"), Sessions::default());
        let cookie = sessions.open(&operators.find("li").unwrap(), random(1), NOW);
        sessions.tell(key_of(&cookie), "done".into(), Tone::Good);
        assert_eq!(sessions.told(key_of(&cookie)), Some(("done".into(), Tone::Good)));
        assert_eq!(sessions.told(key_of(&cookie)), None);
        assert_eq!(sessions.end(key_of(&cookie)), Some("li".into()));
        assert_eq!(sessions.end(key_of(&cookie)), None);
    }
}
