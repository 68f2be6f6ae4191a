//! Many messages at once.

use super::*;

/// Thousands of calls from many tasks over a small pipe: every one gets its own answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once() {
    let (connection, mut peer) = pair();
    let echo = tokio::spawn(async move {
        while let Ok(call) = peer.receive().await {
            let reply = call.answer(Kind::Reply, call.payload.clone());
            if peer.send(&reply).await.is_err() {
                break;
            }
        }
    });
    let mut tasks = Vec::new();
    for task in 0..16_usize {
        let connection = connection.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..200 {
                let size = if n % 50 == 0 { 20_000 } else { n };
                let payload = Bytes::from(vec![task as u8; size]);
                let reply = connection.call(SAY, payload.clone()).await.unwrap();
                assert_eq!(reply.payload, payload);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    drop(connection);
    echo.await.unwrap();
}

/// Counts the writes of a pipe.
struct Counting {
    io: DuplexStream,
    writes: Arc<std::sync::atomic::AtomicUsize>,
}

impl tokio::io::AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl tokio::io::AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Tasks that call at the same time share their writes, although the scheduler runs a task that is
/// woken, such as the one that writes, before those that wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn writes_are_coalesced() {
    const TASKS: usize = 64;
    let (ours, theirs) = duplex(PIPE_BYTES);
    let writes = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let io = Counting {
        io: ours,
        writes: writes.clone(),
    };
    let connection = Connection::start(Framed::new(io, PAYLOAD_BYTES), options());
    let mut peer = Framed::new(theirs, PAYLOAD_BYTES);
    let calls = tokio::spawn(async move {
        let call = || {
            let connection = connection.clone();
            tokio::spawn(async move { connection.call(SAY, Bytes::new()).await })
        };
        let calls: Vec<_> = (0..TASKS).map(|_| call()).collect();
        futures_util::future::join_all(calls).await
    });
    for _ in 0..TASKS {
        let call = receive(&mut peer, Kind::Call).await;
        peer.send(&call.answer(Kind::Reply, Bytes::new()))
            .await
            .unwrap();
    }
    for call in calls.await.unwrap() {
        call.unwrap().unwrap();
    }
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes <= TASKS / 4, "{writes} writes for {TASKS} calls");
}

/// A peer that sends without end does not keep us from sending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_events_does_not_starve_calls() {
    let (connection, peer) = pair();
    let (io, ..) = peer.into_parts();
    let (mut reader, mut writer) = tokio::io::split(io);
    let event = Message::new(Kind::Event, MessageId(9), SAY, Bytes::from(vec![0; 1000]));
    let mut bytes = event.header().encode().to_vec();
    bytes.extend_from_slice(&event.payload);
    let flood = tokio::spawn(async move { while writer.write_all(&bytes).await.is_ok() {} });
    connection.post(SAY, Bytes::new()).unwrap();
    let mut post = [0; 28];
    tokio::time::timeout(Duration::from_secs(10), reader.read_exact(&mut post))
        .await
        .expect("the post does not leave")
        .unwrap();
    connection.close();
    drop(reader);
    flood.await.unwrap();
}
