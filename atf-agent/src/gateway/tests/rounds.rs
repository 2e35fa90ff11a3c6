//! What a server asks by its result, of a run that is asked by requests while its call is under way: all is answered,
//! and the call is made once more.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::client::{ADJUST, Client, Got, adjust};
use super::doubles::{Act, Mood};
use super::lab::{Lab, LabRun, Wanted};
use super::requested::{answer, begun, decisions, forms, ids, lab, said};
use super::telling::events;
use crate::audit::{Call, Event, Verdict};
use crate::call::Reason;

/// Two questions, in the server's own words, and a state that is nobody else's.
const ASKS: &str = r#"{"resultType":"input_required","requestState":"s3cret","inputRequests":{
    "a":{"method":"elicitation/create","params":{ "message":"who?" }},
    "b":{"method":"elicitation/create","params":{"message":"and how?"}}}}"#;

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

fn result(lab: &Lab, text: &str) {
    *lab.executor.result.lock().unwrap() = text.to_owned();
}

/// A run with a session, and a call that waits for what the run is asked.
struct Waiting {
    run: Arc<LabRun>,
    session: String,
    call: JoinHandle<Got>,
}

impl Waiting {
    /// A call whose server asks by `asks`.
    async fn begin(lab: &Lab, asks: &str) -> Self {
        let run = Arc::new(lab.run(&[ADJUST]));
        let session = begun(&run, &json!({"elicitation": {}})).await;
        result(lab, asks);
        let (its, of) = (Arc::clone(&run), session.clone());
        let call = tokio::spawn(async move { said(&its, &adjust(100), &of).await });
        Self { run, session, call }
    }

    /// The ids of both questions, once they are open; what the server does from then on is to answer.
    async fn ids(&self, lab: &Lab) -> [String; 2] {
        let both = |lab: &Lab| <[String; 2]>::try_from(ids(lab, &self.run)).ok();
        let ids = lab.until("both questions", both).await;
        result(lab, DONE);
        ids
    }

    async fn says(&self, body: &str) -> Got {
        said(&self.run, body, &self.session).await
    }
}

fn acts(lab: &Lab) -> Vec<Act> {
    std::mem::take(&mut *lab.executor.acts.lock().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_once_more_with_all_that_its_run_answers_and_judged_anew() {
    let lab = forms().await;
    let waiting = Waiting::begin(&lab, ASKS).await;
    let [one, two] = waiting.ids(&lab).await;
    let first = acts(&lab).pop().expect("an act");
    assert!(first.permit.exchange.as_ref().is_some_and(|one| one.by_request));
    assert!(first.answers.is_none());
    let settled = |event: &Event| matches!(event, Event::Settled { .. });
    assert!(lab.events().iter().any(settled), "its outcome is recorded before the run is asked");

    for (number, id) in [(1, &one), (2, &two)] {
        assert!(acts(&lab).is_empty(), "not all is answered");
        let got = waiting.says(&answer(id).replace("1e2", &format!("{number}e2"))).await;
        assert_eq!((got.status, got.body.as_str()), (202, ""));
        let (call, verdict) = decisions(&lab)
            .into_iter()
            .find(|(call, _)| {
                call.answers.is_some()
                    && call.method.as_ref().map(|m| m.raw()) == Some("elicitation/create")
            })
            .expect("the answer is recorded");
        assert_eq!(
            (verdict, call.permit, call.began),
            (Verdict::Allowed, None, Some(first.permit.decision))
        );
        let again = waiting.says(&answer(id)).await;
        assert_eq!(again.reason(), "question.unknown", "it was answered");
    }
    let got = waiting.call.await.unwrap();
    let events = events(&got);
    assert_eq!((events.len(), &events[2]["id"]), (3, &json!(7)), "{got:?}");
    assert_eq!(events[2]["result"]["content"][0]["text"], "done");
    assert!(got.body.contains(r#"{ "message":"who?" }"#), "byte for byte: {got:?}");
    assert!(!got.body.contains("s3cret"), "the state is not the run's: {got:?}");

    let second = acts(&lab).pop().expect("the call once more");
    let answers = second.answers.expect("answers");
    assert_eq!(answers.state.as_deref(), Some("s3cret"));
    let by_id = |event: &Value| {
        event["id"].as_str().map(|id| (id.to_owned(), event["params"]["message"] == "who?"))
    };
    let is_a: Vec<_> = events[..2].iter().filter_map(by_id).collect();
    let of_one = is_a.iter().any(|(id, is_a)| *id == one && *is_a);
    let (a, b) = if of_one { (1, 2) } else { (2, 1) };
    let said = |number: u32| format!(r#"{{"action":"accept","content":{{"n":{number}e2}}}}"#);
    let expected = format!(r#"{{"a":{},"b":{}}}"#, said(a), said(b));
    assert_eq!(answers.responses.as_ref().unwrap().get(), expected, "by the server's keys");
    assert_eq!(second.permit.exchange.unwrap().answers, Some(answers.digest()));
    assert_eq!(second.permit.began, None, "it is a call of its own");
    assert_ne!(second.permit.decision, first.permit.decision);
    // The answer that came twice may be refused meanwhile.
    let made = |(call, _): &(Call, Verdict)| call.answers == Some(answers.digest());
    let verdicts: Vec<_> =
        decisions(&lab).into_iter().filter(made).map(|(_, verdict)| verdict).collect();
    assert_eq!(verdicts, [Verdict::Allowed]);
    assert_eq!(lab.gateway.caps.spent(waiting.run.entry.run), 200, "and reserves what it costs");
    assert!(ids(&lab, &waiting.run).is_empty());
    let late = said_late(&waiting.run, &waiting.session, &one).await;
    assert_eq!(late, "question.unknown");
    assert!(lab.executor.unanswered.lock().unwrap().is_empty(), "no server waits for it");
}

async fn said_late(run: &LabRun, session: &str, id: &str) -> String {
    said(run, &answer(id), session).await.reason()
}

/// Each row is an answer that is none. Nothing of it is kept, and the honest ones are.
#[tokio::test(flavor = "multi_thread")]
async fn who_else_answers_is_refused_and_nothing_of_it_reaches_the_server() {
    let lab = forms().await;
    let other = lab.run(&[ADJUST]);
    let of_other = begun(&other, &json!({"elicitation": {}})).await;
    let waiting = Waiting::begin(&lab, ASKS).await;
    let [one, two] = waiting.ids(&lab).await;
    acts(&lab);
    let (run, session) = (&*waiting.run, waiting.session.as_str());
    let sibling = begun(run, &json!({"elicitation": {}})).await;
    let evil = answer(&one).replace("accept", "evil");
    let twice = evil.replace("\"action\"", "\"action\":\"decline\",\"action\"");
    for (what, run, session, body, reason) in [
        ("another run's", &other, of_other.as_str(), &evil, Reason::QuestionUnknown),
        ("another session's", run, &sibling, &evil, Reason::QuestionUnknown),
        ("no session's", run, "", &evil, Reason::MessageInvalid),
        ("another question's", run, session, &evil.replace(&one, "x"), Reason::QuestionUnknown),
        ("a member twice", run, session, &twice, Reason::MessageInvalid),
    ] {
        lab.gateway.runs.get(run.entry.run).unwrap().release();
        let got = said(run, body, session).await;
        assert_eq!((got.status, got.reason()), (400, reason.to_string()), "{what}: {got:?}");
    }
    let bearer = format!("Bearer {}", lab.token(&run.entry, &[], |_| {}));
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", session)];
    let mut client = Client::connect(&run.socket).await;
    let got = client.post(&evil, &headers).await.unwrap();
    assert_eq!((got.status, got.reason()), (403, "token.tool_not_named".to_owned()), "{got:?}");
    lab.recorder.mood.set(Mood::Refuses);
    assert_eq!(waiting.says(&evil).await.reason(), "atf.unavailable", "what the log does not have");
    lab.recorder.mood.set(Mood::Works);
    lab.gateway.runs.get(run.entry.run).unwrap().seal();
    assert_eq!(waiting.says(&evil).await.reason(), "run.sealed");
    lab.gateway.runs.get(run.entry.run).unwrap().release();

    for id in [&one, &two] {
        assert_eq!(waiting.says(&answer(id)).await.status, 202, "the control");
    }
    assert_eq!(waiting.call.await.unwrap().status, 200);
    let all = acts(&lab);
    assert_eq!(all.len(), 1);
    let answers = all[0].answers.as_ref().expect("answers");
    assert!(!answers.responses.as_ref().unwrap().get().contains("evil"));
}

/// Each row ends the call with no second one made.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_all_has_no_call_made_once_more() {
    for what in ["no answer", "cancelled", "sealed", "too much", "a cap"] {
        let calls = json!([{"of": "run", "tools": [ADJUST], "most": 1, "per_s": 60}]);
        let limits = (what == "a cap").then(|| json!({ "calls": calls }));
        let servers = json!({"ledger": {"questions": ["elicitation/create"]}});
        let wanted = Wanted { servers: Some(servers), limits, ..Wanted::default() };
        let lab = Lab::start(wanted).await;
        let waiting = Waiting::begin(&lab, ASKS).await;
        let [one, two] = waiting.ids(&lab).await;
        acts(&lab);
        assert_eq!(waiting.says(&answer(&one)).await.status, 202, "{what}");
        let honest = answer(&two);
        let run = lab.gateway.runs.get(waiting.run.entry.run).unwrap();
        let since = std::time::Instant::now();
        let expected = match what {
            "no answer" => {
                let no =
                    json!({"jsonrpc": "2.0", "id": two, "error": {"code": -1, "message": "no"}});
                assert_eq!(waiting.says(&no.to_string()).await.status, 202);
                "execute.failed"
            }
            "cancelled" => {
                let params = json!({"requestId": 7});
                let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
                assert_eq!(waiting.says(&cancelled.to_string()).await.status, 202);
                "execute.failed"
            }
            "sealed" => {
                // Between the last answer and the call: the recorder holds the answer until then.
                lab.recorder.mood.set(Mood::Waits);
                let (its, of) = (Arc::clone(&waiting.run), waiting.session.clone());
                let last = tokio::spawn(async move { said(&its, &honest, &of).await });
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                run.seal();
                lab.recorder.mood.set(Mood::Works);
                assert_eq!(last.await.unwrap().status, 202);
                "run.sealed"
            }
            "too much" => {
                let long = honest.replace("accept", &"x".repeat(65_480));
                assert_eq!(waiting.says(&long).await.status, 202);
                "message.invalid"
            }
            _ => {
                assert_eq!(waiting.says(&honest).await.status, 202);
                "cap.calls"
            }
        };
        let got = waiting.call.await.unwrap();
        assert_eq!(reason_of_last(&got), expected, "{what}: {got:?}");
        assert!(since.elapsed().as_secs() < 15, "{what}: it does not wait for its time to be over");
        assert!(acts(&lab).is_empty(), "{what}");
        assert!(ids(&lab, &waiting.run).is_empty(), "{what}");
        assert!(lab.executor.unanswered.lock().unwrap().is_empty(), "no server waits: {what}");
    }
}

/// The stable reason of the last event.
fn reason_of_last(got: &Got) -> String {
    let last = events(got).pop().unwrap_or_default();
    let places = ["/result/structuredContent/reason", "/error/data/reason"];
    let found = places.iter().find_map(|place| Some(last.pointer(place)?.as_str()?.to_owned()));
    found.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_the_time_run_out_is_asked_no_more() {
    let servers = json!({"ledger": {"questions": ["elicitation/create"]}});
    let mut wanted = Wanted { servers: Some(servers), ..Wanted::default() };
    wanted.settings.execute_timeout_ms = 1_000;
    let lab = Lab::start(wanted).await;
    let waiting = Waiting::begin(&lab, ASKS).await;
    let [one, _] = waiting.ids(&lab).await;
    let got = waiting.call.await.unwrap();
    assert_eq!(reason_of_last(&got), "execute.failed");
    assert_eq!(said_late(&waiting.run, &waiting.session, &one).await, "question.unknown");
    assert_eq!(acts(&lab).len(), 1);
}

/// The attack: a server without an end of questions.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_asked_only_so_often_by_results() {
    let lab = forms().await;
    let run = lab.run(&[ADJUST]);
    let session = begun(&run, &json!({"elicitation": {}})).await;
    // It asks nothing, and wants to be called once more.
    result(&lab, r#"{"resultType":"input_required","requestState":"s"}"#);
    let got = said(&run, &adjust(1), &session).await;
    assert_eq!(got.reason(), "result.withheld", "{got:?}");
    assert_eq!(acts(&lab).len(), 9, "the call and eight rounds");
    // Or more in two rounds than one call may.
    let form = r#"{"method":"elicitation/create","params":{}}"#;
    let many: Vec<_> = (0..9).map(|number| format!(r#""{number}":{form}"#)).collect();
    let many = many.join(",");
    let asks = format!(r#"{{"resultType":"input_required","inputRequests":{{{many}}}}}"#);
    let waiting = Waiting::begin(&lab, &asks).await;
    let nine = |lab: &Lab| Some(ids(lab, &waiting.run)).filter(|ids| ids.len() == 9);
    for id in lab.until("nine questions", nine).await {
        assert_eq!(waiting.says(&answer(&id)).await.status, 202);
    }
    let got = waiting.call.await.unwrap();
    assert_eq!((events(&got).len(), reason_of_last(&got).as_str()), (10, "result.withheld"));
    assert_eq!(acts(&lab).len(), 2);
}

/// Each row is a result that asks nobody: it is withheld, as from a run without a handshake.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_result_may_not_ask_is_asked_of_nobody() {
    let form = ASKS.to_owned();
    let all = json!(["elicitation/create"]);
    let can = json!({"elicitation": {}});
    let hidden = form.replace("and how?", "and\u{e0041}how?");
    for (what, questions, can, result_of, finds) in [
        ("no policy", json!([]), &can, form.clone(), false),
        ("another policy", json!(["sampling/createMessage"]), &can, form.clone(), false),
        ("a client of nothing", all.clone(), &json!({}), form.clone(), false),
        (
            "a client of pages",
            all.clone(),
            &json!({"elicitation": {"url": {}}}),
            form.clone(),
            false,
        ),
        (
            "another question",
            all.clone(),
            &can,
            form.replace("elicitation/create", "roots/list"),
            false,
        ),
        ("a page", all.clone(), &can, form.replace("\"message\"", "\"url\""), false),
        ("a long state", all.clone(), &can, form.replace("s3cret", &"s".repeat(9_000)), false),
        ("hidden", all.clone(), &can, hidden, true),
    ] {
        let lab = lab(questions).await;
        let run = lab.run(&[ADJUST]);
        let session = begun(&run, can).await;
        result(&lab, &result_of);
        let got = said(&run, &adjust(1), &session).await;
        let reason = match got.header("content-type") {
            "text/event-stream" => reason_of_last(&got),
            _ => got.reason(),
        };
        assert_eq!(reason, "result.withheld", "{what}: {got:?}");
        assert!(!got.body.contains("how?"), "{what}: {got:?}");
        assert_eq!(acts(&lab).len(), 1, "{what}");
        assert!(ids(&lab, &run).is_empty(), "{what}");
        let found = lab.events().iter().any(
            |event| matches!(event, Event::Finding { name, .. } if name == "notice.hidden_text"),
        );
        assert_eq!(found, finds, "{what}");
    }
}
