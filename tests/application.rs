//! Applications of ours on a bus of the real libqi.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::net::TcpListener;

use qi_grpc_gateway::qi::{
    application::{Application, ApplicationOptions},
    host::{Handler, HostedObject, Method, ObjectBuilder, PublicationState, RegisterError},
    session::{CallError, DirectoryChange, DirectoryChanges, ServiceError},
    value::Value,
};
use serde_json::json;
use support::{LibqiClient, LibqiRobot, LibqiService, PATIENCE};
use tokio::time::timeout;

async fn application(url: &str) -> Application {
    let mut args = vec!["test".to_owned(), format!("--qi-url={url}")];
    let mut options = ApplicationOptions::from_args(&mut args).unwrap();
    // Nothing is to be seen of pauses here.
    options.backoff.1 = options.backoff.0;
    Application::start(options).await.unwrap()
}

fn answer() -> HostedObject {
    let mut object = ObjectBuilder::new();
    let answer = Handler::future(|_| std::future::ready(Ok(Value::Int32(42))));
    object
        .method(Method::new("answer", "()", "i", answer).unwrap())
        .unwrap();
    object.build().unwrap()
}

async fn removed(changes: &mut DirectoryChanges, service: &str) {
    let gone = async {
        loop {
            match changes.next().await.unwrap() {
                DirectoryChange::Removed { name, .. } if name == service => return,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_service_comes_back_with_the_directory() {
    // Nobody listens there any more.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", free.local_addr().unwrap());
    drop(free);
    let application = application(&url).await;
    let publication = application.publish("Answers", &answer());
    let mut state = publication.state();
    for round in 0..2 {
        let mut robot = LibqiRobot::start(&["--listen", &url]).await;
        timeout(PATIENCE, publication.registered())
            .await
            .unwrap()
            .unwrap();
        let client = LibqiClient::connect(&url).await;
        let found = client.call("Answers", "answer", json!([])).await;
        assert_eq!(found, Ok(json!(42)), "round {round}");

        robot.process().kill();
        let is_waiting = |state: &PublicationState| matches!(state, PublicationState::Waiting);
        timeout(PATIENCE, state.wait_for(is_waiting))
            .await
            .unwrap()
            .unwrap();
        assert!(application.sessions().borrow().is_none());
    }
}

#[tokio::test]
async fn a_taken_name_is_told() {
    let robot = LibqiRobot::start(&[]).await;
    let application = application(robot.url()).await;
    let publication = application.publish("Typed", &answer());
    let error = timeout(PATIENCE, publication.registered())
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, RegisterError::NameTaken { name, .. } if name == "Typed"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_service_is_waited_for_and_known_until_it_goes() {
    let robot = LibqiRobot::start(&[]).await;
    let application = application(robot.url()).await;
    let session = application.session().await;
    let mut changes = session.directory_changes();
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let unknown = session.service("Extra").await.unwrap_err();
        let is_robots = matches!(&unknown, ServiceError::LookUp(CallError::Robot { .. }));
        assert!(is_robots, "{unknown:?}");

        let wait = application.wait_for_service("Extra");
        let (found, extra) = tokio::join!(wait, LibqiService::register(robot.url(), "Extra"));
        let found = found.unwrap();
        assert_eq!(
            found
                .call_by_name("ping", vec![Value::Int32(3)])
                .await
                .unwrap(),
            Value::Int32(3)
        );
        let again = session.service("Extra").await.unwrap();
        assert!(std::sync::Arc::ptr_eq(found.meta(), again.meta()));
        numbers.push(found.service());

        extra.kill();
        removed(&mut changes, "Extra").await;
    }
    assert_ne!(numbers[0], numbers[1]);
}

#[tokio::test]
async fn an_application_takes_its_services_with_it() {
    let robot = LibqiRobot::start(&[]).await;
    let client = LibqiClient::connect(robot.url()).await;
    let watcher = application(robot.url()).await;
    let mut changes = watcher.session().await.directory_changes();

    let application = application(robot.url()).await;
    let publication = application.publish("Answers", &answer());
    timeout(PATIENCE, publication.registered())
        .await
        .unwrap()
        .unwrap();
    assert!(client.services().await.contains(&"Answers".to_owned()));
    application.close().await;
    removed(&mut changes, "Answers").await;
    assert!(!client.services().await.contains(&"Answers".to_owned()));
    let over = timeout(PATIENCE, publication.registered()).await.unwrap();
    assert!(matches!(over, Err(RegisterError::Over)), "{over:?}");
}
