//! Notes to customers: they are made with the events that they tell of ([`making`]), sent by a
//! worker when they may go out ([`sending`]), seen and sent again by operators ([`api`]), and
//! unsubscribed from on a page of their own ([`leaving`]).
//!
//! What is said and when is `notify`'s; the rows are `store`'s. Contacts leave by the way that
//! they belong to and by no other: views mask them, logs and errors have none (rule 13).

pub(crate) mod api;
pub(crate) mod leaving;
mod making;
pub(crate) mod sending;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::MerchantId;
use notify::{Contact, Mailer, Settings, Way, addressee};
use store::{Notes, StoreError};

use crate::webhooks::Endpoint;

pub use making::NoteRenderer;

/// The name of the key in the store under which people are known.
const KEY: &str = "addressees";

/// Everything that notes go out by.
#[derive(Debug)]
pub struct Post {
    /// What is said and when.
    pub settings: Settings,
    /// Where customers reach this server.
    pub public_url: String,
    /// E-mail.
    pub mailer: Option<Mailer>,
    /// Text messages and messages to apps, by the operator's webhooks.
    pub hooks: HashMap<Way, Endpoint>,
    /// Carries the webhooks.
    http: reqwest::Client,
}

/// How long one try of a note may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

impl Post {
    /// Puts it together.
    ///
    /// # Errors
    /// When no HTTP client can be made, as with a system that has no TLS certificates although
    /// a webhook needs them.
    pub fn new(
        settings: Settings,
        public_url: String,
        mailer: Option<Mailer>,
        hooks: HashMap<Way, Endpoint>,
    ) -> Result<Post, reqwest::Error> {
        let tls = hooks.values().any(|hook| !hook.url.starts_with("http://"));
        let http = crate::webhooks::client(tls, TIMEOUT)?;
        let public_url = public_url.trim_end_matches('/').to_owned();
        Ok(Post { settings, public_url, mailer, hooks, http })
    }

    /// Whether anything goes by a way.
    pub(crate) fn goes(&self, way: Way) -> bool {
        match way {
            Way::Email => self.mailer.is_some(),
            Way::Sms | Way::Push => self.hooks.contains_key(&way),
        }
    }
}

/// Holds the notes' rows, the key that people are known under, and the post, which can be
/// replaced while notes are sent. Without a post no notes are made.
pub struct NoteDesk {
    pub(crate) rows: Arc<dyn Notes>,
    key: Vec<u8>,
    post: RwLock<Option<Arc<Post>>>,
}

impl std::fmt::Debug for NoteDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoteDesk").field("post", &self.post().is_some()).finish_non_exhaustive()
    }
}

impl NoteDesk {
    /// Opens the desk over a store, whose key it reads; `fresh` becomes the key of a store that
    /// has none. A key that changed would make unsubscriptions void, so it is kept for good.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open(rows: Arc<dyn Notes>, fresh: [u8; 32]) -> Result<NoteDesk, StoreError> {
        let key = rows.secret(KEY, &fresh).await?;
        Ok(NoteDesk { rows, key, post: RwLock::new(None) })
    }

    /// Replaces the post; `None` ends the making of notes.
    pub fn set(&self, post: Option<Arc<Post>>) {
        *self.post.write().unwrap_or_else(PoisonError::into_inner) = post;
    }

    pub(crate) fn post(&self) -> Option<Arc<Post>> {
        self.post.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who a contact of a merchant is.
    fn addressee(&self, merchant: &MerchantId, contact: &Contact) -> String {
        addressee(&self.key, merchant, contact)
    }
}
