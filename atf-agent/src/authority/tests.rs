use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use atf_common::mode::Mode;
use atf_common::records::{Run, State};

use super::requests::Asker;
use super::*;
use crate::audit::Event;
use crate::call::{Approvable, Approval, CgroupId, Digest, RunId, Standing};
use crate::identity::Verifier;
use crate::wire::{
    AuthorityReply, AuthorityRequest, Connection, Mandate, RecorderReply, RecorderRequest,
    Registry as Change, RegistryAck, RunEntry, Token,
};

/// A map of runs as the kernel would keep it.
type Map = Arc<Mutex<BTreeMap<u64, (Run, State)>>>;

/// An authority in a directory of its own, with doubles of the kernel, the gateway and the recorder.
struct World {
    dir: tempfile::TempDir,
    places: Places,
    ids: Ids,
    map: Map,
    kernel_fails: Arc<AtomicBool>,
    gateway_fails: Arc<AtomicBool>,
    recorder_fails: Arc<AtomicBool>,
    events: Arc<Mutex<Vec<Event>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let places = Places {
            run_dir: at("run"),
            state_dir: at("state"),
            agents_dir: at("agents"),
            ..Places::default()
        };
        for path in ["agents", "cgroup", "run/recorder", "run/authority"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        let manifest =
            format!("tools = [\"ledger.query\"]\nprompt_sha256 = \"{}\"\n", Digest::of(b"prompt"));
        std::fs::write(at("agents/clerk.toml"), manifest).unwrap();
        let world = Self {
            ids: Ids {
                gateway: rustix::process::geteuid().as_raw(),
                pool_size: 2,
                ..Ids::default()
            },
            dir,
            places,
            map: Map::default(),
            kernel_fails: Arc::default(),
            gateway_fails: Arc::default(),
            recorder_fails: Arc::default(),
            events: Arc::default(),
            told: Arc::default(),
        };
        world.recorder();
        world
    }

    /// A recorder that keeps what it hears.
    fn recorder(&self) {
        let listener = UnixListener::bind(self.places.recorder_socket()).unwrap();
        let (events, fails) = (Arc::clone(&self.events), Arc::clone(&self.recorder_fails));
        std::thread::spawn(move || {
            wire::serve(
                &listener,
                |_| true,
                move |mut server| {
                    while let Ok(Some((number, RecorderRequest::Append { event, .. }))) =
                        server.hear()
                    {
                        let reply = if fails.load(Ordering::SeqCst) {
                            RecorderReply::Refused { why: "full".into() }
                        } else {
                            let mut events = events.lock().unwrap();
                            events.push(*event);
                            RecorderReply::Recorded { receipt: None }
                        };
                        server.answer(number, &reply).unwrap();
                    }
                },
            )
        });
    }

    fn kernel(&self) -> KernelSide {
        let (map, fails) = (&self.map, &self.kernel_fails);
        let write = |new: bool| {
            let (map, fails) = (Arc::clone(map), Arc::clone(fails));
            Box::new(move |cgroup: CgroupId, run| {
                let mut map = map.lock().unwrap();
                if fails.load(Ordering::SeqCst) || map.contains_key(&cgroup.0) == new {
                    return Err("the map says no".into());
                }
                let state = map.get(&cgroup.0).map(|at| at.1).unwrap_or_default();
                map.insert(cgroup.0, (run, state));
                Ok(())
            })
        };
        let shared = || Arc::clone(map);
        let (state, latched, removed, all) = (shared(), shared(), shared(), shared());
        KernelSide {
            admit: write(true),
            extend: write(false),
            state: Box::new(move |cgroup| Ok(state.lock().unwrap().get(&cgroup.0).map(|at| at.1))),
            unlatch: Box::new(move |cgroup| {
                let mut map = latched.lock().unwrap();
                map.get_mut(&cgroup.0).ok_or("no run")?.1.latched_boot_ns = 0;
                Ok(())
            }),
            remove: Box::new(move |cgroup| {
                removed.lock().unwrap().remove(&cgroup.0);
                Ok(())
            }),
            all: Box::new(move || Ok(all.lock().unwrap().keys().copied().map(CgroupId).collect())),
            mode: Box::new(|| Ok(Mode::Observe)),
            agents_dir: self.dir.path().join("cgroup"),
        }
    }

    /// An authority that listens, and a gateway that has subscribed to it.
    fn start(&self) -> Arc<InTurn<Authority>> {
        let authority =
            start::open(&self.places, &self.ids, &Settings::default(), self.kernel()).unwrap();
        let (authority, subscribers) = (Arc::new(InTurn::new(authority)), InTurn::new(()));
        // One before it has ended, and only a thread of this process still listens for it.
        let _none = std::fs::remove_file(self.places.authority_socket());
        let listener = wire::listen(&self.places.authority_socket()).unwrap();
        let served = Arc::clone(&authority);
        std::thread::spawn(move || {
            wire::serve(&listener, |_| true, move |s| requests::attend(s, &served, &subscribers))
        });
        self.subscribe();
        authority
    }

    /// A gateway that notes what it is told; returns when it has taken the snapshot.
    fn subscribe(&self) {
        let (told, fails) = (Arc::clone(&self.told), Arc::clone(&self.gateway_fails));
        let path = self.places.authority_socket();
        let (ready, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || gateway(&path, &told, &fails, &ready));
        wait.recv().unwrap();
    }

    fn cgroup(&self, run: RunId) -> CgroupId {
        let path = self.dir.path().join("cgroup").join(run.to_string());
        std::fs::create_dir_all(&path).unwrap();
        CgroupId(std::fs::metadata(path).unwrap().ino())
    }

    fn register(&self, run: RunId) -> AuthorityRequest {
        AuthorityRequest::Register {
            run,
            cgroup: self.cgroup(run),
            agent: "clerk".parse().unwrap(),
            mandate: Mandate::Person {
                user: "alice".into(),
                task: "T-1".into(),
                named: crate::call::Named::nothing(),
            },
            prompt: Digest::of(b"prompt"),
            lifetime_s: Some(60),
            network: None,
        }
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    fn kinds(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        let kind = |event| {
            let json = serde_json::to_value(event).unwrap();
            json["event"].as_str().unwrap().to_owned()
        };
        events.into_iter().map(kind).collect()
    }
}

/// Frames by hand: a subscriber's connection carries changes one way and acks the other.
fn gateway(
    path: &Path,
    told: &Mutex<Vec<String>>,
    fails: &AtomicBool,
    ready: &std::sync::mpsc::Sender<()>,
) {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(&frame(1, &AuthorityRequest::Subscribe)).unwrap();
    let mut header = [0; 16];
    while stream.read_exact(&mut header).is_ok() {
        let number = u64::from_le_bytes(header[8..].try_into().unwrap());
        let length = u32::from_le_bytes(header[4..8].try_into().unwrap());
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).unwrap();
        let change: Change = serde_json::from_slice(&body).unwrap();
        let ack = if fails.load(Ordering::SeqCst) {
            RegistryAck::Failed { why: "no".into() }
        } else if matches!(change, Change::Approvals) {
            RegistryAck::Approvals { approvals: approvals() }
        } else if matches!(change, Change::HeldBack) {
            RegistryAck::HeldBack { runs: Vec::new() }
        } else {
            RegistryAck::Done
        };
        let change_told = match &change {
            Change::Snapshot { runs } => Some(format!("snapshot {}", runs.len())),
            Change::Open { .. } => Some("open".into()),
            Change::Named { .. } => Some("named".into()),
            Change::Close { .. } => Some("close".into()),
            Change::Release { .. } => Some("release".into()),
            Change::Answer { decision, granted, approver } => {
                Some(format!("answer {decision} {granted} {:?}", approver.login_uid))
            }
            Change::Reload { revision } => Some(format!("reload {revision}")),
            Change::HeldBack | Change::Approvals => None,
        };
        told.lock().unwrap().extend(change_told);
        stream.write_all(&frame(number, &ack)).unwrap();
        if matches!(change, Change::Snapshot { .. }) {
            ready.send(()).unwrap();
        }
    }
}

fn frame(number: u64, message: &impl serde::Serialize) -> Vec<u8> {
    let body = serde_json::to_vec(message).unwrap();
    let length = u32::try_from(body.len()).unwrap();
    let mut frame = vec![wire::VERSION, 0, 0, 0];
    frame.extend(length.to_le_bytes());
    frame.extend(number.to_le_bytes());
    frame.extend(body);
    frame
}

/// Root, who logged in as somebody else.
const ROOT: Asker = Asker { uid: 0, login: Ok(Some(1_000)) };

/// One call waits for a person's word, and one was denied.
fn approvals() -> Vec<Approval> {
    let of = |decision: char, standing| Approval {
        decision: decision.to_string().repeat(32).parse().unwrap(),
        of: Approvable {
            call: Digest::of(b"call"),
            policy: Digest::of(b"policy"),
            run: RunId::random(),
            target: "ledger.adjust".into(),
            arguments: "{}".into(),
            agent: "clerk".parse().unwrap(),
            user: "alice".into(),
            task: "T-1".into(),
            may_grant: None,
        },
        standing,
        approver: None,
        left_ms: 1_000,
    };
    vec![of('a', Standing::Pending), of('b', Standing::Denied)]
}

fn ask(authority: &InTurn<Authority>, request: AuthorityRequest) -> Result<AuthorityReply, String> {
    ask_as(authority, ROOT, request)
}

fn ask_as(
    authority: &InTurn<Authority>,
    asker: Asker,
    request: AuthorityRequest,
) -> Result<AuthorityReply, String> {
    turn(authority).answer(asker, request).map_err(|e| e.to_string())
}

#[track_caller]
fn registered(reply: Result<AuthorityReply, String>) -> (u32, Token) {
    match reply {
        Ok(AuthorityReply::Registered { uid, token }) => (uid, token),
        other => panic!("expected a registered run, found {other:?}"),
    }
}

fn runs(authority: &InTurn<Authority>) -> Vec<RunEntry> {
    match ask(authority, AuthorityRequest::Runs) {
        Ok(AuthorityReply::Runs { runs, .. }) => runs,
        other => panic!("expected the runs, found {other:?}"),
    }
}

#[test]
fn a_run_is_registered_renewed_released_and_ended() {
    let world = World::new();
    let authority = world.start();
    let run = RunId::random();
    let (uid, token) = registered(ask(&authority, world.register(run)));
    assert_eq!(uid, world.ids.pool_first);
    assert_eq!(world.told(), ["snapshot 0", "open"]);
    assert_eq!(world.kinds(), ["started", "run_registered", "token_minted"]);
    let settings = Settings::default();
    let jwks = std::fs::read_to_string(world.places.jwks()).unwrap();
    let verifier = Verifier::from_jwks(&jwks, &settings.issuer, &settings.audience).unwrap();
    let claims = verifier.verify(&token.jwt, clock::now_unix_s()).unwrap();
    assert_eq!(claims.jti, run);
    assert!(claims.names(&"ledger.query".parse().unwrap()));
    // 60 s of life, one millisecond of which is gone: no renewal would be longer.
    assert_eq!(token.renew_in_s, 0);

    let cgroup = world.cgroup(run);
    assert!(matches!(
        ask(&authority, AuthorityRequest::Renew { run }),
        Ok(AuthorityReply::Renewed { .. })
    ));
    world.map.lock().unwrap().get_mut(&cgroup.0).unwrap().1.latched_boot_ns = 5;
    assert!(runs(&authority)[0].sealed);
    for expected in [true, false] {
        let released = ask(&authority, AuthorityRequest::Release { run });
        assert!(matches!(released, Ok(AuthorityReply::Was { sealed }) if sealed == expected));
    }
    assert!(!runs(&authority)[0].sealed);
    world.map.lock().unwrap().get_mut(&cgroup.0).unwrap().1.vectors[1].denied = 3;
    world.map.lock().unwrap().get_mut(&cgroup.0).unwrap().1.latched_boot_ns = 6;
    for expected in [true, false] {
        let how = "exit 0".into();
        let ended = ask(&authority, AuthorityRequest::End { run, how, refused: None });
        assert!(matches!(ended, Ok(AuthorityReply::Was { sealed }) if sealed == expected));
    }
    assert_eq!(world.told(), ["release", "release", "close"]);
    let Some(Event::RunEnded { kernel, .. }) = world.events.lock().unwrap().last().cloned() else {
        panic!("the end is not in the log");
    };
    assert_eq!(kernel, [("connect4".to_owned(), [0, 3, 0, 0, 0, 0])]);
    assert_eq!(world.kinds(), ["token_minted", "released", "released", "run_ended"]);
    assert!(world.map.lock().unwrap().is_empty());
    assert!(ask(&authority, AuthorityRequest::Renew { run }).is_err());
}

#[path = "answer_tests.rs"]
mod answers;
#[path = "burst_tests.rs"]
mod burst;
#[path = "delegation_tests.rs"]
mod delegation;
#[path = "network_tests.rs"]
mod network;
#[path = "refusal_tests.rs"]
mod refusals;
#[path = "restart_tests.rs"]
mod restart;
