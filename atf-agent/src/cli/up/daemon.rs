//! One daemon that `atf up` keeps alive: started, started again when it dies, and stopped.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

use super::readiness::Readiness;
use crate::sys::signals;

/// How long a daemon may take to end when it is asked to: the gateway waits ten seconds for the calls
/// that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// First pause before a dead daemon is started again; it doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// See [`PAUSE_FIRST`].
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// A daemon that lived this long starts again with the first pause.
const LIVED_WELL: Duration = Duration::from_secs(10);

/// How often one that has never been ready may end by itself: more than once, for what the daemons before
/// it leave may take a moment to be gone.
const STARTS_MAX: u32 = 5;

/// One child that is kept alive.
pub(super) struct Daemon {
    name: &'static str,
    command: Vec<OsString>,
    pid_file: PathBuf,
    readiness: Readiness,
    child: Option<(Child, Instant)>,
    is_ready: bool,
    has_been_ready: bool,
    /// How often it ended by itself before it was ever ready.
    failed: u32,
    pause: Duration,
    again_at: Instant,
}

impl Daemon {
    /// One that is not started yet: [`Daemon::tend`] does it. Its `command` is a program and its words.
    pub(super) fn new(
        name: &'static str,
        uid: u32,
        run_dir: &Path,
        command: Vec<OsString>,
    ) -> io::Result<Self> {
        Ok(Self {
            name,
            command,
            pid_file: run_dir.join("pids").join(name),
            readiness: Readiness::listen(run_dir.join(format!("{name}.ready")), uid)?,
            child: None,
            is_ready: false,
            has_been_ready: false,
            failed: 0,
            pause: PAUSE_FIRST,
            again_at: Instant::now(),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the one that runs now has said that it serves.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether one of its lives has said that.
    pub(super) fn has_been_ready(&self) -> bool {
        self.has_been_ready
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let [program, words @ ..] = &self.command[..] else { return Ok(()) };
        // What one before it said last.
        self.readiness.heard()?;
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .envs(std::env::vars().filter(|(key, _)| key.starts_with("ATF_LOG") || key == "PATH"))
            .env("NOTIFY_SOCKET", self.readiness.path())
            .current_dir("/")
            // A terminal's signals are for `atf up`, which stops the daemons in order.
            .process_group(0);
        signals::unblocked(&mut command);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        write_pid(&self.pid_file, child.id())?;
        tracing::info!(daemon = self.name, pid = child.id(), "started");
        self.child = Some((child, Instant::now()));
        Ok(())
    }

    /// Hears whether it is ready, and starts it (again) when it is not there and its pause is over.
    ///
    /// # Errors
    /// When it cannot be started, or ended too often by itself without ever having been ready.
    pub(super) fn tend(&mut self) -> anyhow::Result<()> {
        let Some((child, since)) = &mut self.child else {
            return if Instant::now() >= self.again_at { self.start() } else { Ok(()) };
        };
        if self.readiness.heard()? {
            (self.is_ready, self.has_been_ready) = (true, true);
        }
        let Some(status) = child.try_wait()? else { return Ok(()) };
        let lived_well = since.elapsed() >= LIVED_WELL;
        (self.child, self.is_ready) = (None, false);
        if !self.has_been_ready && status.code().is_some() {
            self.failed += 1;
            anyhow::ensure!(
                self.failed < STARTS_MAX,
                "the {} does not come up: {status}, {STARTS_MAX} times; see its messages above",
                self.name
            );
        }
        if lived_well {
            self.pause = PAUSE_FIRST;
        }
        tracing::warn!(
            daemon = self.name,
            signal = status.signal(),
            code = status.code(),
            "died; starting it again"
        );
        self.again_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_LAST);
        Ok(())
    }

    /// Asks it to end, and ends it when it does not.
    pub(super) fn stop(&mut self) {
        let Some((mut child, _)) = self.child.take() else { return };
        let deadline = Instant::now() + STOP_WITHIN;
        if let Ok(Some(pid)) = i32::try_from(child.id()).map(Pid::from_raw) {
            // It may have died meanwhile; either way it is gone after the wait.
            let _gone = rustix::process::kill_process(pid, Signal::TERM);
        }
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                tracing::warn!(daemon = self.name, "does not end; it is killed");
                let _gone = child.kill();
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _status = child.wait();
    }
}

/// Writes a pid file into a directory that only root can write.
fn write_pid(path: &Path, pid: u32) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    Ok(writeln!(file, "{pid}")?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::sys::signals::Signals;

    /// One that runs `script`, in a directory of its own.
    fn daemon(dir: &Path, script: &str) -> Daemon {
        fs::create_dir_all(dir.join("pids")).unwrap();
        let uid = rustix::process::getuid().as_raw();
        let command = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
        Daemon::new("test", uid, dir, command).unwrap()
    }

    /// Looks after it until `done`, or until it is given up.
    fn tend(daemon: &mut Daemon, done: impl Fn(&Daemon) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !done(daemon) {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing happened");
            daemon.tend()?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn say_ready(dir: &Path) {
        let socket = UnixDatagram::unbound().unwrap();
        socket.send_to(b"READY=1", dir.join("test.ready")).unwrap();
    }

    #[test]
    fn one_that_never_comes_up_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = daemon(dir.path(), "echo >>\"${NOTIFY_SOCKET%/*}/starts\"; exit 4");
        let said = tend(&mut daemon, |_| false).unwrap_err().to_string();
        assert!(said.contains("the test does not come up: exit status: 4"), "{said}");
        let starts = fs::read_to_string(dir.path().join("starts")).unwrap();
        assert_eq!(starts.lines().count(), STARTS_MAX as usize);
    }

    #[test]
    fn one_that_was_ready_is_started_again_however_often_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo >>\"${NOTIFY_SOCKET%/*}/starts\"; read word <\"${NOTIFY_SOCKET%/*}/go\"";
        let go = dir.path().join("go");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &go,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let mut daemon = daemon(dir.path(), script);
        tend(&mut daemon, |daemon| daemon.child.is_some()).unwrap();
        say_ready(dir.path());
        tend(&mut daemon, Daemon::is_ready).unwrap();
        let begin = || fs::write(&go, "\n").unwrap();
        for _ in 0..=STARTS_MAX {
            daemon.pause = PAUSE_FIRST;
            begin();
            tend(&mut daemon, |daemon| daemon.child.is_none()).unwrap();
            assert!(!daemon.is_ready(), "what the last one said is no word of the next one");
            tend(&mut daemon, |daemon| daemon.child.is_some()).unwrap();
        }
        daemon.stop();
    }

    #[test]
    fn a_daemon_hears_its_own_signals_and_none_of_the_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let _blocked = Signals::block(&[Signal::TERM, Signal::INT]).unwrap();
        let mut daemon = daemon(dir.path(), "exec sleep 60");
        tend(&mut daemon, |daemon| daemon.child.is_some()).unwrap();
        let pid = daemon.child.as_ref().unwrap().0.id();
        let group = rustix::process::getpgid(Pid::from_raw(pid.cast_signed())).unwrap();
        assert_eq!(group.as_raw_nonzero().get(), pid.cast_signed(), "it has a group of its own");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
        let begun = Instant::now();
        daemon.stop();
        assert!(begun.elapsed() < Duration::from_secs(5), "it was killed, not asked");
    }
}
