//! The plain side, from both of its ends: floods, deadlines, turns.

use std::io::Read as _;

use super::*;

#[test]
fn one_uid_cannot_take_the_places_of_the_others() {
    let seats = Arc::new(Seats::default());
    let take = |uid| Seat::take(&seats, uid);
    let mut taken: Vec<_> = (0..UID_CONNECTIONS_MAX).map(|_| take(7).unwrap()).collect();
    assert!(take(7).is_none());
    let others: Vec<_> = (0..=UID_CONNECTIONS_MAX).filter_map(|_| take(0)).collect();
    assert_eq!(others.len(), UID_CONNECTIONS_MAX + 1, "root starts a run for each");
    assert!(take(8).is_some(), "the control");
    taken.pop();
    assert!(take(7).is_some(), "a place is free again");
}

#[test]
fn what_passes_ends_no_server() {
    use rustix::io::Errno;
    for (errno, expected) in [
        (Errno::MFILE, false),
        (Errno::NFILE, false),
        (Errno::CONNABORTED, false),
        (Errno::INTR, false),
        (Errno::NOMEM, false),
        (Errno::NOBUFS, false),
        (Errno::PERM, false),
        (Errno::NOTSOCK, true),
        (Errno::BADF, true),
        (Errno::INVAL, true),
    ] {
        let error = io::Error::from_raw_os_error(errno.raw_os_error());
        assert_eq!(is_final(&error), expected, "{error}");
    }
}

/// The attack: one peer opens more connections than it has business with, and one of them
/// panics the thread that serves it.
#[test]
fn a_flood_is_refused_and_the_next_honest_peer_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        serve(
            &listener,
            |_| true,
            |mut server| {
                while let Ok(Some((number, asked))) = server.hear::<u32>() {
                    assert_ne!(asked, 0, "a test's panic");
                    server.answer(number, &asked).unwrap();
                }
            },
        )
    });
    let open = || Connection::<u32, u32>::open(&path, Duration::from_secs(5)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let mut flood: Vec<_> = (0..UID_CONNECTIONS_MAX).map(|_| open()).collect();
    assert!(flood.iter_mut().all(|one| one.ask(&1).is_ok()), "the control");
    assert_eq!(open().ask(&1).is_ok(), is_root, "one too many");
    assert!(flood.pop().unwrap().ask(&0).is_err());
    let until = Instant::now() + Duration::from_secs(5);
    while open().ask(&1).is_err() {
        assert!(Instant::now() < until, "its place is not free");
    }
}

/// The attack: a peer that takes no connection, or gives its answer byte by byte. The control is one that
/// answers.
#[test]
fn a_request_ends_by_its_timeout_whatever_the_peer_does() {
    let dir = tempfile::tempdir().unwrap();
    let timeout = Duration::from_millis(300);
    let open = |name: &str| Connection::<u32, String>::open(&dir.path().join(name), timeout);

    let full = UnixListener::bind(dir.path().join("full")).unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let _queued = open("full").unwrap();
    let began = Instant::now();
    assert!(open("full").is_err());
    assert!(began.elapsed() < Duration::from_secs(20));

    let slow = UnixListener::bind(dir.path().join("slow")).unwrap();
    std::thread::spawn(move || {
        for stream in slow.incoming() {
            let mut stream = stream.unwrap();
            let asked: Option<(u64, u32)> = frame::read(&mut stream).unwrap();
            let (number, pause) = asked.unwrap();
            for byte in frame::encode(number, &"x".repeat(1_000)).unwrap() {
                std::thread::sleep(Duration::from_millis(pause.into()));
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
            }
        }
    });
    assert!(open("slow").unwrap().ask(&0).is_ok(), "the control");
    let began = Instant::now();
    assert!(open("slow").unwrap().ask(&50).is_err());
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// The attack: the peer gives one byte, or takes a little, each time before a timeout would
/// strike.
#[test]
fn an_exchange_ends_by_its_deadline_however_slow_the_peer_is() {
    let slow = |dribble: fn(UnixStream), message: String, limit: u64| {
        let (stream, far) = UnixStream::pair().unwrap();
        let peer = Peer::of(&stream).unwrap();
        std::thread::spawn(move || dribble(far));
        let started = Instant::now();
        let deadline = started + Duration::from_millis(limit);
        let heard = Server { stream, peer }.exchange_by::<String>(deadline, 1, &message);
        (heard.map(|heard| heard.map(|(_, text)| text)), started.elapsed())
    };
    let long = "x".repeat(4 << 20);
    let gives: fn(UnixStream) = |mut far| {
        let asked: Option<(u64, String)> = frame::read(&mut far).unwrap();
        let (number, text) = asked.unwrap();
        let frame = frame::encode(number, &text).unwrap();
        for byte in frame {
            std::thread::sleep(Duration::from_millis(50));
            if far.write_all(&[byte]).is_err() {
                return;
            }
        }
    };
    let takes: fn(UnixStream) = |mut far| {
        while far.read(&mut [0; 1_024]).is_ok_and(|n| n > 0) {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // To their ends they would take more than a minute each.
    let message = "x".repeat(2_000);
    for (name, dribble, message) in [("gives", gives, message), ("takes", takes, long)] {
        let (heard, took) = slow(dribble, message, 300);
        assert!(matches!(heard, Err(FrameError::Io(_))), "{name}: {heard:?}");
        assert!(took < Duration::from_secs(20), "{name}: {took:?}");
    }
    let (heard, _) = slow(gives, "done".to_owned(), 60_000);
    assert_eq!(heard.unwrap().as_deref(), Some("done"), "the control");
}

/// The server says that a request waits, answers another one, or says something else than that.
#[test]
fn a_request_waits_for_as_long_as_its_server_says_so() {
    let says = |frames: Vec<Vec<u8>>| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let timeout = Duration::from_secs(60);
        let mut connection = Connection::<u32, String> {
            stream: near,
            timeout,
            in_line_max: IN_LINE_MAX,
            number: 6,
            speaks: PhantomData,
        };
        far.write_all(&frames.concat()).unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        connection.ask(&1)
    };
    let waits = |number| frame::waits(number).to_vec();
    let whole = |number| frame::encode(number, &"done").unwrap();
    let part = frame::encode_part(7, &"part").unwrap();
    assert_eq!(says(vec![whole(7)]).unwrap(), "done", "the control");
    assert_eq!(says(vec![waits(7), waits(7), waits(7), whole(7)]).unwrap(), "done");
    let other = |said| matches!(said, Err(FrameError::Number { expected: 7, found: 6 }));
    assert!(other(says(vec![waits(6), whole(7)])));
    assert!(other(says(vec![waits(7), whole(6)])));
    assert!(matches!(says(vec![part, whole(7)]), Err(FrameError::Part { number: 7 })));
    assert!(matches!(says(vec![waits(7)]), Err(FrameError::Io(_))), "it ended");
}

/// The attack: one who waits for its turn and reads nothing would hold up whoever tells it.
#[test]
fn one_who_does_not_read_is_not_waited_for() {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    while (&near).write(&[0; 1 << 16]).is_ok() {}
    near.set_nonblocking(false).unwrap();
    let peer = Peer::of(&near).unwrap();
    let server = Server::of(near, peer);
    server.waits(1);
    drop(far);
    server.waits(1);
}
