//! A robot of the test's own making: proper by default, and as bad as a script wants it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use qi_grpc_gateway::qi::{
    session::AuthMap,
    wire::{ActionId, Address, FrameDecoder, Kind, Message, MessageId, ServiceId, Writer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
};

/// The service `Sample`, there unless the script says otherwise.
pub(crate) const SAMPLE: ServiceId = ServiceId(2);
/// Its method `say (s) -> s`, an echo.
pub(crate) const SAY: ActionId = ActionId(100);
/// Its signal `heard (s)`.
pub(crate) const HEARD: ActionId = ActionId(101);
/// Its signal `seen (s)`.
pub(crate) const SEEN: ActionId = ActionId(102);
/// The service `Hostile`, only listed where a script does.
pub(crate) const HOSTILE: ServiceId = ServiceId(3);

/// The directory's method `services`.
pub(crate) const SERVICES: ActionId = ActionId(101);

/// What the robot does with a message.
pub(crate) enum Act {
    /// What a proper robot does.
    Proper,
    /// These bytes are sent as they are.
    Bytes(Vec<u8>),
    /// These bytes are sent and the connection closed.
    Last(Vec<u8>),
    /// What a proper robot does, then this event until the connection ends.
    Flood(Message),
    /// Nothing.
    Silence,
}

/// Decides by the message; knows the robot's port.
pub(crate) type Script = Arc<dyn Fn(&Message, u16) -> Act + Send + Sync>;

/// A robot behind a port that stays the same while its nature changes.
pub(crate) struct Robot {
    address: SocketAddr,
    nature: watch::Sender<Nature>,
    /// How many connections came.
    connections: watch::Receiver<usize>,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
enum Nature {
    /// Sends this at once, and then nothing.
    Greets(Arc<Vec<u8>>),
    /// Sends this at once, and closes.
    GreetsAndLeaves(Arc<Vec<u8>>),
    /// Speaks qimessaging.
    Scripted(Script),
}

#[derive(Default)]
struct Shared {
    /// The signals that are registered with now, on all connections.
    registered: watch::Sender<Vec<Address>>,
    /// How often a member was called: by service and action.
    calls: watch::Sender<HashMap<(u32, u32), usize>>,
}

impl Robot {
    /// A proper one.
    pub(crate) async fn proper() -> Self {
        Self::scripted(|_, _| Act::Proper).await
    }

    /// One that asks a script first.
    pub(crate) async fn scripted(
        script: impl Fn(&Message, u16) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::start(Nature::Scripted(Arc::new(script))).await
    }

    /// One that sends bytes to whoever connects, and reads on.
    pub(crate) async fn greeting(bytes: Vec<u8>) -> Self {
        Self::start(Nature::Greets(Arc::new(bytes))).await
    }

    /// One that sends bytes to whoever connects, and hangs up.
    pub(crate) async fn leaving(bytes: Vec<u8>) -> Self {
        Self::start(Nature::GreetsAndLeaves(Arc::new(bytes))).await
    }

    async fn start(nature: Nature) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let nature = watch::Sender::new(nature);
        let (count, connections) = watch::channel(0);
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            nature.subscribe(),
            count,
            Arc::clone(&shared),
        ));
        Self {
            address,
            nature,
            connections,
            shared,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// Becomes a proper robot; who is connected is hung up on. Waits until the gateway is back.
    pub(crate) async fn reform(&self) {
        let before = *self.connections.borrow();
        let proper: Script = Arc::new(|_, _| Act::Proper);
        self.nature.send_replace(Nature::Scripted(proper));
        self.visited(before + 1).await;
    }

    /// Waits until it was connected to so often.
    pub(crate) async fn visited(&self, times: usize) {
        let mut connections = self.connections.clone();
        let visited = connections.wait_for(|count| *count >= times);
        tokio::time::timeout(crate::support::PATIENCE, visited)
            .await
            .expect("the gateway does not come back")
            .unwrap();
    }

    /// Waits until so many registrations with signals of `Sample` are there.
    pub(crate) async fn registrations(&self, count: usize) {
        let mut registered = self.shared.registered.subscribe();
        let wait = registered.wait_for(|all| {
            let ours = all.iter().filter(|signal| signal.service == SAMPLE);
            ours.count() == count
        });
        let waited = tokio::time::timeout(crate::support::PATIENCE, wait).await;
        let reached = waited.is_ok_and(|waited| waited.is_ok());
        let now = self.shared.registered.borrow().clone();
        assert!(reached, "{count} registrations wanted: {now:?}");
    }

    /// Waits until a member was called so often.
    pub(crate) async fn called(&self, service: ServiceId, action: ActionId, times: usize) {
        let key = (service.0, action.0);
        let mut calls = self.shared.calls.subscribe();
        let called = calls.wait_for(|calls| calls.get(&key).is_some_and(|n| *n >= times));
        tokio::time::timeout(crate::support::PATIENCE, called)
            .await
            .unwrap_or_else(|_| panic!("{key:?} is not called {times} times"))
            .unwrap();
    }

    /// How often `Sample.say` was called.
    pub(crate) fn said(&self) -> usize {
        let calls = self.shared.calls.borrow();
        calls.get(&(SAMPLE.0, SAY.0)).copied().unwrap_or_default()
    }
}

async fn accept(
    listener: TcpListener,
    nature: watch::Receiver<Nature>,
    count: watch::Sender<usize>,
    shared: Arc<Shared>,
) {
    let port = listener.local_addr().unwrap().port();
    let mut visits = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut nature = nature.clone();
        let shared = Arc::clone(&shared);
        let now = nature.borrow_and_update().clone();
        visits.spawn(async move {
            tokio::select! {
                () = visit(stream, now, port, &shared) => {}
                _ = nature.changed() => {}
            }
        });
        count.send_modify(|count| *count += 1);
    }
}

async fn visit(mut stream: TcpStream, nature: Nature, port: u16, shared: &Shared) {
    match nature {
        Nature::Greets(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let mut ignored = Vec::new();
            let _ = stream.read_to_end(&mut ignored).await;
        }
        Nature::GreetsAndLeaves(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Nature::Scripted(script) => {
            let (read, write) = stream.into_split();
            let (queue, queued) = mpsc::channel(64);
            tokio::select! {
                () = listen(read, script, port, shared, queue) => {}
                () = send(write, queued) => {}
            }
        }
    }
    shared.registered.send_modify(Vec::clear);
}

/// What is sent: bytes once, or an event for ever.
enum Outgoing {
    Bytes(Vec<u8>),
    Flood(Vec<u8>),
}

async fn send(mut write: OwnedWriteHalf, mut queued: mpsc::Receiver<Outgoing>) {
    let mut flood: Option<Vec<u8>> = None;
    loop {
        let next = match &flood {
            None => queued.recv().await,
            Some(events) => match queued.try_recv() {
                Ok(next) => Some(next),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    if write.write_all(events).await.is_err() {
                        return;
                    }
                    continue;
                }
            },
        };
        match next {
            Some(Outgoing::Bytes(bytes)) => {
                if write.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Some(Outgoing::Flood(event)) => flood = Some(event.repeat(16)),
            None => return,
        }
    }
}

async fn listen(
    mut read: OwnedReadHalf,
    script: Script,
    port: u16,
    shared: &Shared,
    queue: mpsc::Sender<Outgoing>,
) {
    let mut decoder = FrameDecoder::new(50_000_000);
    loop {
        while let Ok(Some(message)) = decoder.next_message() {
            let key = (message.address.service.0, message.address.action.0);
            shared.calls.send_modify(|calls| {
                *calls.entry(key).or_default() += 1;
            });
            let (act, proper) = (script(&message, port), proper(&message, port, shared));
            let sent = match act {
                Act::Silence => Ok(()),
                Act::Bytes(bytes) => queue.send(Outgoing::Bytes(bytes)).await,
                Act::Last(bytes) => {
                    let _ = queue.send(Outgoing::Bytes(bytes)).await;
                    return;
                }
                Act::Proper => queue.send(Outgoing::Bytes(proper)).await,
                Act::Flood(event) => {
                    let _ = queue.send(Outgoing::Bytes(proper)).await;
                    queue.send(Outgoing::Flood(frame(&event))).await
                }
            };
            if sent.is_err() {
                return;
            }
        }
        match read.read_buf(decoder.buffer()).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// What a proper robot answers.
fn proper(message: &Message, port: u16, shared: &Shared) -> Vec<u8> {
    if message.kind != Kind::Call {
        return Vec::new();
    }
    let Address {
        service, action, ..
    } = message.address;
    let payload = match (service, action) {
        (ServiceId(0), ActionId(8)) => {
            let mut map = AuthMap::new();
            map.insert_state(qi_grpc_gateway::qi::session::auth_map::STATE_DONE);
            map.encode().unwrap()
        }
        (_, ActionId(0)) => {
            shared
                .registered
                .send_modify(|all| all.push(signal(message)));
            Bytes::from_static(&[0; 8])
        }
        (_, ActionId(1)) => {
            let signal = signal(message);
            shared.registered.send_modify(|all| {
                if let Some(at) = all.iter().position(|other| *other == signal) {
                    all.remove(at);
                }
            });
            Bytes::new()
        }
        (ServiceId(1), ActionId(2)) => directory_meta(),
        (ServiceId(1), ActionId(100)) => service_info("Sample", SAMPLE, port),
        (ServiceId(1), ActionId(101)) => listing(&[("Sample", SAMPLE)], port),
        (ServiceId(1), ActionId(108)) => text("the machine"),
        (SAMPLE | HOSTILE, ActionId(2)) => {
            let methods = [(SAY.0, "s", "say", "(s)")];
            meta(
                &methods,
                &[(HEARD.0, "heard", "(s)"), (SEEN.0, "seen", "(s)")],
            )
        }
        (SAMPLE, SAY) => message.payload.clone(),
        _ => Bytes::new(),
    };
    frame(&message.answer(Kind::Reply, payload))
}

/// The signal that a registration is for: (service, signal, link).
fn signal(message: &Message) -> Address {
    let uid = message.payload.get(4..8).unwrap().try_into().unwrap();
    Address {
        action: ActionId(u32::from_le_bytes(uid)),
        ..message.address
    }
}

/// A reply with a payload, as a script's act.
pub(crate) fn reply(message: &Message, payload: impl Into<Bytes>) -> Act {
    Act::Bytes(frame(&message.answer(Kind::Reply, payload.into())))
}

/// An event of `Sample`.
pub(crate) fn event(signal: ActionId, text_bytes: &str) -> Message {
    let address = Address::new(SAMPLE, qi_grpc_gateway::qi::wire::ObjectId::MAIN, signal);
    Message::new(Kind::Event, MessageId(7), address, text(text_bytes))
}

/// A message's bytes.
pub(crate) fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = message.header().encode().to_vec();
    bytes.extend_from_slice(&message.payload);
    bytes
}

/// A message's bytes with another size in its header.
pub(crate) fn frame_that_claims(message: &Message, size: u32) -> Vec<u8> {
    let mut bytes = frame(message);
    bytes[8..12].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// A string as a payload.
pub(crate) fn text(text: &str) -> Bytes {
    let mut writer = Writer::new();
    put(&mut writer, text);
    writer.finish()
}

/// A description of services that all are at `port`.
pub(crate) fn listing(services: &[(&str, ServiceId)], port: u16) -> Bytes {
    let mut writer = Writer::new();
    writer.u32(u32::try_from(services.len()).unwrap());
    for (name, id) in services {
        writer.raw(&service_info(name, *id, port));
    }
    writer.finish()
}

fn service_info(name: &str, id: ServiceId, port: u16) -> Bytes {
    let mut writer = Writer::new();
    put(&mut writer, name);
    writer.u32(id.0);
    put(&mut writer, "the machine");
    writer.u32(1);
    writer.u32(1);
    put(&mut writer, &format!("tcp://127.0.0.1:{port}"));
    put(&mut writer, "0");
    writer.finish()
}

/// A meta object of methods `(uid, return, name, parameters)` and signals `(uid, name, signature)`,
/// whatever their signatures are.
pub(crate) fn meta(methods: &[(u32, &str, &str, &str)], signals: &[(u32, &str, &str)]) -> Bytes {
    let mut writer = Writer::new();
    writer.u32(u32::try_from(methods.len()).unwrap());
    for (uid, returned, name, parameters) in methods {
        writer.u32(*uid);
        writer.u32(*uid);
        for part in [*returned, *name, *parameters, ""] {
            put(&mut writer, part);
        }
        writer.u32(0);
        put(&mut writer, "");
    }
    writer.u32(u32::try_from(signals.len()).unwrap());
    for (uid, name, signature) in signals {
        writer.u32(*uid);
        writer.u32(*uid);
        put(&mut writer, name);
        put(&mut writer, signature);
    }
    writer.u32(0);
    put(&mut writer, "");
    writer.finish()
}

fn directory_meta() -> Bytes {
    meta(
        &[
            (100, "(sIsI[s]s)", "service", "(s)"),
            (101, "[(sIsI[s]s)]", "services", "()"),
            (108, "s", "machineId", "()"),
        ],
        &[
            (106, "serviceAdded", "(Is)"),
            (107, "serviceRemoved", "(Is)"),
        ],
    )
}

fn put(writer: &mut Writer, text: &str) {
    writer.u32(u32::try_from(text.len()).unwrap());
    writer.raw(text.as_bytes());
}
