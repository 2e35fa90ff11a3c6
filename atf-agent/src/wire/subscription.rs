//! The subscriber's side: one question, then a stream of changes, each of which is answered.

use std::io;
use std::marker::PhantomData;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::frame::{self, FrameError};
use super::peer::Peer;
use super::pipelined::read_frame;

/// A connection on which the server speaks and the client answers.
pub struct Subscription<Change, Ack> {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    /// Who the kernel says listens there.
    pub peer: Peer,
    speaks: PhantomData<fn(Change) -> Ack>,
}

impl<Change: DeserializeOwned, Ack: Serialize> Subscription<Change, Ack> {
    /// Connects to the socket at `path` and asks `question`. Needs a running tokio runtime.
    ///
    /// # Errors
    /// When nobody listens there, or the question cannot be sent.
    pub async fn open(path: &Path, question: &impl Serialize) -> Result<Self, FrameError> {
        let stream = UnixStream::connect(path).await?;
        let peer = Peer::of(&stream)?;
        let (read, mut write) = stream.into_split();
        write.write_all(&frame::encode(1, question)?).await?;
        Ok(Self { read, write, peer, speaks: PhantomData })
    }

    /// The next change and its number; that the question waits for its turn is none. Not to be cancelled: a
    /// half-read frame is lost.
    ///
    /// # Errors
    /// When the connection closed or failed, or the frame is not one. The connection is of no use
    /// then.
    pub async fn next(&mut self) -> Result<(u64, Change), FrameError> {
        loop {
            let (header, body) = read_frame(&mut self.read).await?;
            if header.waits() {
                continue;
            }
            let change = serde_json::from_slice(&body).map_err(|error| refused(&body, error))?;
            return Ok((header.number, change));
        }
    }

    /// Answers change `number`.
    ///
    /// # Errors
    /// When the connection failed.
    pub async fn answer(&mut self, number: u64, ack: &Ack) -> Result<(), FrameError> {
        self.write.write_all(&frame::encode(number, ack)?).await?;
        Ok(())
    }
}

/// A server that does not admit the subscriber says why with a reply of its own kind.
fn refused(body: &[u8], error: serde_json::Error) -> FrameError {
    match serde_json::from_slice(body) {
        Ok(super::AuthorityReply::Refused { why }) => {
            FrameError::Io(io::Error::other(format!("refused: {why}")))
        }
        _ => FrameError::Json(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{AuthorityRequest, Registry, RegistryAck};
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn a_change_is_answered_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let asked: Option<(u64, AuthorityRequest)> = frame::read(&mut stream).unwrap();
            assert!(matches!(asked, Some((1, AuthorityRequest::Subscribe))));
            std::io::Write::write_all(&mut stream, &frame::waits(1)).unwrap();
            frame::write(&mut stream, 7, &Registry::Snapshot { runs: Vec::new() }).unwrap();
            let ack: Option<(u64, RegistryAck)> = frame::read(&mut stream).unwrap();
            assert!(matches!(ack, Some((7, RegistryAck::Done))));
            let why = "only the gateway may".into();
            frame::write(&mut stream, 8, &super::super::AuthorityReply::Refused { why }).unwrap();
        });
        let mut changes: Subscription<Registry, RegistryAck> =
            Subscription::open(&path, &AuthorityRequest::Subscribe).await.unwrap();
        assert_eq!(changes.peer.pid, std::process::id().cast_signed());
        let (number, change) = changes.next().await.unwrap();
        assert!(matches!(change, Registry::Snapshot { .. }));
        changes.answer(number, &RegistryAck::Done).await.unwrap();
        let error = changes.next().await.unwrap_err().to_string();
        assert!(error.contains("only the gateway may"), "{error}");
        assert!(changes.next().await.is_err(), "the server has gone");
        server.join().unwrap();
    }
}
