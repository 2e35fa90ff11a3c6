//! A run with a bridge: where it is, who is behind it, and that nothing else of the run has changed.

use std::io::{Read as _, Write as _};

use super::lab::{Lab, outside};

/// Connects to `$ATF_BRIDGE_URL`, or its IPv6 form, says a word and prints the answer.
const CLIENT: &str = "import os, socket, sys; port = int(os.environ['ATF_BRIDGE_URL'].rsplit(':', 1)[1]); \
    s = socket.create_connection((sys.argv[1], port), 10); s.sendall(b'hello'); \
    s.shutdown(socket.SHUT_WR); print(s.recv(99).decode())";

fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.settings.bridge_port = 8_283;
    lab
}

#[test]
fn a_client_that_knows_an_address_alone_reaches_the_gateway() {
    let lab = lab();
    for (address, word) in [("127.0.0.1", "hello"), ("::1", "hello")] {
        let kept = lab.start(&lab.request(&["python3", "-c", CLIENT, address]));
        let mut gateway = lab.accept();
        let mut heard = String::new();
        gateway.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, word, "{address}");
        gateway.write_all(b"welcome").unwrap();
        drop(gateway);
        assert_eq!(kept.end().output, "welcome\n", "{address}");
    }
}

#[test]
fn the_network_is_the_runs_own_and_has_its_loopback_alone() {
    let lab = lab();
    let names = "readlink /proc/self/ns/net; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
    let (one, other, here) = (lab.sh(names).output, lab.sh(names).output, outside(names));
    assert!(one.ends_with("\nlo\n") && other.ends_with("\nlo\n"), "{one} {other}");
    assert!(one != here, "control: {here}");
    let url = "echo $ATF_BRIDGE_URL";
    assert_eq!(lab.sh(url).output, "http://127.0.0.1:8283\n");
    assert_eq!(Lab::new().sh(url).output, "\n", "control: a run without");
    let asked = lab.authority.lock().unwrap().networks.clone();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(Option::is_some) && asked[0] != asked[1], "{asked:?}");
    let fds = "echo $(ls /proc/self/fd)";
    assert_eq!(lab.sh(fds).output, "0 1 2 3\n", "no socket of the bridge is the command's");
}

/// The attack: to answer in the gateway's place.
#[test]
fn nobody_of_the_run_takes_the_bridges_port() {
    let lab = lab();
    let bind = "import socket, sys; s = socket.socket(); \
        [s.setsockopt(socket.SOL_SOCKET, o, 1) for o in (socket.SO_REUSEADDR, socket.SO_REUSEPORT)]; \
        s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); print('listens')";
    let tried = |port: &str| lab.run(&lab.request(&["python3", "-c", bind, port])).output;
    assert!(tried("8284").contains("listens"), "control: another port");
    let refused = tried("8283");
    assert!(!refused.contains("listens") && refused.contains("in use"), "{refused}");
}

#[test]
fn a_port_that_is_no_bridges_is_refused() {
    let mut lab = Lab::new();
    lab.settings.bridge_port = 80;
    let why = lab.sh("true").ended.unwrap_err();
    assert!(why.contains("from 1024 on"), "{why}");
    assert!(lab.leftovers().is_empty());
}
