//! The same TCP connection, but by a ring: no system call but the ring's own is made, so what looks
//! at socket(2) and connect(2) sees nothing.

use rustix::io;

use super::trial::Trial;
use crate::lab::address;
use crate::sys::uring::Ring;

/// Makes a socket, connects it and sends the secret, all through io_uring; `polled` by a thread of
/// the kernel's.
pub(super) fn connect(trial: &mut Trial, polled: bool) -> io::Result<()> {
    let mut ring = trial.step(|| Ring::new(polled))?;
    let socket = trial.step(|| ring.socket(libc::AF_INET, libc::SOCK_STREAM))?;
    trial.step(|| ring.connect(&socket, address::TCP4))?;
    trial.step(|| ring.send(&socket, address::SECRET))
}
