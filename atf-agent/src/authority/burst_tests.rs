//! Many launchers at once, and one that does not wait for its turn.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;

/// What a launcher gives each answer, and each word that it has to wait.
const PATIENCE: Duration = Duration::from_secs(2);

impl World {
    /// Has a launcher register a run, over the wire.
    fn launch(
        &self,
        patience: Duration,
    ) -> std::thread::JoinHandle<Result<AuthorityReply, String>> {
        let (path, request) = (self.places.authority_socket(), self.register(RunId::random()));
        std::thread::spawn(move || {
            let mut connection = Connection::open(&path, patience).map_err(|e| e.to_string())?;
            connection.ask(&request).map_err(|e: wire::FrameError| e.to_string())
        })
    }
}

/// A recorder or a gateway that is slow holds one registration up, and with it all behind it: they wait longer
/// than a launcher gives one answer.
#[test]
fn a_burst_of_launchers_is_served_however_long_their_line_takes() {
    let mut world = World::new();
    world.ids.pool_size = 64;
    let authority = world.start();
    let slow = turn(&authority);
    let launched: Vec<_> = (0..40).map(|_| world.launch(PATIENCE)).collect();
    std::thread::sleep(PATIENCE + PATIENCE / 2);
    assert!(launched.iter().all(|one| !one.is_finished()), "one gave up");
    drop(slow);
    let replies: Vec<_> = launched.into_iter().map(|one| one.join().unwrap().unwrap()).collect();
    let is_root = rustix::process::geteuid().is_root();
    let as_it_should = |reply: &AuthorityReply| match reply {
        AuthorityReply::Registered { .. } => is_root,
        _ => !is_root,
    };
    assert!(replies.iter().all(as_it_should), "{replies:?}");
    assert_eq!(runs(&authority).len(), if is_root { 40 } else { 0 });
}

/// A run is not registered for a launcher that has gone: nobody would keep it. The control waits.
#[test]
fn who_gave_up_before_its_turn_is_not_served() {
    let world = World::new();
    let authority = world.start();
    let _start = (world.kinds(), world.told());
    let slow = turn(&authority);
    let gave_up = world.launch(Duration::from_millis(1)).join().unwrap();
    assert!(gave_up.is_err(), "{gave_up:?}");
    let waited = world.launch(Duration::from_secs(60));
    while authority.waiting() < 2 {
        std::thread::yield_now();
    }
    drop(slow);
    waited.join().unwrap().unwrap();
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(runs(&authority).len(), usize::from(is_root), "that of the one who waited");
    assert_eq!(world.told().len(), usize::from(is_root), "the gateway heard of no other");
}

/// The attack: the gateway's uid subscribes twenty times and takes no snapshot, each of which has seconds. One of them is
/// in line with the requests at a time.
#[test]
fn one_who_subscribes_again_and_again_is_in_line_once() {
    let world = World::new();
    let authority = world.start();
    let slow = turn(&authority);
    let subscribe = || {
        let mut stream = UnixStream::connect(world.places.authority_socket()).unwrap();
        stream.write_all(&frame(1, &AuthorityRequest::Subscribe)).unwrap();
        stream
    };
    let flood: Vec<_> = (0..20).map(|_| subscribe()).collect();
    // All of them have come as far as they come once each has been told that it waits.
    for mut one in &flood {
        one.read_exact(&mut [0; 16]).unwrap();
    }
    assert_eq!(authority.waiting(), 1);
    drop((slow, flood));
}

/// The attack: a gateway that takes whatever it is told just in time, once for each live run.
#[test]
fn a_subscriber_that_is_slow_has_one_deadline_for_all_that_it_is_told_first() {
    let mut world = World::new();
    world.ids.pool_size = 64;
    let authority = world.start();
    let live: Vec<_> = (0..20).map(|_| RunId::random()).collect();
    for run in &live {
        registered(ask(&authority, world.register(*run)));
    }
    let path = world.places.authority_socket();
    let (begun, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(&frame(1, &AuthorityRequest::Subscribe)).unwrap();
        let mut header = [0; 16];
        while stream.read_exact(&mut header).is_ok() {
            let length = u32::from_le_bytes(header[4..8].try_into().unwrap());
            let mut body = vec![0; length as usize];
            stream.read_exact(&mut body).unwrap();
            let _sent = begun.send(());
            std::thread::sleep(Duration::from_millis(1_500));
            let number = u64::from_le_bytes(header[8..].try_into().unwrap());
            let _sent = stream.write_all(&frame(number, &RegistryAck::Done));
        }
    });
    wait.recv().unwrap();
    let asked = std::time::Instant::now();
    let renewed = ask(&authority, AuthorityRequest::Renew { run: live[0] });
    assert!(matches!(renewed, Ok(AuthorityReply::Renewed { .. })), "{renewed:?}");
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    assert!(wait.try_iter().count() > 3, "control: it was told of runs while it was in time");
}
