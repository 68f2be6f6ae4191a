//! What the methods of a hosted service and its host share.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::{
    desk::{CallId, Desk, Member, Refusal, Told},
    values::Values,
};
use crate::qi::{
    host::MethodError,
    value::{Signature, Type, Value},
    wire::ServiceId,
};

/// How a host answers a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With the bytes of a `Value`.
    Returned(Vec<u8>),
    /// With the reason why it failed, for the caller.
    Failed(String),
    /// It was cancelled.
    Canceled,
}

/// Where callers and the host of one service meet.
#[derive(Debug)]
pub(super) struct Switchboard {
    service: String,
    values: Values,
    answer_timeout: Duration,
    desk: Mutex<Desk<oneshot::Sender<Outcome>>>,
    /// Something may have to be told. There is one who waits for it.
    changed: Notify,
    /// A call has ended.
    ended: Notify,
}

/// A method, as its calls are told and its results read.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) member: Member,
    pub(super) name: String,
    pub(super) parameters: Signature,
    pub(super) returns: Signature,
}

/// The number of the field `args` of a `HostResponse.Call`.
const ARGS_FIELD: u32 = 3;

impl Switchboard {
    pub(super) fn new(service: &str, values: Values, answer_timeout: Duration) -> Self {
        Self {
            service: service.to_owned(),
            values,
            answer_timeout,
            desk: Mutex::new(Desk::new()),
            changed: Notify::new(),
            ended: Notify::new(),
        }
    }

    pub(super) const fn values(&self) -> &Values {
        &self.values
    }

    pub(super) const fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    /// Has the host answer a call. Dropped before, the host is told that nobody waits any more.
    pub(super) async fn call(
        self: Arc<Self>,
        method: Arc<Called>,
        arguments: Vec<Value>,
    ) -> Result<Value, MethodError> {
        let failed = |text: String| MethodError::failed(format!("{}: {text}", self.service));
        let args = self
            .values
            .tell_arguments(arguments, method.parameters.ty(), ARGS_FIELD)
            .map_err(|error| failed(error.to_string()))?;
        let (waiter, answer) = oneshot::channel();
        let id = self.desk.lock().call(method.member, args, waiter);
        let refused = |refusal: Refusal| failed(refusal.to_string());
        let id = id.map_err(refused)?;
        self.changed.notify_one();
        let _waiting = Waiting { board: &self, id };
        match tokio::time::timeout(self.answer_timeout, answer).await {
            Ok(Ok(outcome)) => self.result(&method, outcome),
            Ok(Err(_)) => Err(refused(Refusal::Closed)),
            Err(_) => Err(failed(format!(
                "the host has not answered {} within {:?}",
                method.name, self.answer_timeout
            ))),
        }
    }

    fn result(&self, method: &Called, outcome: Outcome) -> Result<Value, MethodError> {
        let value = match outcome {
            Outcome::Returned(value) => value,
            Outcome::Failed(text) => return Err(MethodError::failed(text)),
            Outcome::Canceled => return Err(MethodError::Canceled),
        };
        let returns = method.returns.ty();
        if matches!(returns, Type::Void | Type::None) {
            return Ok(Value::Void);
        }
        self.values.of_type(&value, returns).map_err(|error| {
            let error = error.at("value");
            MethodError::failed(format!(
                "{}: the host's answer to {} is not what it declares: {error}",
                self.service, method.name
            ))
        })
    }

    pub(super) fn answer(&self, id: CallId, outcome: Outcome) {
        let waiter = self.desk.lock().answer(id);
        // Who waited may have gone at the same moment.
        if waiter.is_none_or(|waiter| waiter.send(outcome).is_err()) {
            tracing::debug!(
                service = self.service,
                call = id.0,
                "nobody waits for the answer"
            );
        }
    }

    pub(super) fn property_set(&self, property: Member, value: Value) {
        self.desk.lock().property_set(property, value);
        self.changed.notify_one();
    }

    pub(super) fn registered(&self, id: ServiceId) {
        self.desk.lock().registered(id);
        self.changed.notify_one();
    }

    /// What the host has to be told next, as soon as there is something.
    pub(super) async fn told(&self) -> Told {
        loop {
            let told = self.desk.lock().next();
            match told {
                Some(told) => return told,
                None => self.changed.notified().await,
            }
        }
    }

    /// Fails the calls to come, and waits for the end of those that were made.
    pub(super) async fn retire(&self) {
        self.desk.lock().retire();
        loop {
            let ended = self.ended.notified();
            if self.desk.lock().is_idle() {
                return;
            }
            ended.await;
        }
    }

    /// Fails the calls that are not answered, and those to come.
    pub(super) fn close(&self) {
        let waiting = self.desk.lock().close();
        // Not under the lock: who waits is woken by this.
        drop(waiting);
    }
}

/// A call until it is answered.
struct Waiting<'a> {
    board: &'a Switchboard,
    id: CallId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.board.desk.lock().end(self.id);
        self.board.changed.notify_one();
        self.board.ended.notify_waiters();
    }
}
