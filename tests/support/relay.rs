//! A relay between the gateway and a robot. What passes is unchanged, and counted.
//!
//! A robot that hosts its services in the process of its directory is reached through one
//! connection, the relay's; so all that the gateway says to it passes here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use qi_grpc_gateway::qi::wire::{
    ActionId, Address, HEADER_BYTES, Header, Kind, Message, MessageId, ObjectId, ServiceId,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::PATIENCE;

/// Listens in the place of a robot.
pub(crate) struct Relay {
    url: String,
    log: Log,
    _tasks: JoinSet<()>,
}

/// What passed until now.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Passed>>);

#[derive(Default)]
struct Passed {
    /// What the gateway sent, of all connections.
    to_robot: Vec<Message>,
    /// What the robot sent, on all connections.
    from_robot: Vec<Message>,
    /// Where the latest connection takes messages of the test.
    injector: Option<mpsc::Sender<(Message, oneshot::Sender<Message>)>>,
}

impl Relay {
    /// Relays to the robot at `tcp://HOST:PORT`, whenever somebody connects.
    pub(crate) async fn start(robot_url: &str) -> Self {
        let robot = robot_url.strip_prefix("tcp://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        let log = Log::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, robot, log.clone()));
        Self {
            url,
            log,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The messages from the gateway that a predicate accepts.
    pub(crate) fn sent(&self, accepts: impl Fn(&Message) -> bool) -> Vec<Message> {
        let passed = self.log.passed();
        passed
            .to_robot
            .iter()
            .filter(|message| accepts(message))
            .cloned()
            .collect()
    }

    /// The messages from the robot that a predicate accepts, in the order in which it sent them.
    pub(crate) fn received(&self, accepts: impl Fn(&Message) -> bool) -> Vec<Message> {
        let passed = self.log.passed();
        let messages = passed.from_robot.iter();
        messages
            .filter(|message| accepts(message))
            .cloned()
            .collect()
    }

    /// The numbers that the robot sent as events of a member.
    pub(crate) fn numbers(&self, service: ServiceId, member: ActionId) -> Vec<i32> {
        let address = Address::new(service, ObjectId::MAIN, member);
        let events =
            self.received(|message| message.kind == Kind::Event && message.address == address);
        let number = |event: Message| i32::from_le_bytes(event.payload[..4].try_into().unwrap());
        events.into_iter().map(number).collect()
    }

    /// Waits until so many messages from the gateway are accepted by a predicate.
    pub(crate) async fn wait_sent(&self, count: usize, accepts: impl Fn(&Message) -> bool) {
        let waiting = async {
            while self.sent(&accepts).len() < count {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let seen = self.sent(&accepts).len();
            panic!("{seen} instead of {count} messages");
        }
    }

    /// Asks libqi whether it has an object for the gateway.
    pub(crate) async fn is_there(&self, service: ServiceId, object: ObjectId) -> bool {
        // A call that every object answers.
        let address = Address::new(service, object, ActionId::META_OBJECT);
        let answer = self.call(address, Bytes::from_static(&[0; 4])).await;
        match answer.kind {
            Kind::Reply => true,
            Kind::Error => {
                let text = String::from_utf8_lossy(&answer.payload).into_owned();
                assert!(text.contains(GONE), "{text}");
                false
            }
            other => panic!("{other:?}"),
        }
    }

    /// Sends a call to the robot on the gateway's connection, where the robot's objects are
    /// reached, and gives the answer, which the gateway does not see.
    async fn call(&self, address: Address, payload: Bytes) -> Message {
        let injector = self.log.passed().injector.clone().expect("a connection");
        let (answer, answered) = oneshot::channel();
        let call = Message::new(Kind::Call, MessageId(0), address, payload);
        injector.send((call, answer)).await.expect("a connection");
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.expect("an answer in time").expect("an answer")
    }
}

/// What libqi answers to a call of an object that it does not have.
const GONE: &str = "The call request could not be handled.";

/// Between two looks at what has passed.
const LOOK: Duration = Duration::from_millis(20);

/// Whether a message asks the robot for the events of a member of a service.
pub(crate) fn registers(message: &Message) -> bool {
    message.kind == Kind::Call && message.address.action == ActionId::REGISTER_EVENT
}

/// Whether a message ends that.
pub(crate) fn unregisters(message: &Message) -> bool {
    matches!(message.kind, Kind::Call | Kind::Post)
        && message.address.action == ActionId::UNREGISTER_EVENT
}

/// Whether a message tells the robot that an object is needed no more.
pub(crate) fn terminates(message: &Message) -> bool {
    message.kind == Kind::Post && message.address.action == ActionId::TERMINATE
}

/// The member that a message is about which registers or unregisters: the second number of its
/// arguments.
pub(crate) fn member(message: &Message) -> ActionId {
    let bytes = message.payload[4..8].try_into().unwrap();
    ActionId(u32::from_le_bytes(bytes))
}

impl Log {
    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.0.lock().unwrap()
    }
}

/// The calls of the test that wait for their answers.
type Injected = Arc<Mutex<HashMap<MessageId, oneshot::Sender<Message>>>>;

/// The first number of the test's own calls, which the gateway does not reach in a test.
const FIRST_INJECTED: u32 = 0xf000_0000;

async fn accept(listener: TcpListener, robot: String, log: Log) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        // While the robot is away the connection ends at once, as it would without a relay.
        let Ok(robot) = TcpStream::connect(&robot).await else {
            continue;
        };
        client.set_nodelay(true).unwrap();
        robot.set_nodelay(true).unwrap();
        connections.spawn(relay(client, robot, log.clone()));
    }
}

/// Relays one connection until a side ends it.
async fn relay(client: TcpStream, robot: TcpStream, log: Log) {
    let (from_client, to_client) = client.into_split();
    let (from_robot, to_robot) = robot.into_split();
    let (injector, injections) = mpsc::channel(1);
    log.passed().injector = Some(injector);
    let injected = Injected::default();
    let to_robot = tokio::sync::Mutex::new(to_robot);
    tokio::select! {
        () = up(from_client, &to_robot, &log) => {}
        () = down(from_robot, to_client, &log, &injected) => {}
        () = inject(injections, &to_robot, &injected) => {}
    }
}

async fn up(mut from: OwnedReadHalf, to: &tokio::sync::Mutex<OwnedWriteHalf>, log: &Log) {
    while let Some(message) = read(&mut from).await {
        log.passed().to_robot.push(message.clone());
        if write(&mut *to.lock().await, &message).await.is_err() {
            return;
        }
    }
}

async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, log: &Log, injected: &Injected) {
    while let Some(message) = read(&mut from).await {
        let asked = injected.lock().unwrap().remove(&message.id);
        if let Some(asked) = asked {
            let _ = asked.send(message);
            continue;
        }
        log.passed().from_robot.push(message.clone());
        if write(&mut to, &message).await.is_err() {
            return;
        }
    }
}

async fn inject(
    mut injections: mpsc::Receiver<(Message, oneshot::Sender<Message>)>,
    to: &tokio::sync::Mutex<OwnedWriteHalf>,
    injected: &Injected,
) {
    for id in FIRST_INJECTED.. {
        let Some((call, asked)) = injections.recv().await else {
            return;
        };
        let id = MessageId(id);
        injected.lock().unwrap().insert(id, asked);
        let call = Message { id, ..call };
        if write(&mut *to.lock().await, &call).await.is_err() {
            return;
        }
    }
}

/// The next message; none once the connection is over.
async fn read(from: &mut OwnedReadHalf) -> Option<Message> {
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header).await.ok()?;
    let header = Header::decode(&header).unwrap();
    let mut payload = vec![0; header.size as usize];
    from.read_exact(&mut payload).await.ok()?;
    Some(Message::from_parts(header, payload.into()))
}

async fn write(to: &mut OwnedWriteHalf, message: &Message) -> std::io::Result<()> {
    let bytes = [&message.header().encode()[..], &message.payload].concat();
    to.write_all(&bytes).await
}
