//! The verdict: may this run do anything at all now? A pure function on plain data, compiled into
//! every kernel program and tested on the host. What is missing denies.

use crate::limits::LEASE_AHEAD_MAX_MS;
use crate::records::{Lease, Run};

/// Why an operation is denied. The numbers are part of the event record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Denial {
    /// The process is under the agents' cgroup but under no registered run.
    NotRegistered = 1,
    /// The run has passed its absolute end.
    Ended = 2,
    /// The run's token has expired and was not renewed.
    TokenExpired = 3,
    /// The run is sealed.
    Sealed = 4,
    /// The gateway's lease has run out.
    LeaseExpired = 5,
    /// The run is live, and the cage forbids this operation to every run.
    Forbidden = 6,
    /// The peer socket is neither the run's gateway nor one of the run's own.
    ForeignPeer = 7,
    /// A helper of the kernel failed.
    HelperFailed = 8,
}

impl Denial {
    /// Every denial, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::NotRegistered,
        Self::Ended,
        Self::TokenExpired,
        Self::Sealed,
        Self::LeaseExpired,
        Self::Forbidden,
        Self::ForeignPeer,
        Self::HelperFailed,
    ];

    /// The name in reports and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotRegistered => "not_registered",
            Self::Ended => "ended",
            Self::TokenExpired => "token_expired",
            Self::Sealed => "sealed",
            Self::LeaseExpired => "lease_expired",
            Self::Forbidden => "forbidden",
            Self::ForeignPeer => "foreign_peer",
            Self::HelperFailed => "helper_failed",
        }
    }

    /// The denial with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1..=8 => Some(Self::ALL[number as usize - 1]),
            _ => None,
        }
    }
}

/// What the maps say of a run, gathered by a hook.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts {
    /// The run's entry in `RUNS`.
    pub run: Option<Run>,
    /// Whether `DENY` has an entry for the run.
    pub deny: bool,
    /// When the run was latched, from `STATES`; `None` when it has no entry there.
    pub latched_boot_ns: Option<u64>,
    /// The lease.
    pub lease: Option<Lease>,
}

/// Whether a run is live at `now_boot_ms`: registered, before both its ends, not sealed, not
/// latched, and with an awake gateway.
///
/// # Errors
/// The first [`Denial`] that holds, in the order of the enum.
#[must_use = "a verdict that nobody reads lets the operation through"]
pub fn live(facts: &Facts, now_boot_ms: u64) -> Result<(), Denial> {
    let (Some(run), Some(latched_boot_ns)) = (facts.run, facts.latched_boot_ns) else {
        return Err(Denial::NotRegistered);
    };
    // A sealed run stays sealed in the report even after its end.
    if facts.deny || latched_boot_ns != 0 {
        return Err(Denial::Sealed);
    }
    if now_boot_ms >= run.end_boot_ms {
        return Err(Denial::Ended);
    }
    if now_boot_ms >= run.token_boot_ms {
        return Err(Denial::TokenExpired);
    }
    match facts.lease {
        Some(Lease { until_boot_ms: until })
            if now_boot_ms < until && until - now_boot_ms <= LEASE_AHEAD_MAX_MS =>
        {
            Ok(())
        }
        _ => Err(Denial::LeaseExpired),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    fn allowed() -> Facts {
        Facts {
            run: Some(Run { end_boot_ms: 100, token_boot_ms: 50, netns_cookie: 0 }),
            deny: false,
            latched_boot_ns: Some(0),
            lease: Some(Lease { until_boot_ms: 20 }),
        }
    }

    #[test]
    fn each_fact_alone_denies() {
        assert_eq!(live(&allowed(), 10), Ok(()));
        for (facts, now, denial) in [
            (Facts { run: None, ..allowed() }, 10, Denial::NotRegistered),
            (Facts { latched_boot_ns: None, ..allowed() }, 10, Denial::NotRegistered),
            (Facts { deny: true, ..allowed() }, 10, Denial::Sealed),
            (Facts { latched_boot_ns: Some(1), ..allowed() }, 10, Denial::Sealed),
            (allowed(), 100, Denial::Ended),
            (allowed(), 50, Denial::TokenExpired),
            (allowed(), 20, Denial::LeaseExpired),
            (Facts { lease: None, ..allowed() }, 10, Denial::LeaseExpired),
            (
                Facts { lease: Some(Lease { until_boot_ms: u64::MAX }), ..allowed() },
                10,
                Denial::LeaseExpired,
            ),
            (Facts::default(), 0, Denial::NotRegistered),
        ] {
            assert_eq!(live(&facts, now), Err(denial), "{facts:?} at {now}");
        }
    }

    #[test]
    fn denials_read_back_from_their_numbers() {
        for denial in Denial::ALL {
            assert_eq!(Denial::from_number(denial as u32), Some(denial));
        }
        assert_eq!(Denial::from_number(0), None);
        assert_eq!(Denial::from_number(9), None);
    }

    proptest! {
        #[test]
        fn nothing_is_allowed_that_lacks_a_fact(
            run in proptest::option::of((any::<u64>(), any::<u64>())),
            deny: bool,
            latched in proptest::option::of(0_u64..3),
            lease in proptest::option::of(any::<u64>()),
            now: u64,
        ) {
            let facts = Facts {
                run: run.map(|(end_boot_ms, token_boot_ms)| Run { end_boot_ms, token_boot_ms, netns_cookie: 0 }),
                deny,
                latched_boot_ns: latched,
                lease: lease.map(|until_boot_ms| Lease { until_boot_ms }),
            };
            let expected = run.is_some_and(|(end, token)| now < end && now < token)
                && !deny
                && latched == Some(0)
                && lease.is_some_and(|until| now < until && until - now <= LEASE_AHEAD_MAX_MS);
            prop_assert_eq!(live(&facts, now).is_ok(), expected);
        }
    }
}
