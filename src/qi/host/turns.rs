//! The calls of a single-threaded object: one after the other, in the order of arrival.

use std::{collections::VecDeque, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore},
    task::coop::consume_budget,
    time::{Instant, sleep_until},
};

use super::{call::Call, error::text, peer::Waiting, runner::run_call};

/// The calls that wait for their turn, until the runner of the object closes it.
#[derive(Debug)]
pub(super) struct Line {
    places: Mutex<Places>,
    /// Wakes the task that runs the calls, the only one that waits for it.
    changed: Notify,
    /// From how many places on those of cancelled calls are cleared.
    crowded: usize,
}

#[derive(Debug, Default)]
struct Places {
    waiting: VecDeque<Place>,
    closed: bool,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    call: Arc<Waiting>,
}

impl Line {
    /// For at most `calls` calls that wait at the same time; more are not kept out here. As many
    /// cancelled ones may be between them, so that clearing them costs each call little.
    pub(super) fn new(calls: usize) -> Self {
        Self {
            places: Mutex::default(),
            changed: Notify::new(),
            crowded: calls.saturating_mul(2),
        }
    }

    /// Takes the last place. Fails the call if nobody will run it any more.
    pub(super) fn join(&self, call: Arc<Waiting>) {
        let since = Instant::now();
        let mut places = self.places.lock();
        if places.closed {
            // The call, which is answered then, may come back for the lock.
            drop(places);
            return;
        }
        if places.waiting.len() >= self.crowded {
            let still_waits = |place: &Place| place.call.lock().is_some();
            places.waiting.retain(still_waits);
        }
        places.waiting.push_back(Place { since, call });
        drop(places);
        self.changed.notify_one();
    }

    /// Ends the task that runs the calls, once it has nothing to do.
    pub(super) fn close(&self) {
        self.places.lock().closed = true;
        self.changed.notify_one();
    }

    /// The first call, as soon as there is one; none at the end.
    async fn next(&self) -> Option<Arc<Waiting>> {
        // Nothing else here lets others run, where no call has to wait.
        consume_budget().await;
        loop {
            {
                let mut places = self.places.lock();
                match places.waiting.pop_front() {
                    Some(first) => return Some(first.call),
                    None if places.closed => return None,
                    None => {}
                }
            }
            self.changed.notified().await;
        }
    }

    /// When the first call is late; none if there is none, or if it never is.
    fn first_late(&self, patience: Duration) -> Option<Instant> {
        let places = self.places.lock();
        places.waiting.front()?.since.checked_add(patience)
    }

    /// The first call, if it is late.
    fn late(&self, patience: Duration) -> Option<Arc<Waiting>> {
        let mut places = self.places.lock();
        let first = places.waiting.front()?;
        let is_late = first.since.elapsed() >= patience;
        is_late
            .then(|| places.waiting.pop_front())?
            .map(|it| it.call)
    }
}

/// What runs the calls of a [`Line`].
#[derive(Debug)]
pub(super) struct Turns {
    line: Arc<Line>,
    lock_timeout: Option<Duration>,
}

impl Turns {
    pub(super) const fn new(line: Arc<Line>, lock_timeout: Option<Duration>) -> Self {
        Self { line, lock_timeout }
    }

    /// Runs one call after the other, until no more can come.
    pub(super) async fn run(self, threads: Arc<Semaphore>) {
        while let Some(waiting) = self.line.next().await {
            // None if it was cancelled meanwhile.
            let call = waiting.lock().take();
            let Some(call) = call else {
                continue;
            };
            // What a destructor of a method's future does must not end the object.
            let running = AssertUnwindSafe(run_call(call, Arc::clone(&threads)));
            let mut running = pin!(running.catch_unwind());
            match self.lock_timeout {
                None => drop(running.await),
                Some(patience) => tokio::select! {
                    biased;
                    _ = &mut running => {}
                    () = self.refuse_late(patience) => {}
                },
            }
        }
    }

    /// Refuses each call that waits too long; does not end. The first to arrive is the first to be
    /// late, since all wait equally long.
    async fn refuse_late(&self, patience: Duration) {
        loop {
            match self.line.first_late(patience) {
                None => self.line.changed.notified().await,
                Some(late) => {
                    sleep_until(late).await;
                    let waiting = self.line.late(patience);
                    let call = waiting.and_then(|waiting| waiting.lock().take());
                    call.into_iter()
                        .for_each(|call: Call| call.refuse(text::LOCK));
                }
            }
        }
    }
}

impl Drop for Turns {
    /// The runtime may end first: a call that waits holds its object, and with it the line.
    fn drop(&mut self) {
        let waiting = {
            let mut places = self.line.places.lock();
            places.closed = true;
            std::mem::take(&mut places.waiting)
        };
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that need not wait ran one after the other, however many there were, and whoever shared
    /// the thread waited for all of them.
    #[tokio::test]
    async fn others_run_between_the_calls() {
        let calls = 10_000;
        let line = Arc::new(Line::new(calls));
        (0..calls).for_each(|_| line.join(Arc::default()));
        let turns = Turns::new(Arc::clone(&line), None);
        let running = tokio::spawn(turns.run(Arc::new(Semaphore::new(1))));
        tokio::task::yield_now().await;
        let left = line.places.lock().waiting.len();
        assert!((1..calls).contains(&left), "{left}");
        line.close();
        running.await.unwrap();
        assert!(line.places.lock().waiting.is_empty());
    }
}
