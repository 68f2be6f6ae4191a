//! A child process that takes one JSON command a line and answers with JSON lines, in any order.

use std::{
    collections::{HashMap, VecDeque},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{
    PATIENCE,
    process::{Lines, Process},
};

/// The child. It says `ready` before it takes commands.
pub(crate) struct JsonPeer {
    process: Process,
    next_id: AtomicU64,
    mailboxes: Arc<Mailboxes>,
}

/// What the child answers to one command.
pub(crate) struct Answers<'a> {
    peer: &'a JsonPeer,
    id: u64,
    mailbox: Arc<Mailbox>,
}

impl JsonPeer {
    /// Starts the child and waits until it is ready.
    pub(crate) async fn start(name: &str, command: &mut Command) -> Self {
        let mailboxes = Arc::<Mailboxes>::default();
        let stdout = Arc::new(Lines::default());
        let (post, kept) = (Arc::clone(&mailboxes), Arc::clone(&stdout));
        let process =
            Process::spawn_with(
                name,
                command,
                stdout,
                move |line| match serde_json::from_str(&line) {
                    Ok(answer) => post.deliver(answer),
                    Err(_) => kept.push(line),
                },
            );
        process.wait_value("ready", PATIENCE).await;
        Self {
            process,
            next_id: AtomicU64::new(1),
            mailboxes,
        }
    }

    /// Sends a command, an object without `id`, that may be answered many times.
    pub(crate) fn send(&self, mut command: Value) -> Answers<'_> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        let mailbox = self.mailboxes.open(id);
        self.process.write_line(&command.to_string());
        Answers {
            peer: self,
            id,
            mailbox,
        }
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn request(&self, command: Value) -> Value {
        self.send(command).next().await
    }

    /// Ends the child with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// The process itself.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

impl Answers<'_> {
    /// The id that the command got.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Waits for the next answer.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`].
    pub(crate) async fn next(&self) -> Value {
        self.next_within(PATIENCE).await.unwrap_or_else(|| {
            self.peer
                .process
                .fail(format!("no answer to command {}", self.id))
        })
    }

    /// Waits that long for the next answer.
    pub(crate) async fn next_within(&self, timeout: Duration) -> Option<Value> {
        tokio::time::timeout(timeout, self.mailbox.take())
            .await
            .ok()
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        self.peer.mailboxes.close(self.id);
    }
}

#[derive(Default)]
struct Mailboxes(Mutex<HashMap<u64, Arc<Mailbox>>>);

#[derive(Default)]
struct Mailbox {
    answers: Mutex<VecDeque<Value>>,
    arrived: Notify,
}

impl Mailboxes {
    fn open(&self, id: u64) -> Arc<Mailbox> {
        let mailbox = Arc::<Mailbox>::default();
        self.0.lock().unwrap().insert(id, Arc::clone(&mailbox));
        mailbox
    }

    fn close(&self, id: u64) {
        self.0.lock().unwrap().remove(&id);
    }

    fn deliver(&self, answer: Value) {
        let Some(id) = answer["id"].as_u64() else {
            return;
        };
        // Nobody waits for the later events of a subscription that was dropped.
        let mailbox = self.0.lock().unwrap().get(&id).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.answers.lock().unwrap().push_back(answer);
            mailbox.arrived.notify_one();
        }
    }
}

impl Mailbox {
    async fn take(&self) -> Value {
        loop {
            let answer = self.answers.lock().unwrap().pop_front();
            if let Some(answer) = answer {
                return answer;
            }
            self.arrived.notified().await;
        }
    }
}
