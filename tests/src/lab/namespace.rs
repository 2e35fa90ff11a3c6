//! A network namespace that lives as long as its value.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::sys::namespace::unshare_network;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    link: File,
}

impl Namespace {
    /// Makes a new one, with a loopback interface that is down.
    ///
    /// # Errors
    /// When we may not.
    pub fn new() -> io::Result<Self> {
        let made = thread::spawn(|| {
            unshare_network()?;
            File::open("/proc/thread-self/ns/net")
        });
        let link =
            made.join().map_err(|_| io::Error::other("the thread for a namespace died"))??;
        Ok(Self { link })
    }

    /// Its cookie, by which the kernel programs know it.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn cookie(&self) -> io::Result<u64> {
        self.within(|| Ok(atf_agent::sys::network::cookie()?.get()))
    }

    /// Does something in the namespace: on a thread of its own, because a thread is what has one.
    /// Sockets and processes that `work` makes stay in the namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what `work` fails with.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.link.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            inside.join().map_err(|_| io::Error::other("the thread in a namespace died"))?
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
