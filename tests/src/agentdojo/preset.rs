//! The presets: ways in which a team may set ATF up, from nothing to strict. Each is measured as it is.

use anyhow::{Result, ensure};

/// Which tools a run's token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tools {
    /// All of the suite.
    All,
    /// None.
    None,
    /// Those of the task's own calls: what an oracle would give.
    Oracle,
    /// Those of which the task says a word.
    Words,
}

/// One way to set ATF up.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    pub(super) tools: Tools,
    /// `provenance.demand` for all marked arguments.
    pub(super) demand: &'static str,
    /// Whether the operator's demands by argument hold.
    pub(super) by_argument: bool,
    /// `provenance.secrets_to_sinks`.
    pub(super) secrets: &'static str,
}

/// Without a demand.
const fn off(name: &'static str, tools: Tools) -> Preset {
    Preset { name, tools, demand: "off", by_argument: false, secrets: "allow" }
}

/// With one for all marked arguments, and secrets kept from sinks.
const fn on(name: &'static str, tools: Tools, demand: &'static str) -> Preset {
    Preset { name, tools, demand, by_argument: false, secrets: "deny" }
}

/// All of them.
pub(super) const PRESETS: [Preset; 11] = [
    off("allow all", Tools::All),
    off("deny all", Tools::None),
    off("tools of the task's calls", Tools::Oracle),
    off("words", Tools::Words),
    on("known", Tools::All, "known"),
    on("trusted", Tools::All, "trusted"),
    on("named", Tools::All, "named"),
    Preset { by_argument: true, ..on("by argument", Tools::All, "trusted") },
    on("words, trusted", Tools::Words, "trusted"),
    on("words, named", Tools::Words, "named"),
    Preset { by_argument: true, ..on("words, by argument", Tools::Words, "trusted") },
];

/// Those of a sample: nothing in the way, and all that there is.
pub const SAMPLED: [&str; 2] = ["allow all", "words, by argument"];

/// Those of these names; all when there are none.
///
/// # Errors
/// When there is none of a name.
pub(super) fn chosen(names: &[String]) -> Result<Vec<&'static Preset>> {
    for name in names {
        let known = PRESETS.map(|preset| preset.name);
        ensure!(known.contains(&name.as_str()), "no preset {name:?}; there are {known:?}");
    }
    let is_chosen = |p: &&Preset| names.is_empty() || names.iter().any(|name| name == p.name);
    Ok(PRESETS.iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_has_one_name_and_an_unknown_one_is_refused() {
        let all = chosen(&[]).expect("all");
        assert_eq!(all.len(), PRESETS.len());
        for (i, preset) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other.name != preset.name), "{}", preset.name);
        }
        let sampled = chosen(&SAMPLED.map(str::to_owned)).expect("known");
        assert_eq!(sampled.iter().map(|p| p.name).collect::<Vec<_>>(), SAMPLED);
        assert!(chosen(&["no such".to_owned()]).is_err());
    }
}
