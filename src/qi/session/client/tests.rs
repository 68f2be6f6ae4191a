//! Sessions with robots that only exist as recordings of the real libqi.

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::qi::{
    session::{
        Framed, UNHANDLED_CALL, error_payload,
        tests::recorded::{Frame, frames, is_answer},
    },
    value::Value,
    wire::{ActionId, Kind, Message, ServiceId},
};

/// A robot that answers as in a recording.
struct Recording {
    endpoint: Endpoint,
    task: JoinHandle<()>,
}

impl Recording {
    /// Puts the robot's service at the place where the recording is played.
    async fn play(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let mut frames = frames(name);
        for frame in &mut frames {
            frame.message.payload = moved(&frame.message.payload, &endpoint);
        }
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve(Framed::new(stream, 1_000_000), &frames).await;
        });
        Self {
            endpoint: endpoint.parse().unwrap(),
            task,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The payload with the endpoint in it replaced. Ports that the system chooses have five digits.
fn moved(payload: &[u8], endpoint: &str) -> bytes::Bytes {
    let prefix = b"tcp://127.0.0.1:";
    let mut payload = payload.to_vec();
    let found = payload
        .windows(prefix.len())
        .position(|window| window == prefix);
    if let Some(at) = found {
        assert_eq!(endpoint.len(), prefix.len() + 5);
        payload[at..at + endpoint.len()].copy_from_slice(endpoint.as_bytes());
    }
    payload.into()
}

async fn serve(mut peer: Framed<TcpStream>, frames: &[Frame]) {
    for first in frames.iter().take_while(|frame| !frame.from_client) {
        peer.send(&first.message).await.unwrap();
    }
    while let Ok(message) = peer.receive().await {
        if message.kind == Kind::Call {
            peer.send(&answer(&message, frames)).await.unwrap();
        }
    }
}

/// What was answered to a call like this one.
fn answer(call: &Message, frames: &[Frame]) -> Message {
    let like = |recorded: &Message| {
        let is_look_up =
            call.address.service == ServiceId::DIRECTORY && call.address.action.0 == 100;
        recorded.kind == Kind::Call
            && recorded.address == call.address
            && (!is_look_up || recorded.payload.starts_with(&call.payload))
    };
    let recorded = frames
        .iter()
        .find(|frame| frame.from_client && like(&frame.message))
        .and_then(|asked| {
            let mut answers = frames.iter().filter(|frame| !frame.from_client);
            answers.find(|frame| is_answer(&frame.message) && frame.message.id == asked.message.id)
        });
    match recorded {
        Some(frame) => Message {
            id: call.id,
            ..frame.message.clone()
        },
        None => call.answer(Kind::Error, error_payload(UNHANDLED_CALL)),
    }
}

#[tokio::test]
async fn older_robots() {
    for name in ["old_server_25", "old_server_preauth"] {
        let robot = Recording::play(name).await;
        let session = Session::connect(&robot.endpoint, DialOptions::default())
            .await
            .unwrap();
        assert_eq!(session.machine_id(), "an-old-robot");
        assert!(!session.connection().capabilities().object_ptr_uid);

        let services = session.services().await.unwrap();
        assert_eq!(services.len(), 1);
        assert_eq!(services[0].name, "Calc");
        assert_eq!(services[0].object_uid, None);
        assert_eq!(session.service_info("Calc").await.unwrap(), services[0]);

        let calc = session.service("Calc").await.unwrap();
        assert_eq!(calc.connection().id(), session.connection().id());
        let method = &calc.meta().methods[&ActionId(100)];
        let arguments = vec![Value::Int32(2), Value::Int32(3)];
        let sum = calc.call_by_name(&method.name, arguments).await.unwrap();
        assert_eq!(sum, Value::Int32(5));
    }
}

#[tokio::test]
async fn closing_a_session_ends_everything() {
    let robot = Recording::play("old_server_25").await;
    let session = Session::connect(&robot.endpoint, DialOptions::default())
        .await
        .unwrap();
    let mut changes = session.directory_changes();
    let info = session.service_info("Calc").await.unwrap();
    let calc = session.object(&info).await.unwrap();
    let clone = session.clone();
    session.close();
    assert!(clone.is_closed());
    assert!(matches!(clone.closed().await, CloseReason::Local));
    assert_eq!(changes.next().await, None);
    assert!(calc.terminate().is_err());
    assert!(matches!(
        clone.reach(&info).await,
        Err(ReachError::SessionClosed)
    ));
}

/// A robot that always wants another token is given up.
#[tokio::test]
async fn a_robot_that_is_never_content_is_given_up() {
    let robot = Recording::play("auth_new_token").await;
    let options = DialOptions {
        credentials: Some(super::super::Credentials {
            user: "alice".into(),
            token: "s3cret".into(),
        }),
        ..DialOptions::default()
    };
    // The recording's first answer to authenticate is given again and again.
    let error = Session::connect(&robot.endpoint, options)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Dial(DialError::Handshake {
                source: super::super::HandshakeError::TooManyAttempts { .. },
                ..
            })
        ),
        "{error}"
    );
}
