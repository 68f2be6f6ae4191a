//! How the calls of an object run: one after the other, or all at once.

use std::{
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

use super::{
    Cancellation, MethodError, Threading,
    call::{Call, Room},
    error::text,
    forward,
    limits::permits,
    method::{Blocked, Started},
    peer::Peer,
    resources::Resources,
    turns::{Line, Turns},
};
use crate::qi::value::Value;

/// How an object wants its calls to run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) threading: Threading,
    /// Fewer than the limits of the host say.
    pub(super) max_calls: Option<usize>,
    /// How long a call of a single-threaded object may wait for its turn; without end by default.
    pub(super) lock_timeout: Option<Duration>,
}

/// Runs the calls of one object, under whatever numbers they come: a single-threaded object that
/// several peers hold still does one thing at a time, and so does one that is registered again.
#[derive(Debug)]
pub(super) struct Runner {
    /// Where the calls of a single-threaded object wait for their turn.
    line: Option<Arc<Line>>,
    room: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    runtime: Handle,
}

/// The runner of an object, as long as the object can be called or does anything.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<Weak<Runner>>);

impl Running {
    /// The runner, started if there is none.
    pub(super) fn get_or(&self, start: impl FnOnce() -> Runner) -> Arc<Runner> {
        let mut running = self.0.lock();
        if let Some(runner) = running.upgrade() {
            return runner;
        }
        let runner = Arc::new(start());
        *running = Arc::downgrade(&runner);
        runner
    }
}

impl Runner {
    /// Lets as many calls wait or run as the limits say, or fewer.
    pub(super) fn start(rules: &Rules, resources: &Resources, runtime: &Handle) -> Self {
        let limits = resources.limits();
        let threads = resources.threads();
        let calls = rules.max_calls.unwrap_or(limits.calls_per_service);
        let calls = permits(calls.min(limits.calls_per_service));
        let line = (rules.threading == Threading::Single).then(|| {
            let line = Arc::new(Line::new(calls));
            let turns = Turns::new(Arc::clone(&line), rules.lock_timeout);
            // Ends with the runner.
            runtime.spawn(turns.run(Arc::clone(threads)));
            line
        });
        Self {
            line,
            room: Arc::new(Semaphore::new(calls)),
            bytes: Arc::new(Semaphore::new(permits(limits.argument_bytes_per_service))),
            threads: Arc::clone(threads),
            runtime: runtime.clone(),
        }
    }

    /// The place that a call with arguments of that size takes, or what its caller is told.
    pub(super) fn room(&self, peer: &Peer, bytes: usize) -> Result<Room, &'static str> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let connection = Arc::clone(peer.room()).try_acquire_owned();
        let service = Arc::clone(&self.room).try_acquire_owned();
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(bytes);
        Ok(Room {
            _connection: connection.map_err(|_| text::CALLS)?,
            _service: service.map_err(|_| text::BUSY)?,
            _bytes: bytes.map_err(|_| text::BUSY)?,
        })
    }

    /// Runs a call as soon as its turn comes. What is forwarded leaves at once, so that it stays in
    /// the order of arrival: the origin says how it runs.
    pub(super) fn run(&self, call: Call) {
        if let Some(origin) = call.upstream() {
            let with_values = forward::pass_on(call, &*origin, &self.runtime);
            if let Some((call, started)) = with_values.and_then(begin) {
                // Ends with the call, which ends with its service.
                self.runtime
                    .spawn(run_started(call, started, Arc::clone(&self.threads)));
            }
            return;
        }
        match &self.line {
            Some(line) => line.join(call.wait()),
            None => {
                // Ends with the call, which ends with its service.
                self.runtime
                    .spawn(run_call(call, Arc::clone(&self.threads)));
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.close();
        }
    }
}

/// Runs a call, until its object may go on with the next one.
pub(super) async fn run_call(call: Call, threads: Arc<Semaphore>) {
    if call.token().is_cancelled() {
        return call.cancel();
    }
    if let Some((call, started)) = begin(call) {
        run_started(call, started, threads).await;
    }
}

/// Hands the arguments to the method. Gives nothing when they cannot be read; the call is answered
/// then.
fn begin(call: Call) -> Option<(Call, Started)> {
    let method = call.method();
    let (call, arguments) = call.arguments()?;
    Some((call, method.handler.start(arguments)))
}

async fn run_started(call: Call, started: Started, threads: Arc<Semaphore>) {
    match started {
        Started::Future(future) => await_result(call, future).await,
        Started::Deferred(future) => {
            // Ends with its token, a child of that of the service.
            tokio::spawn(await_result(call, future));
        }
        Started::Blocking(block) => run_blocking(call, block, threads).await,
    }
}

async fn run_blocking(call: Call, block: Blocked, threads: Arc<Semaphore>) {
    let token = call.token();
    let thread = tokio::select! {
        biased;
        () = token.cancelled() => {
            return call.cancel();
        }
        thread = threads.acquire_owned() => thread,
    };
    let cancellation = Cancellation::new(token);
    let mut result = Box::pin(on_thread(move || {
        let result = block(&cancellation);
        drop(thread);
        result
    }));
    let ended = call.ended();
    tokio::select! {
        biased;
        () = ended.cancelled() => {
            // The object does one thing at a time, also if it is held under another number or
            // registered again meanwhile.
            let runner = call.runner();
            drop(call);
            let _ = result.await;
            drop(runner);
        }
        result = &mut result => call.finish(result),
    }
}

/// Runs a blocking method on a thread of its own. Not on one of tokio's: the end of the process
/// would wait for those, and nothing makes a blocking method hurry.
async fn on_thread(
    block: impl FnOnce() -> Result<Value, MethodError> + Send + 'static,
) -> Result<Value, MethodError> {
    let (sender, result) = oneshot::channel();
    let runtime = Handle::current();
    let thread = thread::Builder::new().name("qi-method".to_owned());
    let spawned = thread.spawn(move || {
        let _context = runtime.enter();
        // Nobody may wait any more.
        let _ = sender.send(block());
    });
    if let Err(error) = spawned {
        return Err(MethodError::failed(format!("no thread: {error}")));
    }
    let gone = |_| Err(MethodError::failed(text::GONE));
    result.await.unwrap_or_else(gone)
}

async fn await_result(call: Call, future: BoxFuture<'static, Result<Value, MethodError>>) {
    let token = call.token();
    tokio::select! {
        biased;
        () = token.cancelled() => call.cancel(),
        result = future => call.finish(result),
    }
}
