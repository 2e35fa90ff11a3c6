//! The hijacked agent: each way out by one family of tricks, and a small MCP client of its own. It
//! needs nothing but what a run sees, and nobody believes what it says.

mod children;
mod handles;
mod http;
mod identity;
mod inet;
mod link;
pub mod load;
pub mod mcp;
mod ring;
pub mod stdio;
mod terminal;

mod trial;
mod unix;
mod vsock;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::lab::address;
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
}

impl Default for Around {
    fn default() -> Self {
        Self { lab: "/nowhere".into(), unanswered: false, depth: 0 }
    }
}

/// Tries one way out.
///
/// # Errors
/// When the attempt is not known.
pub fn attempt(id: &str, around: &Around) -> anyhow::Result<Said> {
    let lab = &around.lab;
    let mut trial = Trial::default();
    let done = match id {
        "tcp4" => inet::tcp(&mut trial, address::TCP4.into()),
        "tcp6" => inet::tcp(&mut trial, address::TCP6.into()),
        "tcp4_mapped" => inet::tcp(&mut trial, address::TCP4_MAPPED.into()),
        "udp4" => inet::udp(&mut trial, address::UDP4, address::SECRET),
        "dns" => inet::dns(&mut trial),
        "raw" => inet::raw(&mut trial),
        "packet" => link::packet(&mut trial),
        "vsock" => vsock::connect(&mut trial, around.unanswered),
        "metadata" => inet::tcp(&mut trial, address::METADATA.into()),
        "loopback" => inet::tcp(&mut trial, address::LOOPBACK.into()),
        "unix_path" => unix::path(&mut trial, &lab.join(address::UNIX_PATH)),
        "unix_abstract" => unix::abstract_name(&mut trial),
        "unix_visible" => unix::path(&mut trial, &lab.join(address::UNIX_VISIBLE)),
        "inherited_fd" => handles::inherited(&mut trial),
        "io_uring" => ring::connect(&mut trial),
        "tiocsti" => terminal::type_into_it(&mut trial),
        "child_tree" => children::tree(&mut trial, around),
        "child_cgroup" => children::moved(&mut trial),
        _ => anyhow::bail!("no attempt is named {id:?}; their names are in attempts.rs"),
    };
    Ok(Said {
        id: id.to_owned(),
        outcome: if done.is_ok() { "out" } else { "errno" }.to_owned(),
        errno: done.err().map(trial::errno_name),
        us: trial.last_us(),
        run: identity::run_id(),
    })
}
