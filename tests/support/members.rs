//! Random meta objects, whose members want each other's names.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test uses its own part of this, and may panic"
)]

use proptest::{collection::vec, prelude::*, sample::select};
use qi_grpc_gateway::qi::{
    value::{
        Annotation, MetaMethod, MetaMethodParameter, MetaObject, MetaProperty, MetaSignal,
        Signature, TupleType, Type,
    },
    wire::ActionId,
};

/// A member: a name and types, and for a method the names of its parameters.
#[derive(Clone, Debug)]
pub(crate) enum Member {
    Method(String, Type, Type, Vec<String>),
    Signal(String, Type),
    Property(String, Type),
}

impl Member {
    /// How many rpcs it makes.
    pub(crate) fn rpcs(&self) -> usize {
        match self {
            Self::Method(..) | Self::Signal(..) => 1,
            Self::Property(..) => 3,
        }
    }

    /// Its name at the robot.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Method(name, ..) | Self::Signal(name, _) | Self::Property(name, _) => name,
        }
    }
}

/// Numbers the members in their order.
pub(crate) fn object<'a>(members: impl Iterator<Item = &'a Member>) -> MetaObject {
    numbered(members.enumerate())
}

/// The members with their numbers, from 0.
pub(crate) fn numbered<'a>(members: impl Iterator<Item = (usize, &'a Member)>) -> MetaObject {
    let mut object = MetaObject::default();
    for (number, member) in members {
        let uid = ActionId(100 + u32::try_from(number).unwrap());
        match member.clone() {
            Member::Method(name, parameters, returned, names) => {
                let parameters_signature = Signature::from(parameters);
                let parameters = names.into_iter().map(|name| MetaMethodParameter {
                    name,
                    description: String::new(),
                });
                let method = MetaMethod {
                    uid,
                    return_signature: Signature::from(returned),
                    name,
                    parameters_signature,
                    description: String::new(),
                    parameters: parameters.collect(),
                    return_description: String::new(),
                };
                object.methods.insert(uid, method);
            }
            Member::Signal(name, ty) => {
                let signature = Signature::from(ty);
                let signal = MetaSignal {
                    uid,
                    name,
                    signature,
                };
                object.signals.insert(uid, signal);
            }
            Member::Property(name, ty) => {
                let signature = Signature::from(ty);
                let property = MetaProperty {
                    uid,
                    name,
                    signature,
                };
                object.properties.insert(uid, property);
            }
        }
    }
    object
}

/// Any member.
pub(crate) fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        4 => (name(), arguments(), ty(), vec(name(), 0..4))
            .prop_map(|(name, parameters, returned, names)| {
                Member::Method(name, parameters, returned, names)
            }),
        1 => (name(), arguments()).prop_map(|(name, ty)| Member::Signal(name, ty)),
        1 => (name(), ty()).prop_map(|(name, ty)| Member::Property(name, ty)),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![2 => select(CLOSE), 1 => select(NAMES)].prop_map(Into::into)
}

fn arguments() -> impl Strategy<Value = Type> {
    prop_oneof![
        9 => vec(ty(), 0..4).prop_map(Type::tuple),
        1 => Just(Type::Dynamic),
    ]
}

/// Any type.
pub(crate) fn ty() -> impl Strategy<Value = Type> {
    let letters = "vXbcCwWiIlLfdsrmo".chars();
    let scalars: Vec<Type> = letters.map(|c| c.to_string().parse().unwrap()).collect();
    select(scalars).prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            (inner.clone(), inner.clone()).prop_map(|(key, value)| Type::map(key, value)),
            inner.clone().prop_map(|ty| Type::Optional(Box::new(ty))),
            inner.clone().prop_map(|ty| Type::VarArgs(Box::new(ty))),
            inner.clone().prop_map(|ty| Type::KwArgs(Box::new(ty))),
            vec(inner.clone(), 0..4).prop_map(Type::tuple),
            (name(), vec((name(), inner), 0..4)).prop_map(|(name, members)| {
                let (fields, elements) = members.into_iter().unzip();
                Type::Tuple(TupleType {
                    elements,
                    annotation: Some(Annotation { name, fields }),
                })
            }),
        ]
    })
}

/// Names whose rpcs want each other's names.
const CLOSE: &[&str] = &[
    "foo",
    "Foo",
    "_foo",
    "subscribeFoo",
    "getFooProperty",
    "fooInt32",
];

/// Few names, so that they meet: in case, separators, with what is generated, with the package.
const NAMES: &[&str] = &[
    "foo",
    "Foo",
    "_foo",
    "fooBar",
    "foo_bar",
    "foobar",
    "fooRequest",
    "FooResponse",
    "fooClient",
    "subscribeFoo",
    "getFooProperty",
    "fooInt32",
    "fooEmpty",
    "fooTuple",
    "fooList",
    "fooEntry",
    "foo_1",
    "foo1",
    "1",
    "",
    "\u{e9}",
    "arg1",
    "arg2",
    "item1",
    "value",
    "items",
    "key",
    "info",
    "options",
    "qi",
    "google",
    "message",
    "oneof",
    "reserved",
    "string",
    "self",
    "a*/\n\"b\\",
];
