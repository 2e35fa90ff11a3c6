use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

/// A bridge of a test, in the network of the test's thread, and what stands for the gateway behind it.
struct Lab {
    at: Vec<SocketAddr>,
    gateway: UnixListener,
    _dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.sock");
        let gateway = UnixListener::bind(&path).unwrap();
        let bridge = Bridge::listen(0).unwrap_or_else(|stopped| panic!("{stopped}"));
        let at = bridge.listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        // It serves until the tests end.
        let path: &'static Path = Box::leak(path.into_boxed_path());
        bridge.start(path).unwrap_or_else(|stopped| panic!("{stopped}"));
        Self { at, gateway, _dir: dir }
    }

    /// A client at one of the addresses, and the gateway's end of its connection.
    fn pair(&self, at: usize) -> (TcpStream, UnixStream) {
        let client = TcpStream::connect(self.at[at]).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (gateway, _) = self.gateway.accept().unwrap();
        gateway.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (client, gateway)
    }
}

#[test]
fn bytes_go_both_ways_at_both_addresses() {
    let lab = Lab::new();
    assert_eq!(lab.at.len(), 2, "IPv4 and IPv6");
    assert!(lab.at.iter().all(|at| at.ip().is_loopback()));
    for at in 0..2 {
        let (mut client, mut gateway) = lab.pair(at);
        let mut heard = [0; 4];
        client.write_all(b"asks").unwrap();
        gateway.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"asks");
        gateway.write_all(b"says").unwrap();
        client.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"says");
    }
}

#[test]
fn an_end_is_passed_on_after_all_before_it_and_the_other_way_stays_open() {
    let lab = Lab::new();
    // Far more than is held, so that both sides have to wait for each other.
    let much: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for client_first in [true, false] {
        let (mut client, mut gateway) = lab.pair(0);
        thread::scope(|scope| {
            let (one, other): (&mut (dyn WriteEnd + Send), &mut (dyn WriteEnd + Send)) =
                if client_first {
                    (&mut client, &mut gateway)
                } else {
                    (&mut gateway, &mut client)
                };
            let writes = scope.spawn(|| {
                one.write_all(&much).unwrap();
                one.end();
                let mut heard = Vec::new();
                one.read_to_end(&mut heard).unwrap();
                assert_eq!(heard, b"and back");
            });
            let mut heard = Vec::new();
            other.read_to_end(&mut heard).unwrap();
            assert!(heard == much, "{} of {} bytes", heard.len(), much.len());
            other.write_all(b"and back").unwrap();
            other.end();
            writes.join().unwrap();
        });
    }
}

/// Either end of a connection.
trait WriteEnd: std::io::Read + std::io::Write {
    fn end(&self);
}

impl WriteEnd for TcpStream {
    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl WriteEnd for UnixStream {
    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

#[test]
fn one_that_does_not_read_holds_up_nobody_else_and_is_not_read_from() {
    let lab = Lab::new();
    let (mut client, gateway) = lab.pair(0);
    client.set_nonblocking(true).unwrap();
    // Until no buffer takes any more. Without a bound this would never end.
    let (chunk, mut taken) = ([0; 64 << 10], 0);
    let mut full = 0;
    while full < 50 {
        match client.write(&chunk) {
            Ok(count) => (taken, full) = (taken + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                full += 1;
                thread::sleep(Duration::from_millis(2));
            }
        }
        assert!(taken < 64 << 20, "{taken} bytes are held somewhere");
    }
    let (mut other, mut behind) = lab.pair(1);
    other.write_all(b"x").unwrap();
    behind.read_exact(&mut [0]).unwrap();
    drop(gateway);
}

#[test]
fn more_than_it_serves_wait_and_come_when_there_is_room() {
    let lab = Lab::new();
    let mut pairs: Vec<_> = (0..LINKS_MAX).map(|_| lab.pair(0)).collect();
    let mut waiting = TcpStream::connect(lab.at[0]).unwrap();
    waiting.write_all(b"x").unwrap();
    lab.gateway.set_nonblocking(true).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert_eq!(lab.gateway.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(pairs.pop());
    lab.gateway.set_nonblocking(false).unwrap();
    let (mut behind, _) = lab.gateway.accept().unwrap();
    behind.read_exact(&mut [0]).unwrap();
}

#[test]
fn without_a_gateway_a_client_sees_an_end_and_the_next_one_is_served_again() {
    let mut lab = Lab::new();
    let path = lab.gateway.local_addr().unwrap().as_pathname().unwrap().to_owned();
    std::fs::remove_file(&path).unwrap();
    let mut client = TcpStream::connect(lab.at[0]).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "nobody answers");
    lab.gateway = UnixListener::bind(&path).unwrap();
    let (mut client, mut gateway) = lab.pair(0);
    client.write_all(b"x").unwrap();
    gateway.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_run_has_a_bridge_when_it_or_the_settings_say_so() {
    let of = |wanted, bridge_port| {
        let settings = Settings { bridge_port, ..Settings::default() };
        Bridged::new(wanted, &settings).map(|bridged| bridged.map(|bridged| bridged.port))
    };
    assert_eq!(of(None, 0).unwrap(), None);
    assert_eq!(of(None, 9_000).unwrap(), Some(9_000));
    assert_eq!(of(Some(9_001), 9_000).unwrap(), Some(9_001));
    assert_eq!(of(Some(9_001), 0).unwrap(), Some(9_001));
    for (wanted, always) in [(Some(80), 0), (None, 1_023), (Some(0), 9_000)] {
        let refused = of(wanted, always).unwrap_err();
        assert!(refused.to_string().contains("from 1024 on"), "{refused}");
    }
}
