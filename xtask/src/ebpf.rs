//! `cargo xtask ebpf`: builds the eBPF object, or proves the committed one.

use anyhow::{Result, bail};

/// Builds the object; with `check`, compares what the sources give with what is committed.
///
/// # Errors
/// Always: the build of the object is not part of this tree yet.
pub(crate) fn build(_check: bool) -> Result<()> {
    bail!("the build of the eBPF object is not part of this tree yet")
}
