//! Who is calling, with real processes: of other users, of other cgroups, and gone. Needs root and a
//! writable cgroup2.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::{env, fs};

use super::super::caller::{Agents, CallerError, prove};
use super::kernel::KernelInMemory;
use super::lab::{cgroup2, prompt};
use crate::call::{CgroupId, RunId};
use crate::wire::RunEntry;

/// Two uids that nobody on the host has.
const RUN_UID: u32 = 1_900_100_123;
const OTHER_UID: u32 = 1_900_100_124;

/// What the child process reads its socket's path from.
const SOCKET: &str = "ATF_TEST_SOCKET";

/// The test that starts itself as the child, in which it does nothing else.
const CHILD: &str =
    "gateway::tests::callers::a_caller_is_a_living_process_of_the_runs_user_in_the_runs_cgroup";

/// The child: connects when it is told to, and stays until its standard input ends.
fn call(path: &OsStr) {
    let mut told = [0];
    std::io::stdin().read_exact(&mut told).unwrap();
    let _stream = UnixStream::connect(path).unwrap();
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).unwrap();
}

/// A cgroup tree of its own, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let tree = Self(cgroup2().join(format!("atf-test-{name}-{}", std::process::id())));
        fs::create_dir_all(tree.agents()).expect("these tests need root and a writable cgroup2");
        tree
    }

    fn agents(&self) -> PathBuf {
        self.0.join("agents")
    }

    fn make(&self, path: &str) -> PathBuf {
        let dir = self.agents().join(path);
        fs::create_dir_all(&dir).unwrap();
        dir
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        /// Cgroups are removed from the leaves up; their files go with them.
        fn remove(dir: &Path) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    remove(&entry.path());
                }
            }
            let _busy = fs::remove_dir(dir);
        }
        remove(&self.0);
    }
}

fn entry(run: RunId, cgroup: u64) -> RunEntry {
    RunEntry {
        run,
        cgroup: CgroupId(cgroup),
        uid: RUN_UID,
        agent: "clerk".parse().unwrap(),
        user: "alice".into(),
        task: "t".into(),
        prompt: prompt(),
        end_boot_ms: u64::MAX,
        sealed: false,
    }
}

/// A child of `uid` that connected to a new listener from the cgroup `cgroup`.
fn connected(uid: u32, cgroup: &Path) -> (Child, UnixStream, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", CHILD])
        .env(SOCKET, &path)
        .uid(uid)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("these tests need root");
    fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
    let (stream, _) = listener.accept().unwrap();
    (child, stream, dir)
}

/// What is made of a child of `uid` in `cgroup` that calls at the listener of `entry`'s run.
fn proven(
    tree: &Tree,
    uid: u32,
    cgroup: &Path,
    entry: &RunEntry,
    ends: bool,
) -> Result<(), CallerError> {
    let (mut child, stream, _dir) = connected(uid, cgroup);
    if ends {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let agents = Agents::find(&tree.agents(), &mountinfo).unwrap();
    let kernel = Arc::new(KernelInMemory::default()).side(false, tree.agents());
    let found = prove(stream.as_fd(), entry, &kernel, &agents);
    drop(child.stdin.take());
    child.wait().unwrap();
    let caller = found?;
    assert_eq!((caller.run, caller.cgroup), (entry.run, entry.cgroup));
    Ok(())
}

#[test]
fn a_caller_is_a_living_process_of_the_runs_user_in_the_runs_cgroup() {
    if let Some(path) = env::var_os(SOCKET) {
        return call(&path);
    }
    let tree = Tree::new("callers");
    let (run, other) = (RunId::random(), RunId::random());
    let own = tree.make(&run.to_string());
    let deep = tree.make(&format!("{run}/a/b"));
    let foreign = tree.make(&other.to_string());
    let below_foreign = tree.make(&format!("{other}/{run}"));
    let inode = own.metadata().unwrap().ino();
    let (live, stale) = (entry(run, inode), entry(run, inode + 1_000_000));
    let outside = cgroup2();

    let row = |uid, cgroup: &Path, entry, ends| proven(&tree, uid, cgroup, entry, ends);
    row(RUN_UID, &own, &live, false).expect("the control");
    row(RUN_UID, &deep, &live, false).expect("a child cgroup of the run's own");
    let uid = row(OTHER_UID, &own, &live, false);
    assert!(matches!(uid, Err(CallerError::Uid { .. })), "{uid:?}");
    for (name, cgroup, entry) in [
        ("another run's cgroup", &foreign, &live),
        ("a namesake below another run", &below_foreign, &live),
        ("no run's cgroup", &outside, &live),
        ("a later cgroup of the same name", &own, &stale),
    ] {
        let found = row(RUN_UID, cgroup, entry, false);
        assert!(matches!(found, Err(CallerError::Cgroup { .. })), "{name}: {found:?}");
    }
    let gone = row(RUN_UID, &own, &live, true);
    assert!(matches!(gone, Err(CallerError::Gone | CallerError::Unknown { .. })), "{gone:?}");
}

#[test]
fn with_layer_b_the_stamp_decides() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let agents = Agents::find(&cgroup2(), &mountinfo).unwrap();
    let kernel = Arc::new(KernelInMemory::default());
    let side = kernel.side(true, cgroup2());
    let mut entry = entry(RunId::random(), 7);
    entry.uid = rustix::process::geteuid().as_raw();
    for (stamp, right) in [(None, false), (Some(8), false), (Some(7), true)] {
        if let Some(stamp) = stamp {
            let mut stamps = kernel.stamps.lock().unwrap();
            stamps.insert(path.clone(), CgroupId(stamp));
        }
        let found = prove(stream.as_fd(), &entry, &side, &agents);
        assert_eq!(found.is_ok(), right, "{stamp:?}: {found:?}");
    }
}

#[test]
fn the_agents_cgroup_is_spelled_as_the_kernel_spells_it() {
    let plain = "26 20 0:24 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    let inner = "27 20 0:24 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw";
    let above = "28 20 0:24 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw";
    let v1 = "29 20 0:25 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu";
    let dir = Path::new("/sys/fs/cgroup/atf/agents");
    for (mountinfo, expected) in [
        (plain, Some("spelled: \"/atf/agents\"")),
        (inner, Some("spelled: \"/docker/x/atf/agents\"")),
        (&format!("{plain}\n{inner}"), Some("spelled: \"/docker/x/atf/agents\"")),
        (above, None),
        (v1, None),
        ("", None),
    ] {
        let found = Agents::find(dir, mountinfo).ok().map(|a| format!("{a:?}"));
        match (found, expected) {
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => assert_eq!(found.as_deref(), expected, "{mountinfo}"),
        }
    }
}
