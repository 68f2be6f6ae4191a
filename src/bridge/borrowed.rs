//! Objects that the gateway asked for itself, and gives back.

use super::{BridgeError, dynamic::TargetError, objects::ReturningCall};
use crate::{
    qi::{
        session::{Connection, RemoteObject, Reply},
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
        call: ReturningCall<'_>,
        connection: &Connection,
        returned: &Signature,
        method: &str,
    ) -> Result<Self, BridgeError> {
        let reply = call.await?;
        // From here to the end nothing waits: the objects are owned as soon as they are here.
        let mut objects = objects_of(&reply, connection, Some(returned))?;
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
        // Where it cannot be sent, the object goes with the connection.
        let _ = self.0.terminate();
    }
}

/// The objects in a reply, two at most; the others are given back at once. Without a type it is a
/// dynamic.
pub(crate) fn objects_of(
    reply: &Reply,
    connection: &Connection,
    returned: Option<&Signature>,
) -> Result<Vec<Borrowed>, BridgeError> {
    let mut sink = BorrowingSink {
        connection,
        objects: Vec::new(),
    };
    let limits: Limits = connection.limits().wire;
    let mut context = ResponseContext::new(&mut sink, connection.object_encoding());
    context.limits = limits;
    let mut unused = Vec::new();
    match returned {
        Some(returned) if !reply.flags.contains(Flags::DYNAMIC_PAYLOAD) => {
            typed_to_value(&reply.payload, returned, &mut context, &mut unused)?;
        }
        _ => dynamic_to_value(&reply.payload, &mut context, &mut unused)?,
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
        let object = RemoteObject::new(connection, object.service, object.object, object.meta);
        let object = Borrowed(object);
        // More than one is an error, however many: the others are released at once.
        if self.objects.len() < 2 {
            self.objects.push(object);
        }
        String::new()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{
        bridge::{
            objects::Returns,
            sample::{self, Peer, expect},
        },
        qi::{
            value::{
                ObjectUid, Type, Value,
                codec::{EncodeContext, encode},
            },
            wire::{ActionId, Kind, Message, ObjectId, ServiceId, Writer},
        },
    };

    const MAKE: ActionId = ActionId(100);

    fn returned() -> Signature {
        "o".parse().unwrap()
    }

    /// Answers a call with a `Sample` of that number, or with a list of several.
    pub(crate) async fn reply(
        peer: &mut Peer,
        connection: &Connection,
        call: &Message,
        objects: &[u32],
    ) {
        let payload = encoded(connection, objects);
        let reply = Message::new(Kind::Reply, call.id, call.address, payload);
        peer.send(&reply).await.unwrap();
    }

    /// An object, or a list of several, as the result of a call.
    pub(crate) fn encoded(connection: &Connection, objects: &[u32]) -> Bytes {
        let encoding = connection.object_encoding();
        let object = |number: &u32| {
            Value::Object(Box::new(ObjectReference {
                meta: Arc::new(sample::meta()),
                service: ServiceId(7),
                object: ObjectId(*number),
                uid: encoding.object_uid.then_some(ObjectUid([1; 20])),
            }))
        };
        let mut out = Writer::new();
        let mut context = EncodeContext::new(encoding, Limits::default());
        if let [only] = objects {
            encode(&object(only), &Type::Object, &mut context, &mut out).unwrap();
        } else {
            let list = Value::List(objects.iter().map(object).collect());
            let ty = Type::List(Box::new(Type::Object));
            encode(&list, &ty, &mut context, &mut out).unwrap();
        }
        out.finish()
    }

    async fn terminated(peer: &mut Peer, object: u32) {
        let message = expect(peer, 7, ActionId::TERMINATE).await;
        assert_eq!(message.kind, Kind::Post);
        assert_eq!(message.address.object, ObjectId(object));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_borrowed_is_given_back() {
        let (connection, mut peer) = sample::connection();
        let link = sample::link(&connection, 7);
        let (objects, returned) = (sample::objects(), returned());
        let call = link.object().call(MAKE, Bytes::new());
        let call = objects.returning(call, &connection, Returns::Value(&returned));
        let borrowing = Borrowed::from_call(call, &connection, &returned, "make");
        let answering = async {
            let call = expect(&mut peer, 7, MAKE).await;
            reply(&mut peer, &connection, &call, &[5]).await;
        };
        let (borrowed, ()) = tokio::join!(borrowing, answering);
        let borrowed = borrowed.unwrap();
        assert_eq!(borrowed.object().object(), ObjectId(5));
        drop(borrowed);
        terminated(&mut peer, 5).await;
    }

    /// The answer may be on its way when the client goes: nobody else knows the object then.
    #[tokio::test(start_paused = true)]
    async fn what_comes_too_late_is_given_back_too() {
        let (connection, mut peer) = sample::connection();
        let link = sample::link(&connection, 7);
        let (objects, returned) = (sample::objects(), returned());
        let call = link.object().call(MAKE, Bytes::new());
        let call = objects.returning(call, &connection, Returns::Value(&returned));
        let pause = std::time::Duration::from_secs(1);
        let borrowing = Borrowed::from_call(call, &connection, &returned, "make");
        let abandoned = tokio::time::timeout(pause, borrowing).await;
        assert!(abandoned.is_err());
        let call = expect(&mut peer, 7, MAKE).await;
        reply(&mut peer, &connection, &call, &[6]).await;
        let mut next = peer.receive().await.unwrap();
        if next.kind == Kind::Cancel {
            next = peer.receive().await.unwrap();
        }
        assert_eq!(next.address.action, ActionId::TERMINATE);
        assert_eq!(next.address.object, ObjectId(6));
    }
}
