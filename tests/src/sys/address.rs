//! Socket addresses of the families that rustix has no type for.

use std::mem::size_of;
use std::ptr;

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};

/// A place to connect or bind an `AF_VSOCK` socket to (vsock(7)).
#[derive(Debug, Clone, Copy)]
pub struct Vsock {
    /// The machine; [`Vsock::LOCAL`] is our own.
    pub cid: u32,
    /// The port.
    pub port: u32,
}

impl Vsock {
    /// This machine itself.
    pub const LOCAL: u32 = libc::VMADDR_CID_LOCAL;
    /// Any machine; only to listen.
    pub const ANY: u32 = libc::VMADDR_CID_ANY;
}

/// Where a frame of an `AF_PACKET` socket goes (packet(7)): to everybody on a link.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The interface.
    pub index: u32,
    /// The frame's protocol.
    pub ethertype: u16,
}

// SAFETY: `with` hands out a pointer to a whole, initialised `sockaddr_vm` and its size.
unsafe impl SocketAddrArg for Vsock {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        // SAFETY: all-zero is a valid `sockaddr_vm`: it has integers only.
        let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
        address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
        address.svm_cid = self.cid;
        address.svm_port = self.port;
        with(&address, f)
    }
}

// SAFETY: `with` hands out a pointer to a whole, initialised `sockaddr_ll` and its size.
unsafe impl SocketAddrArg for Link {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        // SAFETY: all-zero is a valid `sockaddr_ll`: it has integers only.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = self.ethertype.to_be();
        address.sll_ifindex = self.index.cast_signed();
        address.sll_halen = 6;
        address.sll_addr[..6].fill(0xff);
        with(&address, f)
    }
}

fn with<A, R>(address: &A, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
    f(ptr::from_ref(address).cast(), size_of::<A>() as SocketAddrLen)
}
