//! Objects that the gateway asked for itself, and gives back.

use tokio::sync::oneshot;

use super::{BridgeError, dynamic::TargetError};
use crate::{
    qi::{
        session::{Call, Connection, RemoteObject, Reply},
        value::{ObjectReference, Signature},
        wire::{Flags, Limits},
    },
    transcode::{ObjectSink, ResponseContext, dynamic_to_value, typed_to_value},
};

/// An object that a method returned for the gateway's own use. Dropping it tells the robot that it
/// is needed no more.
#[derive(Debug)]
pub(crate) struct Borrowed(RemoteObject);

impl Borrowed {
    pub(crate) const fn object(&self) -> &RemoteObject {
        &self.0
    }

    /// Waits for the object that a call returns; `method` is its name.
    ///
    /// # Errors
    ///
    /// [`BridgeError`], [`TargetError::NotAnObject`] if it does not return one.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call is cancelled, and if it returns an object nevertheless, that is released.
    pub(crate) async fn from_call(
        call: Call,
        connection: &Connection,
        returned: &Signature,
        method: &str,
    ) -> Result<Self, BridgeError> {
        let (sender, receiver) = oneshot::channel();
        // Ends with the call, which ends with its connection at the latest.
        tokio::spawn(answer(call, connection.clone(), returned.clone(), sender));
        let mut objects = receiver.await.unwrap_or(Err(BridgeError::Unavailable))?;
        match (objects.pop(), objects.is_empty()) {
            (Some(object), true) => Ok(object),
            _ => Err(TargetError::NotAnObject {
                method: method.to_owned(),
            }
            .into()),
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Where it cannot be sent, the connection is over and its objects with it.
        let _ = self.0.terminate();
    }
}

type Answer = Result<Vec<Borrowed>, BridgeError>;

/// Waits for the answer even if nobody wants it any more: what came with it must be given back.
async fn answer(
    mut call: Call,
    connection: Connection,
    returned: Signature,
    mut sender: oneshot::Sender<Answer>,
) {
    let answered = tokio::select! {
        answered = &mut call => answered,
        () = sender.closed() => {
            call.cancel();
            call.await
        }
    };
    let objects = answered
        .map_err(BridgeError::from)
        .and_then(|reply| objects_of(&reply, &connection, &returned));
    // Those that nobody receives are dropped, and so released.
    drop(sender.send(objects));
}

/// All the objects in a reply.
fn objects_of(reply: &Reply, connection: &Connection, returned: &Signature) -> Answer {
    let mut sink = BorrowingSink {
        connection,
        objects: Vec::new(),
    };
    let limits: Limits = connection.limits().wire;
    let mut context = ResponseContext::new(&mut sink, connection.object_encoding());
    context.limits = limits;
    let mut unused = Vec::new();
    if reply.flags.contains(Flags::DYNAMIC_PAYLOAD) {
        dynamic_to_value(&reply.payload, &mut context, &mut unused)?;
    } else {
        typed_to_value(&reply.payload, returned, &mut context, &mut unused)?;
    }
    Ok(sink.objects)
}

struct BorrowingSink<'a> {
    connection: &'a Connection,
    objects: Vec<Borrowed>,
}

impl ObjectSink for BorrowingSink<'_> {
    fn adopt(&mut self, object: ObjectReference) -> String {
        let connection = self.connection.clone();
        self.objects.push(Borrowed(RemoteObject::new(
            connection,
            object.service,
            object.object,
            object.meta,
        )));
        String::new()
    }
}
