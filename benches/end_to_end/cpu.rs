//! The CPU time of a process.

use std::{fs, time::Duration};

/// That of this process.
pub(crate) fn spent() -> Duration {
    spent_by("self")
}

/// User and system time of all threads that live, from `/proc/PROCESS/task/*/schedstat`: in
/// nanoseconds, where `/proc/PROCESS/stat` counts hundredths of a second. The runtime's threads live
/// as long as the benchmark.
pub(crate) fn spent_by(process: &str) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("Linux");
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}
