//! Base64 in pieces, as `base64` and `base64 -d` write and read it: the standard alphabet, line breaks allowed.

use super::CodecError;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const NONE: u8 = 0xff;
const SPACE: u8 = 0xfe;
const PAD: u8 = 0xfd;

/// What each byte means: a value under 64, or one of the three above.
const MEANING: [u8; 256] = meaning();

const fn meaning() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut value = 0u8;
    while value < 64 {
        table[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    table[b'\n' as usize] = SPACE;
    table[b'\r' as usize] = SPACE;
    table[b'\t' as usize] = SPACE;
    table[b' ' as usize] = SPACE;
    table[b'=' as usize] = PAD;
    table
}

/// Length of the base64 text of `bytes` bytes, padding included.
pub(crate) fn encoded_len(bytes: u64) -> Option<u64> {
    bytes.div_ceil(3).checked_mul(4)
}

/// Encodes what is pushed into it.
#[derive(Debug, Default)]
pub(crate) struct Base64Encoder {
    rest: [u8; 2],
    held: usize,
}

impl Base64Encoder {
    /// Encodes all whole groups of three.
    pub(crate) fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        out.reserve((self.held + input.len()) / 3 * 4);
        while self.held > 0 && !input.is_empty() {
            if self.held == 2 {
                group([self.rest[0], self.rest[1], input[0]], out);
                self.held = 0;
            } else {
                self.rest[self.held] = input[0];
                self.held += 1;
            }
            input = &input[1..];
        }
        let mut groups = input.chunks_exact(3);
        for three in &mut groups {
            group([three[0], three[1], three[2]], out);
        }
        for byte in groups.remainder() {
            self.rest[self.held] = *byte;
            self.held += 1;
        }
    }

    /// Encodes what is left, with padding.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        if self.held == 0 {
            return;
        }
        let second = if self.held == 2 { self.rest[1] } else { 0 };
        let from = out.len();
        group([self.rest[0], second, 0], out);
        for place in &mut out[from + self.held + 1..] {
            *place = b'=';
        }
    }
}

fn group(three: [u8; 3], out: &mut Vec<u8>) {
    let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
    let digit = |shift: u32| ALPHABET[(bits >> shift) as usize & 63];
    out.extend_from_slice(&[digit(18), digit(12), digit(6), digit(0)]);
}

/// Decodes what is pushed into it. Padding may be missing at the end.
#[derive(Debug, Default)]
pub(crate) struct Base64Decoder {
    bits: u32,
    held: u8,
    padding: u8,
    at: u64,
}

impl Base64Decoder {
    /// Decodes all whole groups.
    ///
    /// # Errors
    /// On a byte that does not belong there.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.reserve(input.len() / 4 * 3 + 3);
        for &byte in input {
            match MEANING[byte as usize] {
                SPACE => {}
                NONE => return Err(CodecError::NotBase64 { at: self.at, byte }),
                PAD => {
                    // Padding fills up a group that was begun with two or three digits.
                    if self.held < 2 || self.held + self.padding >= 4 {
                        return Err(CodecError::AfterPadding { at: self.at });
                    }
                    self.padding += 1;
                }
                _ if self.padding > 0 => return Err(CodecError::AfterPadding { at: self.at }),
                value => {
                    self.bits = self.bits << 6 | u32::from(value);
                    self.held += 1;
                    if self.held == 4 {
                        out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                        self.bits = 0;
                        self.held = 0;
                    }
                }
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Decodes what is left.
    ///
    /// # Errors
    /// When the text ends where it cannot.
    pub(crate) fn finish(self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if self.padding > 0 && self.held + self.padding != 4 {
            return Err(CodecError::Torn);
        }
        match self.held {
            0 => Ok(()),
            2 => {
                out.push((self.bits >> 4) as u8);
                Ok(())
            }
            3 => {
                out.extend_from_slice(&((self.bits >> 2) as u16).to_be_bytes());
                Ok(())
            }
            _ => Err(CodecError::Torn),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn encode(pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Base64Encoder::default();
        for piece in pieces {
            encoder.push(piece, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    fn decode(text: &[u8], step: usize) -> Result<Vec<u8>, CodecError> {
        let mut out = Vec::new();
        let mut decoder = Base64Decoder::default();
        for piece in text.chunks(step) {
            decoder.push(piece, &mut out)?;
        }
        decoder.finish(&mut out)?;
        Ok(out)
    }

    proptest! {
        #[test]
        fn encoding_in_pieces_is_encoding_at_once(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9)) {
            let whole = pieces.concat();
            let encoded = encode(&pieces);
            prop_assert_eq!(encoded.len() as u64, encoded_len(whole.len() as u64).unwrap());
            prop_assert_eq!(encoded, STANDARD.encode(whole).into_bytes());
        }

        #[test]
        fn decoding_in_pieces_with_line_breaks_gives_it_back(
            bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..9, width in 1usize..80, padded: bool,
        ) {
            let mut text = STANDARD.encode(&bytes);
            if !padded {
                text = text.trim_end_matches('=').to_owned();
            }
            let lines: Vec<u8> = text.as_bytes().chunks(width).flat_map(|line| [line, b"\r\n"].concat()).collect();
            prop_assert_eq!(decode(&lines, step).unwrap(), bytes);
        }

        #[test]
        fn what_the_other_decoder_refuses_is_refused(text in "[A-D=+/]{0,9}", step in 1usize..5) {
            use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
            // No padding or all of it: half of it means that the text was cut off.
            let mode = if text.contains('=') {
                DecodePaddingMode::RequireCanonical
            } else {
                DecodePaddingMode::RequireNone
            };
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(mode)
                .with_decode_allow_trailing_bits(true);
            let other = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(&text);
            match (decode(text.as_bytes(), step), other) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (ours, theirs) => prop_assert!(ours.is_err() == theirs.is_err(), "{:?} {:?}", ours, theirs),
            }
        }
    }

    #[test]
    fn what_is_no_base64_is_named_by_its_place() {
        assert_eq!(
            decode(b"AAAA<html>", 3).unwrap_err().to_string(),
            "byte 4 of the base64 text is not base64 (0x3c)"
        );
        assert_eq!(decode(b"AAAAA", 2), Err(CodecError::Torn));
        assert_eq!(
            decode(b"AA==AAAA", 8),
            Err(CodecError::AfterPadding { at: 4 })
        );
        assert_eq!(decode(b"AA=", 8), Err(CodecError::Torn));
    }
}
