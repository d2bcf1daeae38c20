//! SHA-256, as bytes and as hexadecimal text.

use ring::digest::{Context, SHA256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// Hashes as bytes come. By ring, which is in the tree for TLS and, on processors without instructions for
/// SHA-256, nearly twice as fast as the sha2 crate: hashing is what most of an export's time goes to.
#[derive(Clone)]
pub(crate) struct Hasher(Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Hashes a hole: `count` zero bytes.
    pub(crate) fn zeros(&mut self, mut count: u64) {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        while count > 0 {
            let part = usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(ZEROS.len());
            self.0.update(&ZEROS[..part]);
            count -= part as u64;
        }
    }

    pub(crate) fn finish(self) -> Hash {
        let mut hash = Hash::default();
        // The length is always that of a SHA-256.
        for (to, from) in hash.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        hash
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Reads what [`hex`] writes; `None` for anything else.
pub(crate) fn unhex(text: &str) -> Option<Hash> {
    let bytes = text.as_bytes();
    let mut hash = [0; 32];
    if bytes.len() != 64 || !bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (at, pair) in bytes.chunks(2).enumerate() {
        hash[at] = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}
