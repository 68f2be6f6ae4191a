//! The schemas of a real robot's services. The data is not part of this repository: it is looked
//! for in `QI_ROBOTS_DIR`, by default `../shared/robots`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure here is a failed test"
)]

#[path = "support/compile.rs"]
mod compile;
mod support;

use std::collections::BTreeSet;

use qi_grpc_gateway::{
    qi::{value::MetaObject, wire::ActionId},
    schema::{Finding, MemberKind, MethodKind, Problem, SchemaOptions, ServiceSchema, packages},
};
use support::{
    Gateway, buf_in,
    nao::{data, snapshot},
};

const REGISTRATION: [&str; 4] = [
    "registerService",
    "unregisterService",
    "serviceReady",
    "updateServiceInfo",
];

fn robot() -> Vec<(String, MetaObject)> {
    snapshot().into_services().into_iter().collect()
}

fn schemas(robot: &[(String, MetaObject)], options: SchemaOptions) -> Vec<ServiceSchema> {
    let packages = packages(robot.iter().map(|(name, _)| name.as_str()), []);
    let schema = |(name, object): &(String, MetaObject)| {
        ServiceSchema::new(name, &packages[name], object, &options)
    };
    robot.iter().map(schema).collect()
}

/// What the schema must have, counted from the data without any of its code.
fn expected(service: &str, object: &MetaObject, private: bool) -> Vec<(ActionId, MethodKind)> {
    let shown = |uid: &ActionId, name: &str| private || (uid.0 >= 100 && !name.starts_with('_'));
    let mut rpcs = Vec::new();
    for (uid, method) in &object.methods {
        let registers =
            service == "ServiceDirectory" && REGISTRATION.contains(&method.name.as_str());
        if shown(uid, &method.name) && (private || !registers) {
            rpcs.push((*uid, MethodKind::Call));
        }
    }
    for (uid, property) in &object.properties {
        if shown(uid, &property.name) {
            rpcs.push((*uid, MethodKind::GetProperty));
            rpcs.push((*uid, MethodKind::SetProperty));
            rpcs.push((*uid, MethodKind::WatchProperty));
        }
    }
    for (uid, signal) in &object.signals {
        if shown(uid, &signal.name) && !object.properties.contains_key(uid) {
            rpcs.push((*uid, MethodKind::Subscribe));
        }
    }
    rpcs.sort_by_key(|(uid, kind)| (*uid, *kind as i32));
    rpcs
}

#[test]
fn no_public_member_is_lost_and_none_is_there_twice() {
    let robot = robot();
    assert_eq!(robot.len(), 114);
    for private in [false, true] {
        let options = SchemaOptions {
            expose_private: private,
        };
        for ((name, object), schema) in robot.iter().zip(schemas(&robot, options)) {
            let mut rpcs: Vec<_> = schema.methods.iter().map(|it| (it.uid, it.kind)).collect();
            rpcs.sort_by_key(|(uid, kind)| (*uid, *kind as i32));
            assert_eq!(rpcs, expected(name, object, private), "{name}");
            let paths: BTreeSet<_> = schema.methods.iter().map(|it| &it.path).collect();
            assert_eq!(paths.len(), schema.methods.len(), "{name}");
        }
    }
}

#[test]
fn all_files_are_valid_together() {
    let robot = robot();
    for expose_private in [false, true] {
        let mut pool = compile::static_pool();
        let options = SchemaOptions { expose_private };
        for schema in schemas(&robot, options) {
            pool.decode_file_descriptor_proto(&schema.descriptor[..])
                .unwrap_or_else(|error| panic!("{}: {error}", schema.qi_name));
            let service = pool.get_service_by_name(&schema.full_name).unwrap();
            assert_eq!(service.methods().len(), schema.methods.len());
        }
    }
}

#[test]
fn every_text_compiles_to_its_descriptor() {
    for schema in schemas(&robot(), SchemaOptions::default()) {
        compile::round_trip(&schema);
    }
}

#[test]
fn nothing_is_left_out_and_every_finding_has_a_known_reason() {
    let findings: Vec<Finding> = schemas(&robot(), SchemaOptions::default())
        .into_iter()
        .flat_map(|schema| schema.findings)
        .collect();
    for finding in &findings {
        assert!(!finding.left_out(), "{finding}");
        match &finding.problem {
            // Nine methods return what the robot itself cannot describe, some take it.
            Problem::NoEncoding { signature } => assert!(signature.contains('X')),
            Problem::StructRenamed {
                wanted, message, ..
            } => {
                assert!(message.starts_with(wanted.as_str()), "{finding}");
            }
            Problem::RpcRenamed { wanted, rpc } => {
                assert_eq!(finding.kind, MemberKind::Method, "{finding}");
                assert!(rpc.starts_with(wanted.as_str()), "{finding}");
            }
            _ => panic!("{finding}"),
        }
    }
}

#[test]
fn the_same_robot_gives_the_same_bytes() {
    let robot = robot();
    let mut backwards = robot.clone();
    backwards.reverse();
    let mut again = schemas(&backwards, SchemaOptions::default());
    again.reverse();
    assert_eq!(schemas(&robot, SchemaOptions::default()), again);
}

#[tokio::test]
async fn the_export_is_lint_clean_and_builds() {
    for private in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (data, out) = (data(), folder.path().join("api"));
        let (from, to) = (data.to_str().unwrap(), out.to_str().unwrap());
        let mut args = vec!["schema", "export", "--from", from, "--out", to];
        args.extend(private.then_some("--expose-private"));
        Gateway::run(&args).await.success();
        let packages = std::fs::read_dir(out.join("qi")).unwrap().count();
        assert_eq!(packages, 114 + 1, "the services and the static API");
        buf_in(&out, &["lint"]).await.success();
        buf_in(&out, &["build"]).await.success();
    }
}
