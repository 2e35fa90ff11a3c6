//! The eBPF object that is part of the binary: its maps are made, its programs loaded one by one.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use atf_common::records::Config;
use aya::maps::{Array, Map, MapData};
use aya::programs::{Program as AyaProgram, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader};

use super::error::KernelError;
use super::pins::MAPS;
use super::programs::{Kind, Program};
use super::unix;
use crate::sys::bpf;

#[cfg(not(feature = "kernel-lines"))]
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../atf-ebpf/atf.bpf.o");
#[cfg(feature = "kernel-lines")]
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!("../../../target/ebpf/atf.lines.bpf.o");

/// The map that is made anew each time and never reused: it is frozen, and names the cgroup.
pub(super) const CONFIG: &str = "CONFIG";

/// The object with its maps.
pub(super) struct Object {
    ebpf: Ebpf,
    btf: Option<Btf>,
}

impl Object {
    /// Makes the maps; those that are pinned under `pin_dir` are taken from there.
    ///
    /// # Errors
    /// When the kernel makes no map, most often for want of privilege.
    pub(super) fn open(pin_dir: Option<&Path>) -> Result<Self, KernelError> {
        let mut loader = EbpfLoader::new();
        for map in &MAPS {
            let pin = pin_dir.map(|dir| dir.join(map.name)).filter(|pin| pin.exists());
            if let Some(pin) = pin.filter(|_| map.name != CONFIG) {
                loader.map_pin_path(map.name, pin);
            }
        }
        let ebpf = loader.load(OBJECT).map_err(|error| KernelError::Object {
            what: "cannot make the maps of the cage".to_owned(),
            why: causes(&error),
        })?;
        Ok(Self { ebpf, btf: Btf::from_sys_fs().ok() })
    }

    /// Loads one program.
    ///
    /// # Errors
    /// What the kernel said.
    pub(super) fn load(&mut self, program: &Program) -> Result<OwnedFd, String> {
        if program.kind == Kind::Unix {
            let maps = self
                .ebpf
                .maps()
                .filter_map(|(name, map)| Some((name.to_owned(), fd_of(map)?.as_raw_fd())));
            let maps: HashMap<_, _> = maps.collect();
            return unix::load(OBJECT, program, &maps);
        }
        let found = self.ebpf.program_mut(program.name);
        let loaded = found.ok_or_else(|| format!("no program {} in the object", program.name))?;
        match loaded {
            AyaProgram::CgroupSock(hook) => hook.load(),
            AyaProgram::CgroupSockAddr(hook) => hook.load(),
            AyaProgram::CgroupSkb(hook) => hook.load(),
            AyaProgram::LsmCgroup(hook) => {
                let btf = self.btf.as_ref().ok_or("the kernel has no BTF (/sys/kernel/btf)")?;
                hook.load(program.name, btf)
            }
            other => return Err(format!("{} is a {:?}", program.name, other.prog_type())),
        }
        .map_err(|error| brief(&error))?;
        let fd = loaded.fd().map_err(|error| error.to_string())?;
        fd.as_fd().try_clone_to_owned().map_err(|error| error.to_string())
    }

    /// Writes `CONFIG`, and freezes it.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn configure(&mut self, config: Config) -> Result<(), KernelError> {
        let map = self.ebpf.map_mut(CONFIG);
        let map = map.ok_or("not in the object").map_err(KernelError::object(CONFIG))?;
        let mut array: Array<&mut MapData, Config> =
            map.try_into().map_err(KernelError::object(CONFIG))?;
        array.set(0, config, 0).map_err(KernelError::object(CONFIG))?;
        bpf::freeze(self.map(CONFIG)?).map_err(KernelError::object(CONFIG))
    }

    /// The descriptor of a map.
    ///
    /// # Errors
    /// When the object has no such map.
    pub(super) fn map(&self, name: &str) -> Result<BorrowedFd<'_>, KernelError> {
        let fd = self.ebpf.map(name).and_then(fd_of);
        fd.ok_or("not in the object").map_err(KernelError::object(name))
    }
}

fn fd_of(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(map)
        | Map::HashMap(map)
        | Map::PerCpuArray(map)
        | Map::RingBuf(map)
        | Map::SkStorage(map) => Some(map.fd().as_fd()),
        _ => None,
    }
}

/// The kernel's answer, with the last word of the verifier and not its whole log.
fn brief(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let words = ["processed ", "verification time", "stack depth"];
            let mut lines = log.lines().rev();
            let last = lines.find(|line| {
                !line.trim().is_empty() && !words.iter().any(|word| line.starts_with(word))
            });
            last.map_or_else(|| io_error.to_string(), |last| format!("{io_error}: {last}"))
        }
        other => causes(other),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said.push_str(": ");
        said.push_str(&cause.to_string());
        source = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A build that logs has a ring that everybody who may read maps can read.
    #[test]
    fn the_shipped_object_has_no_lines_of_its_own() {
        let has = |word: &[u8]| OBJECT.windows(word.len()).any(|found| found == word);
        assert!(has(b"sock_create"), "control: names are in the object as they are");
        assert_eq!(has(b"AYA_LOG"), cfg!(feature = "kernel-lines"));
    }
}
