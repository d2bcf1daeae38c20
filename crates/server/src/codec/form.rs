//! Form encoding in pieces, as `curl --data-urlencode` writes it: `%XX`, and `+` for a space.

use super::CodecError;

/// Decodes what is pushed into it.
#[derive(Debug)]
pub(crate) struct FormDecoder {
    /// Whether `+` is a space. It is a plus where the form holds base64 that was not percent-encoded.
    plus_is_space: bool,
    /// A percent sign and the digit that came after it.
    pending: Pending,
    at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Percent,
    Digit(u8),
}

impl FormDecoder {
    /// Begins.
    pub(crate) fn new(plus_is_space: bool) -> Self {
        Self {
            plus_is_space,
            pending: Pending::Nothing,
            at: 0,
        }
    }

    /// Decodes all but an escape that is not complete yet.
    ///
    /// # Errors
    /// On a percent sign that begins no escape.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.reserve(input.len());
        for &byte in input {
            self.pending = match (self.pending, byte) {
                (Pending::Nothing, b'%') => Pending::Percent,
                (Pending::Nothing, b'+') if self.plus_is_space => {
                    out.push(b' ');
                    Pending::Nothing
                }
                (Pending::Nothing, byte) => {
                    out.push(byte);
                    Pending::Nothing
                }
                (Pending::Percent, byte) => Pending::Digit(self.hex(byte, 1)?),
                (Pending::Digit(high), byte) => {
                    let low = self.hex(byte, 2)?;
                    out.push(high << 4 | low);
                    Pending::Nothing
                }
            };
            self.at += 1;
        }
        Ok(())
    }

    /// Says whether the form ended in the middle of an escape.
    ///
    /// # Errors
    /// When it did.
    pub(crate) fn finish(&self) -> Result<(), CodecError> {
        let behind = match self.pending {
            Pending::Nothing => return Ok(()),
            Pending::Percent => 1,
            Pending::Digit(_) => 2,
        };
        Err(CodecError::BadPercent {
            at: self.at - behind,
        })
    }

    fn hex(&self, byte: u8, behind: u64) -> Result<u8, CodecError> {
        match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            b'A'..=b'F' => Ok(byte - b'A' + 10),
            _ => Err(CodecError::BadPercent {
                at: self.at - behind,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// What curl leaves as it is.
    const CURL: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');

    fn decode(text: &[u8], step: usize) -> Result<Vec<u8>, CodecError> {
        let mut out = Vec::new();
        let mut decoder = FormDecoder::new(true);
        for piece in text.chunks(step) {
            decoder.push(piece, &mut out)?;
        }
        decoder.finish()?;
        Ok(out)
    }

    proptest! {
        #[test]
        fn what_curl_encodes_is_given_back(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..9) {
            let text = percent_encode(&bytes, CURL).to_string().replace("%20", "+");
            prop_assert_eq!(decode(text.as_bytes(), step).unwrap(), bytes);
        }
    }

    #[test]
    fn an_escape_that_is_none_is_named_by_its_place() {
        for (text, at) in [
            (&b"ab%zz"[..], 2),
            (b"%1", 0),
            (b"abc%", 3),
            (b"%2x", 0),
            (b"%%41", 0),
        ] {
            for step in 1..4 {
                assert_eq!(decode(text, step), Err(CodecError::BadPercent { at }));
            }
        }
    }
}
