//! What a process asks and writes down that makes one call at a time: of the call whose turn it is, and of no other.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::lab::{Lab, TOOL, bounds, word};
use crate::call::{DecisionId, Level, Question, RunId, Target};
use crate::executor::servers::Call;
use crate::executor::servers::bounds::{Bounds, KnownBy};
use crate::executor::servers::orders::Answering;
use crate::executor::servers::session::Ended;
use crate::wire::{Answers, ExecutorReply, MayDefer, MayTell, Told};

/// A call on its way, and what becomes of it.
type Made = (DecisionId, oneshot::Receiver<ExecutorReply>);

fn in_turn(timeout_ms: u64) -> Bounds {
    let asks = [Question::Elicitation, Question::Sampling].into();
    Bounds { known_by: KnownBy::Turn, asks, ..bounds(timeout_ms, 1) }
}

impl Lab {
    /// A call of this run whose server may ask for forms.
    fn may_be_asked(&self, run: RunId) -> (Call, Made) {
        let (give, given) = oneshot::channel();
        let call = self.made("asked", give);
        let decision = call.decision;
        let call = Call { run, questions: [Question::Elicitation].into(), ..call };
        (Call { asks_by_request: true, ..call }, (decision, given))
    }

    async fn make(&self, run: RunId) -> Made {
        let (call, made) = self.may_be_asked(run);
        assert!(self.calls.send(call).await.is_ok(), "the session takes calls");
        made
    }

    async fn asks(&mut self, id: &str, method: &str) {
        let params = json!({"message": "who?", "requestedSchema": {}});
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.say(format!("{message}\n").as_bytes()).await;
    }

    /// What the server hears next is that its question `id` is refused by this code.
    async fn hears_no(&mut self, id: &str, code: i64) {
        let heard = self.hear().await;
        assert_eq!((heard["id"].as_str(), heard["error"]["code"].as_i64()), (Some(id), Some(code)));
    }

    /// The number of the only question that was told since.
    async fn question(&self) -> u64 {
        let asked = async {
            loop {
                if let Some(Told::Asks { question, .. }) = self.told.lock().unwrap().pop() {
                    return question;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("the run is asked")
    }

    /// What becomes of an answer of `run` to `question`, which was asked for the call of `began`.
    async fn answers(&self, run: RunId, began: DecisionId, question: u64) -> String {
        let (call, (_, given)) = self.may_be_asked(run);
        let responses = json!({question.to_string(): {"action": "accept"}});
        let responses = Some(RawValue::from_string(responses.to_string()).unwrap());
        let answers = Some(Box::new(Answers { responses, state: None }));
        let answer = Box::new(Call { began: Some(began), answers, ..call });
        assert!(self.answers.send(Answering::Answer(answer)).await.is_ok());
        word(given.await.unwrap())
    }

    fn is_told_nothing(&self) {
        assert_eq!(*self.told.lock().unwrap(), []);
    }
}

fn runs() -> [RunId; 2] {
    [RunId::random(), RunId::random()]
}

/// The attack beside it: the other run, and one that answers for a call that is over.
#[tokio::test]
async fn a_question_is_of_the_call_whose_turn_it_is_and_answered_by_its_run() {
    let mut lab = Lab::greeted(in_turn(5_000)).await;
    let [run, other] = runs();
    let (began, first) = lab.make(run).await;
    let one = lab.hear().await;
    let (later, second) = lab.make(other).await;
    lab.asks("q", "elicitation/create").await;
    let question = lab.question().await;
    for (who, of) in [(other, began), (other, later), (run, later)] {
        assert!(lab.answers(who, of, question).await.starts_with("refused"));
    }
    assert_eq!(lab.answers(run, began, question).await, "{}");
    let heard = lab.hear().await;
    let expected = json!({"jsonrpc": "2.0", "id": "q", "result": {"action": "accept"}});
    assert_eq!(heard, expected, "and it heard of no other call");
    assert!(lab.answers(run, began, question).await.starts_with("refused"), "once");
    lab.answer(&one, &json!({"of": "first"})).await;
    assert_eq!(word(first.await.unwrap()), "first");

    // By the same id, of the other call: another question.
    let two = lab.hear().await;
    assert_eq!(two["method"], "tools/call");
    lab.asks("q", "elicitation/create").await;
    let another = lab.question().await;
    assert_ne!(another, question);
    for (who, of, question) in
        [(run, began, question), (run, began, another), (run, later, another)]
    {
        assert!(lab.answers(who, of, question).await.starts_with("refused"));
    }
    assert_eq!(lab.answers(other, later, another).await, "{}");
    assert_eq!(lab.hear().await["id"], "q");
    lab.answer(&two, &json!({"of": "second"})).await;
    assert_eq!(word(second.await.unwrap()), "second");
}

/// Each row lacks one thing: the server is told no at once, and nobody hears of it.
#[tokio::test]
async fn what_a_process_may_not_ask_is_asked_of_nobody() {
    let change = |change: fn(&mut Call)| change;
    let (form, sampling) = ("elicitation/create", "sampling/createMessage");
    for (what, known_by, method, change) in [
        ("nothing says of which call", KnownBy::Nothing, form, change(|_| {})),
        ("no question", KnownBy::Turn, form, change(|call| call.questions.clear())),
        ("by its result", KnownBy::Turn, form, change(|call| call.asks_by_request = false)),
        ("another question", KnownBy::Turn, sampling, change(|_| {})),
        (
            "one that its file does not name",
            KnownBy::Turn,
            "roots/list",
            change(|call| call.questions.extend([Question::Roots])),
        ),
        ("none at all", KnownBy::Turn, "tools/call", change(|_| {})),
    ] {
        let mut lab = Lab::greeted(Bounds { known_by, ..in_turn(5_000) }).await;
        let (mut call, (_, given)) = lab.may_be_asked(RunId::random());
        change(&mut call);
        assert!(lab.calls.send(call).await.is_ok());
        let asked = lab.hear().await;
        lab.asks("q", method).await;
        lab.hears_no("q", -32601).await;
        lab.is_told_nothing();
        lab.answer(&asked, &json!({"of": what})).await;
        assert_eq!(word(given.await.unwrap()), what);
    }
}

#[tokio::test]
async fn a_process_asks_nobody_while_it_makes_no_call_or_its_run_is_sealed() {
    let mut lab = Lab::greeted(in_turn(5_000)).await;
    lab.asks("before", "elicitation/create").await;
    lab.hears_no("before", -32601).await;
    let (_, given) = lab.make(RunId::random()).await;
    let asked = lab.hear().await;
    lab.answer(&asked, &json!({"of": "done"})).await;
    assert_eq!(word(given.await.unwrap()), "done");
    lab.asks("after", "elicitation/create").await;
    lab.hears_no("after", -32601).await;

    let (_, given) = lab.make(RunId::random()).await;
    let asked = lab.hear().await;
    lab.sealed.store(true, Ordering::SeqCst);
    lab.asks("sealed", "elicitation/create").await;
    lab.hears_no("sealed", -32601).await;
    lab.answer(&asked, &json!({"of": "done"})).await;
    assert!(word(given.await.unwrap()).contains("sealed"));
    lab.is_told_nothing();
}

#[tokio::test]
async fn a_process_asks_only_so_often_for_one_call_and_as_often_for_the_next() {
    let mut lab = Lab::greeted(in_turn(5_000)).await;
    for _ in 0..2 {
        let (_, given) = lab.make(RunId::random()).await;
        let asked = lab.hear().await;
        for number in 0..16 {
            lab.asks(&format!("q-{number}"), "elicitation/create").await;
        }
        lab.asks("too often", "elicitation/create").await;
        lab.hears_no("too often", -32601).await;
        assert_eq!(std::mem::take(&mut *lab.told.lock().unwrap()).len(), 16);
        lab.answer(&asked, &json!({"of": "done"})).await;
        assert_eq!(word(given.await.unwrap()), "done");
        // What is open of it is over before there is another call.
        for _ in 0..16 {
            let heard = lab.hear().await;
            assert_eq!(heard["error"]["code"], -32603, "{heard}");
        }
    }
}

/// The attack: a call ends with a question open, and the server asks on for it.
#[tokio::test]
async fn a_call_whose_time_is_over_leaves_no_question_to_the_next() {
    for answers_late in [true, false] {
        let mut lab = Lab::greeted(in_turn(1_000)).await;
        let [run, other] = runs();
        let (began, first) = lab.make(run).await;
        let one = lab.hear().await;
        lab.asks("q", "elicitation/create").await;
        let question = lab.question().await;
        let (later, second) = lab.make(other).await;
        assert!(word(first.await.unwrap()).contains("did not answer"));
        lab.hears_no("q", -32603).await;
        assert_eq!(lab.hear().await["method"], "notifications/cancelled");
        lab.asks("late", "elicitation/create").await;
        // And it has not heard of the next call.
        lab.hears_no("late", -32601).await;
        lab.is_told_nothing();
        if !answers_late {
            assert_eq!(lab.life.await.unwrap(), Ended::Late);
            continue;
        }
        lab.answer(&one, &json!({"of": "late"})).await;
        let two = lab.hear().await;
        assert_eq!(two["method"], "tools/call");
        lab.asks("q", "elicitation/create").await;
        let another = lab.question().await;
        assert!(lab.answers(run, began, question).await.starts_with("refused"));
        assert_eq!(lab.answers(other, later, another).await, "{}");
        assert_eq!(lab.hear().await["id"], "q");
        lab.answer(&two, &json!({"of": "second"})).await;
        assert_eq!(word(second.await.unwrap()), "second");
    }
}

#[tokio::test]
async fn a_call_on_which_nobody_waits_is_asked_nothing_and_keeps_its_turn() {
    let mut lab = Lab::greeted(in_turn(5_000)).await;
    let [run, other] = runs();
    let (began, first) = lab.make(run).await;
    let one = lab.hear().await;
    lab.asks("q", "elicitation/create").await;
    let question = lab.question().await;
    let (_, second) = lab.make(other).await;
    lab.cancels.send(began).await.unwrap();
    lab.hears_no("q", -32603).await;
    assert_eq!(lab.hear().await["method"], "notifications/cancelled");
    lab.asks("r", "elicitation/create").await;
    lab.hears_no("r", -32601).await;
    assert!(lab.answers(run, began, question).await.starts_with("refused"));
    lab.answer(&one, &json!({"of": "first"})).await;
    assert_eq!(word(first.await.unwrap()), "first");
    let two = lab.hear().await;
    lab.answer(&two, &json!({"of": "second"})).await;
    assert_eq!(word(second.await.unwrap()), "second");
    lab.is_told_nothing();
}

/// The attack: who wants to hear of a resource takes no turn, and its server asks for it.
#[tokio::test]
async fn who_wants_to_hear_of_a_resource_has_nobody_else_asked_for_it() {
    let mut lab = Lab::greeted(in_turn(5_000)).await;
    let (subscriber, _pending) = lab.may_be_asked(RunId::random());
    let target = Target::Subscription("fixture+file:///a".parse().unwrap());
    assert!(lab.calls.send(Call { target, approved: None, ..subscriber }).await.is_ok());
    let subscribed = lab.hear().await;
    assert_eq!(subscribed["method"], "resources/subscribe");
    let (_, given) = lab.make(RunId::random()).await;
    let asked = lab.hear().await;
    lab.asks("q", "elicitation/create").await;
    lab.hears_no("q", -32601).await;
    lab.is_told_nothing();
    lab.answer(&subscribed, &json!({})).await;
    lab.asks("q", "elicitation/create").await;
    let told = async {
        while !matches!(lab.told.lock().unwrap().last(), Some(Told::Asks { .. })) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("the control");
    lab.answer(&asked, &json!({"of": "done"})).await;
    assert_eq!(word(given.await.unwrap()), "done");
}

/// The attack: one run has the whole queue.
#[tokio::test]
async fn each_run_has_its_turn_and_a_full_queue_is_the_fullest_runs() {
    let mut lab = Lab::greeted(in_turn(5_000)).await;
    let [run, other] = runs();
    let mut greedy = Vec::new();
    for _ in 0..65 {
        greedy.push(lab.make(run).await);
    }
    let one = lab.hear().await;
    let (_, modest) = lab.make(other).await;
    // The last of the many has no room, and nobody else's.
    let (_, last) = greedy.pop().unwrap();
    assert!(word(last.await.unwrap()).starts_with("refused"));
    for (asked, given) in [(one, greedy.remove(0).1), (Value::Null, greedy.remove(0).1)] {
        let asked = if asked.is_null() { lab.hear().await } else { asked };
        lab.answer(&asked, &json!({"of": "greedy"})).await;
        assert_eq!(word(given.await.unwrap()), "greedy");
    }
    let asked = lab.hear().await;
    lab.answer(&asked, &json!({"of": "modest"})).await;
    assert_eq!(word(modest.await.unwrap()), "modest");
    assert!(greedy.iter_mut().all(|(_, given)| given.try_recv().is_err()), "the others wait");
}

/// By the same rule, with the control that it writes for nobody where several calls may be under way.
#[tokio::test]
async fn what_a_process_writes_down_is_of_the_call_whose_turn_it_is() {
    for (known_by, expected) in [(KnownBy::Turn, 1), (KnownBy::Nothing, 0)] {
        let mut lab = Lab::greeted(Bounds { known_by, ..in_turn(1_000) }).await;
        lab.may_tell = MayTell { level: Some(Level::Info), ..MayTell::default() };
        let log = |data: &str| json!({"level": "info", "data": data});
        lab.tell("notifications/message", &log("before")).await;
        let (given, asked) = (lab.call("a").await, lab.hear().await);
        lab.tell("notifications/message", &log("its own")).await;
        lab.answer(&asked, &json!({"of": "a"})).await;
        assert_eq!(word(given.await.unwrap()), "a");
        let told = std::mem::take(&mut *lab.told.lock().unwrap());
        let own = Told::Log { level: Level::Info, logger: None, data: json!("its own") };
        assert_eq!(told, vec![own; expected], "{known_by:?}");
        // Of one whose time is over, the next one hears nothing.
        let given = lab.call("slow").await;
        let slow = lab.hear().await;
        assert!(word(given.await.unwrap()).contains("did not answer"));
        assert_eq!(lab.hear().await["method"], "notifications/cancelled");
        lab.tell("notifications/message", &log("late")).await;
        lab.answer(&slow, &json!({"of": "late"})).await;
        lab.control().await;
        lab.is_told_nothing();
    }
}

/// The attack: what is deferred is worked on beside the call whose turn it is, and asks.
#[tokio::test]
async fn a_process_that_makes_one_call_at_a_time_defers_none() {
    for (known_by, is_deferred) in [(KnownBy::Turn, false), (KnownBy::Nothing, true)] {
        let mut lab = Lab::silent(Bounds { known_by, ..in_turn(5_000) }, 64 << 10);
        let asked = lab.hear().await;
        let tasks = json!({"requests": {"tools": {"call": {}}}});
        let capabilities = json!({"tools": {}, "tasks": tasks});
        let result = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities});
        lab.answer(&asked, &result).await;
        assert_eq!(lab.hear().await["method"], "notifications/initialized");
        lab.list(TOOL).await;
        let (give, given) = oneshot::channel();
        let defers = Some(MayDefer::Asked { ttl_ms: 1_000 });
        assert!(lab.calls.send(Call { defers, ..lab.made("later", give) }).await.is_ok());
        if is_deferred {
            assert_eq!(lab.hear().await["params"]["task"]["ttl"], 1_000, "the control");
        } else {
            assert!(word(given.await.unwrap()).starts_with("refused"));
        }
    }
}

/// The attack: what its file lets it ask is passed by, with a result as in the revision without a handshake.
#[tokio::test]
async fn a_result_that_asks_is_withheld_of_a_server_with_a_handshake() {
    for known_by in [KnownBy::Nothing, KnownBy::Turn] {
        for (result, is_withheld) in [
            (r#"{"resultType":"input_required","requestState":"s"}"#, true),
            (r#"{"requestState":"s","result\u0054ype":"input\u005frequired"}"#, true),
            (r#"{"resultType":"complete","content":[],"of":"done"}"#, false),
            (r#"{"content":[],"text":"input_required","of":"done"}"#, false),
        ] {
            let mut lab = Lab::greeted(Bounds { known_by, ..in_turn(5_000) }).await;
            let (_, given) = lab.make(RunId::random()).await;
            let id = lab.hear().await["id"].clone();
            lab.say(
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n").as_bytes(),
            )
            .await;
            let found = word(given.await.unwrap());
            let expected = if is_withheld { "unknown" } else { "done" };
            assert!(found.starts_with(expected), "{result}: {found}");
        }
    }
}
