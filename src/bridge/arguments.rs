//! Arguments for one object of the robot, with the objects that clients name in them.
//!
//! An object that a client holds has an address on the connection that it came through. The callee
//! may be another process, or the same one under another number: so it gets an object of ours that
//! forwards everything (protocol text, section 13), and the client's is in use as long as the robot
//! holds that.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    BridgeError,
    objects::{ObjectTable, ObjectUse},
};
use crate::{
    qi::{
        host::{HostedObject, Origin},
        session::{Call, Export, ExportError, RemoteObject},
        value::{
            AsObject as _, ObjectReference, Value,
            codec::{EncodeContext, encode_object},
        },
        wire::{ActionId, Limits, Writer},
    },
    transcode::{ObjectSource, RequestContext, RequestError, UnknownObject},
};

/// What a call, or the setting of a property, is sent with.
#[derive(Debug)]
pub(crate) struct Arguments {
    payload: Bytes,
    /// Taken back unless they are sent.
    exports: Vec<Export>,
}

impl Arguments {
    /// Writes what goes to `callee`.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Request`], [`BridgeError::Export`].
    pub(crate) fn write(
        callee: &RemoteObject,
        objects: &Arc<ObjectTable>,
        (limits, capacity): (Limits, usize),
        write: impl FnOnce(&mut RequestContext<'_>, &mut Writer) -> Result<(), RequestError>,
    ) -> Result<Self, BridgeError> {
        let mut passed = PassedOn {
            callee,
            objects,
            exports: Vec::new(),
            failed: None,
        };
        let mut context = RequestContext {
            objects: &mut passed,
            limits,
        };
        let mut out = Writer::with_capacity(capacity);
        let written = write(&mut context, &mut out);
        match passed.failed {
            Some(error) => Err(error.into()),
            None => {
                written?;
                Ok(Self {
                    payload: out.finish(),
                    exports: passed.exports,
                })
            }
        }
    }

    /// The bytes alone, where they are not sent.
    pub(crate) const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Calls a method of the object that they were written for.
    pub(crate) fn call(self, callee: &RemoteObject, method: ActionId) -> Call {
        let call = callee.call(method, self.payload);
        keep(self.exports, call)
    }

    /// Sets a property of the object that they were written for.
    pub(crate) fn set_property(self, callee: &RemoteObject, property: ActionId) -> Call {
        let call = callee.set_property(property, &self.payload);
        keep(self.exports, call)
    }
}

/// The robot holds what it was sent.
fn keep(exports: Vec<Export>, call: Call) -> Call {
    if !call.is_refused() {
        exports.into_iter().for_each(Export::keep);
    }
    call
}

/// Passes the objects that clients hold on to a callee.
struct PassedOn<'a> {
    callee: &'a RemoteObject,
    objects: &'a Arc<ObjectTable>,
    exports: Vec<Export>,
    /// Why an object that is there cannot be passed on; the source can only say that it is not.
    failed: Option<ExportError>,
}

impl PassedOn<'_> {
    /// Objects are of this process, so that the error is the peer's or ours, not the client's.
    fn export(&mut self, held: ObjectUse) -> Result<ObjectReference, UnknownObject> {
        let origin = held.object().remote().ok_or(UnknownObject)?;
        let (meta, uid) = (Arc::clone(origin.meta()), origin.uid());
        let forwarding = HostedObject::forwarding(meta, uid, Arc::new(held));
        let value = Value::from(forwarding.map_err(|_| UnknownObject)?);
        let live = value.as_live().ok_or(UnknownObject)?;
        let export = self.callee.connection().export(self.callee.service(), live);
        let export = export.map_err(|error| {
            self.failed = Some(error);
            UnknownObject
        })?;
        let reference = export.reference().clone();
        self.exports.push(export);
        Ok(reference)
    }
}

impl ObjectSource for PassedOn<'_> {
    fn write(&mut self, id: &str, out: &mut Writer) -> Result<(), UnknownObject> {
        let reference = if id.is_empty() {
            ObjectReference::null(self.callee.service())
        } else {
            let held = self.objects.hold(id).map_err(|_| UnknownObject)?;
            self.export(held)?
        };
        let encoding = self.callee.connection().object_encoding();
        let mut context = EncodeContext::new(encoding, Limits::default());
        encode_object(&reference, &mut context, out).map_err(|_| UnknownObject)
    }
}

impl Origin for ObjectUse {
    fn object(&self) -> Option<RemoteObject> {
        self.object().remote()
    }
}
