//! `atf up`: the cage, the directories and the daemons in their separation, where no service
//! manager does it. A daemon that dies is started again; when `atf up` ends, the daemons end and
//! the cage stays.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal};

use super::layout::{self, DAEMONS};
use super::{EXIT_FAILED, EXIT_OK};
use crate::config::Config;
use crate::sys::signals::Signals;
use crate::{enforcer, kernel};

/// How long the daemons may take until all answer.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often the daemons are looked at: a dead one is missed for so long at most.
const TEND_EVERY: Duration = Duration::from_millis(20);

/// How long a daemon may take to end when it is asked to: the gateway waits ten seconds for the calls
/// that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// First pause before a dead daemon is started again; it doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// See [`PAUSE_FIRST`].
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// A daemon that lived this long starts again with the first pause.
const LIVED_WELL: Duration = Duration::from_secs(10);

pub(super) fn up(config: &Config, at: Option<&Path>) -> anyhow::Result<u8> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "`atf up` starts daemons under several uids: run it as root"
    );
    for (what, found) in super::config::findings(config)? {
        if let Err(wrong) = found {
            anyhow::bail!("{what}: {wrong}; nothing was started");
        }
    }
    layout::make(&config.places, &config.ids)?;
    let cage = kernel::Cage::locate(&config.places, &config.cage)?;
    super::enforcer::announce(&enforcer::up(&cage, &config.ids, &config.places)?);

    let signals = Signals::block(&[Signal::TERM, Signal::INT])?;
    let mut daemons: Vec<Daemon> = DAEMONS
        .iter()
        .map(|name| Daemon::new(config, at, name, &[name]))
        .chain(std::iter::once(Daemon::new(config, at, "watch", &["enforcer", "watch"])))
        .collect();
    for daemon in &mut daemons {
        daemon.start()?;
    }
    let started = Instant::now();
    let mut ready = false;
    while signals.next()?.is_none() {
        std::thread::sleep(TEND_EVERY);
        for daemon in &mut daemons {
            daemon.tend()?;
        }
        if !ready && answers(config) {
            ready = true;
            tracing::info!("atf up: ready");
        }
        if !ready && started.elapsed() > READY_WITHIN {
            tracing::error!(
                "not all daemons answered within {READY_WITHIN:?}; see their messages above"
            );
            stop(&mut daemons);
            return Ok(EXIT_FAILED);
        }
    }
    stop(&mut daemons);
    Ok(EXIT_OK)
}

/// Whether every daemon has made what the others need of it.
fn answers(config: &Config) -> bool {
    let places = &config.places;
    let sockets = [places.authority_socket(), places.recorder_socket(), places.executor_socket()];
    sockets.iter().all(|path| std::os::unix::net::UnixStream::connect(path).is_ok())
        && places.jwks().exists()
        && places.permit_key().exists()
}

fn stop(daemons: &mut [Daemon]) {
    // The recorder, first in the list, goes last: the others still have something to say.
    for daemon in daemons.iter_mut().rev() {
        daemon.stop();
    }
}

/// One child that is kept alive.
struct Daemon {
    name: &'static str,
    arguments: Vec<String>,
    pid_file: PathBuf,
    child: Option<(Child, Instant)>,
    pause: Duration,
    again_at: Instant,
}

impl Daemon {
    fn new(config: &Config, at: Option<&Path>, name: &'static str, command: &[&str]) -> Self {
        let mut arguments: Vec<String> = command.iter().map(ToString::to_string).collect();
        arguments.push("--with-parent".to_owned());
        if let Some(at) = at {
            // The daemons start in the root directory.
            let at = std::path::absolute(at).unwrap_or_else(|_| at.to_owned());
            arguments.extend(["--config".to_owned(), at.display().to_string()]);
        }
        Self {
            name,
            arguments,
            pid_file: config.places.run_dir.join("pids").join(name),
            child: None,
            pause: PAUSE_FIRST,
            again_at: Instant::now(),
        }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let binary = std::env::current_exe().context("cannot find the atf binary")?;
        let child = Command::new(binary)
            .args(&self.arguments)
            .env_clear()
            .envs(std::env::vars().filter(|(key, _)| key.starts_with("ATF_LOG") || key == "PATH"))
            .current_dir("/")
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        write_pid(&self.pid_file, child.id())?;
        tracing::info!(daemon = self.name, pid = child.id(), "started");
        self.child = Some((child, Instant::now()));
        Ok(())
    }

    /// Starts it again when it is dead and its pause is over.
    fn tend(&mut self) -> anyhow::Result<()> {
        let Some((child, since)) = &mut self.child else {
            return if Instant::now() >= self.again_at { self.start() } else { Ok(()) };
        };
        let Some(status) = child.try_wait()? else { return Ok(()) };
        if since.elapsed() >= LIVED_WELL {
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
        self.child = None;
        Ok(())
    }

    fn stop(&mut self) {
        let Some((mut child, _)) = self.child.take() else { return };
        let deadline = Instant::now() + STOP_WITHIN;
        if let Ok(Some(pid)) = i32::try_from(child.id()).map(Pid::from_raw) {
            // It may have died meanwhile; either way it is gone after the wait.
            let _gone = rustix::process::kill_process(pid, Signal::TERM);
        }
        while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _gone = child.kill();
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
