//! The members of an object that get a place in its schema.

use super::{Finding, MemberKind, Problem, SchemaOptions};
use crate::qi::{
    value::{MetaMethod, MetaObject, MetaProperty, MetaSignal, Signature, TupleType, Type},
    wire::ActionId,
};

/// A member that is fit for a schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) uid: ActionId,
    pub(super) meta: Meta<'a>,
}

/// What the object says about a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meta<'a> {
    Method(&'a MetaMethod),
    Property(&'a MetaProperty),
    Signal(&'a MetaSignal),
}

/// The members that are to be exposed and can be, in the order in which they choose names: those
/// that are always exposed first, then by number. So neither a later member nor a private one ever
/// takes a name from an earlier one.
pub(super) fn members<'a>(
    service: &str,
    object: &'a MetaObject,
    options: &SchemaOptions,
    findings: &mut Vec<Finding>,
) -> Vec<Member<'a>> {
    let methods = object.methods.iter().map(|(uid, method)| Member {
        uid: *uid,
        meta: Meta::Method(method),
    });
    let properties = object.properties.iter().map(|(uid, property)| Member {
        uid: *uid,
        meta: Meta::Property(property),
    });
    let signals = object.signals.iter().filter(|(uid, signal)| {
        let property = object.properties.get(uid);
        property.is_none_or(|property| property.name != signal.name)
    });
    let signals = signals.map(|(uid, signal)| Member {
        uid: *uid,
        meta: Meta::Signal(signal),
    });

    let mut members: Vec<Member<'a>> = methods
        .chain(properties)
        .chain(signals)
        .filter(|member| options.expose_private || !member.is_private(service))
        .collect();
    members.sort_by_key(|member| (member.is_private(service), member.uid, member.kind()));
    let mut left = WEIGHT;
    members.retain(|member| match member.check(left) {
        Ok(weight) => {
            left -= weight;
            true
        }
        Err(problem) => {
            findings.push(member.finding(problem));
            false
        }
    });
    for member in &members {
        findings.extend(member.without_encoding());
    }
    members
}

impl<'a> Member<'a> {
    pub(super) fn name(&self) -> &'a str {
        match self.meta {
            Meta::Method(method) => &method.name,
            Meta::Property(property) => &property.name,
            Meta::Signal(signal) => &signal.name,
        }
    }

    /// The signature of the arguments, or of the property.
    pub(super) fn signature(&self) -> &'a Signature {
        match self.meta {
            Meta::Method(method) => &method.parameters_signature,
            Meta::Property(property) => &property.signature,
            Meta::Signal(signal) => &signal.signature,
        }
    }

    pub(super) fn return_signature(&self) -> Option<&'a Signature> {
        match self.meta {
            Meta::Method(method) => Some(&method.return_signature),
            Meta::Property(_) | Meta::Signal(_) => None,
        }
    }

    /// All types of the member, in the order in which they choose names.
    pub(super) fn types(&self) -> impl Iterator<Item = &'a Type> + use<'a> {
        [Some(self.signature()), self.return_signature()]
            .into_iter()
            .flatten()
            .map(Signature::ty)
    }

    pub(super) fn finding(&self, problem: Problem) -> Finding {
        Finding {
            kind: self.kind(),
            uid: self.uid,
            member: match self.meta {
                Meta::Method(method) => {
                    format!("{}::{}", method.name, method.parameters_signature)
                }
                Meta::Property(_) | Meta::Signal(_) => self.name().to_owned(),
            },
            problem,
        }
    }

    const fn kind(&self) -> MemberKind {
        match self.meta {
            Meta::Method(_) => MemberKind::Method,
            Meta::Property(_) => MemberKind::Property,
            Meta::Signal(_) => MemberKind::Signal,
        }
    }

    /// Whether the member is hidden unless asked for.
    fn is_private(&self, service: &str) -> bool {
        is_private(service, self.uid, self.kind(), self.name())
    }

    /// What the member adds to the weight of the schema, which may be `left` at most.
    fn check(&self, left: usize) -> Result<usize, Problem> {
        let signature = self.signature();
        let is_arguments = matches!(signature.ty(), Type::Tuple(_) | Type::Dynamic);
        if !is_arguments && !matches!(self.meta, Meta::Property(_)) {
            return Err(Problem::NotArguments {
                signature: signature.to_string(),
            });
        }
        let mut weight = 0;
        for ty in self.types() {
            check_type(ty, 1, &mut weight)?;
        }
        if weight > left {
            return Err(Problem::TooLarge { limit: WEIGHT });
        }
        Ok(weight)
    }

    fn without_encoding(&self) -> impl Iterator<Item = Finding> {
        let signatures = [Some(self.signature()), self.return_signature()];
        signatures
            .into_iter()
            .flatten()
            .filter(|signature| holds_unknown(signature.ty()))
            .map(|signature| {
                self.finding(Problem::NoEncoding {
                    signature: signature.to_string(),
                })
            })
    }
}

/// Whether a member of a service is hidden unless asked for
/// ([`SchemaOptions::expose_private`](super::SchemaOptions)).
#[must_use]
pub fn is_private(service: &str, uid: ActionId, kind: MemberKind, name: &str) -> bool {
    uid < ActionId::FIRST_OWN
        || name.starts_with('_')
        || (service == DIRECTORY && kind == MemberKind::Method && REGISTRATION.contains(&name))
}

fn check_type(ty: &Type, depth: usize, weight: &mut usize) -> Result<(), Problem> {
    if depth > DEPTH {
        return Err(Problem::TooDeep { limit: DEPTH });
    }
    *weight += depth * (TYPE_WEIGHT + annotation_bytes(ty));
    if let Type::Tuple(tuple) = ty
        && tuple.elements.len() > FIELDS
    {
        return Err(Problem::TooManyFields {
            fields: tuple.elements.len(),
            limit: FIELDS,
        });
    }
    parts(ty).try_for_each(|part| check_type(part, depth + 1, weight))
}

fn annotation_bytes(ty: &Type) -> usize {
    let Type::Tuple(TupleType {
        annotation: Some(names),
        ..
    }) = ty
    else {
        return 0;
    };
    names.name.len() + names.fields.iter().map(String::len).sum::<usize>()
}

fn holds_unknown(ty: &Type) -> bool {
    *ty == Type::Unknown || parts(ty).any(holds_unknown)
}

/// The types that a type is directly made of.
pub(super) fn parts(ty: &Type) -> impl Iterator<Item = &Type> {
    let (one, more): ([Option<&Type>; 2], &[Type]) = match ty {
        Type::List(part) | Type::VarArgs(part) | Type::KwArgs(part) | Type::Optional(part) => {
            ([Some(part), None], &[])
        }
        Type::Map(entry) => ([Some(&entry.0), Some(&entry.1)], &[]),
        Type::Tuple(tuple) => ([None, None], &tuple.elements),
        _ => ([None, None], &[]),
    };
    one.into_iter().flatten().chain(more)
}

/// The service with which others register.
const DIRECTORY: &str = "ServiceDirectory";

/// The methods by which a service registers: a gRPC client that calls them takes services away
/// from others (protocol text, section 14).
const REGISTRATION: [&str; 4] = [
    "registerService",
    "unregisterService",
    "serviceReady",
    "updateServiceInfo",
];

/// The most fields in a message. Streamed responses have their `info` at 1000, and protobuf
/// reserves 19000 to 19999.
const FIELDS: usize = 999;

/// How deep types may nest. Each level may be a message within another, inside of that of the rpc,
/// and protoc refuses 32 (`MaxMessageDeclarationNestingDepth` in port.h). Real types stay below 10.
const DEPTH: usize = 30;

/// The most that all types of a schema may weigh. A type weighs [`TYPE_WEIGHT`] and its names, in
/// bytes, times its depth: the names of messages grow with it, and each carries its signature.
/// 4 Mi: the heaviest service of a real robot has 55 000, and a peer that means harm gets no further
/// than a hundred MiB.
const WEIGHT: usize = 4 << 20;

/// What a type without names weighs, in bytes: about that of a field in a descriptor.
const TYPE_WEIGHT: usize = 16;
