//! A chart as clients send it. What the body is, is seen by its first bytes, not by what a header says: curl calls
//! every `--data` a form.

use super::{Base64Decoder, CodecError, FormDecoder};

/// First bytes that are looked at: a short field name and what follows it.
const LOOKED_AT: usize = 128;

/// The first bytes of a gzip stream.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The first bytes of a gzip stream in base64; the third is always the method 8.
const GZIP_BASE64: &[u8] = b"H4sI";

/// Turns the body of an upload into the bytes of a gzip archive, in pieces.
#[derive(Debug, Default)]
pub(crate) struct UploadDecoder {
    form: Option<FormDecoder>,
    kind: Kind,
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum Kind {
    /// Not enough was seen.
    Unknown(Vec<u8>),
    Raw,
    Base64(Base64Decoder),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

/// What the first bytes say.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Bytes to leave out: a field name, blanks.
    skip: usize,
    /// Whether percent-encoding has to be taken off.
    form: bool,
    base64: bool,
}

impl UploadDecoder {
    /// Decodes a piece.
    ///
    /// # Errors
    /// When the body is no chart in any of the forms, or is damaged.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        if let Kind::Unknown(first) = &mut self.kind {
            first.extend_from_slice(input);
            if first.len() < LOOKED_AT {
                return Ok(());
            }
            let first = std::mem::take(first);
            return self.begin(&first, out);
        }
        self.decode(input, out)
    }

    /// Decodes what is left.
    ///
    /// # Errors
    /// When the body is empty, no chart, or ends in the middle of something.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if let Kind::Unknown(first) = &mut self.kind {
            let first = std::mem::take(first);
            self.begin(&first, out)?;
        }
        if let Some(form) = &self.form {
            form.finish()?;
        }
        match self.kind {
            Kind::Base64(decoder) => decoder.finish(out),
            Kind::Raw | Kind::Unknown(_) => Ok(()),
        }
    }

    fn begin(&mut self, first: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let seen = look(first)?;
        // In base64 there are no spaces, so a bare plus is one that nobody encoded.
        self.form = seen.form.then(|| FormDecoder::new(!seen.base64));
        self.kind = if seen.base64 {
            Kind::Base64(Base64Decoder::default())
        } else {
            Kind::Raw
        };
        self.decode(&first[seen.skip..], out)
    }

    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let plain = match &mut self.form {
            None => input,
            Some(form) => {
                self.scratch.clear();
                form.push(input, &mut self.scratch)?;
                &self.scratch
            }
        };
        match &mut self.kind {
            Kind::Base64(decoder) => decoder.push(plain, out),
            Kind::Raw | Kind::Unknown(_) => {
                out.extend_from_slice(plain);
                Ok(())
            }
        }
    }
}

fn look(first: &[u8]) -> Result<Seen, CodecError> {
    if first.is_empty() {
        return Err(CodecError::NotAChart(
            "the body is empty; send the chart with --data-urlencode @FILE, --data-binary @FILE or -T FILE"
                .to_owned(),
        ));
    }
    let blanks = first
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let name = field_name(&first[blanks..]);
    for skip in [0, blanks, blanks + name] {
        let rest = &first[skip..];
        if rest.starts_with(GZIP) {
            return Ok(Seen {
                skip,
                form: false,
                base64: false,
            });
        }
        // Base64 may or may not be percent-encoded on top; `%` is no base64, so decoding does no harm.
        if rest.starts_with(GZIP_BASE64) {
            return Ok(Seen {
                skip,
                form: true,
                base64: true,
            });
        }
        if rest.len() >= 6 && rest[..6].eq_ignore_ascii_case(b"%1f%8b") {
            return Ok(Seen {
                skip,
                form: true,
                base64: false,
            });
        }
    }
    let hint = if first.starts_with(b"--") {
        "; it looks like a multipart form (curl -F): send it with --data-binary @FILE instead"
    } else if first.len() < LOOKED_AT && first.iter().all(|byte| byte.is_ascii_graphic()) {
        "; was the `@` before the file's name forgotten?"
    } else {
        ""
    };
    Err(CodecError::NotAChart(format!(
        "the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding{hint}"
    )))
}

/// Length of `name=` at the beginning, as `--data-urlencode name@FILE` sends it; 0 when there is none.
fn field_name(text: &[u8]) -> usize {
    let name = text
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        .count();
    match text.get(name) {
        Some(b'=') => name + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &[u8], step: usize) -> Result<Vec<u8>, CodecError> {
        let mut out = Vec::new();
        let mut decoder = UploadDecoder::default();
        for piece in text.chunks(step) {
            decoder.push(piece, &mut out)?;
        }
        decoder.finish(&mut out)?;
        Ok(out)
    }

    fn form(bytes: &[u8]) -> String {
        percent_encode(bytes, NON_ALPHANUMERIC)
            .to_string()
            .replace("%20", "+")
    }

    proptest! {
        #[test]
        fn every_way_to_send_it_gives_the_same_bytes(
            rest in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..200,
        ) {
            let chart = [&[0x1f, 0x8b, 8][..], &rest].concat();
            let base64 = STANDARD.encode(&chart);
            let lines: String = base64.as_bytes().chunks(76).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
            for body in [
                chart.clone(),
                base64.clone().into_bytes(),
                lines.clone().into_bytes(),
                form(&chart).into_bytes(),
                format!("chart={}", form(&chart)).into_bytes(),
                form(base64.as_bytes()).into_bytes(),
                form(lines.as_bytes()).into_bytes(),
                format!("\r\n{lines}").into_bytes(),
            ] {
                prop_assert_eq!(&decode(&body, step).unwrap(), &chart);
            }
        }

        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..200) {
            let _ = decode(&body, step);
        }
    }

    #[test]
    fn what_is_no_chart_is_refused_with_a_hint() {
        let messages: Vec<String> = [
            &b""[..],
            b"_output.tgz",
            b"--------abc\r\nContent-Disposition: form-data",
            b"{\"kind\": \"List\"}\n",
            b"%1F%8B%08%zz",
            b"H4sIAAAA*",
        ]
        .into_iter()
        .map(|body| decode(body, 7).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        the body is empty; send the chart with --data-urlencode @FILE, --data-binary @FILE or -T FILE
        the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding; was the `@` before the file's name forgotten?
        the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding; it looks like a multipart form (curl -F): send it with --data-binary @FILE instead
        the body is not a chart: neither a gzip archive, nor one in base64 or percent-encoding
        byte 9 of the form is a `%` without two hexadecimal digits
        byte 8 of the base64 text is not base64 (0x2a)
        ");
    }
}
