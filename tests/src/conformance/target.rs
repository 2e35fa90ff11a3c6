//! The two ends that the suite is pointed at: the fixture's own, and a run's of an ATF with the fixture
//! behind it. Enforcement is on; what is set otherwise than shipped is here.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use super::names::SERVER;
use super::{Options, outside};
use crate::demo::installation::{Installation, output};

/// The fixture's uid is one of these, of no user: two suites on one host do not meet.
const UID_FIRST: u32 = 1_910_000_000;
const UIDS: u32 = 100_000;

/// The agent that the suite plays.
const AGENT: &str = "suite";

/// The suite sends what is malformed by the dozen, and one run is sealed at the third.
const REFUSALS: u64 = 1_000_000;

/// The methods by which the policy lets the fixture be asked.
const METHODS: [&str; 3] = ["prompts/get", "resources/read", "completion/complete"];

/// What the policy and the token let the fixture ask.
const QUESTIONS: [&str; 3] = ["elicitation/create", "sampling/createMessage", "roots/list"];

/// The fixture by itself.
pub(super) struct Direct {
    child: Child,
    /// Where it listens.
    pub(super) url: String,
}

impl Direct {
    /// Starts it.
    pub(super) fn start(fixture: &Path) -> Result<Self> {
        let mut child = Command::new(fixture)
            .arg("127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the fixture")?;
        let stdout = child.stdout.take().context("the fixture has no standard output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        let url = format!("http://{}/mcp", address.trim());
        Ok(Self { child, url })
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The fixture through ATF.
pub(super) struct Through {
    run: Child,
    _installation: Installation,
    /// Where the injector listens.
    pub(super) url: String,
}

impl Through {
    /// Starts ATF in `folder` with the fixture behind it, and a run for the injector.
    pub(super) fn start(folder: &Path, options: &Options) -> Result<Self> {
        let mut installation =
            Installation::prepare(folder, &options.atf, &options.policies, "CORE")?;
        let servers = installation.places().servers_dir.clone();
        fs::create_dir_all(&servers)?;
        fs::copy(&options.fixture, folder.join("fixture"))?;
        let file = format!(
            "command = \"{}\"\nuid = {}\nprivate_tmp = false\nstateless = true\n",
            folder.join("fixture").display(),
            UID_FIRST + std::process::id() % UIDS
        );
        let path = servers.join(format!("{SERVER}.toml"));
        fs::write(&path, file)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let tools = approve(&installation)?;
        allow(&installation, &tools)?;
        installation.up(folder)?;
        let program = folder.join("injector");
        fs::copy(&options.own, &program)?;
        let command = [program.clone().into(), "inside".into(), installation.prompt().into()];
        let words = installation.words(AGENT, "conformance", &[program], &command);
        let mut run = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a run")?;
        let pipes = run.stdin.take().zip(run.stdout.take());
        let (to_run, from_run) = pipes.context("the run has no pipes")?;
        let url = outside::serve(to_run, from_run)?;
        Ok(Self { run, _installation: installation, url })
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        end(&mut self.run);
    }
}

/// Pins the fixture's tools as an operator does; returns their names.
fn approve(installation: &Installation) -> Result<Vec<String>> {
    output(installation.atf().args(["tools", "pin", SERVER]))?;
    let tools = installation.places().policy_dir.join("tools");
    let mut names = Vec::new();
    for draft in fs::read_dir(tools.join("proposed"))? {
        let draft = draft?.path();
        let name = draft.file_stem().and_then(|stem| stem.to_str()).context("a draft's name")?;
        match output(installation.atf().args(["tools", "approve", name])) {
            Ok(_) => names.push(name.to_owned()),
            // A schema that leaves something open is refused as a pin: the tool is not there then.
            Err(why) => eprintln!("conformance: {name} is no pin: {why:#}"),
        }
    }
    Ok(names)
}

/// Lets the policy know the fixture, and the agent name what is its.
fn allow(installation: &Installation, tools: &[String]) -> Result<()> {
    let path = installation.places().policy_dir.join("data.json");
    let mut data: Value = serde_json::from_slice(&fs::read(&path)?)?;
    for tool in tools {
        data["tools"][tool] = json!({"sql": []});
    }
    data["servers"] = json!({SERVER: {"methods": METHODS, "questions": QUESTIONS}});
    data["seal"]["refusals"] = json!(REFUSALS);
    fs::write(&path, data.to_string())?;
    let prompts = [
        "test_simple_prompt",
        "test_prompt_with_arguments",
        "test_prompt_with_embedded_resource",
        "test_prompt_with_image",
        "test_input_required_result_prompt",
    ]
    .map(|name| format!("{SERVER}.{name}"));
    let manifest = format!(
        "tools = {tools:?}\nprompts = {prompts:?}\nresources = [\"{SERVER}+test://*\"]\n\
         prompt_sha256 = \"{}\"\nquestions = {{ {SERVER} = {QUESTIONS:?} }}\n",
        installation.prompt()
    );
    Ok(fs::write(installation.places().agents_dir.join(format!("{AGENT}.toml")), manifest)?)
}

/// Asks it to end, so that a run's launcher takes its cage away, and waits.
fn end(child: &mut Child) {
    let asked = Pid::from_raw(child.id().cast_signed())
        .map(|process| rustix::process::kill_process(process, Signal::TERM));
    if !matches!(asked, Some(Ok(()))) {
        drop(child.kill());
    }
    drop(child.wait());
}
