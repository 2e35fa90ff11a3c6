//! Where the labelled corpora are, for the tests that read them. They are no part of the project.

use std::path::{Path, PathBuf};

/// The folder: `$ATF_CORPORA`, else `shared/corpora` in a folder above the workspace. Without it a
/// test proves nothing: it says so, and in CI it fails.
pub(crate) fn folder() -> Option<PathBuf> {
    let found = match std::env::var_os("ATF_CORPORA") {
        Some(named) => Some(PathBuf::from(named)),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|above| above.join("shared/corpora"))
            .find(|folder| folder.is_dir()),
    };
    let found = found.filter(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("the corpora are missing: set ATF_CORPORA to their folder");
        assert!(std::env::var_os("CI").is_none(), "the corpora are missing in CI");
    }
    found
}
