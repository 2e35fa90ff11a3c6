//! What the fuzz targets have in common. What they promise stands in the crates that they are of, and is
//! shared with the random tests there.

#[cfg(fuzzing)]
mod counted;
#[cfg(fuzzing)]
mod verdict;

#[cfg(fuzzing)]
pub use counted::counted;
#[cfg(fuzzing)]
pub use verdict::Case;
