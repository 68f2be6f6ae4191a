//! Laws of the schema on any meta object: files are valid, and what grows at its end keeps all
//! that was there before, so that clients need no new code when a service gets more members.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/compile.rs"]
mod compile;
#[path = "support/members.rs"]
mod members;

use members::{Member, member, object};
use proptest::{collection::vec, prelude::*};
use qi_grpc_gateway::{
    qi::value::MetaObject,
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
