//! The command `atf` as a shell starts it: what it says, and its exit status.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command with these arguments, and an installation in `dir` of which nothing is there yet.
fn atf(dir: &Path, arguments: &[&str]) -> Command {
    let config = dir.join("atf.toml");
    let (run, state) = (dir.join("run"), dir.join("state"));
    let places = format!("[places]\nrun_dir = {run:?}\nstate_dir = {state:?}\n");
    fs::write(&config, places).expect("a file of the test");
    let mut command = Command::new(env!("CARGO_BIN_EXE_atf"));
    command.env_clear().env("ATF_CONFIG", config).args(arguments).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The fault: a full disk, or a reader of the log that has gone. A line that nobody gets is no reason to stop, or to
/// end in another way.
#[test]
fn a_log_that_cannot_be_written_changes_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    fs::create_dir(&log).unwrap();
    let log = log.to_str().unwrap();
    let rows: [(&[&str], i32); 5] = [
        (&["no-such-command"], 2),
        (&["--log-filter", "=", "config", "show"], 2),
        (&["--config", "/nonexistent", "config", "show"], 3),
        (&["recorder"], 4),
        // It warns that there is no key, and goes on.
        (&["audit", "verify", "--log", log], 1),
    ];
    for (arguments, status) in rows {
        let heard = said(&atf(dir.path(), arguments).output().unwrap());
        assert!(heard.0 == status && !heard.2.is_empty(), "the control: {arguments:?}: {heard:?}");
        for form in ["text", "json"] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let full = File::options().write(true).open("/dev/full").unwrap();
            for (what, stderr) in [("full", Stdio::from(full)), ("closed", writer.into())] {
                let mut command = atf(dir.path(), &["--log-format", form]);
                let output = command.args(arguments).stderr(stderr).output().unwrap();
                let unheard = said(&output);
                assert_eq!((unheard.0, &unheard.1), (status, &heard.1), "{arguments:?} {what}");
            }
        }
    }
}

#[test]
fn an_answer_that_nobody_takes_ends_the_command_and_one_that_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (stdout, is_told) in [(Stdio::from(closed), false), (full.into(), true)] {
        let command = &mut atf(dir.path(), &["config", "show"]);
        let heard = said(&command.stdout(stdout).output().unwrap());
        assert_eq!((heard.0, !heard.2.is_empty()), (4, is_told), "{heard:?}");
    }
}

#[test]
fn a_run_that_a_bad_configuration_keeps_from_its_start_says_so_by_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let unknown = dir.path().join("unknown.toml");
    fs::write(&unknown, "[gatway]\n").unwrap();
    let unknown = unknown.to_str().unwrap();
    let run = ["run", "--agent", "a", "--task", "t", "--user", "u", "--prompt", "p"];
    let command = ["--", "/bin/true"];
    for (arguments, status) in [
        ([&["--config", unknown], &run[..], &command].concat(), 125),
        ([&["--config", "/nonexistent"], &run[..], &command].concat(), 125),
        ([&["--config", unknown], &run[..]].concat(), 2),
        (vec!["--config", unknown, "config", "show"], 3),
    ] {
        let heard = said(&atf(dir.path(), &arguments).output().unwrap());
        assert_eq!(heard.0, status, "{arguments:?}: {heard:?}");
    }
}

#[test]
fn where_there_is_nothing_to_show_or_to_prove_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (empty, run) = (empty.to_str().unwrap(), "0123456789abcdef0123456789abcdef");
    let rows: [(&[&str], i32, &str); 6] = [
        (&["audit", "verify"], 4, "there is no log"),
        (&["audit", "verify", "--log", "/nonexistent"], 4, "there is no log"),
        (&["audit", "verify", "--log", empty], 1, "no log key"),
        (&["audit", "show"], 4, "cannot read the log"),
        (&["audit", "show", "--log", empty, "--run", run], 0, "nothing to show"),
        (&["audit", "show", "--log", empty, "--output", "json"], 0, "nothing to show"),
    ];
    for (arguments, status, words) in rows {
        let heard = said(&atf(dir.path(), arguments).output().unwrap());
        assert!(heard.0 == status && heard.2.contains(words), "{arguments:?}: {heard:?}");
    }
}
