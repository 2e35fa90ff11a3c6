//! The two directions of a server's stream, each a task of its own: one that waits for a server to read,
//! and one that waits for it to speak.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::JoinSet;

use super::framing::{Line, Lines};
use super::message::{self, Heard};
use super::saying::Saying;

/// Longest line in bytes that a server may say. The gateway passes on a quarter of it by default, and
/// a frame of the wire carries twice as much.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;

/// What the reading side hears.
pub(super) enum Said {
    /// A message, or what should be one.
    Message(Heard),
    /// The same, on the stream of the answer to our request of this number, and before that answer.
    Of(u64, Heard),
    /// A line that does not end.
    Endless,
}

/// Both directions, as tasks of a set: they end with it.
pub(super) fn over(
    from: impl AsyncRead + Unpin + Send + 'static,
    to: impl AsyncWrite + Unpin + Send + 'static,
) -> impl FnOnce(&mut JoinSet<()>, Receiver<Saying>, Sender<Said>) {
    move |both, queue, say| {
        both.spawn(write(to, queue));
        both.spawn(read(from, say));
    }
}

/// Writes what is queued, until the server takes no more.
async fn write(mut to: impl AsyncWrite + Unpin, mut queue: Receiver<Saying>) {
    while let Some(Saying { line, .. }) = queue.recv().await {
        // A server that does not take it is about to end, and the reading side notices.
        if to.write_all(line.as_bytes()).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Reads until the server says no more.
async fn read(from: impl AsyncRead + Unpin, say: Sender<Said>) {
    let mut lines = Lines::new(from, LINE_BYTES_MAX);
    loop {
        let said = match lines.next().await {
            Ok(Some(Line::Whole(line))) if line.trim_ascii().is_empty() => continue,
            Ok(Some(Line::Whole(line))) => Said::Message(message::read(&line)),
            Ok(Some(Line::Cut(_))) => Said::Endless,
            Ok(None) | Err(_) => return,
        };
        if say.send(said).await.is_err() {
            return;
        }
    }
}
