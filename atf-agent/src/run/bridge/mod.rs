//! The bridge of a run: its gateway's HTTP socket at a port of the run's own loopback, for clients that know
//! hosts and ports alone. The run's first process serves it, as the run: it copies bytes, reads none of them,
//! holds no secret, and whoever asks by it has to bring the run's token as at the socket itself.

mod link;

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::sys::network::Network;

use super::error::{Doing, RunError};
use super::inside::{Step, Stopped};
use super::settings::Settings;
use link::{Link, SIDES};

/// The port when none is named: no service is registered for it.
pub const BRIDGE_PORT: u16 = 8283;

/// The least port for which nobody needs a privilege.
pub const BRIDGE_PORT_MIN: u16 = 1_024;

/// Most connections at once: as many as the gateway takes of one run by default. More wait to be accepted.
const LINKS_MAX: usize = 64;

/// Stack of its thread, which calls nothing deep.
const STACK_BYTES: usize = 128 << 10;

/// Pause after a connection that cannot be accepted for want of something that may come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What a run with a bridge is started with.
pub(super) struct Bridged {
    /// The network on whose loopback it is, and in which the run alone will be.
    pub(super) network: Network,
    /// Its port.
    pub(super) port: u16,
}

impl Bridged {
    /// Makes the network of a run with a bridge; `None` for one without.
    pub(super) fn new(wanted: Option<u16>, settings: &Settings) -> Result<Option<Self>, RunError> {
        let always = Some(settings.bridge_port).filter(|port| *port != 0);
        let Some(port) = wanted.or(always) else {
            return Ok(None);
        };
        if port < BRIDGE_PORT_MIN {
            return Err(RunError::Port { found: port, least: BRIDGE_PORT_MIN });
        }
        let network = Network::make().doing("make a network for the run's bridge")?;
        Ok(Some(Self { network, port }))
    }
}

/// The listening sockets.
pub(super) struct Bridge {
    listeners: Vec<TcpListener>,
}

impl Bridge {
    /// Listens at `port` of 127.0.0.1, and of ::1 where the kernel has IPv6.
    pub(super) fn listen(port: u16) -> Result<Self, Stopped> {
        let at = |address: SocketAddr| -> io::Result<TcpListener> {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let doing = |address: SocketAddr| format!("listening at {address}");
        let (four, six) = ((Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into());
        let mut listeners = vec![at(four).step(doing(four))?];
        match at(six) {
            Err(error) if is_without_ipv6(&error) => {}
            done => listeners.push(done.step(doing(six))?),
        }
        Ok(Self { listeners })
    }

    /// Serves on a thread of its own, for as long as the process lives.
    pub(super) fn start(self, gateway: &'static Path) -> Result<(), Stopped> {
        let thread = thread::Builder::new().name("bridge".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || self.serve(gateway)).step("starting the bridge")?;
        Ok(())
    }

    /// Accepts connections and moves their bytes. Whatever goes wrong is one connection's end.
    fn serve(&self, gateway: &Path) {
        let mut links: Vec<Link> = Vec::new();
        loop {
            let (calls, ready) = self.wait(&links);
            for (link, is_ready) in links.iter_mut().zip(ready) {
                if is_ready {
                    link.move_on();
                }
            }
            links.retain(|link| !link.is_over());
            if calls {
                self.accept(&mut links, gateway);
            }
        }
    }

    /// Waits for something to do: whether somebody calls, and which links can go on.
    fn wait(&self, links: &[Link]) -> (bool, Vec<bool>) {
        let listeners = if links.len() < LINKS_MAX { &self.listeners[..] } else { &[] };
        let mut fds: Vec<PollFd<'_>> =
            listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        let mut whose = Vec::new();
        for (number, link) in links.iter().enumerate() {
            for side in SIDES {
                let wanted = link.wants(side);
                // One that is waited for nothing would wake for its hang-up all the time.
                if !wanted.is_empty() {
                    fds.push(PollFd::from_borrowed_fd(link.side(side), wanted));
                    whose.push(number);
                }
            }
        }
        let mut ready = vec![false; links.len()];
        if poll(&mut fds, None).is_err() {
            // A signal, or the kernel has no memory: everything is looked at again.
            return (false, ready);
        }
        let (calls, moves) = fds.split_at(listeners.len());
        for (fd, number) in moves.iter().zip(whose) {
            ready[number] |= !fd.revents().is_empty();
        }
        (calls.iter().any(|fd| !fd.revents().is_empty()), ready)
    }

    fn accept(&self, links: &mut Vec<Link>, gateway: &Path) {
        for listener in &self.listeners {
            if links.len() >= LINKS_MAX {
                return;
            }
            match listener.accept() {
                // Without a gateway the client sees its connection end.
                Ok((client, _)) => links.extend(Link::new(client, gateway).ok()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => thread::sleep(ACCEPT_PAUSE),
            }
        }
    }
}

/// Whether the kernel has no IPv6, or no `::1`.
fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}
