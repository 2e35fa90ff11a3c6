//! The hijacked agent: each way out by one family of tricks, and a small MCP client of its own. It
//! needs nothing but what a run sees, and nobody believes what it says.

mod children;
mod datagram;
mod handles;
mod held;
mod http;
mod identity;
pub mod kept;
mod link;
pub mod load;
pub mod mcp;
pub mod own;
mod processes;
mod raw;
mod ring;
mod shared;
pub mod stdio;
pub mod storm;
mod stream;
mod tables;
mod terminal;
mod trial;
mod unix;
pub mod victim;
mod vsock;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use children::WAITING;
pub(crate) use terminal::COMMAND;
use trial::Trial;

/// What the attacker says about one attempt: one JSON line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The attempt.
    pub id: String,
    /// `out` when no system call failed, else `errno`.
    pub outcome: String,
    /// The name of the error.
    pub errno: Option<String>,
    /// Microseconds that the last system call took: the one that failed, or that sent the secret.
    pub us: f64,
    /// The run's id, from its token; absent outside of a run.
    pub run: Option<String>,
    /// What it read that it could not know otherwise.
    pub learned: Option<String>,
}

/// What an attempt has to know of the lab.
#[derive(Debug, Clone)]
pub struct Around {
    /// The folder of its unix sockets.
    pub lab: PathBuf,
    /// It has no canary for this attempt: stop before anything could leave the lab.
    pub unanswered: bool,
    /// How many ancestors of this process have tried already.
    pub depth: u32,
    /// The process beside it that has what it wants.
    pub victim: i32,
    /// Where that process's memory is.
    pub victim_memory: u64,
}

impl Default for Around {
    fn default() -> Self {
        Self { lab: "/nowhere".into(), unanswered: false, depth: 0, victim: 0, victim_memory: 0 }
    }
}

/// Tries one way out.
///
/// # Errors
/// When the attempt is not known.
pub fn attempt(id: &str, around: &Around) -> anyhow::Result<Said> {
    let (mut trial, mut learned) = (Trial::default(), None);
    let done = by_family(id, &mut trial, around, &mut learned);
    let Some(done) = done else {
        anyhow::bail!("no attempt is named {id:?}; their names are in attempts.rs");
    };
    Ok(Said {
        id: id.to_owned(),
        outcome: if done.is_ok() { "out" } else { "errno" }.to_owned(),
        errno: done.err().map(trial::errno_name),
        us: trial.last_us(),
        run: identity::run_id(),
        learned,
    })
}

fn by_family(
    id: &str,
    trial: &mut Trial,
    around: &Around,
    learned: &mut Option<String>,
) -> Option<rustix::io::Result<()>> {
    let lab = &around.lab;
    stream::attempt(id, trial)
        .or_else(|| datagram::attempt(id, trial))
        .or_else(|| raw::attempt(id, trial))
        .or_else(|| unix::attempt(id, trial, lab))
        .or_else(|| processes::attempt(id, trial, around, learned))
        .or_else(|| shared::attempt(id, trial, lab))
        .or_else(|| held::attempt(id, trial))
        .or_else(|| tables::attempt(id, trial))
        .or_else(|| match id {
            "packet" => Some(link::packet(trial, false)),
            "packet_raw" => Some(link::packet(trial, true)),
            "vsock" => Some(vsock::connect(trial, around.unanswered)),
            "inherited_fd" => Some(handles::inherited(trial)),
            "passed_fd" => Some(handles::passed(trial)),
            "io_uring" => Some(ring::connect(trial, false)),
            "io_uring_polled" => Some(ring::connect(trial, true)),
            "tiocsti" => Some(terminal::type_into_it(trial)),
            "child_tree" => Some(children::tree(trial, around)),
            "child_cgroup" => Some(children::moved(trial)),
            _ => None,
        })
}
