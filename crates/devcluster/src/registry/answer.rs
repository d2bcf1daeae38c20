//! Bodies of answers, and the few kinds of answers that there are.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures::TryStreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::error::Refusal;

/// Size of the pieces in which a file is sent.
const PIECE: usize = 256 << 10;

pub(super) type Body = BoxBody<Bytes, io::Error>;
pub(super) type Answer = Response<Body>;

pub(super) fn bytes_body(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(bytes_body(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// An answer with a body of this type.
pub(super) fn typed(media_type: &str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(bytes_body(bytes));
    set(&mut answer, header::CONTENT_TYPE, media_type);
    answer
}

/// Sets a header; a value that cannot be one is left out.
pub(super) fn set(answer: &mut Answer, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// A part of a file: first byte, and the one after the last.
pub(super) fn part_of(range: &str, size: u64) -> Result<(u64, u64), Refusal> {
    let bad = || {
        Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "UNSUPPORTED",
            "the range is not in the blob",
        )
        .header(header::CONTENT_RANGE, format!("bytes */{size}"))
    };
    let (first, last) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .ok_or_else(bad)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| bad());
    let (start, end) = match (first.trim(), last.trim()) {
        ("", last) => (size.saturating_sub(number(last)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => (number(first)?, number(last)?.saturating_add(1).min(size)),
    };
    if start >= end {
        return Err(bad());
    }
    Ok((start, end))
}

/// A file, or a part of it, as a body that is read as it is sent.
pub(super) async fn file_body(path: PathBuf, start: u64, end: u64) -> io::Result<Body> {
    let mut file = tokio::fs::File::open(path).await?;
    if start > 0 {
        file.seek(io::SeekFrom::Start(start)).await?;
    }
    let stream = ReaderStream::with_capacity(file.take(end - start), PIECE).map_ok(Frame::data);
    Ok(BodyExt::boxed(StreamBody::new(stream)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_http_says() {
        let part = |range| part_of(range, 10).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(part("bytes=0-3"), Ok((0, 4)));
        assert_eq!(part("bytes=4-"), Ok((4, 10)));
        assert_eq!(part("bytes=-3"), Ok((7, 10)));
        assert_eq!(part("bytes=8-99"), Ok((8, 10)));
        for bad in [
            "bytes=10-",
            "bytes=5-4",
            "lines=1-2",
            "bytes=a-b",
            "bytes=0-1,3-4",
        ] {
            assert_eq!(part(bad), Err(416), "{bad}");
        }
    }
}
