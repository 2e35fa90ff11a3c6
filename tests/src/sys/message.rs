//! Several datagrams by one call.

use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use rustix::io;

use super::terminal::last_errno;

/// Sends the bytes twice by one sendmmsg(2).
///
/// # Errors
/// What the first of the two fails with.
pub fn send_two(socket: &OwnedFd, to: SocketAddrV4, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: all-zero is a valid `sockaddr_in` and a valid `mmsghdr`: integers and null pointers.
    let (mut address, mut two): (libc::sockaddr_in, [libc::mmsghdr; 2]) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = to.port().to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
    // The kernel only reads through it.
    let mut piece =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    for message in &mut two {
        message.msg_hdr.msg_name = ptr::from_mut(&mut address).cast();
        message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        message.msg_hdr.msg_iov = &raw mut piece;
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: both messages, the address and the bytes outlive the call.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), two.as_mut_ptr(), 2, 0) };
    if sent < 0 { Err(last_errno()) } else { Ok(()) }
}
