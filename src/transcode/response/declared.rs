//! Dynamics that hold what was declared.

use super::{Holds, decoder::Decoder};
use crate::{
    qi::value::{Signature, Type},
    transcode::{
        ResponseError,
        error::Located as _,
        plan::{FieldPlan, MessagePlan},
    },
};

impl Decoder<'_, '_, '_> {
    /// `m` that holds a tuple: each member becomes a `Value`.
    pub(super) fn any_arguments(&mut self, number: u32) -> Result<(), ResponseError> {
        let signature = self.unwrapped_signature()?;
        match signature.as_ref().map(Signature::ty) {
            Some(Type::Tuple(tuple)) => self.arguments(&tuple.elements, number),
            _ => Err(undeclared(&Type::Dynamic, signature.as_ref())),
        }
    }

    /// Values of the types, each a `Value` of its own.
    pub(super) fn arguments(&mut self, types: &[Type], number: u32) -> Result<(), ResponseError> {
        types.iter().enumerate().try_for_each(|(index, ty)| {
            let guess = self.reader.left();
            self.nested(number, guess, |decoder| {
                decoder.self_told(ty, &ty.to_string())
            })
            .and_then(|()| self.check_size())
            .map_err(|error| error.at(index))
        })
    }

    /// A dynamic that holds what was declared.
    pub(super) fn declared(
        &mut self,
        plan: &MessagePlan,
        holds: Holds,
    ) -> Result<(), ResponseError> {
        if holds == Holds::Value
            && let [field] = &*plan.fields
            && *field.signature.ty() == Type::Dynamic
        {
            return self.fields(plan);
        }
        let signature = self.unwrapped_signature()?;
        let sent = signature.as_ref().map_or(&Type::Void, Signature::ty);
        match (holds, &*plan.fields, sent) {
            (Holds::Value, [], Type::Void | Type::None) => Ok(()),
            (Holds::Value, [field], sent) if sent.same_layout(field.signature.ty()) => {
                self.fields(plan)
            }
            (Holds::Arguments, fields, Type::Tuple(tuple))
                if fields.len() == tuple.elements.len()
                    && fields
                        .iter()
                        .zip(&tuple.elements)
                        .all(|(field, sent)| is_declared(field, sent)) =>
            {
                fields
                    .iter()
                    .zip(&tuple.elements)
                    .try_for_each(|(field, sent)| {
                        self.declared_field(field, sent)
                            .map_err(|error| error.within(&field.name))
                    })
            }
            (Holds::Value, fields, _) => {
                let declared = fields
                    .first()
                    .map_or(&Type::Void, |field| field.signature.ty());
                Err(undeclared(declared, signature.as_ref()))
            }
            (Holds::Arguments, fields, _) => {
                let types = fields
                    .iter()
                    .map(|field| field.signature.ty().clone())
                    .collect();
                Err(undeclared(&Type::tuple(types), signature.as_ref()))
            }
        }
    }

    fn declared_field(&mut self, field: &FieldPlan, sent: &Type) -> Result<(), ResponseError> {
        if *field.signature.ty() == Type::Dynamic && *sent != Type::Dynamic {
            let guess = self.reader.left();
            return self.nested(field.number, guess, |decoder| {
                decoder.self_told(sent, &sent.to_string())
            });
        }
        self.field(field)
    }

    /// The signature of what a dynamic holds. Python peers wrap what is declared `m` once more
    /// (section 7).
    fn unwrapped_signature(&mut self) -> Result<Option<Signature>, ResponseError> {
        let outside = self.budgets.dynamics_left;
        loop {
            self.enter_dynamic()?;
            let signature = self.signature()?;
            match &signature {
                Some(wrapper) if *wrapper.ty() == Type::Dynamic => {}
                _ => {
                    self.budgets.dynamics_left = outside;
                    return Ok(signature);
                }
            }
        }
    }
}

/// Whether an argument of type `sent` can stand in the field.
fn is_declared(field: &FieldPlan, sent: &Type) -> bool {
    *field.signature.ty() == Type::Dynamic || sent.same_layout(field.signature.ty())
}

fn undeclared(declared: &Type, sent: Option<&Signature>) -> ResponseError {
    ResponseError::Undeclared {
        declared: declared.to_string(),
        sent: sent.map(ToString::to_string).unwrap_or_default(),
    }
}
