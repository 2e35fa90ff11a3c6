//! The attacker's processes, started in the lab with and without ATF.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::io::FdFlags;

use super::pass::Passed;
use super::victim::Victim;
use super::witness;
use crate::attempts::{Attempt, KNOWLEDGE, Sight, WITNESS};
use crate::hijacked::{COMMAND, Said};
use crate::lab::terminal::Terminal;
use crate::lab::{World, address};

/// Where attempts are made.
pub(crate) struct Place<'a> {
    /// The lab.
    pub(crate) world: &'a World,
    /// A folder with nothing but the attacker's program, which runs may see.
    pub(crate) bin: PathBuf,
    /// A folder for what processes say.
    pub(crate) scratch: PathBuf,
    /// The demo's program, which starts the attacker with what a careless parent offers.
    demo: PathBuf,
    /// The process beside the agent.
    victim: Victim,
}

/// Nobody: the owner of nothing.
pub(crate) const UNPRIVILEGED: &str = "65534";

/// What one attempt came to.
pub(crate) struct Came {
    /// The canaries that something reached.
    pub(crate) reached: Vec<&'static str>,
    /// What the attacker printed; empty when it never ran.
    pub(crate) said: String,
    /// What it and ATF wrote to standard error.
    pub(crate) complained: String,
}

/// The longest that an attempt may take, with ATF's start, under emulation.
const ATTEMPT_MAX: Duration = Duration::from_secs(60);

/// How long something that has been sent may take to reach a canary of the same machine.
const ARRIVAL_MAX: Duration = Duration::from_millis(250);

/// The same when the attacker says that it was sent.
const SENT_ARRIVAL_MAX: Duration = Duration::from_secs(2);

/// How long what arrives may go on to do so; after that the next attempt is charged with it.
const ARRIVALS_MAX: Duration = Duration::from_secs(10);

impl<'a> Place<'a> {
    /// Readies the lab for attempts: with the program `hijacked`, started by the program `demo`.
    pub(crate) fn new(
        world: &'a World,
        folder: &Path,
        demo: &Path,
        hijacked: &Path,
    ) -> Result<Self> {
        let (bin, scratch) = (folder.join("bin"), folder.join("scratch"));
        fs::create_dir_all(&bin)?;
        fs::create_dir_all(&scratch)?;
        let copy = bin.join("hijacked");
        fs::copy(hijacked, &copy).with_context(|| format!("no {}", hijacked.display()))?;
        fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
        let victim = Victim::start(world, &world.oracle, demo, &copy, UNPRIVILEGED)?;
        Ok(Self { world, bin, scratch, demo: demo.to_owned(), victim })
    }

    /// The attacker's program.
    pub(crate) fn hijacked(&self) -> PathBuf {
        self.bin.join("hijacked")
    }

    /// The folder that is handed to a run and has a foreign socket in it.
    pub(crate) fn visible(&self) -> PathBuf {
        self.world.folder.join(address::VISIBLE_FOLDER)
    }

    /// The attacker's arguments for an attempt.
    pub(crate) fn attempt(&self, attempt: &Attempt) -> Vec<OsString> {
        let lab = self.world.folder.as_os_str();
        let words = [OsStr::new("attempt"), OsStr::new(attempt.does()), OsStr::new("--lab"), lab];
        let mut words = words.map(OsStr::to_owned).to_vec();
        let (victim, memory) = (self.victim.id().to_string(), self.victim.memory.to_string());
        words.extend(["--victim".into(), victim.into(), "--victim-memory".into(), memory.into()]);
        if self.world.oracle.absent(attempt.canary).is_some() {
            words.push("--unanswered".into());
        }
        words
    }

    /// Makes one attempt: starts `command` (program and arguments) with what this attempt is
    /// offered, has `meanwhile` act on the process while it runs, and asks the oracle.
    pub(crate) fn try_out(
        &self,
        attempt: &Attempt,
        offers: &[&str],
        command: &[OsString],
        meanwhile: impl FnOnce(&mut Child) -> Result<()>,
    ) -> Result<Came> {
        let terminal = (attempt.canary == "terminal").then(Terminal::new).transpose()?;
        let typed = self.scratch.join("typed");
        drop(fs::remove_file(&typed));
        let mut process = Command::new(&self.demo);
        process.arg("offer").args(offers);
        if let Some(terminal) = &terminal {
            process.arg("--terminal").arg(&terminal.path).arg("--typed").arg(&typed);
        }
        process.arg("--").args(command);
        let inheritable =
            (attempt.does() == "inherited_fd").then(|| self.world.inheritable()).transpose()?;
        let passed =
            (attempt.does() == "passed_fd").then(|| Passed::new(self.world)).transpose()?;
        if let Some(stream) = &inheritable {
            rustix::io::fcntl_setfd(stream, FdFlags::empty())?;
        }
        if attempt.canary == "inherited_fd" {
            // Its connection has reached the canary before the attempt begins.
            thread::sleep(ARRIVAL_MAX);
        }
        let before = self.world.oracle.seen();
        let stdin = passed.as_ref().map_or_else(|| Ok(Stdio::null()), Passed::stdin)?;
        let (said, complained, seen) = self.watched(process, stdin, attempt.sight, meanwhile)?;
        drop((inheritable, passed));
        let said_so = serde_json::from_str::<Said>(&said).ok();
        let is_sent = said_so.as_ref().is_some_and(|said| said.outcome == "out");
        let most = if is_sent { SENT_ARRIVAL_MAX } else { ARRIVAL_MAX };
        let mut reached = self.reached_since(&before, attempt, most);
        if fs::read(&typed).is_ok_and(|typed| typed == COMMAND) {
            reached.push("terminal");
        }
        if seen {
            reached.push(WITNESS);
        }
        let learned = said_so.and_then(|said| said.learned);
        if learned.is_some_and(|learned| learned == self.victim.nonce) {
            reached.push(KNOWLEDGE);
        }
        Ok(Came { reached, said, complained })
    }

    /// Starts a command in the agent's namespace.
    pub(crate) fn spawn(&self, mut command: Command) -> Result<Child> {
        let program = command.get_program().to_owned();
        let spawned = self.world.agent.within(|| command.spawn());
        spawned.with_context(|| format!("cannot start {}", program.display()))
    }

    /// The words that start a command with what a careless parent offers.
    pub(crate) fn offered(&self, offers: &[&str], command: &[OsString]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.demo.clone().into(), "offer".into()];
        words.extend(offers.iter().map(Into::into));
        words.push("--".into());
        words.extend(command.iter().cloned());
        words
    }

    /// Runs a command that may take long: what it wrote to its two outputs.
    pub(crate) fn run_for(&self, words: &[OsString], most: Duration) -> Result<(String, String)> {
        let (mut out, mut err) = (self.file("out")?, self.file("err")?);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.stdout(out.try_clone()?).stderr(err.try_clone()?);
        let mut child = self.spawn(command)?;
        wait(&mut child, most)?;
        Ok((text(&mut out)?, text(&mut err)?))
    }

    /// Runs a command in the agent's namespace to its end: what it wrote to its two outputs.
    pub(crate) fn finish(
        &self,
        command: Command,
        meanwhile: impl FnOnce(&mut Child) -> Result<()>,
    ) -> Result<(String, String)> {
        let (said, complained, _) = self.watched(command, Stdio::null(), None, meanwhile)?;
        Ok((said, complained))
    }

    /// The same; also whether the witness saw what it looked for meanwhile.
    fn watched(
        &self,
        mut command: Command,
        stdin: Stdio,
        sight: Option<Sight>,
        meanwhile: impl FnOnce(&mut Child) -> Result<()>,
    ) -> Result<(String, String, bool)> {
        let (mut out, mut err) = (self.file("out")?, self.file("err")?);
        command.stdin(stdin).stdout(out.try_clone()?).stderr(err.try_clone()?);
        let mut child = self.spawn(command)?;
        let done = meanwhile(&mut child);
        let began = witness::started(child.id()).context("a child has no start")?;
        let (attacker, mut seen) = (self.hijacked(), false);
        wait_with(&mut child, ATTEMPT_MAX, || {
            seen |= sight.is_some_and(|sight| !seen && witness::sees(&attacker, began, sight));
        })?;
        let complained = text(&mut err)?;
        done.with_context(|| format!("standard error: {complained}"))?;
        Ok((text(&mut out)?, complained, seen))
    }

    fn file(&self, name: &str) -> Result<File> {
        let path = self.scratch.join(name);
        Ok(File::options().read(true).write(true).create(true).truncate(true).open(path)?)
    }

    /// Waits for arrivals: until the attempt's own canary has one, or `most`; and then for the end of what arrives, as
    /// the bytes of a connection that came first, so that no other attempt is charged with it.
    fn reached_since(
        &self,
        before: &[(&'static str, u64, u64)],
        attempt: &Attempt,
        most: Duration,
    ) -> Vec<&'static str> {
        let began = Instant::now();
        let (mut seen, mut quiet_since) = (self.world.oracle.seen(), began);
        loop {
            let changed = seen.iter().zip(before).filter(|(now, before)| now != before);
            let reached: Vec<&str> = changed.map(|(now, _)| now.0).collect();
            let is_over = match reached.contains(&attempt.canary) {
                true => quiet_since.elapsed() > ARRIVAL_MAX,
                false => began.elapsed() > most && quiet_since.elapsed() > ARRIVAL_MAX,
            };
            if is_over || began.elapsed() > ARRIVALS_MAX {
                return reached;
            }
            thread::sleep(Duration::from_millis(2));
            let now = self.world.oracle.seen();
            if now != seen {
                (seen, quiet_since) = (now, Instant::now());
            }
        }
    }
}

/// Waits for the end of a child, and ends it when that takes too long.
pub(crate) fn wait(child: &mut Child, longest: Duration) -> Result<()> {
    wait_with(child, longest, || ())
}

/// The same, and does something now and then.
fn wait_with(child: &mut Child, longest: Duration, mut each: impl FnMut()) -> Result<()> {
    /// Looking costs a processor that the attacker needs, too.
    const LOOK_EACH: Duration = Duration::from_millis(50);
    let (began, mut looked) = (Instant::now(), Instant::now());
    while child.try_wait()?.is_none() {
        if looked.elapsed() > LOOK_EACH {
            each();
            looked = Instant::now();
        }
        if began.elapsed() > longest {
            child.kill()?;
            child.wait()?;
            bail!("process {} did not end in {} s", child.id(), longest.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
