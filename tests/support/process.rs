//! Child processes that never outlive their test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;

/// A running child, killed by its id and reaped on drop. Its standard input stays open until then.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
}

/// What a child left behind that ran to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// All that it wrote to standard output.
    pub(crate) stdout: String,
    /// All that it wrote to standard error.
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a command; `name` stands in the messages of failures.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Self {
        let stdout = Arc::new(Lines::default());
        let kept = Arc::clone(&stdout);
        let keep = move |line: String| kept.push(line);
        Self::spawn_with(name, command, stdout, keep)
    }

    /// Starts a command whose lines on standard output go to `on_line` first, which may keep them
    /// in `stdout` or not.
    pub(crate) fn spawn_with(
        name: &str,
        command: &mut Command,
        stdout: Arc<Lines>,
        on_line: impl FnMut(String) + Send + 'static,
    ) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: cannot start {command:?}: {error}"));
        let stderr = Arc::new(Lines::default());
        let kept = Arc::clone(&stderr);
        let readers = vec![
            read_lines(child.stdout.take().unwrap(), Arc::clone(&stdout), on_line),
            read_lines(
                child.stderr.take().unwrap(),
                Arc::clone(&stderr),
                move |line| {
                    kept.push(line);
                },
            ),
        ];
        let stdin = Mutex::new(child.stdin.take());
        Self {
            name: name.to_owned(),
            child,
            stdin,
            stdout,
            stderr,
            readers,
        }
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first line on standard output, among those since the start, that the
    /// predicate accepts.
    ///
    /// # Panics
    /// When the time is over or the process ended, with all that it wrote to standard error.
    pub(crate) async fn wait_line(
        &self,
        predicate: impl Fn(&str) -> bool,
        timeout: Duration,
    ) -> String {
        self.stdout
            .find(predicate, timeout)
            .await
            .unwrap_or_else(|why| self.fail(why))
    }

    /// Waits for a line `PREFIX REST` and gives the rest without the spaces around it.
    pub(crate) async fn wait_value(&self, prefix: &str, timeout: Duration) -> String {
        let starts = |line: &str| after(prefix, line).is_some();
        let line = self.wait_line(starts, timeout).await;
        after(prefix, &line).unwrap().to_owned()
    }

    /// Sends a line to standard input.
    pub(crate) fn write_line(&self, line: &str) {
        let mut stdin = self.stdin.lock().unwrap();
        let pipe = stdin.as_mut().expect("standard input is open");
        if let Err(error) = writeln!(pipe, "{line}").and_then(|()| pipe.flush()) {
            self.fail(format!("does not read its standard input: {error}"));
        }
    }

    /// Closes standard input.
    pub(crate) fn close_stdin(&self) {
        self.stdin.lock().unwrap().take();
    }

    /// Ends the process at once with SIGKILL and reaps it.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the process to end, with SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the process a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let done = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "{}: cannot signal {id}",
            self.name
        );
    }

    /// Waits until the process ends by itself.
    ///
    /// # Panics
    /// When the time is over.
    pub(crate) async fn finish(mut self, timeout: Duration) -> Finished {
        self.close_stdin();
        let waiting = async {
            self.stdout.closed().await;
            self.stderr.closed().await;
        };
        if tokio::time::timeout(timeout, waiting).await.is_err() {
            self.kill();
            self.fail(format!("still runs after {timeout:?}"));
        }
        // Both pipes are closed, so the process is at its end.
        let status = self.child.wait().unwrap();
        Finished {
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// All that the process wrote to standard error up to now.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Fails the test with what is known about the process.
    pub(crate) fn fail(&self, why: impl AsRef<str>) -> ! {
        panic!(
            "{}: {}\n--- standard output:\n{}--- standard error:\n{}---",
            self.name,
            why.as_ref(),
            self.stdout.text(),
            self.stderr.text()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

/// The lines of one pipe of a child, readable while more arrive.
pub(crate) struct Lines {
    lines: Mutex<Vec<String>>,
    state: watch::Sender<Pipe>,
}

/// What is known of a pipe: how many lines came, and whether it is closed.
#[derive(Clone, Copy, Default)]
struct Pipe {
    lines: usize,
    closed: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            state: watch::Sender::new(Pipe::default()),
        }
    }
}

impl Lines {
    /// Adds a line and wakes who waits for it.
    pub(crate) fn push(&self, line: String) {
        self.lines.lock().unwrap().push(line);
        self.state.send_modify(|pipe| pipe.lines += 1);
    }

    async fn find(
        &self,
        predicate: impl Fn(&str) -> bool,
        timeout: Duration,
    ) -> Result<String, String> {
        let search = async {
            let mut seen = 0;
            let mut state = self.state.subscribe();
            loop {
                let pipe = *state.borrow_and_update();
                {
                    let lines = self.lines.lock().unwrap();
                    if let Some(line) = lines[seen..].iter().find(|line| predicate(line)) {
                        return Ok(line.clone());
                    }
                    seen = lines.len();
                }
                if pipe.closed && seen == pipe.lines {
                    return Err("ended without the expected line".to_owned());
                }
                if state.changed().await.is_err() {
                    return Err("is gone".to_owned());
                }
            }
        };
        tokio::time::timeout(timeout, search)
            .await
            .unwrap_or_else(|_| Err(format!("no such line within {timeout:?}")))
    }

    async fn closed(&self) {
        // The sender lives as long as `self`, so that this cannot fail.
        let _ = self.state.subscribe().wait_for(|pipe| pipe.closed).await;
    }

    fn text(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect()
    }
}

fn read_lines(
    pipe: impl Read + Send + 'static,
    lines: Arc<Lines>,
    mut on_line: impl FnMut(String) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            on_line(
                String::from_utf8_lossy(&line)
                    .trim_end_matches(['\r', '\n'])
                    .to_owned(),
            );
            line.clear();
        }
        lines.state.send_modify(|pipe| pipe.closed = true);
    })
}

fn after<'a>(prefix: &str, line: &'a str) -> Option<&'a str> {
    let rest = line.trim_start().strip_prefix(prefix)?;
    rest.starts_with(char::is_whitespace).then(|| rest.trim())
}
