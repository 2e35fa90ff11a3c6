//! What a server asks of a run by requests while its call is under way, and what becomes of the run's answers.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::client::{ADJUST, Client, Got, adjust, request, tool_call};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted};
use super::telling::events;
use crate::audit::{Event, Verdict};
use crate::call::{Question, Questions, Reason, Target};
use crate::wire::Told;

/// A lab whose policy lets the ledger ask `questions`.
pub(super) async fn lab(questions: Value) -> Arc<Lab> {
    let servers = json!({"ledger": {"questions": questions}});
    Arc::new(Lab::start(Wanted { servers: Some(servers), ..Wanted::default() }).await)
}

pub(super) async fn forms() -> Arc<Lab> {
    lab(json!(["elicitation/create"])).await
}

pub(super) async fn said(run: &LabRun, body: &str, session: &str) -> Got {
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", session)];
    Client::connect(&run.socket).await.post(body, &headers).await.unwrap()
}

/// Begins a session of a client that can do `can`; its word.
pub(super) async fn begun(run: &LabRun, can: &Value) -> String {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": can});
    let got = said(run, &request("initialize", &params), "").await;
    got.header("mcp-session-id").to_owned()
}

fn question(params: &str) -> Told {
    Told::Asks { question: 5, asks: Question::Elicitation, params: params.to_owned() }
}

const FORM: &str = r#"{ "message":"who?", "requestedSchema":{"n":1e2} }"#;

/// A run with a session, and a call that waits for its server, which has asked.
struct Waiting {
    run: Arc<LabRun>,
    session: String,
    call: JoinHandle<Got>,
}

impl Waiting {
    async fn begin(lab: &Lab, told: Told) -> Self {
        let run = Arc::new(lab.run(&[ADJUST]));
        let session = begun(&run, &json!({"elicitation": {}})).await;
        lab.executor.mood.set(Mood::Waits);
        *lab.executor.tells.lock().unwrap() = vec![told];
        let (its, of) = (Arc::clone(&run), session.clone());
        let call = tokio::spawn(async move { said(&its, &adjust(100), &of).await });
        Self { run, session, call }
    }

    /// The id of the only open question.
    async fn id(&self, lab: &Lab) -> String {
        lab.until("a question", |lab| ids(lab, &self.run).pop()).await
    }

    /// The server answers.
    async fn ends(self, lab: &Lab) -> Got {
        lab.executor.mood.set(Mood::Works);
        self.call.await.unwrap()
    }
}

pub(super) fn ids(lab: &Lab, run: &LabRun) -> Vec<String> {
    lab.gateway.runs.get(run.entry.run).map(|run| run.asking.ids()).unwrap_or_default()
}

pub(super) fn answer(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"action":"accept","content":{{"n":1e2}}}}}}"#
    )
}

pub(super) fn decisions(lab: &Lab) -> Vec<(crate::audit::Call, Verdict)> {
    let decided = |event| match event {
        Event::Decided { call, verdict } => Some((*call, verdict)),
        _ => None,
    };
    lab.events().into_iter().filter_map(decided).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_asked_and_its_answer_is_judged_recorded_and_passed_on_by_a_permit() {
    let lab = forms().await;
    let waiting = Waiting::begin(&lab, question(FORM)).await;
    let id = waiting.id(&lab).await;
    let begun = lab.executor.acts.lock().unwrap().pop().expect("an act").permit;
    let exchange = begun.exchange.clone().expect("questions");
    assert_eq!(exchange.questions, Questions::from([Question::Elicitation]));
    assert!(exchange.by_request && begun.began.is_none());

    let got = said(&waiting.run, &answer(&id), &waiting.session).await;
    assert_eq!((got.status, got.body.as_str()), (202, ""));
    let act = lab.executor.acts.lock().unwrap().pop().expect("an answer");
    assert_eq!(act.permit.began, Some(begun.decision));
    assert_eq!(act.permit.target, Target::Tool(ADJUST.parse().unwrap()));
    assert_eq!((act.permit.arguments, act.permit.pin), (begun.arguments, begun.pin));
    let answers = act.answers.expect("answers");
    let responses = answers.responses.as_ref().unwrap().get();
    assert_eq!(responses, r#"{"5":{"action":"accept","content":{"n":1e2}}}"#, "byte for byte");
    assert_eq!(act.permit.exchange.unwrap().answers, Some(answers.digest()));
    let (call, verdict) = decisions(&lab).pop().unwrap();
    assert_eq!((verdict, call.began), (Verdict::Allowed, Some(begun.decision)));
    assert_eq!((call.answers, call.decision), (Some(answers.digest()), act.permit.decision));
    // What the call has reserved, the answer does not reserve again.
    assert_eq!(lab.gateway.caps.spent(waiting.run.entry.run), 100);

    // It was answered, and is not answered again.
    let again = said(&waiting.run, &answer(&id), &waiting.session).await;
    assert_eq!((again.status, again.reason()), (400, "question.unknown".to_owned()));
    assert!(again.json()["id"].is_null(), "{again:?}");
    let (run, session) = (Arc::clone(&waiting.run), waiting.session.clone());
    let got = waiting.ends(&lab).await;
    let events = events(&got);
    assert_eq!((events.len(), &events[0]["id"]), (2, &json!(id)), "{got:?}");
    assert_eq!(events[0]["method"], "elicitation/create");
    assert!(got.body.contains(FORM), "byte for byte: {got:?}");
    assert_eq!(events[1]["id"], 7);
    let late = said(&run, &answer(&id), &session).await;
    assert_eq!(late.reason(), "question.unknown", "after the end");
    assert!(lab.executor.acts.lock().unwrap().is_empty() && ids(&lab, &run).is_empty());
    assert!(lab.executor.unanswered.lock().unwrap().is_empty());
}

/// Each row is an answer that is none. The question stays open, and the honest answer is taken.
#[tokio::test(flavor = "multi_thread")]
async fn who_answers_another_question_or_in_another_way_is_refused() {
    let lab = forms().await;
    let other = lab.run(&[ADJUST]);
    let of_other = begun(&other, &json!({"elicitation": {}})).await;
    let waiting = Waiting::begin(&lab, question(FORM)).await;
    let id = waiting.id(&lab).await;
    let (run, session) = (&*waiting.run, waiting.session.as_str());
    let sibling = begun(run, &json!({"elicitation": {}})).await;
    let silent = begun(run, &json!({})).await;
    let unknown = Reason::QuestionUnknown;
    let twice = answer(&id).replace("\"action\"", "\"action\":\"decline\",\"action\"");
    let long = answer(&id).replace("accept", &"x".repeat(70_000));
    lab.executor.acts.lock().unwrap().clear();
    for (what, run, session, body, reason) in [
        ("another run's", &other, of_other.as_str(), answer(&id), unknown),
        ("another session's", run, &sibling, answer(&id), unknown),
        ("another question's", run, session, answer("x"), unknown),
        ("a number", run, session, answer("x").replace("\"x\"", "5"), unknown),
        ("no session's", run, "", answer(&id), Reason::MessageInvalid),
        ("of who can answer nothing", run, &silent, answer(&id), Reason::MessageInvalid),
        ("a member twice", run, session, twice, Reason::MessageInvalid),
        ("too long", run, session, long, Reason::MessageInvalid),
        (
            "no object",
            run,
            session,
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":[1]}}"#),
            Reason::MessageInvalid,
        ),
        (
            "a result and an error",
            run,
            session,
            answer(&id)
                .replace("\"result\"", "\"error\":{\"code\":1,\"message\":\"m\"},\"result\""),
            Reason::MessageInvalid,
        ),
        (
            "no error",
            run,
            session,
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","error":{{"code":"1"}}}}"#),
            Reason::MessageInvalid,
        ),
    ] {
        // Enough of them seal a run.
        lab.gateway.runs.get(run.entry.run).unwrap().release();
        let got = said(run, &body, session).await;
        assert_eq!((got.status, got.reason()), (400, reason.to_string()), "{what}: {got:?}");
        let (_, verdict) = decisions(&lab).pop().unwrap();
        assert!(
            matches!(&verdict, Verdict::Refused { reason: found, .. } if *found == reason),
            "{what}: {verdict:?}"
        );
        assert!(lab.executor.acts.lock().unwrap().is_empty(), "{what}");
    }
    let bearer = format!("Bearer {}", lab.token(&run.entry, &[], |_| {}));
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", session)];
    let mut client = Client::connect(&run.socket).await;
    let got = client.post(&answer(&id), &headers).await.unwrap();
    assert_eq!((got.status, got.reason()), (403, "token.tool_not_named".to_owned()), "{got:?}");
    assert!(got.json()["id"].is_null(), "{got:?}");
    assert_eq!(said(run, &answer(&id), session).await.status, 202, "the control");
    assert_eq!(waiting.ends(&lab).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_there_is_no_answer_is_recorded_and_its_server_told() {
    let lab = forms().await;
    let waiting = Waiting::begin(&lab, question(FORM)).await;
    let id = waiting.id(&lab).await;
    let no = format!(r#"{{"jsonrpc":"2.0","id":"{id}","error":{{"code":-1,"message":"no"}}}}"#);
    let got = said(&waiting.run, &no, &waiting.session).await;
    assert_eq!((got.status, got.body.as_str()), (202, ""));
    assert_eq!(*lab.executor.unanswered.lock().unwrap(), [5]);
    let (call, verdict) = decisions(&lab).pop().unwrap();
    assert_eq!((verdict, call.permit), (Verdict::Allowed, None));
    assert_eq!(call.method.as_ref().map(|method| method.raw()), Some("elicitation/create"));
    let again = said(&waiting.run, &answer(&id), &waiting.session).await;
    assert_eq!(again.reason(), "question.unknown");
    assert_eq!(waiting.ends(&lab).await.status, 200);
}

/// Each row is a question that the run does not hear; its server is told so.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_form_or_hides_something_or_is_too_much_is_not_asked() {
    let hidden = "{\"message\":\"who\u{e0041}\"}";
    let url = r#"{"mode":"url","url":"https://x"}"#;
    let much = format!(r#"{{"message":"{}"}}"#, "x".repeat(300_000));
    for (what, told, finds) in [
        ("a page", question(url), false),
        ("in another case", question(r#"{"Mode":"url"}"#), false),
        ("no object", question("[1]"), false),
        ("no JSON", question("{"), false),
        ("hidden", question(hidden), true),
        ("too much", question(&much), false),
        (
            "another question",
            Told::Asks { question: 5, asks: Question::Sampling, params: "{}".to_owned() },
            false,
        ),
    ] {
        let lab = forms().await;
        let waiting = Waiting::begin(&lab, told).await;
        let unanswered = |lab: &Lab| lab.executor.unanswered.lock().unwrap().first().copied();
        assert_eq!(lab.until("that it is told", unanswered).await, 5, "{what}");
        assert!(ids(&lab, &waiting.run).is_empty(), "{what}");
        let got = waiting.ends(&lab).await;
        assert_eq!(got.header("content-type"), "application/json", "{what}: {got:?}");
        let found = lab.events().iter().any(
            |event| matches!(event, Event::Finding { name, .. } if name == "notice.hidden_text"),
        );
        assert_eq!(found, finds, "{what}");
    }
}

/// Each row lacks one thing: the permit lets the server ask nothing by requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_asks_by_requests_what_policy_token_client_and_tool_allow() {
    let can = json!({"elicitation": {}, "sampling": {}});
    let all = json!(["elicitation/create", "sampling/createMessage"]);
    let select = json!({"sql": "SELECT id FROM ledger_entries WHERE id = 1 LIMIT 1"});
    let query = tool_call("ledger.query", &select);
    let later = adjust(1).replace("\"arguments\"", "\"task\":{},\"arguments\"");
    for (what, questions, can, body, is_asked) in [
        ("the control", all.clone(), can.clone(), adjust(1), true),
        ("no policy", json!([]), can.clone(), adjust(1), false),
        ("another policy", json!(["sampling/createMessage"]), can.clone(), adjust(1), false),
        ("a client of nothing", all.clone(), json!({}), adjust(1), false),
        ("a client of pages", all.clone(), json!({"elicitation": {"url": {}}}), adjust(1), false),
        ("what is no capability", all.clone(), json!([1]), adjust(1), false),
        ("a tool with SQL", all.clone(), can.clone(), query, false),
        ("a call that is to be deferred", all.clone(), can.clone(), later, false),
    ] {
        let lab = lab(questions).await;
        let run = lab.run(&[ADJUST, "ledger.query"]);
        let session = begun(&run, &can).await;
        said(&run, &body, &session).await;
        let act = lab.executor.acts.lock().unwrap().pop();
        let exchange = act.and_then(|act| act.permit.exchange);
        let expected = is_asked.then(|| Questions::from([Question::Elicitation]));
        assert_eq!(exchange.map(|exchange| exchange.questions), expected, "{what}");
    }
    // Without a session nobody has said what it can.
    let lab = lab(all).await;
    let run = lab.run(&[ADJUST]);
    begun(&run, &can).await;
    said(&run, &adjust(1), "").await;
    assert!(lab.executor.acts.lock().unwrap().pop().unwrap().permit.exchange.is_none());
}

/// The policy, the log and the seal are asked once more when the answer comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_recorded_or_comes_from_a_sealed_run_is_not_passed_on() {
    let lab = forms().await;
    let waiting = Waiting::begin(&lab, question(FORM)).await;
    let id = waiting.id(&lab).await;
    lab.executor.acts.lock().unwrap().clear();
    lab.recorder.mood.set(Mood::Refuses);
    let got = said(&waiting.run, &answer(&id), &waiting.session).await;
    assert_eq!(got.reason(), "atf.unavailable", "{got:?}");
    lab.recorder.mood.set(Mood::Works);
    lab.gateway.runs.get(waiting.run.entry.run).unwrap().seal();
    let got = said(&waiting.run, &answer(&id), &waiting.session).await;
    assert_eq!(got.reason(), "run.sealed", "{got:?}");
    assert!(lab.executor.acts.lock().unwrap().is_empty());
    lab.gateway.runs.get(waiting.run.entry.run).unwrap().release();
    assert_eq!(said(&waiting.run, &answer(&id), &waiting.session).await.status, 202);
    assert_eq!(lab.executor.acts.lock().unwrap().len(), 1, "the control");
    waiting.ends(&lab).await;
}
