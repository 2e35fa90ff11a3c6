//! A kernel in memory: the maps of the gateway as plain values. It enforces nothing.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use atf_common::mode::Mode;
use atf_common::records::Stamp;
use rustix::net::{SocketAddrUnix, getsockname};

use super::super::KernelSide;
use crate::call::CgroupId;

#[derive(Default)]
pub(crate) struct KernelInMemory {
    pub(crate) deny: Mutex<BTreeMap<CgroupId, u64>>,
    pub(crate) until_boot_ms: AtomicU64,
    pub(crate) marks: Mutex<Vec<CgroupId>>,
    /// What it does with what it denies.
    pub(crate) mode: Mutex<Mode>,
    /// By the path of the listener: the cgroup that connections to it are stamped with.
    pub(crate) stamps: Mutex<BTreeMap<PathBuf, CgroupId>>,
}

impl KernelInMemory {
    /// The side of a gateway whose kernel has layer B, or not.
    pub(crate) fn side(self: &Arc<Self>, layer_b: bool, agents_dir: PathBuf) -> KernelSide {
        let of = || Arc::clone(self);
        let (seal, unseal, sealed, all, mark, stamp, renew, mode) =
            (of(), of(), of(), of(), of(), of(), of(), of());
        KernelSide {
            seal: Box::new(move |(cgroup, decided)| {
                seal.deny.lock().unwrap().insert(cgroup, decided);
                Ok(())
            }),
            unseal: Box::new(move |cgroup| {
                unseal.deny.lock().unwrap().remove(&cgroup);
                Ok(())
            }),
            sealed: Box::new(move |cgroup| Ok(sealed.has_deny(cgroup))),
            all_sealed: Box::new(move || Ok(all.deny.lock().unwrap().keys().copied().collect())),
            mark: Box::new(move |_, cgroup| {
                mark.marks.lock().unwrap().push(cgroup);
                Ok(())
            }),
            stamp: layer_b.then(|| {
                let read = move |socket: BorrowedFd<'_>| Ok(stamp.read_stamp(socket));
                Box::new(read) as Box<_>
            }),
            renew: Box::new(move |until| {
                renew.until_boot_ms.store(until, Ordering::SeqCst);
                Ok(())
            }),
            mode: Box::new(move || Ok(*mode.mode.lock().unwrap())),
            agents_dir,
        }
    }

    pub(crate) fn has_deny(&self, cgroup: CgroupId) -> bool {
        self.deny.lock().unwrap().contains_key(&cgroup)
    }

    fn read_stamp(&self, socket: BorrowedFd<'_>) -> Option<Stamp> {
        let address = SocketAddrUnix::try_from(getsockname(socket).unwrap()).unwrap();
        let path = PathBuf::from(address.path().unwrap().to_str().unwrap().to_owned());
        let cgroup = *self.stamps.lock().unwrap().get(&path)?;
        Some(Stamp { run: cgroup.0, ..Stamp::default() })
    }
}
