//! The server's side of a connection with many requests under way: it hears all that has come in one
//! read, and answers all of it in one write.

use std::io::{self, BufReader, Read, Write as _};
use std::marker::PhantomData;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::blocking::Server;
use super::frame::{self, FrameError};

/// Bytes that one read takes at most; a request is some two kilobytes.
const READ_BYTES: usize = 64 << 10;

/// A connection whose requests are heard in batches.
pub struct Batches<Ask> {
    input: BufReader<Awaited>,
    requests_max: usize,
    /// What was wrong behind the last batch; told with the next one.
    failed: Option<FrameError>,
    hears: PhantomData<fn() -> Ask>,
}

impl<Ask: DeserializeOwned> Batches<Ask> {
    /// The connection of `server`, in batches of at most `requests_max` (at least one).
    pub fn new(server: Server, requests_max: usize) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BYTES, Awaited(server.into_stream())),
            requests_max,
            failed: None,
            hears: PhantomData,
        }
    }

    /// What has come, and at least one request, with their numbers; nothing when the peer has gone.
    ///
    /// # Errors
    /// When a frame is not one, or the connection failed. What came before it was in a batch of its own.
    pub fn hear(&mut self) -> Result<Vec<(u64, Ask)>, FrameError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut batch = Vec::new();
        loop {
            match frame::read(&mut self.input) {
                Ok(Some(request)) => batch.push(request),
                Ok(None) => return Ok(batch),
                Err(error) if batch.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    return Ok(batch);
                }
            }
            if batch.len() >= self.requests_max || !self.has_whole_frame() {
                return Ok(batch);
            }
        }
    }

    /// Answers each of `replies` by its number.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn answer(&mut self, replies: &[(u64, impl Serialize)]) -> Result<(), FrameError> {
        let mut frames = Vec::new();
        for (number, reply) in replies {
            frame::write(&mut frames, *number, reply)?;
        }
        Ok(self.input.get_mut().0.write_all(&frames)?)
    }

    /// Whether the next request can be read without waiting for the peer.
    fn has_whole_frame(&self) -> bool {
        frame::is_whole(self.input.buffer())
    }
}

/// A socket that is read once there is something to read. A thread that waits in recv(2) is awoken by each answer that its
/// peer takes off the socket too, since there is room again (`unix_write_space` in net/unix/af_unix.c); one in poll(2) is
/// not.
struct Awaited(UnixStream);

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None) {
            // What is wrong with the socket its reading says.
            Ok(_) | Err(Errno::INTR) => self.0.read(buffer),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::Peer;
    use super::*;

    fn batches(requests_max: usize) -> (Batches<String>, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let peer = Peer::of(&near).unwrap();
        (Batches::new(Server::of(near, peer), requests_max), far)
    }

    #[test]
    fn what_has_come_is_one_batch_and_half_a_frame_waits_for_the_next() {
        let (mut batches, mut far) = batches(3);
        let sent: Vec<_> = (0..5).map(|n| frame::encode(n, &n.to_string()).unwrap()).collect();
        let (last, whole) = sent.split_last().unwrap();
        far.write_all(&[whole.concat(), last[..last.len() - 1].to_vec()].concat()).unwrap();
        let mut heard = || batches.hear().unwrap().into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(heard(), [0, 1, 2], "no more than it may have");
        assert_eq!(heard(), [3], "it waits for no peer");
        far.write_all(&last[last.len() - 1..]).unwrap();
        assert_eq!(heard(), [4]);
        far.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(heard().is_empty());
        batches.answer(&[(7, "a"), (8, "b")]).unwrap();
        drop(batches);
        let mut answers = Vec::new();
        far.read_to_end(&mut answers).unwrap();
        let mut rest = answers.as_slice();
        for expected in [Some((7, "a".to_owned())), Some((8, "b".to_owned())), None] {
            assert_eq!(frame::read::<String>(&mut rest).unwrap(), expected);
        }
    }

    #[test]
    fn what_came_before_a_broken_frame_is_heard_and_nothing_behind_it() {
        let (mut batches, mut far) = batches(9);
        let good = frame::encode(1, &"good").unwrap();
        far.write_all(&[good.clone(), vec![0xff; 64], good].concat()).unwrap();
        assert_eq!(batches.hear().unwrap(), [(1, "good".to_owned())]);
        assert!(matches!(batches.hear(), Err(FrameError::Version { .. })));
    }

    /// The attack is the peer's reading: each answer that it takes off wakes who waits in recv(2) for the next request.
    #[test]
    fn who_waits_for_a_request_is_not_awoken_by_a_peer_that_takes_its_answers() {
        const ANSWERS: u64 = 200;
        // What the thread gave the processor away for, as the kernel counts it.
        let switches = |waits: fn(&mut Batches<String>)| {
            let (mut batches, mut far) = batches(1);
            let waiter = std::thread::spawn(move || {
                (0..ANSWERS).for_each(|number| batches.answer(&[(number, "taken")]).unwrap());
                waits(&mut batches);
                let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
                let count = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
                count.unwrap().trim().parse::<u64>().unwrap()
            });
            std::thread::sleep(std::time::Duration::from_millis(100));
            for _ in 0..ANSWERS {
                frame::read::<String>(&mut far).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
            far.write_all(&frame::encode(1, &"next").unwrap()).unwrap();
            waiter.join().unwrap()
        };
        // On a busy host some wake-ups are one.
        let told = (0..5).any(|_| {
            let ours = switches(|batches| assert_eq!(batches.hear().unwrap().len(), 1));
            let control = switches(|batches| {
                batches.input.get_mut().0.read_exact(&mut [0; 16]).unwrap();
            });
            ours < 20 && control > 2 * ours
        });
        assert!(told);
    }
}
