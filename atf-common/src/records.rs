//! The values of the maps. `repr(C)`, fixed-size integers, named padding; no bool, no enum. Each
//! map has one writer, named here; the pins' group permissions hold everybody else to it.

/// Value of `RUNS`, by cgroup id. Written by the authority alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Run {
    /// Absolute end of the run, milliseconds of the boot clock.
    pub end_boot_ms: u64,
    /// End of the current token, milliseconds of the boot clock.
    pub token_boot_ms: u64,
    /// Cookie of the run's own network namespace when its loopback bridge is on, else 0.
    pub netns_cookie: u64,
}

/// Value of `STATES`, by cgroup id. The authority makes and removes the entry; in between the
/// kernel programs alone write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct State {
    /// Boot clock, nanoseconds, when a program first saw the run's DENY entry; 0 while it has not.
    /// Void when it is not later than the run's [`Release`].
    pub latched_boot_ns: u64,
    /// What the programs counted, by the vector's number.
    pub vectors: [VectorState; crate::vector::VECTORS],
}

/// What the programs count for one run and one vector. `events + suppressed + dropped = denied + observed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct VectorState {
    /// Operations let through.
    pub allowed: u64,
    /// Operations denied.
    pub denied: u64,
    /// Operations that would be denied, and were let through ([`crate::mode::Mode::Observe`]).
    pub observed: u64,
    /// Denials and observations that are in the event ring.
    pub events: u64,
    /// Those that the limiter kept out of the ring.
    pub suppressed: u64,
    /// Those that a full ring lost.
    pub dropped: u64,
    /// The limiter's memory: boot clock, nanoseconds, at which its budget is whole again.
    pub whole_boot_ns: u64,
    /// How many of `suppressed` an event in the ring has already told of.
    pub suppressed_told: u64,
}

/// Value of `DENY`, by cgroup id. Written by the gateway alone. An entry seals the run, whatever
/// the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Deny {
    /// Boot clock, nanoseconds, of the decision that sealed the run.
    pub decided_boot_ns: u64,
}

/// Value of `RELEASES`, by cgroup id. Written by the authority alone: it lifts a latch without
/// writing the `STATES` entry, whose counters move all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Release {
    /// Boot clock, nanoseconds: a latch that is not later is void.
    pub released_boot_ns: u64,
}

/// The only value of `LEASE`. Written by the gateway alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Lease {
    /// Boot clock, milliseconds, until which the gateway vouches that it is awake.
    pub until_boot_ms: u64,
}

/// Value of `MARKS`, of a listening socket. Written by the gateway alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Mark {
    /// The cgroup id of the only run that may connect to the socket.
    pub run: u64,
}

/// Value of `STAMPS`, of the socket that `accept` returns, of `OWNERS`, of a local socket that a
/// run made, and of `LOOPBACK`, of one that it made of TCP on its own loopback, where layer B is
/// up. Written by the kernel programs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Stamp {
    /// The cgroup id of the run that connected, or that made the socket.
    pub run: u64,
    /// The process (`tgid`), for the log.
    pub pid: u32,
    /// Its real uid.
    pub uid: u32,
}

/// The bits of layer B's programs in [`Config::programs`].
pub const LSM_PROGRAMS: u64 = 0xff << 11;

/// The only value of `CONFIG`. Written once by the enforcer, then frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Config {
    /// The cgroup id of the agents' cgroup.
    pub agents: u64,
    /// Its level under the real root of the hierarchy; a run's id is the ancestor at `level + 1`.
    pub level: u32,
    /// [`crate::ABI_VERSION`].
    pub abi: u32,
    /// Which programs were attached, one bit each, so that a missing one cannot pass for a kernel
    /// that never had it.
    pub programs: u64,
    /// Number of a [`crate::mode::Mode`]. Frozen with the rest: nobody switches it, another `CONFIG`
    /// has to take the place of this one.
    pub mode: u32,
    /// Zero.
    pub unused: u32,
}

const _: () = {
    assert!(size_of::<Run>() == 24);
    assert!(size_of::<VectorState>() == 64);
    assert!(size_of::<State>() == 8 + 64 * crate::vector::VECTORS);
    assert!(size_of::<Deny>() == 8);
    assert!(size_of::<Release>() == 8);
    assert!(size_of::<Lease>() == 8);
    assert!(size_of::<Mark>() == 8);
    assert!(size_of::<Stamp>() == 16);
    assert!(size_of::<Config>() == 32);
};

#[cfg(feature = "user")]
#[allow(unsafe_code, reason = "the Pod lines are one of the places where unsafe may live")]
mod pod {
    // SAFETY: `repr(C)`, integers only, and no padding, as the size assertions show.
    unsafe impl aya::Pod for super::Run {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::State {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Deny {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::VectorState {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Release {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Lease {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Mark {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Stamp {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Config {}
}
