//! What a client is told when the robot goes away amid a request, against a scripted peer.

use super::*;
use crate::{
    bridge::{
        Catalogue,
        borrowed::tests::reply,
        events::End,
        sample::{self, Peer, expect},
    },
    qi::{
        session::{CallError, Connection},
        value::MetaMethod,
        wire::{ActionId, ObjectId, ServiceId},
    },
};

/// Its method `make () -> o`.
const MAKE: ActionId = ActionId(110);

/// A robot whose service 7 is a `Sample` that makes others.
struct Robot {
    dynamic: Dynamic,
    connection: Connection,
    peer: Peer,
    service: Arc<Service>,
}

fn robot() -> Robot {
    let (connection, peer) = sample::connection();
    let mut meta = sample::meta();
    let make = MetaMethod {
        uid: MAKE,
        return_signature: "o".parse().unwrap(),
        name: "make".into(),
        parameters_signature: "()".parse().unwrap(),
        description: String::new(),
        parameters: Vec::new(),
        return_description: String::new(),
    };
    meta.methods.insert(MAKE, make);
    let service = sample::service_of(meta);
    let meta = Arc::clone(service.meta());
    let object = RemoteObject::new(connection.clone(), ServiceId(7), ObjectId::MAIN, meta);
    service.set_link(Some(Link::new(object)));
    let catalogue = Arc::new(Catalogue::new([Arc::clone(&service)]));
    let (_, state) = watch::channel(State {
        connected: true,
        catalogue,
    });
    Robot {
        dynamic: Dynamic::new(state, sample::objects(), false, Limits::default()),
        connection,
        peer,
        service,
    }
}

fn target(through: bool) -> Target {
    Target {
        place: Place::Service("Sample".into()),
        through: through.then(|| Through {
            method: "make".into(),
            args: Vec::new(),
        }),
    }
}

/// It was once told as UNAVAILABLE, safe to try again, although `make` had been called.
#[tokio::test(start_paused = true)]
async fn what_fails_after_a_through_call_is_not_safe_to_retry() {
    let Robot {
        dynamic,
        connection,
        mut peer,
        ..
    } = robot();
    let through = target(true);
    let reading = dynamic.read_property(&through, "mood", ValueFormat::Exact);
    let leaving = async {
        let call = expect(&mut peer, 7, MAKE).await;
        reply(&mut peer, &connection, &call, &[5]).await;
        drop(peer);
    };
    let (read, ()) = tokio::join!(reading, leaving);
    let error = read.unwrap_err();
    assert!(matches!(error, BridgeError::LostAfterThrough), "{error}");
    // Nothing at all was sent of what comes after.
    let again = dynamic.read_property(&through, "mood", ValueFormat::Exact);
    let error = again.await.unwrap_err();
    assert!(
        matches!(error, BridgeError::Call(CallError::NotSent(_))),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_through_a_call_is_not_safe_to_retry_either() {
    let Robot {
        dynamic,
        connection,
        mut peer,
        ..
    } = robot();
    let subscribing = dynamic.subscribe(target(true), "heard", Policy::default());
    let leaving = async {
        let call = expect(&mut peer, 7, MAKE).await;
        reply(&mut peer, &connection, &call, &[5]).await;
        expect(&mut peer, 7, ActionId::REGISTER_EVENT).await;
        drop(peer);
    };
    let (subscribed, ()) = tokio::join!(subscribing, leaving);
    let error = subscribed.unwrap_err();
    assert!(matches!(*error, BridgeError::LostAfterThrough), "{error}");
}

/// That there was no service any more was told in place of what that meant.
#[tokio::test(start_paused = true)]
async fn a_service_that_leaves_after_a_through_call_is_not_safe_to_retry() {
    let Robot {
        dynamic,
        connection,
        mut peer,
        service,
    } = robot();
    let subscribing = dynamic.subscribe(target(true), "heard", Policy::default());
    let leaving = async {
        let call = expect(&mut peer, 7, MAKE).await;
        reply(&mut peer, &connection, &call, &[5]).await;
        expect(&mut peer, 7, ActionId::REGISTER_EVENT).await;
        assert!(service.unlink(ServiceId(7)));
    };
    let (subscribed, ()) = tokio::join!(subscribing, leaving);
    let error = subscribed.unwrap_err();
    assert!(matches!(*error, BridgeError::LostAfterThrough), "{error}");
}

/// While the robot is away nobody knows which services it has: to try again may help.
#[tokio::test]
async fn a_service_that_was_never_met_is_unavailable_without_a_robot() {
    for connected in [true, false] {
        let (_, state) = watch::channel(State {
            connected,
            ..State::default()
        });
        let dynamic = Dynamic::new(state, sample::objects(), false, Limits::default());
        let place = target(false);
        let called = dynamic.call(&place, "say", &[], ValueFormat::Exact);
        let error = called.await.unwrap_err();
        match connected {
            true => assert!(matches!(error, BridgeError::Target(_)), "{error}"),
            false => assert!(matches!(error, BridgeError::Unavailable), "{error}"),
        }
    }
}

/// Registering twice does no harm.
#[tokio::test(start_paused = true)]
async fn a_stream_of_a_service_is_safe_to_retry() {
    let Robot {
        dynamic, mut peer, ..
    } = robot();
    let subscribing = dynamic.subscribe(target(false), "heard", Policy::default());
    let leaving = async {
        expect(&mut peer, 7, ActionId::REGISTER_EVENT).await;
        drop(peer);
    };
    let (subscribed, ()) = tokio::join!(subscribing, leaving);
    let error = subscribed.unwrap_err();
    assert!(matches!(*error, BridgeError::Unavailable), "{error}");
}

/// Nobody told those that waited for the robot to accept the stream, and they hung.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_ended_before_it_was_accepted_says_why() {
    for end in [End::Changed, End::Released, End::Shutdown] {
        let Robot {
            dynamic,
            mut peer,
            service,
            ..
        } = robot();
        let subscribing = dynamic.subscribe(target(false), "heard", Policy::default());
        let ending = async {
            expect(&mut peer, 7, ActionId::REGISTER_EVENT).await;
            service.retire(end);
        };
        let (subscribed, ()) = tokio::join!(subscribing, ending);
        let error = subscribed.unwrap_err();
        assert!(
            matches!(*error, BridgeError::Ended(told) if told == end),
            "{error}"
        );
    }
}

/// The same end was told, as UNAVAILABLE and safe to try again, although `make` had been called.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_ended_after_a_through_call_is_not_safe_to_retry() {
    for end in [End::Changed, End::Shutdown] {
        let Robot {
            dynamic,
            mut peer,
            service,
            ..
        } = robot();
        let subscribing = dynamic.subscribe(target(true), "heard", Policy::default());
        let ending = async {
            expect(&mut peer, 7, MAKE).await;
            service.retire(end);
        };
        let (subscribed, ()) = tokio::join!(subscribing, ending);
        let error = subscribed.unwrap_err();
        assert!(matches!(*error, BridgeError::LostAfterThrough), "{error}");
    }
}
