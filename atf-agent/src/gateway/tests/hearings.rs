//! What the policy was told is kept, and the log says by its digest which words those were.

use std::collections::HashMap;

use serde_json::Value;

use super::client::{ADJUST, adjust, post};
use super::lab::{Lab, Wanted};
use crate::audit::{Call, Event};
use crate::gate::Hearing;
use crate::gateway::Settings;
use crate::state::kept;

/// The decisions in the log, in their order.
fn calls(lab: &Lab) -> Vec<Call> {
    let of = |event| match event {
        Event::Decided { call, .. } => Some(*call),
        _ => None,
    };
    lab.events().into_iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_was_told_is_found_by_what_the_log_says() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    for cents in [5, 50_001] {
        post(&run, &adjust(cents)).await;
    }
    // Of what the schema refuses no policy hears.
    post(&run, &adjust(0)).await;
    let calls = calls(&lab);
    let [allowed, refused, unheard] = calls.as_slice() else {
        panic!("{calls:#?}");
    };
    assert_eq!(unheard.hearing, None);
    let wanted = calls.iter().map(|call| call.decision).collect();
    let lines: HashMap<_, _> = lab
        .until("they are written", |lab| {
            let found = kept(&lab.places.hearings(), &wanted).unwrap();
            (found.len() == 2).then_some(found)
        })
        .await;
    for (call, allow) in [(allowed, true), (refused, false)] {
        let (line, digest) = (&lines[&call.decision], call.hearing.unwrap());
        let answer = Hearing::read(line, digest).unwrap().answer();
        assert_eq!(answer.allow, allow, "{line}");
        let line: Value = serde_json::from_str(line).unwrap();
        let cents = &line["input"]["call"]["arguments"]["amount_cents"];
        assert_eq!(cents, if allow { 5 } else { 50_001 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_where_the_operator_wants_nothing_kept() {
    let settings = Settings { hearings_bytes_max: 0, ..Settings::default() };
    let lab = Lab::start(Wanted { settings, ..Wanted::default() }).await;
    let got = post(&lab.run(&[ADJUST]), &adjust(5)).await;
    assert_eq!(got.status, 200);
    assert_eq!(lab.decided().0.hearing, None);
    assert!(!lab.places.hearings().exists());
}
