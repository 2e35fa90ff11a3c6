//! The text of a policy: its modules, its tests and its data, in a directory or as they were read before.

use std::fs;
use std::path::Path;

use super::policy::PolicyError;
use crate::call::Digest;
use crate::state::PolicyFiles;

/// Longest module or data file in bytes, most modules, deepest directory.
const FILE_BYTES_MAX: u64 = 1 << 20;
const MODULES_MAX: usize = 200;
const DIRECTORIES_DEEP_MAX: usize = 8;

/// The files of a policy, as they are read: modules by their path below its directory.
pub(super) struct Files {
    /// What is served.
    pub(super) modules: Vec<(String, String)>,
    /// `*_test.rego`, which is never served.
    pub(super) tests: Vec<(String, String)>,
    /// `data.json`.
    pub(super) data: String,
}

impl Files {
    /// Reads them.
    pub(super) fn read(policy_dir: &Path) -> Result<Self, PolicyError> {
        let mut all = Vec::new();
        collect(policy_dir, policy_dir, 0, &mut all)?;
        all.sort();
        let (tests, modules) = all.into_iter().partition(|(name, _)| name.ends_with("_test.rego"));
        Ok(Self { modules, tests, data: text(&policy_dir.join("data.json"))? })
    }
}

impl Files {
    /// Those of a policy that was read before.
    pub(super) fn of(policy_dir: &Path, files: &PolicyFiles) -> Result<Self, PolicyError> {
        let text = |name: &Path, contents: &[u8]| {
            let refused = |error: std::str::Utf8Error| PolicyError::Refused {
                path: policy_dir.join(name),
                what: error.to_string(),
            };
            std::str::from_utf8(contents).map(str::to_owned).map_err(refused)
        };
        let mut found = Self { modules: Vec::new(), tests: Vec::new(), data: String::new() };
        for (path, contents) in files {
            let name = path.to_string_lossy().into_owned();
            match () {
                () if name.ends_with("_test.rego") => {
                    found.tests.push((name, text(path, contents)?))
                }
                () if name.ends_with(".rego") => found.modules.push((name, text(path, contents)?)),
                () if name == "data.json" => found.data = text(path, contents)?,
                () => {}
            }
        }
        // In the order in which a directory is read, which the revision depends on.
        found.modules.sort();
        found.tests.sort();
        Ok(found)
    }
}

/// Adds the modules in `dir`, named by their path below `root`.
fn collect(
    root: &Path,
    dir: &Path,
    deep: usize,
    modules: &mut Vec<(String, String)>,
) -> Result<(), PolicyError> {
    let failed = |error| PolicyError::Read { path: dir.to_owned(), error };
    let refused = |what: String| PolicyError::Refused { path: dir.to_owned(), what };
    if deep > DIRECTORIES_DEEP_MAX || modules.len() > MODULES_MAX {
        return Err(refused(format!(
            "more than {MODULES_MAX} modules or {DIRECTORIES_DEEP_MAX} directories deep"
        )));
    }
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            collect(root, &path, deep + 1, modules)?;
        } else if name.ends_with(".rego") {
            let below = path.strip_prefix(root).unwrap_or(&path);
            modules.push((below.to_string_lossy().into_owned(), text(&path)?));
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, PolicyError> {
    let failed = |error| PolicyError::Read { path: path.to_owned(), error };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(PolicyError::Refused {
            path: path.to_owned(),
            what: format!("{length} bytes, at most {FILE_BYTES_MAX}"),
        });
    }
    fs::read_to_string(path).map_err(failed)
}

/// One line a file: name and digest of its contents, in the order of the names.
pub(super) fn revision(modules: &[(String, String)], data: &str) -> Digest {
    let files = modules.iter().map(|(name, source)| (name.as_str(), source.as_str()));
    let lines: String = files
        .chain([("data.json", data)])
        .map(|(name, contents)| format!("{} {name}\n", Digest::of(contents.as_bytes())))
        .collect();
    Digest::of(lines.as_bytes())
}
