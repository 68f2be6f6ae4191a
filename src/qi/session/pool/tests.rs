use tokio::{
    io::duplex,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::qi::{
    session::{
        AuthMap, Capabilities, ConnectionLimits, ConnectionOptions, Framed, NoObjects,
        auth_map::STATE_DONE,
    },
    wire::{Kind, ServiceId},
};

const ROBOT: &str = "robot-machine";

fn pool(directory: &str, is_local: bool) -> Pool {
    let directory = directory.parse().unwrap();
    Pool::new(DialOptions::default(), directory, ROBOT.into(), is_local)
}

fn info(name: &str, machine: &str, endpoints: &[&str]) -> ServiceInfo {
    ServiceInfo {
        name: name.into(),
        service_id: ServiceId(7),
        machine_id: machine.into(),
        endpoints: endpoints.iter().map(|&uri| uri.to_owned()).collect(),
        ..ServiceInfo::default()
    }
}

fn candidates(pool: &Pool, info: &ServiceInfo) -> (Vec<String>, Vec<String>) {
    let texts = |endpoints: Vec<Endpoint>| endpoints.iter().map(ToString::to_string).collect();
    let (candidates, fallback) = pool.candidates(info);
    (texts(candidates), texts(fallback))
}

fn connection() -> (Connection, tokio::io::DuplexStream) {
    let (ours, theirs) = duplex(1024);
    let options = ConnectionOptions {
        capabilities: Capabilities::OURS,
        limits: ConnectionLimits::default(),
        dispatch: Arc::new(NoObjects),
    };
    (Connection::start(Framed::new(ours, 1024), options), theirs)
}

const ENDPOINTS: [&str; 5] = [
    "qi:ServiceDirectory",
    "tcps://10.0.0.2:9503",
    "tcp://10.0.0.2:40001",
    "tcp://127.0.0.1:40001",
    "no endpoint at all",
];

#[test]
fn a_robot_on_the_network_is_not_looked_for_on_our_machine() {
    let pool = pool("tcp://192.168.0.9:9559", false);
    let (candidates, fallback) = candidates(&pool, &info("A", ROBOT, &ENDPOINTS));
    assert_eq!(candidates, ["tcp://10.0.0.2:40001", "tcps://10.0.0.2:9503"]);
    assert_eq!(fallback, ["tcp://192.168.0.9:40001"]);
}

#[test]
fn loopback_comes_first_on_our_machine() {
    let pool = pool("tcp://localhost:9559", true);
    let (found, _) = candidates(&pool, &info("A", ROBOT, &ENDPOINTS));
    let expected = [
        "tcp://127.0.0.1:40001",
        "tcp://10.0.0.2:40001",
        "tcps://10.0.0.2:9503",
    ];
    assert_eq!(found, expected);

    // A service that another machine registered with our local directory.
    let (found, fallback) = candidates(&pool, &info("A", "elsewhere", &ENDPOINTS));
    assert_eq!(found, expected[1..]);
    assert!(fallback.is_empty());
}

#[tokio::test]
async fn known_connections_are_found_again() {
    let pool = pool("tcp://127.0.0.1:9559", true);
    let (directory, _peer) = connection();
    let places = ["tcp://127.0.0.1:9559", "qi:ServiceDirectory"];
    pool.learn(&info("ServiceDirectory", ROBOT, &places), &directory);
    let (other, other_peer) = connection();
    pool.learn(&info("Other", ROBOT, &["tcp://127.0.0.1:1"]), &other);

    let reach = async |info: &ServiceInfo| pool.reach(info).await.map(|found| found.id());
    for (endpoints, expected) in [
        (&["qi:ServiceDirectory"][..], directory.id()),
        (&["tcp://127.0.0.1:9559"], directory.id()),
        (&["qi:Unknown", "qi:Other"], other.id()),
        (&["tcp://10.0.0.1:1", "tcp://127.0.0.1:1"], other.id()),
    ] {
        assert_eq!(reach(&info("A", ROBOT, endpoints)).await.unwrap(), expected);
    }
    let elsewhere = reach(&info("A", "elsewhere", &["qi:Other"])).await;
    assert!(matches!(elsewhere, Err(ReachError::NoEndpoint { .. })));

    drop(other_peer);
    other.closed().await;
    let dead = reach(&info("A", ROBOT, &["qi:Other"])).await;
    assert!(matches!(dead, Err(ReachError::NoEndpoint { .. })));

    pool.close();
    assert!(directory.is_closed());
    let closed = reach(&info("A", ROBOT, &["qi:ServiceDirectory"])).await;
    assert!(matches!(closed, Err(ReachError::SessionClosed)));
}

/// Many services of a process that cannot be reached cost one attempt.
#[tokio::test]
async fn attempts_are_shared_and_so_is_their_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let pool = pool("tcp://127.0.0.1:9559", true);
    let attempts = async {
        let services: Vec<ServiceInfo> = ["A", "B", "C"]
            .iter()
            .map(|name| info(name, ROBOT, &[&endpoint]))
            .collect();
        let reached = services.iter().map(|info| pool.reach(info));
        futures_util::future::join_all(reached).await
    };
    let refuse = async {
        drop(listener.accept().await.unwrap());
        listener
    };
    let (attempts, listener) = tokio::join!(attempts, refuse);
    for attempt in attempts {
        assert!(matches!(
            attempt,
            Err(ReachError::Dial(DialError::Handshake { .. }))
        ));
    }
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept());
    assert!(nobody.await.is_err(), "one attempt, not three");
}

/// Lets the next client in.
async fn let_in(listener: &TcpListener) -> Framed<TcpStream> {
    let mut peer = Framed::new(listener.accept().await.unwrap().0, 1024);
    let call = peer.receive().await.unwrap();
    let mut map = AuthMap::of(Capabilities::OURS);
    map.insert_state(STATE_DONE);
    let answer = call.answer(Kind::Reply, map.encode().unwrap());
    peer.send(&answer).await.unwrap();
    peer
}

/// Services of a process share a connection, and get a new one when it died. The robot only tells
/// addresses of its own: the host of the directory is tried in their place.
#[tokio::test]
async fn a_process_gets_one_connection_and_another_when_it_died() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = format!("tcp://127.0.0.2:{port}");
    let pool = pool("tcp://127.0.0.1:9559", false);
    let services: Vec<ServiceInfo> = ["A", "B", "C"]
        .iter()
        .map(|name| info(name, ROBOT, &[&endpoint]))
        .collect();
    let reach_all = || futures_util::future::join_all(services.iter().map(|s| pool.reach(s)));

    let (first, peer) = tokio::join!(reach_all(), let_in(&listener));
    let first: Vec<Connection> = first.into_iter().map(Result::unwrap).collect();
    assert!(first.iter().all(|found| found.id() == first[0].id()));
    assert_eq!(pool.reach(&services[1]).await.unwrap().id(), first[0].id());

    drop(peer);
    first[0].closed().await;
    let (second, _peer) = tokio::join!(reach_all(), let_in(&listener));
    let second: Vec<Connection> = second.into_iter().map(Result::unwrap).collect();
    assert!(second.iter().all(|found| found.id() == second[0].id()));
    assert_ne!(second[0].id(), first[0].id());
}

/// Of three endpoints one refuses, one hangs up, and the last one lets us in.
#[tokio::test]
async fn any_endpoint_of_a_service_will_do() {
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    listeners.sort_by_key(|listener| listener.local_addr().unwrap().port());
    let endpoint = |listener: &TcpListener| format!("tcp://{}", listener.local_addr().unwrap());
    let endpoints: Vec<String> = listeners.iter().map(endpoint).collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    let service = info("A", ROBOT, &endpoints);
    drop(listeners.remove(0));
    let pool = pool("tcp://127.0.0.1:9559", true);
    let hang_up = async { drop(listeners[0].accept().await.unwrap()) };
    let (reached, (), _peer) = tokio::join!(pool.reach(&service), hang_up, let_in(&listeners[1]));
    let reached = reached.unwrap();
    assert_eq!(pool.reach(&service).await.unwrap().id(), reached.id());
}
