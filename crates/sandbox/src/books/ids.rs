//! Identifiers from a seeded stream, so that a run with the same seed names things alike.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::keys::sha256;

/// A stream of identifiers, one for each purpose.
pub(crate) struct IdSource(ChaCha8Rng);

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl IdSource {
    /// The stream named `purpose` under `seed`; streams of different names are independent.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let text = format!("{seed}/{purpose}");
        Self(ChaCha8Rng::from_seed(sha256(text.as_bytes())))
    }

    pub(super) fn pick(&mut self, alphabet: &[u8], length: usize) -> String {
        // The bias of the remainder does not matter to names.
        (0..length)
            .map(|_| char::from(alphabet[self.0.next_u32() as usize % alphabet.len()]))
            .collect()
    }

    pub(crate) fn alnum(&mut self, length: usize) -> String {
        self.pick(ALNUM, length)
    }

    pub(crate) fn digits(&mut self, length: usize) -> String {
        self.pick(b"0123456789", length)
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.pick(b"0123456789abcdef", length)
    }

    /// A positive 20-byte certificate serial without leading zero.
    pub(crate) fn serial(&mut self) -> [u8; 20] {
        let mut serial = [0; 20];
        self.0.fill_bytes(&mut serial);
        serial[0] = 0x40 | (serial[0] & 0x3f);
        serial
    }

    /// A certificate serial of eleven digits, as UnionPay's are.
    pub(crate) fn short_serial(&mut self) -> u64 {
        60_000_000_000 + self.0.next_u64() % 10_000_000_000
    }

    pub(crate) fn nonce12(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(self.alnum(12).as_bytes());
        nonce
    }
}
