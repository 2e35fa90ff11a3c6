//! A gateway on real sockets in a directory of its own, between doubles of its neighbours.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;

use super::super::http::Patience;
use super::super::{Gateway, Settings, TokenProfile};
use super::doubles::{AuthorityDouble, ExecutorDouble, RecorderDouble};
use super::kernel::KernelInMemory;
use crate::audit::{Call, Event, Outcome, Verdict};
use crate::call::{CgroupId, Chain, Digest, Named, Narrowing, Question, Questions, Reach, RunId};
use crate::gate;
use crate::identity::{Claims, Context, Entitlements, Minter};
use crate::wire::{Ids, Places, Registry, RegistryAck, RunEntry};

pub(crate) const ISSUER: &str = "https://authority.test";
pub(crate) const AUDIENCE: &str = "gateway.test";

pub(crate) struct Lab {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) authority: AuthorityDouble,
    pub(crate) recorder: Arc<RecorderDouble>,
    pub(crate) executor: Arc<ExecutorDouble>,
    pub(crate) kernel: Arc<KernelInMemory>,
    pub(crate) places: Places,
    minter: Minter,
    _tasks: tokio::task::JoinSet<()>,
    _dir: TempDir,
}

/// What a test may want otherwise.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) settings: Settings,
    pub(crate) patience: Patience,
    /// The servers in the policy's data.
    pub(crate) servers: Option<serde_json::Value>,
    /// Another policy than the shipped one.
    pub(crate) policy_dir: Option<PathBuf>,
    /// Who may have signed it.
    pub(crate) signers: gate::Signers,
    /// `None` when the kernel has layer B, else the agents' cgroup.
    pub(crate) agents_dir: Option<PathBuf>,
    /// Members of `limits` in the policy's data, besides the shipped ones or in their place.
    pub(crate) limits: Option<serde_json::Value>,
}

/// A live run of the lab.
pub(crate) struct LabRun {
    pub(crate) entry: RunEntry,
    pub(crate) socket: PathBuf,
    pub(crate) lines: PathBuf,
    pub(crate) token: String,
}

/// One key for all labs of this process: making one takes longer than a test.
fn minter() -> Minter {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    let key = KEY.get_or_init(|| Minter::generate().unwrap().pkcs8());
    Minter::from_pkcs8(key).unwrap()
}

/// The shipped policy, or a copy below `dir` with other limits and servers.
fn policies(
    dir: &Path,
    limits: Option<serde_json::Value>,
    servers: Option<serde_json::Value>,
) -> PathBuf {
    let shipped = shipped();
    if limits.is_none() && servers.is_none() {
        return shipped;
    }
    let to = dir.join("policies");
    copy(&to, |data| {
        if let Some(serde_json::Value::Object(limits)) = &limits {
            data["limits"].as_object_mut().unwrap().extend(limits.clone());
        }
        if let Some(servers) = &servers {
            data["servers"] = servers.clone();
        }
    });
    to
}

/// A copy of the shipped policy with other data.
pub(crate) fn copy(to: &Path, change: impl Fn(&mut serde_json::Value)) {
    let shipped = shipped();
    for below in ["atf", "tools"] {
        std::fs::create_dir_all(to.join(below)).unwrap();
        for entry in std::fs::read_dir(shipped.join(below)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join(below).join(path.file_name().unwrap())).unwrap();
        }
    }
    let data = std::fs::read_to_string(shipped.join("data.json")).unwrap();
    let mut data: serde_json::Value = serde_json::from_str(&data).unwrap();
    change(&mut data);
    std::fs::write(to.join("data.json"), data.to_string()).unwrap();
}

/// What the tokens of the lab reach besides tools.
pub(crate) fn reach() -> Reach {
    Reach {
        prompts: vec!["files.review".parse().unwrap()],
        resources: vec!["files+file:///srv/books/*".parse().unwrap()],
        questions: ["files", "ledger"]
            .map(|server| (server.to_owned(), Questions::from([Question::Elicitation])))
            .into(),
    }
}

/// The shipped policy.
pub(crate) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// The prompt of every run of the lab.
pub(crate) fn prompt() -> Digest {
    Digest::of(b"be honest")
}

impl Lab {
    pub(crate) async fn start(wanted: Wanted) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let places = Places {
            run_dir: at("run"),
            state_dir: at("state"),
            policy_dir: wanted
                .policy_dir
                .unwrap_or_else(|| policies(dir.path(), wanted.limits, wanted.servers)),
            agents_dir: at("agents"),
            servers_dir: at("servers"),
            pin_dir: at("pins"),
        };
        for process in ["authority", "recorder", "executor", "gateway"] {
            std::fs::create_dir_all(places.runtime(process)).unwrap();
        }
        let minter = minter();
        std::fs::write(places.jwks(), minter.jwks()).unwrap();
        let authority = AuthorityDouble::start(&places.authority_socket());
        let recorder = RecorderDouble::start(&places.recorder_socket());
        let executor = ExecutorDouble::start(&places.executor_socket());
        let kernel = Arc::new(KernelInMemory::default());
        let ids = Ids { authority: rustix::process::geteuid().as_raw(), ..Ids::default() };
        let profile = TokenProfile { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() };
        let layer_b = wanted.agents_dir.is_none();
        let agents_dir = wanted.agents_dir.unwrap_or_else(cgroup2);
        let side = kernel.side(layer_b, agents_dir);
        let mut gateway =
            Gateway::new(places.clone(), ids, wanted.settings, profile, wanted.signers, side)
                .unwrap();
        gateway.patience = wanted.patience;
        let gateway = Arc::new(gateway);
        let tasks = gateway.start().unwrap();
        assert!(matches!(authority.ack(), RegistryAck::Done));
        Self {
            gateway,
            authority,
            recorder,
            executor,
            kernel,
            places,
            minter,
            _tasks: tasks,
            _dir: dir,
        }
    }

    /// A run of this process's user with a token for `tools`.
    pub(crate) fn run(&self, tools: &[&str]) -> LabRun {
        static CGROUPS: AtomicU64 = AtomicU64::new(1_000);
        let cgroup = CgroupId(CGROUPS.fetch_add(1, Ordering::SeqCst));
        let uid = rustix::process::geteuid().as_raw();
        self.run_of(RunId::random(), cgroup, uid, tools)
    }

    pub(crate) fn run_of(&self, run: RunId, cgroup: CgroupId, uid: u32, tools: &[&str]) -> LabRun {
        self.run_named(run, cgroup, uid, (tools, gate::name(&[])))
    }

    /// A run whose task names something.
    pub(crate) fn run_named(
        &self,
        run: RunId,
        cgroup: CgroupId,
        uid: u32,
        (tools, named): (&[&str], Named),
    ) -> LabRun {
        std::fs::create_dir_all(self.places.run_gateway(run)).unwrap();
        let entry = RunEntry {
            run,
            cgroup,
            uid,
            agent: "clerk".parse().unwrap(),
            user: "alice@example.org".into(),
            task: "reconcile".into(),
            prompt: prompt(),
            end_boot_ms: u64::MAX,
            sealed: false,
        };
        let (socket, lines) = (self.places.run_socket(run), self.places.run_lines(run));
        for door in [&socket, &lines] {
            self.kernel.stamps.lock().unwrap().insert(door.clone(), cgroup);
        }
        let live = &self.authority.live;
        live.lock().unwrap().push(entry.clone());
        let opened = self.authority.tell(Registry::Open { entry: entry.clone(), named });
        assert!(matches!(opened, RegistryAck::Done), "{opened:?}");
        LabRun { token: self.token(&entry, tools, |_| {}), entry, socket, lines }
    }

    /// A token of `entry`'s run for `tools`, with `change` applied to its claims.
    pub(crate) fn token(
        &self,
        entry: &RunEntry,
        tools: &[&str],
        change: impl FnOnce(&mut Claims),
    ) -> String {
        let mut claims = self.claims(entry, tools);
        change(&mut claims);
        self.minter.mint(&claims).unwrap()
    }

    /// The claims of an honest token.
    pub(crate) fn claims(&self, entry: &RunEntry, tools: &[&str]) -> Claims {
        let now = now_unix_s();
        Claims {
            iss: ISSUER.to_owned(),
            sub: entry.agent.clone(),
            aud: AUDIENCE.to_owned(),
            iat: now,
            nbf: now,
            exp: now + 300,
            jti: entry.run,
            context: Context { parent_user: entry.user.clone(), task_id: entry.task.clone() },
            entitlements: Entitlements {
                allowed_tools: tools.iter().map(|tool| tool.parse().unwrap()).collect(),
                narrowing: Narrowing::default(),
                reach: reach(),
            },
            prompt_integrity_hash: entry.prompt,
            act: Chain::default(),
        }
    }

    /// The events so far, but for the gateway's start.
    pub(crate) fn events(&self) -> Vec<Event> {
        let events = self.recorder.events.lock().unwrap();
        let told = events.iter().filter(|e| !matches!(e, Event::Started { .. }));
        told.cloned().collect()
    }

    /// The only decision in the log.
    #[track_caller]
    pub(crate) fn decided(&self) -> (Call, Verdict) {
        let decided = |event| match event {
            Event::Decided { call, verdict } => Some((*call, verdict)),
            _ => None,
        };
        let mut all: Vec<_> = self.events().into_iter().filter_map(decided).collect();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// What became of the permits.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let settled = |event| match event {
            Event::Settled { outcome, .. } => Some(outcome),
            _ => None,
        };
        self.events().into_iter().filter_map(settled).collect()
    }

    /// Waits until `found` gives something; the calls run detached from their connections.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut found: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        for _ in 0..500 {
            if let Some(found) = found(self) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not happen: {what}; events: {:#?}", self.events());
    }
}

pub(crate) fn now_unix_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// The mount point of cgroup2 on this host.
pub(crate) fn cgroup2() -> PathBuf {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mountinfo
        .lines()
        .find(|line| line.contains(" - cgroup2 "))
        .expect("these tests need a mount of cgroup2");
    line.split(' ').nth(4).unwrap().into()
}
