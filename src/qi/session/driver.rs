//! The task between a socket and the state of its connection.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    CloseReason, Connection, Dispatch,
    batch::{Batch, PIECES},
    connection::{Handle, Shared},
    state::Received,
};
use crate::qi::wire::{FrameDecoder, Message};

/// Reads and writes on one task: a message costs no switch to another one, and a write takes along
/// everything that was queued while reading.
pub(super) struct Driver<IO> {
    io: IO,
    decoder: FrameDecoder,
    shared: Arc<Shared>,
    handle: Weak<Handle>,
    dispatch: Arc<dyn Dispatch>,
    batch: Batch,
    /// Bytes were written since the last flush.
    unflushed: bool,
    /// A write was put off for the sake of others that are about to queue.
    lingered: bool,
}

/// How long what is queued may take to leave once the connection is closed by this side.
const LINGER: Duration = Duration::from_secs(1);

/// How many reads come before the next write. Well below what tokio lets a task do in one turn
/// (128 operations), or nothing would be left for the write.
const READS_PER_TURN: usize = 16;

/// From how many pending calls on a write is put off until the tasks that are ready to run have
/// run: they are likely to queue more, and a system call costs more than a turn of the scheduler.
const GATHER_FROM_CALLS: usize = 4;

/// From how many queued bytes on a write is not put off.
const GATHER_BYTES: usize = 16 * 1024;

impl<IO: AsyncRead + AsyncWrite + Unpin> Driver<IO> {
    pub(super) fn new(
        io: IO,
        decoder: FrameDecoder,
        shared: Arc<Shared>,
        handle: Weak<Handle>,
        dispatch: Arc<dyn Dispatch>,
    ) -> Self {
        Self {
            io,
            decoder,
            shared,
            handle,
            dispatch,
            batch: Batch::default(),
            unflushed: false,
            lingered: false,
        }
    }

    /// Runs until the connection ends, for whatever reason.
    pub(super) async fn run(mut self) {
        // What the handshake already read.
        let reason = match self.deliver() {
            Ok(()) => poll_fn(|context| self.poll(context)).await,
            Err(reason) => reason,
        };
        if matches!(reason, CloseReason::Local) {
            let flush = poll_fn(|context| self.poll_flush_all(context));
            // An error changes nothing: the connection ends here.
            let _ = timeout(LINGER, flush).await;
        }
        self.finish(reason);
        let _ = timeout(LINGER, self.io.shutdown()).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<CloseReason> {
        if let Poll::Ready(reason) = self.poll_read(context) {
            return Poll::Ready(reason);
        }
        self.poll_write(context)
    }

    /// Reads what is there, but not so long that a busy peer keeps us from writing.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<CloseReason> {
        for _ in 0..READS_PER_TURN {
            let read = pin!(self.io.read_buf(self.decoder.buffer())).poll(context);
            let delivered = match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(match self.decoder.end() {
                        Ok(()) => CloseReason::Peer,
                        Err(error) => error.into(),
                    });
                }
                Poll::Ready(Ok(_)) => self.deliver(),
            };
            if let Err(reason) = delivered {
                return Poll::Ready(reason);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes all messages that are complete.
    fn deliver(&mut self) -> Result<(), CloseReason> {
        while let Some(message) = self.decoder.next_message()? {
            self.deliver_one(message);
        }
        Ok(())
    }

    fn deliver_one(&self, message: Message) {
        let received = self.shared.state.lock().receive(message);
        match received {
            Received::Ignored | Received::Answered(None) => {}
            Received::Answered(Some(waker)) => waker.wake(),
            Received::Event(sinks, message) => {
                for sink in sinks {
                    sink.event(&message.payload, message.flags);
                }
            }
            Received::Dispatch(message) => {
                if let Some(connection) = Connection::from_weak(&self.handle) {
                    self.dispatch.dispatch(&connection, message);
                }
            }
        }
    }

    /// Writes what is queued. Ready when the connection is to be closed.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            if self.batch.left() == 0 {
                let mut state = self.shared.state.lock();
                if let Some(reason) = state.closing() {
                    return Poll::Ready(reason.clone());
                }
                let queued = state.queued();
                let gather = queued > 0
                    && queued < GATHER_BYTES
                    && !self.lingered
                    && state.pending() >= GATHER_FROM_CALLS;
                if gather {
                    drop(state);
                    self.lingered = true;
                    // Woken from within itself, a task goes to the end of the scheduler's queue.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.lingered = false;
                state.take_output(&mut self.batch, context.waker());
            }
            if self.batch.left() == 0 {
                return match self.poll_flush(context) {
                    Poll::Ready(Err(error)) => Poll::Ready(error.into()),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                };
            }
            match self.poll_write_some(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
                Poll::Pending => return self.poll_blocked(context),
            }
        }
    }

    /// Waits for the socket, but not beyond the end of the connection.
    fn poll_blocked(&self, context: &Context<'_>) -> Poll<CloseReason> {
        let mut state = self.shared.state.lock();
        match state.closing() {
            Some(reason) => Poll::Ready(reason.clone()),
            None => {
                state.blocked(context.waker());
                Poll::Pending
            }
        }
    }

    fn poll_write_some(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); PIECES];
        let (count, bytes) = self.batch.next(&mut slices);
        let slices = slices.get(..count).unwrap_or_default();
        let written = match slices {
            // TLS takes but one piece at a time anyway.
            [one] => Pin::new(&mut self.io).poll_write(context, one),
            _ => Pin::new(&mut self.io).poll_write_vectored(context, slices),
        };
        match written {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => {
                self.batch.advance(written);
                self.unflushed = true;
                self.shared.state.lock().sent(written);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                // A layer such as TLS may have let a part through before it failed.
                self.shared.state.lock().sent(bytes);
                Poll::Ready(Err(error))
            }
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.unflushed = flushed.is_pending();
        flushed
    }

    /// Writes all that is queued, after nothing new is accepted.
    fn poll_flush_all(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.batch.left() == 0 {
                let mut state = self.shared.state.lock();
                state.take_output(&mut self.batch, context.waker());
            }
            if self.batch.left() == 0 {
                return self.poll_flush(context);
            }
            match self.poll_write_some(context) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
    }
}

impl<IO> Driver<IO> {
    /// Tells everyone that the connection is over.
    fn finish(&self, reason: CloseReason) {
        let (farewell, reason) = {
            let mut state = self.shared.state.lock();
            let farewell = state.finish(reason.clone());
            (farewell, state.closing().cloned().unwrap_or(reason))
        };
        if self.shared.closed.send_replace(Some(reason)).is_some() {
            return;
        }
        for call in farewell.calls {
            call.wake();
        }
        for sink in farewell.sinks {
            sink.closed();
        }
        self.dispatch.closed(self.shared.id);
    }
}

impl<IO> Drop for Driver<IO> {
    /// The runtime may end before the connection does, and a sink may panic.
    fn drop(&mut self) {
        self.finish(CloseReason::Local);
    }
}
