//! Publications with a directory that does what the tests say.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::*;
use crate::qi::{
    host::{Handler, HostOptions, Method, MethodError, ObjectBuilder, Threading},
    session::{CloseReason, DialOptions, SendError, Session},
    value::Value,
};

const PATIENCE: Duration = Duration::from_secs(20);

const INFO: &str = "(sIsI[s]ss)";

/// A directory, served by a host of ours. Other than a real one it never notices the end of a
/// connection: names stay taken until [`Self::free`].
struct Directory {
    host: Host,
    names: Arc<Mutex<Names>>,
}

#[derive(Default)]
struct Names {
    last: u32,
    taken: BTreeMap<u32, String>,
    ready: Vec<u32>,
    /// Does what it is asked to, but never says so.
    silent: bool,
}

impl Names {
    fn register(&mut self, info: &Value) -> Result<Value, MethodError> {
        let Value::Tuple(fields) = info else {
            panic!("no service info: {info:?}");
        };
        let name = fields[0].to_text().unwrap();
        if self.taken.values().any(|taken| *taken == name) {
            let text = format!("Service \"{name}\" (#2) is already registered. Rejecting it.");
            return Err(MethodError::failed(text));
        }
        self.last += 1;
        self.taken.insert(self.last, name);
        Ok(Value::UInt32(self.last))
    }
}

impl Directory {
    /// Its first service gets the number after `last`.
    async fn start(last: u32) -> Self {
        let names = Arc::new(Mutex::new(Names {
            last,
            ..Names::default()
        }));
        let mut object = ObjectBuilder::new();
        object.threading(Threading::Multi);
        let mut method = |name, parameters: &str, returns: &str, answer: Answer| {
            let names = Arc::clone(&names);
            let handler = Handler::future(move |arguments| {
                let mut names = names.lock();
                let (answer, silent) = (answer(&mut names, &arguments), names.silent);
                async move {
                    match silent {
                        true => std::future::pending().await,
                        false => answer,
                    }
                }
            });
            let method = Method::new(name, parameters, returns, handler).unwrap();
            object.method(method).unwrap();
        };
        method("service", "(s)", INFO, |_, _| {
            Err(MethodError::failed("no"))
        });
        method("services", "()", &format!("[{INFO}]"), |_, _| {
            Ok(Value::List(Vec::new()))
        });
        let register: Answer = |names, arguments| names.register(&arguments[0]);
        method("registerService", &format!("({INFO})"), "I", register);
        method("unregisterService", "(I)", "v", |names, arguments| {
            names.taken.remove(&number(&arguments[0]));
            Ok(Value::Void)
        });
        method("serviceReady", "(I)", "v", |names, arguments| {
            names.ready.push(number(&arguments[0]));
            Ok(Value::Void)
        });
        method("machineId", "()", "s", |_, _| Ok(Value::text("machine")));
        object.signal("serviceAdded", "(Is)").unwrap();
        object.signal("serviceRemoved", "(Is)").unwrap();
        let host = Host::listen("tcp://127.0.0.1:0", HostOptions::default())
            .await
            .unwrap();
        let object = object.build().unwrap();
        host.table.insert(ServiceId::DIRECTORY, &object).unwrap();
        Self { host, names }
    }

    async fn session(&self, provider: &Host) -> Session {
        let options = DialOptions {
            dispatch: provider.dispatch(),
            ..DialOptions::default()
        };
        let endpoint = self.host.endpoints()[0].parse().unwrap();
        Session::connect(&endpoint, options).await.unwrap()
    }

    /// The services that can be used.
    fn ready(&self) -> Vec<(u32, String)> {
        let names = self.names.lock();
        let ready = |(id, _): &(&u32, &String)| names.ready.contains(id);
        let listed = names.taken.iter().filter(ready);
        listed.map(|(id, name)| (*id, name.clone())).collect()
    }

    fn taken(&self, name: &str) -> bool {
        self.names.lock().taken.values().any(|taken| taken == name)
    }

    fn take(&self, name: &str) {
        let mut names = self.names.lock();
        names.last += 1;
        let id = names.last;
        names.taken.insert(id, name.to_owned());
    }

    fn free(&self) {
        self.names.lock().taken.clear();
    }
}

fn number(value: &Value) -> u32 {
    value.to_i64().unwrap().try_into().unwrap()
}

type Answer = fn(&mut Names, &[Value]) -> Result<Value, MethodError>;

fn object() -> HostedObject {
    let mut object = ObjectBuilder::new();
    let answer = Handler::future(|_| std::future::ready(Ok(Value::Int32(1))));
    object
        .method(Method::new("one", "()", "i", answer).unwrap())
        .unwrap();
    object.build().unwrap()
}

async fn registered(publication: &Publication) -> Result<ServiceId, RegisterError> {
    timeout(PATIENCE, publication.registered()).await.unwrap()
}

async fn until(
    publication: &Publication,
    wanted: impl FnMut(&PublicationState) -> bool,
) -> PublicationState {
    let mut state = publication.state();
    let state = timeout(PATIENCE, state.wait_for(wanted)).await;
    state.unwrap().unwrap().clone()
}

async fn until_registered(publication: &Publication) {
    let is_registered =
        |state: &PublicationState| matches!(state, PublicationState::Registered { .. });
    until(publication, is_registered).await;
}

#[tokio::test]
async fn a_service_follows_the_session_until_it_leaves() {
    let provider = Host::new(HostOptions::default());
    let (sessions, receiver) = watch::channel(None);
    let publication = provider.publish(receiver, "foo", &object());
    assert!(matches!(
        *publication.state().borrow(),
        PublicationState::Waiting
    ));

    let first = Directory::start(1).await;
    sessions.send_replace(Some(first.session(&provider).await));
    assert_eq!(registered(&publication).await.unwrap(), ServiceId(2));
    assert_eq!(first.ready(), [(2, "foo".to_owned())]);

    // Another directory that gives the number again.
    let second = Directory::start(1).await;
    sessions.send_replace(None);
    sessions.send_replace(Some(second.session(&provider).await));
    until(&publication, |_| !second.ready().is_empty()).await;
    assert_eq!(second.ready(), [(2, "foo".to_owned())]);
    until_registered(&publication).await;

    publication.leave().await.unwrap();
    assert_eq!(second.ready(), []);
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_at_once() {
    let directory = Directory::start(1).await;
    directory.take("foo");
    let provider = Host::new(HostOptions::default());
    let session = directory.session(&provider).await;
    let (_sessions, receiver) = watch::channel(Some(session));
    let publication = provider.publish(receiver, "foo", &object());
    let error = registered(&publication).await.unwrap_err();
    assert!(
        matches!(&error, RegisterError::NameTaken { name, .. } if name == "foo"),
        "{error:?}"
    );
    // That was it.
    let mut state = publication.state();
    state.mark_unchanged();
    timeout(PATIENCE, state.changed())
        .await
        .unwrap()
        .unwrap_err();
    publication.leave().await.unwrap();
}

/// The provider lost its connection, which the directory does not know yet.
#[tokio::test]
async fn a_name_taken_by_our_former_self_is_waited_for() {
    let directory = Directory::start(1).await;
    let provider = Host::new(HostOptions::default());
    let session = directory.session(&provider).await;
    let (sessions, receiver) = watch::channel(Some(session.clone()));
    let publication = provider.publish(receiver, "foo", &object());
    registered(&publication).await.unwrap();

    session.close();
    let is_waiting = |state: &PublicationState| matches!(state, PublicationState::Waiting);
    until(&publication, is_waiting).await;
    directory.take("foo");
    sessions.send_replace(Some(directory.session(&provider).await));
    let is_refused = |state: &PublicationState| matches!(state, PublicationState::Refused { .. });
    until(&publication, is_refused).await;
    assert!(matches!(
        registered(&publication).await,
        Err(RegisterError::NameTaken { .. })
    ));
    directory.free();
    until_registered(&publication).await;
    assert_eq!(directory.ready().len(), 1);
}

/// Two services change places in the numbers of a new directory, while the host still holds the
/// old ones.
#[tokio::test]
async fn numbers_may_change_places() {
    let provider = Host::new(HostOptions::default());
    let (sessions, receiver) = watch::channel(None);
    let object = object();
    let names = ["a", "b", "c", "d"];
    let publications = names.map(|name| provider.publish(receiver.clone(), name, &object));
    for last in [1, 3, 2] {
        let directory = Directory::start(last).await;
        sessions.send_replace(Some(directory.session(&provider).await));
        for publication in &publications {
            until(publication, |_| directory.ready().len() == names.len()).await;
        }
    }
}

#[tokio::test]
async fn dropping_takes_the_service_from_the_bus() {
    let directory = Directory::start(1).await;
    let provider = Host::new(HostOptions::default());
    let session = directory.session(&provider).await;
    let (sessions, receiver) = watch::channel(Some(session));
    let publication = provider.publish(receiver.clone(), "foo", &object());
    registered(&publication).await.unwrap();
    let mut state = publication.state();
    drop(publication);
    let ended = async { while state.changed().await.is_ok() {} };
    timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(directory.ready(), []);

    // Neither does it outlive the host, nor hope for sessions when there will be none.
    let publication = provider.publish(receiver.clone(), "foo", &object());
    registered(&publication).await.unwrap();
    drop(provider);
    timeout(PATIENCE, publication.leave())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(directory.ready(), []);
    let provider = Host::new(HostOptions::default());
    sessions.send_replace(None);
    let publication = provider.publish(receiver, "foo", &object());
    drop(sessions);
    assert!(matches!(
        registered(&publication).await,
        Err(RegisterError::Over)
    ));
}

/// A process could not end as long as the directory hung.
#[tokio::test]
async fn a_silent_directory_is_not_waited_for_at_the_end() {
    let directory = Directory::start(1).await;
    let provider = Host::new(HostOptions::default());
    let session = directory.session(&provider).await;
    let (_sessions, receiver) = watch::channel(Some(session.clone()));
    let publication = provider.publish(receiver.clone(), "foo", &object());
    registered(&publication).await.unwrap();
    let registration = provider.register(&session, "bar", &object()).await.unwrap();
    directory.names.lock().silent = true;
    let half = provider.publish(receiver, "half", &object());
    let directory = &directory;
    let asked = async {
        while !directory.taken("half") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap();
    tokio::time::pause();
    for left in [
        registration.leave().await,
        publication.leave().await,
        half.leave().await,
    ] {
        assert!(matches!(left, Err(LeaveError::TimedOut)), "{left:?}");
    }
    tokio::time::resume();
    assert!(!directory.taken("bar") && !directory.taken("foo"));
}

#[test]
fn a_name_that_an_attempt_may_have_left_taken_is_tried_again() {
    let taken = RegisterError::NameTaken {
        name: "foo".to_owned(),
        text: String::new(),
    };
    let unsent = SendError::Closed(CloseReason::Peer);
    let mut attempts = Attempts::default();
    let judged = attempts.judge(&CallError::NotSent(unsent).into());
    assert_eq!(judged, Judgement::Passing);
    assert_eq!(attempts.judge(&taken), Judgement::Final);
    let judged = attempts.judge(&CallError::Lost(CloseReason::Peer).into());
    assert_eq!(judged, Judgement::Passing);
    assert_eq!(attempts.judge(&taken), Judgement::Refused);

    let number = RegisterError::NumberTaken { id: ServiceId(2) };
    let mut attempts = Attempts::default();
    for _ in 0..NUMBER_TAKEN_ATTEMPTS {
        assert_eq!(attempts.judge(&number), Judgement::Passing);
    }
    assert_eq!(attempts.judge(&number), Judgement::Final);
}
