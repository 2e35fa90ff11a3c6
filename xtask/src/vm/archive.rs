//! Debian's archive, through apt: the system's own, or a private one that knows one other suite.
//! The private one has lists and state of its own in the cache; the system's apt is left alone. Its
//! address and its key are those of the system's sources, so no host is named here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{cache, packages, progress};

/// An archive that apt can search.
pub(crate) struct Archive {
    options: Vec<String>,
}

/// After this the archive may have dropped what the lists name.
const LISTS_FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether apt fetched the system's lists long ago. What cannot be told counts as old.
fn lists_are_old() -> bool {
    let fetched = fs::metadata("/var/lib/apt/lists").and_then(|lists| lists.modified());
    let age = fetched.ok().and_then(|at| at.elapsed().ok());
    age.is_none_or(|age| age > LISTS_FRESH)
}

impl Archive {
    /// The archive of `suite`: the system's own when the system is of that suite.
    ///
    /// # Errors
    /// When the system has no Debian source, or the lists cannot be fetched.
    pub(crate) fn of(suite: &str) -> Result<Self> {
        if codename()? != suite {
            return Self::private(suite);
        }
        let system = Self { options: Vec::new() };
        let has_lists = !system.names("^linux-image-")?.is_empty();
        // A fresh machine has no package lists, and old ones name kernels that are gone.
        if packages::is_root()? && (!has_lists || lists_are_old()) {
            progress::output(Command::new("apt-get").args(["update", "--quiet"]))?;
        } else if !has_lists {
            bail!("the system has no package lists: run `sudo apt-get update`");
        }
        Ok(system)
    }

    /// The archive of `suite`, at the address of the system's own archive, with fresh lists.
    ///
    /// # Errors
    /// When the system has no Debian source, or the lists cannot be fetched.
    fn private(suite: &str) -> Result<Self> {
        let root = cache::folder(&format!("apt/{suite}"))?;
        for folder in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("status"), "")?;
        fs::write(root.join("sources.list"), source_line(suite)? + "\n")?;
        let at = |name: &str| root.join(name).display().to_string();
        let options = [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State={}", root.display()),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", root.display()),
            "APT::Architecture=amd64".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // The cache may lie where apt's own user cannot go.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let archive = Self { options: options.into() };
        progress::step(&format!("fetching the package lists of {suite}"), || {
            progress::output(archive.apt("apt-get").args(["update", "--quiet"]))
        })?;
        Ok(archive)
    }

    /// The names of the packages that match the regular expression, the newest last.
    ///
    /// # Errors
    /// When apt cannot be asked.
    pub(crate) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let found =
            progress::output(self.apt("apt-cache").args(["search", "--names-only", pattern]))?;
        let mut names: Vec<String> =
            found.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        names.sort_by_key(|name| numbers(name));
        Ok(names)
    }

    /// Downloads a package into `folder` and unpacks it there into `tree`.
    ///
    /// # Errors
    /// When it cannot be had or unpacked.
    pub(crate) fn unpack(&self, package: &str, folder: &Path, tree: &Path) -> Result<()> {
        let before = packages_in(folder)?;
        // As root, apt would hand the download to a user that may not enter the cache.
        let plain = ["-o", "APT::Sandbox::User=root", "download", "--quiet", package];
        progress::output(self.apt("apt-get").args(plain).current_dir(folder))?;
        let fresh = packages_in(folder)?.into_iter().find(|deb| !before.contains(deb));
        let deb = fresh.with_context(|| format!("apt-get downloaded {package} to nowhere"))?;
        progress::output(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(tree))?;
        Ok(fs::remove_file(deb)?)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// The line of sources.list(5) that names `suite` at the address of the system's own archive.
///
/// # Errors
/// When the system has no Debian source.
pub(super) fn source_line(suite: &str) -> Result<String> {
    let source = Source::of_the_system()?;
    Ok(format!("deb [signed-by={}] {} {suite} main", source.key, source.address))
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The numbers in a name, in order: what makes `6.1.0-56` later than `6.1.0-9`.
fn numbers(name: &str) -> Vec<u64> {
    let digits = name.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|run| run.parse().ok()).collect()
}

/// The system's release, as Debian's suites are called.
fn codename() -> Result<String> {
    let release =
        fs::read_to_string("/etc/os-release").context("cannot tell which system this is")?;
    let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let name = name.context("the system does not name its release in /etc/os-release")?;
    Ok(name.trim_matches('"').to_owned())
}

/// Address and key of the system's own Debian source.
struct Source {
    address: String,
    key: String,
}

/// The key when a source names none: where Debian's keyring package puts it.
const DEBIAN_KEY: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Source {
    fn of_the_system() -> Result<Self> {
        let codename = codename()?;
        let codename = codename.as_str();
        let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
        if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
            files.extend(parts.flatten().map(|entry| entry.path()));
        }
        for file in files {
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            let found = match file.extension().and_then(|extension| extension.to_str()) {
                Some("sources") => {
                    text.split("\n\n").find_map(|stanza| in_stanza(stanza, codename))
                }
                Some("list") => text.lines().find_map(|line| in_line(line, codename)),
                _ => None,
            };
            if let Some(source) = found {
                return Ok(source);
            }
        }
        bail!(
            "no source of suite {codename} in /etc/apt: the other kernels come from the same archive"
        )
    }
}

/// Reads one stanza of a deb822 file (sources.list(5)).
fn in_stanza(stanza: &str, codename: &str) -> Option<Source> {
    let field = |name: &str| {
        let lines = stanza.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(':')).find_map(|(key, value)| {
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let has =
        |name: &str, word: &str| field(name)?.split_whitespace().find(|w| *w == word).map(drop);
    has("Types", "deb")?;
    has("Suites", codename)?;
    has("Components", "main")?;
    Some(Source {
        address: field("URIs")?.split_whitespace().next()?.to_owned(),
        key: field("Signed-By")
            .filter(|key| key.starts_with('/'))
            .unwrap_or_else(|| DEBIAN_KEY.to_owned()),
    })
}

/// Reads one line of the older form (sources.list(5)).
fn in_line(line: &str, codename: &str) -> Option<Source> {
    let rest = line.strip_prefix("deb ")?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (address, suite) = (words.next()?, words.next()?);
    if suite != codename || !words.any(|word| word == "main") {
        return None;
    }
    let key = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Source { address: address.to_owned(), key: key.unwrap_or(DEBIAN_KEY).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_the_suite_is_found_in_both_forms() {
        let stanza = "Types: deb\n# a note: here\nURIs: http://a.example/debian http://b.example\n\
                      Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg";
        let line =
            "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main contrib";
        for found in [in_stanza(stanza, "bookworm"), in_line(line, "bookworm")] {
            let found = found.expect("the suite is there");
            assert_eq!(
                (found.address.as_str(), found.key.as_str()),
                ("http://a.example/debian", "/k.gpg")
            );
        }
        assert!(in_stanza(stanza, "trixie").is_none() && in_line(line, "trixie").is_none());
        assert!(in_line("# deb http://a.example bookworm main", "bookworm").is_none());
        assert!(in_line("deb http://a.example bookworm contrib", "bookworm").is_none());
    }

    #[test]
    fn the_newest_name_is_the_last() {
        let mut names = ["linux-image-6.1.0-56-cloud", "linux-image-6.1.0-9-cloud"];
        names.sort_by_key(|name| numbers(name));
        assert_eq!(names[1], "linux-image-6.1.0-56-cloud");
    }
}
