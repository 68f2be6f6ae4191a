//! Why a call or a subscription failed, split by blame.

use super::{dynamic::TargetError, events::End};
use crate::{
    qi::session::{CallError, ExportError, SendError},
    transcode::{RequestError, ResponseError},
};

/// Why a call or a subscription failed.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The client's request is not what the method takes. Nothing was sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An object of the client's request cannot be passed on to the robot. Nothing was sent.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The names in a dynamic request lead nowhere.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The service is away. Nothing was sent.
    #[error("the service is not available")]
    Unavailable,
    /// The stream was ended before the robot accepted it.
    #[error(transparent)]
    Ended(#[from] End),
    /// The call failed on its way, or at the robot.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The way to the object was lost once the method of a [`Through`](super::dynamic::Through) was
    /// called, whether or not the rest was sent: the connection is, the service went or was
    /// replaced, or the gateway shuts down.
    #[error("the way to the object was lost after target.through was called")]
    LostAfterThrough,
    /// The robot's answer is not what it declared.
    #[error("the answer is not what the robot declared")]
    Response(#[from] ResponseError),
}

impl BridgeError {
    /// The same, of the method that a dynamic request goes through.
    pub(crate) fn in_through(self) -> Self {
        match self {
            Self::Request(error) => Self::Request(error.inside("target.through")),
            other => other,
        }
    }

    /// The same, of what follows on the call of the method that a dynamic request goes through: it is
    /// not safe to try again, even if what follows was not sent.
    pub(crate) fn after_through(self) -> Self {
        match self {
            Self::Unavailable
            | Self::Ended(End::Disconnected | End::Changed | End::Shutdown)
            | Self::Call(CallError::NotSent(SendError::Closed(_)) | CallError::Lost(_))
            | Self::Export(ExportError::Closed) => Self::LostAfterThrough,
            other => other,
        }
    }
}
