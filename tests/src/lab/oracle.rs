//! The oracle: canaries outside of the agent that count what reaches them. What the attacker says
//! about itself is never believed.

use std::io::{self, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::net::RecvFlags;

/// Counts what reaches one place.
#[derive(Debug)]
pub struct Canary {
    /// Its name.
    pub name: &'static str,
    arrivals: AtomicU64,
    bytes: AtomicU64,
}

/// All canaries of a lab.
#[derive(Debug, Default)]
pub struct Oracle {
    canaries: Vec<Arc<Canary>>,
    /// The canaries that this kernel cannot have, with the reason.
    absent: Vec<(&'static str, io::Error)>,
}

impl Oracle {
    /// What each canary has seen: its name, connections or packets, bytes.
    pub fn seen(&self) -> Vec<(&'static str, u64, u64)> {
        let count = |number: &AtomicU64| number.load(Ordering::SeqCst);
        self.canaries.iter().map(|c| (c.name, count(&c.arrivals), count(&c.bytes))).collect()
    }

    /// Why this kernel cannot have a canary.
    pub fn absent(&self, name: &str) -> Option<&io::Error> {
        self.absent.iter().find(|(absent, _)| *absent == name).map(|(_, error)| error)
    }

    /// Notes that a canary cannot be had.
    pub fn miss(&mut self, name: &'static str, error: io::Error) {
        self.absent.push((name, error));
    }

    /// The canary of this name.
    pub fn canary(&self, name: &str) -> Option<Arc<Canary>> {
        self.canaries.iter().find(|canary| canary.name == name).map(Arc::clone)
    }

    /// A canary that is fed by hand.
    pub fn add(&mut self, name: &'static str) -> Arc<Canary> {
        let canary =
            Arc::new(Canary { name, arrivals: AtomicU64::new(0), bytes: AtomicU64::new(0) });
        self.canaries.push(Arc::clone(&canary));
        canary
    }

    /// Counts the connections to a TCP listener and what they carry.
    pub fn tcp(&mut self, name: &'static str, listener: TcpListener) {
        let canary = self.add(name);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                canary.accepted(stream);
            }
        });
    }

    /// Counts the connections to a unix listener and what they carry.
    pub fn unix(&mut self, name: &'static str, listener: UnixListener) {
        let canary = self.add(name);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                canary.accepted(stream);
            }
        });
    }

    /// Counts the connections to a listener of any other family.
    pub fn listener(&mut self, name: &'static str, listener: OwnedFd) {
        let canary = self.add(name);
        thread::spawn(move || {
            while let Ok(stream) = rustix::net::accept(&listener) {
                canary.accepted(std::fs::File::from(stream));
            }
        });
    }

    /// Counts the datagrams of a UDP socket.
    pub fn udp(&mut self, name: &'static str, socket: UdpSocket) {
        self.packets(name, socket.into(), |_| true);
    }

    /// Counts the packets of any socket that `wanted` says yes to.
    pub fn packets(&mut self, name: &'static str, socket: OwnedFd, wanted: fn(&[u8]) -> bool) {
        let canary = self.add(name);
        thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((length, _)) = rustix::net::recv(&socket, &mut buffer, RecvFlags::empty())
            {
                if wanted(&buffer[..length]) {
                    canary.arrived(length);
                }
            }
        });
    }
}

impl Canary {
    /// Counts one arrival.
    pub fn arrived(&self, bytes: usize) {
        self.arrivals.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    /// Reads to the connection's end, however long it is silent: another process may send on it at last.
    fn accepted(self: &Arc<Self>, mut stream: impl Read + Send + 'static) {
        let canary = Arc::clone(self);
        canary.arrived(0);
        thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                canary.bytes.fetch_add(length as u64, Ordering::SeqCst);
            }
        });
    }
}
