//! A run that listens is told when a list of its own changes, or a resource that it named: which one, and nothing else. It listens until it
//! hangs up or says so, its token ends, or the gateway does; a client then listens anew, with its new token.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Gateway;
use super::answer::Answer;
use super::awaited::Waiting;
use super::changes::Offering;
use super::headers::Envelope;
use super::line::{self, Sent, now_unix_s};
use super::mcp::{self, Offered};
use super::runs::LiveRun;
use super::sessions::Session;
use super::telling::outlet;
use crate::call::{Digest, Reason, Refusal, ResourceUri, Step};
use crate::gate::{Authenticated, Id, Lists, Method};

/// How often the rules are looked at: they change when an operator changes them.
const RULES_PAUSE: Duration = Duration::from_secs(2);

/// How long one who begins to listen waits until it is known what there is.
const KNOWN_MAX: Duration = Duration::from_secs(2);

/// The lists of one run, by digest.
#[derive(PartialEq, Eq)]
struct Told {
    tools: Digest,
    prompts: Digest,
    resources: Digest,
}

/// One of the places of a run that listens, and what it wants to hear of.
pub(super) struct Listener {
    lists: Lists,
    /// By which single resources are told of.
    session: Arc<Session>,
    _place: OwnedSemaphorePermit,
}

/// A place to listen to `lists`.
///
/// # Errors
/// When the client takes no stream, or the run listens often enough.
pub(super) fn admitted(run: &LiveRun, sent: &Sent, lists: &Lists) -> Result<Listener, Refusal> {
    if sent.envelope.stated.takes_one_message {
        let detail = "who listens has to take text/event-stream";
        return Err(Refusal::new(Step::Receive, Reason::MessageInvalid, detail));
    }
    let Ok(place) = Arc::clone(&run.listening).try_acquire_owned() else {
        let detail = "the run listens as often as it may";
        return Err(Refusal::new(Step::Reserve, Reason::CapInFlight, detail));
    };
    let session = Arc::new(Session::of_connection());
    Ok(Listener { lists: lists.clone(), session, _place: place })
}

/// Listens; what is returned ends it.
///
/// # Errors
/// When what is offered cannot be told any more.
pub(super) async fn listen(
    gateway: &Gateway,
    run: &LiveRun,
    call: &Authenticated,
    (sent, waiting): (&Sent, &Waiting),
    listener: Listener,
) -> Result<Answer, Refusal> {
    let Listener { lists, session, _place } = listener;
    let id = call.received().id();
    let mut changes = gateway.changes.listen();
    let mut stopping = gateway.stopping.subscribe();
    // What is not known in this time is as if there was nothing, and a change when it is known.
    let known = timeout(KNOWN_MAX, changes.wait_for(Option::is_some)).await.is_ok();
    tracing::debug!(run = %run.entry.run, known, "a run listens");
    let mut told = told(gateway, call, changes.borrow_and_update().clone());
    let lasts = Duration::from_secs(call.claims().exp.saturating_sub(now_unix_s()));
    let until = Instant::now() + lasts;
    let agreed = [
        ("toolsListChanged", lists.tools),
        ("promptsListChanged", lists.prompts),
        ("resourcesListChanged", lists.resources),
    ];
    let mut agreed: serde_json::Map<_, _> = agreed
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(name, _)| (name.to_owned(), json!(true)))
        .collect();
    let single = subscribed(gateway, run, call, sent, (&lists.single, &session)).await;
    if !single.is_empty() {
        agreed.insert("resourceSubscriptions".to_owned(), json!(single));
    }
    sent.outlet.say(message(id, "subscriptions/acknowledged", json!({"notifications": agreed})));
    loop {
        tokio::select! {
            () = sent.outlet.hung_up() => break,
            () = waiting.cancelled() => break,
            () = sleep_until(until) => break,
            _ = stopping.wait_for(|is_stopping| *is_stopping) => break,
            // Its client listens anew, if it may.
            () = session.updates.is_lost() => break,
            uri = session.updates.next() => {
                sent.outlet.say(message(id, "resources/updated", json!({ "uri": uri })));
                continue;
            }
            changed = changes.changed() => if changed.is_err() { break },
            () = sleep(RULES_PAUSE) => {}
        }
        let now = self::told(gateway, call, changes.borrow_and_update().clone());
        for (list, is_wanted, is_other) in [
            ("tools", lists.tools, now.tools != told.tools),
            ("prompts", lists.prompts, now.prompts != told.prompts),
            ("resources", lists.resources, now.resources != told.resources),
        ] {
            if is_wanted && is_other {
                sent.outlet.say(message(id, &format!("{list}/list_changed"), json!({})));
            }
        }
        told = now;
    }
    Ok(Answer::made_of(id, call.era(), json!({}), subscription(id)))
}

/// The resources of whose changes the run may hear and a server tells. Each that its token names is asked for as a
/// call of its own, in the place of the one that listens; after one that is refused no other is, so that a client
/// that names many is not taken for one that probes.
async fn subscribed<'a>(
    gateway: &Gateway,
    run: &LiveRun,
    call: &Authenticated,
    sent: &Sent,
    (single, session): (&'a [ResourceUri], &Arc<Session>),
) -> Vec<&'a ResourceUri> {
    let mut all = Vec::new();
    let reach = &call.claims().entitlements.reach;
    for uri in single.iter().filter(|uri| reach.covers(uri)) {
        let prompt = call.received().prompt().map(|prompt| prompt.to_string());
        let envelope = Envelope { jwt: sent.envelope.jwt.clone(), prompt, ..Envelope::default() };
        let method = Method::Subscribe.as_str();
        let message = json!({"jsonrpc": "2.0", "id": "listen", "method": method,
            "params": {"uri": uri}});
        let (outlet, _unheard) = outlet(None);
        let asked = Sent {
            message: message.to_string().into(),
            envelope,
            slot: None,
            outlet,
            session: Some(Arc::clone(session)),
        };
        if !line::beside(gateway, run, call.caller(), &asked).await.is_result() {
            break;
        }
        all.push(uri);
    }
    all
}

/// What the run of `call` is told now.
fn told(gateway: &Gateway, call: &Authenticated, offering: Option<Arc<Offering>>) -> Told {
    let rules = gateway.rules.now();
    let (withheld, catalogue) = offering
        .map(|offering| (offering.withheld.clone(), offering.catalogue.clone()))
        .unwrap_or_default();
    let offered = Offered { pins: &rules.pins, withheld, catalogue, deferred: Value::Null };
    let [tools, prompts, resources] = mcp::lists(call, &offered);
    let digest = |list: Value| Digest::of(list.to_string().as_bytes());
    Told { tools: digest(tools), prompts: digest(prompts), resources: digest(resources) }
}

/// By which a client knows of which of its subscriptions a message is.
fn subscription(id: &Id) -> (&'static str, Value) {
    ("io.modelcontextprotocol/subscriptionId", json!(id))
}

fn message(id: &Id, method: &str, mut params: Value) -> String {
    let (name, value) = subscription(id);
    params["_meta"] = json!({ name: value });
    let method = format!("notifications/{method}");
    json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string()
}
