//! What a running method can know of its cancellation.

use tokio_util::sync::CancellationToken;

use super::MethodError;

/// Tells a method that occupies a thread that nobody wants its result any more: the caller
/// cancelled the call or is gone, or the service left the bus.
#[derive(Clone, Debug)]
pub struct Cancellation(CancellationToken);

impl Cancellation {
    pub(super) const fn new(token: CancellationToken) -> Self {
        Self(token)
    }

    /// Whether nobody wants the result any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Ends a method with `?` if nobody wants the result any more.
    ///
    /// # Errors
    ///
    /// [`MethodError::Canceled`].
    pub fn check(&self) -> Result<(), MethodError> {
        match self.is_cancelled() {
            true => Err(MethodError::Canceled),
            false => Ok(()),
        }
    }
}
