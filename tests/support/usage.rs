//! What a process uses of the machine, as Linux tells it.

use std::fs;

/// What a process uses now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Usage {
    /// Memory that is resident, in KiB.
    pub(crate) resident_kib: usize,
    /// The most that ever was.
    pub(crate) peak_kib: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// Files and sockets that are open.
    pub(crate) files: usize,
}

impl Usage {
    /// Of the process with that id.
    pub(crate) fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.unwrap().split_whitespace().next().unwrap();
            number.parse().unwrap()
        };
        let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        Self {
            resident_kib: number("VmRSS:"),
            peak_kib: number("VmHWM:"),
            threads: number("Threads:"),
            files: files.count(),
        }
    }
}
