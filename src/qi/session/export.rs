//! Objects of this side on a connection: what callers pass as arguments (protocol text, section 13).

use super::{Connection, ExportError};
use crate::qi::{
    value::{LiveObject, ObjectReference, Value},
    wire::{Address, ServiceId},
};

/// An object that answers on a connection, under the address in [`Self::reference`].
///
/// Dropping it takes the object back, as if it had never been there: right as long as the peer was
/// not told. Afterwards [`Self::keep`] leaves it to the peer, which releases it, or to the end of
/// the connection.
#[derive(Debug)]
#[must_use = "dropping it takes the object back"]
pub struct Export {
    connection: Connection,
    reference: ObjectReference,
    kept: bool,
}

impl Export {
    /// What is to be written into a payload.
    #[must_use]
    pub const fn reference(&self) -> &ObjectReference {
        &self.reference
    }

    /// The peer was told of the object.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if !self.kept {
            let address = Address::new(
                self.reference.service,
                self.reference.object,
                Default::default(),
            );
            let dispatch = self.connection.dispatch();
            dispatch.withdraw(self.connection.id(), address);
        }
    }
}

impl Connection {
    /// Makes an object answer on this connection, to be passed as an argument to a member of
    /// `service`, an object of the peer.
    ///
    /// # Errors
    ///
    /// [`ExportError`]; [`ExportError::NotHosting`] unless the connection was opened with the
    /// [`super::Dispatch`] of a host.
    pub fn export(&self, service: ServiceId, object: &LiveObject) -> Result<Export, ExportError> {
        let reference = self.dispatch().export(self, service, object)?;
        Ok(Export {
            connection: self.clone(),
            reference,
            kept: false,
        })
    }

    /// Puts references in the place of all objects of this process in a value; see
    /// [`Self::export`].
    ///
    /// # Errors
    ///
    /// [`ExportError`]; [`ExportError::Unknown`] for the address of an object, [`Value::Object`]:
    /// the peer would take it for one on this connection.
    pub fn export_all(
        &self,
        service: ServiceId,
        value: &mut Value,
    ) -> Result<Vec<Export>, ExportError> {
        let mut exports = Vec::new();
        value.visit_objects(&mut |place| {
            match place {
                Value::Live(object) => {
                    let export = self.export(service, object)?;
                    *place = Value::Object(Box::new(export.reference.clone()));
                    exports.push(export);
                }
                Value::Object(reference) if !reference.is_null() => {
                    return Err(ExportError::Unknown);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(exports)
    }
}
