//! The commands over a log and hearings as the daemons leave them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::audit::{Chain, Event, Process, Segment, Verdict, samples};
use crate::call::{DecisionId, Digest, Reason, RunId, Step};
use crate::cli::args::{ExplainArguments, ReplayArguments};
use crate::state::Versions;
use crate::wire::Places;

/// What became of one call in the lab.
struct Told {
    cents: u64,
    verdict: Verdict,
    answer: Option<Value>,
}

struct Lab {
    config: Config,
    dir: tempfile::TempDir,
    decisions: Vec<DecisionId>,
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

fn refused(step: Step, reason: Reason) -> Verdict {
    Verdict::Refused { step, reason, detail: "found".into(), enforced: true }
}

/// Four calls: allowed, over the cap, refused by the caps after the policy allowed, and one that the policy
/// never heard of.
fn calls() -> Vec<Told> {
    let yes =
        |cents: u64| json!({"allow": true, "reasons": [], "obligations": {"reserve_cents": cents}});
    let no = json!({"allow": false, "reasons": ["cap.exceeded"], "obligations": {"reserve_cents": 60_000}});
    let policy = refused(Step::Policy, Reason::CapExceeded);
    let caps = refused(Step::Reserve, Reason::CapCalls);
    let schema = refused(Step::Schema, Reason::SchemaArguments);
    vec![
        Told { cents: 5, verdict: Verdict::Allowed, answer: Some(yes(5)) },
        Told { cents: 60_000, verdict: policy, answer: Some(no) },
        Told { cents: 400, verdict: caps, answer: Some(yes(400)) },
        Told { cents: 1, verdict: schema, answer: None },
    ]
}

impl Lab {
    fn of(told: Vec<Told>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places =
            Places { state_dir: dir.path().to_owned(), policy_dir: shipped(), ..Places::default() };
        let (log, hearings) = (places.log_dir(), places.hearings());
        fs::create_dir_all(&log).unwrap();
        fs::create_dir_all(&hearings).unwrap();
        let revision = Policy::read(&shipped()).unwrap().revision();
        let mut chain = Chain::new("chain".into(), "host".into(), None);
        let (mut records, mut kept, mut decisions) = (Vec::new(), String::new(), Vec::new());
        for Told { cents, verdict, answer } in told {
            let mut call = samples::call(RunId::random());
            (call.policy, call.hearing) = (Some(revision), None);
            if let Some(answer) = answer {
                let line = line(call.decision, cents, &answer);
                call.hearing = Some(Digest::of(line.as_bytes()));
                kept.push_str(&format!("{line}\n"));
            }
            decisions.push(call.decision);
            let event = Event::Decided { call: Box::new(call), verdict };
            records.extend(chain.append(&event, Process::Gateway, 1).unwrap().line);
        }
        fs::write(Segment::at(&log, 0).path, records).unwrap();
        fs::write(hearings.join("000000000000.jsonl"), kept).unwrap();
        Self { config: Config { places, ..Config::default() }, dir, decisions }
    }

    fn explain(&self, decision: Named, dir: Option<PathBuf>) -> anyhow::Result<u8> {
        let wanted = ExplainArguments {
            decision,
            log: None,
            policy: PolicyArguments { dir, output: Output::Text },
        };
        explain::of(&self.config, &wanted)
    }

    fn replay(&self, dir: PathBuf, last: Option<usize>) -> (replay::Replayed, u8) {
        let past = recorded::Past::of(&self.config, None);
        let found = replay::replayed(&past, &Policy::read(&dir).unwrap(), last).unwrap();
        let wanted = ReplayArguments { dir, log: None, last, output: Output::Text };
        (found, replay::of(&self.config, &wanted).unwrap())
    }

    /// The shipped policy with another cap for one call.
    fn draft(&self, per_call_cents: u64) -> PathBuf {
        let draft = self.dir.path().join(format!("draft-{per_call_cents}"));
        fs::create_dir_all(draft.join("atf")).unwrap();
        fs::copy(shipped().join("atf/gate.rego"), draft.join("atf/gate.rego")).unwrap();
        let data = fs::read_to_string(shipped().join("data.json")).unwrap();
        let cap = format!("\"per_call_cents\": {per_call_cents}");
        fs::write(draft.join("data.json"), data.replace("\"per_call_cents\": 50000", &cap))
            .unwrap();
        draft
    }

    fn log(&self, input: bool, denied: bool, last: Option<usize>) -> Vec<Value> {
        self.log_of(input, denied, false, last)
    }

    fn log_of(&self, input: bool, denied: bool, observed: bool, last: Option<usize>) -> Vec<Value> {
        let wanted = decision_log::Wanted { log: None, run: None, denied, observed, last, input };
        let found = decision_log::decisions(&self.config, &wanted).unwrap();
        found.iter().map(|decision| serde_json::to_value(decision).unwrap()).collect()
    }

    /// Changes what is kept.
    fn tamper(&self, change: impl FnOnce(String) -> String) {
        let path = self.config.places.hearings().join("000000000000.jsonl");
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    }
}

/// What the gateway keeps of an honest call of so many cents.
fn line(decision: DecisionId, cents: u64, answer: &Value) -> String {
    let input = json!({
        "identity": {"agent": "clerk", "tools": ["ledger.adjust"], "prompt": "aa"},
        "call": {"method": "tools/call", "tool": "ledger.adjust", "sink": true,
                 "arguments": {"entry_id": 1, "amount_cents": cents, "reason": "x"}},
        "sql": {}, "prompt": "aa",
        "provenance": {"values": [], "secret_read": false},
    });
    format!(r#"{{"decision":"{decision}","input":{input},"answer":{answer}}}"#)
}

#[test]
fn each_decision_is_explained_by_the_policy_that_made_it_and_by_no_other() {
    let lab = Lab::of(calls());
    for (number, decision) in lab.decisions.iter().enumerate() {
        assert_eq!(lab.explain(Named::Seq(number as u64), None).unwrap(), EXIT_OK, "{number}");
        assert_eq!(lab.explain(Named::Decision(*decision), None).unwrap(), EXIT_OK, "{number}");
    }
    let other = lab.draft(7);
    assert_eq!(lab.explain(Named::Seq(1), Some(other.clone())).unwrap(), EXIT_NO);
    assert_eq!(lab.explain(Named::Seq(3), Some(other)).unwrap(), EXIT_OK, "it was not asked");
    let mut later = Lab::of(calls());
    later.config.places.policy_dir = later.draft(7);
    assert_eq!(later.explain(Named::Seq(1), None).unwrap(), EXIT_NO, "another one is in force");
    let versions = Versions::of(&later.config.places.policy_dir);
    versions.keep(&shipped()).unwrap();
    let broken = later.draft(8);
    fs::write(broken.join("atf/gate.rego"), "package").unwrap();
    versions.keep(&broken).unwrap();
    assert_eq!(later.explain(Named::Seq(1), None).unwrap(), EXIT_OK, "it is kept");
    assert!(lab.explain(Named::Seq(4), None).is_err());
    assert!(lab.explain(Named::Decision(DecisionId::random()), None).is_err());
    lab.tamper(|kept| kept.replace("60000", "600"));
    assert_eq!(lab.explain(Named::Seq(1), None).unwrap(), EXIT_NO, "it was changed");
    assert_eq!(lab.explain(Named::Seq(0), None).unwrap(), EXIT_OK, "the control");
    lab.tamper(|_| String::new());
    assert_eq!(lab.explain(Named::Seq(0), None).unwrap(), EXIT_NO, "it is gone");
}

#[test]
fn a_replay_lists_what_would_change_and_what_it_cannot_tell() {
    use crate::gate::Change;
    let lab = Lab::of(calls());
    let (found, status) = lab.replay(shipped(), None);
    let counts =
        |found: &replay::Replayed| (found.decisions, found.replayed, found.same, found.not_asked);
    assert_eq!((counts(&found), status), ((4, 3, 3, 1), EXIT_OK), "{found:?}");

    let changes = |draft: u64, last: Option<usize>| {
        let (found, status) = lab.replay(lab.draft(draft), last);
        assert_eq!(status == EXIT_OK, found.changed.is_empty());
        found.changed.iter().map(|c| (c.seq, c.change)).collect::<Vec<_>>()
    };
    assert_eq!(changes(100_000, None), [(1, Change::DenyToAllow)]);
    assert_eq!(changes(100, None), [(2, Change::AllowToDeny)]);
    assert_eq!(changes(1, None), [(0, Change::AllowToDeny), (2, Change::AllowToDeny)]);
    assert_eq!(changes(1, Some(2)), [(2, Change::AllowToDeny)]);

    lab.tamper(|kept| kept.replace("60000", "600"));
    let (found, status) = lab.replay(shipped(), None);
    assert_eq!((counts(&found), status), ((4, 2, 2, 1), EXIT_NO));
    let unknown: Vec<u64> = found.unknown.iter().map(|unknown| unknown.seq).collect();
    assert_eq!(unknown, [1], "it is not guessed at");
}

#[test]
fn a_policy_differs_from_another_and_not_from_itself() {
    let lab = Lab::of(Vec::new());
    let diff = |other: &Path| replay::diff(&shipped(), other, Output::Text).unwrap();
    assert_eq!(diff(&shipped()), EXIT_OK);
    assert_eq!(diff(&lab.draft(7)), EXIT_NO);
}

#[test]
fn a_decision_is_named_by_number_or_id() {
    assert_eq!("17".parse(), Ok(Named::Seq(17)));
    let decision = DecisionId::random();
    assert_eq!(decision.to_string().parse(), Ok(Named::Decision(decision)));
    let digits: DecisionId = "0".repeat(32).parse().unwrap();
    assert_eq!("0".repeat(32).parse(), Ok(Named::Decision(digits)), "it is a number too");
    for bad in ["", "-1", "seventeen", "99999999999999999999"] {
        assert!(bad.parse::<Named>().is_err(), "{bad}");
    }
}

/// The fields of OPA's decision log, and no argument unless it was asked for.
#[test]
fn decisions_are_shown_as_opa_has_them() {
    let lab = Lab::of(calls());
    let shown = lab.log(true, false, None);
    assert_eq!(shown.len(), 3, "the policy never heard of the last one");
    let (first, second) = (&shown[0], &shown[1]);
    assert_eq!(first["decision_id"], lab.decisions[0].to_string());
    let revision = Policy::read(&shipped()).unwrap().revision();
    assert_eq!(first["bundles"]["atf"]["revision"], revision.to_string());
    assert_eq!(first["path"], "atf/gate/decision");
    assert_eq!(first["result"]["allow"], true);
    assert_eq!(first["input"]["call"]["arguments"]["amount_cents"], 5);
    assert_eq!(first["timestamp"], "1970-01-01T00:00:00.001Z");
    assert_eq!(first["labels"]["id"], "chain");
    assert!(first["requested_by"].is_string() && first.get("erased").is_none(), "{first}");
    assert!(first["metrics"]["timer_server_handler_ns"].as_u64().unwrap() > 0);
    assert_eq!(second["result"]["reasons"], json!(["cap.exceeded"]));
    assert_eq!(second["custom"]["atf"]["reason"], "cap.exceeded");
    assert_eq!(shown[2]["result"]["allow"], true, "the caps refused it after the policy");
    assert_eq!(shown[2]["custom"]["atf"]["verdict"], "refused");

    let without = lab.log(false, false, None);
    assert_eq!(without[0]["erased"], json!(["/input"]));
    assert!(!without.iter().any(|decision| decision.to_string().contains("amount_cents")));
    assert_eq!(without[0]["result"], first["result"]);
    assert_eq!((lab.log(true, true, None).len(), lab.log(true, false, Some(1)).len()), (2, 1));

    lab.tamper(|kept| kept.replace("\"allow\":true", "\"allow\":false"));
    let tampered = lab.log(true, false, None);
    assert_eq!(tampered[0]["erased"], json!(["/input", "/result"]), "other bytes are not taken");
    assert!(tampered[0].get("result").is_none());
    assert_eq!(tampered[1]["result"]["allow"], false, "the control");
}

/// Proposals are written where nothing reads them, and are of the calls that were made.
#[test]
fn what_was_made_is_proposed_where_nothing_reads_it() {
    let mut lab = Lab::of(calls());
    let draft = lab.draft(50_000);
    fs::create_dir_all(draft.join("tools")).unwrap();
    fs::copy(shipped().join("tools/ledger.adjust.json"), draft.join("tools/ledger.adjust.json"))
        .unwrap();
    let (out, data) =
        (draft.join("proposed"), fs::read_to_string(draft.join("data.json")).unwrap());
    lab.config.places.policy_dir = draft.clone();
    let none = learn::proposed(&lab.config, None, &out).unwrap();
    assert!(none.0.is_none() && none.1.is_empty() && !out.exists(), "the control");
    let learning = data.replace("\"sql\": [],", "\"sql\": [], \"mode\": \"learn\",");
    assert_ne!(learning, data);
    fs::write(draft.join("data.json"), learning).unwrap();
    let before = Policy::read(&draft).unwrap().revision();
    let (_, written) = learn::proposed(&lab.config, None, &out).unwrap();
    assert_eq!(written, [out.join("agents/clerk.toml")]);
    let text = fs::read_to_string(&written[0]).unwrap();
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["tools"].as_array().unwrap().len(), 1, "{text}");
    let amount = &table["narrow"]["ledger.adjust"]["properties"]["amount_cents"];
    assert_eq!(amount["maximum"].as_integer(), Some(5), "the refused ones teach nothing: {text}");
    assert_eq!(Policy::read(&draft).unwrap().revision(), before);
    assert!(
        crate::state::policy_files(&draft).unwrap().iter().all(|(n, _)| !n.starts_with("proposed"))
    );
}

/// The mistake: a word that is misspelt switches a safeguard off, or a tool has no pin. It is said, and taken.
#[test]
fn what_nothing_reads_is_doubted_and_no_error() {
    let lab = Lab::of(calls());
    let draft = lab.draft(7_000);
    fs::create_dir(draft.join("tools")).unwrap();
    for tool in ["ledger.query.json", "ledger.adjust.json"] {
        fs::copy(shipped().join("tools").join(tool), draft.join("tools").join(tool)).unwrap();
    }
    let doubts = || {
        let pins = Pins::read(&draft.join("tools")).unwrap();
        Policy::read(&draft).unwrap().doubts(&pins)
    };
    assert_eq!(doubts(), Vec::<String>::new(), "the control");
    let path = draft.join("data.json");
    let mut data: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    data["tools"]["ledger.adjust"]["approve_from_cent"] = json!(1);
    data["tools"]["ledger.qury"] = json!({"sql": []});
    data["approvrs"] = json!({});
    fs::write(&path, data.to_string()).unwrap();
    let found = doubts();
    for words in ["approve_from_cent\"", "\"approvrs\"", "ledger.qury has no pin"] {
        assert!(found.iter().any(|doubt| doubt.contains(words)), "{words}: {found:?}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(check(&draft, Output::Json).unwrap(), EXIT_OK);
    fs::remove_file(draft.join("atf/gate.rego")).unwrap();
    let why = Policy::read(&draft).err().unwrap().to_string();
    assert!(why.contains("no module has the rule data.atf.gate.decision"), "{why}");
}

#[test]
fn the_decision_log_can_be_of_what_was_refused_in_vain_alone() {
    let mut told = calls();
    assert!(Lab::of(calls()).log_of(false, false, true, None).is_empty(), "the control");
    let Verdict::Refused { enforced, .. } = &mut told[1].verdict else { panic!("a refusal") };
    *enforced = false;
    let found = Lab::of(told).log_of(false, false, true, None);
    assert!(matches!(&found[..], [one] if one["custom"]["atf"]["enforced"] == false), "{found:?}");
}
