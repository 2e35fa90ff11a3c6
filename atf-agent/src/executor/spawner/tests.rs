//! Real processes, started by a real spawner: who they are, what they see, and how they end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// Says all that a server could find: its ids, its variables, its descriptors, its network, what it
/// can connect to, and its neighbours.
const REPORT: &str = r#"
echo "uid $(id -u) gid $(id -g) groups $(id -G)"
echo "token ${TOKEN-none}"
echo "home ${HOME-none} secret ${ATF_TEST_SECRET-none}"
echo "fds $(ls /proc/self/fd | tr '\n' ' ')"
echo "links $(tail -n +3 /proc/net/dev | grep -cv 'lo:')"
echo "capabilities $(grep CapEff /proc/self/status | cut -f2)"
echo "privileges $(grep NoNewPrivs /proc/self/status | cut -f2)"
echo "seen $(ls -d "$HIDDEN"/* /run/* 2>/dev/null | wc -l)"
echo "processes $(ls -d /proc/[0-9]* | wc -l)"
echo done
exec cat
"#;

/// A uid of no other server of this process.
fn uid() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    1_910_000_000 + std::process::id() % 100_000 * 16 + NEXT.fetch_add(1, Ordering::Relaxed)
}

fn orders(script: &str, hidden: &Path) -> ChildOrders {
    assert!(rustix::process::geteuid().is_root(), "these tests need root");
    ChildOrders {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        directory: "/".into(),
        environment: vec![
            ("TOKEN".to_owned(), "s3cret".to_owned()),
            ("HIDDEN".to_owned(), hidden.display().to_string()),
        ],
        uid: uid(),
        private_tmp: false,
        processes_max: 64,
        memory_bytes_max: 256 << 20,
    }
}

fn spawner(scripts: &[&str], hidden: &Path) -> (Spawner, Vec<u32>) {
    let servers: Vec<(String, ChildOrders)> = (0..)
        .zip(scripts)
        .map(|(number, script)| (format!("s{number}"), orders(script, hidden)))
        .collect();
    let uids = servers.iter().map(|(_, orders)| orders.uid).collect();
    let confinement = Confinement { hidden: vec![hidden.to_owned()], cgroup: None };
    (Spawner::fork(servers, confinement).unwrap(), uids)
}

/// The lines up to `done`.
fn report(from: impl std::io::Read) -> Vec<String> {
    let lines = BufReader::new(from).lines().map(|line| line.unwrap().trim_end().to_owned());
    lines.take_while(|line| line != "done").collect()
}

#[test]
fn a_server_is_its_own_user_with_three_pipes_and_sees_no_socket() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(dir.path().join("executor.sock")).unwrap();
    // The control: as a plain child of this process it finds the socket, and this process's variables.
    let plain = Command::new("/bin/sh")
        .args(["-c", &REPORT.replace("exec cat", "")])
        .env("HIDDEN", dir.path())
        .env("ATF_TEST_SECRET", "leaked")
        .output()
        .unwrap();
    let plain = report(&plain.stdout[..]);
    assert_eq!(plain[0], "uid 0 gid 0 groups 0", "{plain:?}");
    assert!(plain[2].ends_with("secret leaked") && plain[7] != "seen 0", "{plain:?}");

    let (spawner, uids) = spawner(&[REPORT], dir.path());
    let [_input, output, _errors] = spawner.start(0).unwrap();
    let found = report(File::from(output));
    let uid = uids[0];
    assert_eq!(found[0], format!("uid {uid} gid {uid} groups {uid}"));
    assert_eq!(found[1], "token s3cret");
    assert_eq!(found[2], "home /nonexistent secret none");
    // The fourth is that of `ls` itself, for the directory.
    assert_eq!(found[3], "fds 0 1 2 3");
    assert_eq!(found[4], "links 0");
    assert_eq!(found[5], "capabilities 0000000000000000");
    assert_eq!(found[6], "privileges 1");
    assert_eq!(found[7], "seen 0");
    let processes: u32 = found[8].trim_start_matches("processes ").parse().unwrap();
    assert!(processes < 8, "{found:?}");
}

#[test]
fn a_server_ends_with_all_of_its_processes_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    // A child in a session of its own keeps the output open.
    let script = "setsid sleep 1000 & echo done; exec cat";
    let (spawner, _) = spawner(&[script, "echo done; exec cat"], dir.path());
    let [_in0, out0, _err0] = spawner.start(0).unwrap();
    let [in1, out1, _err1] = spawner.start(1).unwrap();
    let mut out0 = BufReader::new(File::from(out0));
    let mut out1 = BufReader::new(File::from(out1));
    let mut line = String::new();
    out0.read_line(&mut line).unwrap();
    out1.read_line(&mut line).unwrap();
    assert_eq!(line, "done\ndone\n", "the control: both live");

    spawner.stop(0).unwrap();
    assert_eq!(out0.read_to_string(&mut line).unwrap(), 0, "its output has ended");
    let mut in1 = File::from(in1);
    std::io::Write::write_all(&mut in1, b"alive\n").unwrap();
    line.clear();
    out1.read_line(&mut line).unwrap();
    assert_eq!(line, "alive\n");

    // With the executor's end of the socket the spawner ends, and the servers with it.
    drop(spawner);
    assert_eq!(out1.read_to_string(&mut line).unwrap(), 0);
}

#[test]
fn what_cannot_be_started_says_so_on_its_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut bad = orders("", dir.path());
    bad.program = "/no/such/program".into();
    let confinement = Confinement { hidden: Vec::new(), cgroup: None };
    let spawner = Spawner::fork(vec![("bad".to_owned(), bad)], confinement).unwrap();
    let [_input, _output, errors] = spawner.start(0).unwrap();
    let mut said = String::new();
    File::from(errors).read_to_string(&mut said).unwrap();
    assert!(said.contains("cannot start /no/such/program"), "{said}");
    let error = spawner.start(7).unwrap_err().to_string();
    assert!(error.contains("no such server"), "{error}");
}
