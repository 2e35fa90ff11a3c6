//! What a run may do with its own: its processes meet on sockets of their own and hand descriptors to
//! each other. Ordinary programs live from this, so the cage must leave it alone.

use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context, Result, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A name in the run's own scratch.
const NAME: &str = "/tmp/own.sock";

const WORD: &[u8] = b"own";

/// Connects to a socket of its own, hands over both the accepted end and a pipe, and speaks through
/// what it was handed.
///
/// # Errors
/// When any of it is refused.
pub fn run() -> Result<()> {
    let listener = UnixListener::bind(NAME).context("binding")?;
    let mut client = UnixStream::connect(NAME).context("connecting")?;
    let (accepted, _) = listener.accept().context("accepting")?;
    let (here, there) = UnixStream::pair().context("making a pair")?;
    let (reader, writer) = rustix::pipe::pipe().context("making a pipe")?;
    let mut handed = std::fs::File::from(hand_over(&here, &there, accepted.as_fd())?);
    handed.write_all(WORD).context("writing to the socket that was handed over")?;
    let mut heard = [0; WORD.len()];
    client.read_exact(&mut heard)?;
    ensure!(heard == WORD, "another word came");
    let mut handed = std::fs::File::from(hand_over(&here, &there, writer.as_fd())?);
    handed.write_all(WORD).context("writing to the pipe that was handed over")?;
    rustix::io::read(&reader, &mut heard)?;
    ensure!(heard == WORD, "another word came");
    println!("{}", serde_json::json!({"own": "works"}));
    Ok(())
}

/// Sends a descriptor from one end of a pair to the other (unix(7), `SCM_RIGHTS`).
fn hand_over(here: &UnixStream, there: &UnixStream, what: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut room);
    let descriptors = [what];
    rights.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(here, &[IoSlice::new(b"x")], &mut rights, SendFlags::empty()).context("sending")?;
    let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut passed = RecvAncillaryBuffer::new(&mut room);
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(there, &mut [IoSliceMut::new(&mut [0])], &mut passed, flags).context("receiving")?;
    let mut messages = passed.drain();
    let Some(RecvAncillaryMessage::ScmRights(mut handed)) = messages.next() else {
        anyhow::bail!("the descriptor was taken away");
    };
    handed.next().context("no descriptor came")
}
