//! The calls of a single-threaded object: one after the other, in the order of arrival.

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};

use super::{call::Call, error::text, peer::Waiting, runner::run_call};

/// The calls that wait for their turn.
#[derive(Debug)]
pub(super) struct Turns {
    arriving: mpsc::Receiver<Arc<Waiting>>,
    /// Those that arrived while another ran; only where they may not wait for ever.
    waiting: VecDeque<(Instant, Arc<Waiting>)>,
    lock_timeout: Option<Duration>,
}

impl Turns {
    pub(super) const fn new(
        arriving: mpsc::Receiver<Arc<Waiting>>,
        lock_timeout: Option<Duration>,
    ) -> Self {
        Self {
            arriving,
            waiting: VecDeque::new(),
            lock_timeout,
        }
    }

    /// Runs one call after the other, until no more can come.
    pub(super) async fn run(mut self, threads: Arc<Semaphore>) {
        while let Some(waiting) = self.next().await {
            // None if it was cancelled meanwhile.
            let call = waiting.lock().take();
            let Some(call) = call else {
                continue;
            };
            let mut running = pin!(run_call(call, Arc::clone(&threads)));
            match self.lock_timeout {
                None => running.await,
                Some(patience) => tokio::select! {
                    biased;
                    () = &mut running => {}
                    () = self.refuse_late(patience) => {}
                },
            }
        }
    }

    async fn next(&mut self) -> Option<Arc<Waiting>> {
        match self.waiting.pop_front() {
            Some((_, waiting)) => Some(waiting),
            None => self.arriving.recv().await,
        }
    }

    /// Refuses each call that waits too long; does not end. The first to arrive is the first to be
    /// late, since all wait equally long.
    async fn refuse_late(&mut self, patience: Duration) {
        // Those that were cancelled still take a place here.
        let places = self.arriving.max_capacity();
        loop {
            let late = self.waiting.front().map(|(late, _)| *late);
            tokio::select! {
                Some(waiting) = self.arriving.recv(), if self.waiting.len() < places => {
                    self.waiting.push_back((Instant::now() + patience, waiting));
                }
                () = sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => {
                    let waiting = self.waiting.pop_front();
                    let call = waiting.and_then(|(_, waiting)| waiting.lock().take());
                    call.into_iter().for_each(|call: Call| call.refuse(text::LOCK));
                }
                else => std::future::pending().await,
            }
        }
    }
}
