//! Answers with many messages: the events of signals, and of properties that are watched.

use std::{
    collections::VecDeque,
    convert::Infallible,
    num::NonZeroUsize,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Response;
use http_body::{Body as HttpBody, Frame};
use prost::Message as _;
use tokio::time::{Instant, Sleep};
use tonic::{Status, body::Body};

use super::{
    duration::{duration, text},
    message::{self, PREFIX_BYTES, read_message},
    router::Incoming,
    status::GatewayError,
};
use crate::{
    bridge::{
        Route,
        events::{Delivery, EventQueue, OnDisconnect, Overflow, Pace, Policy, Subscription},
    },
    proto::v1,
    schema::MethodKind,
};

/// The number of the field `info` in every streamed message.
const INFO_FIELD: u32 = 1000;

/// From this size on, in bytes, an event's values are handed to the transport as shared bytes, in
/// a frame of their own. Below it, copying them is cheaper than two more frames.
const SHARE_BYTES: usize = 8 * 1024;

/// From this size on, in bytes, a frame is sent before more events are added to it: what is in a
/// frame can no longer be dropped for a reader that is slow.
const GATHER_BYTES: usize = 4 * 1024;

pub(crate) async fn handle(incoming: Incoming) -> Result<Response<Body>, GatewayError> {
    let Incoming {
        route,
        headers,
        body,
        format,
        deadline,
        max_request_bytes,
    } = incoming;
    let message = read_message(&headers, body, max_request_bytes).await?;
    let policy = Policy {
        format,
        ..policy(&message)?
    };
    let watch = route.method.schema().kind == MethodKind::WatchProperty;
    let subscription = route.service.subscribe(&route.method, policy, watch)?;
    subscription.registered().await?;
    if watch {
        let mut current = Vec::new();
        route
            .service
            .read_property(&route.method, format, &mut current)
            .await?;
        subscription
            .queue()
            .release(&current.into(), SystemTime::now());
    }
    let events = Generated {
        route,
        subscription,
    };
    Ok(events_response(events, deadline))
}

/// Where the events of an answer come from.
pub(crate) trait Events: Send + Unpin + 'static {
    /// Their queue. They are messages without the field `info`.
    fn queue(&self) -> &EventQueue;

    /// How an error is told that ends them.
    fn status(&self, error: &GatewayError) -> Status;
}

/// The events of a generated method.
struct Generated {
    route: Route,
    subscription: Subscription,
}

impl Events for Generated {
    fn queue(&self) -> &EventQueue {
        self.subscription.queue()
    }

    fn status(&self, error: &GatewayError) -> Status {
        error.status(&self.route)
    }
}

/// The answer of a stream that goes on until the deadline, if there is one.
pub(crate) fn events_response(events: impl Events, deadline: Option<Instant>) -> Response<Body> {
    message::response(Body::new(EventBody {
        events,
        pace: Pace::default(),
        deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
        frames: VecDeque::new(),
        ended: false,
    }))
}

/// A request for a stream: every generated one has the options as its only field.
#[derive(Clone, PartialEq, prost::Message)]
struct StreamRequest {
    #[prost(message, optional, tag = "1")]
    options: Option<v1::SubscribeOptions>,
}

/// Parses the options once into what the queue works with.
fn policy(message: &[u8]) -> Result<Policy, GatewayError> {
    let request = StreamRequest::decode(message).map_err(GatewayError::MalformedRequest)?;
    policy_of(request.options.unwrap_or_default())
}

pub(crate) fn policy_of(options: v1::SubscribeOptions) -> Result<Policy, GatewayError> {
    let mut policy = Policy::default();
    if let Some(size) = NonZeroUsize::new(options.queue_size as usize) {
        if size > Policy::MAX_QUEUE_SIZE {
            return Err(GatewayError::InvalidOption {
                field: "options.queue_size",
                given: size.to_string(),
                expected: "at most 16384",
            });
        }
        policy.queue_size = size;
    }
    policy.overflow = match options.overflow() {
        v1::Overflow::Unspecified | v1::Overflow::DropOldest => Overflow::DropOldest,
        v1::Overflow::DropNewest => Overflow::DropNewest,
        v1::Overflow::Fail => Overflow::Fail,
    };
    policy.on_disconnect = match options.on_disconnect() {
        v1::OnDisconnect::Unspecified | v1::OnDisconnect::Wait => OnDisconnect::Wait,
        v1::OnDisconnect::Fail => OnDisconnect::Fail,
    };
    if let Some(given) = options.min_interval {
        let interval = duration(given)
            .filter(|interval| *interval <= MAX_INTERVAL)
            .ok_or_else(|| GatewayError::InvalidOption {
                field: "options.min_interval",
                given: text(given),
                expected: "a time from 0 s to one day",
            })?;
        policy.min_interval = (!interval.is_zero()).then_some(interval);
    }
    Ok(policy)
}

/// The longest pause between two events that may be asked for.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer of a stream: its events as they come, then a status.
struct EventBody<E> {
    events: E,
    pace: Pace,
    deadline: Option<Pin<Box<Sleep>>>,
    /// What is left of the event that is being sent.
    frames: VecDeque<Bytes>,
    ended: bool,
}

impl<E: Events> EventBody<E> {
    /// An event with those that wait behind it, as one frame. A stream that is behind catches up
    /// with fewer frames, and h2 clients close connections that bring them many tiny ones.
    fn gather(&mut self, delivery: Delivery, cx: &mut Context<'_>) -> Bytes {
        let (first, mut rest) = frames(delivery);
        let mut gathered = BytesMut::from(first);
        while rest.is_none()
            && gathered.len() < GATHER_BYTES
            // The end of the queue is told again.
            && let Poll::Ready(Ok(next)) = self.pace.poll_next(self.events.queue(), cx)
        {
            let (next, next_rest) = frames(next);
            gathered.extend_from_slice(&next);
            rest = next_rest;
        }
        self.frames.extend(rest.into_iter().flatten());
        gathered.freeze()
    }

    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.ended = true;
        let trailers = message::status_trailers(status);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl<E: Events> HttpBody for EventBody<E> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if let Some(frame) = this.frames.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            let status = this.events.status(&GatewayError::Deadline);
            return this.end(&status);
        }
        match this.pace.poll_next(this.events.queue(), cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(delivery)) => {
                Poll::Ready(Some(Ok(Frame::data(this.gather(delivery, cx)))))
            }
            Poll::Ready(Err(end)) => {
                let status = this.events.status(&GatewayError::Ended(end));
                this.end(&status)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.frames.is_empty()
    }
}

/// What the stream tells of an event.
fn info(delivery: &Delivery) -> v1::EventInfo {
    v1::EventInfo {
        sequence: delivery.sequence,
        dropped: delivery.dropped,
        received_at: Some(delivery.received_at.into()),
        gap: delivery.gap,
    }
}

/// The bytes of an event: prefix, values, info. Large values stay shared, in a frame of their own.
fn frames(delivery: Delivery) -> (Bytes, Option<[Bytes; 2]>) {
    let info = info(&delivery);
    let info_bytes = prost::encoding::message::encoded_len(INFO_FIELD, &info);
    let prefix = message::prefix(delivery.body.len() + info_bytes);
    let shared = delivery.body.len() >= SHARE_BYTES;
    let copied = if shared { 0 } else { delivery.body.len() };
    let mut first = BytesMut::with_capacity(PREFIX_BYTES + copied + info_bytes);
    first.put_slice(&prefix);
    if shared {
        let mut last = first.split_off(PREFIX_BYTES);
        prost::encoding::message::encode(INFO_FIELD, &info, &mut last);
        return (first.freeze(), Some([delivery.body, last.freeze()]));
    }
    first.put_slice(&delivery.body);
    prost::encoding::message::encode(INFO_FIELD, &info, &mut first);
    (first.freeze(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(body: Bytes) -> Delivery {
        Delivery {
            body,
            sequence: 3,
            dropped: 1,
            received_at: SystemTime::UNIX_EPOCH,
            gap: true,
        }
    }

    #[test]
    fn large_values_are_shared_and_small_ones_copied() {
        let small = Bytes::from_static(&[8, 42]);
        let (whole, rest) = frames(delivery(small.clone()));
        assert!(rest.is_none());

        let large = Bytes::from([&small[..]; SHARE_BYTES].concat());
        let (prefix, rest) = frames(delivery(large.clone()));
        let [body, info] = rest.expect("frames of their own");
        assert_eq!(body.as_ptr(), large.as_ptr());
        assert_eq!(info, whole[PREFIX_BYTES + small.len()..]);
        assert_eq!(
            prefix,
            message::prefix(large.len() + info.len()).as_slice(),
            "the prefix counts all three frames"
        );
    }

    #[test]
    fn options_out_of_range_name_their_field() {
        let request = |options| {
            StreamRequest {
                options: Some(options),
            }
            .encode_to_vec()
        };
        let refused = policy(&request(v1::SubscribeOptions {
            queue_size: 1 << 30,
            ..Default::default()
        }));
        assert!(matches!(
            refused,
            Err(GatewayError::InvalidOption {
                field: "options.queue_size",
                ..
            })
        ));
        for seconds in [-1, i64::MIN, i64::MAX] {
            let refused = policy(&request(v1::SubscribeOptions {
                min_interval: Some(prost_types::Duration { seconds, nanos: 0 }),
                ..Default::default()
            }));
            assert!(matches!(
                refused,
                Err(GatewayError::InvalidOption {
                    field: "options.min_interval",
                    ..
                })
            ));
        }
        assert_eq!(policy(&[]).ok(), Some(Policy::default()));
    }
}
