mod by_url;
mod servers;

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::*;
use crate::call::{CgroupId, Chain, DecisionId, Narrowing, Reach, RunId, Target};
use crate::identity::{Claims, Context, Entitlements, Minter, SigningKey};
use crate::wire::{
    Answers, Connection, ExecutorReply, ExecutorRequest, MayTell, PermitBody, Receipt, SignedPermit,
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
    gateway: SigningKey,
    recorder: SigningKey,
    minter: Minter,
    run: RunId,
    cgroup: CgroupId,
    seals: Seals,
    asked: Arc<AtomicUsize>,
}

/// One request before it is signed: each row changes one thing.
struct Draft {
    claims: Claims,
    permit: PermitBody,
    arguments: Box<RawValue>,
    answers: Option<Box<Answers>>,
    receipt_permit: Option<Digest>,
    durable: bool,
    permit_key: SigningKey,
    receipt_key: SigningKey,
    /// Changes what is sent after everything is signed.
    tamper: fn(&mut ExecutorRequest),
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn clone(key: &SigningKey) -> SigningKey {
    SigningKey::from_pkcs8(&key.pkcs8()).unwrap()
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
        let (gateway, recorder) =
            (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let minter = Minter::generate().unwrap();
        std::fs::write(places.permit_key(), gateway.public_hex()).unwrap();
        std::fs::write(places.log_key(), recorder.public_hex() + "\n").unwrap();
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
            agents_dir: at("cgroup"),
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
                waived: false,
            },
            arguments,
            answers: None,
            receipt_permit: None,
            durable: true,
            permit_key: clone(&self.gateway),
            receipt_key: clone(&self.recorder),
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
        let mut receipt = Receipt {
            seq: 1,
            fingerprint: Digest::of(b"record"),
            permit: draft.receipt_permit.unwrap_or(Digest::of(body.as_bytes())),
            durable: draft.durable,
            signature: String::new(),
        };
        receipt.signature = draft.receipt_key.sign(&receipt.signed_bytes());
        let mut request = ExecutorRequest::Execute {
            permit: SignedPermit { signature: draft.permit_key.sign(body.as_bytes()), body },
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
fn an_honest_permit_is_acted_on_and_only_once() {
    let world = World::new();
    let first = world.sign(world.query());
    let again = serde_json::from_slice(&serde_json::to_vec(&first).unwrap()).unwrap();
    let ExecutorReply::Result { result } = world.ask(first) else {
        panic!("not acted on");
    };
    let result: Value = serde_json::from_str(result.get()).unwrap();
    assert_eq!(result["structuredContent"]["rows"], json!([[1], [2]]));
    assert_eq!(result["isError"], false);
    let ExecutorReply::Refused { why } = world.ask(again) else {
        panic!("acted on twice");
    };
    assert!(why.raw().contains("was used"), "{why}");
}

/// One change to an honest request, and why it is refused then.
type Row<'a> = (&'a dyn Fn(&mut Draft), &'a str);

/// Each row is refused for its own reason, and an honest request beside it is not.
#[track_caller]
fn check(world: &World, rows: &[Row<'_>]) {
    for (change, why) in rows {
        let mut draft = world.query();
        change(&mut draft);
        let found = world.refused(draft);
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
        let control = world.result(world.query());
        assert_eq!(control["isError"], false, "the control of {why:?}");
    }
}

#[test]
fn a_permit_that_is_not_the_gateway_s_of_now_and_here_is_refused() {
    let world = World::new();
    let at = now();
    check(
        &world,
        &[
            (&|d| d.permit_key = foreign(), "permit's signature"),
            (&|d| d.permit_key = clone(&world.recorder), "permit's signature"),
            (&|d| d.tamper = |r| body(r, |b| b.push(' ')), "permit's signature"),
            (&|d| d.permit.nonce = Digest::of(b"before"), "nonce"),
            (&|d| d.permit.expires_unix_s = at, "expires"),
            (&|d| d.permit.expires_unix_s = at + 3_600, "expires"),
            (&|d| d.permit.arguments = Digest::of(b"{}"), "arguments"),
            (&|d| d.tamper = |r| arguments(r, r#"{"sql":"SELECT 1"}"#), "arguments"),
            (&|d| d.permit.pin = Some(Digest::of(b"pin")), "pin"),
            (&|d| d.permit.cgroup.0 += 1, "cgroup"),
            (&|d| other_run(d, RunId::random()), "cgroup"),
        ],
    );
    let other = world.draft("ledger.other", &json!({}));
    assert!(world.refused(other).contains("not one of this executor's"));
}

#[test]
fn a_token_that_is_not_the_run_s_of_now_and_for_this_tool_is_refused() {
    let world = World::new();
    check(
        &world,
        &[
            (&|d| d.permit.token = Digest::of(b"other"), "not the one that the permit names"),
            (&|d| d.claims.aud = "elsewhere".into(), "token is not good"),
            (&|d| d.claims.iss = "somebody".into(), "token is not good"),
            (&expire, "token is not good"),
            (&|d| d.claims.jti = RunId::random(), "of run"),
            (&|d| d.claims.entitlements.allowed_tools.truncate(0), "does not name ledger.query"),
            (
                &|d| d.permit.target = Target::Tool("ledger.none".parse().unwrap()),
                "does not name ledger.none",
            ),
            (&|d| d.claims.entitlements.narrowing = narrowed("99"), "does not allow these"),
        ],
    );
}

/// The amount of an adjustment is at most this. The drafts adjust by 100 or query.
fn narrowed(most: &str) -> Narrowing {
    let properties = format!(r#"{{"amount_cents":{{"maximum":{most}}},"sql":{{"maxLength":5}}}}"#);
    let fragment = format!(r#"[{{"properties":{properties}}}]"#);
    let tools = format!(r#"{{"ledger.adjust":{fragment},"ledger.query":{fragment}}}"#);
    serde_json::from_str(&tools).unwrap()
}

#[test]
fn a_receipt_that_is_not_the_recorder_s_for_this_permit_is_refused() {
    let world = World::new();
    check(
        &world,
        &[
            (&|d| d.receipt_key = foreign(), "receipt's signature"),
            (&|d| d.receipt_key = clone(&world.gateway), "receipt's signature"),
            (&|d| d.tamper = |r| receipt(r, |receipt| receipt.seq += 1), "receipt's signature"),
            (
                &|d| d.tamper = |r| receipt(r, |receipt| receipt.permit = Digest::of(b"")),
                "receipt's signature",
            ),
            (&|d| d.receipt_permit = Some(Digest::of(b"other")), "not for this permit"),
            (&|d| d.durable = false, "queued"),
        ],
    );
}

#[test]
fn a_sealed_run_and_a_kernel_that_does_not_say_are_refused() {
    let world = World::new();
    for (answers, why) in
        [(&[1][..], "kernel says so"), (&[2], "map is gone"), (&[0, 1], "kernel says so")]
    {
        world.seals(answers);
        let found = world.refused(world.query());
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
        assert_eq!(world.result(world.query())["isError"], false, "the control");
    }
}

fn foreign() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn other_run(draft: &mut Draft, run: RunId) {
    draft.permit.run = run;
    draft.claims.jti = run;
}

fn expire(draft: &mut Draft) {
    draft.claims.iat -= 200;
    draft.claims.nbf -= 200;
    draft.claims.exp -= 100;
}

fn body(request: &mut ExecutorRequest, change: impl Fn(&mut String)) {
    if let ExecutorRequest::Execute { permit, .. } = request {
        change(&mut permit.body);
    }
}

fn receipt(request: &mut ExecutorRequest, change: impl Fn(&mut Receipt)) {
    if let ExecutorRequest::Execute { receipt, .. } = request {
        change(receipt);
    }
}

fn arguments(request: &mut ExecutorRequest, other: &str) {
    if let ExecutorRequest::Execute { arguments, .. } = request {
        *arguments = RawValue::from_string(other.to_owned()).unwrap();
    }
}

#[test]
fn keys_and_pins_are_read_again_when_they_change_and_missed_when_they_are_gone() {
    let mut world = World::new();
    assert_eq!(world.result(world.query())["isError"], false, "the control");
    let pin = world.places.policy_dir.join("tools/ledger.query.json");
    let good = std::fs::read(&pin).unwrap();
    std::fs::write(&pin, r#"{"name": "ledger.query", "inputSchema": {"type": "array"}}"#).unwrap();
    assert!(world.refused(world.query()).contains("pin"));
    std::fs::write(&pin, good).unwrap();
    assert_eq!(world.result(world.query())["isError"], false, "the control");

    world.gateway = SigningKey::generate().unwrap();
    assert!(world.refused(world.query()).contains("permit's signature"));
    crate::state::files::publish(&world.places.permit_key(), world.gateway.public_hex().as_bytes())
        .unwrap();
    assert_eq!(world.result(world.query())["isError"], false, "the new key");
    for path in [world.places.jwks(), world.places.log_key(), world.places.permit_key()] {
        let good = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(world.refused(world.query()).contains("cannot trust"));
        std::fs::write(&path, good).unwrap();
    }
}

#[test]
fn sqlite_itself_lets_nothing_but_a_plain_query_through() {
    let world = World::new();
    let run = |sql: &str| world.result(world.draft("ledger.query", &json!({"sql": sql})));
    for good in [
        "SELECT * FROM merchants",
        "SELECT count(*) FROM ledger_entries",
        "SELECT m.name, sum(e.amount_cents) AS total FROM ledger_entries e
         JOIN merchants m ON m.id = e.merchant_id WHERE e.status LIKE 's%'
         GROUP BY m.name HAVING count(*) > 1 ORDER BY total DESC LIMIT 3",
        "WITH big AS (SELECT id FROM ledger_entries WHERE amount_cents > 5) SELECT count(*) FROM big",
        "SELECT id FROM merchants;",
    ] {
        assert_eq!(run(good)["isError"], false, "{good}: {}", run(good));
    }
    for bad in [
        "SELECT * FROM api_keys",
        "SELECT (SELECT secret FROM api_keys) FROM merchants",
        "SELECT name FROM sqlite_master",
        "SELECT * FROM adjustments",
        "SELECT * FROM pragma_table_info('api_keys')",
        "DELETE FROM merchants",
        "DROP TABLE merchants",
        "UPDATE merchants SET name = 'x' RETURNING name",
        "SELECT 1; DROP TABLE merchants",
        "PRAGMA query_only = 0",
        "ATTACH 'x.db' AS x",
        "VACUUM INTO '/tmp/x'",
        "BEGIN",
        "SELECT load_extension('x')",
        "SELECT randomblob(1000000000)",
        "SELECT sqlite_version()",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "",
        "-- nothing",
    ] {
        let result = run(bad);
        assert_eq!(result["isError"], true, "{bad}: {result}");
    }
    assert_eq!(world.amount(1), 8_019, "and nothing changed");
}

#[test]
fn a_query_is_cut_short_by_rows_and_by_time() {
    let world = World::new();
    let many = json!({"sql": "SELECT a.id FROM ledger_entries a, ledger_entries b"});
    let cut = world.result(world.draft("ledger.query", &many));
    assert_eq!(cut["structuredContent"]["truncated"], true);
    assert_eq!(cut["structuredContent"]["rows"].as_array().unwrap().len(), 1_000);

    let settings = Settings { query_timeout_ms: 50, ..Settings::default() };
    let path = world.places.state("executor").join("ledger.db");
    let ledger = ledger::Ledger::open(&path, &settings).unwrap();
    let slow = "SELECT count(*) FROM ledger_entries a, ledger_entries b, ledger_entries c,
        ledger_entries d";
    let arguments = json!({"sql": slow}).to_string();
    let outcome::Outcome::Answered(result) = ledger.query(&arguments, &|| Ok(())) else {
        panic!("no answer");
    };
    assert!(result.get().contains("interrupted"), "{result}");
}

#[test]
fn an_adjustment_is_kept_whole_or_not_at_all() {
    let world = World::new();
    let adjust = |entry: i64, cents: i64| {
        let arguments = json!({"entry_id": entry, "amount_cents": cents, "reason": "a'); DROP --"});
        world.draft("ledger.adjust", &arguments)
    };
    let before = world.amount(7);
    let result = world.result(adjust(7, 250));
    assert_eq!(result["structuredContent"]["amount_cents"], before + 250);
    assert_eq!(world.amount(7), before + 250);

    // Sealed between the first check and the commit.
    world.seals(&[0, 1]);
    assert!(world.refused(adjust(7, 1)).contains("sealed"));
    world.seals(&[]);
    for (entry, cents) in [(0, 1), (9_999, 1), (7, i64::MAX)] {
        let result = world.result(adjust(entry, cents));
        assert_eq!(result["isError"], true, "{entry} {cents}: {result}");
    }
    let extra = json!({"entry_id": 7, "amount_cents": 1, "reason": "r", "sql": "x"});
    assert_eq!(world.result(world.draft("ledger.adjust", &extra))["isError"], true);
    assert_eq!(world.amount(7), before + 250);
}

#[test]
fn only_the_gateway_s_uid_is_heard() {
    let world = World::new();
    let uid = rustix::process::geteuid().as_raw();
    for (gateway, heard) in [(uid, true), (uid.wrapping_add(1), false)] {
        let (places, ids) = (world.places.clone(), Ids { gateway, ..Ids::default() });
        let kernel =
            KernelSide { sealed: Box::new(|_| Ok(false)), agents_dir: PathBuf::from("/nowhere") };
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
