//! Servers that are spoken with without a handshake.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Lab, TOOL, bounds, word};
use crate::call::Question;
use crate::executor::servers::Call;
use crate::executor::servers::bounds::Bounds;
use crate::executor::servers::session::Ended;
use crate::gate::{Era, STATELESS};
use crate::wire::Answers;

fn stateless() -> Bounds {
    Bounds { era: Era::Stateless, ..bounds(5_000, 8) }
}

/// Every request names the revision, and declares nothing that a server could ask for.
#[track_caller]
fn names_its_revision(asked: &Value) {
    let meta = &asked["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], STATELESS, "{asked}");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({}), "{asked}");
}

#[tokio::test]
async fn a_server_without_a_handshake_is_asked_what_it_speaks_and_told_so_in_each_request() {
    let mut lab = Lab::silent(stateless(), 64 << 10);
    let asked = lab.hear().await;
    assert_eq!(asked["method"], "server/discover");
    names_its_revision(&asked);
    let result = json!({"supportedVersions": ["2025-11-25", STATELESS],
        "capabilities": {"tools": {}, "prompts": {}}});
    lab.answer(&asked, &result).await;

    let listens = lab.hear().await;
    assert_eq!(
        listens["method"], "subscriptions/listen",
        "before the list, so that none is missed"
    );
    names_its_revision(&listens);
    let wanted = &listens["params"]["notifications"];
    assert_eq!([&wanted["toolsListChanged"], &wanted["promptsListChanged"]], [true, true]);
    assert_eq!(wanted["resourcesListChanged"], false);

    let tool: Value = serde_json::from_str(TOOL).unwrap();
    for (method, list) in [("tools/list", json!({"tools": [tool]})), ("prompts/list", json!({}))] {
        let asked = lab.hear().await;
        assert_eq!(asked["method"], method);
        names_its_revision(&asked);
        lab.answer(&asked, &list).await;
    }
    let given = lab.call("hello").await;
    let asked = lab.hear().await;
    names_its_revision(&asked);
    assert_eq!(asked["params"]["arguments"], json!({"text": "hello"}));
    lab.answer(&asked, &json!({"resultType": "complete", "content": [], "of": "hello"})).await;
    assert_eq!(word(given.await.unwrap()), "hello");

    // The end of the subscription is an answer to no call.
    lab.answer(&listens, &json!({"of": "listens"})).await;
    let changed = b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n";
    lab.say(changed).await;
    lab.list(&TOOL.replace("again", "never")).await;
    let withheld = word(lab.call("asked").await.await.unwrap());
    assert!(withheld.contains("changed it"), "{withheld}");
}

/// What it speaks is what its file says, or nothing: no other revision is tried after it.
#[tokio::test]
async fn a_server_that_does_not_speak_what_its_file_says_has_no_call() {
    for (body, fine) in [
        (json!({"result": {"supportedVersions": [STATELESS], "capabilities": {}}}), true),
        (json!({"result": {"supportedVersions": ["2025-11-25"], "capabilities": {}}}), false),
        (json!({"result": {"supportedVersions": STATELESS, "capabilities": {}}}), false),
        (json!({"result": {"protocolVersion": STATELESS, "capabilities": {}}}), false),
        (json!({"error": {"code": -32601, "message": "method not found"}}), false),
    ] {
        let mut lab = Lab::silent(stateless(), 64 << 10);
        let asked = lab.hear().await;
        let mut message = json!({"jsonrpc": "2.0", "id": asked["id"]});
        message.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        lab.say(format!("{message}\n").as_bytes()).await;
        if fine {
            assert_eq!(lab.hear().await["method"], "subscriptions/listen");
            lab.list(TOOL).await;
        } else {
            let ended = lab.life.await.unwrap();
            assert!(matches!(ended, Ended::Handshake(_)), "{body}: {ended:?}");
        }
    }
}

/// However the run is asked, this server asks by its result and hears the answers with a call. What it asks by a request
/// is asked of nobody.
#[tokio::test]
async fn a_server_without_a_handshake_asks_by_its_result_alone() {
    for asks_by_request in [false, true] {
        let mut lab = super::telling::lab(Era::Stateless, 8).await;
        let (give, given) = oneshot::channel();
        let responses = RawValue::from_string(r#"{"k":{"action":"accept"}}"#.to_owned()).unwrap();
        let answers = Answers { responses: Some(responses), state: Some("s".to_owned()) };
        let (questions, answers) = ([Question::Elicitation].into(), Some(Box::new(answers)));
        let call = lab.made("asked", give);
        let call = Call { questions, asks_by_request, answers, ..call };
        assert!(lab.calls.send(call).await.is_ok());
        let asked = lab.hear().await;
        let params = &asked["params"];
        let can = &params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(can, &json!({"elicitation": {}}), "{asked}");
        assert_eq!(params["inputResponses"], json!({"k": {"action": "accept"}}));
        assert_eq!(params["requestState"], "s");
        let question = json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create"});
        lab.say(format!("{question}\n").as_bytes()).await;
        assert_eq!(lab.hear().await["error"]["code"], -32601);
        assert!(lab.told.lock().unwrap().is_empty());
        let result = json!({"resultType": "input_required", "requestState": "t"});
        lab.answer(&asked, &result).await;
        assert!(word(given.await.unwrap()).contains("input_required"), "the gateway asks");
    }
}
