//! Calls that return objects, and clients that do not wait for them.
//!
//! A client that goes away, or whose deadline passes, has its call cancelled. The robot may have
//! done it already, and an object that comes then is known to nobody: without a lease it would stay
//! at the robot as long as the connection does.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::debug;

use crate::{
    bridge::borrowed::objects_of,
    qi::{
        session::{Call, CallError, Connection, Reply},
        value::{Signature, Type},
    },
};

/// How many answers are awaited at a time that no client waits for. Each holds the place of a pending
/// call, of which a connection has 16,384: clients that give up calls shall not use them up.
const MAX_LATE_ANSWERS: usize = 1024;

/// How long such an answer is awaited. A robot that was asked to cancel a call answers within
/// milliseconds, or when the method is done.
const LATE_ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits for the answers that no client waits for.
#[derive(Debug)]
pub(super) struct LateAnswers(Arc<Semaphore>);

impl Default for LateAnswers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LATE_ANSWERS)))
    }
}

/// A call, whose result may hold objects. Dropped before the answer it is cancelled, and the objects
/// that come nevertheless are given back.
#[derive(Debug)]
pub(crate) struct ReturningCall<'a> {
    /// None once it was answered.
    call: Option<Call>,
    connection: &'a Connection,
    returns: Returns<'a>,
    late: &'a LateAnswers,
}

/// What the answer of a call is, if it is no error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Returns<'a> {
    /// Nothing.
    Nothing,
    /// A value of a type.
    Value(&'a Signature),
    /// A dynamic: a property.
    Dynamic,
}

impl Returns<'_> {
    /// The type of the value; none for a dynamic.
    pub(crate) fn signature(&self) -> Option<&Signature> {
        match self {
            Self::Value(signature) => Some(signature),
            Self::Nothing | Self::Dynamic => None,
        }
    }

    /// Whether it may hold an object.
    fn may_hold_object(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Value(signature) => may_hold_object(signature.ty()),
            Self::Dynamic => true,
        }
    }
}

impl<'a> ReturningCall<'a> {
    pub(super) const fn new(
        call: Call,
        connection: &'a Connection,
        returns: Returns<'a>,
        late: &'a LateAnswers,
    ) -> Self {
        Self {
            call: Some(call),
            connection,
            returns,
            late,
        }
    }
}

impl Future for ReturningCall<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A future that has given its result is not to be polled again.
        let Some(call) = &mut self.call else {
            return Poll::Pending;
        };
        let answer = Pin::new(call).poll(cx);
        if answer.is_ready() {
            self.call = None;
        }
        answer
    }
}

impl Drop for ReturningCall<'_> {
    fn drop(&mut self) {
        // Where it is not awaited, dropping the call cancels it too.
        if let Some(call) = self.call.take()
            && self.returns.may_hold_object()
            && let Ok(permit) = Arc::clone(&self.late.0).try_acquire_owned()
            && let Ok(runtime) = Handle::try_current()
        {
            let connection = self.connection.clone();
            let returned = self.returns.signature().cloned();
            // Ends by itself in time, and with the connection before.
            runtime.spawn(give_back(call, connection, returned, permit));
        }
    }
}

/// Cancels a call, and gives back what it returns nevertheless.
async fn give_back(
    call: Call,
    connection: Connection,
    returned: Option<Signature>,
    _permit: OwnedSemaphorePermit,
) {
    call.cancel();
    if let Ok(Ok(reply)) = timeout(LATE_ANSWER_TIMEOUT, call).await
        && let Ok(objects) = objects_of(&reply, &connection, returned.as_ref())
        && !objects.is_empty()
    {
        debug!("an object came for a client that has gone, and was given back");
    }
}

/// Whether a value of that type may hold an object: a dynamic may.
fn may_hold_object(ty: &Type) -> bool {
    match ty {
        Type::Object | Type::Dynamic => true,
        Type::List(item) | Type::VarArgs(item) | Type::KwArgs(item) | Type::Optional(item) => {
            may_hold_object(item)
        }
        Type::Map(entry) => may_hold_object(&entry.0) || may_hold_object(&entry.1),
        Type::Tuple(tuple) => tuple.elements.iter().any(may_hold_object),
        Type::Void
        | Type::None
        | Type::Unknown
        | Type::Bool
        | Type::Int8
        | Type::UInt8
        | Type::Int16
        | Type::UInt16
        | Type::Int32
        | Type::UInt32
        | Type::Int64
        | Type::UInt64
        | Type::Float
        | Type::Double
        | Type::String
        | Type::Raw => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        bridge::{
            borrowed::tests::{encoded, reply},
            sample::{self, MOOD, expect},
        },
        qi::wire::{ActionId, Kind, ObjectId},
    };

    const MAKE: ActionId = ActionId(100);

    /// An object was once lost at the robot whenever a client went away while it was being made.
    #[tokio::test(start_paused = true)]
    async fn an_object_that_nobody_waits_for_is_given_back() {
        let (connection, mut peer) = sample::connection();
        let link = sample::link(&connection, 7);
        let late = LateAnswers::default();
        let returned = "[o]".parse().unwrap();
        for lists in ["o", "m", "(io)", "{so}", "+o", "[[o]]"] {
            let returned: Signature = lists.parse().unwrap();
            assert!(may_hold_object(returned.ty()), "{lists}");
        }
        let waiting = |returned| {
            let call = link.object().call(MAKE, Bytes::new());
            ReturningCall::new(call, &connection, Returns::Value(returned), &late)
        };
        drop(waiting(&returned));
        let call = expect(&mut peer, 7, MAKE).await;
        assert_eq!(late.0.available_permits(), MAX_LATE_ANSWERS - 1);
        reply(&mut peer, &connection, &call, &[5, 6, 7]).await;
        let mut given_back = Vec::new();
        while given_back.len() < 3 {
            let message = peer.receive().await.unwrap();
            if message.kind != Kind::Cancel {
                assert_eq!(message.address.action, ActionId::TERMINATE);
                given_back.push(message.address.object);
            }
        }
        given_back.sort_unstable();
        assert_eq!(given_back, [ObjectId(5), ObjectId(6), ObjectId(7)]);

        let number = "(i[s])".parse().unwrap();
        drop(waiting(&number));
        expect(&mut peer, 7, MAKE).await;
        drop(peer);
        connection.closed().await;
        assert_eq!(late.0.available_permits(), MAX_LATE_ANSWERS);
    }
    #[tokio::test(start_paused = true)]
    async fn the_object_in_a_property_that_nobody_waits_for_is_given_back() {
        let (connection, mut peer) = sample::connection();
        let link = sample::link(&connection, 7);
        let late = LateAnswers::default();
        let read = link.object().property(MOOD);
        drop(ReturningCall::new(
            read,
            &connection,
            Returns::Dynamic,
            &late,
        ));
        let call = expect(&mut peer, 7, ActionId::PROPERTY).await;
        let value = [&b"\x01\0\0\0o"[..], &encoded(&connection, &[5])].concat();
        let answer = call.answer(Kind::Reply, value.into());
        peer.send(&answer).await.unwrap();
        let mut told = peer.receive().await.unwrap();
        if told.kind == Kind::Cancel {
            told = peer.receive().await.unwrap();
        }
        assert_eq!(told.address.action, ActionId::TERMINATE);
        assert_eq!(told.address.object, ObjectId(5));
    }
}
