//! The loop: refusals seal, seals hold, and an operator lifts them.

use std::time::Duration;

use serde_json::json;

use super::super::Settings;
use super::super::budget::PAUSE;
use super::client::{ADJUST, Client, adjust, post, request};
use super::lab::{Lab, LabRun, Wanted};
use crate::audit::Event;
use crate::call::Reason;
use crate::kernel::boot_ns;
use crate::wire::{Registry, RegistryAck};

/// A call that the policy refuses; the answer may be lost with the connection.
async fn refused(run: &LabRun) {
    let mut client = Client::connect(&run.socket).await;
    let bearer = format!("Bearer {}", run.token);
    let _lost = client.post(&adjust(60_000), &[("authorization", &bearer)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_refusal_seals_the_run_and_no_other() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let mut idle = Client::connect(&run.socket).await;
    let bearer = format!("Bearer {}", run.token);
    let ping = request("ping", &json!({}));
    let headers = [("authorization", bearer.as_str())];
    idle.post(&ping, &headers).await.unwrap();
    let before = boot_ns();
    refused(&run).await;
    refused(&run).await;
    refused(&other).await;
    assert!(!lab.kernel.has_deny(run.entry.cgroup), "two are not three");
    idle.post(&ping, &headers).await.unwrap();
    refused(&run).await;
    assert!(lab.kernel.has_deny(run.entry.cgroup));
    let sealed = lab.until("the record of the seal", |lab| {
        lab.events().into_iter().find_map(|event| match event {
            Event::Sealed { run, decision, decided_boot_ns, written_boot_ns, .. } => {
                Some((run, decision, decided_boot_ns, written_boot_ns))
            }
            _ => None,
        })
    });
    let (sealed, decision, decided, written) = sealed.await;
    assert_eq!(sealed, run.entry.run);
    assert!(before < decided && decided <= written && written < boot_ns());
    let last = lab.events().into_iter().rev().find_map(|event| match event {
        Event::Decided { call, .. } => Some(call.decision),
        _ => None,
    });
    assert_eq!(decision, last, "the decision that did it");
    assert!(idle.post(&ping, &headers).await.is_err(), "its connections are shut");
    let got = post(&run, &adjust(1)).await;
    assert_eq!(got.reason(), Reason::RunSealed.to_string());
    let list = post(&run, &request("tools/list", &json!({}))).await;
    assert_eq!(list.reason(), Reason::RunSealed.to_string(), "every method");
    assert_eq!(post(&other, &adjust(1)).await.reason(), "", "the other run");
    assert!(lab.executor.acts.lock().unwrap().len() == 1);
}

/// The attack: a poisoned document that makes every run misbehave at once, so that ATF itself becomes
/// the outage.
#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_bounds_the_seals_of_a_minute_and_says_what_it_holds_back() {
    let seals_per_minute_max = 2.try_into().unwrap();
    let settings = Settings { seals_per_minute_max, ..Settings::default() };
    let lab = Lab::start(Wanted { settings, ..Wanted::default() }).await;
    let runs = [lab.run(&[ADJUST]), lab.run(&[ADJUST]), lab.run(&[ADJUST])];
    for run in &runs {
        for _ in 0..3 {
            refused(run).await;
        }
    }
    let [first, second, held] = &runs;
    for run in [first, second] {
        assert!(lab.kernel.has_deny(run.entry.cgroup), "the control: there was room");
    }
    assert!(!lab.kernel.has_deny(held.entry.cgroup), "held back");
    let held_back = || match lab.authority.tell(Registry::HeldBack) {
        RegistryAck::HeldBack { runs } => runs,
        other => panic!("expected the runs held back, found {other:?}"),
    };
    assert_eq!(held_back(), [held.entry.run], "shown");
    let findings = |lab: &Lab| {
        let mut found = lab.events();
        found.retain(|event| {
            matches!(event, Event::Finding { name, run, .. }
                if name == "seal.held_back" && *run == Some(held.entry.run))
        });
        found.len()
    };
    lab.until("the finding", |lab| (findings(lab) == 1).then_some(())).await;
    let slow = std::time::Instant::now();
    assert_eq!(post(held, &adjust(60_000)).await.reason(), "cap.exceeded", "refused as ever");
    assert!(slow.elapsed() >= PAUSE, "and it waits for its no");
    assert_eq!(post(held, &adjust(1)).await.reason(), "", "what it may do, it may");
    assert_eq!(findings(&lab), 1, "told once");
    let release = Registry::Release { run: held.entry.run };
    assert!(matches!(lab.authority.tell(release), RegistryAck::Done));
    assert!(held_back().is_empty(), "an operator has looked");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_release_lifts_a_seal() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    for _ in 0..3 {
        refused(&run).await;
    }
    // The authority does not know yet, and its snapshot must not lift what the gateway decided.
    assert!(matches!(lab.authority.restart(), RegistryAck::Done));
    assert!(lab.kernel.has_deny(run.entry.cgroup));
    assert_eq!(post(&run, &adjust(1)).await.reason(), "run.sealed");
    let release = Registry::Release { run: run.entry.run };
    assert!(matches!(lab.authority.tell(release), RegistryAck::Done));
    assert!(!lab.kernel.has_deny(run.entry.cgroup));
    assert_eq!(post(&run, &adjust(1)).await.reason(), "");
    refused(&run).await;
    assert_eq!(post(&run, &adjust(1)).await.reason(), "", "counted anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_speak_against_a_run_does_not_seal_it() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    for _ in 0..5 {
        let probe = request("server/discover", &json!({}));
        assert_eq!(post(&run, &probe).await.json()["error"]["code"], -32_601);
    }
    lab.executor.mood.set(super::doubles::Mood::Refuses);
    for _ in 0..5 {
        assert_eq!(post(&run, &adjust(1)).await.reason(), "execute.failed");
    }
    lab.executor.mood.set(super::doubles::Mood::Works);
    assert_eq!(post(&run, &adjust(1)).await.reason(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_outlives_the_gateway_and_the_authority_may_seal_too() {
    let lab = Lab::start(Wanted::default()).await;
    let (in_kernel, told, free) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]), lab.run(&[ADJUST]));
    let other_gateway_sealed = (lab.gateway.kernel.seal)((in_kernel.entry.cgroup, 1));
    other_gateway_sealed.unwrap();
    for entry in lab.authority.live.lock().unwrap().iter_mut() {
        entry.sealed = entry.run == told.entry.run;
    }
    // As a new gateway does: nothing is known but what kernel and authority say.
    for run in lab.gateway.runs.all() {
        lab.gateway.runs.remove(run.entry.run).unwrap().close();
    }
    assert!(matches!(lab.authority.restart(), RegistryAck::Done));
    assert!(lab.kernel.has_deny(told.entry.cgroup));
    for (run, reason) in [(&in_kernel, "run.sealed"), (&told, "run.sealed"), (&free, "")] {
        assert_eq!(post(run, &adjust(1)).await.reason(), reason);
    }
}

/// As after `kill -9`: the file is all that a new gateway has.
#[tokio::test(flavor = "multi_thread")]
async fn caps_and_counted_refusals_outlive_the_gateway() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    refused(&run).await;
    refused(&run).await;
    for _ in 0..4 {
        assert_eq!(post(&run, &adjust(50_000)).await.reason(), "", "the control");
    }
    let id = run.entry.run;
    lab.gateway.runs.remove(id).unwrap().close();
    let path = lab.places.state("gateway").join("caps.db");
    let boot = crate::state::Boot { id: "another".to_owned(), now_ms: 1 };
    let caps = crate::state::Caps::open(&path, &boot).unwrap();
    assert_eq!((caps.spent(id), caps.refusals(id)), (200_000, 2));
    let one = crate::state::Demand { cents: 1, per_run_cents: 200_000, ..Default::default() };
    assert!(caps.reserve(id, &one).is_err());
    assert!(matches!(lab.authority.restart(), RegistryAck::Done));
    assert!(!lab.kernel.has_deny(run.entry.cgroup), "two are not three");
    refused(&run).await;
    assert!(lab.kernel.has_deny(run.entry.cgroup), "the third refusal");
}

/// The attack: what does not count, as fast as it goes.
#[tokio::test(flavor = "multi_thread")]
async fn no_run_fills_the_log_with_what_does_not_count() {
    let lab = Lab::start(Wanted::default()).await;
    let (probe, list) = (request("server/discover", &json!({})), request("tools/list", &json!({})));
    for (what, body, free) in [("unknown methods", &probe, 20), ("tools/list", &list, 100)] {
        let (run, other) = (lab.run(&[ADJUST]), lab.run(&[ADJUST]));
        let took = async |run: &LabRun| {
            let started = std::time::Instant::now();
            post(run, body).await;
            started.elapsed()
        };
        let mut quickest = Duration::MAX;
        for _ in 0..free {
            quickest = quickest.min(took(&run).await);
        }
        assert!(quickest < PAUSE, "{what}: the control, {quickest:?}");
        assert!(took(&run).await >= PAUSE, "{what}");
        assert!(took(&other).await < PAUSE, "{what}: the other run");
        let quick = std::time::Instant::now();
        assert_eq!(post(&run, &adjust(1)).await.reason(), "", "{what}: honest calls go on");
        assert!(quick.elapsed() < PAUSE, "{what}: and wait for nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_probes_without_end_is_sealed() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let live = lab.gateway.runs.get(run.entry.run).unwrap();
    while !live.budget.unknown_method() {}
    let probe = request("server/discover", &json!({}));
    let bearer = format!("Bearer {}", run.token);
    for count in 1..=3 {
        assert!(!lab.kernel.has_deny(run.entry.cgroup), "{count}");
        let mut client = Client::connect(&run.socket).await;
        let _lost = client.post(&probe, &[("authorization", &bearer)]).await;
    }
    assert!(lab.kernel.has_deny(run.entry.cgroup));
    // Where the kernel does not keep it from connecting, it waits for each no that is recorded.
    let slow = std::time::Instant::now();
    post(&run, "no message at all").await;
    assert!(slow.elapsed() >= PAUSE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_run_waits_for_each_no() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[ADJUST]);
    let quick = std::time::Instant::now();
    post(&run, &adjust(1)).await;
    assert!(quick.elapsed() < PAUSE, "the control");
    for _ in 0..3 {
        refused(&run).await;
    }
    let slow = std::time::Instant::now();
    assert_eq!(post(&run, &adjust(1)).await.reason(), "run.sealed");
    assert!(slow.elapsed() >= PAUSE);
}
