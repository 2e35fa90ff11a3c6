//! What the executor and the spawner say to each other: a packet a message, with descriptors beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Longest packet: a reason in words.
const PACKET_BYTES_MAX: usize = 1_024;

/// Longest reason.
const WHY_BYTES_MAX: usize = 900;

/// What the spawner is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Start the server of this number; one that lives ends first.
    Start(u32),
    /// End it.
    Stop(u32),
}

impl Ask {
    fn encode(self) -> [u8; 5] {
        let (word, number) = match self {
            Self::Start(number) => (b's', number),
            Self::Stop(number) => (b'e', number),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [word, a, b, c, d]
    }

    fn decode(packet: &[u8]) -> Option<Self> {
        let &[word, a, b, c, d] = packet else { return None };
        let number = u32::from_le_bytes([a, b, c, d]);
        match word {
            b's' => Some(Self::Start(number)),
            b'e' => Some(Self::Stop(number)),
            _ => None,
        }
    }
}

/// Sends a question.
pub(super) fn ask(to: impl AsFd, ask: Ask) -> io::Result<()> {
    send(to.as_fd(), &ask.encode(), &[])
}

/// The next question; `None` when the asker is gone or does not speak as it should.
pub(super) fn asked(from: impl AsFd) -> io::Result<Option<Ask>> {
    let (packet, _) = receive(from.as_fd())?;
    Ok(Ask::decode(&packet))
}

/// Answers `ask`: three pipes or none, or why not. The question is repeated before the answer.
pub(super) fn answer(
    to: impl AsFd,
    ask: Ask,
    done: &Result<Vec<OwnedFd>, String>,
) -> io::Result<()> {
    let mut packet = ask.encode().to_vec();
    match done {
        Ok(pipes) => {
            packet.push(b'y');
            let pipes: Vec<BorrowedFd<'_>> = pipes.iter().map(AsFd::as_fd).collect();
            send(to.as_fd(), &packet, &pipes)
        }
        Err(why) => {
            packet.push(b'n');
            packet.extend(why.bytes().take(WHY_BYTES_MAX));
            send(to.as_fd(), &packet, &[])
        }
    }
}

/// The answer to `ask`. One to an earlier question, which came too late, is passed over: its pipes are
/// another server's.
pub(super) fn answered(from: impl AsFd, ask: Ask) -> io::Result<Vec<OwnedFd>> {
    loop {
        let (packet, descriptors) = receive(from.as_fd())?;
        let Some((question, said)) = packet.split_at_checked(ask.encode().len()) else {
            return Err(io::Error::other("the spawner is gone; restart the executor"));
        };
        if question != ask.encode() {
            continue;
        }
        return match said.split_first() {
            Some((b'y', [])) => Ok(descriptors),
            Some((b'n', why)) => Err(io::Error::other(String::from_utf8_lossy(why).into_owned())),
            _ => Err(io::Error::other("the spawner said what is no answer")),
        };
    }
}

fn send(to: BorrowedFd<'_>, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("more than three descriptors"));
    }
    sendmsg(to, &[IoSlice::new(packet)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(from: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut packet = vec![0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut packet)];
        match recvmsg(from, &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            done => break done?,
        }
    };
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(all) = message {
            descriptors.extend(all);
        }
    }
    if received.flags.intersects(ReturnFlags::CTRUNC | ReturnFlags::TRUNC) {
        return Err(io::Error::other("a packet that is too long"));
    }
    packet.truncate(received.bytes);
    Ok((packet, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack, or the accident: an answer that comes after its asker gave up, with the pipes of
    /// another server.
    #[test]
    fn an_answer_to_an_earlier_question_is_passed_over() {
        let (ours, theirs) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let pipe = || rustix::pipe::pipe().unwrap().0;
        answer(&theirs, Ask::Start(1), &Ok(vec![pipe(), pipe(), pipe()])).unwrap();
        answer(&theirs, Ask::Start(2), &Err("no".to_owned())).unwrap();
        assert_eq!(answered(&ours, Ask::Start(2)).unwrap_err().to_string(), "no");
        answer(&theirs, Ask::Start(1), &Ok(vec![pipe(), pipe(), pipe()])).unwrap();
        assert_eq!(answered(&ours, Ask::Start(1)).unwrap().len(), 3, "the control");
        drop(theirs);
        assert!(answered(&ours, Ask::Start(1)).unwrap_err().to_string().contains("gone"));
    }

    #[test]
    fn a_packet_that_is_no_question_is_none() {
        for ask in [Ask::Start(0), Ask::Stop(u32::MAX)] {
            assert_eq!(Ask::decode(&ask.encode()), Some(ask));
        }
        for packet in [&b""[..], b"s", b"x0000", b"s00000"] {
            assert_eq!(Ask::decode(packet), None, "{packet:?}");
        }
    }
}
