//! API keys: who is asking, and what they may do.
//!
//! A key is 32 random bytes; the configuration holds only its SHA-256, and the comparison
//! takes the same time for every key. A fast hash is enough because nobody can guess 256 bits.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest;
use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{MerchantId, Payment};
use http::request::Parts;
use http::{HeaderValue, header};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::app::Shared;
use crate::pipeline::Who;
use crate::problem::{Problem, kinds};

/// What a key, or a person at the console, may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Collects and gives back money for one merchant, and sees that merchant's payments only.
    Merchant,
    /// Sees everything and changes nothing.
    Viewer,
    /// Sees everything and sets the controls.
    Operator,
    /// As an operator; and is the second person where an act asks for an approver.
    Approver,
}

impl Role {
    /// The name that the configuration uses.
    pub fn name(self) -> &'static str {
        match self {
            Role::Merchant => "merchant",
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Approver => "approver",
        }
    }
}

/// One key as the configuration states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Names the key in logs and in the audit log, such as `shop` or `li`.
    pub name: String,
    /// The SHA-256 of the whole secret (`evk_...`) in hex.
    pub hash: String,
    /// What it may do.
    pub role: Role,
    /// Whose payments it makes; every merchant key has one, an operator's may, a viewer's not.
    pub merchant: Option<MerchantId>,
}

/// A key that the configuration states wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The hash is not 64 hex digits.
    #[error("the hash of API key `{0}` is not the SHA-256 of a key in 64 hex digits")]
    Hash(String),
    /// A merchant key without a merchant.
    #[error("API key `{0}` has the role merchant but names no merchant")]
    NoMerchant(String),
    /// A key that only looks, with a merchant to collect for.
    #[error("API key `{0}` has the role viewer and cannot collect for a merchant")]
    ViewerCollects(String),
    /// Two keys of one hash.
    #[error("API key `{0}` has the same hash as another one")]
    Twice(String),
}

/// Makes a key from 32 random bytes: the secret to hand out once, and the hash to configure.
pub fn generate_key(random: [u8; 32]) -> (String, String) {
    let secret = format!("evk_{}", URL_SAFE_NO_PAD.encode(random));
    let hash = hash_key(&secret);
    (secret, hash)
}

/// The hash of a key, as the configuration states it.
pub fn hash_key(secret: &str) -> String {
    hex::encode(sha256(secret.as_bytes()))
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

type Known = Arc<[(ApiKey, [u8; 32])]>;

/// All keys that are accepted. They can be replaced while requests are served; whoever holds a
/// clone sees the same ones.
#[derive(Clone, Default)]
pub struct ApiKeys(Arc<RwLock<Known>>);

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known().iter().map(|(key, _)| &key.name)).finish()
    }
}

impl ApiKeys {
    /// Checks and takes the keys.
    ///
    /// # Errors
    /// Every mistake, not only the first.
    pub fn new(keys: Vec<ApiKey>) -> Result<ApiKeys, Vec<BadKey>> {
        let mut mistakes = Vec::new();
        let mut taken: Vec<(ApiKey, [u8; 32])> = Vec::new();
        for key in keys {
            let mut hash = [0; 32];
            if hex::decode_to_slice(&key.hash, &mut hash).is_err() {
                mistakes.push(BadKey::Hash(key.name));
                continue;
            }
            if key.role == Role::Merchant && key.merchant.is_none() {
                mistakes.push(BadKey::NoMerchant(key.name.clone()));
            }
            if key.role == Role::Viewer && key.merchant.is_some() {
                mistakes.push(BadKey::ViewerCollects(key.name.clone()));
            }
            if taken.iter().any(|(_, other)| *other == hash) {
                mistakes.push(BadKey::Twice(key.name.clone()));
            }
            taken.push((key, hash));
        }
        let keys = || ApiKeys(Arc::new(RwLock::new(taken.into())));
        if mistakes.is_empty() { Ok(keys()) } else { Err(mistakes) }
    }

    /// Takes over the keys of another set; those that are not in it are refused from now on.
    pub fn replace(&self, other: &ApiKeys) {
        let next = other.known();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn known(&self) -> Known {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key of this secret. Compares with every key, whichever fits.
    fn find(&self, secret: &str) -> Option<ApiKey> {
        let keys = self.known();
        let hash = sha256(secret.as_bytes());
        let mut found = u64::MAX;
        for (place, (_, known)) in (0_u64..).zip(keys.iter()) {
            found.conditional_assign(&place, hash.ct_eq(known));
        }
        keys.get(usize::try_from(found).ok()?).map(|(key, _)| key.clone())
    }
}

/// Who is asking: proven by a key.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) merchant: Option<MerchantId>,
}

impl Caller {
    /// The merchant that this key collects for.
    pub(crate) fn merchant(&self) -> Result<&MerchantId, Problem> {
        self.merchant
            .as_ref()
            .ok_or_else(|| Problem::new(&kinds::FORBIDDEN, "this key belongs to no merchant"))
    }

    /// Refuses merchants: for what concerns all of them together.
    pub(crate) fn must_look(&self) -> Result<(), Problem> {
        self.must(&[Role::Viewer, Role::Operator, Role::Approver])
    }

    /// Refuses everyone but operators and approvers.
    pub(crate) fn must_operate(&self) -> Result<(), Problem> {
        self.must(&[Role::Operator, Role::Approver])
    }

    /// Refuses everyone but approvers.
    #[allow(dead_code, reason = "for acts that ask for an approver, which later rooms bring")]
    pub(crate) fn must_approve(&self) -> Result<(), Problem> {
        self.must(&[Role::Approver])
    }

    /// Refuses whoever only looks.
    pub(crate) fn must_act(&self) -> Result<(), Problem> {
        self.must(&[Role::Merchant, Role::Operator, Role::Approver])
    }

    fn must(&self, roles: &[Role]) -> Result<(), Problem> {
        if roles.contains(&self.role) {
            return Ok(());
        }
        let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        let detail = format!("this needs a key of the role {}", names.join(" or "));
        Err(Problem::new(&kinds::FORBIDDEN, detail))
    }

    /// Whose payments this key sees; `None` is everyone's.
    pub(crate) fn sees(&self) -> Option<&MerchantId> {
        match self.role {
            Role::Merchant => self.merchant.as_ref(),
            Role::Viewer | Role::Operator | Role::Approver => None,
        }
    }

    /// Whether the payment's secrets are this caller's own.
    pub(crate) fn owns(&self, payment: &Payment) -> bool {
        self.merchant.as_ref() == Some(&payment.merchant)
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let secret = bearer(parts).ok_or_else(|| {
            unauthorized("the header `Authorization: Bearer evk_...` is missing or cannot be read")
        })?;
        let key =
            state.keys.find(secret).ok_or_else(|| unauthorized("the API key is not known"))?;
        if let Some(who) = parts.extensions.get::<Who>() {
            who.set(&key.name);
        }
        Ok(Caller { name: key.name, role: key.role, merchant: key.merchant })
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, secret) = value.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(&kinds::UNAUTHORIZED, detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, hash: &str, merchant: Option<&str>) -> ApiKey {
        ApiKey {
            name: name.to_owned(),
            hash: hash.to_owned(),
            role: Role::Merchant,
            merchant: merchant.map(|m| MerchantId::new(m).unwrap()),
        }
    }

    #[test]
    fn a_key_is_found_by_its_secret_only() {
        let (first, first_hash) = generate_key([1; 32]);
        let (second, second_hash) = generate_key([2; 32]);
        let keys = ApiKeys::new(vec![
            key("a", &first_hash, Some("shop")),
            key("b", &second_hash, Some("shop")),
        ])
        .unwrap();
        assert_eq!(keys.find(&first).map(|k| k.name).as_deref(), Some("a"));
        assert_eq!(keys.find(&second).map(|k| k.name).as_deref(), Some("b"));
        assert!(keys.find("evk_").is_none());
        assert!(keys.find(&first_hash).is_none(), "the hash is no key");
        assert!(!format!("{keys:?}").contains(&first_hash));
        let held = keys.clone();
        keys.replace(&ApiKeys::new(vec![key("c", &second_hash, Some("shop"))]).unwrap());
        assert!(held.find(&first).is_none(), "it was taken away");
        assert_eq!(held.find(&second).map(|k| k.name).as_deref(), Some("c"));
    }

    #[test]
    fn each_role_may_what_it_says() {
        let may = |role| {
            let caller = Caller { name: "k".into(), role, merchant: None };
            let asked = [
                caller.must_act(),
                caller.must_look(),
                caller.must_operate(),
                caller.must_approve(),
            ];
            asked.map(|answer| answer.is_ok())
        };
        assert_eq!(may(Role::Merchant), [true, false, false, false]);
        assert_eq!(may(Role::Viewer), [false, true, false, false]);
        assert_eq!(may(Role::Operator), [true, true, true, false]);
        assert_eq!(may(Role::Approver), [true, true, true, true]);
    }

    #[test]
    fn whoever_looks_collects_for_nobody() {
        let (_, hash) = generate_key([1; 32]);
        let looks = ApiKey { role: Role::Viewer, ..key("v", &hash, Some("shop")) };
        let told = ApiKeys::new(vec![looks]).unwrap_err();
        assert_eq!(told, [BadKey::ViewerCollects("v".into())]);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let (_, hash) = generate_key([1; 32]);
        let keys =
            vec![key("a", "zz", Some("m")), key("b", &hash, None), key("c", &hash, Some("m"))];
        let told = ApiKeys::new(keys).unwrap_err();
        assert_eq!(
            told,
            [BadKey::Hash("a".into()), BadKey::NoMerchant("b".into()), BadKey::Twice("c".into())]
        );
    }
}
