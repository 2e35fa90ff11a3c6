use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Signal, kill_process};

use super::lab::{Lab, outside};
use crate::call::RunId;
use crate::run::is_gone;

/// A row: `script` ends with `status`, and nothing is left.
fn check_status(lab: &Lab, script: &str, status: u8) {
    let found = lab.sh(script);
    assert_eq!(found.ended, Ok(status), "{script}: {}", found.output);
    assert_eq!(found.left_behind, "", "{script}");
    assert!(lab.leftovers().is_empty(), "{script}: {:?}", lab.leftovers());
}

#[test]
fn the_commands_status_is_the_runs() {
    let lab = Lab::new();
    check_status(&lab, "exit 0", 0);
    check_status(&lab, "exit 7", 7);
    check_status(&lab, "kill -9 $$", 128 + 9);
    check_status(&lab, "kill -TERM $$", 128 + 15);
    let asked = lab.asked();
    assert_eq!(asked[..4], ["register ledger", "end exit 0", "register ledger", "end exit 7"]);
}

#[test]
fn what_the_command_leaves_running_is_killed() {
    let lab = Lab::new();
    let found = lab.sh("setsid sleep 1000 & sleep 0.2; cat /proc/$!/comm");
    assert_eq!(found.output, "sleep\n", "it has lived");
    assert_eq!((found.ended, found.left_behind.as_str()), (Ok(0), ""));
    assert!(lab.leftovers().is_empty());
}

#[test]
fn orphans_are_reaped_while_the_run_lives() {
    let lab = Lab::new();
    let script = "(setsid sleep 0.1 &); sleep 0.4; grep -l '(zombie)' /proc/[0-9]*/status; true";
    assert_eq!(lab.sh(script).output, "");
}

#[test]
fn a_run_that_cannot_start_says_why_and_leaves_nothing() {
    let check = |lab: &Lab, command: &[&str], words: &str, asked: &[&str]| {
        let found = lab.run(&lab.request(command));
        let error = found.ended.unwrap_err();
        assert!(error.contains(words), "{error}");
        assert_eq!(found.output, "", "nothing has run");
        assert_eq!(lab.asked(), asked);
        assert!(lab.leftovers().is_empty(), "{:?}", lab.leftovers());
    };
    let admitted = ["register ledger", "end not started"];
    let run = ["echo", "ran"];
    let refusing = Lab::with(|conduct| conduct.refuses = Some("no manifest\u{1b}[2J"));
    check(&refusing, &run, r"refuses the run: no manifest\u{1b}[2J", &["register ledger"]);
    check(&Lab::with(|conduct| conduct.uid = 0), &run, "not of the pool", &admitted);
    check(&Lab::with(|conduct| conduct.uid = 1_000), &run, "not of the pool", &admitted);
    let mut unproven = Lab::new();
    unproven.proof = Err("connect4 is not attached".to_owned());
    check(&unproven, &run, "connect4 is not attached", &admitted);
    check(&Lab::new(), &["no-such-program"], "executing no-such-program", &admitted);
    check(&Lab::new(), &[], "no command", &[]);
    // A file of the host that the run does not see, none at all, and one whose interpreter is not there.
    let lab = Lab::new();
    let host = lab.directory.path().join("prompt");
    check(
        &lab,
        &[host.to_str().unwrap()],
        "is on the host, and the run does not see it",
        &admitted,
    );
    check(&Lab::new(), &["/no/such"], "/no/such: the run sees no such file", &admitted);
    let lab = Lab::new();
    let script = lab.directory.path().join("script");
    std::fs::write(&script, "#!/no/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut shown = lab.request(&[script.to_str().unwrap()]);
    shown.read_only.push(script);
    let error = lab.run(&shown).ended.unwrap_err();
    assert!(error.contains("interpreter or loader"), "{error}");
    // What is asked for by name has to be there; what the settings name need not.
    let mut absent = Lab::new();
    let mut asked = absent.request(&run);
    asked.read_only.push("/no/such".into());
    let error = absent.run(&asked).ended.unwrap_err();
    assert!(error.contains("/no/such: it is not there"), "{error}");
    absent.settings.read_only.push("/no/such".into());
    assert_eq!(absent.run(&absent.request(&run)).output, "ran\n", "the control");
    // The negative control: with nothing in its way, the same command runs.
    assert_eq!(Lab::new().run(&Lab::new().request(&run)).output, "ran\n");
}

#[test]
fn a_keeper_that_is_killed_takes_its_run_with_it() {
    let lab = Lab::new();
    let mut kept = lab.start(&lab.request(&["sh", "-c", "echo started; sleep 1000"]));
    kept.wait_for("started");
    assert!(lab.dies_with(&kept), "it died with its keeper");
    drop(kept.end());
    assert_eq!(lab.leftovers().len(), 2, "its cgroup and its directory");
    assert_eq!(lab.gone(), [true], "what `atf runs` says");
    // The next keeper finds them; the run of a keeper that lives is left alone.
    let mut living = lab.start(&lab.request(&["sh", "-c", "echo started; sleep 0.5; exit 4"]));
    living.wait_for("started");
    assert_eq!(lab.gone(), [false], "the control");
    assert!(is_gone(&lab.places, RunId::random()), "none at all");
    assert!(lab.asked().contains(&"end keeper killed".to_owned()), "{:?}", lab.asked());
    assert_eq!(lab.sh("exit 0").ended, Ok(0));
    assert_eq!(living.end().ended, Ok(4));
    assert!(lab.leftovers().is_empty(), "{:?}", lab.leftovers());
}

#[test]
fn the_end_says_whether_the_run_was_sealed() {
    for seals in [true, false] {
        let found = Lab::with(|conduct| conduct.seals = seals).sh("exit 0");
        assert_eq!((found.ended, found.sealed), (Ok(0), seals));
    }
}

#[test]
fn the_supervisor_cannot_be_killed_from_inside() {
    let lab = Lab::new();
    let found = lab.sh("kill -9 1; kill -STOP 1; sleep 0.2; echo alive; exit 6");
    assert_eq!((found.output.as_str(), found.ended), ("alive\n", Ok(6)));
}

#[test]
fn signals_are_passed_on_to_the_command() {
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT")] {
        let lab = Lab::new();
        let script = format!(
            "trap 'echo got {name}; exit 3' {name}; echo ready; \
            while :; do sleep 0.05; done"
        );
        let mut kept = lab.start(&lab.request(&["sh", "-c", &script]));
        kept.wait_for("ready\n");
        kill_process(kept.pid, signal).unwrap();
        let found = kept.end();
        assert_eq!((found.output, found.ended), (format!("got {name}\n"), Ok(3)));
    }
}

#[test]
fn what_the_launcher_ignores_the_command_does_not() {
    // The plain signals; 32 and 33 belong to the C library.
    let plain = |said: &str| {
        let mask = said.split_whitespace().last().unwrap();
        u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff
    };
    let mut lab = Lab::new();
    lab.ignored = vec![Signal::HUP, Signal::INT, Signal::QUIT];
    assert_eq!(plain(&lab.sh("grep SigIgn /proc/self/status").output), 0);
    // The control: a shell keeps what was ignored when it was started.
    let script = "trap '' HUP INT QUIT; exec sh -c 'grep SigIgn /proc/self/status'";
    assert_eq!(plain(&outside(script)) & 0b111, 0b111);
}

#[test]
fn a_run_is_killed_at_its_absolute_end() {
    let sleeps = "echo alive; sleep 2; echo too late";
    let found = Lab::with(|conduct| conduct.ends_in_ms = 700).sh(sleeps);
    assert_eq!((found.output.as_str(), found.ended), ("alive\n", Ok(137)));
    // The control: the same command, with an end that is later.
    let found = Lab::new().sh(sleeps);
    assert_eq!((found.output.as_str(), found.ended), ("alive\ntoo late\n", Ok(0)));
}

#[test]
fn the_token_is_renewed_while_the_run_lives() {
    let first_change = "cat $ATF_TOKEN_FILE; while grep -q token-0 $ATF_TOKEN_FILE; do sleep 0.05; \
        done; echo; cat $ATF_TOKEN_FILE; stat -c ' %a %u %g' $ATF_TOKEN_FILE; ls /run/atf/identity";
    let check = |lab: &Lab, second: &str| {
        let expected = format!("token-0\n{second} 440 0 {}\nprompt_sha256\ntoken\n", lab.uid);
        assert_eq!(lab.sh(first_change).output, expected);
    };
    check(&Lab::with(|conduct| conduct.renew_in_s = 1), "token-1");
    // Refused at first, it is asked for again, with pauses.
    let stubborn = Lab::with(|conduct| {
        conduct.renew_in_s = 1;
        conduct.renewals_refused = 2;
    });
    check(&stubborn, "token-3");
    // Zero: there is no later token, and it is not asked for.
    let last = Lab::new();
    assert_eq!(last.sh("sleep 1.2; cat $ATF_TOKEN_FILE").output, "token-0");
    assert!(!last.asked().contains(&"renew".to_owned()));
}

#[test]
fn a_terminal_is_replaced_by_one_of_the_runs_own() {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

    let lab = Lab::new();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let outer = openpt(flags).unwrap();
    unlockpt(&outer).unwrap();
    let inner = ioctl_tiocgptpeer(&outer, flags).unwrap();
    let script = "test -t 0 && test -t 1 && echo own; stat -L -c 'device %t:%T' /proc/self/fd/0; \
        read line; echo heard $line; echo again > /dev/stdout; echo tty > /dev/tty; exit 5";
    let request = lab.request(&["sh", "-c", script]);
    let outer_copy = outer.try_clone().unwrap();
    let mut kept =
        lab.start_on([inner.as_fd(), inner.as_fd(), inner.as_fd()], outer_copy, &request);
    let device = rustix::fs::fstat(&inner).unwrap().st_rdev;
    drop(inner);
    let found = kept.wait_for("device ") + &kept.wait_for("\n");
    assert!(found.contains("own"), "{found}");
    let keepers = format!("{:x}:{:x}", rustix::fs::major(device), rustix::fs::minor(device));
    assert!(!found.contains(&keepers), "{found} is the keeper's {keepers}");
    rustix::io::write(&outer, b"hello\r").unwrap();
    let found = kept.end();
    for word in ["heard hello", "again", "tty"] {
        assert!(found.output.contains(word), "{word}: {}", found.output);
    }
    assert_eq!(found.ended, Ok(5));
}

#[test]
fn a_foreign_socket_as_standard_input_is_refused() {
    let lab = Lab::new();
    let (read, write) = std::io::pipe().unwrap();
    let request = lab.request(&["cat"]);
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let kept = lab.start_on([tcp.as_fd(), write.as_fd(), write.as_fd()], read.into(), &request);
    drop(write);
    let error = kept.end().ended.unwrap_err();
    assert!(error.contains("descriptor 0 is a socket of family 2"), "{error}");
    assert!(lab.asked().is_empty());
}
