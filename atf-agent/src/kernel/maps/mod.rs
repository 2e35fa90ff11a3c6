//! The pinned maps, one type for each that a process may hold. A process opens what the group of
//! the pin lets it open, and nothing else.

mod deny;
mod held;
mod lease;
mod runs;
mod seals;
mod sockets;

pub use deny::Deny;
pub use held::Held;
pub use lease::Lease;
pub use runs::Runs;
pub use seals::Seals;
pub use sockets::{Marks, Stamps};

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use atf_common::mode::Mode;
use atf_common::records::Config;
use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData, MapError};

use super::error::KernelError;
use super::pins::MAPS;
use crate::call::CgroupId;
use crate::sys::bpf::{self, Access};

/// A hash by cgroup id.
pub(super) type ByRun<V> = HashMap<MapData, u64, V>;

/// Opens the map `name`, as a map of the type that is asked for.
pub(super) fn open<M>(pin_dir: &Path, name: &str, access: Access) -> Result<M, KernelError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let data = MapData::from_fd(open_fd(pin_dir, name, access)?);
    let map = data.and_then(Map::from_map_data).and_then(M::try_from);
    map.map_err(KernelError::object(name))
}

/// Whether the pinned map `name`, if there is one, has keys and values of these sizes.
///
/// # Errors
/// What was found instead.
pub(super) fn is_hash_of<V: Pod>(pin_dir: &Path, name: &str) -> Result<(), String> {
    if !pin_dir.join(name).exists() {
        return Ok(());
    }
    let map: Result<ByRun<V>, _> = open(pin_dir, name, Access::Read);
    map.map(|_| ()).map_err(|error| error.to_string())
}

/// The value of `CONFIG`, which root alone could have written.
///
/// # Errors
/// When the cage is not up.
pub(super) fn config(pin_dir: &Path) -> Result<Config, KernelError> {
    let array: Array<MapData, Config> = open(pin_dir, "CONFIG", Access::Read)?;
    array.get(&0, 0).map_err(KernelError::object("CONFIG"))
}

/// What the programs that stand do with what they deny. For whoever may read the pins.
///
/// # Errors
/// When the cage is not up, or this process is not of ATF's group.
pub fn mode(pin_dir: &Path) -> Result<Mode, KernelError> {
    config(pin_dir).map(|config| Mode::from_number(config.mode))
}

/// The value of `CONFIG`, which nobody can write any more.
///
/// # Errors
/// When it is missing, or not frozen.
pub(super) fn frozen_config(pin_dir: &Path) -> Result<Config, KernelError> {
    if is_frozen(pin_dir, "CONFIG")? {
        return config(pin_dir);
    }
    Err(KernelError::object("CONFIG")("it can be written; it should be frozen"))
}

/// The maps that can be written no more and should be: whoever may write one may also freeze it, and
/// a frozen `DENY` seals nobody.
pub(super) fn wrongly_frozen(pin_dir: &Path) -> Result<Vec<&'static str>, KernelError> {
    let mut frozen = Vec::new();
    for map in MAPS.iter().filter(|map| map.name != "CONFIG") {
        if is_frozen(pin_dir, map.name)? {
            frozen.push(map.name);
        }
    }
    Ok(frozen)
}

/// What the kernel says of a map in the file of its descriptor (`bpf_map_show_fdinfo`).
fn is_frozen(pin_dir: &Path, name: &str) -> Result<bool, KernelError> {
    let fd = open_fd(pin_dir, name, Access::Read)?;
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let path = Path::new(&path);
    let info = std::fs::read_to_string(path).map_err(KernelError::doing("read", path))?;
    Ok(info.lines().any(|line| line.split_whitespace().eq(["frozen:", "1"])))
}

/// The ids of all pinned maps.
pub(super) fn ids(pin_dir: &Path) -> Result<Vec<u32>, KernelError> {
    MAPS.iter().map(|map| held::id(pin_dir, map.name)).collect()
}

fn open_fd(pin_dir: &Path, name: &str, access: Access) -> Result<OwnedFd, KernelError> {
    let path = pin_dir.join(name);
    bpf::open_pin(&path, access).map_err(KernelError::doing("open", &path))
}

/// aya wants a map mutably to write it; the kernel needs no such care.
fn locked<M>(map: &Mutex<M>) -> MutexGuard<'_, M> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value for a cgroup, `None` when there is no entry.
fn value<V: Pod>(
    map: &ByRun<V>,
    name: &'static str,
    cgroup: CgroupId,
) -> Result<Option<V>, KernelError> {
    match map.get(&cgroup.0, 0) {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(KernelError::object(name)(error)),
    }
}

/// Removes an entry that may be gone already.
fn remove<V: Pod>(
    map: &mut ByRun<V>,
    name: &'static str,
    cgroup: CgroupId,
) -> Result<(), KernelError> {
    let gone = |error: &MapError| match error {
        MapError::KeyNotFound => true,
        MapError::SyscallError(said) => said.io_error.raw_os_error() == Some(libc::ENOENT),
        _ => false,
    };
    match map.remove(&cgroup.0) {
        Err(error) if !gone(&error) => Err(KernelError::object(name)(error)),
        _ => Ok(()),
    }
}

/// Every key.
fn keys<V: Pod>(map: &ByRun<V>, name: &'static str) -> Result<Vec<CgroupId>, KernelError> {
    let keys: Result<Vec<_>, _> = map.keys().map(|key| key.map(CgroupId)).collect();
    keys.map_err(KernelError::object(name))
}
