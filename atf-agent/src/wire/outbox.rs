//! The writing side of a connection that many tasks share. A frame is written by the task that has it:
//! a task for that alone would cost each request a wake-up. What the socket does not take at once waits
//! for one that does nothing else.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::stream::Stream;

/// Frames on their way out, each whole and in order.
pub(super) struct Outbox {
    stream: Arc<Stream>,
    /// What the socket has not taken; nothing overtakes it.
    rest: Mutex<VecDeque<Unsent>>,
    more: Notify,
}

/// A frame, and how much of it is sent.
struct Unsent {
    frame: Vec<u8>,
    sent: usize,
}

impl Outbox {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self { stream, rest: Mutex::default(), more: Notify::new() }
    }

    /// Sends a frame, now or as soon as the socket takes it. How many may wait is the caller's to limit.
    ///
    /// # Errors
    /// When the connection failed.
    pub(super) fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        let mut rest = self.rest();
        let sent = if rest.is_empty() { self.try_write(&frame)? } else { 0 };
        if sent < frame.len() {
            rest.push_back(Unsent { frame, sent });
            self.more.notify_one();
        }
        Ok(())
    }

    /// Sends what waits, for as long as the connection lasts.
    ///
    /// # Errors
    /// When the connection failed; it returns for nothing else.
    pub(super) async fn drain(&self) -> io::Result<()> {
        loop {
            self.more.notified().await;
            while !self.send_rest()? {
                self.stream.room().await?;
            }
        }
    }

    /// Sends what the socket takes; whether that was all.
    fn send_rest(&self) -> io::Result<bool> {
        let mut rest = self.rest();
        while let Some(first) = rest.front_mut() {
            first.sent += self.try_write(&first.frame[first.sent..])?;
            if first.sent < first.frame.len() {
                return Ok(false);
            }
            rest.pop_front();
        }
        Ok(true)
    }

    /// How many bytes the socket took; 0 when it is full.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// The queue is whole even when a holder of the lock panicked.
    fn rest(&self) -> MutexGuard<'_, VecDeque<Unsent>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use tokio::io::AsyncReadExt as _;

    use super::super::stream::End;
    use super::*;

    /// Far more than a socket holds, from many tasks, to a peer that begins to read late.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn frames_arrive_whole_and_in_order_however_full_the_socket_is() {
        const TASKS: u8 = 8;
        const FRAMES: usize = 50;
        const BYTES: usize = 10_000;
        let (near, far) = UnixStream::pair().unwrap();
        let mut far = End(Arc::new(Stream::of(far).unwrap()));
        let outbox = Arc::new(Outbox::new(Arc::new(Stream::of(near).unwrap())));
        let draining = Arc::clone(&outbox);
        tokio::spawn(async move { draining.drain().await });
        let senders: Vec<_> = (0..TASKS)
            .map(|task| {
                let outbox = Arc::clone(&outbox);
                tokio::spawn(async move {
                    for i in 0..FRAMES {
                        let mut frame = vec![task; BYTES];
                        frame[1] = u8::try_from(i).unwrap();
                        outbox.send(frame).unwrap();
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        assert!(!outbox.rest().is_empty(), "the control: the socket was full");
        let (mut frame, mut next) = (vec![0; BYTES], [0; TASKS as usize]);
        for _ in 0..usize::from(TASKS) * FRAMES {
            far.read_exact(&mut frame).await.unwrap();
            let task = frame[0];
            assert_eq!(frame[1], next[usize::from(task)], "in order");
            next[usize::from(task)] += 1;
            assert!(frame[2..].iter().all(|byte| *byte == task), "whole");
        }
        drop(far);
        assert!(outbox.send(vec![0]).is_err(), "the peer has gone");
    }
}
