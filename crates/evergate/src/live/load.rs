//! A configuration with everything that it names, read and built: nothing is left to fail when
//! it is put in force, but the making of an HTTP client.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;
use domain::{ChannelId, MerchantId};
use incidents::expiry::Expiring;
use incidents::layers::Target;
use providers::{CertificateInfo, ChannelSettings, NewChannel, SettingError};
use server::{ApiKeys, Endpoint, Operators, Post};

use super::diff;
use crate::config::{Config, Mistake};
use crate::wire::{self, Built};

/// A digest of a file's content; `None` when it cannot be read.
pub(super) type Digests = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// A configuration that is ready.
#[derive(Clone)]
pub struct Loaded {
    /// What was read.
    pub config: Config,
    /// Its channels, in their order.
    pub(super) channels: Vec<LoadedChannel>,
    /// Who may use the API.
    pub(crate) keys: ApiKeys,
    /// Who may sign in to the console.
    pub(crate) operators: Operators,
    /// Where messages to merchants go.
    pub(crate) endpoints: HashMap<MerchantId, Endpoint>,
    /// What notes to customers go out by; absent: none are made.
    pub(crate) post: Option<Arc<Post>>,
    /// What lay in every file that the configuration names, before it was read.
    pub(super) files: Digests,
}

/// One channel that is ready.
#[derive(Clone)]
pub(super) struct LoadedChannel {
    pub(super) settings: ChannelSettings,
    pub(super) built: Built,
    /// Differs when anything differs that its codec or its connections are made from.
    pub(super) mark: [u8; 32],
    certificates: Vec<CertificateInfo>,
}

/// Reads all keys and builds all channels. It reads files and runs commands, so it blocks.
///
/// # Errors
/// Every mistake.
pub fn load(config: Config) -> Result<Loaded, Vec<Mistake>> {
    let files = digests(&files(&config));
    let table = diff::table(config.source.text.expose());
    let (mut channels, mut mistakes) = (Vec::new(), Vec::new());
    for (id, settings) in &config.channels {
        let notify = ChannelSettings::default_notify_url(&config.public_url(), id);
        match channel(id, settings.clone(), &notify, &diff::channel(&table, id.as_str())) {
            Ok(loaded) => channels.push(loaded),
            Err(found) => mistakes.extend(found.into_iter().map(|error| config.placed(error))),
        }
    }
    let unplaced = |(field, rule): (String, String)| Mistake {
        line: 0,
        column: 0,
        field,
        rule,
        fix: "see `evergate config default`".to_owned(),
    };
    let keys = crate::serve::keys(&config).map_err(|why| {
        mistakes.push(unplaced(("api_keys".to_owned(), why.to_string())));
    });
    let operators = crate::serve::operators(&config).map_err(|why| {
        mistakes.push(unplaced(("operators".to_owned(), why.to_string())));
    });
    let endpoints = crate::serve::merchants(&config).map_err(|found| {
        mistakes.extend(found.into_iter().map(unplaced));
    });
    let post = config.customers.as_ref().map(|set| set.post(&config.public_url())).transpose();
    let post = post.map_err(|found| {
        let unplaced =
            |SettingError { field, rule, fix }| Mistake { fix, ..unplaced((field, rule)) };
        mistakes.extend(found.into_iter().map(unplaced));
    });
    match (keys, operators, endpoints, post) {
        (Ok(keys), Ok(operators), Ok(endpoints), Ok(post)) if mistakes.is_empty() => {
            Ok(Loaded { config, channels, keys, operators, endpoints, post, files })
        }
        _ => Err(mistakes),
    }
}

fn channel(
    id: &ChannelId,
    mut settings: ChannelSettings,
    notify: &str,
    table: &str,
) -> Result<LoadedChannel, Vec<providers::SettingError>> {
    settings.run_commands(id)?;
    // In this order: a key that changes in between makes another mark the next time.
    let mut mark = digest::Context::new(&digest::SHA256);
    for part in [&settings.material()[..], notify.as_bytes(), b"\0", table.as_bytes()] {
        mark.update(part);
    }
    let (codec, limits) = settings.build(id, notify)?;
    let certificates = settings.certificates();
    let built = Built { id: id.clone(), codec, limits };
    Ok(LoadedChannel { settings, built, mark: sum(mark), certificates })
}

fn sum(context: digest::Context) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(context.finish().as_ref());
    sum
}

/// The SHA-256 of a text.
pub(super) fn digest_of(text: &str) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(text.as_bytes());
    sum(context)
}

/// Every file with a key or certificate in it.
fn files(config: &Config) -> Vec<PathBuf> {
    let keys = config.channels.iter().flat_map(|(_, settings)| settings.files());
    let secrets = config.merchants.iter().filter_map(|m| m.webhook_secrets_file.clone());
    let customers = config.customers.iter().flat_map(|set| set.files());
    keys.chain(secrets).chain(customers).collect()
}

/// What lies in each file now. Reads through links, so that a link which is pointed elsewhere
/// (as Kubernetes does with mounted secrets) is seen like a file that is written anew.
pub(super) fn digests<'f>(files: impl IntoIterator<Item = &'f PathBuf>) -> Digests {
    let digest = |file: &PathBuf| {
        let bytes = std::fs::read(file).ok()?;
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&bytes);
        Some(sum(context))
    };
    files.into_iter().map(|file| (file.clone(), digest(file))).collect()
}

impl Loaded {
    /// The channel of this name.
    pub(super) fn channel(&self, id: &ChannelId) -> Option<&LoadedChannel> {
        self.channels.iter().find(|channel| channel.built.id == *id)
    }

    /// Its channels as the driver takes them.
    pub(super) fn new_channels<'l>(
        &'l self,
        which: impl Fn(&LoadedChannel) -> bool + 'l,
    ) -> Vec<NewChannel> {
        let chosen = self.channels.iter().filter(|channel| which(channel));
        let new = |Built { id, codec, limits }: &Built| NewChannel {
            id: id.clone(),
            codec: std::sync::Arc::clone(codec),
            limits: limits.clone(),
        };
        chosen.map(|channel| new(&channel.built)).collect()
    }

    /// All of them.
    pub(crate) fn all_channels(&self) -> Vec<NewChannel> {
        self.new_channels(|_| true)
    }

    /// The engine's settings.
    pub(crate) fn options(&self) -> engine::Options {
        let built: Vec<Built> = self.channels.iter().map(|c| c.built.clone()).collect();
        wire::options(&self.config, &built)
    }

    /// Where channels are probed.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let target = |c: &LoadedChannel| wire::target(&c.built.id, &c.settings, &c.built.limits);
        // What is offline has nothing to be probed.
        let online = self.channels.iter().filter(|c| c.settings.offline().is_none());
        online.map(target).collect()
    }

    /// The certificates that channels use.
    pub(crate) fn certificates(&self) -> Vec<Expiring> {
        let of = |channel: &LoadedChannel| {
            let id = channel.built.id.clone();
            let expiring = move |info: &CertificateInfo| Expiring {
                channel: id.clone(),
                name: info.name.clone(),
                subject: info.subject.clone(),
                not_after: info.not_after,
            };
            channel.certificates.iter().map(expiring).collect::<Vec<_>>()
        };
        self.channels.iter().flat_map(of).collect()
    }

    /// The digest of the text, in hex.
    pub(super) fn digest(&self) -> String {
        hex::encode(digest_of(self.config.source.text.expose()))
    }
}
