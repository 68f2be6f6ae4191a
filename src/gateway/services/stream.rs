//! Events of the bridge as messages of a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::Status;

use crate::{
    bridge::{
        dynamic::ValueStream,
        events::{Delivery, Pace},
    },
    gateway::status::GatewayError,
};

/// The stream of a response.
pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The messages of a stream of values, then a status.
pub(super) struct Messages<T> {
    values: ValueStream,
    pace: Pace,
    deadline: Option<Pin<Box<Sleep>>>,
    message: fn(&Delivery) -> Result<T, GatewayError>,
    object: String,
    member: String,
    ended: bool,
}

impl<T: 'static> Messages<T> {
    pub(super) fn stream(
        values: ValueStream,
        deadline: Option<Instant>,
        message: fn(&Delivery) -> Result<T, GatewayError>,
        (object, member): (String, String),
    ) -> Responses<T> {
        Box::pin(Self {
            values,
            pace: Pace::default(),
            deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
            message,
            object,
            member,
            ended: false,
        })
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, GatewayError>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(GatewayError::Deadline));
        }
        self.pace
            .poll_next(self.values.queue(), cx)
            .map(|next| match next {
                Ok(delivery) => (self.message)(&delivery),
                Err(end) => Err(GatewayError::Ended(end)),
            })
    }
}

impl<T: 'static> Stream for Messages<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        this.poll_message(cx).map(|message| {
            Some(message.map_err(|error| {
                this.ended = true;
                error.status_of(&this.object, &this.member)
            }))
        })
    }
}
