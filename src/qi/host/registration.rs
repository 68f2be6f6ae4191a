//! Services in the directory (protocol text, section 14).

use std::sync::Arc;

use bytes::Bytes;

use super::{Host, HostedObject, RegisterError, identity::Identity, table::Table};
use crate::qi::{
    session::{CallError, CloseReason, Connection, Reply},
    value::{
        MetaMethod, MetaObject, Signature, Type, Value,
        codec::{EncodeContext, decode_meta_object, encode},
    },
    wire::{ActionId, Address, ObjectId, Reader, ServiceId, Writer},
};

impl Host {
    /// Puts an object on the bus of a service directory as the service `name`.
    ///
    /// `directory` should have been opened with [`Self::dispatch`]; without it everyone but the
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
        directory: &Connection,
        name: &str,
        object: &HostedObject,
    ) -> Result<Registration, RegisterError> {
        let methods = Methods::of(directory).await?;
        let info = methods.describe(name, &self.identity)?;
        let reply = call(directory, methods.register, info).await?;
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

/// A service on a bus. Leaves the bus when dropped, best with [`Self::leave`]. Keeps the
/// connection to the directory open.
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

    /// Takes the service from the bus and waits until the directory says so. Calls that still run
    /// fail.
    ///
    /// # Errors
    ///
    /// The directory's. The service does not answer any more in any case.
    pub async fn leave(mut self) -> Result<(), CallError> {
        let left = call(&self.directory, self.unregister, number(self.id.0)).await;
        self.end();
        left.map(|_| ())
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
            // Where nothing can be sent any more, the directory forgets the service by itself.
            let _ = self.directory.call_and_forget(method, number(self.id.0));
            self.end();
        }
    }
}

/// What the directory is asked with.
struct Methods {
    register: ActionId,
    ready: ActionId,
    unregister: ActionId,
    /// What registerService takes.
    form: Signature,
}

impl Methods {
    async fn of(connection: &Connection) -> Result<Self, RegisterError> {
        let reply = call(connection, ActionId::META_OBJECT, number(0)).await?;
        let limits = &connection.limits().wire;
        let meta = decode_meta_object(&reply.payload, limits)?.meta;
        let register = method(&meta, "registerService")?;
        Ok(Self {
            register: register.uid,
            ready: method(&meta, "serviceReady")?.uid,
            unregister: method(&meta, "unregisterService")?.uid,
            form: register.parameters_signature.clone(),
        })
    }

    /// The description of a service, in the form that the directory declares: older ones have no
    /// object uid (section 20). The number is the directory's to give.
    fn describe(&self, name: &str, identity: &Identity) -> Result<Bytes, RegisterError> {
        let endpoints = identity.endpoints.iter().map(|url| Value::text(url));
        let uid = identity.object_uid(name);
        let mut info = vec![
            (Type::String, Value::text(name)),
            (Type::UInt32, Value::UInt32(0)),
            (Type::String, Value::text(&identity.machine_id)),
            (Type::UInt32, Value::UInt32(identity.process_id)),
            (Type::list(Type::String), Value::List(endpoints.collect())),
            (Type::String, Value::text(&identity.session_id)),
            // Raw bytes, though it is declared as a string (section 14).
            (Type::String, Value::String(Bytes::copy_from_slice(&uid.0))),
        ];
        let unknown = || RegisterError::UnknownForm {
            signature: self.form.clone(),
        };
        let Type::Tuple(arguments) = self.form.ty() else {
            return Err(unknown());
        };
        let [Type::Tuple(form)] = &*arguments.elements else {
            return Err(unknown());
        };
        if form.elements.len() < OLD_FORM {
            return Err(unknown());
        }
        info.truncate(form.elements.len());
        let (types, values) = info.into_iter().unzip();
        if !Type::tuple(types).same_layout(&Type::tuple(form.elements.clone())) {
            return Err(unknown());
        }
        let info = Value::Tuple(vec![Value::Tuple(values)]);
        let mut writer = Writer::new();
        encode(
            &info,
            self.form.ty(),
            &mut EncodeContext::default(),
            &mut writer,
        )?;
        Ok(writer.finish())
    }
}

/// How many fields the description of a service has at directories before 2018.
const OLD_FORM: usize = 6;

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
