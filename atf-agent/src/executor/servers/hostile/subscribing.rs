//! Resources of whose changes runs are told, by servers that tell of others, tell too much, or end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::telling::lab;
use super::{Lab, word};
use crate::call::{DecisionId, Target};
use crate::executor::servers::Call;
use crate::gate::Era;
use crate::wire::{ExecutorReply, Told};

const URI: &str = "file:///a";

impl Lab {
    /// One who wants to be told of [`URI`], until its connection is `gone`.
    async fn subscribes(
        &self,
        gone: &Arc<AtomicBool>,
    ) -> (DecisionId, oneshot::Receiver<ExecutorReply>) {
        let (give, given) = oneshot::channel();
        let call = self.made("", give);
        let (decision, reply) = (call.decision, call.reply.until(Arc::clone(gone)));
        let target = Target::Subscription(format!("fixture+{URI}").parse().unwrap());
        let call = Call { target, approved: None, reply, ..call };
        assert!(self.calls.send(call).await.is_ok(), "the session takes calls");
        (decision, given)
    }

    async fn updates(&mut self, uri: &str) {
        self.tell("notifications/resources/updated", &json!({"uri": uri, "title": "t"})).await;
    }

    /// Says yes to the request.
    async fn agrees(&mut self, era: Era, asked: &Value) {
        match era {
            Era::Handshake => self.answer(asked, &json!({})).await,
            Era::Stateless => {
                let meta = json!({"io.modelcontextprotocol/subscriptionId": asked["id"]});
                let wanted = &asked["params"]["notifications"];
                let params = json!({"notifications": wanted, "_meta": meta});
                self.tell("notifications/subscriptions/acknowledged", &params).await;
            }
        }
    }

    /// All that was told until now; a call is answered in between, so that it was all heard.
    async fn all_told(&mut self) -> Vec<Told> {
        let may_tell = std::mem::take(&mut self.may_tell);
        self.control_of().await;
        self.may_tell = may_tell;
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    async fn control_of(&mut self) {
        let given = self.call("control").await;
        let asked = self.hear().await;
        assert_eq!(asked["method"], "tools/call", "{asked}");
        self.answer(&asked, &json!({"content": [], "of": "control"})).await;
        assert_eq!(word(given.await.unwrap()), "control");
    }
}

#[tokio::test]
async fn a_server_is_asked_once_and_told_when_nobody_is_left() {
    for era in [Era::Handshake, Era::Stateless] {
        let mut lab = lab(era, 8).await;
        let here = Arc::default();
        let (first, _one) = lab.subscribes(&here).await;
        let asked = lab.hear().await;
        let (method, named) = match era {
            Era::Handshake => ("resources/subscribe", asked["params"]["uri"].clone()),
            Era::Stateless => {
                let wanted = &asked["params"]["notifications"]["resourceSubscriptions"];
                ("subscriptions/listen", wanted[0].clone())
            }
        };
        assert_eq!((asked["method"].as_str(), named), (Some(method), json!(URI)), "{era:?}");
        let (second, _two) = lab.subscribes(&here).await;
        assert_eq!(lab.all_told().await, [], "it has not said yes");
        lab.agrees(era, &asked).await;
        let (third, _three) = lab.subscribes(&here).await;
        assert_eq!(lab.all_told().await, [const { Told::Subscribed }; 3], "{era:?}");
        // Of others nobody hears.
        for other in ["file:///a/", "file:///b", "fixture+file:///a", ""] {
            lab.updates(other).await;
        }
        assert_eq!(lab.all_told().await, [], "{era:?}");
        lab.updates(URI).await;
        assert_eq!(lab.all_told().await, [const { Told::Updated }; 3], "{era:?}");
        for decision in [first, second] {
            lab.cancels.send(decision).await.unwrap();
        }
        lab.updates(URI).await;
        assert_eq!(lab.all_told().await, [Told::Updated], "{era:?}");
        lab.cancels.send(third).await.unwrap();
        let told = lab.hear().await;
        match era {
            Era::Handshake => {
                assert_eq!(told["method"], "resources/unsubscribe");
                assert_eq!(told["params"]["uri"], URI);
                lab.answer(&told, &json!({})).await;
            }
            Era::Stateless => {
                assert_eq!(told["method"], "notifications/cancelled");
                assert_eq!(told["params"]["requestId"], asked["id"]);
            }
        }
        lab.updates(URI).await;
        assert_eq!(lab.all_told().await, [], "{era:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_no_is_believed_and_may_be_asked_again() {
    let mut lab = lab(Era::Handshake, 8).await;
    let here = Arc::default();
    let (_first, one) = lab.subscribes(&here).await;
    let asked = lab.hear().await;
    let no =
        json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32_002, "message": "m"}});
    lab.say(format!("{no}\n").as_bytes()).await;
    assert_eq!(word(one.await.unwrap()), "erred: -32002 m");
    let (_second, two) = lab.subscribes(&here).await;
    assert_eq!(lab.hear().await["method"], "resources/subscribe");
    // And when it ends, so does what it tells.
    let Lab { hears, says, .. } = lab;
    drop((hears, says));
    assert!(word(two.await.unwrap()).contains("ended before it answered"));
}

#[tokio::test]
async fn a_server_without_a_handshake_has_to_say_of_which_it_tells() {
    let mut lab = lab(Era::Stateless, 8).await;
    let here = Arc::default();
    let (_decision, given) = lab.subscribes(&here).await;
    let mut asked = lab.hear().await;
    asked["params"]["notifications"] = json!({"resourceSubscriptions": ["file:///b"]});
    lab.agrees(Era::Stateless, &asked).await;
    assert!(word(given.await.unwrap()).contains("does not tell of it"));
}

/// Who may not act any more, or is not there, is not told, and is nobody for whom the server tells.
#[tokio::test]
async fn nobody_is_told_who_is_sealed_or_gone() {
    let mut lab = lab(Era::Handshake, 8).await;
    let (here, gone): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
    let (_first, _one) = lab.subscribes(&here).await;
    let asked = lab.hear().await;
    lab.agrees(Era::Handshake, &asked).await;
    let (_second, _two) = lab.subscribes(&gone).await;
    assert_eq!(lab.all_told().await.len(), 2);
    gone.store(true, Ordering::SeqCst);
    lab.updates(URI).await;
    assert_eq!(lab.all_told().await, [Told::Updated], "the control is here");
    lab.sealed.store(true, Ordering::SeqCst);
    lab.updates(URI).await;
    assert_eq!(lab.hear().await["method"], "resources/unsubscribe");
    assert_eq!(*lab.told.lock().unwrap(), []);
}

/// The attack: a run subscribes and ends it again and again, so that the server is taken for one that floods.
#[tokio::test]
async fn a_run_that_comes_and_goes_ends_no_server_and_a_server_that_floods_ends() {
    let mut lab = lab(Era::Handshake, 8).await;
    let here = Arc::default();
    for _ in 0..10_100 {
        let (decision, _given) = lab.subscribes(&here).await;
        let asked = lab.hear().await;
        lab.agrees(Era::Handshake, &asked).await;
        lab.cancels.send(decision).await.unwrap();
        let ends = lab.hear().await;
        assert_eq!(ends["method"], "resources/unsubscribe");
        lab.answer(&ends, &json!({})).await;
    }
    lab.all_told().await;
    let (_decision, given) = lab.subscribes(&here).await;
    let asked = lab.hear().await;
    lab.agrees(Era::Handshake, &asked).await;
    for _ in 0..10_100 {
        lab.updates(URI).await;
    }
    assert!(word(given.await.unwrap()).contains("10000 messages in a row"));
}
