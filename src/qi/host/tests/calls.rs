//! How calls run: one after the other or not, cancelled, bounded.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    host_with,
    scripted::{Client, dynamic, member, text_of},
    until,
};
use crate::qi::{
    host::{
        Cancellation, Handler, HostLimits, HostOptions, HostedObject, Method, MethodError,
        ObjectBuilder, Threading,
    },
    value::Value,
    wire::{Flags, Kind, Message, MessageId, ServiceId},
};

/// A service whose methods wait for the test: 100 `future`, 101 `deferred`, 102 `blocking`,
/// 103 `quick`, which tells how many calls began before.
struct Gates {
    object: HostedObject,
    open: Arc<Notify>,
    open_thread: Mutex<mpsc::SyncSender<()>>,
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Gates {
    fn new(threading: Threading) -> Self {
        let open = Arc::new(Notify::new());
        let begun = Arc::new(AtomicUsize::new(0));
        let dropped = Arc::new(AtomicUsize::new(0));
        let (open_thread, opened) = mpsc::sync_channel(4);
        let wait = {
            let (open, begun, dropped) = (open.clone(), begun.clone(), dropped.clone());
            move |_| {
                let (open, counter) = (open.clone(), CountDrop(dropped.clone()));
                begun.fetch_add(1, Ordering::SeqCst);
                async move {
                    let _counter = counter;
                    open.notified().await;
                    Ok::<_, MethodError>(Value::Int32(7))
                }
            }
        };
        let opened = Mutex::new(opened);
        let (began, quick) = (begun.clone(), begun.clone());
        let block = move |_| {
            began.fetch_add(1, Ordering::SeqCst);
            opened.lock().recv().unwrap();
            Ok(Value::Int32(8))
        };
        let quick = move |_| {
            let begun = i32::try_from(quick.load(Ordering::SeqCst)).unwrap();
            std::future::ready(Ok(Value::Int32(begun)))
        };
        let mut object = ObjectBuilder::new();
        object.threading(threading);
        for (name, handler) in [
            ("future", Handler::future(wait.clone())),
            ("deferred", Handler::deferred(wait)),
            ("blocking", Handler::blocking(block)),
            ("quick", Handler::future(quick)),
        ] {
            let method = Method::new(name, "()", "i", handler).unwrap();
            object.method(method).unwrap();
        }
        Self {
            object: object.build().unwrap(),
            open,
            open_thread: Mutex::new(open_thread),
            begun,
            dropped,
        }
    }

    async fn wait_begun(&self, count: usize) {
        until(|| self.begun.load(Ordering::SeqCst) == count).await;
    }
}

const FUTURE: u32 = 100;
const DEFERRED: u32 = 101;
const BLOCKING: u32 = 102;
const QUICK: u32 = 103;

async fn start(client: &mut Client, action: u32) -> MessageId {
    client.start(Kind::Call, member(action), Bytes::new()).await
}

fn int(answer: &Message) -> i32 {
    assert_eq!(answer.kind, Kind::Reply, "{answer:?}");
    i32::from_le_bytes(answer.payload[..].try_into().unwrap())
}

async fn cancel(client: &mut Client, id: MessageId) {
    let payload = Bytes::copy_from_slice(&id.0.to_le_bytes());
    client.start(Kind::Cancel, member(0), payload).await;
}

#[tokio::test]
async fn a_single_threaded_object_is_busy_until_a_future_is_ready() {
    let gates = Gates::new(Threading::Single);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    for (slow, result) in [(FUTURE, 7), (BLOCKING, 8)] {
        gates.begun.store(0, Ordering::SeqCst);
        let slow = start(&mut client, slow).await;
        client.settle().await;
        let mut other = Client::authenticated(&host).await;
        let quick = start(&mut other, QUICK).await;
        gates.wait_begun(1).await;
        // The object answers what waits for nothing, the method waits for its turn.
        assert_eq!(
            other
                .call(member(2), Bytes::from_static(&[0; 4]))
                .await
                .kind,
            Kind::Reply
        );
        assert!(other.unasked.is_empty());
        match result {
            7 => gates.open.notify_one(),
            _ => gates.open_thread.lock().send(()).unwrap(),
        }
        assert_eq!(int(&client.answer(slow).await), result);
        assert_eq!(int(&other.answer(quick).await), 1);
    }
}

#[tokio::test]
async fn a_deferred_future_keeps_nobody_waiting() {
    let gates = Gates::new(Threading::Single);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let slow = [
        start(&mut client, DEFERRED).await,
        start(&mut client, DEFERRED).await,
    ];
    let quick = start(&mut client, QUICK).await;
    assert_eq!(int(&client.answer(quick).await), 2);
    gates.open.notify_one();
    gates.open.notify_one();
    for id in slow {
        assert_eq!(int(&client.answer(id).await), 7);
    }
}

#[tokio::test]
async fn a_multi_threaded_object_runs_everything_at_once() {
    let gates = Gates::new(Threading::Multi);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let slow = [
        start(&mut client, FUTURE).await,
        start(&mut client, BLOCKING).await,
    ];
    gates.wait_begun(2).await;
    let quick = start(&mut client, QUICK).await;
    assert_eq!(int(&client.answer(quick).await), 2);
    gates.open.notify_one();
    gates.open_thread.lock().send(()).unwrap();
    assert_eq!(int(&client.answer(slow[0]).await), 7);
    assert_eq!(int(&client.answer(slow[1]).await), 8);
}

#[tokio::test]
async fn cancelling_drops_a_future_and_is_answered_once() {
    let gates = Gates::new(Threading::Single);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let running = start(&mut client, FUTURE).await;
    let queued = start(&mut client, FUTURE).await;
    gates.wait_begun(1).await;
    let mut stranger = Client::authenticated(&host).await;
    cancel(&mut stranger, running).await;
    stranger.settle().await;
    assert_eq!(gates.dropped.load(Ordering::SeqCst), 0);
    for id in [queued, running] {
        // What waits is answered at once, though the object is still busy.
        cancel(&mut client, id).await;
        let answer = client.answer(id).await;
        assert_eq!((answer.kind, answer.payload.len()), (Kind::Canceled, 0));
    }
    assert_eq!(gates.dropped.load(Ordering::SeqCst), 1);
    assert_eq!(gates.begun.load(Ordering::SeqCst), 1);
    cancel(&mut client, running).await;
    cancel(&mut client, MessageId(77)).await;
    client.settle().await;
    assert!(client.unasked.is_empty());
}

/// Nothing can end a method that blocks, but it can ask.
#[tokio::test]
async fn a_method_that_blocks_is_told_that_it_is_cancelled() {
    let begun = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let (begin, end) = (begun.clone(), ended.clone());
    let wait = move |cancellation: &Cancellation| -> Result<(), MethodError> {
        let _end = CountDrop(end.clone());
        begin.fetch_add(1, Ordering::SeqCst);
        loop {
            cancellation.check()?;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    };
    let mut object = ObjectBuilder::new();
    object.method(Method::cancelable("wait", wait)).unwrap();
    let host = host_with(&object.build().unwrap(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let running = start(&mut client, 100).await;
    until(|| begun.load(Ordering::SeqCst) == 1).await;
    cancel(&mut client, running).await;
    assert_eq!(client.answer(running).await.kind, Kind::Canceled);

    start(&mut client, 100).await;
    until(|| begun.load(Ordering::SeqCst) == 2).await;
    drop(client);
    until(|| ended.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_calls_and_registrations_along() {
    let gates = Gates::new(Threading::Multi);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    start(&mut client, FUTURE).await;
    gates.wait_begun(1).await;
    drop(client);
    until(|| gates.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn calls_are_bounded() {
    for (connection, service, text) in [
        (2, 100, "Too many calls are waiting on this connection"),
        (100, 2, "Too many calls are waiting for the service"),
    ] {
        let gates = Gates::new(Threading::Single);
        let limits = HostLimits {
            calls_per_connection: connection,
            calls_per_service: service,
            ..HostLimits::default()
        };
        let options = HostOptions {
            limits,
            ..HostOptions::default()
        };
        let host = host_with(&gates.object, options).await;
        let mut client = Client::authenticated(&host).await;
        let waiting = [
            start(&mut client, FUTURE).await,
            start(&mut client, FUTURE).await,
        ];
        let refused = client.call(member(QUICK), Bytes::new()).await;
        assert_eq!(text_of(&refused), text);
        for id in waiting {
            cancel(&mut client, id).await;
            assert_eq!(client.answer(id).await.kind, Kind::Canceled);
        }
        assert_eq!(
            client.call(member(QUICK), Bytes::new()).await.kind,
            Kind::Reply
        );
    }
}

/// The second call of an id took the place of the first one, which then outlived its connection and
/// went on to count against the limits of the service.
#[tokio::test]
async fn calls_of_one_id_end_with_their_connection() {
    let gates = Gates::new(Threading::Multi);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let id = MessageId(77);
    for _ in 0..3 {
        let call = Message::new(Kind::Call, id, member(FUTURE), Bytes::new());
        client.send(&call).await;
    }
    gates.wait_begun(3).await;
    // Only the last one is meant.
    cancel(&mut client, id).await;
    assert_eq!(client.answer(id).await.kind, Kind::Canceled);
    client.settle().await;
    assert!(client.unasked.is_empty(), "{:?}", client.unasked);
    drop(client);
    until(|| gates.dropped.load(Ordering::SeqCst) == 3).await;
}

#[tokio::test]
async fn arguments_that_wait_are_bounded() {
    let gates = Gates::new(Threading::Single);
    let limits = HostLimits {
        argument_bytes_per_service: 1000,
        ..HostLimits::default()
    };
    let options = HostOptions {
        limits,
        ..HostOptions::default()
    };
    let host = host_with(&gates.object, options).await;
    let mut client = Client::authenticated(&host).await;
    let payload = Bytes::from(vec![0; 600]);
    let first = client
        .start(Kind::Call, member(FUTURE), payload.clone())
        .await;
    let refused = client.call(member(FUTURE), payload).await;
    assert_eq!(
        text_of(&refused),
        "Too many calls are waiting for the service"
    );
    gates.open.notify_one();
    assert_eq!(int(&client.answer(first).await), 7);
}

#[tokio::test]
async fn calls_of_a_service_that_leaves_fail() {
    calls_that_wait_for(FUTURE).await;
}

/// The thread goes on, but nobody waits for it.
#[tokio::test]
async fn calls_behind_a_blocking_one_fail_with_it() {
    calls_that_wait_for(BLOCKING).await;
}

/// The service leaves while one call runs and another one waits for it.
async fn calls_that_wait_for(method: u32) {
    let gates = Gates::new(Threading::Single);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let calls = [
        start(&mut client, method).await,
        start(&mut client, QUICK).await,
    ];
    client.settle().await;
    gates.wait_begun(1).await;
    host.table.remove(ServiceId(2));
    for id in calls {
        assert_eq!(
            text_of(&client.answer(id).await),
            "The service left the bus"
        );
    }
    let gone = client.call(member(QUICK), Bytes::new()).await;
    assert_eq!(text_of(&gone), "The call request could not be handled.");
    drop(host);
    assert_eq!(client.receive().await, None);
    if method == BLOCKING {
        gates.open_thread.lock().send(()).unwrap();
    }
}

/// A service lost its session while a method of its object blocked; registered again, the object
/// did two things at a time.
#[tokio::test]
async fn an_object_that_comes_back_still_does_one_thing_at_a_time() {
    let gates = Gates::new(Threading::Single);
    let host = host_with(&gates.object, HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let lost = start(&mut client, BLOCKING).await;
    gates.wait_begun(1).await;
    host.table.remove(ServiceId(2));
    assert_eq!(
        text_of(&client.answer(lost).await),
        "The service left the bus"
    );
    host.table.insert(ServiceId(2), &gates.object).unwrap();
    let next = start(&mut client, QUICK).await;
    client.settle().await;
    assert!(client.unasked.is_empty(), "{:?}", client.unasked);
    gates.open_thread.lock().send(()).unwrap();
    assert_eq!(int(&client.answer(next).await), 1);
}

/// Calls that were cancelled kept their places, so that whoever calls and cancels while the object
/// is busy shut everyone else out.
#[tokio::test]
async fn a_cancelled_call_takes_no_place() {
    let gates = Gates::new(Threading::Single);
    let limits = HostLimits {
        calls_per_service: 2,
        ..HostLimits::default()
    };
    let options = HostOptions {
        limits,
        ..HostOptions::default()
    };
    let host = host_with(&gates.object, options).await;
    let mut client = Client::authenticated(&host).await;
    let running = start(&mut client, FUTURE).await;
    gates.wait_begun(1).await;
    for _ in 0..20 {
        let queued = start(&mut client, QUICK).await;
        cancel(&mut client, queued).await;
        assert_eq!(client.answer(queued).await.kind, Kind::Canceled);
    }
    let quick = start(&mut client, QUICK).await;
    client.settle().await;
    gates.open.notify_one();
    assert_eq!(int(&client.answer(running).await), 7);
    assert_eq!(int(&client.answer(quick).await), 1);
}

#[tokio::test]
async fn the_owner_learns_what_others_set() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let mut object = ObjectBuilder::new();
    let level = object
        .property_with("level", "i", Value::Int32(1), move |value| {
            log.lock().push(value.clone());
        })
        .unwrap();
    let host = host_with(&object.build().unwrap(), HostOptions::default()).await;
    let mut client = Client::authenticated(&host).await;
    let mut payload = dynamic("s", Value::text("level")).to_vec();
    payload.extend_from_slice(&dynamic("d", Value::Double(5.7)));
    let answer = client.call(member(6), payload.into()).await;
    assert_eq!(answer.kind, Kind::Reply);
    assert_eq!(level.value(), Value::Int32(5));
    level.set(Value::Int32(9)).unwrap();
    assert_eq!(*seen.lock(), [Value::Int32(5)]);
    level.set(Value::text("no")).unwrap_err();
    assert_eq!(level.value(), Value::Int32(9));
    let answer = client
        .call(member(5), dynamic("L", Value::UInt64(100)))
        .await;
    assert_eq!((answer.kind, answer.flags), (Kind::Reply, Flags::NONE));
    assert_eq!(answer.payload, dynamic("i", Value::Int32(9)));
}
