//! Robots that mean harm.

use bytes::Bytes;
use qi_grpc_gateway::qi::wire::{ActionId, Address, Kind, Message, MessageId, ServiceId};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::{
    clients::{Raw, request},
    robot::{
        Act, HEARD, HOSTILE, Robot, SAMPLE, SAY, SERVICES, event, frame, frame_that_claims,
        listing, meta, reply,
    },
    rpc::{Served, reason},
};

const DIRECTORY: ServiceId = ServiceId(1);

/// The directory's method `service`.
const SERVICE: ActionId = ActionId(100);

/// A call to a member of a service.
fn is_call(message: &Message, service: ServiceId, action: ActionId) -> bool {
    message.kind == Kind::Call
        && message.address.service == service
        && message.address.action == action
}

fn some_reply() -> Message {
    Message::new(
        Kind::Reply,
        MessageId(1),
        Address::AUTHENTICATE,
        Bytes::new(),
    )
}

/// The gateway lives with the robot, and serves what stands in its place later.
async fn survives(case: &str, robot: impl Future<Output = Robot>) {
    let robot = robot.await;
    let served = Served::new(&robot.url()).await;
    robot.visited(1).await;
    assert_eq!(served.lives().await, ServingStatus::NotServing, "{case}");
    robot.reform().await;
    served.serves(case).await;
}

/// As [`survives`], after the gateway has heard enough to hang up and come again.
async fn survives_and_retries(case: &str, robot: impl Future<Output = Robot>) {
    let robot = robot.await;
    let served = Served::new(&robot.url()).await;
    robot.visited(2).await;
    assert_eq!(served.lives().await, ServingStatus::NotServing, "{case}");
    robot.reform().await;
    served.serves(case).await;
}

#[tokio::test]
async fn what_speaks_something_else_is_left_and_tried_again() {
    let noise = (0..4096_u32).map(|n| (n * n % 251) as u8).collect();
    survives_and_retries("noise", Robot::greeting(noise)).await;
    let mut wrong_magic = frame(&some_reply());
    wrong_magic[0] ^= 1;
    survives_and_retries("wrong magic", Robot::greeting(wrong_magic)).await;
    let huge = frame_that_claims(&some_reply(), u32::MAX);
    survives_and_retries("4 GiB - 1", Robot::greeting(huge)).await;
    let truncated = frame_that_claims(&some_reply(), 100);
    survives_and_retries("truncated", Robot::leaving(truncated)).await;
    survives_and_retries("hangs up", Robot::leaving(Vec::new())).await;
    survives("silence", Robot::greeting(Vec::new())).await;
}

/// A map that claims 2^32-1 methods and has none.
fn endless_map() -> Bytes {
    Bytes::from(vec![0xff; 4])
}

#[tokio::test]
async fn directories_that_lie_about_themselves() {
    let deep = "[".repeat(10_000) + "s" + &"]".repeat(10_000);
    let deep = meta(&[(100, &deep, "service", "(s)")], &[]);
    let mut long = meta(&[], &[]).to_vec();
    let end = long.len() - 4;
    long[end..].copy_from_slice(&40_000_000_u32.to_le_bytes());
    long.extend(std::iter::repeat_n(b'x', 40_000_000));
    let cases = [
        ("10,000 deep", deep),
        ("endless map", endless_map()),
        ("40 MB", long.into()),
        ("empty", Bytes::new()),
    ];
    for (case, answer) in cases {
        let robot = Robot::scripted(move |message, _| {
            if is_call(message, DIRECTORY, ActionId::META_OBJECT) {
                return reply(message, answer.clone());
            }
            Act::Proper
        });
        survives_and_retries(case, robot).await;
    }
}

#[tokio::test]
async fn directories_that_lie_about_their_services() {
    let mut endless_endpoints = listing(&[("Sample", SAMPLE)], 1).to_vec();
    // Behind the count of services, name, id, machine and process.
    let count = 4 + 10 + 4 + 15 + 4;
    assert_eq!(endless_endpoints[count..count + 4], [1, 0, 0, 0]);
    endless_endpoints[count..count + 4].fill(0xff);
    let cases = [
        ("endless list", endless_map()),
        ("endless endpoints", endless_endpoints.into()),
        ("truncated", Bytes::from_static(&[1, 0, 0, 0, 6])),
    ];
    for (case, answer) in cases {
        let robot = Robot::scripted(move |message, _| {
            if is_call(message, DIRECTORY, SERVICES) {
                return reply(message, answer.clone());
            }
            Act::Proper
        });
        survives_and_retries(case, robot).await;
    }
}

/// More services than are linked at a time, at a port where nobody is.
#[tokio::test]
async fn a_directory_with_a_hundred_thousand_services() {
    let one = listing(&[("Sample", SAMPLE)], 1);
    let mut many = 100_000_u32.to_le_bytes().to_vec();
    for id in 0..100_000_u32 {
        let start = many.len();
        many.extend_from_slice(&one[4..]);
        many[start + 10..start + 14].copy_from_slice(&(id + 10).to_le_bytes());
    }
    let many = Bytes::from(many);
    let robot = Robot::scripted(move |message, _| {
        if is_call(message, DIRECTORY, SERVICES) {
            return reply(message, many.clone());
        }
        Act::Proper
    })
    .await;
    let served = Served::new(&robot.url()).await;
    // Services that are not reached are looked up again.
    robot.called(DIRECTORY, SERVICE, 100).await;
    served.lives().await;
    robot.reform().await;
    served.serves("a hundred thousand services").await;
}

/// A robot whose service `Hostile` answers `metaObject` as `answer` says.
async fn with_hostile_service(answer: impl Fn(&Message) -> Act + Send + Sync + 'static) -> Robot {
    Robot::scripted(move |message, port| {
        if is_call(message, DIRECTORY, SERVICES) {
            let services = [("Sample", SAMPLE), ("Hostile", HOSTILE)];
            return reply(message, listing(&services, port));
        }
        if is_call(message, HOSTILE, ActionId::META_OBJECT) {
            return answer(message);
        }
        Act::Proper
    })
    .await
}

#[tokio::test]
async fn a_service_that_lies_about_itself_is_left_out_alone() {
    let deep = "(".repeat(10_000) + &")".repeat(10_000);
    let names: Vec<String> = (0..100_000).map(|n| format!("method{n}")).collect();
    let many: Vec<(u32, &str, &str, &str)> = (100..)
        .zip(&names)
        .map(|(uid, name)| (uid, "s", &**name, "(s)"))
        .collect();
    let cases = [
        (
            "10,000 deep",
            meta(&[(100, &deep, "f", &deep)], &[(101, "g", &deep)]),
        ),
        (
            "bad names",
            meta(
                &[
                    (100, "s", "", "(s)"),
                    (101, "s", "\0\u{202e}/\n", "(s)"),
                    (102, "s", "f", "s"),
                ],
                &[(103, "class.import", "(s)"), (104, "", "(s)")],
            ),
        ),
        ("100,000 methods", meta(&many, &[])),
        ("endless map", endless_map()),
        ("empty", Bytes::new()),
    ];
    for (case, answer) in cases {
        let robot = with_hostile_service(move |message| reply(message, answer.clone())).await;
        let served = Served::new(&robot.url()).await;
        robot.called(HOSTILE, ActionId::META_OBJECT, 1).await;
        served.serves(case).await;
        assert_eq!(served.lives().await, ServingStatus::Serving, "{case}");
    }
}

/// One service that never says what it is kept the whole robot from being served.
#[tokio::test]
async fn a_service_that_never_answers_does_not_hold_up_the_others() {
    let robot = with_hostile_service(|_| Act::Silence).await;
    let served = Served::new(&robot.url()).await;
    served.serves("silence").await;
}

/// A robot that answers `Sample.say` as `answer` says.
async fn that_says(answer: impl Fn(&Message) -> Act + Send + Sync + 'static) -> Setting {
    let robot = Robot::scripted(move |message, _| {
        if is_call(message, SAMPLE, SAY) {
            return answer(message);
        }
        Act::Proper
    })
    .await;
    let served = Served::new(&robot.url()).await;
    served.gateway.wait_serving(crate::rpc::SAMPLE).await;
    Setting { robot, served }
}

/// A gateway and its robot.
struct Setting {
    robot: Robot,
    served: Served,
}

#[tokio::test]
async fn answers_that_are_garbage_fail_their_call_alone() {
    // A string that claims four GiB; nothing; half of a length.
    for garbage in [&[0xff; 4][..], &[], &[1, 0]] {
        let setting = that_says(move |message| reply(message, garbage)).await;
        let status = setting.served.say("hello").await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status}");
        assert_eq!(reason(&status), "UNDECLARED_ANSWER", "{status}");
        setting.robot.reform().await;
        setting.served.serves("garbage").await;
    }
}

#[tokio::test]
async fn frames_that_break_the_connection_fail_as_lost() {
    type Case = (&'static str, fn(&Message) -> Act);
    let cases: [Case; 4] = [
        ("4 GiB - 1", |message| {
            let answer = message.answer(Kind::Reply, Bytes::new());
            Act::Bytes(frame_that_claims(&answer, u32::MAX))
        }),
        ("truncated", |message| {
            let answer = message.answer(Kind::Reply, Bytes::new());
            Act::Last(frame_that_claims(&answer, 100))
        }),
        ("no frame", |_| Act::Bytes(vec![0; 28])),
        ("hangs up", |_| Act::Last(Vec::new())),
    ];
    for (case, answer) in cases {
        let setting = that_says(answer).await;
        let status = setting.served.say("hello").await.unwrap_err();
        assert_eq!(status.code(), Code::Unknown, "{case}: {status}");
        assert_eq!(reason(&status), "CONNECTION_LOST", "{case}: {status}");
        assert_eq!(setting.robot.said(), 1, "{case}: the call is not repeated");
        setting.robot.reform().await;
        setting.served.serves(case).await;
    }
}

#[tokio::test]
async fn answers_that_never_come_end_with_the_deadline() {
    let setting = that_says(|_| Act::Silence).await;
    // Not with tonic's client, which keeps deadlines by itself.
    let raw = Raw::connect(&setting.served).await;
    let call = request(&format!("/{}/Say", crate::rpc::SAMPLE)).header("grpc-timeout", "200m");
    let answer = raw.send(call.body(()).unwrap(), &b"\0\0\0\0\0"[..]).await;
    assert_eq!(answer.grpc_status(), Some(Code::DeadlineExceeded));
    assert_eq!(setting.served.lives().await, ServingStatus::Serving);
}

#[tokio::test]
async fn answers_that_nobody_waits_for_are_ignored() {
    let setting = that_says(|message| {
        let right = message.answer(Kind::Reply, message.payload.clone());
        let wrong = Message {
            id: MessageId(message.id.0.wrapping_add(1_000_000)),
            ..right.clone()
        };
        let strange = Message {
            kind: Kind::Unknown(77),
            ..right.clone()
        };
        let all = [&wrong, &strange, &right, &right, &wrong];
        Act::Bytes(all.into_iter().flat_map(frame).collect())
    })
    .await;
    for n in 0..10 {
        let text = n.to_string();
        assert_eq!(setting.served.say(&text).await.unwrap(), text);
    }
}

#[tokio::test]
async fn a_flood_of_events_delays_no_call_and_fills_no_memory() {
    let flood = event(HEARD, &"x".repeat(1000));
    let robot = Robot::scripted(move |message, _| {
        if is_call(message, SAMPLE, ActionId::REGISTER_EVENT) {
            return Act::Flood(flood.clone());
        }
        Act::Proper
    })
    .await;
    let served = Served::new(&robot.url()).await;
    served.gateway.wait_serving(crate::rpc::SAMPLE).await;
    // Never read.
    let _stalled = served.subscribe("SubscribeHeard").await.unwrap();
    let mut read = served.subscribe("SubscribeHeard").await.unwrap();
    for n in 0..500 {
        let event = read.message().await.unwrap().expect("an event");
        assert_eq!(event.text.len(), 1000);
        if n % 50 == 0 {
            assert_eq!(served.say("hello").await.unwrap(), "hello");
        }
    }
    served.stays_small("flood");
}
