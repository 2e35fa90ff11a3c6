//! A private installation of ATF in a temporary folder: its configuration, its agents, its start and
//! its end. Nothing of the host's own ATF is touched.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use atf_agent::call::Digest;
use atf_agent::config::Config;
use atf_agent::wire::Places;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::log::Log;
use super::process::{Place, wait};
use super::{Options, say};
use crate::lab::cgroup::mount_point;

/// The agent that may query and adjust.
pub(crate) const AGENT: &str = "clerk";
/// The agent that may only query.
pub(crate) const READER: &str = "reader";

/// What their system prompt says.
const PROMPT: &str =
    "You keep the ledger. Answer questions about accounts; adjust only what you are asked to.\n";

/// The name of this demo's cgroup and pins: two demos on one host do not meet.
fn name() -> String {
    format!("atf-demo-{}", std::process::id())
}

/// The longest that `atf up` may take under emulation, where a key of RSA takes its time.
const UP_MAX: Duration = Duration::from_secs(120);

/// A running ATF.
pub(crate) struct Installation {
    config: Config,
    config_file: PathBuf,
    prompt_file: PathBuf,
    atf: PathBuf,
    up: Option<Child>,
}

/// What `atf doctor` says.
#[derive(Debug, Deserialize)]
pub(crate) struct Doctor {
    /// `FULL`, `CORE` or `REFUSE`.
    pub(crate) posture: String,
    /// The attempts that this host does not close.
    pub(crate) not_covered: Vec<String>,
}

/// The temporary folder of a demo; every process may enter it.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("atf-demo-").tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    fs::create_dir(folder.path().join("lab"))?;
    Ok(folder)
}

/// Asks the doctor.
pub(crate) fn doctor(atf: &Path) -> Result<Doctor> {
    // Its status says whether the host holds what the configuration asks for; here it is the answer
    // that counts.
    let answer = Command::new(atf).args(["doctor", "--output", "json"]).output();
    let answer = answer.context("cannot start atf")?;
    serde_json::from_slice(&answer.stdout).context("what atf doctor says is not what it should be")
}

impl Installation {
    /// Writes the configuration and starts everything.
    pub(crate) fn start(folder: &Path, options: &Options) -> Result<Self> {
        let (atf, policies) = (&options.atf, &options.policies);
        let mut installation = Self::prepare(folder, atf, policies, &options.posture)?;
        let config = &mut installation.config;
        config.gateway.audit_durable = !options.queued;
        config.executor.require_durable = !options.queued;
        if let Some(most) = options.seals_per_minute_max {
            config.gateway.seals_per_minute_max = most;
        }
        installation.up(folder)?;
        Ok(installation)
    }

    /// Makes everything but the start: the folders, the policy, the agents.
    pub(crate) fn prepare(
        folder: &Path,
        atf: &Path,
        policies: &Path,
        posture: &str,
    ) -> Result<Self> {
        let mut config = Config::default();
        config.places.run_dir = folder.join("run");
        config.places.state_dir = folder.join("state");
        config.places.policy_dir = folder.join("policies");
        config.places.agents_dir = folder.join("agents");
        config.places.servers_dir = folder.join("servers");
        config.places.pin_dir = Path::new("/sys/fs/bpf").join(name());
        config.cage.cgroup = format!("{}/agents", name());
        config.cage.posture = serde_json::from_value(Value::from(posture))
            .context("the posture must be CORE or FULL")?;
        // The VM has no /usr; its programs are static.
        config.run.read_only.retain(|path| path.exists());
        let (config_file, prompt_file) = (folder.join("atf.toml"), folder.join("prompt.txt"));
        fs::write(&prompt_file, PROMPT)?;
        copy_tree(policies, &config.places.policy_dir)?;
        fs::create_dir(&config.places.agents_dir)?;
        for (agent, tools) in
            [(AGENT, r#""ledger.query", "ledger.adjust""#), (READER, r#""ledger.query""#)]
        {
            let manifest = format!(
                "tools = [{tools}]\nprompt_sha256 = \"{}\"\n",
                Digest::of(PROMPT.as_bytes())
            );
            fs::write(config.places.agents_dir.join(format!("{agent}.toml")), manifest)?;
        }
        let installation = Self { config, config_file, prompt_file, atf: atf.to_owned(), up: None };
        installation.write()?;
        Ok(installation)
    }

    /// Writes the configuration as it stands.
    fn write(&self) -> Result<()> {
        Ok(fs::write(&self.config_file, toml::to_string(&self.config)?)?)
    }

    /// Starts everything.
    pub(crate) fn up(&mut self, folder: &Path) -> Result<()> {
        say("starting ATF");
        self.write()?;
        output(self.atf().args(["executor", "--seed-demo"]))?;
        output(self.atf().args(["enforcer", "up"]))?;
        let journal = File::create(folder.join("up.log"))?;
        let mut up = self.atf().arg("up").stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = up.stderr.take().context("atf up has no standard error")?;
        self.up = Some(up);
        let (send, ready) = mpsc::channel();
        thread::spawn(move || {
            use std::io::Write as _;
            let mut journal = journal;
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                drop(writeln!(journal, "{line}"));
                if line.contains("atf up: ready") {
                    let _nobody_waits_any_more = send.send(());
                }
            }
        });
        if ready.recv_timeout(UP_MAX).is_err() {
            let said = fs::read_to_string(folder.join("up.log")).unwrap_or_default();
            bail!("atf up is not ready after {} s; it said:\n{said}", UP_MAX.as_secs());
        }
        Ok(())
    }

    /// `atf` with this installation's configuration.
    pub(crate) fn atf(&self) -> Command {
        let mut command = Command::new(&self.atf);
        command.arg("--config").arg(&self.config_file);
        command
    }

    /// The words of `atf run` for an agent and a command.
    pub(crate) fn run_command(
        &self,
        agent: &str,
        task: &str,
        place: &Place<'_>,
        command: &[OsString],
    ) -> Vec<OsString> {
        self.words(agent, task, &[place.bin.clone(), place.visible()], command)
    }

    /// The same for a run that sees these paths.
    pub(crate) fn words(
        &self,
        agent: &str,
        task: &str,
        visible: &[PathBuf],
        command: &[OsString],
    ) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.atf.clone().into()];
        words.extend(["--config".into(), self.config_file.clone().into(), "run".into()]);
        for (option, value) in
            [("--agent", agent), ("--task", task), ("--user", "demo@example.com")]
        {
            words.extend([option.into(), value.into()]);
        }
        words.extend(["--prompt".into(), self.prompt_file.clone().into()]);
        // For the agent whose host only starts commands.
        let is_shown = self.config.run.read_only.iter().any(|path| self.atf.starts_with(path));
        let atf = (!is_shown).then(|| self.atf.clone());
        for path in visible.iter().cloned().chain(atf) {
            words.extend(["--read-only".into(), path.into()]);
        }
        words.push("--".into());
        words.extend(command.iter().cloned());
        words
    }

    /// The program, where runs see it too.
    pub(crate) fn program(&self) -> &Path {
        &self.atf
    }

    /// Has a launcher take away what dead ones left; its own run does nothing.
    pub(crate) fn sweep(&self) -> Result<String> {
        let prompt = self.prompt_file.as_os_str();
        let mut launch = self.atf();
        launch.args(["run", "--agent", AGENT, "--task", "sweep", "--user", "demo@example.com"]);
        output(launch.arg("--prompt").arg(prompt).args(["--", "/bin/true"]))
    }

    /// The words of `demo launch` for a command: as [`Installation::run_command`], but without the
    /// proof of the cage.
    pub(crate) fn launch_command(
        &self,
        place: &Place<'_>,
        command: &[OsString],
    ) -> Result<Vec<OsString>> {
        let mut words: Vec<OsString> = vec![std::env::current_exe()?.into(), "launch".into()];
        words.extend(["--config".into(), self.config_file.clone().into()]);
        words.extend(["--agent".into(), AGENT.into()]);
        words.extend(["--prompt".into(), self.prompt_file.clone().into()]);
        for path in [place.bin.clone(), place.visible()] {
            words.extend(["--read-only".into(), path.into()]);
        }
        words.push("--".into());
        words.extend(command.iter().cloned());
        Ok(words)
    }

    /// Where its kernel objects are pinned.
    pub(super) fn pin_dir(&self) -> &Path {
        &self.config.places.pin_dir
    }

    /// The digest of the agents' prompt.
    pub(crate) fn prompt(&self) -> String {
        Digest::of(PROMPT.as_bytes()).to_string()
    }

    /// The agents' cgroup.
    pub(crate) fn agents_cgroup(&self) -> Result<PathBuf> {
        Ok(mount_point()?.join(&self.config.cage.cgroup))
    }

    /// Where things are.
    pub(crate) fn places(&self) -> &Places {
        &self.config.places
    }

    /// The log.
    pub(crate) fn log(&self) -> Log {
        Log::new(self.config.places.log_dir())
    }

    /// The folder of the log.
    pub(crate) fn log_folder(&self) -> PathBuf {
        self.config.places.log_dir()
    }

    /// The process ids of all of ATF's own processes.
    pub(crate) fn processes(&self) -> Result<Vec<i32>> {
        let folder = self.config.places.run_dir.join("pids");
        let names = fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
        names.map(|entry| self.process(&entry?.file_name().to_string_lossy())).collect()
    }

    /// The process id of one of ATF's processes.
    pub(crate) fn process(&self, name: &str) -> Result<i32> {
        let file = self.config.places.run_dir.join("pids").join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
        text.trim().parse().with_context(|| format!("{} has no process id", file.display()))
    }

    /// Ends ATF; the cage stays until the value goes.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut up) = self.up.take() else {
            return Ok(());
        };
        if let Some(process) = rustix::process::Pid::from_raw(up.id().cast_signed()) {
            rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        }
        wait(&mut up, Duration::from_secs(20)).context("atf up does not stop")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            say(&format!("{error:#}"));
        }
        if let Err(error) = output(self.atf().args(["enforcer", "down", "--force"])) {
            say(&format!("{error:#}"));
        }
        if let Some(own) = self.agents_cgroup().ok().as_deref().and_then(Path::parent)
            && let Err(error) = remove_cgroup(own)
        {
            say(&format!("the demo's cgroup {} stays: {error}", own.display()));
        }
    }
}

/// The words of a run, for one with a bridge.
pub(crate) fn bridged(mut words: Vec<OsString>) -> Vec<OsString> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    words.insert(end, "--bridge".into());
    words
}

/// Removes a cgroup. Tool servers die after their executor, and each takes its cgroup along.
fn remove_cgroup(cgroup: &Path) -> std::io::Result<()> {
    const TRIES: usize = 30;
    const PAUSE: Duration = Duration::from_millis(100);
    for _ in 1..TRIES {
        match fs::remove_dir(cgroup) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => thread::sleep(PAUSE),
            done => return done,
        }
    }
    fs::remove_dir(cgroup)
}

/// Runs a command of ATF's that must succeed, and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().context("cannot start atf")?;
    if !output.status.success() {
        let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_string_lossy).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("atf {} ended with {}: {}", words.join(" "), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Copies a folder with everything in it.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no folder {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
