//! What a run asks of servers beside their tools: prompts, resources, completions, and the lists of them.

use serde_json::json;

use super::client::{Client, Got};
use super::doubles::Mood;
use super::lab::{Lab, LabRun, Wanted, prompt};
use crate::audit::{Call, Event, Outcome, Verdict};
use crate::call::{Digest, Reason, Step, Target};
use crate::wire::{Catalogue, Offer};

pub(super) const READ: (&str, &str) = ("resources/read", r#"{"uri":"files+file:///srv/books/a"}"#);
pub(super) const GET: (&str, &str) =
    ("prompts/get", r#"{"name":"files.review","arguments":{"a":"b"}}"#);
const COMPLETE: (&str, &str) = (
    "completion/complete",
    r#"{"ref":{"type":"ref/prompt","name":"files.review"},"argument":{"name":"n","value":""}}"#,
);
const CONTENTS: &str = r#"{"contents":[{"uri":"file:///srv/books/a","text":"x"}]}"#;

/// A lab whose policy lets the server `files` be asked for `methods`.
async fn lab(methods: &[&str]) -> Lab {
    let servers = Some(json!({"files": {"methods": methods}}));
    Lab::start(Wanted { servers, ..Wanted::default() }).await
}

pub(super) async fn ask(run: &LabRun, (method, params): (&str, &str)) -> Got {
    let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#);
    let (token, prompt) = (format!("Bearer {}", run.token), prompt().to_string());
    let headers = [("authorization", token.as_str()), ("atf-prompt-sha256", &prompt)];
    Client::connect(&run.socket).await.post(&body, &headers).await.unwrap()
}

/// The last decision, and what became of it.
fn last(lab: &Lab) -> (Call, Verdict) {
    let decided = |event| match event {
        Event::Decided { call, verdict } => Some((*call, verdict)),
        _ => None,
    };
    lab.events().into_iter().filter_map(decided).next_back().expect("a decision")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_token_and_policy_name_is_recorded_asked_for_and_answered() {
    let lab = lab(&[READ.0, GET.0, COMPLETE.0]).await;
    let run = lab.run(&[]);
    let argument = r#"{"argument":{"name":"n","value":""}}"#;
    for (asked, target, arguments, result, got) in [
        (
            READ,
            Target::Resource("files+file:///srv/books/a".parse().unwrap()),
            "{}",
            CONTENTS,
            json!({"contents": [{"uri": "files+file:///srv/books/a", "text": "x"}]}),
        ),
        (
            GET,
            Target::Prompt("files.review".parse().unwrap()),
            r#"{"a":"b"}"#,
            r#"{"messages":[]}"#,
            json!({"messages": []}),
        ),
        (
            COMPLETE,
            Target::PromptArgument("files.review".parse().unwrap()),
            argument,
            r#"{"completion":{"values":[]}}"#,
            json!({"completion": {"values": []}}),
        ),
    ] {
        *lab.executor.result.lock().unwrap() = result.to_owned();
        let found = ask(&run, asked).await;
        assert_eq!(found.json(), json!({"jsonrpc": "2.0", "id": 7, "result": got}), "{asked:?}");
        let act = lab.executor.acts.lock().unwrap().pop().expect("an act");
        assert_eq!((&act.permit.target, act.permit.pin), (&target, None));
        assert_eq!(act.arguments, arguments);
        assert_eq!(act.permit.arguments, Digest::of(arguments.as_bytes()));
        let (call, verdict) = last(&lab);
        assert_eq!(verdict, Verdict::Allowed);
        assert_eq!(call.method.as_ref().map(|method| method.raw()), Some(asked.0));
        assert_eq!(call.target.as_ref().map(|found| found.raw()), Some(target.as_str()));
        assert_eq!((call.tool, call.pin, call.permit), (None, None, Some(act.receipt.body.permit)));
        assert!(matches!(lab.outcomes()[..], [.., Outcome::Answered { is_error: false, .. }]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_token_or_the_policy_does_not_name_reaches_no_server() {
    let lab = lab(&[READ.0, COMPLETE.0]).await;
    *lab.executor.result.lock().unwrap() = CONTENTS.to_owned();
    let authenticate = |reason| (403, Step::Authenticate, reason);
    for (asked, status, step, reason) in [
        (("resources/read", r#"{"uri":"files+file:///etc/shadow"}"#), authenticate(Reason::NotNamed)),
        (("resources/read", r#"{"uri":"other+file:///srv/books/a"}"#), authenticate(Reason::NotNamed)),
        (("prompts/get", r#"{"name":"files.other"}"#), authenticate(Reason::NotNamed)),
        (
            (
                "completion/complete",
                r#"{"ref":{"type":"ref/resource","uri":"files+file:///{x}"},"argument":{"name":"x","value":""}}"#,
            ),
            authenticate(Reason::NotNamed),
        ),
        (GET, (200, Step::Policy, Reason::PolicyDenied)),
    ]
    .map(|(asked, (status, step, reason))| (asked, status, step, reason))
    {
        let run = lab.run(&[]);
        assert_eq!(ask(&run, READ).await.status, 200, "the control");
        assert_eq!(lab.executor.acts.lock().unwrap().drain(..).count(), 1, "the control");
        let got = ask(&run, asked).await;
        assert_eq!((got.status, got.reason()), (status, reason.to_string()), "{asked:?}");
        assert!(got.json()["error"].is_object(), "{got:?}");
        assert!(lab.executor.acts.lock().unwrap().is_empty(), "{asked:?}");
        let (_, verdict) = last(&lab);
        let Verdict::Refused { step: found, reason: why, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!((found, why), (step, reason), "{asked:?}");
        if status == 403 {
            assert!(got.header("www-authenticate").contains("scope=\""), "{got:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_policy_lets_no_server_be_asked_for_anything() {
    let lab = Lab::start(Wanted::default()).await;
    for asked in [READ, GET, COMPLETE] {
        let run = lab.run(&[]);
        assert_eq!(ask(&run, asked).await.reason(), "policy.denied", "{asked:?}");
    }
    assert!(lab.executor.acts.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_error_and_a_result_that_is_none_are_told_as_such() {
    let lab = lab(&[READ.0]).await;
    let run = lab.run(&[]);
    lab.executor.mood.set(Mood::Errs);
    let got = ask(&run, READ).await;
    let error = json!({"code": -32002, "message": "there is no such thing",
        "data": {"uri": "files+file:///srv/books/a"}});
    assert_eq!((got.status, &got.json()["error"]), (200, &error));
    assert!(matches!(lab.outcomes()[..], [Outcome::Answered { is_error: true, .. }]));
    lab.executor.mood.set(Mood::Works);
    for bad in [r#"{"contents":{}}"#, r#"{"contents":[{}]}"#, "[]", r#"{"resultType":"task"}"#] {
        *lab.executor.result.lock().unwrap() = bad.to_owned();
        assert_eq!(ask(&run, READ).await.reason(), "result.withheld", "{bad}");
    }
    *lab.executor.result.lock().unwrap() = CONTENTS.to_owned();
    assert!(ask(&run, READ).await.json()["result"].is_object(), "the control");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_what_the_token_names_and_says_nothing_of_the_rest() {
    let lab = lab(&[]).await;
    let run = lab.run(&[]);
    fn offer<N: std::str::FromStr<Err: std::fmt::Debug>>(member: &str, name: &str) -> Offer<N> {
        Offer { name: name.parse().unwrap(), listing: json!({ member: name }) }
    }
    *lab.executor.catalogue.lock().unwrap() = Catalogue {
        prompts: vec![offer("name", "files.review"), offer("name", "files.other")],
        resources: vec![
            offer("uri", "files+file:///srv/books/a"),
            offer("uri", "files+file:///etc/shadow"),
        ],
        templates: vec![
            offer("uriTemplate", "files+file:///srv/books/{year}"),
            offer("uriTemplate", "files+file:///{any}"),
        ],
    };
    for (method, expected) in [
        ("prompts/list", json!({"prompts": [{"name": "files.review"}]})),
        ("resources/list", json!({"resources": [{"uri": "files+file:///srv/books/a"}]})),
        (
            "resources/templates/list",
            json!({"resourceTemplates": [{"uriTemplate": "files+file:///srv/books/{year}"}]}),
        ),
    ] {
        assert_eq!(ask(&run, (method, "{}")).await.json()["result"], expected);
        assert_eq!(last(&lab).0.method.unwrap().raw(), method, "it is recorded");
    }
    lab.executor.mood.set(Mood::HangsUp);
    assert_eq!(ask(&run, ("prompts/list", "{}")).await.reason(), "atf.unavailable");
}
