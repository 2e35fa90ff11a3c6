//! Memory of other processes, and memory that other processes are meant to reach.

use std::ptr;
use std::sync::atomic::AtomicU64;

use rustix::io::{self, Errno};

use super::terminal::last_errno;

const PTRACE_WORD: usize = size_of::<libc::c_long>();

/// Signals that have come (`SIGUSR1`).
static SIGNALS: AtomicU64 = AtomicU64::new(0);

/// Bytes of this process that others change; only touched so that the compiler forgets nothing.
pub struct Exposed {
    bytes: Box<[u8]>,
    original: Vec<u8>,
}

impl Exposed {
    /// Memory that holds `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), original: bytes.to_vec() }
    }

    /// Where it is.
    pub fn address(&self) -> u64 {
        self.bytes.as_ptr() as u64
    }

    /// Whether somebody changed it; then it is what it was again.
    pub fn restore(&self) -> bool {
        let start = self.bytes.as_ptr();
        let mut changed = false;
        for (offset, original) in self.original.iter().enumerate() {
            // SAFETY: within the box, which is ours; another process writes to it, so volatile.
            unsafe {
                let place = start.add(offset).cast_mut();
                if place.read_volatile() != *original {
                    changed = true;
                    place.write_volatile(*original);
                }
            }
        }
        changed
    }
}

/// Lets every process of the same user trace us (prctl(2), `PR_SET_PTRACER`), as a careless program
/// does; where there is no such rule, they may anyway.
pub fn let_anybody_trace_us() {
    const SET_PTRACER: i32 = 0x5961_6d61;
    // SAFETY: no pointer is passed. Without Yama there is no such call, and no need of it.
    unsafe { libc::prctl(SET_PTRACER, -1_i64 as u64, 0, 0, 0) };
}

/// Counts `SIGUSR1` from now on.
///
/// # Errors
/// What signal(2) fails with.
pub fn count_signals() -> io::Result<&'static AtomicU64> {
    extern "C" fn count(_signal: i32) {
        SIGNALS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
    let counter: extern "C" fn(i32) = count;
    // SAFETY: the function does nothing but one atomic addition, which a signal may interrupt with.
    let before = unsafe { libc::signal(libc::SIGUSR1, counter as libc::sighandler_t) };
    if before == libc::SIG_ERR { Err(last_errno()) } else { Ok(&SIGNALS) }
}

/// Writes to the memory of another process (process_vm_writev(2)).
///
/// # Errors
/// `EPERM` when it is not ours to write.
pub fn write(process: i32, place: u64, bytes: &[u8]) -> io::Result<()> {
    let ours = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let theirs = libc::iovec { iov_base: place as *mut _, iov_len: bytes.len() };
    // SAFETY: our bytes are only read; their address is never touched in this process.
    let moved =
        unsafe { libc::process_vm_writev(process, &raw const ours, 1, &raw const theirs, 1, 0) };
    if moved < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Reads the memory of another process (process_vm_readv(2)).
///
/// # Errors
/// `EPERM` when it is not ours to read.
pub fn read(process: i32, place: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let ours = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    let theirs = libc::iovec { iov_base: place as *mut _, iov_len: length };
    // SAFETY: our buffer has room for `length` bytes; their address is never touched here.
    let moved =
        unsafe { libc::process_vm_readv(process, &raw const ours, 1, &raw const theirs, 1, 0) };
    if moved < 0 { Err(last_errno()) } else { Ok(bytes) }
}

/// Attaches to another process as its tracer, changes a word of its memory, and lets it go.
///
/// # Errors
/// `EPERM` when it is not ours to trace.
pub fn poke_traced(process: i32, place: u64, bytes: &[u8]) -> io::Result<()> {
    let word = bytes.first_chunk::<PTRACE_WORD>().ok_or(Errno::INVAL)?;
    let word = usize::from_ne_bytes(*word) as *mut libc::c_void;
    let nothing: *mut libc::c_void = ptr::null_mut();
    // SAFETY: no address of this process is passed, but the status that waitpid(2) fills.
    unsafe {
        if libc::ptrace(libc::PTRACE_ATTACH, process, nothing, nothing) < 0 {
            return Err(last_errno());
        }
        let mut status = 0;
        libc::waitpid(process, &raw mut status, 0);
        let done = libc::ptrace(libc::PTRACE_POKEDATA, process, place as *mut libc::c_void, word);
        let error = last_errno();
        libc::ptrace(libc::PTRACE_DETACH, process, nothing, nothing);
        if done < 0 { Err(error) } else { Ok(()) }
    }
}
