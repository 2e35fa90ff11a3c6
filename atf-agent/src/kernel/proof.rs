//! The proof: the cage is what `up` made of it. Read from the kernel each time, believed of nobody.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use atf_common::records::Config;
use serde::{Deserialize, Serialize};

use super::cage::{Cage, KEEP};
use super::error::KernelError;
use super::programs::{PROGRAMS, Program, bit, layers_of, posture_of};
use super::{Mode, Posture, attach, maps, pins, probe};
use crate::call::CgroupId;
use crate::sys::bpf::{self, Access};

/// That the cage stands, with what stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What the attached programs do with what they deny.
    pub mode: Mode,
    /// What they make; OBSERVE when they hold nobody.
    pub posture: Posture,
    /// The kernel's release, `uname -r`.
    pub kernel: String,
    /// The agents' cgroup.
    pub agents: CgroupId,
    /// Each attached program.
    pub programs: Vec<ProvenProgram>,
}

/// One attached program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenProgram {
    /// Its name.
    pub name: String,
    /// The kernel's id for it.
    pub id: u32,
}

/// How long a proof waits for the end of a replacement: some seconds where the kernel is slow to let go
/// of the old programs. It hides no mismatch for longer.
const REPLACED_WITHIN: Duration = Duration::from_secs(5);
const REPLACED_POLL: Duration = Duration::from_millis(10);

/// Proves the cage: pins, configuration, links, effective programs and their maps. While programs take
/// the place of others, the kernel has both: no mismatch, but nothing that could be proven either, and the
/// proof waits.
///
/// # Errors
/// [`KernelError::Mismatch`] with everything that is not as it should be. Needs root.
pub fn prove(cage: &Cage) -> Result<Proof, KernelError> {
    let until = Instant::now() + REPLACED_WITHIN;
    loop {
        let before = attach::standing(cage);
        let proof = prove_now(cage);
        // The replacing may have begun, or been done, since the first look.
        let replaced = before.is_replaced || attach::standing(cage) != before;
        match proof {
            Err(KernelError::Mismatch(_)) if replaced && Instant::now() < until => {
                sleep(REPLACED_POLL);
            }
            proof => return proof,
        }
    }
}

/// Proves the cage as it is at this moment.
pub(super) fn prove_now(cage: &Cage) -> Result<Proof, KernelError> {
    let mut wrong = pins::wrong(cage);
    let agents = cage.agents_id();
    let config = maps::frozen_config(&cage.pin_dir);
    let (agents, config) = match (agents, config) {
        (Ok(agents), Ok(config)) => (agents, config),
        (agents, config) => {
            wrong.extend(agents.err().map(|error| error.to_string()));
            wrong.extend(config.err().map(|error| error.to_string()));
            return Err(KernelError::Mismatch(wrong));
        }
    };
    wrong.extend(wrong_config(cage, agents, &config));
    match maps::wrongly_frozen(&cage.pin_dir) {
        Ok(frozen) => wrong.extend(frozen.iter().map(|map| format!("{map} is frozen"))),
        Err(error) => wrong.push(error.to_string()),
    }
    if !cage.agents_dir.join(KEEP).is_dir() {
        wrong.push(format!("the child cgroup {KEEP} is missing"));
    }
    let mut programs = Vec::new();
    for program in PROGRAMS.iter().filter(|program| config.programs & bit(program) != 0) {
        match attached(cage, agents, program) {
            Ok(id) => programs.push(ProvenProgram { name: program.name.to_owned(), id }),
            Err(why) => wrong.push(format!("{}: {why}", program.name)),
        }
    }
    wrong.extend(in_kernel(cage, &programs));
    if !wrong.is_empty() {
        return Err(KernelError::Mismatch(wrong));
    }
    Ok(Proof {
        mode: Mode::from_number(config.mode),
        posture: posture_of(&config),
        kernel: probe::release(),
        agents,
        programs,
    })
}

fn wrong_config(cage: &Cage, agents: CgroupId, config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    let abi = atf_common::ABI_VERSION;
    if (config.agents, config.level, config.abi) != (agents.0, cage.level, abi) {
        wrong.push(format!(
            "CONFIG says cgroup {}, level {}, version {}; expected {agents}, {}, {abi}",
            config.agents, config.level, config.abi, cage.level
        ));
    }
    let found = layers_of(config);
    if found == Posture::Refuse || found < cage.posture {
        wrong.push(format!("the posture is {found:?}, {:?} is demanded", cage.posture));
    }
    // One that holds more than it is asked to is no mismatch, as with the posture.
    if Mode::from_number(config.mode) == Mode::Observe && cage.mode == Mode::Enforce {
        wrong.push("the programs only observe, and cage.mode is enforce".to_owned());
    }
    wrong
}

/// The id of the program behind the pinned link, if the link holds.
fn attached(cage: &Cage, agents: CgroupId, program: &Program) -> Result<u32, String> {
    let path = cage.links_dir().join(program.name);
    let link = bpf::open_pin(&path, Access::Write).map_err(|error| format!("no link: {error}"))?;
    let link = bpf::cgroup_link(link.as_fd()).map_err(|error| error.to_string())?;
    match link.cgroup {
        0 => Err("its cgroup was removed, so the kernel detached it".to_owned()),
        id if id != agents.0 => Err(format!("attached to cgroup {id}, expected {agents}")),
        _ if link.attach_type != program.attach_type => {
            Err(format!("attached at {}, expected {}", link.attach_type, program.attach_type))
        }
        _ => Ok(link.program),
    }
}

/// What the kernel would run for a process of a run, against what the links say.
fn in_kernel(cage: &Cage, programs: &[ProvenProgram]) -> Vec<String> {
    let mut wrong = Vec::new();
    let agents = match File::open(&cage.agents_dir) {
        Ok(agents) => agents,
        Err(error) => return vec![format!("{}: {error}", cage.agents_dir.display())],
    };
    let pinned = match maps::ids(&cage.pin_dir) {
        Ok(pinned) => pinned,
        Err(error) => return vec![error.to_string()],
    };
    let mut kinds: Vec<u32> = PROGRAMS.iter().map(|program| program.attach_type).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let (mut own, mut effective) = (Vec::new(), Vec::new());
    for kind in kinds {
        // A kernel that lacks an attach type has nothing there.
        own.extend(bpf::programs_on(agents.as_fd(), kind, false).unwrap_or_default());
        effective.extend(bpf::programs_on(agents.as_fd(), kind, true).unwrap_or_default());
    }
    for program in programs {
        if !own.contains(&program.id) || !effective.contains(&program.id) {
            wrong.push(format!("{}: the kernel does not run it", program.name));
        }
        match bpf::program_maps(program.id) {
            // A build that logs has a ring and a level beside the pinned maps.
            Ok(_) if cfg!(feature = "kernel-lines") => {}
            Ok(used) if used.iter().all(|id| pinned.contains(id)) => {}
            Ok(_) => wrong.push(format!("{}: uses a map that is not pinned", program.name)),
            Err(error) => wrong.push(format!("{}: {error}", program.name)),
        }
    }
    // A later program on the same cgroup could turn a denial into a permission.
    let known = |id: &u32| programs.iter().any(|program| program.id == *id);
    let strangers: Vec<String> =
        own.iter().filter(|id| !known(id)).map(ToString::to_string).collect();
    if !strangers.is_empty() {
        let ids = strangers.join(", ");
        wrong.push(format!("programs that are not ATF's on the agents' cgroup: {ids}"));
    }
    wrong
}
