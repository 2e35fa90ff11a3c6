//! Work with the rights of another user, in a thread that ends with it: what can that user read?

use std::io;
use std::thread;

use rustix::process::{Gid, Uid};

/// As large as that of a program's first thread, in which daemons read what they read at their start.
const STACK_BYTES: usize = 8 << 20;

/// Does `work` with the rights of `uid`, in the group of the same number and in `group`, and nothing of
/// root's. A process that is not root does it with its own.
///
/// # Errors
/// When the kernel gives no thread, or does not change its user; nothing was done then.
pub fn as_user<T: Send>(uid: u32, group: u32, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    if !rustix::process::geteuid().is_root() {
        return Ok(work());
    }
    let changed = || {
        let (user, own, shared) = (Uid::from_raw(uid), Gid::from_raw(uid), Gid::from_raw(group));
        rustix::thread::set_thread_groups(&[own, shared])?;
        rustix::thread::set_thread_res_gid(own, own, own)?;
        // The capabilities go with it, capabilities(7).
        rustix::thread::set_thread_res_uid(user, user, user)?;
        Ok(work())
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, changed)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn another_user_reads_what_it_may_and_this_process_stays_who_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let open = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let (before, uid) = (rustix::process::geteuid(), 1_900_000_002);
        for (of_dir, of_file, readable) in [(0o755, 0o644, true), (0o755, 0, false)] {
            open(dir.path(), of_dir);
            open(&file, of_file);
            let read = as_user(uid, uid, || std::fs::read(&file).is_ok()).unwrap();
            assert_eq!(read, readable, "{of_dir:o} {of_file:o}");
        }
        assert_eq!(rustix::process::geteuid(), before);
    }
}
