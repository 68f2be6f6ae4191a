//! Laws of the schema on any meta object: files are valid, and what grows at its end keeps all
//! that was there before, so that clients need no new code when a service gets more members.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/compile.rs"]
mod compile;

use proptest::{collection::vec, prelude::*, sample::select};
use qi_grpc_gateway::{
    qi::{
        value::{
            Annotation, MetaMethod, MetaMethodParameter, MetaObject, MetaProperty, MetaSignal,
            Signature, TupleType, Type,
        },
        wire::ActionId,
    },
    schema::{MethodSchema, SchemaOptions, ServiceSchema, diff::Diff},
};

const PUBLIC: SchemaOptions = SchemaOptions {
    expose_private: false,
};
const ALL: SchemaOptions = SchemaOptions {
    expose_private: true,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn members_that_come_later_rename_nothing(
        members in vec(member(), 0..12),
        later in vec(member(), 1..6),
    ) {
        let before = schema(&object(members.iter()), PUBLIC);
        let after = schema(&object(members.iter().chain(&later)), PUBLIC);
        for method in &before.methods {
            prop_assert_eq!(Some(method), same(&after, method));
        }
        let diff = Diff::between(&[before], &[after]).unwrap();
        prop_assert!(!diff.is_breaking(), "{diff}");
    }

    #[test]
    fn private_members_take_no_name_from_public_ones(members in vec(member(), 0..16)) {
        let object = object(members.iter());
        let public = schema(&object, PUBLIC);
        let all = schema(&object, ALL);
        for method in &public.methods {
            prop_assert_eq!(Some(method), same(&all, method));
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_file_is_valid_and_its_text_compiles(members in vec(member(), 0..16)) {
        let schema = schema(&object(members.iter()), ALL);
        let mut pool = compile::static_pool();
        pool.decode_file_descriptor_proto(&schema.descriptor[..]).unwrap();
        compile::round_trip(&schema);
        let left_out = schema.findings.iter().filter(|it| it.left_out()).count();
        prop_assert_eq!(left_out, 0);
        let rpcs: usize = members.iter().map(Member::rpcs).sum();
        prop_assert_eq!(schema.methods.len(), rpcs);

        let mut symbols = schema.symbols.clone();
        symbols.sort();
        symbols.dedup();
        prop_assert_eq!(symbols.len(), schema.symbols.len());
        for method in &schema.methods {
            for message in [method.request.message(), method.response.message()] {
                prop_assert!(schema.symbols.contains(&message.full_name));
                prop_assert!(pool.get_message_by_name(&message.full_name).is_some());
            }
        }
    }
}

fn same<'s>(schema: &'s ServiceSchema, wanted: &MethodSchema) -> Option<&'s MethodSchema> {
    let mut methods = schema.methods.iter();
    methods.find(|it| (it.uid, it.kind) == (wanted.uid, wanted.kind))
}

fn schema(object: &MetaObject, options: SchemaOptions) -> ServiceSchema {
    ServiceSchema::new("foo", "qi.foo.v1", object, &options)
}

#[derive(Clone, Debug)]
enum Member {
    Method(String, Type, Type, Vec<String>),
    Signal(String, Type),
    Property(String, Type),
}

impl Member {
    fn rpcs(&self) -> usize {
        match self {
            Self::Method(..) | Self::Signal(..) => 1,
            Self::Property(..) => 3,
        }
    }
}

/// Numbers the members in their order.
fn object<'a>(members: impl Iterator<Item = &'a Member>) -> MetaObject {
    let mut object = MetaObject::default();
    for (uid, member) in (100..).map(ActionId).zip(members) {
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

fn member() -> impl Strategy<Value = Member> {
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

fn ty() -> impl Strategy<Value = Type> {
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
