//! When a key file has changed for good.
//!
//! Pure: digests in, a yes or no out. A change counts when it is seen twice alike, because
//! a key and its certificate are two files that are replaced one after the other; what was
//! tried and had mistakes is not tried again until it changes.

use super::load::Digests;

/// What was seen of the files.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Differs from what runs, and was seen once.
    seen: Option<Digests>,
    /// Was tried, and had mistakes.
    failed: Option<Digests>,
}

impl Watch {
    /// Whether to reload, now that the files are like this.
    pub(super) fn look(&mut self, running: &Digests, now: Digests) -> bool {
        if now == *running || self.failed.as_ref() == Some(&now) {
            self.seen = None;
            return false;
        }
        let is_settled = self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
        is_settled
    }

    /// The reload that was asked for found mistakes.
    pub(super) fn failed(&mut self) {
        self.failed = self.seen.take();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn files(key: u8, certificate: u8) -> Digests {
        let digest = |n: u8| Some([n; 32]);
        [(PathBuf::from("k"), digest(key)), (PathBuf::from("c"), digest(certificate))].into()
    }

    #[test]
    fn a_change_counts_when_it_is_seen_twice() {
        let (mut watch, running) = (Watch::default(), files(1, 1));
        assert!(!watch.look(&running, files(1, 1)));
        assert!(!watch.look(&running, files(2, 1)), "half of the pair");
        assert!(!watch.look(&running, files(2, 2)), "new again");
        assert!(watch.look(&running, files(2, 2)));
    }

    #[test]
    fn what_had_mistakes_is_not_tried_again_until_it_changes() {
        let (mut watch, running) = (Watch::default(), files(1, 1));
        watch.look(&running, files(2, 1));
        assert!(watch.look(&running, files(2, 1)));
        watch.failed();
        for _ in 0..3 {
            assert!(!watch.look(&running, files(2, 1)));
        }
        watch.look(&running, files(2, 2));
        assert!(watch.look(&running, files(2, 2)));
    }

    #[test]
    fn a_change_that_is_taken_back_is_none() {
        let (mut watch, running) = (Watch::default(), files(1, 1));
        assert!(!watch.look(&running, files(2, 1)));
        assert!(!watch.look(&running, files(1, 1)));
        assert!(!watch.look(&running, files(2, 1)));
    }
}
