//! Where downloads and unpacked kernels are kept between two calls.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder `name` of the cache, made when it is missing: under `$ATF_CACHE`, else
/// `$XDG_CACHE_HOME/atf`, else `~/.cache/atf`.
///
/// # Errors
/// When none of the three is set, or the folder cannot be made.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let set = |key| env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set("ATF_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("atf")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/atf")))
        .context("no place for the cache: set ATF_CACHE to a folder")?;
    let folder = root.join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the cache folder {}", folder.display()))?;
    Ok(folder)
}
