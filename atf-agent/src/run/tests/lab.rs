//! One test's installation: directories, a cgroup, the double, and keepers in processes of their own.

use std::fs::{self, File};
use std::io::{PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use seccompiler::BpfProgram;

use crate::run::Task;
use crate::run::{Hooks, Request, Settings, is_gone, launch};
use crate::sys::clone::fork;
use crate::sys::descriptors::become_number;
use crate::sys::signals;
use crate::wire::{Ids, Places};

use super::authority_double::{Conduct, Memory, listen};

/// Counts labs, so that each has its own cgroup and uid.
static LABS: AtomicU32 = AtomicU32::new(0);

pub(super) struct Lab {
    pub(super) places: Places,
    pub(super) settings: Settings,
    pub(super) agents_dir: PathBuf,
    pub(super) uid: u32,
    pub(super) authority: Arc<Mutex<Memory>>,
    /// What the proof says.
    pub(super) proof: Result<(), String>,
    /// What the keeper is started with.
    pub(super) ignored: Vec<Signal>,
    /// All that it may do as root; `None` is everything.
    pub(super) capabilities: Option<CapabilitySet>,
    /// What it may not call.
    pub(super) filter: Option<BpfProgram>,
    pub(super) directory: tempfile::TempDir,
}

/// A keeper at work, and what can be heard of it.
pub(super) struct Kept {
    pub(super) pid: Pid,
    pub(super) output: File,
    result: File,
}

/// How a launch ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Standard output and error of the command.
    pub(super) output: String,
    /// The status, or the error's text; after a status, what was left behind.
    pub(super) ended: Result<u8, String>,
    pub(super) left_behind: String,
    pub(super) sealed: bool,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Conduct)) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let ids = Ids::default();
        let mut conduct = Conduct {
            // Of the pool, and of no other test process that runs now.
            uid: ids.pool_first + (process * 64 + number) % ids.pool_size,
            refuses: None,
            renew_in_s: 0,
            ends_in_ms: 3_600_000,
            renewals_refused: 0,
            seals: false,
        };
        change(&mut conduct);
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let places = Places {
            run_dir: directory.path().join("run"),
            state_dir: directory.path().join("state"),
            ..Places::default()
        };
        fs::write(directory.path().join("prompt"), "be honest").unwrap();
        let agents_dir = cgroup2().join(format!("atf-run-test-{process}-{number}"));
        fs::create_dir(&agents_dir).unwrap();
        Self {
            uid: conduct.uid,
            authority: listen(&places, conduct),
            settings: Settings::default(),
            proof: Ok(()),
            ignored: Vec::new(),
            capabilities: None,
            filter: None,
            places,
            agents_dir,
            directory,
        }
    }

    pub(super) fn request(&self, command: &[&str]) -> Request {
        Request {
            agent: "ledger".parse().unwrap(),
            task: Task::Person { user: "sam".into(), task: "books".into(), file: None },
            prompt_file: self.directory.path().join("prompt"),
            lifetime_s: None,
            read_only: Vec::new(),
            bridge: None,
            command: command.iter().map(Into::into).collect(),
            workdir: None,
        }
    }

    /// Runs `script` with sh in a cage, to its end.
    pub(super) fn sh(&self, script: &str) -> Outcome {
        self.run(&self.request(&["sh", "-c", script]))
    }

    pub(super) fn run(&self, request: &Request) -> Outcome {
        self.start(request).end()
    }

    /// Starts a keeper whose standard input is empty.
    pub(super) fn start(&self, request: &Request) -> Kept {
        let (read, write) = pipe().unwrap();
        let input: OwnedFd = File::open("/dev/null").unwrap().into();
        self.start_on([input.as_fd(), write.as_fd(), write.as_fd()], read.into(), request)
    }

    /// Starts a keeper on these descriptors 0 to 2. The command's output is read from `output`.
    pub(super) fn start_on(
        &self,
        stdio: [std::os::fd::BorrowedFd<'_>; 3],
        output: OwnedFd,
        request: &Request,
    ) -> Kept {
        let hooks = Hooks { agents_dir: self.agents_dir.clone(), prove: || self.proof.clone() };
        let (pid, result) = fork_whole(|mut result| {
            for (number, fd) in (0..).zip(stdio) {
                become_number(fd, number).unwrap();
            }
            self.ignored.iter().copied().for_each(signals::ignore);
            if let Some(filter) = &self.filter {
                seccompiler::apply_filter(filter).unwrap();
            }
            if let Some(some) = self.capabilities {
                let sets = CapabilitySets {
                    effective: some,
                    permitted: some,
                    inheritable: CapabilitySet::empty(),
                };
                set_capabilities(None, sets).unwrap();
            }
            let ids = Ids::default();
            let ended = launch(&self.places, &ids, &self.settings, request, &hooks);
            let text = match ended {
                Ok(ended) => {
                    let left = ended.left_behind.join("\n");
                    format!("{} {}\n{left}", ended.status, ended.sealed)
                }
                Err(error) => format!("error\n{error}"),
            };
            result.write_all(text.as_bytes()).unwrap();
            0
        });
        Kept { pid, output: output.into(), result }
    }

    /// Of each run that has a directory, whether its keeper is gone.
    pub(super) fn gone(&self) -> Vec<bool> {
        let runs = fs::read_dir(self.places.run_dir.join("runs")).unwrap();
        let names = runs.map(|run| run.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.parse().ok()).map(|run| is_gone(&self.places, run)).collect()
    }

    /// What is left of runs: cgroups and directories.
    pub(super) fn leftovers(&self) -> Vec<PathBuf> {
        let below = |directory: &Path| -> Vec<PathBuf> {
            fs::read_dir(directory)
                .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
                .unwrap_or_default()
        };
        let mut all = below(&self.agents_dir);
        all.retain(|path| path.is_dir());
        all.extend(below(&self.places.run_dir.join("runs")));
        all
    }

    /// The cgroup of the one run that lives.
    fn cgroup(&self) -> PathBuf {
        let cgroup = self.leftovers().into_iter().find(|path| path.starts_with(&self.agents_dir));
        cgroup.expect("the run has a cgroup")
    }

    /// The first process of the one run that lives.
    pub(super) fn first_process(&self) -> Pid {
        let inside = fs::read_to_string(self.cgroup().join("cgroup.procs")).unwrap();
        let is_first = |pid: &&str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
        };
        let first = inside.lines().find(is_first).expect("it has a first process");
        Pid::from_raw(first.parse().unwrap()).unwrap()
    }

    /// Kills the keeper of the one run that lives; whether nothing of the run lives on.
    pub(super) fn dies_with(&self, kept: &Kept) -> bool {
        self.dies_when(|| kill_process(kept.pid, Signal::KILL).unwrap())
    }

    /// Whether nothing of the one run that lives outlives this.
    pub(super) fn dies_when(&self, this: impl FnOnce()) -> bool {
        let events = self.cgroup().join("cgroup.events");
        let lives =
            || fs::read_to_string(&events).is_ok_and(|events| events.contains("populated 1"));
        assert!(lives(), "it lives");
        this();
        let deadline = Instant::now() + Duration::from_secs(5);
        while lives() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        !lives()
    }

    /// The next connection at the gateway's place of the newest run.
    pub(super) fn accept(&self) -> UnixStream {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut memory = self.authority.lock().unwrap();
            if let Some(gateway) = memory.gateways.last_mut() {
                gateway.set_nonblocking(true).unwrap();
                if let Ok((stream, _)) = gateway.accept() {
                    stream.set_nonblocking(false).unwrap();
                    return stream;
                }
            }
            drop(memory);
            assert!(Instant::now() < deadline, "nobody calls the gateway");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.authority.lock().unwrap().asked.clone()
    }
}

/// Starts `child` in a copy of this process that can start threads, with the end of a pipe; the other end is
/// returned. Another test's thread may hold a lock of the standard library's in the moment of the copy, in
/// which nobody will ever give it back; such a copy is ended, and another one made.
fn fork_whole(child: impl Fn(PipeWriter) -> i32) -> (Pid, File) {
    /// Far longer than a thread takes to start on a busy machine.
    const START_MAX: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
    loop {
        let (result, result_inside) = pipe().unwrap();
        let (whole, mut whole_inside) = pipe().unwrap();
        let pid = fork(|| {
            std::thread::spawn(|| ()).join().unwrap();
            whole_inside.write_all(b"!").unwrap();
            child(result_inside.try_clone().unwrap())
        })
        .unwrap();
        if poll(&mut [PollFd::new(&whole, PollFlags::IN)], Some(&START_MAX)).unwrap() == 1 {
            return (pid, OwnedFd::from(result).into());
        }
        kill_process(pid, Signal::KILL).unwrap();
        waitpid(Some(pid), WaitOptions::empty()).unwrap();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _left_by_a_failed_test = fs::remove_dir(&self.agents_dir);
    }
}

impl Kept {
    /// Reads the command's output until `word` is in it.
    pub(super) fn wait_for(&mut self, word: &str) -> String {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&heard).contains(word) {
            assert_eq!(self.output.read(&mut byte).unwrap(), 1, "ended before {word}");
            heard.push(byte[0]);
        }
        String::from_utf8(heard).unwrap()
    }

    pub(super) fn end(mut self) -> Outcome {
        let mut output = Vec::new();
        // A terminal whose other side is closed says EIO instead of its end.
        let _eio = self.output.read_to_end(&mut output);
        let mut result = String::new();
        self.result.read_to_string(&mut result).unwrap();
        waitpid(Some(self.pid), WaitOptions::empty()).unwrap();
        let (first, rest) = result.split_once('\n').unwrap_or((&result, ""));
        let (status, sealed) = first.split_once(' ').unwrap_or((first, ""));
        Outcome {
            output: String::from_utf8(output).unwrap(),
            ended: status.parse().map_err(|_| rest.to_owned()),
            sealed: sealed == "true",
            left_behind: rest.to_owned(),
        }
    }
}

/// Runs `script` with sh outside of any cage: the negative control.
pub(super) fn outside(script: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Where cgroup2 is mounted here.
fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let path = line.and_then(|line| line.split(' ').nth(4));
    path.expect("these tests need a mounted cgroup2").into()
}
