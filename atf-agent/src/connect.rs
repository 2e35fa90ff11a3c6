//! `atf connect`: an MCP server on standard input and output, for hosts that can only start a command.
//! It runs inside a run, as the run, and passes lines on to the gateway's second door. It holds no
//! secret and judges nothing: it says the run's token as the token's file has it.

use std::env;
use std::fs;
use std::io::{self, BufRead, Read as _, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;

use crate::wire::in_run;

/// Where a run finds the gateway's door for lines.
pub const SOCKET_VARIABLE: &str = "ATF_LINES_SOCKET";
/// Where a run finds its token.
pub const TOKEN_VARIABLE: &str = "ATF_TOKEN_FILE";

/// Longest line that is kept in memory, in bytes. The gateway's own limit is far below.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not inside a run.
    #[error("{variable} is not set: this is no run; start the host by `atf run`")]
    Outside {
        /// What is missing.
        variable: &'static str,
    },
    /// Nobody listens at the door.
    #[error("cannot reach the gateway at {path}: {error}")]
    Gateway {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The token cannot be read, or is none.
    #[error("cannot read the run's token at {path}: {error}")]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The gateway hung up.
    #[error(
        "the gateway closed the connection: the run has ended or is sealed, or a line broke a limit"
    )]
    HungUp,
    /// The host's side broke.
    #[error("the host's side broke: {0}")]
    Host(io::Error),
}

/// What a run gives to the processes in it.
#[derive(Debug)]
pub struct Inside {
    socket: PathBuf,
    token_file: PathBuf,
    prompt: Option<String>,
}

impl Inside {
    /// Finds the run that this process is in: by the environment, or where every run has it, for a host
    /// need not pass the environment on. `prompt` is the digest to claim; the run's own when there is none.
    ///
    /// # Errors
    /// Outside of a run.
    pub fn find(prompt: Option<String>) -> Result<Self, ConnectError> {
        let path = |variable, usual: &str| {
            let named = env::var_os(variable).map(PathBuf::from);
            let usual = || Some(PathBuf::from(usual)).filter(|path| path.exists());
            named.or_else(usual).ok_or(ConnectError::Outside { variable })
        };
        let usual = || fs::read_to_string(in_run::PROMPT).ok();
        Ok(Self {
            socket: path(SOCKET_VARIABLE, in_run::LINES_SOCKET)?,
            token_file: path(TOKEN_VARIABLE, in_run::TOKEN)?,
            prompt: prompt.or_else(usual).map(|prompt| prompt.trim().to_owned()),
        })
    }

    /// Passes lines on in both directions, until the host's input ends and all is answered.
    ///
    /// # Errors
    /// When a side breaks before that, or the token cannot be read.
    pub fn serve(
        self,
        input: impl BufRead + Send + 'static,
        mut output: impl Write,
    ) -> Result<(), ConnectError> {
        let failed = |error| ConnectError::Gateway { path: self.socket.clone(), error };
        let gateway = UnixStream::connect(&self.socket).map_err(failed)?;
        let mut answers = gateway.try_clone().map_err(failed)?;
        let (ended, end) = channel();
        thread::spawn(move || {
            let passed = pass_on(&self, input, &gateway);
            let how = if passed.is_ok() { Shutdown::Write } else { Shutdown::Both };
            // Said before the socket is shut, so that whoever sees its end knows why. If nobody waits
            // any more, the gateway hung up first.
            let _nobody_waits = ended.send(passed);
            let _shut_already = gateway.shutdown(how);
        });
        copy(&mut answers, &mut output)?;
        match end.try_recv() {
            Ok(passed) => passed,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Err(ConnectError::HungUp),
        }
    }

    fn token(&self) -> Result<String, ConnectError> {
        let failed = |error| ConnectError::Token { path: self.token_file.clone(), error };
        let text = fs::read_to_string(&self.token_file).map_err(failed)?;
        let token = text.trim();
        if token.is_empty() || token.contains(char::is_whitespace) {
            return Err(failed(io::Error::other(
                "expected one token, found none or several words",
            )));
        }
        Ok(token.to_owned())
    }
}

/// Passes the host's lines on. The token is read for each, because it is renewed, and said when it is
/// another one than before.
fn pass_on(
    inside: &Inside,
    mut input: impl BufRead,
    mut gateway: &UnixStream,
) -> Result<(), ConnectError> {
    let away = |error| gone(&inside.socket, error);
    if let Some(prompt) = &inside.prompt {
        writeln!(gateway, "ATF-Prompt-SHA256: {prompt}").map_err(away)?;
    }
    let mut said = String::new();
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(ConnectError::Host)? == 0 {
            return Ok(());
        }
        // Whatever a host sends is a message: it must not speak for the token.
        if !line.trim_ascii_start().starts_with(b"{") {
            let found = "expected a JSON object a line, found another line";
            return Err(ConnectError::Host(io::Error::other(found)));
        }
        if line.last() != Some(&b'\n') {
            let found = "expected the end of the line, found the end of the input or 16 MiB";
            return Err(ConnectError::Host(io::Error::other(found)));
        }
        let token = inside.token()?;
        if token != said {
            writeln!(gateway, "Authorization: Bearer {token}").map_err(away)?;
            said = token;
        }
        gateway.write_all(&line).map_err(away)?;
    }
}

fn gone(path: &Path, error: io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ConnectError::HungUp,
        _ => ConnectError::Gateway { path: path.to_owned(), error },
    }
}

/// Copies what the gateway says, as it comes, until it has said all.
fn copy(answers: &mut UnixStream, output: &mut impl Write) -> Result<(), ConnectError> {
    let mut buffer = [0; 16 << 10];
    loop {
        let count = match answers.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(()),
        };
        output.write_all(&buffer[..count]).map_err(ConnectError::Host)?;
        output.flush().map_err(ConnectError::Host)?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc::Sender;

    use super::*;

    const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

    /// A run's directory with a door, behind which a double of the gateway tells the lines that it
    /// hears, and answers each message with its text.
    fn run(hears: Sender<String>, messages_max: usize) -> (tempfile::TempDir, Inside) {
        let dir = tempfile::tempdir().unwrap();
        let inside = Inside {
            socket: dir.path().join("lines.sock"),
            token_file: dir.path().join("token"),
            prompt: Some("aa".to_owned()),
        };
        fs::write(&inside.token_file, "a.b.c\n").unwrap();
        let door = UnixListener::bind(&inside.socket).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = door.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut messages = 0;
            while messages < messages_max
                && let Some(Ok(line)) = lines.next()
            {
                if line.starts_with('{') {
                    messages += 1;
                    writeln!(stream, "{line}").unwrap();
                }
                hears.send(line).unwrap();
            }
        });
        (dir, inside)
    }

    #[test]
    fn lines_go_both_ways_with_the_token_before_them() {
        let (hears, heard) = channel();
        let (_dir, inside) = run(hears, usize::MAX);
        let mut output = Vec::new();
        let input = Cursor::new(format!("{MESSAGE}\n {MESSAGE}\r\n"));
        inside.serve(input, &mut output).unwrap();
        let expected = ["ATF-Prompt-SHA256: aa", "Authorization: Bearer a.b.c", MESSAGE];
        let heard: Vec<String> = heard.iter().collect();
        assert_eq!(heard[..3], expected);
        assert_eq!(heard.len(), 4, "the token once: {heard:?}");
        // The double answers lines that start with a brace alone.
        assert_eq!(String::from_utf8(output).unwrap(), format!("{MESSAGE}\n"));
    }

    #[test]
    fn a_renewed_token_is_said_before_the_next_line() {
        let (hears, heard) = channel();
        let (_dir, inside) = run(hears, usize::MAX);
        let token_file = inside.token_file.clone();
        let (reads, writes) = io::pipe().unwrap();
        let serving = thread::spawn(move || inside.serve(BufReader::new(reads), Vec::new()));
        let mut writes = writes;
        let mut seen = Vec::new();
        for token in ["a.b.c", "d.e.f"] {
            fs::write(&token_file, token).unwrap();
            writeln!(writes, "{MESSAGE}").unwrap();
            while seen.last().is_none_or(|line: &String| line != MESSAGE) {
                seen.push(heard.recv().unwrap());
            }
            assert!(seen.contains(&format!("Authorization: Bearer {token}")), "{seen:?}");
            seen.push(String::new());
        }
        drop(writes);
        serving.join().unwrap().unwrap();
    }

    #[test]
    fn a_host_that_says_what_is_no_message_is_not_passed_on() {
        for input in [
            "Authorization: Bearer stolen\n",
            "ATF-Prompt-SHA256: bb\n",
            "\n",
            "[]\n",
            MESSAGE, // without its end
        ] {
            let (hears, heard) = channel();
            let (_dir, inside) = run(hears, usize::MAX);
            let served = inside.serve(Cursor::new(input.to_owned()), Vec::new());
            assert!(matches!(served, Err(ConnectError::Host(_))), "{input}: {served:?}");
            let heard: Vec<String> = heard.iter().collect();
            assert_eq!(heard, ["ATF-Prompt-SHA256: aa"], "{input}");
        }
    }

    #[test]
    fn without_a_token_nothing_is_said() {
        for token in [None, Some(""), Some("a b")] {
            let (hears, heard) = channel();
            let (_dir, inside) = run(hears, usize::MAX);
            fs::remove_file(&inside.token_file).unwrap();
            if let Some(token) = token {
                fs::write(&inside.token_file, token).unwrap();
            }
            let served = inside.serve(Cursor::new(format!("{MESSAGE}\n")), Vec::new());
            assert!(matches!(served, Err(ConnectError::Token { .. })), "{token:?}: {served:?}");
            assert_eq!(heard.iter().count(), 1, "the prompt's digest alone");
        }
    }

    #[test]
    fn a_gateway_that_hangs_up_is_told_apart_from_a_host_that_ends() {
        let (hears, _heard) = channel();
        let (_dir, inside) = run(hears, 1);
        let (reads, mut writes) = io::pipe().unwrap();
        writeln!(writes, "{MESSAGE}").unwrap();
        let served = inside.serve(BufReader::new(reads), Vec::new());
        assert!(matches!(served, Err(ConnectError::HungUp)), "{served:?}");
        drop(writes);
    }

    #[test]
    fn outside_of_a_run_there_is_nothing_to_connect_to() {
        let found = Inside::find(None);
        assert!(matches!(found, Err(ConnectError::Outside { variable: SOCKET_VARIABLE })));
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("none.sock");
        let inside = Inside { socket, token_file: dir.path().join("none"), prompt: None };
        let served = inside.serve(Cursor::new(Vec::new()), Vec::new());
        assert!(matches!(served, Err(ConnectError::Gateway { .. })), "{served:?}");
    }
}
