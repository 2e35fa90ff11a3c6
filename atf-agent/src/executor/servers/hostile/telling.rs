//! What servers tell of calls, and calls on which nobody waits any more.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Lab, TOOL, bounds, word};
use crate::call::{DecisionId, Level};
use crate::executor::servers::bounds::Bounds;
use crate::executor::servers::session::Ended;
use crate::gate::{Era, STATELESS};
use crate::wire::{ExecutorReply, MayTell, Told};

/// How long a call has.
const TIMEOUT_MS: u64 = 4_000;

/// A lab after its greeting, whose calls may be told all of it.
pub(super) async fn lab(era: Era, calls_max: usize) -> Lab {
    let mut lab = match era {
        Era::Handshake => Lab::greeted(bounds(TIMEOUT_MS, calls_max)).await,
        Era::Stateless => {
            let bounds = Bounds { era, ..bounds(TIMEOUT_MS, calls_max) };
            let mut lab = Lab::silent(bounds, 64 << 10);
            let asked = lab.hear().await;
            let result = json!({"supportedVersions": [STATELESS], "capabilities": {"tools": {}}});
            lab.answer(&asked, &result).await;
            assert_eq!(lab.hear().await["method"], "subscriptions/listen");
            lab.list(TOOL).await;
            lab
        }
    };
    lab.may_tell = MayTell { progress: true, level: Some(Level::Info), status: true };
    lab
}

impl Lab {
    pub(super) async fn tell(&mut self, method: &str, params: &Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.say(format!("{message}\n").as_bytes()).await;
    }

    async fn progress(&mut self, token: &Value, done: u64) {
        let params = json!({"progressToken": token, "progress": done, "message": "so far"});
        self.tell("notifications/progress", &params).await;
    }

    async fn log(&mut self, level: &str, data: &str) {
        let params = json!({"level": level, "data": data, "_meta": {"x": 1}});
        self.tell("notifications/message", &params).await;
    }

    /// Ends the call, so that all that was told before was heard; how much of it was told on.
    async fn told(&mut self, asked: &Value, given: oneshot::Receiver<ExecutorReply>) -> Vec<Told> {
        self.answer(asked, &json!({"of": "done"})).await;
        assert_eq!(word(given.await.unwrap()), "done");
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

/// The attacks: another call's number, other spellings, what nobody asked for, and after the answer.
#[tokio::test]
async fn how_far_a_call_has_come_is_told_of_that_call_alone() {
    for era in [Era::Handshake, Era::Stateless] {
        let mut lab = lab(era, 8).await;
        let (given, asked) = (lab.call("a").await, lab.hear().await);
        let token = asked["params"]["_meta"]["progressToken"].clone();
        assert_eq!(token, asked["id"], "a number of ours");
        lab.progress(&token, 1).await;
        for other in [json!(99), json!(token.to_string()), json!(token.as_f64()), json!(null)] {
            lab.progress(&other, 7).await;
        }
        let told = lab.told(&asked, given).await;
        let expected =
            Told::Progress { progress: 1.into(), total: None, message: Some("so far".to_owned()) };
        assert_eq!(told, [expected], "{era:?}");
        // Its own number, and too late.
        let given = lab.call("b").await;
        let asked = lab.hear().await;
        lab.progress(&token, 8).await;
        assert_eq!(lab.told(&asked, given).await, [], "{era:?}");
        // Nobody asked for it: there is no token, and its number is told in vain.
        lab.may_tell = MayTell::default();
        let (given, asked) = (lab.call("c").await, lab.hear().await);
        assert_eq!(asked["params"]["_meta"].get("progressToken"), None);
        assert_eq!(asked["params"]["_meta"].get("io.modelcontextprotocol/logLevel"), None);
        lab.progress(&asked["id"], 9).await;
        assert_eq!(lab.told(&asked, given).await, [], "{era:?}");
    }
}

#[tokio::test]
async fn more_is_not_told_than_one_call_may_have_and_nothing_of_a_sealed_run() {
    let mut lab = lab(Era::Handshake, 8).await;
    let (given, asked) = (lab.call("a").await, lab.hear().await);
    for done in 0..1_000 {
        lab.progress(&asked["id"], done).await;
    }
    assert_eq!(lab.told(&asked, given).await.len(), 256);
    let (given, asked) = (lab.call("b").await, lab.hear().await);
    let long = json!({"progressToken": asked["id"], "progress": 1, "message": "x".repeat(4_000)});
    for _ in 0..100 {
        lab.tell("notifications/progress", &long).await;
    }
    assert_eq!(lab.told(&asked, given).await.len(), 16, "64 KiB");
    let (given, asked) = (lab.call("c").await, lab.hear().await);
    lab.sealed.store(true, std::sync::atomic::Ordering::SeqCst);
    lab.progress(&asked["id"], 1).await;
    lab.answer(&asked, &json!({"of": "c"})).await;
    assert!(word(given.await.unwrap()).contains("sealed"));
    assert_eq!(*lab.told.lock().unwrap(), []);
    lab.sealed.store(false, std::sync::atomic::Ordering::SeqCst);
    lab.may_tell = MayTell::default();
    lab.control().await;
}

/// What runs are told is no flood, however many they are: each call has its bound. What nobody is told is.
#[tokio::test]
async fn what_many_calls_are_told_does_not_end_their_server() {
    const CALLS: usize = 50;
    let mut lab = lab(Era::Handshake, 64).await;
    let mut under_way = Vec::new();
    for _ in 0..CALLS {
        under_way.push((lab.call("a").await, lab.hear().await));
    }
    for done in 0..250 {
        for (_, asked) in &under_way {
            lab.progress(&asked["id"], done).await;
        }
    }
    for (given, asked) in under_way {
        lab.answer(&asked, &json!({"of": "done"})).await;
        assert_eq!(word(given.await.unwrap()), "done");
    }
    assert_eq!(std::mem::take(&mut *lab.told.lock().unwrap()).len(), CALLS * 250);
    // The control: one call, past what it may be told.
    let (given, asked) = (lab.call("b").await, lab.hear().await);
    for done in 0..11_000 {
        lab.progress(&asked["id"], done).await;
    }
    assert_eq!(lab.life.await.unwrap(), Ended::Flood);
    assert!(word(given.await.unwrap()).starts_with("unknown"));
}

/// What a server writes down names no call: it goes to the only one that it can be of, or to nobody.
#[tokio::test]
async fn what_a_server_writes_down_goes_to_a_call_that_is_alone() {
    let mut lab = lab(Era::Stateless, 8).await;
    lab.log("error", "before").await;
    // It was heard when the answer after it was.
    let may_tell = std::mem::take(&mut lab.may_tell);
    let (given, asked) = (lab.call("quiet").await, lab.hear().await);
    lab.log("error", "of one that wants none").await;
    assert_eq!(lab.told(&asked, given).await, []);
    lab.may_tell = may_tell;
    let (given, asked) = (lab.call("a").await, lab.hear().await);
    let level = &asked["params"]["_meta"]["io.modelcontextprotocol/logLevel"];
    assert_eq!(level, "info");
    for level in ["debug", "info", "emergency", "loud"] {
        lab.log(level, level).await;
    }
    let told = lab.told(&asked, given).await;
    let levels = told.iter().map(|told| match told {
        Told::Log { level, .. } => *level,
        other => panic!("{other:?}"),
    });
    assert_eq!(levels.collect::<Vec<_>>(), [Level::Info, Level::Emergency]);

    // Beside another call, even one that wants nothing.
    let (given, asked) = (lab.call("b").await, lab.hear().await);
    let may_tell = std::mem::take(&mut lab.may_tell);
    let (other, beside) = (lab.call("c").await, lab.hear().await);
    lab.log("error", "whose").await;
    assert_eq!(lab.told(&asked, given).await, []);
    assert_eq!(lab.told(&beside, other).await, []);

    // And when an earlier call ended without an answer: it may still be worked on.
    lab.may_tell = may_tell;
    let (given, asked) = (lab.call("d").await, lab.hear().await);
    lab.log("error", "the control").await;
    assert_eq!(lab.told(&asked, given).await.len(), 1);
    let unheard = lab.call("e").await;
    let late = lab.hear().await;
    assert!(word(unheard.await.unwrap()).contains("did not answer"));
    assert_eq!(lab.hear().await["method"], "notifications/cancelled");
    let (given, asked) = (lab.call("f").await, lab.hear().await);
    lab.log("error", "whose").await;
    assert_eq!(lab.told(&asked, given).await, []);
    // Until it is answered, too late for its run.
    lab.answer(&late, &json!({"of": "e"})).await;
    let (given, asked) = (lab.call("g").await, lab.hear().await);
    lab.log("error", "its own").await;
    assert_eq!(lab.told(&asked, given).await.len(), 1);
}

#[tokio::test]
async fn a_server_with_a_handshake_writes_for_nobody() {
    let mut lab = lab(Era::Handshake, 8).await;
    let (given, asked) = (lab.call("a").await, lab.hear().await);
    lab.log("error", "whose").await;
    assert_eq!(lab.told(&asked, given).await, []);
}

#[tokio::test]
async fn a_call_on_which_nobody_waits_keeps_its_place_while_it_may_be_worked_on() {
    let mut lab = lab(Era::Stateless, 1).await;
    let (give, given) = oneshot::channel();
    let call = lab.made("a", give);
    let decision = call.decision;
    assert!(lab.calls.send(call).await.is_ok());
    let asked = lab.hear().await;
    // Another one's, that waits for its turn.
    let (give, queued) = oneshot::channel();
    let call = lab.made("queued", give);
    lab.cancels.send(call.decision).await.unwrap();
    assert!(lab.calls.send(call).await.is_ok());

    lab.cancels.send(decision).await.unwrap();
    let told = lab.hear().await;
    assert_eq!(told["method"], "notifications/cancelled");
    assert_eq!(told["params"]["requestId"], asked["id"]);
    lab.progress(&asked["id"], 1).await;
    // The attack: to call and cancel, so that a server has more under way than it may. The place is free when
    // it answers, or its time is over.
    let next = lab.call("b").await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(2_500), lab.hears.next());
    assert!(early.await.is_err(), "the server may still work on the call before");
    lab.answer(&asked, &json!({"of": "a"})).await;
    assert_eq!(word(given.await.unwrap()), "a", "what it did is known");
    assert_eq!(*lab.told.lock().unwrap(), []);
    assert!(word(queued.await.unwrap()).contains("nobody waits"), "the server never heard of it");
    let asked = lab.hear().await;
    lab.answer(&asked, &json!({"of": "b"})).await;
    assert_eq!(word(next.await.unwrap()), "b");

    let (give, given) = oneshot::channel();
    let call = lab.made("c", give);
    let decision = call.decision;
    let began = tokio::time::Instant::now();
    assert!(lab.calls.send(call).await.is_ok());
    lab.hear().await;
    lab.cancels.send(decision).await.unwrap();
    assert!(word(given.await.unwrap()).contains("did not answer"), "what it did is not known");
    assert!((3_500..5_500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    for _ in 0..2 {
        assert_eq!(lab.hear().await["method"], "notifications/cancelled");
    }
    // The control: a decision that is none of its calls' disturbs nobody.
    lab.cancels.send(DecisionId::random()).await.unwrap();
    let (given, asked) = (lab.call("d").await, lab.hear().await);
    lab.answer(&asked, &json!({"of": "d"})).await;
    assert_eq!(word(given.await.unwrap()), "d");
}
