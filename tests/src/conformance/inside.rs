//! The injector's end inside the run: it speaks to the run's gateway with the run's token, for the suite
//! has no option for a header or a socket.

use std::io::{Stdout, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::frames::{Answered, Asked, Part, is_of_connection};

/// What every request goes with.
struct Inside {
    socket: PathBuf,
    token: PathBuf,
    prompt: String,
    out: Mutex<Stdout>,
}

/// Serves until nothing more comes in. The requests claim the system prompt of this digest.
///
/// # Errors
/// When this is no run, or its pipes fail.
pub fn serve(prompt: String) -> Result<()> {
    let variable = |name| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.with_context(|| format!("no {name}: this runs inside a run"))
    };
    let inside = Arc::new(Inside {
        socket: variable("ATF_SOCKET")?,
        token: variable("ATF_TOKEN_FILE")?,
        prompt,
        out: Mutex::new(std::io::stdout()),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut lines = lines();
        while let Some(line) = lines.recv().await {
            let (inside, asked): (_, Asked) = (Arc::clone(&inside), serde_json::from_str(&line)?);
            tokio::spawn(async move {
                let number = asked.number;
                if let Err(error) = inside.exchange(asked).await {
                    eprintln!("inside: exchange {number}: {error:#}");
                }
                inside.tell(number, Part::End)
            });
        }
        Ok(())
    })
}

/// What comes in, line by line.
fn lines() -> UnboundedReceiver<String> {
    let (send, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Inside {
    async fn exchange(&self, asked: Asked) -> Result<()> {
        let stream = UnixStream::connect(&self.socket).await.context("no gateway")?;
        let (mut send, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(asked.method.as_str()).uri(asked.path);
        for (name, value) in asked.headers.iter().filter(|(name, _)| !is_of_connection(name)) {
            request = request.header(name, value);
        }
        let token = std::fs::read_to_string(&self.token).context("no token")?;
        let request = request
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("atf-prompt-sha256", &self.prompt)
            .body(Full::new(Bytes::from(asked.body)))?;
        let answer: Response<_> = send.send_request(request).await?;
        let headers = answer.headers().iter().map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let head = Part::Head(answer.status().as_u16(), headers.collect());
        self.tell(asked.number, head)?;
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame?.into_data() {
                self.tell(asked.number, Part::Piece(piece.to_vec()))?;
            }
        }
        Ok(())
    }

    fn tell(&self, number: u64, part: Part) -> Result<()> {
        let mut line = serde_json::to_vec(&Answered { number, part })?;
        line.push(b'\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&line)?;
        Ok(out.flush()?)
    }
}
