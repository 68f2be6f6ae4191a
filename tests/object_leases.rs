//! Objects that the robot keeps for clients, on the real libqi: each is given back, whatever becomes
//! of its client.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod support;

use std::{collections::HashSet, time::Duration};

use qi_grpc_gateway::qi::wire::{ActionId, Kind, Message, ObjectId, ServiceId};
use serde_json::json;
use support::{
    Gateway, GrpcClient, LibqiClient, LibqiRobot,
    relay::{Relay, registers, terminates},
    usage::Usage,
};

#[tokio::test]
async fn an_object_that_a_stream_goes_through_lives_as_long_as_the_stream() {
    let robot = LibqiRobot::start(&[]).await;
    let relay = Relay::start(robot.url()).await;
    let gateway = Gateway::serve(relay.url()).await;
    gateway.wait_serving("qi.bells.v1.Bells").await;
    let grpc = GrpcClient::python(gateway.address()).await;
    let libqi = LibqiClient::connect(robot.url()).await;
    let through = json!({"method": "make", "args": [{"json": "b"}]});
    let rung = json!({"target": {"service": "Bells", "through": through}, "signal": "rung"});
    let mut seen = HashSet::new();
    for round in 1..=3 {
        let ringing = grpc
            .stream("qi.gateway.v1.DynamicService/Subscribe", rung.clone())
            .await;
        let registered =
            relay.sent(|message| registers(message) && message.address.object != ObjectId::MAIN);
        let bell = registered.last().unwrap().address;
        assert!(seen.insert(bell.object), "an object of its own");
        libqi.call("Bells", "ring", json!([round])).await.unwrap();
        let event = ringing.message().await;
        assert_eq!(event["args"][0]["intValue"], round.to_string(), "{event}");
        assert!(relay.is_there(bell.service, bell.object).await);

        ringing.cancel().await;
        relay.wait_sent(round, terminates).await;
        assert!(!relay.is_there(bell.service, bell.object).await);
        let last = relay.sent(terminates).pop().unwrap();
        assert_eq!(last.address.object, bell.object);
    }
}

/// The gateway in front of a relay, with short leases.
async fn served(robot: &LibqiRobot) -> (Relay, Gateway) {
    let relay = Relay::start(robot.url()).await;
    let gateway = Gateway::serve_with(relay.url(), &["--object-lease", "2"]).await;
    gateway.wait_serving("qi.typed.v1.Typed").await;
    gateway.wait_serving("qi.bells.v1.Bells").await;
    (relay, gateway)
}

/// A client that gets that many objects and crashes with them, some of its calls under way.
async fn crash_with_objects(gateway: &Gateway, count: usize) {
    let client = GrpcClient::python(gateway.address()).await;
    {
        let request = || json!({"arg1": "t"});
        let calls: Vec<_> = (0..count)
            .map(|_| client.start_unary("qi.typed.v1.Typed/MakeTool", request()))
            .collect();
        let (waited_for, _left) = calls.split_at(count - count / 10);
        for call in waited_for {
            call.reply().await.ok();
        }
    }
    client.kill();
}

/// Whether a message is about a method of a service, none of those that every object has.
fn calls_member(message: &Message) -> bool {
    message.address.service != ServiceId(1)
        && message.address.object == ObjectId::MAIN
        && message.address.action >= ActionId(100)
}

/// Waits until every call is answered and every object given back; gives how many there were. The
/// calls are all of methods that return one object.
async fn wait_all_given_back(relay: &Relay, calls: usize) -> usize {
    let called = |message: &Message| message.kind == Kind::Call && calls_member(message);
    let made = |message: &Message| message.kind == Kind::Reply && calls_member(message);
    let canceled = |message: &Message| message.kind == Kind::Canceled && calls_member(message);
    let waiting = async {
        loop {
            let made = relay.received(made).len();
            let answered = made + relay.received(canceled).len();
            if answered == relay.sent(called).len() && relay.sent(terminates).len() >= made {
                return made;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(support::PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| {
        let (made, canceled) = (relay.received(made).len(), relay.received(canceled).len());
        let (called, given_back) = (relay.sent(called).len(), relay.sent(terminates).len());
        panic!("{called} of {calls} calls: {made} objects, {canceled} canceled, {given_back} given back")
    })
}

/// Waits until no more than so many objects are held, so that memory does not depend on how fast this
/// machine makes them.
async fn wait_held(relay: &Relay, most: usize) {
    let made = |message: &Message| message.kind == Kind::Reply && calls_member(message);
    let waiting = async {
        while relay.received(made).len() > relay.sent(terminates).len() + most {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn ten_thousand_objects_of_crashed_clients_go_back_to_the_robot() {
    const OBJECTS: usize = 10_000;
    const PER_CLIENT: usize = 500;
    let robot = LibqiRobot::start(&[]).await;
    let (relay, gateway) = served(&robot).await;
    let process = gateway.process().id();
    let mut uses = Vec::new();
    for _ in 0..OBJECTS / PER_CLIENT {
        crash_with_objects(&gateway, PER_CLIENT).await;
        uses.push(Usage::of(process));
        wait_held(&relay, 2 * PER_CLIENT).await;
    }
    // The calls that were under way were cancelled, or gave objects that nobody knows.
    let made = wait_all_given_back(&relay, OBJECTS).await;
    let given_back = relay.sent(terminates);
    assert_eq!(given_back.len(), made);
    let distinct: HashSet<_> = given_back.iter().map(|it| it.address.object).collect();
    assert_eq!(distinct.len(), made, "each once");
    for message in given_back.iter().step_by(OBJECTS / 20) {
        let address = message.address;
        assert!(!relay.is_there(address.service, address.object).await);
    }
    let after = Usage::of(process);
    let resident: Vec<_> = uses.iter().map(|use_| use_.resident_kib).collect();
    println!("{made} objects; {resident:?} KiB, at last {after:?}");
    // Each costs some 20 KiB while it is held, and up to 1500 of them are at a time; the allocator keeps
    // their room. All of them would be 200 MiB.
    let grown = after.peak_kib.saturating_sub(resident[0]);
    assert!(grown < 48 * 1024, "{resident:?}, {after:?}");
    assert!(after.files < uses[0].files + 8, "{uses:?}, {after:?}");
}
