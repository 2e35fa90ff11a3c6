//! The least of io_uring (io_uring_setup(2), io_uring_enter(2)): one operation after the other, each
//! waited for. No liburing and no crate: the attacker brings its own.

use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::{self, Errno};

use super::terminal::last_errno;

/// `struct io_uring_params`.
#[derive(Default)]
#[repr(C)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: SqOffsets,
    cq: CqOffsets,
}

/// `struct io_sqring_offsets`.
#[derive(Default)]
#[repr(C)]
struct SqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_cqring_offsets`.
#[derive(Default)]
#[repr(C)]
struct CqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    reserved: u32,
    user_addr: u64,
}

const _: () = assert!(size_of::<Params>() == 120);

/// One operation: the fields of `struct io_uring_sqe` that we use.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Sqe {
    opcode: u8,
    flags: u8,
    priority: u16,
    fd: i32,
    offset: u64,
    address: u64,
    length: u32,
    operation_flags: u32,
    user_data: u64,
    rest: [u64; 3],
}

const _: () = assert!(size_of::<Sqe>() == 64);

/// `struct io_uring_cqe`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Cqe {
    user_data: u64,
    result: i32,
    flags: u32,
}

const OP_CONNECT: u8 = 16;
const OP_SEND: u8 = 26;
const OP_SOCKET: u8 = 45;

const OFFSET_SQ_RING: i64 = 0;
const OFFSET_CQ_RING: i64 = 0x800_0000;
const OFFSET_SQES: i64 = 0x1000_0000;
const ENTER_GETEVENTS: u32 = 1;
/// Wakes the polling thread, if it sleeps.
const ENTER_SQ_WAKEUP: u32 = 2;
/// A thread of the kernel's takes the submissions.
const SETUP_SQPOLL: u32 = 2;

/// More than we ever have under way, which is one.
const ENTRIES: u32 = 4;

/// A ring.
pub struct Ring {
    descriptor: OwnedFd,
    params: Params,
    submissions: Mapping,
    completions: Mapping,
    entries: Mapping,
}

impl Ring {
    /// Makes a ring; `polled` has a thread of the kernel's take what is submitted.
    ///
    /// # Errors
    /// `ENOSYS` or `EPERM` where io_uring is not to be had.
    pub fn new(polled: bool) -> io::Result<Self> {
        let flags = if polled { SETUP_SQPOLL } else { 0 };
        let mut params = Params { flags, ..Params::default() };
        // SAFETY: the kernel fills `params`, whose layout and size are those of its header.
        let number = unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, &raw mut params) };
        if number < 0 {
            return Err(last_errno());
        }
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number as i32) };
        let sq_bytes = params.sq.array as usize + params.sq_entries as usize * size_of::<u32>();
        let cq_bytes = params.cq.cqes as usize + params.cq_entries as usize * size_of::<Cqe>();
        let sqe_bytes = params.sq_entries as usize * size_of::<Sqe>();
        Ok(Self {
            submissions: Mapping::new(&descriptor, OFFSET_SQ_RING, sq_bytes)?,
            completions: Mapping::new(&descriptor, OFFSET_CQ_RING, cq_bytes)?,
            entries: Mapping::new(&descriptor, OFFSET_SQES, sqe_bytes)?,
            descriptor,
            params,
        })
    }

    /// `IORING_OP_SOCKET`: makes a socket; only the ring and the kernel see the call.
    ///
    /// # Errors
    /// What socket(2) fails with; `EINVAL` before Linux 5.19.
    pub fn socket(&mut self, family: i32, kind: i32) -> io::Result<OwnedFd> {
        let number =
            self.one(Sqe { opcode: OP_SOCKET, fd: family, offset: kind as u64, ..Sqe::default() })?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    }

    /// `IORING_OP_CONNECT`: connects to an IPv4 address.
    ///
    /// # Errors
    /// What connect(2) fails with.
    pub fn connect(&mut self, socket: &OwnedFd, to: std::net::SocketAddrV4) -> io::Result<()> {
        // SAFETY: all-zero is a valid `sockaddr_in`: it has integers only.
        let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_port = to.port().to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
        self.one(Sqe {
            opcode: OP_CONNECT,
            fd: socket.as_raw_fd(),
            offset: size_of::<libc::sockaddr_in>() as u64,
            address: ptr::from_ref(&address) as u64,
            ..Sqe::default()
        })
        .map(|_| ())
    }

    /// `IORING_OP_SEND`.
    ///
    /// # Errors
    /// What send(2) fails with.
    pub fn send(&mut self, socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
        self.one(Sqe {
            opcode: OP_SEND,
            fd: socket.as_raw_fd(),
            address: bytes.as_ptr() as u64,
            length: u32::try_from(bytes.len()).map_err(|_| Errno::INVAL)?,
            ..Sqe::default()
        })
        .map(|_| ())
    }

    /// Submits one operation and waits for its end; so everything that it points to outlives it.
    fn one(&mut self, sqe: Sqe) -> io::Result<i32> {
        let (sq, cq) = (&self.params.sq, &self.params.cq);
        let tail = self.submissions.word(sq.tail);
        let number = tail.load(Ordering::Relaxed);
        let slot = number & self.submissions.word(sq.ring_mask).load(Ordering::Relaxed);
        // SAFETY: `slot` is below `sq_entries`, for which `entries` has room; the kernel does not
        // read the slot before the tail passes it.
        unsafe { self.entries.at::<Sqe>(0).add(slot as usize).write(sqe) };
        self.submissions.word(sq.array + 4 * slot).store(slot, Ordering::Relaxed);
        tail.store(number.wrapping_add(1), Ordering::Release);
        loop {
            self.enter()?;
            let head = self.completions.word(cq.head);
            let next = head.load(Ordering::Relaxed);
            if next == self.completions.word(cq.tail).load(Ordering::Acquire) {
                continue;
            }
            let slot = next & self.completions.word(cq.ring_mask).load(Ordering::Relaxed);
            // SAFETY: `slot` is below `cq_entries`, and the kernel has filled it: the tail passed it.
            let cqe = unsafe { self.completions.at::<Cqe>(cq.cqes).add(slot as usize).read() };
            head.store(next.wrapping_add(1), Ordering::Release);
            return match cqe.result {
                error if error < 0 => Err(Errno::from_raw_os_error(-error)),
                done => Ok(done),
            };
        }
    }

    fn enter(&self) -> io::Result<()> {
        let ring = self.descriptor.as_raw_fd();
        // SAFETY: no pointer is passed; the rings that the kernel reads outlive the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                ring,
                1_u32,
                1_u32,
                ENTER_GETEVENTS | ENTER_SQ_WAKEUP,
                ptr::null::<u8>(),
                0_usize,
            )
        };
        if done < 0 { Err(last_errno()) } else { Ok(()) }
    }
}

/// A shared mapping of a part of the ring.
struct Mapping {
    start: *mut u8,
    bytes: usize,
}

impl Mapping {
    fn new(ring: &OwnedFd, offset: i64, bytes: usize) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                ring.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(last_errno());
        }
        Ok(Self { start: start.cast(), bytes })
    }

    fn at<T>(&self, offset: u32) -> *mut T {
        debug_assert!(offset as usize + size_of::<T>() <= self.bytes, "beyond the ring");
        // SAFETY: the kernel's offsets lie within the mapping, whose length was computed from them.
        unsafe { self.start.add(offset as usize) }.cast()
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the word lies within the mapping, is aligned (the kernel's offsets are), lives as
        // long as `self`, and is shared with the kernel, so it is only ever touched atomically.
        unsafe { AtomicU32::from_ptr(self.at(offset)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made; no reference into it outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
