//! The names that hosted services have on the bus, until the directory knows that they are gone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

/// How long a host waits for what its predecessor still has: the name, or the last place. A
/// directory answers within milliseconds; with one that is silent, the name is asked for all the
/// same, and the directory decides.
pub(super) const LEAVING_PATIENCE: Duration = Duration::from_secs(2);

/// The names that are in use, and how often: only the directory knows who has one of two.
#[derive(Debug, Default)]
pub(super) struct Names(watch::Sender<HashMap<String, usize>>);

/// A name that is in use until this is dropped.
#[derive(Debug)]
pub(super) struct Name {
    names: Arc<Names>,
    name: String,
}

impl Names {
    /// Uses a name. Waits until the service that had it has left the bus, but not for ever: it may
    /// be one that stays.
    pub(super) async fn take(self: &Arc<Self>, name: &str) -> Name {
        let mut used = self.0.subscribe();
        let free = used.wait_for(|used| !used.contains_key(name));
        // The sender is here, so that this ends with the name or the time only.
        let _ = timeout(LEAVING_PATIENCE, free).await;
        self.0
            .send_modify(|used| *used.entry(name.to_owned()).or_default() += 1);
        Name {
            names: Arc::clone(self),
            name: name.to_owned(),
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.names.0.send_modify(|used| {
            if let Some(uses) = used.get_mut(&self.name) {
                *uses -= 1;
                if *uses == 0 {
                    used.remove(&self.name);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_is_waited_for_as_long_as_its_service_leaves() {
        let names = Arc::new(Names::default());
        let old = names.take("foo").await;
        names.take("bar").await;
        let taking = tokio::spawn({
            let names = Arc::clone(&names);
            async move { names.take("foo").await }
        });
        tokio::task::yield_now().await;
        assert!(!taking.is_finished());
        drop(old);
        drop(taking.await.unwrap());
        assert!(names.0.borrow().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_stays_is_not_waited_for_for_ever() {
        let names = Arc::new(Names::default());
        let old = names.take("foo").await;
        let began = Instant::now();
        let new = names.take("foo").await;
        assert_eq!(began.elapsed(), LEAVING_PATIENCE);
        drop(old);
        assert!(names.0.borrow().contains_key("foo"), "the new one has it");
        drop(new);
        assert!(names.0.borrow().is_empty());
    }
}
