//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double, each drawn at random from its upper half, so that many clients that lost one
/// peer do not come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// The first pause and the longest one.
    #[must_use]
    pub const fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// Starts anew after a connection that lasted longer than the pause that is due, so that a
    /// robot that accepts and hangs up at once is not hammered, and one that restarts twice in a
    /// minute is not waited for.
    pub fn lasted(&mut self, time: Duration) {
        if time > self.next {
            self.next = self.first;
        }
    }

    /// Waits for the pause that is due; the next one is longer.
    ///
    /// # Cancel safety
    ///
    /// The next pause is longer all the same.
    pub async fn pause(&mut self) {
        let half = self.next / 2;
        let pause = half.saturating_add(half.mul_f64(rand::random_range(0.0..=1.0)));
        self.next = self.next.saturating_mul(2).min(self.longest);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_lasted_starts_the_pauses_anew() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new((first, longest));
        for _ in 0..10 {
            backoff.pause().await;
        }
        backoff.lasted(Duration::from_millis(900));
        assert_eq!(backoff.next, longest);
        backoff.lasted(Duration::from_millis(1100));
        assert_eq!(backoff.next, first);
    }

    /// A configuration that says "never again" with the longest time that there is ended the task.
    #[tokio::test(start_paused = true)]
    async fn pauses_may_be_longer_than_time_lasts() {
        for first in [Duration::from_secs(1), Duration::MAX] {
            let mut backoff = Backoff::new((first, Duration::MAX));
            for _ in 0..100 {
                // Not waited for: the next one is longer all the same.
                assert!(backoff.pause().now_or_never().is_none());
            }
            assert_eq!(backoff.next, Duration::MAX);
        }
    }
}
