//! Header blocks: names and values, compressed by one zlib stream for each direction of a connection.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::SpdyError;
use super::dictionary::dictionary;

/// The most that a block may hold, unpacked; the headers of a forwarded port have some hundred bytes.
const LIMIT: usize = 64 * 1024;
const STEP: usize = 4096;

/// Names and values of a stream.
pub(super) type Headers = Vec<(String, String)>;

/// Unpacks the blocks of one direction, in their order.
pub(super) struct Unpacker {
    zlib: Decompress,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Self {
            zlib: Decompress::new(true),
        }
    }

    pub(super) fn unpack(&mut self, block: &[u8]) -> Result<Headers, SpdyError> {
        let mut plain = Vec::new();
        let mut rest = block;
        let mut step = vec![0; STEP];
        loop {
            let (read, written) = (self.zlib.total_in(), self.zlib.total_out());
            let result = self.zlib.decompress(rest, &mut step, FlushDecompress::Sync);
            // Both are at most the lengths of the slices.
            let taken = usize::try_from(self.zlib.total_in() - read).unwrap_or(rest.len());
            let given = usize::try_from(self.zlib.total_out() - written).unwrap_or_default();
            rest = &rest[taken..];
            match result {
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.zlib
                        .set_dictionary(&dictionary())
                        .map_err(|_| SpdyError::Protocol("another dictionary of headers"))?;
                    continue;
                }
                Err(_) => return Err(SpdyError::Protocol("headers that cannot be unpacked")),
            }
            plain.extend_from_slice(&step[..given]);
            if plain.len() > LIMIT {
                return Err(SpdyError::Protocol("headers that are too long"));
            }
            // Room was left in the step: nothing is held back.
            if rest.is_empty() && given < STEP {
                return parse(&plain);
            }
            if taken == 0 && given == 0 {
                return Err(SpdyError::Protocol("headers that do not end"));
            }
        }
    }
}

fn parse(mut plain: &[u8]) -> Result<Headers, SpdyError> {
    const CUT: SpdyError = SpdyError::Protocol("headers that are cut off");
    fn number(plain: &mut &[u8]) -> Result<usize, SpdyError> {
        let (bytes, rest) = plain.split_first_chunk::<4>().ok_or(CUT)?;
        *plain = rest;
        usize::try_from(u32::from_be_bytes(*bytes)).map_err(|_| CUT)
    }
    fn text(plain: &mut &[u8]) -> Result<String, SpdyError> {
        let length = number(plain)?;
        let (bytes, rest) = plain.split_at_checked(length).ok_or(CUT)?;
        *plain = rest;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
    let count = number(&mut plain)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = text(&mut plain)?.to_ascii_lowercase();
        headers.push((name, text(&mut plain)?));
    }
    Ok(headers)
}

/// Packs the blocks of one direction, in their order.
pub(super) struct Packer {
    zlib: Compress,
}

impl Packer {
    pub(super) fn new() -> Result<Self, SpdyError> {
        let mut zlib = Compress::new(Compression::default(), true);
        zlib.set_dictionary(&dictionary())
            .map_err(|_| SpdyError::Protocol("no compression"))?;
        Ok(Self { zlib })
    }

    pub(super) fn pack(&mut self, headers: &[(&str, &str)]) -> Result<Vec<u8>, SpdyError> {
        let mut plain = Vec::new();
        let number = |plain: &mut Vec<u8>, length: usize| {
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            plain.extend_from_slice(&length.to_be_bytes());
        };
        number(&mut plain, headers.len());
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            number(&mut plain, text.len());
            plain.extend_from_slice(text.as_bytes());
        }
        let mut packed = Vec::with_capacity(plain.len() + 64);
        let mut rest = plain.as_slice();
        loop {
            packed.reserve(64);
            let before = self.zlib.total_in();
            self.zlib
                .compress_vec(rest, &mut packed, FlushCompress::Sync)
                .map_err(|_| SpdyError::Protocol("no compression"))?;
            let taken = usize::try_from(self.zlib.total_in() - before).unwrap_or(rest.len());
            rest = &rest[taken..];
            // Room was left: the flush is complete.
            if rest.is_empty() && packed.len() < packed.capacity() {
                return Ok(packed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_come_back_in_their_order(
            blocks in proptest::collection::vec(
                proptest::collection::vec(("[a-z-]{1,20}", "[ -~]{0,300}"), 0..40),
                1..6,
            )
        ) {
            let mut packer = Packer::new().unwrap();
            let mut unpacker = Unpacker::new();
            for block in blocks {
                let headers: Vec<(&str, &str)> =
                    block.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let packed = packer.pack(&headers).unwrap();
                prop_assert_eq!(unpacker.unpack(&packed).unwrap(), block);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Unpacker::new().unpack(&bytes);
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let value = "a".repeat(10 * LIMIT);
        let packed = Packer::new().unwrap().pack(&[("bomb", &value)]).unwrap();
        let refused = Unpacker::new().unpack(&packed).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "not SPDY/3.1: headers that are too long"
        );
    }
}
