//! The executor as a whole, and the world that its tests share.

mod by_url;
mod own_tools;
mod permits;
mod servers;
mod turns;

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::*;
use crate::call::{
    CgroupId, Chain, DecisionId, Deferral, Deferred, Digest, Narrowing, Reach, RunId, Target,
};
use crate::identity::{AgreementKey, Claims, Context, Entitlements, Minter, Purpose};
use crate::wire::{
    Answers, Connection, ExecutorReply, ExecutorRequest, MayTell, PermitBody, Receipt, ReceiptBody,
    SentPermit,
};

const PIN: &str = r#"{"name": "TOOL", "inputSchema": {"type": "object"}}"#;

/// What the kernel answers about the seal: a number for each question, in order.
/// 0 is no, 1 is yes, 2 is no answer; after the last, no.
type Seals = Arc<Mutex<Vec<u8>>>;

/// An executor in a directory of its own, and the keys of those who must agree.
struct World {
    _dir: tempfile::TempDir,
    places: Places,
    executor: Arc<Executor>,
    gateway: Arc<AgreementKey>,
    recorder: Arc<AgreementKey>,
    minter: Minter,
    run: RunId,
    cgroup: CgroupId,
    seals: Seals,
    asked: Arc<AtomicUsize>,
}

/// One request before its codes are made: each row changes one thing.
struct Draft {
    claims: Claims,
    permit: PermitBody,
    arguments: Box<RawValue>,
    answers: Option<Box<Answers>>,
    receipt_permit: Option<Digest>,
    durable: bool,
    permit_key: Arc<AgreementKey>,
    receipt_key: Arc<AgreementKey>,
    /// Changes what is sent after its codes are made.
    tamper: fn(&mut ExecutorRequest),
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A key of nobody who is trusted.
fn foreign() -> Arc<AgreementKey> {
    Arc::new(AgreementKey::generate().unwrap())
}

impl World {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With these tool servers: a name and what its file says.
    fn with(servers: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let places = Places {
            run_dir: at("run"),
            state_dir: at("state"),
            policy_dir: at("policy"),
            servers_dir: at("servers"),
            ..Places::default()
        };
        let run = RunId::random();
        let of_run: PathBuf = at("cgroup").join(run.to_string());
        for path in ["policy/tools", "state/executor", "cgroup/other"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        for process in ["gateway", "recorder", "authority", "executor"] {
            std::fs::create_dir_all(places.runtime(process)).unwrap();
        }
        std::fs::create_dir_all(&of_run).unwrap();
        for tool in ["ledger.query", "ledger.adjust", "ledger.other"] {
            let pin = at("policy/tools").join(format!("{tool}.json"));
            std::fs::write(pin, PIN.replace("TOOL", tool)).unwrap();
        }
        for (name, text) in servers {
            std::fs::create_dir_all(&places.servers_dir).unwrap();
            let path = places.servers_dir.join(format!("{name}.toml"));
            crate::state::files::keep_secret(&path, text.as_bytes()).unwrap();
        }
        let servers = Prepared::fork(&places, &Ids::default(), None).unwrap();
        let (gateway, recorder) = (foreign(), foreign());
        let minter = Minter::generate().unwrap();
        std::fs::write(places.permit_key(), gateway.public().hex()).unwrap();
        std::fs::write(places.receipt_key(), recorder.public().hex() + "\n").unwrap();
        std::fs::write(places.jwks(), minter.jwks()).unwrap();
        seed(&at("state/executor/ledger.db")).unwrap();

        let (seals, asked) = (Seals::default(), Arc::new(AtomicUsize::new(0)));
        let (answers, count) = (Arc::clone(&seals), Arc::clone(&asked));
        let kernel = KernelSide {
            sealed: Box::new(move |_| {
                let at = count.fetch_add(1, Ordering::SeqCst);
                match answers.lock().unwrap().get(at) {
                    None | Some(0) => Ok(false),
                    Some(1) => Ok(true),
                    Some(_) => Err("the map is gone".into()),
                }
            }),
            agents: Agents::at(at("cgroup")),
        };
        let parties = Parties { issuer: "issuer".into(), audience: "audience".into() };
        Self {
            executor: Arc::new(
                open(&places, &Settings::default(), &parties, kernel, servers).unwrap(),
            ),
            cgroup: CgroupId(std::fs::metadata(of_run).unwrap().ino()),
            _dir: dir,
            places,
            gateway,
            recorder,
            minter,
            run,
            seals,
            asked,
        }
    }

    /// An honest request.
    fn draft(&self, tool: &str, arguments: &Value) -> Draft {
        let arguments = to_raw_value(arguments).unwrap();
        let pin: Value = serde_json::from_str(&PIN.replace("TOOL", tool)).unwrap();
        let pin = serde_json_canonicalizer::to_vec(&pin).unwrap();
        Draft {
            claims: Claims {
                iss: "issuer".into(),
                sub: "clerk".parse().unwrap(),
                aud: "audience".into(),
                iat: now(),
                nbf: now(),
                exp: now() + 60,
                jti: self.run,
                context: Context { parent_user: "alice".into(), task_id: "T-1".into() },
                entitlements: Entitlements {
                    allowed_tools: ["ledger.query", "ledger.adjust", "ledger.other"]
                        .map(|name| name.parse().unwrap())
                        .to_vec(),
                    narrowing: Narrowing::default(),
                    reach: Reach::default(),
                },
                prompt_integrity_hash: Digest::of(b"prompt"),
                act: Chain::default(),
            },
            permit: PermitBody {
                decision: DecisionId::random(),
                run: self.run,
                cgroup: self.cgroup,
                token: Digest::of(b""),
                target: Target::Tool(tool.parse().unwrap()),
                pin: Some(Digest::of(&pin)),
                arguments: Digest::of(arguments.get().as_bytes()),
                policy: Digest::of(b"policy"),
                nonce: self.executor.checks.nonce,
                expires_unix_s: now() + 10,
                exchange: None,
                may_tell: MayTell::default(),
                defers: None,
                began: None,
                waived: false,
            },
            arguments,
            answers: None,
            receipt_permit: None,
            durable: true,
            permit_key: Arc::clone(&self.gateway),
            receipt_key: Arc::clone(&self.recorder),
            tamper: |_| {},
        }
    }

    fn query(&self) -> Draft {
        self.draft("ledger.query", &json!({"sql": "SELECT id FROM merchants LIMIT 2"}))
    }

    fn sign(&self, draft: Draft) -> ExecutorRequest {
        let token = self.minter.mint(&draft.claims).unwrap();
        let named = draft.permit.token;
        let permit = PermitBody {
            // A row that names another token keeps it.
            token: if named == Digest::of(b"") { Digest::of(token.as_bytes()) } else { named },
            ..draft.permit
        };
        let body = serde_json::to_string(&permit).unwrap();
        let receipt = ReceiptBody {
            seq: 1,
            fingerprint: Digest::of(b"record"),
            permit: draft.receipt_permit.unwrap_or(Digest::of(body.as_bytes())),
            durable: draft.durable,
        };
        let executor = self.executor.checks.nonce.into();
        let key = |of: &AgreementKey, purpose| of.to_reader(purpose, executor).unwrap();
        let permits = key(&draft.permit_key, Purpose::Permit);
        let receipts = key(&draft.receipt_key, Purpose::Receipt);
        let receipt = Receipt { code: receipts.code(&receipt.bytes()), body: receipt };
        let mut request = ExecutorRequest::Execute {
            permit: SentPermit { code: permits.code(body.as_bytes()), body },
            arguments: draft.arguments,
            answers: draft.answers,
            token,
            receipt,
        };
        (draft.tamper)(&mut request);
        request
    }

    fn seals(&self, answers: &[u8]) {
        *self.seals.lock().unwrap() = answers.to_vec();
        self.asked.store(0, Ordering::SeqCst);
    }

    fn execute(&self, draft: Draft) -> ExecutorReply {
        self.ask(self.sign(draft))
    }

    fn ask(&self, request: ExecutorRequest) -> ExecutorReply {
        let (give, given) = std::sync::mpsc::channel();
        let reply = outcome::Reply::new(move |reply| give.send(reply).unwrap());
        self.executor.answer(request, reply);
        given.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    #[track_caller]
    fn result(&self, draft: Draft) -> Value {
        match self.execute(draft) {
            ExecutorReply::Result { result } => serde_json::from_str(result.get()).unwrap(),
            other => panic!("expected a result, found {other:?}"),
        }
    }

    #[track_caller]
    fn refused(&self, draft: Draft) -> String {
        match self.execute(draft) {
            ExecutorReply::Refused { why } => why.to_string(),
            other => panic!("expected a refusal, found {other:?}"),
        }
    }

    fn amount(&self, entry: i64) -> i64 {
        let path = self.places.state("executor").join("ledger.db");
        let db = rusqlite::Connection::open(path).unwrap();
        let sql = "SELECT amount_cents FROM ledger_entries WHERE id = ?1";
        db.query_row(sql, [entry], |row| row.get(0)).unwrap()
    }
}

#[test]
fn only_the_gateway_s_uid_is_heard() {
    let world = World::new();
    let uid = rustix::process::geteuid().as_raw();
    for (gateway, heard) in [(uid, true), (uid.wrapping_add(1), false)] {
        let (places, ids) = (world.places.clone(), Ids { gateway, ..Ids::default() });
        let kernel =
            KernelSide { sealed: Box::new(|_| Ok(false)), agents: Agents::at("/nowhere".into()) };
        let parties = Parties { issuer: "i".into(), audience: "a".into() };
        let _old = std::fs::remove_file(places.executor_socket());
        let socket = places.executor_socket();
        std::thread::spawn(move || {
            serve(&places, &ids, &Settings::default(), &parties, kernel, Prepared::none())
        });
        let until = std::time::Instant::now() + Duration::from_secs(10);
        let mut peer: Connection<ExecutorRequest, ExecutorReply> = loop {
            match Connection::open(&socket, Duration::from_secs(10)) {
                Ok(peer) => break peer,
                Err(error) if std::time::Instant::now() > until => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let hello = peer.ask(&ExecutorRequest::Hello);
        assert_eq!(hello.is_ok(), heard, "{hello:?}");
    }
}
