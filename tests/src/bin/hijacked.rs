//! The hijacked agent. It prints one JSON line for each thing that it tries, and nobody believes it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use atf_tests::hijacked::kept::Url;
use atf_tests::hijacked::load::{Plan, load};
use atf_tests::hijacked::storm::{Storm, storm};
use atf_tests::hijacked::{self, Around, mcp, stdio};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "hijacked", about = "The attacker of ATF's demo and tests")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Try one way out.
    Attempt {
        /// Its id.
        id: String,
        /// The folder of the lab's unix sockets.
        #[arg(long, default_value = "/nowhere")]
        lab: PathBuf,
        /// The lab has no canary for it: stop before anything could leave the lab.
        #[arg(long)]
        unanswered: bool,
        /// How many ancestors have tried already.
        #[arg(long, default_value_t = 0)]
        depth: u32,
        /// The process beside it that has what it wants.
        #[arg(long, default_value_t = 0)]
        victim: i32,
        /// Where that process's memory is.
        #[arg(long, default_value_t = 0)]
        victim_memory: u64,
    },
    /// Make random socket calls.
    Storm {
        /// What deals them.
        #[arg(long)]
        seed: u64,
        /// The number of the first sequence.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// How many sequences at the most.
        #[arg(long, default_value_t = u64::MAX)]
        sequences: u64,
        /// How many calls; the sequence in which that many are reached is made to its end.
        #[arg(long, default_value_t = u64::MAX)]
        calls: u64,
        /// Of each sequence these draws alone.
        #[arg(long, value_delimiter = ',')]
        only: Vec<u64>,
        /// The folder of the lab's unix sockets.
        #[arg(long)]
        lab: PathBuf,
        /// A folder to make sockets in.
        #[arg(long, default_value = "/tmp")]
        own: PathBuf,
    },
    /// Use what a run may use: its own sockets, and descriptors handed from one to another.
    Own,
    /// Be the process that has what an attacker wants.
    Victim,
    /// Speak MCP to the gateway.
    #[command(subcommand)]
    Mcp(Mcp),
}

#[derive(Subcommand)]
enum Mcp {
    /// Make one request.
    Ask {
        /// The method.
        #[arg(long, default_value = "tools/call")]
        method: String,
        #[command(flatten)]
        call: Call,
    },
    /// Make one call through `atf connect`.
    Stdio {
        /// The program `atf`.
        #[arg(long)]
        atf: PathBuf,
        #[command(flatten)]
        call: Call,
    },
    /// Repeat an honest call until standard input ends.
    Steady {
        /// For ever: a service has no standard input.
        #[arg(long)]
        endless: bool,
        #[command(flatten)]
        call: Call,
    },
    /// Repeat a refused call until the run is sealed, and see when the kernel says no.
    Hammer(Call),
    /// Make honest calls, one after the other on one connection, and print what each took.
    Repeat {
        /// How many.
        #[arg(long)]
        calls: usize,
        #[command(flatten)]
        call: Call,
    },
    /// Make honest calls on many connections for a stretch of time, and print what each took.
    Load {
        /// How many connections.
        #[arg(long)]
        connections: usize,
        /// When to begin, milliseconds of the boot clock.
        #[arg(long)]
        from_boot_ms: u64,
        /// For how long, in milliseconds.
        #[arg(long)]
        for_ms: u64,
        /// From one call of a connection to the next, in microseconds; 0: at once.
        #[arg(long, default_value_t = 0)]
        every_us: u64,
        /// Who is asked instead of the run's gateway: http://ADDRESS:PORT/PATH of loopback.
        #[arg(long)]
        url: Option<Url>,
        #[command(flatten)]
        call: Call,
    },
    /// Print the token and wait.
    Lend,
}

#[derive(Args)]
struct Call {
    /// The tool.
    #[arg(long, default_value = "")]
    tool: String,
    /// Its arguments, as a JSON object.
    #[arg(long, default_value = "{}")]
    arguments: String,
    /// The prompt digest to claim.
    #[arg(long)]
    prompt: Option<String>,
    /// A token to use instead of the run's own.
    #[arg(long)]
    token: Option<String>,
    /// Ask at this address, by the run's bridge.
    #[arg(long)]
    address: Option<IpAddr>,
}

impl Call {
    fn ask(self, method: &str) -> Result<mcp::Ask> {
        let arguments = serde_json::from_str(&self.arguments).context("--arguments is not JSON")?;
        let Self { tool, prompt, token, address, .. } = self;
        Ok(mcp::Ask { method: method.to_owned(), tool, arguments, prompt, token, address })
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hijacked: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Attempt { id, lab, unanswered, depth, victim, victim_memory } => {
            let around = Around { lab, unanswered, depth, victim, victim_memory };
            mcp::print(&hijacked::attempt(&id, &around)?)
        }
        Task::Storm { seed, first, sequences, calls, only, lab, own } => {
            let only = only.into_iter().collect();
            mcp::print(&storm(&Storm { seed, first, sequences, calls, only, lab, own })?)
        }
        Task::Own => hijacked::own::run(),
        Task::Victim => hijacked::victim::run(),
        Task::Mcp(Mcp::Ask { method, call }) => mcp::print(&mcp::ask(&call.ask(&method)?)),
        Task::Mcp(Mcp::Stdio { atf, call }) => {
            mcp::print(&stdio::ask(&atf, &call.ask("tools/call")?))
        }
        Task::Mcp(Mcp::Steady { endless, call }) => mcp::steady(&call.ask("tools/call")?, endless),
        Task::Mcp(Mcp::Hammer(call)) => mcp::print(&mcp::hammer(&call.ask("tools/call")?)?),
        Task::Mcp(Mcp::Repeat { calls, call }) => {
            mcp::print(&mcp::repeat(&call.ask("tools/call")?, calls)?)
        }
        Task::Mcp(Mcp::Load { connections, from_boot_ms, for_ms, every_us, url, call }) => {
            let plan = Plan { connections, from_boot_ms, for_ms, every_us, url };
            mcp::print(&load(&call.ask("tools/call")?, &plan)?)
        }
        Task::Mcp(Mcp::Lend) => mcp::lend(),
    }
}
