//! How much is measured.

/// How much of an area is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// As much as its figures need to mean something.
    Whole,
    /// A hundredth, which shows that it can be measured and no more.
    Sample,
}

impl Extent {
    /// How often something is done that a whole measurement does `whole` times.
    pub(super) fn of(self, whole: usize) -> usize {
        match self {
            Self::Whole => whole,
            Self::Sample => whole.div_ceil(100),
        }
    }
}
