//! What a denial comes to: refused, or let through and told. A pure function on plain data like the
//! verdict, which it takes no part in.

use crate::verdict::Denial;

/// The number of [`Mode::Observe`] in the records. No other number lets anything through, and what was
/// never written is none: it is the ASCII of `OBSV`.
const OBSERVE: u32 = 0x4f42_5356;

/// What the programs do with what they deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "user", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "user", serde(rename_all = "snake_case"))]
pub enum Mode {
    /// They refuse it.
    #[default]
    Enforce,
    /// They count and report it, and let it through: nothing is held.
    Observe,
}

impl Mode {
    /// The number in the records.
    pub const fn number(self) -> u32 {
        match self {
            Self::Enforce => 0,
            Self::Observe => OBSERVE,
        }
    }

    /// The mode with this number. One that nobody knows enforces.
    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        match number {
            OBSERVE => Self::Observe,
            _ => Self::Enforce,
        }
    }

    /// The name in the configuration and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// What the kernel and the log are told of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is allowed.
    Allowed,
    /// It is refused.
    Denied(Denial),
    /// It would be refused, and is let through.
    Observed(Denial),
}

impl Answer {
    /// What `verdict` comes to under `mode`.
    #[inline(always)]
    pub const fn of(mode: Mode, verdict: Result<(), Denial>) -> Self {
        match (verdict, mode) {
            (Ok(()), _) => Self::Allowed,
            (Err(denial), Mode::Enforce) => Self::Denied(denial),
            (Err(denial), Mode::Observe) => Self::Observed(denial),
        }
    }

    /// Whether the operation goes through.
    #[inline(always)]
    #[must_use = "the kernel must be told"]
    pub const fn passes(self) -> bool {
        match self {
            Self::Allowed | Self::Observed(_) => true,
            Self::Denied(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_denial_passes_in_observe_mode_alone_and_is_told_in_both() {
        for denial in Denial::ALL {
            let answer = |mode| Answer::of(mode, Err(denial));
            assert_eq!(answer(Mode::Enforce), Answer::Denied(denial));
            assert!(!answer(Mode::Enforce).passes(), "{denial:?}");
            assert_eq!(answer(Mode::Observe), Answer::Observed(denial));
            assert!(answer(Mode::Observe).passes(), "{denial:?}");
        }
    }

    #[test]
    fn what_is_allowed_is_no_observation() {
        for mode in [Mode::Enforce, Mode::Observe] {
            assert_eq!(Answer::of(mode, Ok(())), Answer::Allowed);
            assert!(Answer::Allowed.passes());
        }
    }

    #[test]
    fn a_mode_reads_back_from_its_number_and_zero_enforces() {
        for mode in [Mode::Enforce, Mode::Observe] {
            assert_eq!(Mode::from_number(mode.number()), mode);
        }
        assert_eq!(Mode::from_number(0), Mode::Enforce);
        assert_eq!(Mode::default(), Mode::Enforce);
    }

    proptest! {
        /// The attack: a configuration that was written in part, or by somebody else, lets all through.
        #[test]
        fn no_number_but_one_lets_a_denial_through(number: u32) {
            let passes = Answer::of(Mode::from_number(number), Err(Denial::Forbidden)).passes();
            prop_assert_eq!(passes, number == OBSERVE);
        }

        /// One bit that is wrong enforces.
        #[test]
        fn a_number_that_is_nearly_right_enforces(bit in 0_u32..32) {
            prop_assert_eq!(Mode::from_number(OBSERVE ^ (1 << bit)), Mode::Enforce);
        }
    }
}
