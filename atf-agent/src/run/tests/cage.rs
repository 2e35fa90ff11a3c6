use super::lab::{Lab, outside};

/// A row: `script` prints `expected` in the cage, and something else outside of it.
fn check(lab: &Lab, name: &str, script: &str, expected: &str) {
    assert_ne!(outside(script).trim_end(), expected, "{name}: proves nothing");
    check_inside(lab, name, script, expected);
}

fn check_inside(lab: &Lab, name: &str, script: &str, expected: &str) {
    let found = lab.sh(script);
    assert_eq!(found.output.trim_end(), expected, "{name}: {:?}", found.ended);
}

#[test]
fn a_run_is_nobody_and_can_become_nobody_else() {
    let lab = Lab::new();
    let uid = lab.uid.to_string();
    check(&lab, "uid", "id -u", &uid);
    check(&lab, "every uid", "grep Uid: /proc/self/status", &four("Uid:", &uid));
    check(&lab, "every gid", "grep Gid: /proc/self/status", &four("Gid:", &uid));
    check(&lab, "groups", "id -G", &uid);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        let script = format!("grep {set} /proc/self/status | cut -f2");
        check(&lab, set, &script, "0000000000000000");
    }
    for set in ["CapInh", "CapAmb"] {
        let script = format!("grep {set} /proc/self/status | cut -f2");
        check_inside(&lab, set, &script, "0000000000000000");
    }
    check(&lab, "no new privileges", "grep NoNewPrivs: /proc/self/status | cut -f2", "1");
    check(&lab, "a filter", "grep Seccomp: /proc/self/status | cut -f2", "2");
    check(&lab, "two filters", "grep Seccomp_filters: /proc/self/status | cut -f2", "2");
    check(
        &lab,
        "no core, not even a piped one",
        "echo $(grep -o 'core file size.*bytes' /proc/self/limits)",
        "core file size 1 1 bytes",
    );
}

fn four(name: &str, id: &str) -> String {
    format!("{name}\t{id}\t{id}\t{id}\t{id}")
}

#[test]
fn a_run_sees_itself_and_nothing_of_the_host() {
    let lab = Lab::new();
    check(&lab, "no foreign process", "test -e /proc/1 && echo seen || echo none", "none");
    check(&lab, "host name", "uname -n", "agent");
    let kinds = "cgroup2?|bpf|securityfs|debugfs|tracefs|sysfs|devpts|devtmpfs";
    let mounted =
        format!("grep -E ' - ({kinds}) ' /proc/self/mountinfo | cut -d' ' -f5 | tr '\\n' ' '");
    check(
        &lab,
        "no kernel file system but the device nodes",
        &mounted,
        "/dev/null /dev/zero /dev/full /dev/random /dev/urandom",
    );
    check(&lab, "the root", "echo $(ls -A /)", "bin dev etc home lib lib64 proc run sbin tmp usr");
    check(
        &lab,
        "devices",
        "echo $(ls /dev)",
        "fd full null random shm stderr stdin stdout urandom zero",
    );
    check_inside(&lab, "its cgroup is its root", "grep ^0:: /proc/self/cgroup", "0::/");
    check(
        &lab,
        "one socket",
        "find / -path /proc -prune -o -type s -print 2>/dev/null",
        "/run/atf/gateway/mcp.sock",
    );
}

#[test]
fn a_run_has_namespaces_of_its_own() {
    let lab = Lab::new();
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
        let script = format!("readlink /proc/self/ns/{kind}");
        let (inside, host) = (lab.sh(&script).output, outside(&script));
        assert!(inside.starts_with(kind), "{kind}: {inside}");
        assert_ne!(inside, host, "{kind}");
    }
    check_inside(&lab, "only lo", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '", "lo");
    let up = "import fcntl, socket, struct; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
        print(struct.unpack('16sH', fcntl.ioctl(s, 0x8913, struct.pack('16sH', b'lo', 0)))[1] & 1)";
    check_inside(&lab, "lo is down", &format!("python3 -c \"{up}\""), "0");
}

#[test]
fn a_run_writes_to_its_scratch_and_nowhere_else() {
    let lab = Lab::new();
    check(
        &lab,
        "nowhere else",
        "for d in / /usr /etc /run /dev /proc/sys/kernel/hostname; do test -w $d && echo $d; done",
        "",
    );
    check_inside(
        &lab,
        "really",
        "for d in / /usr /bin /etc /etc/ssl /run /run/atf/gateway /run/atf/identity /dev /proc; do \
         touch $d/x 2>/dev/null && echo $d; done; \
         echo x 2>/dev/null > /run/atf/identity/token; true",
        "",
    );
    check_inside(
        &lab,
        "the scratch",
        "for d in /tmp /home/agent /dev/shm; do echo $d > $d/x && cat $d/x; done; pwd",
        "/tmp\n/home/agent\n/dev/shm\n/home/agent",
    );
    check_inside(&lab, "files are private", "umask", "0077");
}

#[test]
fn a_run_inherits_nothing_but_its_three_descriptors() {
    use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
    use std::os::fd::AsRawFd;

    let lab = Lab::new();
    // Left open across exec for the whole test process, as a careless caller would. The kernel picks
    // the number: taking one (`dup2`) could close a descriptor of a test beside this one, and is
    // EBUSY while that test is opening it.
    let held = std::fs::File::open("/etc/hostname").unwrap();
    let held = fcntl_dupfd_cloexec(&held, 700).unwrap();
    fcntl_setfd(&held, FdFlags::empty()).unwrap();
    check(&lab, "descriptors", "echo $(ls /proc/self/fd)", "0 1 2 3");
    let number = held.as_raw_fd().to_string();
    assert!(outside("ls /proc/self/fd").lines().any(|line| line == number));

    let found = lab.run(&lab.request(&["env"])).output;
    let mut names: Vec<&str> = found.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    let expected = [
        "ATF_LINES_SOCKET",
        "ATF_PROMPT_SHA256",
        "ATF_RUN",
        "ATF_SOCKET",
        "ATF_TOKEN_FILE",
        "HOME",
        "LANG",
        "PATH",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_run_reaches_its_gateway_and_reads_its_token() {
    let lab = Lab::new();
    check(&lab, "token", "cat $ATF_TOKEN_FILE", "token-0");
    let usual =
        "cat /run/atf/identity/prompt_sha256; ls -l /run/atf/identity/prompt_sha256 | cut -c1-10";
    let digest = crate::call::Digest::of(b"be honest");
    check(&lab, "the prompt without an environment", usual, &format!("{digest}\n-r--r--r--"));
    let connect = "import os, socket; s = socket.socket(socket.AF_UNIX); \
        s.connect(os.environ['ATF_SOCKET']); print('connected')";
    check(&lab, "gateway", &format!("python3 -c \"{connect}\""), "connected");
    check(
        &lab,
        "prompt",
        "echo $ATF_PROMPT_SHA256",
        &crate::call::Digest::of(b"be honest").to_string(),
    );
}

#[test]
fn ordinary_programs_work() {
    let lab = Lab::new();
    let python = "import threading, subprocess, tempfile, socket; \
        t = threading.Thread(target=print, args=('thread',)); t.start(); t.join(); \
        print(subprocess.run(['echo', 'process'], capture_output=True, text=True).stdout.strip()); \
        print(bool(socket.if_nameindex())); print(tempfile.mkdtemp()[:4])";
    check_inside(
        &lab,
        "python",
        &format!("python3 -c \"{python}\""),
        "thread\nprocess\nTrue\n/tmp",
    );
    check_inside(&lab, "a pipeline", "seq 3 | sort -r | head -1", "3");
    check_inside(&lab, "names", "whoami", "agent");
}

#[test]
fn limits_hold() {
    let forks = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all";
    let fills = "head -c 2000000 /dev/zero > /tmp/a && echo fits";
    let mut lab = Lab::new();
    lab.settings.pids_max = 20;
    lab.settings.scratch_bytes_max = 1 << 20;
    assert!(!lab.sh(forks).output.contains("all"));
    assert!(!lab.sh(fills).output.contains("fits"));
    // The same with room.
    lab.settings.pids_max = 60;
    lab.settings.scratch_bytes_max = 4 << 20;
    assert!(lab.sh(forks).output.contains("all"));
    assert!(lab.sh(fills).output.contains("fits"));
}

#[test]
fn more_is_shown_when_asked_for_and_only_to_read() {
    let lab = Lab::new();
    let shown = tempfile::tempdir().unwrap();
    std::fs::set_permissions(shown.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    std::fs::write(shown.path().join("tool"), "tool").unwrap();
    let path = shown.path().display();
    let script = format!("cat {path}/tool; touch {path}/new 2>/dev/null || echo only to read");
    let mut request = lab.request(&["sh", "-c", &script]);
    assert_eq!(
        lab.run(&request).output,
        format!("cat: {path}/tool: No such file or directory\nonly to read\n")
    );
    request.read_only = vec![shown.path().to_owned()];
    assert_eq!(lab.run(&request).output, "toolonly to read\n");
    request.read_only = vec!["/proc/self".into()];
    assert!(lab.run(&request).ended.unwrap_err().contains("may not see"));
}

#[test]
fn what_the_filter_refuses_is_counted_outside_of_the_run() {
    let lab = Lab::new();
    for (script, status) in [("true", 0), ("unshare -n true 2>/dev/null", 1)] {
        assert_eq!(lab.sh(script).ended, Ok(status), "{script}");
    }
    let refused = lab.authority.lock().unwrap().refused.clone();
    let denied: Vec<u64> = refused.iter().map(|counts| counts.expect("counted")[1]).collect();
    assert_eq!(denied[0], 0, "control: {refused:?}");
    assert!(denied[1] > 0, "{refused:?}");
    for [allowed, denied, events, suppressed, dropped, observed] in refused.into_iter().flatten() {
        assert_eq!((allowed, observed), (0, 0));
        assert_eq!(events + suppressed + dropped, denied);
    }
}

/// The attack: whoever has the listener could let its own calls through.
#[test]
fn no_process_of_the_run_has_the_listener() {
    let listeners = |pid: &str| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let names = fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        names.filter(|name| name.to_string_lossy().contains("seccomp")).count()
    };
    let lab = Lab::new();
    let mut kept = lab.start(&lab.request(&["sh", "-c", "echo up; sleep 3; exit 0"]));
    kept.wait_for("up");
    let run = std::fs::read_dir(&lab.agents_dir).unwrap().flatten();
    let run = run.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    let procs = std::fs::read_to_string(run.join("cgroup.procs")).unwrap();
    assert!(procs.lines().count() >= 2, "the supervisor and the command: {procs}");
    for pid in procs.lines() {
        assert_eq!(listeners(pid), 0, "process {pid}");
    }
    let keeper = kept.pid.as_raw_nonzero().to_string();
    let soon = || {
        std::thread::sleep(std::time::Duration::from_millis(10));
        listeners(&keeper) == 1
    };
    assert!((0..200).any(|_| soon()), "control: the keeper has it");
    assert_eq!(kept.end().ended, Ok(0));
}
