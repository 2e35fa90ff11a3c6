//! Socket calls with any argument: families, addresses and options as bytes, which rustix does not let
//! anybody make up. No call waits.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io;

use super::terminal::last_errno;

/// Room for the descriptors of one message, and more than is ever sent in one.
const CONTROL_BYTES: usize = 128;

/// socket(2).
///
/// # Errors
/// What it fails with.
pub fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: integers only.
    let number = unsafe { libc::socket(family, kind, protocol) };
    if number < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// bind(2).
///
/// # Errors
/// What it fails with.
pub fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    let (place, length) = (address.as_ptr().cast(), address.len() as libc::socklen_t);
    // SAFETY: the kernel reads no more of the address than its length says.
    done(unsafe { libc::bind(socket.as_raw_fd(), place, length) } as isize).map(drop)
}

/// connect(2).
///
/// # Errors
/// What it fails with.
pub fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    let (place, length) = (address.as_ptr().cast(), address.len() as libc::socklen_t);
    // SAFETY: as above.
    done(unsafe { libc::connect(socket.as_raw_fd(), place, length) } as isize).map(drop)
}

/// setsockopt(2).
///
/// # Errors
/// What it fails with.
pub fn set(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let (place, length) = (value.as_ptr().cast(), value.len() as libc::socklen_t);
    // SAFETY: the kernel reads no more of the value than its length says.
    done(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, place, length) } as isize)
        .map(drop)
}

/// sendmsg(2): to an address or where the socket is connected to; with a descriptor or without.
///
/// # Errors
/// What it fails with.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &'static [u8],
    to: &[u8],
    passed: Option<BorrowedFd<'_>>,
    flags: i32,
) -> io::Result<()> {
    let mut piece =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: all-zero is a valid `msghdr`: integers and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    if !to.is_empty() {
        message.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_namelen = to.len() as libc::socklen_t;
    }
    if let Some(passed) = passed {
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: the control buffer has room for a header and one descriptor, and is aligned for it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(passed.as_raw_fd());
        }
    }
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: everything that the message points to outlives the call, and is only read; the bytes live
    // for ever, because MSG_ZEROCOPY reads them later.
    done(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) }).map(drop)
}

/// recvmsg(2): the first descriptor that came, if any; others are closed.
///
/// # Errors
/// What it fails with.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut bytes = [0_u8; 256];
    let mut piece = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: all-zero is a valid `msghdr`: integers and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the kernel writes no more to either buffer than its length says.
    done(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    let mut first = None;
    // SAFETY: the kernel has filled the control buffer up to `msg_controllen`; the macros stay in it, and
    // each number in a message of SCM_RIGHTS is a new descriptor of ours.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if ((*header).cmsg_level, (*header).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let length = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let numbers = libc::CMSG_DATA(header).cast::<RawFd>();
                for at in 0..length / size_of::<RawFd>() {
                    let came = OwnedFd::from_raw_fd(numbers.add(at).read_unaligned());
                    first.get_or_insert(came);
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(first)
}

/// A control buffer, aligned as its headers are.
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

fn done(answer: isize) -> io::Result<isize> {
    if answer < 0 { Err(last_errno()) } else { Ok(answer) }
}
