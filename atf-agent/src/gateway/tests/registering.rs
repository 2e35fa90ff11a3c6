//! The registry: runs come and go as the authority says, and stay while it is away.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;

use atf_common::limits::LEASE_TTL_MS;
use serde_json::json;

use super::client::{Client, post, post_with, raw, request};
use super::lab::{Lab, Wanted, cgroup2};
use crate::audit::Event;
use crate::call::{CgroupId, Named, RunId};
use crate::gateway::{Gateway, GatewayError, TokenProfile};
use crate::identity::Minter;
use crate::kernel::boot_ms;
use crate::state::Busy;
use crate::wire::{Registry, RegistryAck};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_served_from_open_to_close() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[]);
    let ping = request("ping", &json!({}));
    assert_eq!(post(&run, &ping).await.status, 200);
    for door in [&run.socket, &run.lines] {
        let mode = door.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
    }
    assert_eq!(*lab.kernel.marks.lock().unwrap(), [run.entry.cgroup; 2], "each door is marked");
    let mut idle = Client::connect(&run.socket).await;
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str())];
    idle.post(&ping, &headers).await.unwrap();
    (lab.gateway.kernel.seal)((run.entry.cgroup, 1)).unwrap();
    let closed = lab.authority.tell(Registry::Close { run: run.entry.run });
    assert!(matches!(closed, RegistryAck::Done));
    assert!(!run.socket.exists() && !run.lines.exists());
    assert!(!lab.kernel.has_deny(run.entry.cgroup));
    assert!(idle.post(&ping, &headers).await.is_err());
    let again = lab.authority.tell(Registry::Close { run: run.entry.run });
    assert!(matches!(again, RegistryAck::Done), "closing twice is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_socket_is_replaced_and_another_file_is_not() {
    let lab = Lab::start(Wanted::default()).await;
    let (stale, foreign) = (RunId::random(), RunId::random());
    for (run, is_socket) in [(stale, true), (foreign, false)] {
        let path = lab.places.run_socket(run);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if is_socket {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        } else {
            std::fs::write(&path, "mine").unwrap();
        }
    }
    let uid = rustix::process::geteuid().as_raw();
    let run = lab.run_of(stale, CgroupId(1), uid, &[]);
    assert_eq!(post(&run, &request("ping", &json!({}))).await.status, 200);
    let mut entry = run.entry.clone();
    (entry.run, entry.cgroup) = (foreign, CgroupId(2));
    let opened = lab.authority.tell(Registry::Open { entry, named: Named::nothing() });
    let RegistryAck::Failed { why } = opened else {
        panic!("{opened:?}");
    };
    assert!(why.raw().contains("found another file"), "{why}");
    assert_eq!(std::fs::read(lab.places.run_socket(foreign)).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_sets_right_what_was_missed() {
    let lab = Lab::start(Wanted::default()).await;
    let (stays, goes, comes) = (lab.run(&[]), lab.run(&[]), lab.run(&[]));
    let ping = request("ping", &json!({}));
    let close = Registry::Close { run: comes.entry.run };
    lab.authority.tell(close);
    let mut idle = Client::connect(&stays.socket).await;
    let bearer = format!("Bearer {}", stays.token);
    let headers = [("authorization", bearer.as_str())];
    idle.post(&ping, &headers).await.unwrap();
    (lab.gateway.kernel.seal)((goes.entry.cgroup, 1)).unwrap();
    let ended = |run: &crate::wire::RunEntry| run.run != goes.entry.run;
    lab.authority.live.lock().unwrap().retain(ended);
    assert!(matches!(lab.authority.restart(), RegistryAck::Done));
    idle.post(&ping, &headers).await.expect("the connection of a live run stays");
    assert_eq!(post(&comes, &ping).await.status, 200);
    assert!(!goes.socket.exists());
    assert!(!lab.kernel.has_deny(goes.entry.cgroup), "nothing fills the map");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_the_kernel_does_not_vouch_for_is_closed_and_found() {
    let lab = Lab::start(Wanted::default()).await;
    let (run, other) = (lab.run(&[]), lab.run(&[]));
    let ping = request("ping", &json!({}));
    assert_eq!(post(&run, &ping).await.status, 200, "the control");
    let stamp = |cgroup| {
        let mut stamps = lab.kernel.stamps.lock().unwrap();
        stamps.insert(run.socket.clone(), cgroup);
    };
    stamp(other.entry.cgroup);
    for _ in 0..3 {
        let bytes = b"POST /mcp HTTP/1.1\r\n\r\n".to_vec();
        let got = raw(&run.socket, bytes, std::time::Duration::from_secs(5)).await;
        assert_eq!(got, "", "not even an answer");
    }
    let findings = |lab: &Lab| {
        let found = lab.events().into_iter().filter(
            |event| matches!(event, Event::Finding { name, .. } if name == "caller.disagree"),
        );
        found.count()
    };
    lab.until("the finding", |lab| (findings(lab) > 0).then_some(())).await;
    assert_eq!(findings(&lab), 1, "one a second");
    stamp(run.entry.cgroup);
    assert_eq!(post(&run, &ping).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_another_uid_is_closed_and_found() {
    let lab = Lab::start(Wanted::default()).await;
    let uid = rustix::process::geteuid().as_raw() + 1;
    let run = lab.run_of(RunId::random(), CgroupId(1), uid, &[]);
    let own = lab.run(&[]);
    let ping = b"POST /mcp HTTP/1.1\r\n\r\n".to_vec();
    let patience = std::time::Duration::from_secs(5);
    let served = raw(&own.socket, ping.clone(), patience).await;
    assert!(served.starts_with("HTTP/1.1 403 "), "the control: {served}");
    assert_eq!(raw(&run.socket, ping, patience).await, "");
    let finding = lab.until("the finding", |lab| {
        lab.events().into_iter().find_map(|event| match event {
            Event::Finding { run, detail, .. } => Some((run, detail)),
            _ => None,
        })
    });
    let (found, detail) = finding.await;
    assert_eq!(found, Some(run.entry.run));
    assert!(detail.raw().contains("uid"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_is_renewed_ahead_of_its_end() {
    let lab = Lab::start(Wanted::default()).await;
    let until = || lab.kernel.until_boot_ms.load(Ordering::SeqCst);
    let first = until();
    assert!(first > boot_ms(), "from the start");
    lab.until("the next renewal", |_| (until() > first).then_some(())).await;
    assert!(until() <= boot_ms() + LEASE_TTL_MS);
}

/// The attack: somebody's writing holds up the gateway's own while a run ends. Its one thread renews the lease all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_disk_that_is_slow_when_a_run_ends_does_not_cost_the_lease() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[]);
    let busy = Busy::hold(&lab.places.state("gateway").join("caps.db"));
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| lab.authority.tell(Registry::Close { run: run.entry.run }));
        let until = boot_ms() + LEASE_TTL_MS * 3 / 2;
        while boot_ms() < until {
            assert!(lab.kernel.until_boot_ms.load(Ordering::SeqCst) > boot_ms(), "it has run out");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!closing.is_finished(), "the control: it waits for the disk");
        drop(busy);
        assert!(matches!(closing.join().unwrap(), RegistryAck::Done));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_set_holds_from_the_next_call_on_and_a_broken_one_changes_nothing() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[]);
    let ping = request("ping", &json!({}));
    assert_eq!(post(&run, &ping).await.status, 200);
    let next = Minter::generate().unwrap();
    let token = next.mint(&lab.claims(&run.entry, &[])).unwrap();
    assert_eq!(post_with(&run, &ping, &token).await.status, 401, "the control");
    let replace = |text: &str| {
        let fresh = lab.places.jwks().with_extension("new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, lab.places.jwks()).unwrap();
    };
    replace(&next.jwks());
    assert_eq!(post_with(&run, &ping, &token).await.status, 200);
    assert_eq!(post(&run, &ping).await.status, 401, "the old key is gone");
    replace("{}");
    assert_eq!(post_with(&run, &ping, &token).await.status, 200);
    std::fs::remove_file(lab.places.jwks()).unwrap();
    assert_eq!(post_with(&run, &ping, &token).await.status, 200);
}

/// The mistake: a gateway started by hand beside the one that serves. It took the permit key's place, and was away with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_leaves_the_first_one_alone() {
    let lab = Lab::start(Wanted::default()).await;
    let key = std::fs::read(lab.places.permit_key()).unwrap();
    let side = lab.kernel.side(true, cgroup2());
    let profile = TokenProfile { issuer: "i".to_owned(), audience: "a".to_owned() };
    let Wanted { settings, signers, .. } = Wanted::default();
    let (places, ids) = (lab.places.clone(), crate::wire::Ids::default());
    let second = Gateway::new(places, ids, settings, profile, signers, side);
    assert!(matches!(second.map(drop), Err(GatewayError::Another { .. })));
    assert_eq!(std::fs::read(lab.places.permit_key()).unwrap(), key);
}
