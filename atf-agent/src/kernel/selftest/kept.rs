//! What is kept of a passed self-test: on which kernel build, and with which object. A file of root's
//! alone; any other is as good as none.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Tested;
use crate::call::Digest;
use crate::kernel::object::OBJECT;

/// The file in the enforcer's state directory.
const FILE: &str = "selftest.json";

/// Longest file that is read: a row has some sixty bytes, and there are three passes of them.
const BYTES_MAX: u64 = 1 << 20;

/// What has to be tried anew when any of it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// `uname -r`, `-v` and `-m`: the second tells two builds of one release apart.
    pub kernel: [String; 3],
    /// The digest of the eBPF object.
    pub object: Digest,
}

impl Build {
    /// Of this kernel and this binary.
    pub(super) fn here() -> Self {
        let uname = rustix::system::uname();
        let words = [uname.release(), uname.version(), uname.machine()];
        Self {
            kernel: words.map(|word| word.to_string_lossy().into_owned()),
            object: Digest::of(OBJECT),
        }
    }
}

/// The passed self-test that is kept in `dir` for `build`; `None` when there is none to be believed.
pub(super) fn read(dir: &Path, build: &Build) -> Option<Tested> {
    let directory = std::fs::symlink_metadata(dir).ok()?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(dir.join(FILE));
    let mut file = file.ok()?;
    let found = file.metadata().ok()?;
    if !directory.is_dir() || !roots(&directory) || !found.is_file() || !roots(&found) {
        return None;
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(BYTES_MAX).read_to_string(&mut text).ok()?;
    let tested: Tested = serde_json::from_str(&text).ok()?;
    (tested.build == *build && tested.why_not().is_none()).then_some(tested)
}

/// Keeps a passed self-test, whole or not at all.
///
/// # Errors
/// The file system's.
pub(super) fn write(dir: &Path, tested: &Tested) -> io::Result<()> {
    // The directory above it is the installation's to make.
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let (next, path) = (dir.join(format!("{FILE}.{}", std::process::id())), dir.join(FILE));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&next)?;
    file.write_all(&serde_json::to_vec(tested)?)?;
    file.sync_all()?;
    std::fs::rename(&next, &path)?;
    File::open(dir)?.sync_all()
}

/// Whether nobody but root can have written it.
fn roots(found: &Metadata) -> bool {
    found.uid() == 0 && found.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::tests::passed;
    use super::*;

    #[test]
    fn a_self_test_is_kept_for_its_own_build_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("enforcer");
        let tested = passed();
        assert_eq!(read(&dir, &tested.build), None, "control: nothing yet");
        write(&dir, &tested).unwrap();
        assert_eq!(read(&dir, &tested.build), Some(tested.clone()));
        let other = |change: fn(&mut Build)| {
            let mut build = tested.build.clone();
            change(&mut build);
            read(&dir, &build)
        };
        assert_eq!(other(|build| build.kernel[0].push('x')), None, "another release");
        assert_eq!(other(|build| build.kernel[1].push('x')), None, "the same, built again");
        assert_eq!(other(|build| build.object = Digest::of(b"other")), None, "another object");
    }

    /// The attack: somebody writes that all is well.
    #[test]
    fn a_file_that_another_may_have_written_is_none() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("enforcer");
        let (tested, file) = (passed(), dir.join(FILE));
        write(&dir, &tested).unwrap();
        let found = || read(&dir, &tested.build).is_some();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        assert!(found(), "control");
        mode(&file, 0o620);
        assert!(!found(), "a group may write the file");
        mode(&file, 0o600);
        mode(&dir, 0o777);
        assert!(!found(), "anybody may write in the directory");
        mode(&dir, 0o700);
        std::os::unix::fs::chown(&file, Some(65_534), None).expect("these tests need root");
        assert!(!found(), "it is somebody else's");
        std::os::unix::fs::chown(&file, Some(0), None).unwrap();
        assert!(found(), "control");
        fs::rename(&file, dir.join("moved")).unwrap();
        std::os::unix::fs::symlink("moved", &file).unwrap();
        assert!(!found(), "it is a link");
    }

    #[test]
    fn a_failed_self_test_or_half_a_file_is_none() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("enforcer");
        let mut tested = passed();
        tested.arrived = 1;
        write(&dir, &tested).unwrap();
        assert_eq!(read(&dir, &tested.build), None);
        write(&dir, &passed()).unwrap();
        let text = fs::read(dir.join(FILE)).unwrap();
        fs::write(dir.join(FILE), &text[..text.len() / 2]).unwrap();
        assert_eq!(read(&dir, &tested.build), None);
    }
}
