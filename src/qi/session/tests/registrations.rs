//! Registrations with signals: confirmed, refused, abandoned.

use super::*;
use crate::qi::value::{MetaMethod, MetaObject, ObjectReference};

#[tokio::test]
async fn events_may_come_before_the_registration_is_confirmed() {
    let (connection, mut peer) = pair();
    let sink = Arc::new(Recorder::default());
    let register = RemoteSignal::register(
        &connection,
        SAY.service,
        SAY.object,
        SAY.action,
        sink.clone(),
    );
    let script = async {
        let call = receive(&mut peer, Kind::Call).await;
        assert_eq!(call.address.action, ActionId::REGISTER_EVENT);
        for payload in ["early", "too"] {
            let event = Message::new(Kind::Event, MessageId(9), SAY, payload.into());
            peer.send(&event).await.unwrap();
        }
        let reply = call.answer(Kind::Reply, Bytes::from_static(&[7; 8]));
        peer.send(&reply).await.unwrap();
        call.payload
    };
    let (signal, arguments) = tokio::join!(register, script);
    assert_eq!(*sink.events.lock(), ["early", "too"]);

    // The second subscriber does not register again.
    let second = Arc::new(Recorder::default());
    let another = RemoteSignal::register(
        &connection,
        SAY.service,
        SAY.object,
        SAY.action,
        second.clone(),
    )
    .await
    .unwrap();
    drop(signal.unwrap());
    connection.post(SAY, Bytes::new()).unwrap();
    receive(&mut peer, Kind::Post).await;

    drop(another);
    let call = receive(&mut peer, Kind::Call).await;
    assert_eq!(call.address.action, ActionId::UNREGISTER_EVENT);
    assert_eq!(call.payload, arguments, "the same link");
    assert_eq!(arguments[12..], SAY.action.0.to_le_bytes());
}

#[tokio::test]
async fn a_refused_registration_is_not_undone_and_can_be_tried_again() {
    let (connection, mut peer) = pair();
    let sink = Arc::new(Recorder::default());
    let register = || {
        RemoteSignal::register(
            &connection,
            SAY.service,
            SAY.object,
            SAY.action,
            sink.clone(),
        )
    };
    let mut script = async |kind, payload| {
        let call = receive(&mut peer, Kind::Call).await;
        assert_eq!(call.address.action, ActionId::REGISTER_EVENT);
        peer.send(&call.answer(kind, payload)).await.unwrap();
    };
    let (refused, ()) = tokio::join!(
        register(),
        script(Kind::Error, error_payload("No such signal"))
    );
    assert_eq!(refused.unwrap_err().to_string(), "No such signal");
    let (registered, ()) = tokio::join!(register(), script(Kind::Reply, Bytes::new()));
    let registered = registered.unwrap();
    drop(peer);
    connection.closed().await;
    assert_eq!(*sink.closed.lock(), 1);
    drop(registered);
}

/// Whoever gives up while registering may already be registered.
#[tokio::test]
async fn an_abandoned_registration_is_undone() {
    let (connection, mut peer) = pair();
    let sink = Arc::new(Recorder::default());
    {
        let register =
            RemoteSignal::register(&connection, SAY.service, SAY.object, SAY.action, sink);
        tokio::select! {
            _ = register => panic!("nobody answered"),
            call = receive(&mut peer, Kind::Call) => {
                assert_eq!(call.address.action, ActionId::REGISTER_EVENT);
            }
        }
    }
    receive(&mut peer, Kind::Cancel).await;
    let call = receive(&mut peer, Kind::Call).await;
    assert_eq!(call.address.action, ActionId::UNREGISTER_EVENT);
}

/// A connection was busy when an object and a registration were dropped: the robot was not told, and
/// kept both until the connection ended.
#[tokio::test]
async fn a_full_queue_keeps_nothing_from_being_given_back() {
    let limits = ConnectionLimits {
        outgoing_bytes: 1000,
        ..ConnectionLimits::default()
    };
    let (connection, mut peer) = pair_with(limits, Arc::new(NoObjects));
    let sink = Arc::new(Recorder::default());
    let register = RemoteSignal::register(&connection, SAY.service, SAY.object, SAY.action, sink);
    let script = async {
        let call = receive(&mut peer, Kind::Call).await;
        let reply = call.answer(Kind::Reply, Bytes::from_static(&[7; 8]));
        peer.send(&reply).await.unwrap();
    };
    let (registered, ()) = tokio::join!(register, script);
    let mut meta = MetaObject::default();
    let terminate = MetaMethod {
        uid: ActionId::TERMINATE,
        name: "terminate".to_owned(),
        return_signature: "v".parse().unwrap(),
        parameters_signature: "(I)".parse().unwrap(),
        description: String::new(),
        parameters: Vec::new(),
        return_description: String::new(),
    };
    meta.methods.insert(terminate.uid, terminate);
    let reference = ObjectReference {
        meta: Arc::new(meta),
        object: ObjectId(3),
        ..ObjectReference::null(SAY.service)
    };
    let [dropped, ended] =
        [(); 2].map(|()| RemoteObject::received(connection.clone(), reference.clone()));
    connection.post(SAY, Bytes::from(vec![0; 1000])).unwrap();
    let refused = connection.post(SAY, Bytes::new()).unwrap_err();
    assert!(matches!(refused, SendError::QueueFull { .. }), "{refused}");
    drop(dropped);
    drop(registered.unwrap());
    ended.terminate().unwrap();
    receive(&mut peer, Kind::Post).await;
    for (kind, action) in [
        (Kind::Post, ActionId::TERMINATE),
        (Kind::Call, ActionId::UNREGISTER_EVENT),
        (Kind::Post, ActionId::TERMINATE),
    ] {
        assert_eq!(receive(&mut peer, kind).await.address.action, action);
    }
}
