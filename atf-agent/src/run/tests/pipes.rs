//! Named pipes of somebody else's in a directory that the run sees: a read-only mount does not keep a
//! run from writing to one.

use std::fs::{File, Permissions, set_permissions};
use std::io::Read as _;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

use super::lab::Lab;

/// The pipe that a careless outsider made, and what came through it.
struct Pipe {
    folder: tempfile::TempDir,
    outside: File,
}

impl Pipe {
    fn below(folder: &str) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        // Open for both, so that nobody waits for the other end.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let outside = File::from(open(&path, flags, Mode::empty()).unwrap());
        Self { folder, outside }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("pipe")
    }

    /// The bytes that came through since the last look.
    fn came(&mut self) -> String {
        let mut bytes = [0; 4_096];
        let length = self.outside.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}

/// Python statements that write `out` to the pipe at `path`, each by another way.
fn ways(path: &Path) -> [String; 5] {
    let path = path.display();
    [
        format!("os.write(os.open('{path}', os.O_WRONLY), b'out')"),
        format!("os.write(os.open('{path}', os.O_RDWR | os.O_NONBLOCK), b'out')"),
        format!("os.write(os.open('/proc/self/root{path}', os.O_WRONLY), b'out')"),
        // The pipe is held, which takes no permission, and then opened by another name.
        format!(
            "f = os.open('{path}', os.O_PATH); os.write(os.open(f'/proc/self/fd/{{f}}', os.O_WRONLY), b'out')"
        ),
        format!(
            "r, w = os.pipe(); os.write(w, b'out'); f = os.open('{path}', os.O_RDWR); os.splice(r, f, 3)"
        ),
    ]
}

fn python(statement: &str) -> [String; 3] {
    ["python3".to_owned(), "-c".to_owned(), format!("import os; {statement}")]
}

/// What arrives outside of every cage, for the same user.
fn without(lab: &Lab, statement: &str) {
    let [program, flag, code] = python(statement);
    let mut command = Command::new(program);
    command.args([flag, code]).uid(lab.uid).gid(lab.uid).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "{statement}: proves nothing");
}

#[test]
fn nothing_goes_out_by_a_foreign_named_pipe() {
    let lab = Lab::new();
    for below in ["/tmp", "/var/tmp"] {
        let mut pipe = Pipe::below(below);
        for way in ways(&pipe.path()) {
            without(&lab, &way);
            assert_eq!(pipe.came(), "out", "{way}: proves nothing");
            let command = python(&way);
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let mut request = lab.request(&words);
            request.read_only = vec![pipe.folder.path().to_owned()];
            let found = lab.run(&request);
            assert_eq!(pipe.came(), "", "{way}");
            assert!(found.output.contains("PermissionError"), "{way}: {found:?}");
        }
    }
}

#[test]
fn a_run_uses_its_own_files_and_pipes_as_ever() {
    let lab = Lab::new();
    let moves = "for d in /tmp /home/agent /dev/shm; do cd $d && mkdir a b && echo one > a/f && \
        mv a/f b/g && ln b/g a/h && : > b/g && mkfifo p && (echo two > p & cat p) && rm -r a b p; done; \
        echo x > /dev/null && echo thread > /proc/self/comm && echo done";
    assert_eq!(lab.sh(moves).output, "two\ntwo\ntwo\ndone\n");
    // A pipe without a name, made by the run itself, and opened by another name.
    assert_eq!(lab.sh("(echo out > /dev/stdout) | cat").output, "out\n");
}

#[test]
fn a_pipe_that_was_handed_over_stays_usable_and_no_other_does() {
    let lab = Lab::new();
    let (mut handed, mut other) = (Pipe::below("/tmp"), Pipe::below("/tmp"));
    let (here, there) = (handed.path(), other.path());
    let script = format!("echo again > /dev/stdout; echo no 2>/dev/null > {}", there.display());
    let mut request = lab.request(&["sh", "-c", &script]);
    request.read_only = vec![handed.folder.path().to_owned(), other.folder.path().to_owned()];
    let output = File::from(open(&here, OFlags::WRONLY, Mode::empty()).unwrap());
    let nothing = File::open("/dev/null").unwrap();
    let (heard, nobody) = std::io::pipe().unwrap();
    let stdio = [nothing.as_fd(), output.as_fd(), output.as_fd()];
    let kept = lab.start_on(stdio, heard.into(), &request);
    drop(nobody);
    kept.end();
    assert!(handed.came().starts_with("again\n"));
    assert_eq!(other.came(), "");
}
