//! The second door: messages a line, under the same line, the same limits and the same two proofs.

use std::os::unix::net::UnixStream as PlainStream;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::super::http::Patience;
use super::client::{ADJUST, adjust, request};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::Event;
use crate::wire::Registry;

/// Long enough for an answer on this host.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of lines.
struct Lined {
    answers: Lines<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
}

impl Lined {
    /// Connects and says its token.
    async fn of(run: &LabRun) -> Self {
        let mut lined = Self::without_token(run).await;
        lined.say(&format!("Authorization: Bearer {}", run.token)).await;
        lined
    }

    async fn without_token(run: &LabRun) -> Self {
        let (from, to) = UnixStream::connect(&run.lines).await.unwrap().into_split();
        Self { answers: BufReader::new(from).lines(), to }
    }

    async fn say(&mut self, line: &str) {
        self.to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next answer; `None` when the gateway hung up.
    async fn heard(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.answers.next_line()).await.expect("an answer or an end");
        line.ok().flatten().map(|line| serde_json::from_str(&line).expect("one message a line"))
    }

    async fn asked(&mut self, line: &str) -> Value {
        self.say(line).await;
        self.heard().await.expect("an answer")
    }
}

fn reason(answer: &Value) -> &str {
    let places = ["/result/structuredContent/reason", "/error/data/reason"];
    places.iter().find_map(|place| answer.pointer(place)?.as_str()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_either_era_speaks_lines() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let mut client = Lined::of(&run).await;
    let asked = json!({"protocolVersion": "2025-06-18"});
    let answer = client.asked(&request("initialize", &asked)).await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    // A notification has no answer: the next one is the list's.
    client.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    client.say("").await;
    let answer = client.asked(&request("tools/list", &json!({}))).await;
    assert_eq!(answer["result"]["tools"][0]["name"], ADJUST);
    let answer = client.asked(&adjust(1)).await;
    assert_eq!(answer["result"]["content"][0]["text"], "3 rows");
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "io.modelcontextprotocol/clientCapabilities": {}});
    let answer = client.asked(&request("server/discover", &json!({ "_meta": meta }))).await;
    assert_eq!(answer["result"]["supportedVersions"][0], "2026-07-28");
    // A result with line ends in it is one line all the same.
    *lab.executor.result.lock().unwrap() = "{\n\"content\":\r\n[]}".to_owned();
    assert_eq!(client.asked(&adjust(1)).await["result"]["content"], json!([]));
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_http_refuses_is_refused_on_lines_too() {
    let lab = Lab::start(Wanted::default()).await;
    for (what, line, code) in [
        ("no JSON", "{".to_owned(), -32_700),
        ("a batch", format!("[{}]", adjust(1)), -32_600),
        ("a literal", "null".to_owned(), -32_600),
        ("two messages on one line", format!("{0}{0}", adjust(1)), -32_700),
        ("an unknown header", "X-Token: a".to_owned(), -32_700),
        ("an unknown method", request("resources/watch", &json!({})), -32_601),
    ] {
        let mut client = Lined::of(&lab.run(&[ADJUST])).await;
        assert_eq!(client.asked(&line).await["error"]["code"], code, "{what}");
        assert_eq!(reason(&client.asked(&adjust(1)).await), "", "{what}: it goes on");
    }
    let mut client = Lined::of(&lab.run(&[ADJUST])).await;
    assert_eq!(reason(&client.asked(&adjust(60_000)).await), "cap.exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_the_runs_own_on_every_line() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let mut client = Lined::without_token(&run).await;
    assert_eq!(reason(&client.asked(&adjust(1)).await), "token.invalid");
    client.say(&format!("authorization: bearer {}", run.token)).await;
    assert_eq!(reason(&client.asked(&adjust(1)).await), "", "from now on");
    client.say(&format!("Authorization: Bearer {}", other.token)).await;
    assert_eq!(reason(&client.asked(&adjust(1)).await), "token.other_run");
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_digest_holds_for_the_lines_after_it() {
    let lab = Lab::start(Wanted::default()).await;
    let mut client = Lined::of(&lab.run(&[ADJUST])).await;
    let arguments = json!({"entry_id": 1, "amount_cents": 1, "reason": "r"});
    let bare = request("tools/call", &json!({"name": ADJUST, "arguments": arguments}));
    assert_eq!(reason(&client.asked(&bare).await), "policy.prompt_digest");
    client.say(&format!("ATF-Prompt-SHA256: {}", super::lab::prompt())).await;
    assert_eq!(reason(&client.asked(&bare).await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_connection_do_not_wait_for_each_other_and_none_is_lost_at_its_end() {
    let lab = Lab::start(Wanted::default()).await;
    let mut client = Lined::of(&lab.run(&[ADJUST])).await;
    lab.executor.mood.set(Mood::Waits);
    client.say(&adjust(1)).await;
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
    assert_eq!(client.asked(ping).await["id"], "p", "before the call that waits");
    client.to.shutdown().await.unwrap();
    lab.executor.mood.set(Mood::Works);
    assert_eq!(client.heard().await.expect("the answer")["id"], 7);
    assert!(client.heard().await.is_none(), "and then the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_does_not_skip_the_record() {
    let lab = Lab::start(Wanted::default()).await;
    let mut client = Lined::of(&lab.run(&[ADJUST])).await;
    lab.executor.mood.set(Mood::Waits);
    client.say(&adjust(1)).await;
    lab.until("the act", |lab| (!lab.executor.acts.lock().unwrap().is_empty()).then_some(())).await;
    drop(client);
    assert!(lab.outcomes().is_empty(), "the control: it is still under way");
    lab.executor.mood.set(Mood::Works);
    lab.until("the outcome", |lab| lab.outcomes().pop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_past_a_limit_ends_the_connection_and_is_not_judged() {
    let mut wanted = Wanted::default();
    wanted.settings.body_bytes_max = 2_000;
    wanted.patience = Patience { body: Duration::from_millis(300), ..Patience::default() };
    let lab = Lab::start(wanted).await;
    let run = lab.run(&[ADJUST]);
    let long = request("ping", &json!({"pad": "x".repeat(3_000)}));
    let cut = adjust(1);
    for (what, bytes, ends) in [
        ("too long", format!("{long}\n"), false),
        ("too long, and it does not end", long, false),
        ("half a line, slowly", cut[..50].to_owned(), false),
        ("a whole message whose line does not end", cut, true),
    ] {
        let mut client = Lined::of(&run).await;
        assert_eq!(reason(&client.asked(&request("ping", &json!({}))).await), "", "the control");
        // The gateway may close before it has everything.
        let _cut = client.to.write_all(bytes.as_bytes()).await;
        if ends {
            client.to.shutdown().await.unwrap();
        }
        let answer = client.heard().await;
        assert_eq!(answer.expect(what)["error"]["code"], -32_600, "{what}");
        assert!(client.heard().await.is_none(), "{what}: it is closed");
    }
    assert!(lab.executor.acts.lock().unwrap().is_empty());
    // Between two lines a client may think as long as it likes.
    let mut client = Lined::of(&run).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(reason(&client.asked(&request("ping", &json!({}))).await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_delays_itself_alone() {
    let mut wanted = Wanted::default();
    wanted.settings.calls_per_run_max = 2;
    wanted.patience = Patience { body: Duration::from_millis(500), ..Patience::default() };
    let lab = Lab::start(wanted).await;
    let (slow, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    *lab.executor.result.lock().unwrap() = json!({"content": ["x".repeat(900_000)]}).to_string();
    let mut client = Lined::of(&slow).await;
    for _ in 0..8 {
        // Its socket may be full and shut by then.
        let _shut = client.to.write_all(format!("{}\n", adjust(1)).as_bytes()).await;
    }
    *lab.executor.result.lock().unwrap() = json!({"content": []}).to_string();
    assert_eq!(reason(&Lined::of(&other).await.asked(&adjust(1)).await), "");
    // Its connection is cut, its slots are free again.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(reason(&Lined::of(&slow).await.asked(&adjust(1)).await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_the_kernel_does_not_vouch_for_is_closed_at_this_door_too() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    assert_eq!(reason(&Lined::of(&run).await.asked(&adjust(1)).await), "", "the control");
    let stamp = other.entry.cgroup;
    lab.kernel.stamps.lock().unwrap().insert(run.lines.clone(), stamp);
    let mut client = Lined::without_token(&run).await;
    // The gateway may have hung up by now.
    let _cut = client.to.write_all(format!("{}\n", adjust(1)).as_bytes()).await;
    assert!(client.heard().await.is_none(), "not even an answer");
    let found =
        |event: &Event| matches!(event, Event::Finding { name, .. } if name == "caller.disagree");
    lab.until("the finding", |lab| lab.events().iter().any(found).then_some(())).await;
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_shuts_this_door_and_the_end_of_the_run_closes_it() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let mut client = Lined::of(&run).await;
    for _ in 0..2 {
        assert_eq!(reason(&client.asked(&adjust(60_000)).await), "cap.exceeded");
    }
    client.say(&adjust(60_000)).await;
    assert!(client.heard().await.is_none(), "shut with the third");
    assert!(lab.kernel.has_deny(run.entry.cgroup));
    PlainStream::connect(&run.lines).expect("the kernel in memory denies nothing");
    lab.authority.tell(Registry::Close { run: run.entry.run });
    assert!(PlainStream::connect(&run.lines).is_err());
}
