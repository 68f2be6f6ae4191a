//! The CPU time of this process.

use std::{fs, time::Duration};

/// User and system time of all threads that live, from `/proc/self/task/*/schedstat`: in
/// nanoseconds, where `/proc/self/stat` counts hundredths of a second. The runtime's threads live
/// as long as the benchmark.
pub(crate) fn spent() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}
