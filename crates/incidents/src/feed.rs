//! Fetches status pages: conditionally, bounded in size and time, and never twice at once.

use std::time::Duration;

use domain::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_NONE_MATCH};

use crate::calendar::Span;
use crate::statuspage::{BYTES_MAX, BadPage, PartMapping, Said, Summary};

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Words of a page that could not be read for this many intervals are no evidence any more.
const STALE_AFTER: u32 = 3;
/// What a page planned is kept this long although the page cannot be read: pages tend to be
/// away together with what they tell of.
const PLANS_KEPT: Duration = Duration::from_secs(86_400);

/// A page and what its parts are here.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// Its name, in logs and metrics.
    pub name: String,
    /// The address of its `summary.json`.
    pub url: String,
    /// How often it is read.
    pub every: Duration,
    /// Which part is what.
    pub mapping: Vec<PartMapping>,
}

/// Why a page was not read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No answer.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// Another status than 200 or 304.
    #[error("HTTP {0}")]
    Status(u16),
    /// Not a page.
    #[error(transparent)]
    Page(#[from] BadPage),
}

impl FeedError {
    /// For metrics: `unreachable`, `status` or `page`.
    pub fn kind(&self) -> &'static str {
        match self {
            FeedError::Unreachable(_) => "unreachable",
            FeedError::Status(_) => "status",
            FeedError::Page(_) => "page",
        }
    }
}

/// What a fetch gave.
#[derive(Debug)]
pub enum Fetched {
    /// The page has not changed.
    Same,
    /// The page.
    Page(Box<Summary>),
}

/// Fetches one page.
pub struct Fetcher {
    http: reqwest::Client,
    url: String,
    etag: Option<String>,
}

impl Fetcher {
    /// A fetcher of this address.
    ///
    /// # Errors
    /// When no HTTP client can be made, as with a system that has no TLS certificates.
    pub fn new(url: &str) -> Result<Fetcher, FeedError> {
        let builder = reqwest::Client::builder()
            .connect_timeout(PATIENCE / 2)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::limited(3))
            .user_agent(concat!("evergate/", env!("CARGO_PKG_VERSION")));
        // Plain http needs no certificates, and a bare machine has none.
        let plain = url.starts_with("http:");
        let builder = if plain { builder.no_proxy().tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(unreachable)?;
        Ok(Fetcher { http, url: url.to_owned(), etag: None })
    }

    /// Fetches the page, if it has changed.
    ///
    /// # Errors
    /// When it does not answer, or not with a page.
    pub async fn fetch(&mut self) -> Result<Fetched, FeedError> {
        let mut request = self.http.get(&self.url).header("accept", "application/json");
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::NOT_MODIFIED if self.etag.is_some() => return Ok(Fetched::Same),
            StatusCode::OK => {}
            other => return Err(FeedError::Status(other.as_u16())),
        }
        let etag = response.headers().get(ETAG).and_then(|e| e.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(BadPage::TooLarge.into());
            }
            body.extend_from_slice(&chunk);
        }
        let page = Summary::read(&body)?;
        // Only of a page that could be read: a broken one must be fetched again.
        self.etag = etag;
        Ok(Fetched::Page(Box::new(page)))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn unreachable(error: reqwest::Error) -> FeedError {
    let mut inner: &dyn std::error::Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    FeedError::Unreachable(inner.to_string())
}

/// What is known of a page.
#[derive(Clone, Debug, Default)]
pub struct FeedState {
    /// The page, as it was read last.
    pub page: Summary,
    /// When it was read, or found unchanged.
    pub read_at: Option<Timestamp>,
    /// Why the last try failed, if it did.
    pub error: Option<String>,
    /// Tries that failed in a row.
    pub failures: u32,
}

impl FeedState {
    /// Takes a fetch in. Whether it is the first failure, or the first success, of a row.
    pub fn take(&mut self, fetched: Result<Fetched, FeedError>, now: Timestamp) -> bool {
        let had_failed = self.failures > 0;
        match fetched {
            Ok(fetched) => {
                if let Fetched::Page(page) = fetched {
                    self.page = *page;
                }
                (self.read_at, self.error, self.failures) = (Some(now), None, 0);
                had_failed
            }
            Err(error) => {
                self.error = Some(error.to_string());
                self.failures += 1;
                !had_failed
            }
        }
    }

    /// Whether its words are too old to be evidence.
    pub fn is_stale(&self, every: Duration, now: Timestamp) -> bool {
        self.read_at.is_none_or(|at| now.since(at) > every * STALE_AFTER)
    }

    /// What it says now; nothing while it is stale.
    pub fn said(&self, options: &FeedOptions, now: Timestamp) -> Vec<Said> {
        if self.is_stale(options.every, now) {
            return Vec::new();
        }
        self.page.said(&options.mapping)
    }

    /// What it plans: an id, the scope, when, and what it is called.
    pub fn planned(
        &self,
        options: &FeedOptions,
        now: Timestamp,
    ) -> Vec<(String, domain::Scope, Span, String)> {
        if self.read_at.is_none_or(|at| now.since(at) > PLANS_KEPT) {
            return Vec::new();
        }
        let absences = self.page.absences(&options.mapping).into_iter();
        absences
            .map(|(scope, plan)| {
                (format!("{}-{}", options.name, plan.id), scope, plan.span, plan.name.clone())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = include_bytes!("../golden/summary.json");

    #[test]
    fn an_unreachable_page_is_no_evidence_but_what_it_planned_still_is() {
        let options = FeedOptions {
            name: "p".to_owned(),
            url: String::new(),
            every: Duration::from_secs(60),
            mapping: vec![
                serde_json::from_str(r#"{"component_id":"h1f","channel":"main"}"#).unwrap(),
                serde_json::from_str(r#"{"component":"Dashboard","channel":"fine"}"#).unwrap(),
            ],
        };
        let at = |secs: i64| Timestamp::from_secs(1_000_000 + secs);
        let mut state = FeedState::default();
        assert!(state.said(&options, at(0)).is_empty(), "nothing was read yet");
        let page = Fetched::Page(Box::new(Summary::read(GOOD).unwrap()));
        assert!(!state.take(Ok(page), at(0)));
        assert_eq!(state.said(&options, at(60)).len(), 1);
        assert!(state.take(Err(FeedError::Status(503)), at(61)), "the first failure is told");
        assert!(!state.take(Err(FeedError::Status(503)), at(121)), "the next ones are not");
        assert!(state.said(&options, at(181)).is_empty());
        assert_eq!(state.planned(&options, at(181)).len(), 1);
        assert!(state.planned(&options, at(90_000)).is_empty());
        assert!(state.take(Ok(Fetched::Same), at(200)), "that it is back is told");
        assert_eq!(state.said(&options, at(200)).len(), 1);
    }
}
