//! Why a call or a subscription failed, split by blame.

use super::dynamic::TargetError;
use crate::{
    qi::session::{CallError, ExportError},
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
    /// The call failed on its way, or at the robot.
    #[error(transparent)]
    Call(#[from] CallError),
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

    /// Whether nothing was sent because the service is away: safe to try again.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::Call(CallError::NotSent { .. })
                | Self::Export(ExportError::Closed)
        )
    }
}
