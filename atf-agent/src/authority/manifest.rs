//! An agent's manifest: what a run of it may at most do. `NAME.toml` in the agents' directory.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::call::{
    AgentName, Digest, Named, Narrowing, PromptName, Questions, Reach, ResourceScope, ToolName,
};
use crate::gate::{Pins, lint_fragment, lint_fragment_of, task_says};

/// Longest manifest in bytes: 64 tool names of 64 bytes and comments.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

/// Most tools of one manifest; a token carries them all.
const TOOLS_MAX: usize = 64;

/// Most words of one tool, and the longest in bytes.
const TASK_WORDS_MAX: usize = 64;
const TASK_WORD_BYTES_MAX: usize = 64;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The tools that a run's token names.
    pub tools: Vec<ToolName>,
    /// The prompts of servers that it names.
    #[serde(default)]
    prompts: Vec<PromptName>,
    /// The resources of servers that it names: addresses, or with `*` at the end how they begin.
    #[serde(default)]
    resources: Vec<ResourceScope>,
    /// By server, what it may ask of a run: methods as `elicitation/create`.
    #[serde(default)]
    questions: BTreeMap<String, Questions>,
    /// The digest of the only system prompt that a run may have; absent when any may be.
    #[serde(default)]
    pub prompt_sha256: Option<Digest>,
    /// By tool, a JSON Schema fragment that its arguments have to satisfy besides the tool's pin.
    #[serde(default)]
    narrow: BTreeMap<ToolName, Value>,
    /// By tool, words of which the run's task has to say one: without it the token does not name the
    /// tool. A tool that does not stand here is named whatever the task says.
    #[serde(default)]
    task_words: BTreeMap<ToolName, Vec<String>>,
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file system says no.
    #[error("cannot read the manifest {path}: {error}; each agent needs one")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else could have written it.
    #[error(
        "{path} must be root's and writable by root alone, found uid {uid} and mode {mode:04o}"
    )]
    Writable {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its mode.
        mode: u32,
    },
    /// Not the TOML that it should be.
    #[error("the manifest {path} is not valid: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and what.
        what: String,
    },
}

impl Manifest {
    /// Reads the manifest of `agent` in `dir`.
    ///
    /// # Errors
    /// When it is missing, not root's alone, or has an unknown key or a value of the wrong kind.
    pub fn read(dir: &Path, agent: &AgentName) -> Result<Self, ManifestError> {
        let path = dir.join(format!("{agent}.toml"));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| ManifestError::Io { path, error }
        };
        let directory = std::fs::metadata(dir).map_err(failed(dir))?;
        only_roots(dir, &directory)?;
        let flags = rustix::fs::OFlags::NOFOLLOW.bits();
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(&path)
            .map_err(failed(&path))?;
        let meta = file.metadata().map_err(failed(&path))?;
        only_roots(&path, &meta)?;
        let invalid = |what: String| ManifestError::Invalid { path: path.clone(), what };
        if !meta.is_file() || meta.len() > MANIFEST_BYTES_MAX {
            return Err(invalid(format!("expected a file of at most {MANIFEST_BYTES_MAX} bytes")));
        }
        let mut text = String::new();
        file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text).map_err(failed(&path))?;
        Self::parse(&text).map_err(invalid)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let tools = &manifest.tools;
        if tools.len() > TOOLS_MAX {
            return Err(format!("{} tools, at most {TOOLS_MAX}", tools.len()));
        }
        if let Some(twice) = (1..tools.len()).find(|&i| tools[..i].contains(&tools[i])) {
            return Err(format!("the tool {} is named twice", tools[twice]));
        }
        for (tool, fragment) in &manifest.narrow {
            lint_fragment(fragment).map_err(|what| format!("narrow.{tool:?}: {what}"))?;
        }
        for (tool, words) in &manifest.task_words {
            check_task_words(words).map_err(|what| format!("task_words.{tool:?}: {what}"))?;
            if !tools.contains(tool) {
                return Err(format!("task_words names {tool}, which is not among the tools"));
            }
        }
        manifest.narrowing().check(tools)?;
        manifest.reach().check()?;
        Ok(manifest)
    }

    /// What its author may not have meant: tools that nobody can call for want of a pin, and narrowing of arguments that
    /// a tool does not have, with which its calls are refused.
    pub fn doubts(&self, pins: &Pins) -> Vec<String> {
        let unpinned = self.tools.iter().filter(|tool| pins.get(tool).is_none());
        let unpinned = unpinned.map(|tool| format!("the tool {tool} has no pin"));
        let astray = self.narrow.iter().filter_map(|(tool, fragment)| {
            let what = lint_fragment_of(pins.get(tool)?, fragment).err()?;
            Some(format!("narrow.\"{tool}\": {what}"))
        });
        unpinned.chain(astray).collect()
    }

    /// The tools of a run whose task is the first text of `named`.
    pub(super) fn tools_for(&self, named: &Named) -> Vec<ToolName> {
        let is_named = |tool: &&ToolName| match self.task_words.get(*tool) {
            Some(words) => words.iter().any(|words| task_says(named, words)),
            None => true,
        };
        self.tools.iter().filter(is_named).cloned().collect()
    }

    /// What the arguments of a run's calls have to satisfy, by tool.
    pub(super) fn narrowing(&self) -> Narrowing {
        Narrowing::of_each(self.narrow.clone())
    }

    /// What of servers a run may reach besides tools.
    pub(super) fn reach(&self) -> Reach {
        Reach {
            prompts: self.prompts.clone(),
            resources: self.resources.clone(),
            questions: self.questions.clone(),
        }
    }
}

/// No words at all would take the tool from every run: whoever wants that leaves it out.
fn check_task_words(words: &[String]) -> Result<(), String> {
    if words.is_empty() || words.len() > TASK_WORDS_MAX {
        return Err(format!("{} words, expected 1 to {TASK_WORDS_MAX}", words.len()));
    }
    let is_bad = |word: &&String| {
        word.len() > TASK_WORD_BYTES_MAX
            || word.trim() != word.as_str()
            || !word.chars().any(char::is_alphanumeric)
    };
    match words.iter().find(is_bad) {
        None => Ok(()),
        Some(bad) => Err(format!(
            "{bad:?} is no word of at most {TASK_WORD_BYTES_MAX} bytes without white space around it"
        )),
    }
}

/// Root, or in a test whoever runs it, owns it, and nobody else may write it.
fn only_roots(path: &Path, meta: &std::fs::Metadata) -> Result<(), ManifestError> {
    let ours = meta.uid() == 0 || (cfg!(test) && meta.uid() == rustix::process::geteuid().as_raw());
    if ours && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(ManifestError::Writable {
        path: path.to_owned(),
        uid: meta.uid(),
        mode: meta.mode() & 0o7777,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_a_plain_manifest_is_read() {
        let good = "tools = [\"ledger.query\"]\n";
        assert!(Manifest::parse(good).is_ok());
        let prompt = format!("{good}prompt_sha256 = \"{}\"\n", Digest::of(b"p"));
        assert_eq!(Manifest::parse(&prompt).unwrap().prompt_sha256, Some(Digest::of(b"p")));
        let narrowed = format!("{good}[narrow.\"ledger.query\".properties.sql]\nmaxLength = 99\n");
        let found = Manifest::parse(&narrowed).unwrap().narrowing();
        assert_eq!(found.of(&"ledger.query".parse().unwrap()).len(), 1, "the control");
        for (from, to) in [
            ("maxLength", "maxLenght"),
            ("ledger.query\".", "ledger.adjust\"."),
            ("99", "\"99\""),
            ("99", "1979-05-27"),
            (".properties.sql]\nmaxLength = 99", "]"),
            ("maxLength = 99", "pattern = \"a\""),
            ("narrow.", "narrowed."),
        ] {
            let bad = narrowed.replace(from, to);
            assert_ne!(bad, narrowed);
            assert!(Manifest::parse(&bad).is_err(), "{bad}");
        }
        let worded =
            format!("{good}[task_words]\n\"ledger.query\" = [\"balance\", \"how much\"]\n");
        assert!(Manifest::parse(&worded).is_ok(), "the control");
        for (from, to) in [
            ("ledger.query\" = ", "ledger.adjust\" = "),
            ("[\"balance\", \"how much\"]", "[]"),
            ("[\"balance\", \"how much\"]", "\"balance\""),
            ("balance", " balance"),
            ("balance", "?"),
            ("balance", ""),
            ("task_words", "task_word"),
        ] {
            let bad = worded.replace(from, to);
            assert_ne!(bad, worded);
            assert!(Manifest::parse(&bad).is_err(), "{bad}");
        }
        let reaching = format!("{good}prompts = [\"f.p\"]\nresources = [\"f+file:///srv/*\"]\n");
        let found = Manifest::parse(&reaching).unwrap().reach();
        assert!(found.covers(&"f+file:///srv/a".parse().unwrap()), "the control");
        for (from, to) in [
            ("f.p", "f p"),
            ("f.p\"", "f.p\", \"f.p\""),
            ("/srv/*", "/srv*"),
            ("f+file", "file"),
            ("resources", "resource"),
        ] {
            let bad = reaching.replace(from, to);
            assert_ne!(bad, reaching);
            assert!(Manifest::parse(&bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            "tools = \"ledger.query\"",
            "tools = [\"a b\"]",
            "tools = [\"a\", \"a\"]",
            "tools = []\nmodel = \"x\"",
            "tools = []\nprompt_sha256 = \"ABC\"",
            "tools = []\ntools = []",
        ] {
            assert!(Manifest::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tool_with_words_is_a_runs_when_its_task_says_one() {
        let manifest = Manifest::parse(
            "tools = [\"a\", \"b\", \"c\"]\n[task_words]\nb = [\"pay\", \"send money\"]\nc = [\"delete\"]\n",
        )
        .unwrap();
        for (task, prompt, tools) in [
            ("what is the balance?", "pay what you are asked to pay", vec!["a"]),
            ("Pay the bill.", "", vec!["a", "b"]),
            ("send money, then delete it", "", vec!["a", "b", "c"]),
            ("send the money", "", vec!["a"]),
            ("", "delete", vec!["a"]),
        ] {
            let found = manifest.tools_for(&crate::gate::name(&[task, prompt]));
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, tools, "{task}");
        }
    }

    #[test]
    fn a_manifest_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let agent: AgentName = "clerk".parse().unwrap();
        assert!(matches!(Manifest::read(dir.path(), &agent), Err(ManifestError::Io { .. })));
        let path = dir.path().join("clerk.toml");
        std::fs::write(&path, "tools = []").unwrap();
        let chmod = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        chmod(&path, 0o644);
        assert!(Manifest::read(dir.path(), &agent).is_ok(), "the control");
        for (bad, mode, good) in [(&*path, 0o664, 0o644), (dir.path(), 0o777, 0o755)] {
            chmod(bad, mode);
            let read = Manifest::read(dir.path(), &agent);
            assert!(matches!(read, Err(ManifestError::Writable { .. })), "{read:?}");
            chmod(bad, good);
        }
        std::os::unix::fs::symlink(&path, dir.path().join("linked.toml")).unwrap();
        assert!(Manifest::read(dir.path(), &"linked".parse().unwrap()).is_err());
    }
}
