//! Calls for a time, one after the other or many at once.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::cpu;

/// How many calls are under way in a concurrent load.
pub(crate) const CONCURRENCY: usize = 64;

/// What a load took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Per call, of the whole process.
    pub(crate) cpu: Duration,
    /// Per call; of a concurrent load, the time over the number of calls.
    pub(crate) time: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Repeats `call` on `tasks` tasks.
pub(crate) async fn run<C, F>(call: C, tasks: usize, length: Duration) -> Cost
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let before = cpu::spent();
    let begin = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let call = call.clone();
        running.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let start = Instant::now();
                call().await;
                latencies.push(start.elapsed());
                if begin.elapsed() >= length {
                    return latencies;
                }
            }
        });
    }
    let mut latencies = running.join_all().await.concat();
    let elapsed = begin.elapsed();
    let cpu = cpu::spent().saturating_sub(before);
    latencies.sort_unstable();
    let calls = u32::try_from(latencies.len()).expect("fewer calls");
    Cost {
        cpu: cpu / calls,
        time: elapsed / calls,
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
    }
}

/// Of sorted times; zero if there are none.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}
