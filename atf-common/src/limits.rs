//! Map capacities, each with its reason.

/// Most runs registered at once. 5,000 are promised; three times that leaves room for runs that
/// ended and are not yet removed. A full map denies.
pub const RUNS_MAX: u32 = 16_384;

/// Bytes of the event ring: 64-byte events, so about 58,000 of them while the recorder is away.
pub const EVENTS_BYTES: u32 = 4 << 20;

/// Denials of one vector that one run may put into the ring back to back.
pub const EVENT_BURST: u32 = 16;

/// After the burst, one event per this many nanoseconds and vector; the rest is counted as
/// suppressed.
pub const EVENT_INTERVAL_NS: u64 = 10_000_000;

/// Events of one run and vector that are told at that pace. It is no run's work to be denied more: from then
/// on each interval is [`EVENT_LONGER`] times as long, so that a run which is denied for as long as it lives does
/// not fill the log's disk.
pub const EVENTS_TOLD_MAX: u64 = 10_000;

/// How many times as long an interval is past [`EVENTS_TOLD_MAX`].
pub const EVENT_LONGER: u64 = 100;

/// Milliseconds for which one renewal of the lease holds: eight renewals may be lost.
pub const LEASE_TTL_MS: u64 = 2_000;

/// A lease that reaches further ahead than this is no lease: a gateway that fell could else write one
/// that outlives it for ever.
pub const LEASE_AHEAD_MAX_MS: u64 = 60_000;

/// Milliseconds between two renewals of the lease by the gateway's accept loop.
pub const LEASE_RENEW_MS: u64 = 250;
