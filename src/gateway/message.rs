//! gRPC's length-prefixed messages in HTTP bodies, as bytes.
//!
//! tonic's codecs copy every message of every stream into a buffer of its own. Here a message is
//! passed on as it is: a request without a copy where it came in one piece, an event of a signal
//! as the same bytes for all its streams.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use tonic::{Status, body::Body};

/// What is in front of a message: whether it is compressed, and its size.
pub(crate) const PREFIX_BYTES: usize = 5;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const OK: HeaderValue = HeaderValue::from_static("0");

/// Why a request body holds no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    /// The message is compressed; only `identity` is offered.
    #[error("compressed requests are not supported, send them with grpc-encoding identity")]
    Compressed,
    /// The message is larger than is accepted.
    #[error("a request of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The size in its prefix.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The body ends inside of the message, or before it.
    #[error("the request body ends before its message does")]
    Truncated,
    /// A unary request holds one message.
    #[error("the request body goes on after its message")]
    TrailingBytes,
    /// The client, or the connection to it, ended the body.
    #[error("the request body was not received")]
    Transport(#[source] Status),
}

/// Reads the only message of a request body, at most `limit` bytes.
pub(crate) async fn read_message(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
) -> Result<Bytes, RequestBodyError> {
    if headers
        .get(GRPC_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(RequestBodyError::Compressed);
    }
    let mut received = Received::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(RequestBodyError::Transport)?;
        if let Ok(data) = frame.into_data() {
            received.append(data);
            received.check(limit)?;
        }
    }
    received.finish()
}

/// The bytes of a request so far; shared with the transport while they came in one piece.
#[derive(Default)]
struct Received {
    first: Bytes,
    joined: BytesMut,
}

impl Received {
    fn append(&mut self, data: Bytes) {
        if self.joined.is_empty() && self.first.is_empty() {
            self.first = data;
        } else {
            if self.joined.is_empty() {
                self.joined
                    .extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.joined.extend_from_slice(&data);
        }
    }

    fn bytes(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.first
        } else {
            &self.joined
        }
    }

    /// The size that the prefix tells, once it is there.
    fn announced(&self) -> Option<(u8, usize)> {
        let (compressed, size) = self.bytes().split_first()?;
        let size = size.first_chunk::<4>()?;
        Some((*compressed, u32::from_be_bytes(*size) as usize))
    }

    fn check(&self, limit: usize) -> Result<(), RequestBodyError> {
        let Some((compressed, size)) = self.announced() else {
            return Ok(());
        };
        if compressed != 0 {
            return Err(RequestBodyError::Compressed);
        }
        if size > limit {
            return Err(RequestBodyError::TooLarge { size, limit });
        }
        if self.bytes().len() > PREFIX_BYTES + size {
            return Err(RequestBodyError::TrailingBytes);
        }
        Ok(())
    }

    fn finish(self) -> Result<Bytes, RequestBodyError> {
        let Some((_, size)) = self.announced() else {
            return Err(RequestBodyError::Truncated);
        };
        if self.bytes().len() < PREFIX_BYTES + size {
            return Err(RequestBodyError::Truncated);
        }
        let mut message = if self.joined.is_empty() {
            self.first
        } else {
            self.joined.freeze()
        };
        message.advance(PREFIX_BYTES);
        Ok(message)
    }
}

/// The prefix of a message of `size` bytes.
///
/// A message over 4 GiB cannot be; qi payloads end far below.
pub(crate) fn prefix(size: usize) -> [u8; PREFIX_BYTES] {
    let size = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    [0, size[0], size[1], size[2], size[3]]
}

/// A buffer with room for the prefix of the message that will be written behind it.
pub(crate) fn message_buffer(capacity: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(PREFIX_BYTES + capacity);
    buffer.extend_from_slice(&[0; PREFIX_BYTES]);
    buffer
}

/// Fills in the prefix that [`message_buffer`] left room for.
pub(crate) fn finish_message(mut buffer: Vec<u8>) -> Bytes {
    let size = buffer.len().saturating_sub(PREFIX_BYTES);
    if let Some(room) = buffer.first_chunk_mut::<PREFIX_BYTES>() {
        *room = prefix(size);
    }
    buffer.into()
}

/// A response with one message, its prefix included, and status OK.
pub(crate) fn unary_response(message: Bytes) -> Response<Body> {
    response(Body::new(UnaryBody {
        message: Some(message),
        trailers: true,
    }))
}

/// A response whose body brings its own trailers.
pub(crate) fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// The trailers of a call that succeeded.
pub(crate) fn ok_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, OK);
    trailers
}

/// The trailers of a call that failed.
pub(crate) fn status_trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Fails only for metadata that is no header; then the code alone is told.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
    trailers
}

struct UnaryBody {
    message: Option<Bytes>,
    trailers: bool,
}

impl HttpBody for UnaryBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        let trailers = std::mem::take(&mut self.trailers);
        Poll::Ready(trailers.then(|| Ok(Frame::trailers(ok_trailers()))))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && !self.trailers
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    async fn read(chunks: &[&[u8]], limit: usize) -> Result<Bytes, RequestBodyError> {
        let frames: Vec<Result<_, Infallible>> = chunks
            .iter()
            .map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();
        let body = StreamBody::new(tokio_stream::iter(frames));
        read_message(&HeaderMap::new(), Body::new(body), limit).await
    }

    #[tokio::test]
    async fn a_message_is_read_however_it_is_cut() {
        let whole = b"\0\0\0\0\x05hello";
        assert_eq!(read(&[whole], 5).await.unwrap(), "hello");
        for cut in 0..whole.len() {
            let (a, b) = whole.split_at(cut);
            assert_eq!(read(&[a, b], 5).await.unwrap(), "hello");
        }
        assert_eq!(read(&[b"\0\0\0\0\0"], 5).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_message_shares_the_bytes_that_came_in_one_piece() {
        let whole = Bytes::from_static(b"\0\0\0\0\x05hello");
        let body = Body::new(Full::new(whole.clone()));
        let read = read_message(&HeaderMap::new(), body, 5).await.unwrap();
        assert_eq!(read.as_ptr(), whole[PREFIX_BYTES..].as_ptr());
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        use RequestBodyError::*;
        assert!(matches!(read(&[], 5).await, Err(Truncated)));
        assert!(matches!(read(&[b"\0\0\0\0"], 5).await, Err(Truncated)));
        assert!(matches!(
            read(&[b"\0\0\0\0\x05hell"], 5).await,
            Err(Truncated)
        ));
        assert!(matches!(
            read(&[b"\x01\0\0\0\x01h"], 5).await,
            Err(Compressed)
        ));
        assert!(matches!(
            read(&[b"\0\xff\xff\xff\xff"], 5).await,
            Err(TooLarge {
                size: 0xffff_ffff,
                limit: 5
            })
        ));
        assert!(matches!(
            read(&[b"\0\0\0\0\x01hh"], 5).await,
            Err(TrailingBytes)
        ));
    }

    #[tokio::test]
    async fn a_compressed_request_is_refused_by_its_header() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
        let read = read_message(&headers, Body::empty(), 5).await;
        assert!(matches!(read, Err(RequestBodyError::Compressed)));
    }
}
