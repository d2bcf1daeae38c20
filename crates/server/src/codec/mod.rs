//! What travels over the legacy routes: base64 out; base64, percent-encoding or plain bytes in. All of it in pieces,
//! so that memory does not grow with the chart.

mod base64;
mod form;
mod upload;

pub(crate) use base64::{Base64Decoder, Base64Encoder, encoded_len};
pub(crate) use form::FormDecoder;
pub(crate) use upload::UploadDecoder;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// A byte that base64 does not have.
    #[error("byte {at} of the base64 text is not base64 (0x{byte:02x})")]
    NotBase64 {
        /// Where, counted from 0.
        at: u64,
        /// Which.
        byte: u8,
    },
    /// Text after the padding.
    #[error("the base64 text goes on after its padding, at byte {at}")]
    AfterPadding {
        /// Where, counted from 0.
        at: u64,
    },
    /// The text ends within a group of four.
    #[error("the base64 text ends in the middle: it is torn")]
    Torn,
    /// A percent sign that is not followed by two hexadecimal digits.
    #[error("byte {at} of the form is a `%` without two hexadecimal digits")]
    BadPercent {
        /// Where, counted from 0.
        at: u64,
    },
    /// The body is nothing that this service takes.
    #[error("{0}")]
    NotAChart(String),
}
