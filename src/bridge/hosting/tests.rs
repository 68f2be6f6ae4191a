//! Hosting without a robot, and calls without a bus.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use tokio::sync::watch;

use super::{
    CallId, Declaration, DeclaredMethod, Hosting, HostingConfig, HostingError, Outcome,
    desk::{Member, Told},
    switchboard::{Called, Switchboard},
    values::{FromHost, Values},
};
use crate::{
    bridge::{
        objects::{MAX_OBJECTS_PER_MESSAGE, ObjectTable},
        service::ValueFormat,
        supervisor::State,
    },
    proto::v1,
    qi::{
        host::{MethodError, ObjectBuilder},
        value::{Signature, Value},
        wire::Limits,
    },
};

const LEASE: Duration = Duration::from_secs(60);

fn values() -> Values {
    Values {
        limits: Limits::default(),
        format: ValueFormat::Exact,
        objects: Arc::new(ObjectTable::new(LEASE)),
    }
}

fn hosting(config: &HostingConfig) -> Hosting {
    let doors = Arc::new(config.doors());
    let sessions = watch::channel(None).1;
    let objects = Arc::new(ObjectTable::new(LEASE));
    let robot = watch::channel(State::default()).1;
    Hosting::new(config, doors, sessions, robot, objects, Limits::default())
}

fn declaration() -> Declaration {
    Declaration {
        name: "Echo".into(),
        methods: vec![DeclaredMethod {
            name: "echo".into(),
            parameters_signature: "(i)".into(),
            return_signature: "i".into(),
            ..DeclaredMethod::default()
        }],
        ..Declaration::default()
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_services_are_hosted() {
    let hosting = hosting(&HostingConfig {
        max_services: 1,
        ..HostingConfig::default()
    });
    let first = hosting.host(&declaration(), ValueFormat::Exact).await;
    let second = hosting.host(&declaration(), ValueFormat::Exact).await;
    assert!(matches!(
        second,
        Err(HostingError::TooManyServices { limit: 1 })
    ));
    drop(first);
    let third = hosting.host(&declaration(), ValueFormat::Exact).await;
    assert!(third.is_ok(), "{third:?}");
}

#[tokio::test]
async fn a_declaration_with_too_many_members_is_refused() {
    let method = |number: usize| DeclaredMethod {
        name: format!("m{number}"),
        ..DeclaredMethod::default()
    };
    let declaration = Declaration {
        methods: (0..=super::declaration::MAX_MEMBERS).map(method).collect(),
        ..declaration()
    };
    let hosting = hosting(&HostingConfig::default());
    let refused = hosting.host(&declaration, ValueFormat::Exact).await;
    assert!(matches!(
        refused,
        Err(HostingError::Declaration { field, .. }) if field == "declare"
    ));
}

/// A method `echo(i) -> i`, and where its calls go.
fn echo() -> (Arc<Switchboard>, Arc<Called>) {
    let board = Arc::new(Switchboard::new("Echo", values(), LEASE));
    let called = Arc::new(Called {
        member: Member(0),
        name: "echo".into(),
        parameters: "(i)".parse().unwrap(),
        returns: "i".parse().unwrap(),
    });
    (board, called)
}

fn int(number: i64) -> v1::Value {
    v1::Value {
        kind: Some(v1::value::Kind::IntValue(number)),
        signature: String::new(),
    }
}

async fn next_call(board: &Switchboard) -> (CallId, Vec<v1::Value>) {
    match board.told().await {
        Told::Call { id, args, .. } => {
            let call = v1::host_response::Call::decode(&*args).unwrap();
            (id, call.args)
        }
        other => panic!("no call: {other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_told_and_its_answer_converted() {
    let (board, echo) = echo();
    let calling = tokio::spawn(Arc::clone(&board).call(echo, vec![Value::Int32(7)]));
    let (id, args) = next_call(&board).await;
    let kinds: Vec<_> = args.into_iter().map(|arg| arg.kind).collect();
    assert_eq!(kinds, [int(7).kind]);
    board.answer(id, Outcome::Returned(int(8).encode_to_vec()));
    assert_eq!(calling.await.unwrap(), Ok(Value::Int32(8)));
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_at_the_host() {
    let (board, echo) = echo();
    let calling = tokio::spawn(Arc::clone(&board).call(echo, vec![Value::Int32(7)]));
    let (id, _) = next_call(&board).await;
    calling.abort();
    assert_eq!(board.told().await, Told::Cancel { id });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_fails() {
    let (board, echo) = echo();
    let calling = tokio::spawn(Arc::clone(&board).call(echo, vec![Value::Int32(7)]));
    let (id, _) = next_call(&board).await;
    let text = "Echo: the host has not answered echo within 60s";
    assert_eq!(calling.await.unwrap(), Err(MethodError::failed(text)));
    assert_eq!(board.told().await, Told::Cancel { id });
}

#[tokio::test]
async fn calls_fail_with_the_host() {
    let (board, echo) = echo();
    let calling = Arc::clone(&board).call(Arc::clone(&echo), vec![Value::Int32(7)]);
    let calling = tokio::spawn(calling);
    next_call(&board).await;
    board.close();
    let gone = Err(MethodError::failed("Echo: the host is gone"));
    assert_eq!(calling.await.unwrap(), gone);
    assert_eq!(board.call(echo, vec![Value::Int32(7)]).await, gone);
}

#[tokio::test]
async fn calls_that_were_made_outlast_the_retirement() {
    let (board, echo) = echo();
    let calling = Arc::clone(&board).call(Arc::clone(&echo), vec![Value::Int32(7)]);
    let calling = tokio::spawn(calling);
    let (id, _) = next_call(&board).await;
    let retiring = tokio::spawn({
        let board = Arc::clone(&board);
        async move { board.retire().await }
    });
    tokio::task::yield_now().await;
    let late = Arc::clone(&board).call(echo, vec![Value::Int32(8)]).await;
    let refused = MethodError::failed("Echo: the gateway shuts down");
    assert_eq!(late, Err(refused));
    assert!(!retiring.is_finished());
    board.answer(id, Outcome::Returned(int(8).encode_to_vec()));
    assert_eq!(calling.await.unwrap(), Ok(Value::Int32(8)));
    retiring.await.unwrap();
}

/// Each name of an object in one message became an object of the gateway, however many there were.
#[test]
fn only_so_many_objects_are_passed_at_once() {
    let values = values();
    let bell = ObjectBuilder::new().build().unwrap();
    let _offer = values.objects.offers().add("Bell", &bell);
    let list = |length| {
        let bell = v1::Value {
            kind: Some(v1::value::Kind::ObjectValue(v1::ObjectRef {
                service: "Bell".into(),
                ..v1::ObjectRef::default()
            })),
            signature: String::new(),
        };
        let items = vec![bell; length];
        let list = v1::ListValue { items };
        let kind = Some(v1::value::Kind::ListValue(list));
        let value = v1::Value {
            kind,
            ..v1::Value::default()
        };
        value.encode_to_vec()
    };
    let ty = "[o]".parse::<Signature>().unwrap().into_type();
    assert!(values.of_type(&list(MAX_OBJECTS_PER_MESSAGE), &ty).is_ok());
    let refused = values.of_type(&list(MAX_OBJECTS_PER_MESSAGE + 1), &ty);
    assert!(matches!(refused, Err(FromHost::TooManyObjects { .. })));
}
