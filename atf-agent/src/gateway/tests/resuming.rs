//! Clients that lose their connection in the middle of a call and come back to its stream: they lose nothing, and
//! nobody else gets anything.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{ADJUST, Client, adjust, raw, request};
use super::doubles::Mood;
use super::lab::{Lab, LabRun};
use super::resuming_lab::{Reader, begun, lab, live, lost, quick, resume_head, wants};
use super::telling::BOTH;
use crate::audit::{Event, Verdict};
use crate::wire::Registry;

/// How many decisions about tools the log has.
fn decided(lab: &Lab) -> usize {
    let is_call =
        |event: &Event| matches!(event, Event::Decided { call, .. } if call.tool.is_some());
    lab.events().iter().filter(|event| is_call(event)).count()
}

/// It comes back twice: in the middle of the call, and after its end. Clients of the revisions before have ids, too,
/// and no event without data.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lost_its_connection_comes_back_and_loses_nothing() {
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let lab = lab().await;
        let run = lab.run(&[ADJUST]);
        let session = begun(&run, revision).await;
        lab.executor.mood.set(Mood::Waits);
        let mut reader = Reader::posts(&run, &session, (revision, &wants())).await;
        if revision == "2025-11-25" {
            let (id, data) = reader.next().await.expect("it is primed");
            assert!(id.ends_with("-0") && data.is_none(), "{id}");
            assert!(reader.all.contains("\nretry: 1000\ndata:\n\n"), "{}", reader.all);
        }
        let (id, data) = reader.next().await.expect("progress");
        let is_primed = reader.all.contains("data:\n");
        assert_eq!((id.ends_with("-1"), is_primed), (true, revision == "2025-11-25"), "{revision}");
        assert_eq!(data.unwrap()["params"]["progress"], 1);
        drop(reader);

        let mut reader = Reader::resumes(&run, &session, &id).await;
        lab.executor.mood.set(Mood::Works);
        let (last, data) = reader.next().await.expect("the answer");
        assert_eq!(last, id.replace("-1", "-2"), "{revision}");
        let answer = data.unwrap();
        assert_eq!(
            (&answer["id"], &answer["result"]["content"][0]["text"]),
            (&json!(7), &json!("3 rows"))
        );
        assert_eq!(reader.next().await, None, "its end");
        // All that came after it, once more, and nothing else.
        for (after, count) in [("-0", 2), ("-1", 1), ("-2", 0)] {
            let id = id.replace("-1", after);
            let mut reader = Reader::resumes(&run, &session, &id).await;
            let mut found = Vec::new();
            while let Some((_, data)) = reader.next().await {
                found.push(data.unwrap());
            }
            assert_eq!(reader.status(), "200", "{}", reader.all);
            assert_eq!(found.len(), count, "{revision}, after {after}: {found:?}");
            assert!(found.last().is_none_or(|last| *last == answer));
        }
        // It is one call, in log and executor.
        assert_eq!((lab.executor.acts.lock().unwrap().len(), decided(&lab)), (1, 1));
        assert_eq!(lab.outcomes().len(), 1);
    }
}

/// Without something to tell, its stream begins when it takes its time; what is answered at once is one message.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_its_time_has_a_stream_to_come_back_to() {
    let lab = quick().await;
    let run = lab.run(&[ADJUST]);
    let session = begun(&run, "2025-11-25").await;
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", &session)];
    let got = Client::connect(&run.socket).await.post(&adjust(1), &headers).await.unwrap();
    assert_eq!(got.header("content-type"), "application/json", "at once: {got:?}");

    lab.executor.mood.set(Mood::Waits);
    let mut reader = Reader::posts(&run, &session, ("2025-11-25", &json!({}))).await;
    let (id, _) = reader.next().await.expect("it is primed");
    drop(reader);
    lab.executor.mood.set(Mood::Works);
    lab.until("the outcome", |lab| (lab.outcomes().len() == 2).then_some(())).await;
    let mut reader = Reader::resumes(&run, &session, &id).await;
    assert_eq!(reader.next().await.expect("the answer").1.unwrap()["id"], 7);

    // Who takes one message, is in no session, or speaks an older revision waits for the answer.
    for (what, session, revision, accept) in [
        ("one message", session.as_str(), "2025-11-25", "application/json"),
        ("no session", "", "2025-11-25", "application/json, text/event-stream"),
        (
            "older",
            &begun(&run, "2025-06-18").await,
            "2025-06-18",
            "application/json, text/event-stream",
        ),
        (
            "oldest",
            &begun(&run, "2024-11-05").await,
            "2024-11-05",
            "application/json, text/event-stream",
        ),
    ] {
        lab.executor.mood.set(Mood::Waits);
        let (socket, accept) = (run.socket.clone(), accept.to_owned());
        let (bearer, session, revision) = (bearer.clone(), session.to_owned(), revision.to_owned());
        let call = tokio::spawn(async move {
            let headers = [
                ("authorization", bearer.as_str()),
                ("mcp-session-id", &session),
                ("mcp-protocol-version", &revision),
                ("accept", &accept),
            ];
            Client::connect(&socket).await.post(&adjust(1), &headers).await.unwrap()
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        lab.executor.mood.set(Mood::Works);
        let got = call.await.unwrap();
        assert_eq!(got.header("content-type"), "application/json", "{what}: {got:?}");
    }
}

/// A refusal that takes its time keeps its status and its form: no stream begins before the call is acted upon.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_late_is_refused_by_its_status() {
    // Its token does not name the tool; its arguments are of another form.
    for (tools, status) in [(&[][..], "403"), (&[ADJUST][..], "200")] {
        let lab = quick().await;
        let run = lab.run(tools);
        let session = begun(&run, "2025-11-25").await;
        lab.recorder.mood.set(Mood::Waits);
        let body = adjust(1).replace("entry_id", "entry");
        let mut reader = Reader::says(&run, &session, ("2025-11-25", BOTH, &body)).await;
        reader.hears_nothing().await;
        lab.recorder.mood.set(Mood::Works);
        reader.ends().await;
        assert_eq!(reader.status(), status, "{}", reader.all);
        assert!(reader.all.contains("\r\ncontent-type: application/json\r\n"), "{}", reader.all);
        assert!(lab.executor.acts.lock().unwrap().is_empty());
    }
}

/// Who comes back to `id`, and which status it gets.
async fn status(run: &LabRun, session: &str, id: &str, token: &str) -> String {
    let head = resume_head(session, id, token).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let got = raw(&run.socket, head.into_bytes(), Duration::from_secs(5)).await;
    assert!(!got.contains("3 rows") || got.starts_with("HTTP/1.1 200 "), "{got}");
    got.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The attacks. Each row is somebody who has no part in the stream, or names none.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_comes_back_to_it() {
    let lab = lab().await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let session = begun(&run, "2025-11-25").await;
    let (sibling, foreign) = (begun(&run, "2025-11-25").await, begun(&other, "2025-11-25").await);
    let id = lost(&lab, &run, &session).await;
    let word = id.split_once('-').unwrap().0;
    let at = |number: &str| format!("{word}-{number}");
    let narrow = lab.token(&run.entry, &[], |_| {});
    let late = lab.token(&run.entry, &[ADJUST], |claims| {
        (claims.iat, claims.nbf, claims.exp) = (claims.iat - 9, claims.nbf - 9, claims.exp - 9);
    });
    let elsewhere = lab.token(&other.entry, &[ADJUST], |_| {});
    let (own, guess) = (run.token.as_str(), "0".repeat(word.len()));
    for (what, run, session, id, token, expected) in [
        ("the control", &run, session.as_str(), id.clone(), own, "200"),
        ("a renewed token", &run, &session, id.clone(), &late, "200"),
        ("another session", &run, &sibling, id.clone(), own, "400"),
        ("no session", &run, "", id.clone(), own, "404"),
        ("another run", &other, &foreign, id.clone(), &other.token, "400"),
        ("another run by the session's word", &other, &session, id.clone(), &other.token, "404"),
        ("no token", &run, &session, id.clone(), "", "401"),
        ("another run's token", &run, &session, id.clone(), &elsewhere, "401"),
        ("a token that names less", &run, &session, id.clone(), &narrow, "400"),
        ("an event that was not", &run, &session, at("3"), own, "400"),
        ("a number that is none", &run, &session, at("+0"), own, "400"),
        ("another spelling", &run, &session, at("00"), own, "400"),
        ("no number", &run, &session, word.to_owned(), own, "400"),
        ("a guess", &run, &session, format!("{guess}-0"), own, "400"),
        ("nothing", &run, &session, String::new(), own, "400"),
    ] {
        assert_eq!(status(run, session, &id, token).await, expected, "{what}");
    }
    let twice = resume_head(&session, &id, own)
        .replace("host: atf", &format!("host: atf\r\nlast-event-id: {id}"));
    let got = raw(&run.socket, twice.into_bytes(), Duration::from_secs(1)).await;
    assert!(got.starts_with("HTTP/1.1 400 "), "two ids: {got}");
    // The revision without sessions has no such thing.
    let head = resume_head(&session, &id, own).replace("2025-11-25", "2026-07-28");
    let got = raw(&run.socket, head.into_bytes(), Duration::from_secs(1)).await;
    assert!(got.starts_with("HTTP/1.1 400 "), "stateless: {got}");
    // Nobody who asked in vain is recorded as a call.
    assert_eq!(decided(&lab), 1);
    assert!(!lab.events().iter().any(|event| matches!(event, Event::Decided { verdict: Verdict::Refused { reason, .. }, .. } if !reason.to_string().starts_with("token."))));
}

/// Its client ends the session.
async fn ends(run: &LabRun, session: &str) {
    let head = format!(
        "DELETE /mcp HTTP/1.1\r\nhost: atf\r\nmcp-session-id: {session}\r\nconnection: close\r\n\r\n"
    );
    let got = raw(&run.socket, head.into_bytes(), Duration::from_secs(5)).await;
    assert!(got.starts_with("HTTP/1.1 204 "), "{got}");
}

/// A sealed run gets nothing, not even when the seal is lifted; neither does a session, or a run, that has ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_goes_with_the_seal_the_session_and_the_run() {
    let lab = lab().await;
    let run = lab.run(&[ADJUST]);
    let (session, other) = (begun(&run, "2025-11-25").await, begun(&run, "2025-11-25").await);
    let id = lost(&lab, &run, &session).await;
    live(&lab, &run).seal();
    assert_eq!(status(&run, &session, &id, &run.token).await, "403", "sealed");
    assert_eq!(live(&lab, &run).kept.holds(), (0, 0));
    live(&lab, &run).release();
    assert_eq!(status(&run, &session, &id, &run.token).await, "400", "after the seal");

    let (id, stays) = (lost(&lab, &run, &session).await, lost(&lab, &run, &other).await);
    ends(&run, &session).await;
    assert_eq!(status(&run, &session, &id, &run.token).await, "404", "its session has ended");
    assert_eq!(live(&lab, &run).kept.holds().0, 1, "another session's stays");
    assert_eq!(status(&run, &other, &stays, &run.token).await, "200");

    let gone = live(&lab, &run);
    lab.authority.tell(Registry::Close { run: run.entry.run });
    assert_eq!(gone.kept.holds(), (0, 0), "the run has ended");
}

/// A session that ends in the middle of a call takes the stream with it, whenever the answer comes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_a_call_whose_session_ended_before_it() {
    let lab = lab().await;
    let run = lab.run(&[ADJUST]);
    let session = begun(&run, "2025-11-25").await;
    lab.executor.mood.set(Mood::Waits);
    let mut reader = Reader::posts(&run, &session, ("2025-11-25", &wants())).await;
    reader.next().await.expect("it is primed");
    drop(reader);
    ends(&run, &session).await;
    lab.executor.mood.set(Mood::Works);
    lab.until("the outcome", |lab| (lab.outcomes().len() == 1).then_some(())).await;
    let free = |lab: &Lab| (live(lab, &run).calls.available_permits() == 16).then_some(());
    lab.until("its place is free", free).await;
    assert_eq!(live(&lab, &run).kept.holds(), (0, 0));
}

/// The attack: two read one stream, so that what a client takes for one answer are two.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_ends_whoever_read_before() {
    let lab = lab().await;
    let run = lab.run(&[ADJUST]);
    let session = begun(&run, "2025-11-25").await;
    lab.executor.mood.set(Mood::Waits);
    let mut first = Reader::posts(&run, &session, ("2025-11-25", &wants())).await;
    let (primed, _) = first.next().await.expect("it is primed");
    let mut second = Reader::resumes(&run, &session, &primed).await;
    assert!(second.next().await.is_some(), "what came after it");
    first.ends().await;
    let mut third = Reader::resumes(&run, &session, &primed).await;
    assert!(third.next().await.is_some());
    second.ends().await;
    lab.executor.mood.set(Mood::Works);
    assert_eq!(third.next().await.expect("the answer").1.unwrap()["id"], 7);
    assert_eq!(third.next().await, None);
    for one in [first, second] {
        assert!(!one.all.contains("3 rows"), "{}", one.all);
    }
}

/// A question comes on the stream that is come back to, too, though all calls of the run wait. Its answer has no stream,
/// however long it takes: it has no answer itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_come_back_to() {
    let lab = super::resuming_lab::of_one_call().await;
    let run = lab.run(&[ADJUST]);
    let can = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}});
    let session = super::resuming_lab::initialized(&run, &can).await;
    *lab.executor.tells.lock().unwrap() = vec![super::resuming_lab::question()];
    lab.executor.mood.set(Mood::Waits);
    let mut reader = Reader::posts(&run, &session, ("2025-11-25", &json!({}))).await;
    let (id, _) = reader.next().await.expect("it is primed");
    drop(reader);
    let mut reader = Reader::resumes(&run, &session, &id).await;
    let asked: Value = reader.next().await.expect("the question").1.unwrap();
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}});
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("mcp-session-id", &session)];
    *lab.executor.answers_after.lock().unwrap() = Duration::from_millis(250);
    let got = Client::connect(&run.socket).await.post(&answer.to_string(), &headers).await;
    assert_eq!(got.unwrap().status, 202);
    lab.executor.mood.set(Mood::Works);
    assert_eq!(reader.next().await.expect("the answer").1.unwrap()["id"], 7);
}

/// A client that names a stream first has its answer as one, to which it can come back; a list is one as well.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_at_once_is_primed_and_kept_for_who_prefers_a_stream() {
    let lab = lab().await;
    let run = lab.run(&[ADJUST]);
    let session = begun(&run, "2025-11-25").await;
    let list = request("tools/list", &json!({}));
    let mut reader = Reader::prefers(&run, &session, &list).await;
    let (id, data) = reader.next().await.expect("it is primed");
    assert!(id.ends_with("-0") && data.is_none());
    let (last, listed) = reader.next().await.expect("the answer");
    assert_eq!((last, reader.next().await), (id.replace("-0", "-1"), None));
    let mut reader = Reader::resumes(&run, &session, &id).await;
    assert_eq!(reader.next().await.expect("the answer").1, listed);
    assert!(listed.unwrap()["result"]["tools"][0]["name"] == ADJUST);
}
