//! System V shared memory and POSIX message queues.

use std::ffi::CString;
use std::ptr;

use rustix::io::{self, Errno};

use super::terminal::last_errno;

/// Everybody may read and write.
const FOR_ALL: i32 = 0o666;

/// Bytes of a segment, and of the longest message.
const BYTES: usize = 64;

/// The key of the segment that belongs to a name.
pub fn key_of(name: &str) -> i32 {
    // FNV-1a; positive, and never the private key, which is 0.
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 1 | 1).cast_signed()
}

/// An attached segment (shmat(2)).
pub struct Segment {
    start: *mut u8,
}

// SAFETY: the pointer is to memory that is shared with other processes anyway, and every access of
// ours is volatile.
unsafe impl Send for Segment {}

impl Segment {
    /// Makes the segment with this key, for everybody.
    ///
    /// # Errors
    /// `EEXIST` when there is one.
    pub fn make(key: i32) -> io::Result<Self> {
        Self::attach(key, libc::IPC_CREAT | libc::IPC_EXCL | FOR_ALL)
    }

    /// Attaches to the segment with this key.
    ///
    /// # Errors
    /// `ENOENT` when there is none.
    pub fn of(key: i32) -> io::Result<Self> {
        Self::attach(key, 0)
    }

    /// Removes the segment with this key when nobody is attached to it any more.
    pub fn remove(key: i32) {
        // SAFETY: no pointer is passed. One that is gone already needs no removal.
        unsafe {
            let id = libc::shmget(key, 0, 0);
            if id >= 0 {
                libc::shmctl(id, libc::IPC_RMID, ptr::null_mut());
            }
        }
    }

    fn attach(key: i32, flags: i32) -> io::Result<Self> {
        // SAFETY: no pointer is passed; the kernel chooses where the segment is attached.
        unsafe {
            let id = libc::shmget(key, BYTES, flags);
            if id < 0 {
                return Err(last_errno());
            }
            let start = libc::shmat(id, ptr::null(), 0);
            if start as isize == -1 {
                return Err(last_errno());
            }
            Ok(Self { start: start.cast() })
        }
    }

    /// Writes to its start.
    pub fn write(&self, bytes: &[u8]) {
        for (offset, byte) in bytes.iter().take(BYTES).enumerate() {
            // SAFETY: within the segment.
            unsafe { self.start.add(offset).write_volatile(*byte) };
        }
    }

    /// Takes what is at its start: how many bytes before the first zero.
    pub fn take(&self) -> usize {
        let mut length = 0;
        for offset in 0..BYTES {
            // SAFETY: within the segment.
            unsafe {
                let place = self.start.add(offset);
                if place.read_volatile() != 0 {
                    length += 1;
                    place.write_volatile(0);
                }
            }
        }
        length
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: exactly what was attached; no reference into it outlives the value.
        unsafe { libc::shmdt(self.start.cast()) };
    }
}

/// A message queue (mq_overview(7)).
pub struct Queue {
    descriptor: libc::mqd_t,
}

impl Queue {
    /// Makes the queue, for everybody.
    ///
    /// # Errors
    /// What mq_open(3) fails with.
    pub fn make(name: &str) -> io::Result<Self> {
        let name = full(name)?;
        // SAFETY: all-zero is a valid `mq_attr`: it has integers only.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = 8;
        attributes.mq_msgsize = BYTES as i64;
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the name ends with a zero byte, and the attributes outlive the call.
        let descriptor =
            unsafe { libc::mq_open(name.as_ptr(), flags, FOR_ALL, &raw mut attributes) };
        if descriptor < 0 {
            return Err(last_errno());
        }
        // Against the umask. SAFETY: our own descriptor.
        unsafe { libc::fchmod(descriptor, FOR_ALL.cast_unsigned()) };
        Ok(Self { descriptor })
    }

    /// Removes the queue's name.
    pub fn remove(name: &str) {
        if let Ok(name) = full(name) {
            // SAFETY: the name ends with a zero byte. One that is gone already needs no removal.
            unsafe { libc::mq_unlink(name.as_ptr()) };
        }
    }

    /// Opens it to send.
    ///
    /// # Errors
    /// `ENOENT` when there is none.
    pub fn open(name: &str) -> io::Result<Self> {
        let name = full(name)?;
        // SAFETY: the name ends with a zero byte.
        let descriptor = unsafe { libc::mq_open(name.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
        if descriptor < 0 { Err(last_errno()) } else { Ok(Self { descriptor }) }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// What mq_send(3) fails with.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the kernel reads `bytes` during the call.
        let done = unsafe { libc::mq_send(self.descriptor, bytes.as_ptr().cast(), bytes.len(), 0) };
        if done < 0 { Err(last_errno()) } else { Ok(()) }
    }

    /// Waits for a message: its length.
    ///
    /// # Errors
    /// What mq_receive(3) fails with.
    pub fn receive(&self) -> io::Result<usize> {
        let mut bytes = [0_u8; BYTES];
        let start = bytes.as_mut_ptr().cast();
        // SAFETY: there is room for the longest message of the queue.
        let length = unsafe { libc::mq_receive(self.descriptor, start, BYTES, ptr::null_mut()) };
        usize::try_from(length).map_err(|_| last_errno())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: exactly what was opened.
        unsafe { libc::mq_close(self.descriptor) };
    }
}

fn full(name: &str) -> io::Result<CString> {
    CString::new(format!("/{name}")).map_err(|_| Errno::INVAL)
}
