//! When the process is asked to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// Completes at the first SIGTERM or SIGINT. The next one ends the process at once, for who does
/// not want to wait for the grace period.
///
/// # Errors
///
/// The signals cannot be listened to.
pub(super) fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(EXIT_AT_ONCE);
        });
    })
}

/// What a shell gives for a process that SIGINT ended.
const EXIT_AT_ONCE: i32 = 130;
