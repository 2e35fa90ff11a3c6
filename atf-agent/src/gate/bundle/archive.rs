//! The archive: gzip around tar. What is not a plain file of a policy, by its one name, refuses the whole.

use std::collections::BTreeSet;
use std::io::{Read, Write as _};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};

use super::{BundleError, wrong};
use crate::state::{PolicyFiles, is_policy_file};

/// Most bytes of an archive: a policy has some tens of kilobytes.
pub const BUNDLE_BYTES_MAX: usize = 8 << 20;

/// Most bytes of all that is in it.
pub(super) const UNPACKED_BYTES_MAX: u64 = 16 << 20;

/// Longest file in it.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most entries, directories included, and longest name in bytes.
pub(super) const ENTRIES_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 255;

/// The files in an archive, in the order of their names. Nothing is written anywhere.
///
/// # Errors
/// When it is too large, damaged, or has anything but directories and plain files of a policy, each once.
pub fn unpack(bytes: &[u8]) -> Result<PolicyFiles, BundleError> {
    let broken = |error: std::io::Error| BundleError::Archive(error.to_string());
    if bytes.len() > BUNDLE_BYTES_MAX {
        return Err(BundleError::Archive(format!(
            "{} bytes, at most {BUNDLE_BYTES_MAX} are read",
            bytes.len()
        )));
    }
    // One more than may be there: who reads it knows then that there was too much.
    let mut archive = Archive::new(GzDecoder::new(bytes).take(UNPACKED_BYTES_MAX + 1));
    let (mut files, mut names) = (PolicyFiles::new(), BTreeSet::new());
    for (count, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        let path = PathBuf::from(String::from_utf8_lossy(&entry.path_bytes()).into_owned());
        if count >= ENTRIES_MAX {
            return Err(BundleError::Archive(format!("more than {ENTRIES_MAX} entries")));
        }
        match entry.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular => {}
            other => return Err(wrong(&path, format!("expected a plain file, found {other:?}"))),
        }
        let name = plain(&path)?;
        if !is_policy_file(&name) {
            return Err(wrong(
                &name,
                "expected rules (*.rego), data.json, pins (tools/*.json), .manifest or .signatures.json",
            ));
        }
        if !names.insert(name.clone()) {
            return Err(wrong(&name, "it is there twice"));
        }
        if entry.size() > FILE_BYTES_MAX {
            return Err(wrong(&name, format!("{} bytes, at most {FILE_BYTES_MAX}", entry.size())));
        }
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).map_err(broken)?;
        files.push((name, contents));
    }
    ends(archive.into_inner())?;
    files.sort();
    Ok(files)
}

/// Sees to it that nothing follows the end: what this reader leaves out, another one might take.
fn ends(mut unpacked: std::io::Take<GzDecoder<&[u8]>>) -> Result<(), BundleError> {
    let refused = |what: &str| Err(BundleError::Archive(what.to_owned()));
    let mut rest = [0; 4_096];
    loop {
        let read = unpacked.read(&mut rest);
        match read.map_err(|error| BundleError::Archive(error.to_string()))? {
            0 if unpacked.limit() == 0 => {
                return refused(&format!("more than {UNPACKED_BYTES_MAX} bytes are in it"));
            }
            0 if !unpacked.get_ref().get_ref().is_empty() => {
                return refused("there is more after its end");
            }
            0 => return Ok(()),
            read if rest[..read].iter().any(|&byte| byte != 0) => {
                return refused("there is more after its last file");
            }
            _ => {}
        }
    }
}

/// The name below the policy's directory: OPA begins it with a slash, tar with `./`.
fn plain(path: &Path) -> Result<PathBuf, BundleError> {
    let text = path.to_string_lossy();
    let below = text.strip_prefix("./").or_else(|| text.strip_prefix('/')).unwrap_or(&text);
    let name = Path::new(below);
    let is_plain = !below.is_empty()
        && below.len() <= NAME_BYTES_MAX
        && below.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && name.components().all(|part| matches!(part, Component::Normal(_)))
        // `a//b` and `a/./b` have the same components as `a/b`, and another spelling.
        && name.components().collect::<PathBuf>().as_os_str() == name.as_os_str();
    match is_plain {
        true => Ok(name.to_owned()),
        false => Err(wrong(path, "expected a plain name below the policy's directory")),
    }
}

/// An archive of `files`. The same files make the same bytes.
///
/// # Errors
/// When they are more than [`unpack`] takes.
pub fn pack(files: &PolicyFiles) -> Result<Vec<u8>, BundleError> {
    let failed = |error: std::io::Error| BundleError::Archive(error.to_string());
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (name, contents) in files {
        plain(name)?;
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(contents.len() as u64);
        archive.append_data(&mut header, name, contents.as_slice()).map_err(failed)?;
    }
    let mut packed = archive.into_inner().map_err(failed)?;
    packed.flush().map_err(failed)?;
    let packed = packed.finish().map_err(failed)?;
    unpack(&packed)?;
    Ok(packed)
}
