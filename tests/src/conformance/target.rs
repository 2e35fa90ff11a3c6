//! The two ends that the suite is pointed at: the fixture's own, and a run's of an ATF with the fixture
//! behind it. Enforcement is on; what is set otherwise than shipped is here.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use super::names::Server;
use super::{Options, outside};
use crate::demo::installation::Installation;
use crate::served;

/// The first of the fixtures' uids.
const UID_FIRST: u32 = 1_910_000_000;

/// The suite sends what is malformed by the dozen, and one run is sealed at the third.
const REFUSALS: u64 = 1_000_000;

/// The methods by which the policy lets the fixture be asked.
const METHODS: [&str; 7] = [
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "completion/complete",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
];

/// The tools whose calls the fixture may defer, by whether it does each of them so. Its list does not say it: in
/// 2026-07-28 none does.
const DEFERS: [(&str, &str); 6] = [
    ("slow_compute", "optional"),
    ("confirm_delete", "optional"),
    ("multi_input", "optional"),
    ("failing_job", "required"),
    ("protocol_error_job", "required"),
    ("test_tool_with_task", "required"),
];

/// What the policy and the token let the fixture ask.
const QUESTIONS: [&str; 3] = ["elicitation/create", "sampling/createMessage", "roots/list"];

/// What a process can be told that it may ask: roots are asked for in no call's name.
const OF_A_PROCESS: [&str; 2] = ["elicitation/create", "sampling/createMessage"];

/// What the policy lets the fixture tell.
const NOTICES: [&str; 2] = ["notifications/progress", "notifications/message"];

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

/// The fixture through ATF, in all ways.
pub(super) struct Through {
    runs: Vec<Child>,
    /// Those that are reached by a URL: each has its own, for its lists change.
    _fixtures: Vec<Direct>,
    _installation: Installation,
    /// Where the injector of each listens.
    pub(super) urls: Vec<(Server, String)>,
}

impl Through {
    /// Starts ATF in `folder` with the fixture behind it in each way, and a run for the injector of each.
    pub(super) fn start(folder: &Path, options: &Options) -> Result<Self> {
        let mut installation =
            Installation::prepare(folder, &options.atf, &options.policies, "CORE")?;
        fs::copy(&options.fixture, folder.join("fixture"))?;
        let mut servers = serde_json::Map::new();
        let (mut tools, mut fixtures) = (Vec::new(), Vec::new());
        for (number, server) in (0..).zip(Server::ALL) {
            let is_stateless = server.is_stateless();
            if server.is_by_url() {
                let fixture = Direct::start(&options.fixture)?;
                let by_url = served::ByUrl {
                    url: fixture.url.clone(),
                    stateless: is_stateless,
                    questions: if is_stateless { &[] } else { &QUESTIONS },
                };
                by_url.put(&installation, server.name())?;
                fixtures.push(fixture);
            } else {
                let mut file = served::Server::new(&folder.join("fixture"), UID_FIRST, number);
                file.stateless = is_stateless;
                file.questions = if is_stateless { &[] } else { &OF_A_PROCESS };
                file.put(&installation, server.name())?;
            }
            let approved = served::approve(&installation, server.name(), |tool, draft| {
                let defers = DEFERS.iter().find(|(name, _)| *name == tool && is_stateless);
                if let Some((_, how)) = defers {
                    draft["execution"] = json!({ "taskSupport": how });
                }
                Ok(())
            })?;
            for (name, why) in approved.refused {
                // A schema that leaves something open is refused as a pin: the tool is not there then.
                eprintln!("conformance: {name} is no pin: {why}");
            }
            tools.extend(approved.tools);
            let may = json!({"methods": METHODS, "questions": QUESTIONS, "notices": NOTICES});
            servers.insert(server.name().to_owned(), may);
        }
        allow(&installation, &tools, servers.into())?;
        Server::ALL.into_iter().try_for_each(|server| employ(&installation, &tools, server))?;
        installation.up(folder)?;
        let program = folder.join("injector");
        fs::copy(&options.own, &program)?;
        let mut through = Self {
            runs: Vec::new(),
            _fixtures: fixtures,
            _installation: installation,
            urls: Vec::new(),
        };
        for server in Server::ALL {
            let url = through.inject(&program, server)?;
            through.urls.push((server, url));
        }
        Ok(through)
    }

    /// Starts the run of one of them with its injector; where that listens.
    fn inject(&mut self, program: &Path, server: Server) -> Result<String> {
        let installation = &self._installation;
        let command = [program.into(), "inside".into(), installation.prompt().into()];
        let shown = [program.to_owned()];
        let words = installation.words(server.name(), "conformance", &shown, &command);
        let mut run = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a run")?;
        let pipes = run.stdin.take().zip(run.stdout.take());
        self.runs.push(run);
        let (to_run, from_run) = pipes.context("the run has no pipes")?;
        outside::serve(server, to_run, from_run)
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        self.runs.iter_mut().for_each(end);
    }
}

/// Lets the policy know the fixture.
fn allow(installation: &Installation, tools: &[String], servers: Value) -> Result<()> {
    served::change_data(installation, |data| {
        for tool in tools {
            data["tools"][tool] = json!({"sql": []});
        }
        data["servers"] = servers;
        data["seal"]["refusals"] = json!(REFUSALS);
        Ok(())
    })
}

/// Lets an agent of the server's name have all that is the server's.
fn employ(installation: &Installation, tools: &[String], server: Server) -> Result<()> {
    let name = server.name();
    let tools: Vec<_> = tools.iter().filter(|tool| tool.split('.').next() == Some(name)).collect();
    let prompts = [
        "test_simple_prompt",
        "test_prompt_with_arguments",
        "test_prompt_with_embedded_resource",
        "test_prompt_with_image",
        "test_input_required_result_prompt",
    ]
    .map(|prompt| format!("{name}.{prompt}"));
    let manifest = format!(
        "tools = {tools:?}\nprompts = {prompts:?}\nresources = [\"{name}+test://*\"]\n\
         prompt_sha256 = \"{}\"\nquestions = {{ {name} = {QUESTIONS:?} }}\n",
        installation.prompt()
    );
    served::write_manifest(installation, name, &manifest)
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
