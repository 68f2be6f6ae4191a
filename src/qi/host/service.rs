//! An object on a bus: what comes for it, and how its calls run.

use std::{sync::Arc, thread};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::Handle,
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    Cancellation, HostLimits, MethodError, Threading,
    arguments::{decode_arguments, holds_object},
    call::{Call, Room},
    error::text,
    limits::permits,
    method::Started,
    object::Object,
    peer::{Peer, Waiting},
    special,
};
use crate::qi::{
    session::error_payload,
    value::Value,
    wire::{ActionId, Kind, Message},
};

/// A registered object. Its end, by dropping it, ends its calls and its tasks; a blocking method
/// that runs already goes on until it returns, for nobody.
#[derive(Debug)]
pub(super) struct Service {
    object: Arc<Object>,
    /// The calls of a single-threaded object on their way to the task that runs them.
    queue: Option<mpsc::Sender<Arc<Waiting>>>,
    room: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    ended: CancellationToken,
}

impl Service {
    /// Must be called within a tokio runtime. `threads` bounds the threads of blocking methods.
    pub(super) fn new(object: Arc<Object>, limits: &HostLimits, threads: Arc<Semaphore>) -> Self {
        let ended = CancellationToken::new();
        let calls = object.max_calls.unwrap_or(limits.calls_per_service);
        let calls = permits(calls.min(limits.calls_per_service));
        let queue = (object.threading == Threading::Single).then(|| {
            let (queue, waiting) = mpsc::channel(calls.max(1));
            let run = run_in_order(waiting, Arc::clone(&threads), ended.clone());
            // Ends with `ended`, at the latest when the service is dropped.
            tokio::spawn(run);
            queue
        });
        Self {
            object,
            queue,
            room: Arc::new(Semaphore::new(calls)),
            bytes: Arc::new(Semaphore::new(permits(limits.argument_bytes_per_service))),
            threads,
            ended,
        }
    }

    pub(super) fn object(&self) -> &Object {
        &self.object
    }

    /// Takes a call or post to the main object.
    pub(super) fn receive(&self, peer: &Arc<Peer>, message: Message) {
        let action = message.address.action;
        let own = action >= ActionId::FIRST_OWN;
        if message.version > 0 {
            refuse(peer, &message, text::VERSION);
        } else if let Some(method) = self.object.methods.get(&action) {
            match self.room(peer, message.payload.len()) {
                Ok(room) => {
                    let token = self.ended.child_token();
                    self.run(Call::new(peer, message, method, token, room));
                }
                Err(text) => refuse(peer, &message, text),
            }
        } else if !own && self.object.meta.methods.contains_key(&action) {
            self.special(peer, &message);
        } else if message.kind == Kind::Post {
            self.emit(peer, &message);
        } else {
            let id = message.id;
            let text = format!("No such method {{{}, id:{id}}}", message.address);
            refuse(peer, &message, &text);
        }
    }

    fn room(&self, peer: &Peer, bytes: usize) -> Result<Room, &'static str> {
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

    fn run(&self, call: Call) {
        match &self.queue {
            Some(queue) => {
                if let Err(refused) = queue.try_send(call.wait()) {
                    let (TrySendError::Full(waiting) | TrySendError::Closed(waiting)) = refused;
                    let call = waiting.lock().take();
                    if let Some(call) = call {
                        call.refuse(text::BUSY);
                    }
                }
            }
            None => {
                let run = run_call(call, Arc::clone(&self.threads), self.ended.clone());
                // Ends with `ended`, as every call does.
                tokio::spawn(run);
            }
        }
    }

    /// Runs at once, on the task that reads the connection: none of these waits for anything.
    fn special(&self, peer: &Peer, message: &Message) {
        let Some(method) = self.object.meta.methods.get(&message.address.action) else {
            return;
        };
        let signature = &method.parameters_signature;
        let dialect = peer.dialect();
        let result = decode_arguments(&message.payload, message.flags, signature, dialect)
            .and_then(|arguments| special::call(&self.object, peer, message.address, arguments));
        if message.kind != Kind::Call {
            return;
        }
        peer.answer(match result {
            Ok(payload) => message.answer(Kind::Reply, payload),
            Err(text) => message.answer(Kind::Error, error_payload(&text)),
        });
    }

    /// A post to a signal emits it; one to a property emits that it changed, which it did not
    /// (section 12.2). What cannot be read is dropped, as posts are never answered.
    fn emit(&self, peer: &Peer, message: &Message) {
        let Some(signal) = self.object.meta.signals.get(&message.address.action) else {
            return;
        };
        let signature = &signal.signature;
        let dialect = peer.dialect();
        let decoded = decode_arguments(&message.payload, message.flags, signature, dialect);
        let emitted = decoded.and_then(|arguments| {
            if arguments.values.iter().any(holds_object) {
                return Err("objects cannot be passed on".to_owned());
            }
            let subscribers = &self.object.subscribers;
            let emitted = subscribers.emit(signal.uid, signature, arguments.values);
            emitted.map_err(|error| error.to_string())
        });
        if let Err(error) = emitted {
            tracing::debug!(address = %message.address, error, "a posted event is dropped");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

fn refuse(peer: &Peer, message: &Message, text: &str) {
    if message.kind == Kind::Call {
        peer.answer(message.answer(Kind::Error, error_payload(text)));
    }
}

/// One call after the other, until the service ends.
async fn run_in_order(
    mut calls: mpsc::Receiver<Arc<Waiting>>,
    threads: Arc<Semaphore>,
    ended: CancellationToken,
) {
    let run = async {
        while let Some(waiting) = calls.recv().await {
            // None if it was cancelled meanwhile.
            let call = waiting.lock().take();
            let Some(call) = call else {
                continue;
            };
            run_call(call, Arc::clone(&threads), ended.clone()).await;
        }
    };
    tokio::select! {
        biased;
        () = ended.cancelled() => {}
        () = run => {}
    }
}

/// Runs a call, until its object may go on with the next one or is no more.
async fn run_call(call: Call, threads: Arc<Semaphore>, ended: CancellationToken) {
    let token = call.token();
    if token.is_cancelled() {
        return cancel(call, &ended);
    }
    let Some((call, arguments)) = call.arguments() else {
        return;
    };
    match call.method().handler.start(arguments) {
        Started::Future(future) => await_result(call, future, ended).await,
        Started::Deferred(future) => {
            // Ends with `ended`, whose child the call's token is.
            tokio::spawn(await_result(call, future, ended));
        }
        Started::Blocking(block) => {
            let thread = tokio::select! {
                biased;
                () = token.cancelled() => {
                    return cancel(call, &ended);
                }
                thread = threads.acquire_owned() => thread,
            };
            let cancellation = Cancellation::new(token);
            let result = on_thread(move || {
                let result = block(&cancellation);
                drop(thread);
                result
            });
            tokio::select! {
                biased;
                () = ended.cancelled() => {}
                result = result => call.finish(result),
            }
        }
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

async fn await_result(
    call: Call,
    future: BoxFuture<'static, Result<Value, MethodError>>,
    ended: CancellationToken,
) {
    let token = call.token();
    tokio::select! {
        biased;
        () = token.cancelled() => cancel(call, &ended),
        result = future => call.finish(result),
    }
}

/// Answers a call whose token is cancelled: by its caller, or since the service is no more.
fn cancel(call: Call, ended: &CancellationToken) {
    if !ended.is_cancelled() {
        call.canceled();
    }
}
