use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::event::poll;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::*;
use crate::run::listener::{hand_over, take_over};
use crate::sys::clone::fork;
use crate::wire::{self, RecorderReply, RecorderRequest};

/// A process that makes `count` calls of ptrace(2), which its filter refuses, and the listener of that
/// filter. It ends with 0 when each was refused as it should be.
fn refused(count: u32) -> (Pid, OwnedFd) {
    let kind = (AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC);
    let (keeper, inside) = socketpair(kind.0, kind.1, kind.2, None).unwrap();
    let filters = filter::compile().unwrap();
    let child = fork(|| {
        rustix::thread::set_no_new_privs(true).unwrap();
        let listener = seccomp::install_listening(&filters.listening).unwrap();
        hand_over(&inside, &listener).unwrap();
        drop(listener);
        let is_refused = |_| crate::sys::attempt::errno_of(libc::SYS_ptrace) == libc::EPERM;
        i32::from(!(0..count).all(is_refused))
    })
    .unwrap();
    poll(&mut [PollFd::new(&keeper, PollFlags::IN)], None).unwrap();
    (child, take_over(&keeper).unwrap().unwrap())
}

/// A recorder that takes everything, and what it was told.
fn recorder(path: &Path) -> Arc<Mutex<Vec<Judged>>> {
    slow_recorder(path, Duration::ZERO)
}

/// The same, which takes so long for each.
fn slow_recorder(path: &Path, pause: Duration) -> Arc<Mutex<Vec<Judged>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (listener, heard) = (UnixListener::bind(path).unwrap(), Arc::clone(&told));
    let take = move |mut asked: wire::Server| {
        while let Ok(Some((number, RecorderRequest::Append { event, .. }))) = asked.hear() {
            let Event::KernelDenied(judged) = *event else { panic!("{event:?}") };
            sleep(pause);
            heard.lock().unwrap().push(judged);
            asked.answer(number, &RecorderReply::Recorded { receipt: None }).unwrap();
        }
    };
    // It serves for as long as the tests run.
    std::thread::spawn(move || wire::serve(&listener, |_| true, take));
    told
}

fn counted(count: u32, recorder: &Path) -> [u64; 6] {
    let (child, listener) = refused(count);
    let run = Run { cgroup: CgroupId(42), uid: 1_900_100_000 };
    let refusals = Refusals::attend(listener, run, recorder.to_owned());
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    let counts = refusals.finish();
    assert_eq!(status.exit_status(), Some(0), "each call was refused with EPERM");
    counts
}

#[test]
fn every_refusal_is_in_the_log_or_counted_as_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recorder");
    let told = recorder(&path);
    // More than the limiter tells.
    let [allowed, denied, events, suppressed, dropped, observed] = counted(100, &path);
    assert_eq!((allowed, denied, observed), (0, 100, 0));
    assert_eq!(events + suppressed + dropped, denied);
    assert!(suppressed > 0 && dropped == 0, "{suppressed} and {dropped}");
    let told = told.lock().unwrap();
    assert_eq!(told.len() as u64, events);
    for judged in told.iter() {
        assert_eq!((judged.vector.as_str(), judged.cgroup.0), ("seccomp:ptrace", 42));
        assert_eq!(i64::from(judged.detail), libc::SYS_ptrace);
        assert!(!judged.comm.raw().is_empty(), "{judged:?}");
    }
    let silent: u64 = told.iter().map(|judged| judged.suppressed).sum();
    assert!(silent <= suppressed, "{silent}");
}

#[test]
fn a_recorder_that_is_away_costs_a_run_nothing_and_is_counted() {
    let [_, denied, events, suppressed, dropped, _] = counted(50, Path::new("/nonexistent"));
    assert_eq!((denied, events), (50, 0));
    assert!(dropped > 0);
    assert_eq!(suppressed + dropped, denied);
}

/// The attack: a recorder that answers each, as late as it may. A run's end does not wait for all of them;
/// that a quick one drops none is the control, above.
#[test]
fn a_recorder_that_is_slow_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recorder");
    let _told = slow_recorder(&path, Duration::from_millis(400));
    let [_, denied, events, suppressed, dropped, _] = counted(50, &path);
    assert!(events > 0 && dropped > 0, "{events} and {dropped}");
    assert_eq!(events + suppressed + dropped, denied);
}

#[test]
fn a_run_that_is_refused_nothing_counts_nothing() {
    assert_eq!(counted(0, Path::new("/nonexistent")), [0; 6]);
}
