//! One attempt in steps, each a system call that is timed.

use std::time::{Duration, Instant};

use rustix::io::{self, Errno};

/// Times the steps of an attempt.
#[derive(Debug, Default)]
pub(super) struct Trial {
    last: Duration,
}

impl Trial {
    /// Makes one step; its time is kept when it is the last, above all when it fails.
    pub(super) fn step<T>(&mut self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let began = Instant::now();
        let done = call();
        self.last = began.elapsed();
        done
    }

    /// Takes over the time of a step that another process made.
    pub(super) fn took(&mut self, us: f64) {
        self.last = Duration::from_secs_f64(us.max(0.0) / 1e6);
    }

    /// Microseconds of the last step.
    pub(super) fn last_us(&self) -> f64 {
        self.last.as_secs_f64() * 1e6
    }
}

/// The names that the report and the cage's matrix use.
const NAMES: [(Errno, &str); 33] = [
    (Errno::ACCESS, "EACCES"),
    (Errno::ADDRINUSE, "EADDRINUSE"),
    (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (Errno::BADF, "EBADF"),
    (Errno::CHILD, "ECHILD"),
    (Errno::CONNREFUSED, "ECONNREFUSED"),
    (Errno::CONNRESET, "ECONNRESET"),
    (Errno::DESTADDRREQ, "EDESTADDRREQ"),
    (Errno::HOSTUNREACH, "EHOSTUNREACH"),
    (Errno::INPROGRESS, "EINPROGRESS"),
    (Errno::INVAL, "EINVAL"),
    (Errno::IO, "EIO"),
    (Errno::ISCONN, "EISCONN"),
    (Errno::NETUNREACH, "ENETUNREACH"),
    (Errno::NODEV, "ENODEV"),
    (Errno::NOENT, "ENOENT"),
    (Errno::NOPROTOOPT, "ENOPROTOOPT"),
    (Errno::NOSYS, "ENOSYS"),
    (Errno::NOTCONN, "ENOTCONN"),
    (Errno::NOTSOCK, "ENOTSOCK"),
    (Errno::NOTTY, "ENOTTY"),
    (Errno::NXIO, "ENXIO"),
    (Errno::OPNOTSUPP, "EOPNOTSUPP"),
    (Errno::PERM, "EPERM"),
    (Errno::PIPE, "EPIPE"),
    (Errno::PROTONOSUPPORT, "EPROTONOSUPPORT"),
    (Errno::PROTOTYPE, "EPROTOTYPE"),
    (Errno::SRCH, "ESRCH"),
    (Errno::SOCKTNOSUPPORT, "ESOCKTNOSUPPORT"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
    (Errno::CANCELED, "ECANCELED"),
];

/// The name of an error, or its number when it is a rare one.
pub(super) fn errno_name(errno: Errno) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == errno);
    known.map_or_else(|| format!("errno {}", errno.raw_os_error()), |(_, name)| (*name).to_owned())
}
