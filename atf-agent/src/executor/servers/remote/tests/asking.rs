//! What a server asks on the stream of the answer to one call: of that call's run alone, as far as its permit lets it,
//! and answered by that run alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::super::settings::read_one;
use super::lab::{Lab, PATIENCE, Play, Played, Request, honest, remote, word};
use crate::call::{DecisionId, Level, Question, Questions, RunId, Target};
use crate::executor::error::Mistrust;
use crate::executor::servers::Call;
use crate::executor::servers::orders::Answering;
use crate::gate::Era;
use crate::wire::{Answers, ExecutorReply, MayTell, Told};

impl Lab {
    /// What was told, and all that is told until `count` things were.
    async fn hears(&self, count: usize) -> Vec<Told> {
        let all = async {
            while self.told.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("it is told");
        self.told.lock().unwrap().clone()
    }

    /// What became of an answer.
    async fn answer(&self, answer: (Call, oneshot::Receiver<ExecutorReply>)) -> ExecutorReply {
        let (answer, given) = (Answering::Answer(Box::new(answer.0)), answer.1);
        assert!(self.giving.answers.send(answer).await.is_ok(), "the keeper takes answers");
        tokio::time::timeout(PATIENCE, given).await.expect("there is an outcome").unwrap()
    }

    /// Nobody answers.
    async fn unanswered(&self, decision: DecisionId, question: u64) {
        let nothing = Answering::Nothing { decision, question };
        assert!(self.giving.answers.send(nothing).await.is_ok(), "the keeper takes answers");
    }

    /// Makes a call.
    pub(super) async fn make(&self, call: Call) {
        assert!(self.giving.calls.send(call).await.is_ok(), "the keeper takes calls");
    }
}

/// How a stream of events begins.
pub(super) const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// A question by this id, as an event.
fn asks(id: &Value, method: &str, params: &Value) -> String {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    format!("event: message\ndata: {message}\n\n")
}

fn form(id: &str) -> String {
    asks(&json!(id), "elicitation/create", &json!({"message": "who?", "requestedSchema": {}}))
}

/// What a server writes down, as an event.
pub(super) fn log(data: &str) -> String {
    let params = json!({"level": "info", "data": data});
    let message = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
    format!("data: {message}\n\n")
}

/// What the server was answered by this id.
fn said_to(id: &str, heard: &[Request]) -> Option<Value> {
    let is_it = |one: &&Request| one.body["id"] == id && one.method().is_empty();
    heard.iter().find(is_it).map(|one| one.body.clone())
}

/// A server that says `first` on the stream of a call, and answers the call by what it is told by the id `q`.
fn asking(first: &str) -> Played {
    let first = format!("{HEAD}{first}");
    Played::new(move |request| {
        if request.method() != "tools/call" || request.text() == "control" {
            return honest(request, "s-1");
        }
        let id = request.body["id"].clone();
        let last = move |heard: &[Request]| {
            let said = said_to("q", heard)?;
            let of = said["result"]["action"].as_str().map(str::to_owned);
            let of = of.unwrap_or_else(|| said["error"]["code"].to_string());
            let result = json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "of": of}});
            Some(format!("data: {result}\n\n").into_bytes())
        };
        Play::Until(first.clone().into_bytes(), Box::new(last))
    })
}

/// A lab with that server, whose calls it may ask for forms.
pub(super) async fn lab(played: &Played, era: Era) -> Lab {
    let (port, _serving) = played.on_loopback().await;
    let questions = match era {
        Era::Handshake => "questions = [\"elicitation/create\", \"sampling/createMessage\"]\n",
        Era::Stateless => "",
    };
    let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n{questions}");
    let mut lab = Lab::keep(remote(&text), era, 5_000);
    lab.questions = Questions::from([Question::Elicitation]);
    lab
}

/// The number of the only question.
async fn asked(lab: &Lab) -> u64 {
    match &lab.hears(1).await[..] {
        [Told::Asks { question, asks: Question::Elicitation, params }] => {
            let params: Value = serde_json::from_str(params).unwrap();
            assert_eq!(params, json!({"message": "who?", "requestedSchema": {}}));
            *question
        }
        other => panic!("{other:?}"),
    }
}

/// A call for which the run is asked: its decision, the number of the question, and what will become of the call.
async fn begun(lab: &Lab) -> (DecisionId, u64, oneshot::Receiver<ExecutorReply>) {
    let (call, given) = lab.echoing("ask");
    let decision = call.decision;
    lab.make(call).await;
    (decision, asked(lab).await, given)
}

/// An honest answer to `question`, which was asked for the call of `began`.
fn answering(
    lab: &Lab,
    began: DecisionId,
    question: u64,
) -> (Call, oneshot::Receiver<ExecutorReply>) {
    let (call, given) = lab.echoing("ask");
    let responses = json!({question.to_string(): {"action": "accept", "content": {"n": 1e2}}});
    let responses = Some(RawValue::from_string(responses.to_string()).unwrap());
    let answers = Some(Box::new(Answers { responses, state: None }));
    (Call { began: Some(began), answers, ..call }, given)
}

#[tokio::test]
async fn a_run_is_asked_for_its_call_and_its_answer_is_the_servers_own() {
    let played = asking(&form("q"));
    let lab = lab(&played, Era::Handshake).await;
    let (decision, question, given) = begun(&lab).await;
    let reply = lab.answer(answering(&lab, decision, question)).await;
    assert_eq!(word(reply), "{}");
    assert_eq!(word(given.await.unwrap()), "accept");
    let heard = played.heard();
    let expected = json!({"action": "accept", "content": {"n": 1e2}});
    assert_eq!(
        said_to("q", &heard),
        Some(json!({"jsonrpc": "2.0", "id": "q", "result": expected}))
    );
    let can = &heard[0].body["params"]["capabilities"];
    assert_eq!(can, &json!({"elicitation": {}, "sampling": {}}), "as its file says");
    let answered = heard.iter().find(|one| one.body["id"] == "q").unwrap();
    assert_eq!(answered.header("mcp-session-id"), Some("s-1"));
    // The call is over, and so is its question.
    assert!(word(lab.answer(answering(&lab, decision, question)).await).starts_with("refused"));
}

/// Each row lacks one thing: the server is told no at once, and nobody else hears of it.
#[tokio::test]
async fn what_the_permit_does_not_let_a_server_ask_is_asked_of_nobody() {
    let change = |change: fn(&mut Call)| change;
    for (what, era, first, change) in [
        ("no question", Era::Handshake, form("q"), change(|call| call.questions.clear())),
        ("by its result", Era::Handshake, form("q"), change(|call| call.asks_by_request = false)),
        ("without a handshake", Era::Stateless, form("q"), change(|_| {})),
        (
            "another question",
            Era::Handshake,
            asks(&json!("q"), "sampling/createMessage", &json!({})),
            change(|_| {}),
        ),
        (
            "one that its file does not name",
            Era::Handshake,
            asks(&json!("q"), "roots/list", &json!({})),
            change(|call| call.questions.extend([Question::Roots])),
        ),
        (
            "none at all",
            Era::Handshake,
            asks(&json!("q"), "tools/call", &json!({})),
            change(|_| {}),
        ),
        (
            "too long",
            Era::Handshake,
            asks(&json!("q"), "elicitation/create", &json!({"message": "x".repeat(70_000)})),
            change(|_| {}),
        ),
    ] {
        let played = asking(&first);
        let lab = lab(&played, era).await;
        let (mut call, given) = lab.echoing("ask");
        change(&mut call);
        lab.make(call).await;
        assert_eq!(word(given.await.unwrap()), "-32601", "{what}");
        assert!(lab.told.lock().unwrap().is_empty(), "{what}");
        assert_eq!(lab.echo("control").await, "control", "{what}");
    }
}

/// The attack: a question on a stream that is of no call, while a call is under way that might be asked.
#[tokio::test]
async fn a_question_on_another_stream_is_asked_of_nobody() {
    let of_a_call = asking(&form("other"));
    let notices = format!("{}{}", form("q"), log("nobody's"));
    let played = {
        let script = of_a_call.clone();
        Played::new(move |request| {
            if !request.is_get() {
                return script.plays(request);
            }
            let notices = notices.clone().into_bytes();
            let of_no_call = move |heard: &[Request]| {
                let is_under_way = heard.iter().any(|one| one.method() == "tools/call");
                is_under_way.then(|| notices.clone())
            };
            Play::Until(HEAD.as_bytes().to_vec(), Box::new(of_no_call))
        })
    };
    let mut lab = lab(&played, Era::Handshake).await;
    lab.may_tell = MayTell { level: Some(Level::Debug), ..MayTell::default() };
    let (call, given) = lab.echoing("ask");
    lab.make(call).await;
    assert_eq!(word(given.await.unwrap()), "-32601");
    // The control: the one on the call's own stream.
    let told = lab.told.lock().unwrap().clone();
    assert!(matches!(told[..], [Told::Asks { .. }]), "{told:?}");
}

#[tokio::test]
async fn a_server_asks_only_so_often_and_by_each_id_once_at_a_time() {
    let many: String = (0..16).map(|number| form(&format!("a-{number}"))).collect();
    for (what, first, count) in [
        ("twice by one id", format!("{}{}", form("q"), form("q")), 1),
        ("too often", many + &form("q"), 16),
    ] {
        let played = asking(&first);
        let lab = lab(&played, Era::Handshake).await;
        let (call, given) = lab.echoing("ask");
        lab.make(call).await;
        assert_eq!(word(given.await.unwrap()), "-32601", "{what}");
        assert_eq!(lab.hears(count).await.len(), count, "{what}");
    }
}

/// Each row is an answer that is none; the server hears nothing of it, and then the honest one.
#[tokio::test]
async fn an_answer_is_of_its_question_its_call_and_its_run_or_it_is_none() {
    let change = |change: fn(&mut Call)| change;
    for (what, change) in [
        ("another run's", change(|call| call.run = RunId::random())),
        ("another call's", change(|call| call.began = Some(DecisionId::random()))),
        ("no call's", change(|call| call.began = None)),
        ("another tool's", change(|call| call.target = Target::Tool("far.other".parse().unwrap()))),
        ("another question's", change(|call| answers(call, r#"{"999":{}}"#))),
        ("two questions'", change(|call| answers(call, r#"{"1":{},"2":{}}"#))),
        ("no question's", change(|call| answers(call, "{}"))),
        ("nothing", change(|call| call.answers = None)),
        ("expired", change(|call| call.unexpired = Arc::new(|| Err(Mistrust::Cancelled)))),
    ] {
        let played = asking(&form("q"));
        let lab = lab(&played, Era::Handshake).await;
        let (decision, question, given) = begun(&lab).await;
        let (mut answer, became) = answering(&lab, decision, question);
        change(&mut answer);
        let reply = word(lab.answer((answer, became)).await);
        assert!(reply.starts_with("refused") || reply.starts_with("changed"), "{what}: {reply}");
        assert_eq!(said_to("q", &played.heard()), None, "{what}");
        let reply = lab.answer(answering(&lab, decision, question)).await;
        assert_eq!(word(reply), "{}", "{what}: the control");
        let again = word(lab.answer(answering(&lab, decision, question)).await);
        assert!(again.starts_with("refused"), "{what}: {again}");
        assert_eq!(word(given.await.unwrap()), "accept", "{what}");
        let times = played.heard().iter().filter(|one| one.body["id"] == "q").count();
        assert_eq!(times, 1, "{what}");
    }
}

fn answers(call: &mut Call, responses: &str) {
    let responses = Some(RawValue::from_string(responses.to_owned()).unwrap());
    call.answers = Some(Box::new(Answers { responses, state: None }));
}

#[tokio::test]
async fn a_server_hears_that_nobody_answers() {
    let played = asking(&form("q"));
    let lab = lab(&played, Era::Handshake).await;
    let (decision, question, given) = begun(&lab).await;
    lab.unanswered(DecisionId::random(), question).await;
    lab.unanswered(decision, question + 1).await;
    lab.unanswered(decision, question).await;
    assert_eq!(word(given.await.unwrap()), "-32603");
}

#[tokio::test]
async fn a_cancelled_call_is_answered_nothing() {
    let played = asking(&form("q"));
    let lab = lab(&played, Era::Handshake).await;
    let (decision, question, _given) = begun(&lab).await;
    lab.cancel(decision).await;
    let cancelled = async {
        while !played.heard().iter().any(|one| one.method() == "notifications/cancelled") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, cancelled).await.unwrap();
    assert!(word(lab.answer(answering(&lab, decision, question)).await).starts_with("refused"));
}

/// The attack: a run that is sealed meanwhile is asked, and is heard.
#[tokio::test]
async fn a_sealed_run_is_neither_asked_nor_heard() {
    let played = asking(&form("q"));
    let sealing = {
        let played = played.clone();
        let sealed = Arc::new(AtomicBool::new(false));
        let seals = Arc::clone(&sealed);
        let playing = Played::new(move |request| {
            seals.fetch_or(request.method() == "tools/call", Ordering::SeqCst);
            played.plays(request)
        });
        (playing, sealed)
    };
    let lab_of_sealed = lab(&sealing.0, Era::Handshake).await;
    let (mut call, given) = lab_of_sealed.echoing("ask");
    let sealed = Arc::clone(&sealing.1);
    call.unsealed = Arc::new(move || match sealed.load(Ordering::SeqCst) {
        false => Ok(()),
        true => Err(Mistrust::Sealed { why: "the test says so".to_owned() }),
    });
    lab_of_sealed.make(call).await;
    // Its played server would answer by what the other one heard: that it was told no is what counts.
    let no = async {
        while said_to("q", &sealing.0.heard()).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, no).await.expect("it is told no");
    drop(given);
    assert!(lab_of_sealed.told.lock().unwrap().is_empty());
    assert_eq!(said_to("q", &sealing.0.heard()).unwrap()["error"]["code"], -32601);

    let lab = lab(&played, Era::Handshake).await;
    let (decision, question, _given) = begun(&lab).await;
    lab.sealed.store(true, Ordering::SeqCst);
    let reply = word(lab.answer(answering(&lab, decision, question)).await);
    assert!(reply.starts_with("refused: the run is sealed"), "{reply}");
    assert_eq!(said_to("q", &played.heard()), None);
}

/// A file that says what cannot be is refused: it would promise what is never asked.
#[test]
fn questions_are_of_a_server_with_a_handshake_whose_calls_have_streams() {
    let file = |more: &str| {
        let text = format!("url = \"http://127.0.0.1:1/mcp\"\nquestions = [{more}]\n");
        read_one(&text, 0)
    };
    assert!(file("\"elicitation/create\"").is_ok(), "the control");
    for wrong in ["\"tools/call\"", "\"elicitation\"", "1"] {
        assert!(file(wrong).is_err(), "{wrong}");
    }
    for way in ["sse = true", "stateless = true"] {
        let text = format!("url = \"http://127.0.0.1:1/mcp\"\n{way}\n");
        assert!(read_one(&text, 0).is_ok(), "the control: {way}");
        let text = format!("{text}questions = [\"roots/list\"]\n");
        assert!(read_one(&text, 0).is_err(), "{way}");
    }
}
