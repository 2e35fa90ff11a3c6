//! The programs of the object: where each is attached, and which of them make which posture.

use atf_common::records::Config;

use super::{Mode, Posture};

/// `BPF_PROG_TYPE_CGROUP_SOCK_ADDR`, of the programs that aya cannot load.
pub(super) const SOCK_ADDR: u32 = 18;

/// `BPF_LSM_CGROUP`: one attach type for all of layer B; the hook is part of the program.
const LSM_CGROUP: u32 = 43;

/// What a program needs of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Layer A, on every supported kernel.
    Inet,
    /// Layer A from Linux 6.7 on.
    Unix,
    /// Layer B: the BPF LSM.
    Lsm,
}

/// One program of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    /// Its name in the object, of its pinned link, and of the feature in reports.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// A `bpf_attach_type` of linux/bpf.h.
    pub(super) attach_type: u32,
}

/// All of them. The place in this list is the program's bit in `Config::programs`.
pub(super) const PROGRAMS: [Program; 19] = [
    inet("sock_create", 2),
    inet("connect4", 10),
    inet("connect6", 11),
    inet("sendmsg4", 14),
    inet("sendmsg6", 15),
    inet("bind4", 8),
    inet("bind6", 9),
    inet("egress", 1),
    inet("ingress", 0),
    unix("connect_unix", 49),
    unix("sendmsg_unix", 50),
    lsm("socket_create"),
    lsm("socket_post_create"),
    lsm("unix_stream_connect"),
    lsm("unix_may_send"),
    lsm("socket_sendmsg"),
    lsm("file_receive"),
    lsm("ptrace_access_check"),
    lsm("bpf"),
];

/// The bit of a program in `Config::programs`.
pub(super) fn bit(program: &Program) -> u64 {
    PROGRAMS.iter().position(|other| other == program).map_or(0, |place| 1 << place)
}

/// The posture that a set of programs makes. A kernel without the unix hooks makes a CORE too: there
/// the seal is the daemon's alone, and the missing features say so.
pub(super) fn posture(has: impl Fn(&Program) -> bool) -> Posture {
    let all = |kind| {
        let mut programs = PROGRAMS.iter().filter(|program| program.kind == kind);
        programs.all(&has)
    };
    match (all(Kind::Inet), all(Kind::Lsm)) {
        (true, true) => Posture::Full,
        (true, false) => Posture::Core,
        (false, _) => Posture::Refuse,
    }
}

/// The layers that were put up, by the posture that they make when they hold.
pub(super) fn layers_of(config: &Config) -> Posture {
    posture(|program| config.programs & bit(program) != 0)
}

/// The posture that was put up.
pub(super) fn posture_of(config: &Config) -> Posture {
    layers_of(config).under(Mode::from_number(config.mode))
}

const fn inet(name: &'static str, attach_type: u32) -> Program {
    Program { name, kind: Kind::Inet, attach_type }
}

const fn unix(name: &'static str, attach_type: u32) -> Program {
    Program { name, kind: Kind::Unix, attach_type }
}

const fn lsm(name: &'static str) -> Program {
    Program { name, kind: Kind::Lsm, attach_type: LSM_CGROUP }
}

#[cfg(test)]
mod tests {
    use atf_common::records::LSM_PROGRAMS;
    use atf_common::vector::Vector;

    use super::*;

    #[test]
    fn the_programs_know_layer_b_by_its_bits() {
        let lsm = PROGRAMS.iter().filter(|program| program.kind == Kind::Lsm);
        assert_eq!(lsm.map(bit).sum::<u64>(), LSM_PROGRAMS);
    }

    #[test]
    fn every_vector_has_its_program() {
        for vector in Vector::ALL {
            let program = PROGRAMS.iter().find(|program| program.name == vector.name());
            let lsm = program.map(|program| program.kind == Kind::Lsm);
            assert_eq!(lsm, Some(vector.layer() == 'B'), "{}", vector.name());
        }
    }
}
