//! People who may sign in, and their passwords.
//!
//! The configuration holds a password's argon2id digest, never the password. A digest costs
//! time and memory on purpose, so it is made on a thread that may block, and at most
//! [`AT_ONCE`](super::AT_ONCE) at a time.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use crate::auth::Role;

/// Memory in KiB, passes and lanes of new digests: the OWASP password storage cheat sheet's
/// first choice for argon2id (2023) is m=47104 t=1 p=1 or, with less memory, this one.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// The least memory times passes that is taken; every line of the cheat sheet has more.
const COST_MIN: u64 = 35_840;
/// The most memory in KiB, passes and lanes: two sign-ins at once must not exhaust a machine.
const COST_MAX: (u32, u32, u32) = (262_144, 16, 4);
const DIGEST: usize = 32;

/// A person as the configuration states them.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// What they sign in with; names them in the audit log as `console:NAME`.
    pub name: String,
    /// What they may do: everything but [`Role::Merchant`].
    pub role: Role,
    /// The argon2id digest of their password in the PHC string format.
    pub password_hash: String,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.name, self.role)
    }
}

/// A person that the configuration states wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOperator {
    /// The name could not stand in a log.
    #[error("`{0}` is no operator's name: 1 to 40 letters, digits, _ and -")]
    Name(String),
    /// A merchant cannot sign in.
    #[error("operator `{0}` must have the role viewer, operator or approver")]
    Role(String),
    /// The digest cannot be checked, or is too weak or too costly.
    #[error("the password_hash of operator `{name}`: {rule}")]
    Hash {
        /// Whose.
        name: String,
        /// What it must be.
        rule: &'static str,
    },
    /// Two of one name.
    #[error("operator `{0}` is stated twice")]
    Twice(String),
}

/// A digest and how it was made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    cost: (u32, u32, u32),
    salt: Vec<u8>,
    bytes: [u8; DIGEST],
}

/// Someone who may sign in.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) digest: Arc<Digest>,
}

/// Everyone who may sign in. They can be replaced while requests are served; whoever holds a
/// clone sees the same ones.
#[derive(Clone, Default)]
pub struct Operators(Arc<RwLock<Arc<[Known]>>>);

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known().iter().map(|known| &known.name)).finish()
    }
}

impl Operators {
    /// Checks and takes the operators.
    ///
    /// # Errors
    /// Every mistake, not only the first.
    pub fn new(operators: Vec<Operator>) -> Result<Operators, Vec<BadOperator>> {
        let (mut known, mut mistakes) = (Vec::<Known>::new(), Vec::new());
        for Operator { name, role, password_hash } in operators {
            if domain::MerchantId::new(&name).is_err() {
                mistakes.push(BadOperator::Name(name.clone()));
            }
            if role == Role::Merchant {
                mistakes.push(BadOperator::Role(name.clone()));
            }
            if known.iter().any(|other| other.name == name) {
                mistakes.push(BadOperator::Twice(name.clone()));
            }
            match Digest::parse(&password_hash) {
                Ok(digest) => known.push(Known { name, role, digest: Arc::new(digest) }),
                Err(rule) => mistakes.push(BadOperator::Hash { name, rule }),
            }
        }
        let all = || Operators(Arc::new(RwLock::new(known.into())));
        if mistakes.is_empty() { Ok(all()) } else { Err(mistakes) }
    }

    /// Takes over another set; whoever is not in it, or has another password there, is signed
    /// out with their next request.
    pub fn replace(&self, other: &Operators) {
        let next = other.known();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn known(&self) -> Arc<[Known]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// The one of this name. Names are no secret: they stand in the audit log.
    pub(crate) fn find(&self, name: &str) -> Option<Known> {
        self.known().iter().find(|known| known.name == name).cloned()
    }

    /// Somebody's digest, to do the same work for a name that is nobody's.
    pub(crate) fn stand_in(&self) -> Option<Arc<Digest>> {
        self.known().first().map(|known| Arc::clone(&known.digest))
    }
}

const UNREADABLE: &str =
    "must be an argon2id digest such as `evergate operators hash` prints ($argon2id$v=19$m=...)";

impl Digest {
    /// Reads the PHC string format, `$argon2id$v=19$m=19456,t=2,p=1$SALT$DIGEST`.
    fn parse(text: &str) -> Result<Digest, &'static str> {
        let mut parts = text.split('$');
        let head = (parts.next(), parts.next(), parts.next());
        if head != (Some(""), Some("argon2id"), Some("v=19")) {
            return Err(UNREADABLE);
        }
        let (Some(cost), Some(salt), Some(bytes), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(UNREADABLE);
        };
        let cost = read_cost(cost).ok_or(UNREADABLE)?;
        let (memory, passes, lanes) = cost;
        if u64::from(memory) * u64::from(passes) < COST_MIN || memory < 7_168 {
            return Err("is too cheap to guess: m=19456,t=2,p=1 or more is needed");
        }
        if memory > COST_MAX.0 || passes > COST_MAX.1 || lanes > COST_MAX.2 {
            return Err("is too costly to check: m=262144,t=16,p=4 is the most");
        }
        let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| UNREADABLE)?;
        if !(8..=48).contains(&salt.len()) {
            return Err("must have a salt of 8 to 48 bytes");
        }
        let bytes = STANDARD_NO_PAD.decode(bytes).map_err(|_| UNREADABLE)?;
        let bytes = <[u8; DIGEST]>::try_from(bytes).map_err(|_| "must be a digest of 32 bytes")?;
        let digest = Digest { cost, salt, bytes };
        digest.params().ok_or(UNREADABLE)?;
        Ok(digest)
    }

    fn params(&self) -> Option<Params> {
        let (memory, passes, lanes) = self.cost;
        Params::new(memory, passes, lanes, Some(DIGEST)).ok()
    }

    /// Whether it is this password's. Takes tens of milliseconds and much memory.
    pub(crate) fn fits(&self, password: &str) -> bool {
        let Some(made) = self.params().and_then(|params| argon2id(params, password, &self.salt))
        else {
            return false;
        };
        made.ct_eq(&self.bytes).into()
    }

    /// Tells one digest from another without holding it: what a session is bound to.
    pub(crate) fn mark(&self) -> [u8; 32] {
        let mut mark = [0; 32];
        mark.copy_from_slice(digest::digest(&digest::SHA256, &self.bytes).as_ref());
        mark
    }
}

fn read_cost(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split(',');
    let mut number = |name: &str| parts.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = (number("m=")?, number("t=")?, number("p=")?);
    parts.next().is_none().then_some(cost)
}

fn argon2id(params: Params, password: &str, salt: &[u8]) -> Option<[u8; DIGEST]> {
    let mut out = [0; DIGEST];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), salt, &mut out).ok()?;
    Some(out)
}

/// A password's digest for the configuration. Takes tens of milliseconds and much memory.
pub fn hash_password(password: &str, salt: [u8; 16]) -> String {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, Some(DIGEST)).ok();
    // The cost is within what argon2 allows, and so are the salt and the digest.
    let made = params.and_then(|params| argon2id(params, password, &salt)).unwrap_or_default();
    let (salt, made) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(made));
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${made}")
}

/// Why a password is not taken: the rule that it breaks. Length is what makes guessing hard, so
/// that is nearly all that is asked.
pub fn weakness(password: &str, name: &str) -> Option<&'static str> {
    let letters: Vec<char> = password.chars().collect();
    let mut kinds = letters.clone();
    kinds.sort_unstable();
    kinds.dedup();
    let lower = password.to_lowercase();
    let steps = letters.windows(2).filter(|pair| {
        let (a, b) = (u32::from(pair[0]), u32::from(pair[1]));
        a == b || a + 1 == b || b + 1 == a
    });
    if letters.len() < 12 {
        Some("it must have at least 12 characters; a few words in a row are easy to keep in mind")
    } else if letters.len() > 128 {
        Some("it may have at most 128 characters")
    } else if letters.iter().any(|c| c.is_control()) {
        Some("it may not hold control characters")
    } else if kinds.len() < 5 {
        Some("it must have at least 5 different characters")
    } else if !name.is_empty() && lower.contains(&name.to_lowercase()) {
        Some("it may not hold the operator's name")
    } else if steps.count() * 2 > letters.len() {
        Some("it may not be mostly a row such as 123456 or abcdef")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, role: Role, hash: &str) -> Operator {
        Operator { name: name.into(), role, password_hash: hash.into() }
    }

    #[test]
    fn a_password_fits_its_own_digest_only() {
        let text = hash_password("correct horse battery", [7; 16]);
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let digest = Digest::parse(&text).unwrap();
        assert!(digest.fits("correct horse battery"));
        assert!(!digest.fits("correct horse batterz"));
        assert!(!digest.fits(""));
    }

    #[test]
    fn every_mistake_of_the_operators_is_told() {
        let good = hash_password("correct horse battery", [7; 16]);
        let told = Operators::new(vec![
            operator("li", Role::Viewer, &good),
            operator("li", Role::Operator, &good),
            operator("a b", Role::Viewer, &good),
            operator("shop", Role::Merchant, &good),
            operator("wang", Role::Approver, "secret"),
        ])
        .unwrap_err();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(!format!("{told:?}").contains("secret"), "rule 13");
    }

    #[test]
    fn digests_that_are_too_cheap_or_too_dear_are_refused() {
        let good = hash_password("correct horse battery", [7; 16]);
        for (cost, taken) in [
            ("m=19456,t=2,p=1", true),
            ("m=47104,t=1,p=1", true),
            ("m=7168,t=5,p=1", true),
            ("m=4096,t=3,p=1", false),
            ("m=19456,t=1,p=1", false),
            ("m=4194304,t=2,p=1", false),
            ("m=19456,t=2", false),
            ("m=19456,t=2,p=1,x=1", false),
        ] {
            let text = good.replace("m=19456,t=2,p=1", cost);
            assert_eq!(Digest::parse(&text).is_ok(), taken, "{cost}");
        }
        for text in ["", "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA", "$2b$12$abc"] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn weak_passwords_are_refused_with_their_rule() {
        for weak in ["short", "aaaaaaaaaaaaaaa", "1234567890123", "abcdefghijklm", "admin admin li"]
        {
            assert!(weakness(weak, "admin").is_some(), "{weak}");
        }
        for strong in ["correct horse battery", "穿山甲说了什么呢没人听得懂", "x7Kq-9Fh2-Lm4p"]
        {
            assert_eq!(weakness(strong, "admin"), None, "{strong}");
        }
    }

    #[test]
    fn whoever_is_replaced_is_seen_by_every_clone() {
        let hash = hash_password("correct horse battery", [7; 16]);
        let operators = Operators::new(vec![operator("li", Role::Viewer, &hash)]).unwrap();
        let held = operators.clone();
        operators.replace(&Operators::default());
        assert!(held.is_empty() && held.find("li").is_none());
    }
}
