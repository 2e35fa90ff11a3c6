//! What a server writes down on the stream of the answer to one call.

use serde_json::json;

use super::asking::{HEAD, lab, log};
use super::lab::{Play, Played, events, honest};
use crate::call::Level;
use crate::gate::Era;
use crate::wire::{MayTell, Told};

/// What it writes down on a call's own stream is of that call, also while others are under way.
#[tokio::test]
async fn what_a_server_writes_down_on_the_stream_of_a_call_goes_to_its_run() {
    for era in [Era::Handshake, Era::Stateless] {
        for (level, told) in [(None, 0), (Some(Level::Info), 1), (Some(Level::Error), 0)] {
            let played = Played::new(|request| match request.text() {
                "silent" => Play::Hang(HEAD.into()),
                "log" => {
                    let result = request.answer(&json!({"content": [], "of": "logged"}));
                    Play::Say(events(&format!("{}data: {result}\n\n", log("its own"))))
                }
                _ => honest(request, "s-1"),
            });
            let mut lab = lab(&played, era).await;
            lab.may_tell = MayTell { level: Some(Level::Debug), ..MayTell::default() };
            let (silent, _never) = lab.echoing("silent");
            lab.make(silent).await;
            lab.may_tell.level = level;
            assert_eq!(lab.echo("log").await, "logged");
            let found = lab.told.lock().unwrap().clone();
            let expected = Told::Log { level: Level::Info, logger: None, data: json!("its own") };
            assert_eq!(found, vec![expected; told], "{era:?} {level:?}");
        }
    }
}
