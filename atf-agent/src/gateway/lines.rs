//! Newline-delimited JSON on one accepted connection of a run: MCP's framing for byte streams, one
//! message a line. Between them stand lines that say what HTTP has headers for: the token and the
//! prompt digest of all messages that follow. Limits and line are those of HTTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::Gateway;
use super::answer::Answer;
use super::asking::Place;
use super::connections::Open;
use super::following::{Following, Next};
use super::headers::{self, Envelope};
use super::runs::LiveRun;
use super::sessions::Session;
use super::updates::updated;
use crate::call::Caller;
use crate::wire::End;

/// Answers that wait for a slow reader. Each holds one of the run's calls until it is written.
const ANSWERS_MAX: usize = 1;

/// What the lines say that are no messages, in any case. JSON begins with neither.
const AUTHORIZATION: &str = "authorization";
const PROMPT: &str = "atf-prompt-sha256";

/// Why no line came.
#[derive(Debug, thiserror::Error)]
enum NoLine {
    #[error("the line is too long")]
    TooLong,
    #[error("the line took too long")]
    Slow,
    #[error("the last line does not end")]
    Cut,
    #[error("{0}")]
    Broken(#[from] io::Error),
}

/// Serves one connection until it ends or is shut. Calls under way are detached from it.
pub(super) async fn serve(gateway: Arc<Gateway>, run: Arc<LiveRun>, caller: Caller, open: Open) {
    let (send, answers) = channel(ANSWERS_MAX);
    let patience = gateway.patience.body;
    let session = Arc::new(Session::of_connection());
    let reading = read(&gateway, &run, caller, (open.end(), &session), send);
    let mut reading = std::pin::pin!(reading);
    let mut writing = std::pin::pin!(write(open.end(), answers, &session, patience));
    tokio::select! {
        written = &mut writing => ended(caller, written),
        // One that says no more may still read.
        () = &mut reading => tokio::select! {
            written = &mut writing => ended(caller, written),
            () = open.gone() => {}
        },
    }
}

fn ended(caller: Caller, written: io::Result<()>) {
    if let Err(error) = written {
        tracing::debug!(run = %caller.run, %error, "a connection of lines ended badly");
    }
}

/// Reads line after line; each message becomes a call of its own.
async fn read(
    gateway: &Arc<Gateway>,
    run: &Arc<LiveRun>,
    caller: Caller,
    (end, session): (End, &Arc<Session>),
    send: Sender<Answer>,
) {
    let mut lines = BufReader::new(end);
    let mut envelope = Envelope::default();
    loop {
        let line = next(&mut lines, gateway.settings.body_bytes_max, gateway.patience.body).await;
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(run = %caller.run, %error, "a connection of lines is closed");
                let told = Answer::turned(StatusCode::BAD_REQUEST, &error.to_string());
                // The reader may be gone.
                let _unread = send.send(told).await;
                return;
            }
        };
        if line.trim_ascii().is_empty() || states(&line, &mut envelope) {
            continue;
        }
        let Some(place) = Place::of(run).await else { return };
        let Some(slot) = place.taken(run, &line).await else { return };
        let (gateway, run) = (Arc::clone(gateway), Arc::clone(run));
        let (mut envelope, send) = (envelope.clone(), send.clone());
        session.state(&mut envelope.stated);
        let message = (line.into(), envelope, Some(Arc::clone(session)));
        tokio::spawn(follow(Following::begin((gateway, run), caller, message, slot).apart(), send));
    }
}

/// Hands on what comes of one call, until its answer or the end of the connection. A caller that hung up is
/// answered to the log alone.
async fn follow(mut following: Following, send: Sender<Answer>) {
    loop {
        let next = tokio::select! {
            // Looked at first, so that the call is begun in any case.
            biased;
            next = following.next() => next,
            () = send.closed() => return,
        };
        match next {
            Next::Notice(notice) => {
                if send.send(Answer::notice(notice)).await.is_err() {
                    return;
                }
            }
            Next::Answer(answer, slot) => {
                // The slot is free when the answer is on its way, so that a slow reader holds no more
                // answers than calls.
                let _unread = send.send(answer).await;
                drop(slot);
                return;
            }
        }
    }
}

/// The next line without its end. The first byte may take for ever, as between two calls of a client
/// that thinks; from then on the line has `patience`.
async fn next(
    lines: &mut BufReader<End>,
    bytes_max: usize,
    patience: Duration,
) -> Result<Option<Vec<u8>>, NoLine> {
    if lines.fill_buf().await?.is_empty() {
        return Ok(None);
    }
    timeout(patience, whole(lines, bytes_max)).await.map_err(|_| NoLine::Slow)?.map(Some)
}

async fn whole(lines: &mut BufReader<End>, bytes_max: usize) -> Result<Vec<u8>, NoLine> {
    let mut line = Vec::new();
    loop {
        let more = lines.fill_buf().await?;
        if more.is_empty() {
            return Err(NoLine::Cut);
        }
        let end = more.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(more.len());
        if line.len() + taken > bytes_max {
            return Err(NoLine::TooLong);
        }
        line.extend_from_slice(&more[..taken]);
        lines.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(line);
        }
    }
}

/// Whether the line states something about the messages that follow. A token that is none leaves none.
fn states(line: &[u8], envelope: &mut Envelope) -> bool {
    let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'))
    else {
        return false;
    };
    if name.eq_ignore_ascii_case(AUTHORIZATION) {
        envelope.jwt = headers::bearer(value.trim());
    } else if name.eq_ignore_ascii_case(PROMPT) {
        envelope.prompt = Some(value.trim().to_owned());
    } else {
        return false;
    }
    true
}

/// Writes each answer as one line, and what is told of resources. A reader that takes too long is cut off.
async fn write(
    mut end: End,
    mut answers: Receiver<Answer>,
    session: &Session,
    patience: Duration,
) -> io::Result<()> {
    loop {
        let message = tokio::select! {
            biased;
            answer = answers.recv() => match answer {
                Some(answer) => answer.body,
                None => return Ok(()),
            },
            uri = session.updates.next() => updated(&uri),
        };
        if message.is_empty() {
            continue;
        }
        let line = one_line(message);
        match timeout(patience, end.write_all(line.as_bytes())).await {
            Ok(written) => written?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A tool's result comes as the tool wrote it. A line's end in JSON is white space: inside a string it
/// must be escaped.
fn one_line(body: String) -> String {
    let mut line = match body.contains(['\n', '\r']) {
        true => body.replace(['\n', '\r'], " "),
        false => body,
    };
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_states_a_token_or_a_digest_or_is_a_message() {
        for (line, is_stated, jwt, prompt) in [
            ("Authorization: Bearer a.b.c", true, Some("a.b.c"), None),
            ("authorization:bearer a.b.c\r", true, Some("a.b.c"), None),
            ("Authorization: Basic a.b.c", true, None, None),
            ("Authorization:", true, None, None),
            ("ATF-Prompt-SHA256: aa", true, Some("old"), Some("aa")),
            ("ATF-Prompt-SHA256:", true, Some("old"), Some("")),
            ("Authorization : Bearer a.b.c", false, Some("old"), None),
            (" Authorization: Bearer a.b.c", false, Some("old"), None),
            ("X-Authorization: Bearer a.b.c", false, Some("old"), None),
            (r#"{"authorization":"Bearer a.b.c"}"#, false, Some("old"), None),
            ("null", false, Some("old"), None),
        ] {
            let mut envelope = Envelope { jwt: Some("old".to_owned()), ..Envelope::default() };
            assert_eq!(states(line.as_bytes(), &mut envelope), is_stated, "{line}");
            assert_eq!(envelope.jwt.as_deref(), jwt, "{line}");
            assert_eq!(envelope.prompt.as_deref(), prompt, "{line}");
        }
        assert!(!states(b"authorization\xff: Bearer x", &mut Envelope::default()));
    }

    #[test]
    fn an_answer_is_one_line() {
        assert_eq!(one_line("{\"a\":\r\n1}".to_owned()), "{\"a\":  1}\n");
        assert_eq!(one_line(r#"{"a":"\n"}"#.to_owned()), "{\"a\":\"\\n\"}\n");
    }
}
