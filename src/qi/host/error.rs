//! Why something cannot be hosted, and what callers are told.

use std::{io, sync::Arc};

use tokio::time::error::Elapsed;

use crate::qi::{
    session::{CallError, CloseReason, ExportError},
    value::{
        Signature, SignatureError,
        codec::{DecodeError, EncodeError},
        convert::ConvertError,
    },
    wire::{ReadError, ServiceId, TooLong},
};

/// Why an object cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BuildError {
    /// The signature of a member is none.
    #[error("the signature of {name}: {source}")]
    Signature {
        /// The member.
        name: String,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// What a member takes or emits is neither a tuple nor `m` (section 11).
    #[error("{name} takes {signature}, which is neither a tuple nor m")]
    NotArguments {
        /// The member.
        name: String,
        /// Its signature.
        signature: Signature,
    },
    /// Two members of one kind cannot be told apart.
    #[error("there is a {name} already")]
    Duplicate {
        /// Their name.
        name: String,
    },
    /// A property's first value is not of its type.
    #[error("the value of {name}: {source}")]
    Value {
        /// The property.
        name: String,
        /// What is wrong with the value.
        source: ValueError,
    },
    /// What the object says about itself does not fit into a message.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Why a value cannot be emitted, stored or returned.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ValueError {
    /// It is not of the declared type, and cannot be made one.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It cannot be converted to the declared type.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// It holds the address of an object, [`crate::qi::value::Value::Object`], which means nothing
    /// on other connections. [`crate::qi::session::RemoteObject`]s can be passed on.
    #[error("the value holds the address of an object")]
    Object,
    /// It holds an object that the receiver cannot be given.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Why a host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The address is no `tcp://host:port`.
    #[error("{url} is no address of a host: tcp://host:port is expected")]
    Url {
        /// The address.
        url: String,
    },
    /// The address cannot be listened on: in use, or not of this machine.
    #[error("cannot listen on {url}: {source}")]
    Listen {
        /// The address.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// All interfaces are listened on, but nothing says under which addresses others reach us.
    #[error("{url} is no address that others can reach: name one to advertise")]
    NothingToAdvertise {
        /// The address.
        url: String,
    },
}

/// Why a service is not on the bus.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another service has the name.
    #[error("the service directory: {text}")]
    NameTaken {
        /// The name.
        name: String,
        /// What the directory says.
        text: String,
    },
    /// The directory did not do as it was asked, or the connection was lost.
    #[error("the service directory: {0}")]
    Directory(#[from] CallError),
    /// The directory gave no number.
    #[error("the number of the service: {0}")]
    Number(#[from] ReadError),
    /// The directory has no method of this name.
    #[error("the service directory has no method {method}")]
    NoMethod {
        /// The method.
        method: &'static str,
    },
    /// The directory wants to know something else of services than is known.
    #[error("the service directory wants services described as {signature}")]
    UnknownForm {
        /// What its registerService takes.
        signature: Signature,
    },
    /// The description of the service does not fit into a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The host has a service of this number already, from another directory.
    #[error("there is a service {id} already; each bus needs a host of its own")]
    NumberTaken {
        /// The number.
        id: ServiceId,
    },
    /// The host is gone, or there will be no session any more.
    #[error("the host is gone, or there will be no session with the bus any more")]
    Over,
}

/// Why the directory may still list a service that left the bus.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaveError {
    /// The directory did not do as it was asked, or the connection was lost.
    #[error("the service directory: {0}")]
    Directory(#[from] CallError),
    /// The directory did not answer in time. It forgets the service at the end of the session at
    /// the latest.
    #[error("the service directory does not answer")]
    TimedOut,
}

impl From<Elapsed> for LeaveError {
    fn from(_: Elapsed) -> Self {
        Self::TimedOut
    }
}

/// Why a peer was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum AcceptError {
    /// The connection ended.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// It said too little in the time that it had.
    #[error("not authenticated in time")]
    TimedOut,
    /// Its capabilities cannot be read (section 9).
    #[error("its capabilities: {0}")]
    Malformed(#[from] DecodeError),
    /// It was refused.
    #[error("refused")]
    Refused,
    /// Our part does not fit into a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Closed(CloseReason::Io(Arc::new(error)))
    }
}

/// What callers are told; libqi's texts, which clients may know (sections 2, 4 and 12).
pub(super) mod text {
    pub(in super::super) const VERSION: &str = "Cannot negotiate QiMessaging connection: remote \
         end doesn't support binary protocol v1";
    pub(in super::super) const TRUNCATED: &str = "ISerialization error Status Read Past End";
    pub(in super::super) const NOT_ARGUMENTS: &str = "Expected tuple, list or map";
    pub(in super::super) const TOO_MANY_ARGUMENTS: &str = "Too many arguments";
    pub(in super::super) const NO_SIGNAL: &str = "No such signal";
    pub(in super::super) const NO_PROPERTY: &str = "property: Id is not id of a property";
    pub(in super::super) const NO_SET_PROPERTY: &str = "setProperty: Id is not id of a property";
    pub(in super::super) const PROPERTY_KEY: &str = "Expected int or string for property index";
    pub(in super::super) const NO_VALUE: &str = "Uncaught error: The value is invalid.";

    /// What libqi said before it waited without end.
    pub(in super::super) const LOCK: &str = "Time-out acquiring lock. Deadlock?";
    pub(in super::super) const NOT_CONNECTED: &str = "Socket is not connected";
    pub(in super::super) const EMPTY_DYNAMIC: &str = "NULL type";

    // Ours: libqi has no such limits.
    pub(in super::super) const BUSY: &str = "Too many calls are waiting for the service";
    pub(in super::super) const CALLS: &str = "Too many calls are waiting on this connection";
    pub(in super::super) const REGISTRATIONS: &str = "Too many registrations on this connection";
    pub(in super::super) const GONE: &str = "The service left the bus";
}
