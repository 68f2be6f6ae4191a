//! Services in the directory (protocol text, section 14).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::{Host, HostedObject, LeaveError, RegisterError, identity::Identity, table::Table};
use crate::qi::{
    session::{CallError, CloseReason, Connection, Reply, ServiceInfoLayout, Session},
    value::{MetaMethod, MetaObject, Type},
    wire::{ActionId, Address, Kind, ObjectId, Reader, ServiceId},
};

/// How long the directory may take when a service leaves: it needs milliseconds, and a process that
/// ends should not wait for one that hangs.
pub(super) const LEAVE_TIME: Duration = Duration::from_secs(5);

impl Host {
    /// Puts an object on the bus of a session as the service `name`, until the session ends;
    /// [`Self::publish`] keeps it there.
    ///
    /// The session should have been connected with [`Self::dispatch`]; without it everyone but the
    /// directory's own process can use the service.
    ///
    /// # Errors
    ///
    /// [`RegisterError`], for instance when the name is taken.
    ///
    /// # Cancel safety
    ///
    /// The service does not come up, but its name may stay taken until the connection ends.
    pub async fn register(
        &self,
        session: &Session,
        name: &str,
        object: &HostedObject,
    ) -> Result<Registration, RegisterError> {
        self.registrar().register(session, name, object).await
    }

    pub(super) fn registrar(&self) -> Registrar {
        Registrar {
            table: Arc::clone(&self.table),
            identity: Arc::clone(&self.identity),
        }
    }
}

/// The part of a host that registers, for tasks that do not keep the host alive.
#[derive(Debug)]
pub(super) struct Registrar {
    table: Arc<Table>,
    identity: Arc<Identity>,
}

impl Registrar {
    pub(super) async fn register(
        &self,
        session: &Session,
        name: &str,
        object: &HostedObject,
    ) -> Result<Registration, RegisterError> {
        let directory = session.connection();
        let methods = Methods::of(session.directory().object().meta())?;
        let described = self.identity.describe(name, object.uid());
        let info = methods.layout.encode(&described)?;
        let reply = call(directory, methods.register, info).await;
        let reply = reply.map_err(|error| refused(name, error))?;
        let id = Reader::new(&reply.payload).u32()?;
        let mut registration = Registration {
            id: ServiceId(id),
            name: name.to_owned(),
            table: Arc::clone(&self.table),
            directory: directory.clone(),
            unregister: methods.unregister,
            state: State::Pending,
        };
        // It has to answer before anyone hears of it.
        self.table.insert(registration.id, object)?;
        registration.state = State::Serving;
        call(directory, methods.ready, number(id)).await?;
        Ok(registration)
    }
}

/// What an error answer to registerService means. A name that is taken has no other mark than
/// libqi's text (section 14), which other directories give too.
fn refused(name: &str, error: CallError) -> RegisterError {
    match error {
        CallError::Robot { text } if text.contains(" is already registered.") => {
            RegisterError::NameTaken {
                name: name.to_owned(),
                text,
            }
        }
        error => error.into(),
    }
}

/// A service on a bus. Leaves the bus when dropped, best with [`Self::leave`].
#[derive(Debug)]
#[must_use = "dropping it takes the service from the bus"]
pub struct Registration {
    id: ServiceId,
    name: String,
    table: Arc<Table>,
    directory: Connection,
    unregister: ActionId,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The directory gave the number.
    Pending,
    /// The service answers.
    Serving,
    Left,
}

impl Registration {
    /// The number that the directory gave to the service.
    #[must_use]
    pub const fn service_id(&self) -> ServiceId {
        self.id
    }

    /// The name of the service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the connection to the directory ends, and with it the registration: the
    /// directory forgets the service. The object can be registered again, over a new connection.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn lost(&self) -> CloseReason {
        self.directory.closed().await
    }

    /// Takes the service from the bus and waits until the directory says so, for at most 5 s. Calls
    /// that still run fail.
    ///
    /// # Errors
    ///
    /// [`LeaveError`]. The service does not answer any more in any case.
    ///
    /// # Cancel safety
    ///
    /// The service leaves the bus all the same.
    pub async fn leave(mut self) -> Result<(), LeaveError> {
        let asked = call(&self.directory, self.unregister, number(self.id.0));
        // Where this fails, the directory is told once more in the end, without being waited for.
        timeout(LEAVE_TIME, asked).await??;
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        if self.state == State::Serving {
            self.table.remove(self.id);
        }
        self.state = State::Left;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.state != State::Left {
            let method = directory(self.unregister);
            // Where it cannot be sent, the directory forgets the service with the connection.
            let id = number(self.id.0);
            let _ = self.directory.release(Kind::Call, method, id);
            self.end();
        }
    }
}

/// What the directory is asked with.
struct Methods {
    register: ActionId,
    ready: ActionId,
    unregister: ActionId,
    /// What registerService takes; older directories want no object uid (section 20).
    layout: ServiceInfoLayout,
}

impl Methods {
    fn of(meta: &MetaObject) -> Result<Self, RegisterError> {
        let register = method(meta, "registerService")?;
        let form = &register.parameters_signature;
        let layout = match form.ty() {
            Type::Tuple(arguments) => match &*arguments.elements {
                [info] => ServiceInfoLayout::of(info),
                _ => None,
            },
            _ => None,
        };
        Ok(Self {
            register: register.uid,
            ready: method(meta, "serviceReady")?.uid,
            unregister: method(meta, "unregisterService")?.uid,
            layout: layout.ok_or_else(|| RegisterError::UnknownForm {
                signature: form.clone(),
            })?,
        })
    }
}

fn method<'a>(meta: &'a MetaObject, name: &'static str) -> Result<&'a MetaMethod, RegisterError> {
    meta.methods_named(name)
        .next()
        .ok_or(RegisterError::NoMethod { method: name })
}

async fn call(
    connection: &Connection,
    method: ActionId,
    payload: Bytes,
) -> Result<Reply, CallError> {
    connection.call(directory(method), payload).await
}

const fn directory(method: ActionId) -> Address {
    Address::new(ServiceId::DIRECTORY, ObjectId::MAIN, method)
}

fn number(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}
