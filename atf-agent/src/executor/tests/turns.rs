//! A server that may ask, and so makes one call at a time: a real process behind the whole executor.

use super::servers::{file, uids};
use super::*;

/// The server tells when it was started in place of its uid.
fn asking(uid: u32) -> String {
    let file = file(uid, "one").replace("$(id -u)", "$life");
    let file = file.replace("\nwhile", "\nlife=$(date +%s%N)\nwhile");
    file.replace("private_tmp", "questions = [\"elicitation/create\"]\nprivate_tmp")
}

/// What it leaves undone it might still ask for: a call after it meets another process.
#[test]
fn a_server_that_is_late_with_its_only_call_is_begun_anew_and_who_waits_has_a_turn() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root");
    let world = World::with(&[("one", &asking(uids()[0]))]);
    for tool in ["one.echo", "one.slow"] {
        let (_, own) = tool.split_once('.').unwrap();
        world.pin(tool, &Digest::of(format!(r#"{{"name":"{own}"}}"#).as_bytes()).to_string());
    }
    let before = world.told("one.echo")["uid"].clone();
    assert_eq!(world.told("one.echo")["uid"], before, "the control");
    let slow = world.send(world.of_server("one.slow"));
    let waiting = world.send(world.of_server("one.echo"));
    std::thread::sleep(Duration::from_millis(500));
    assert!(waiting.try_recv().is_err(), "it waits for its turn");
    let patience = Duration::from_secs(20);
    match slow.recv_timeout(patience).unwrap() {
        ExecutorReply::Unknown { why } => assert!(why.raw().contains("did not answer"), "{why}"),
        other => panic!("{other:?}"),
    }
    let ExecutorReply::Result { result } = waiting.recv_timeout(patience).unwrap() else {
        panic!("it has no turn");
    };
    let result: Value = serde_json::from_str(result.get()).unwrap();
    let after = &result["structuredContent"]["uid"];
    assert!(after.is_u64() && *after != before, "{before} {result}");
}
