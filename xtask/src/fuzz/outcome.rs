//! What became of one target, read from what libFuzzer has said.

use std::fmt;
use std::process::ExitStatus;

/// Each answer has to come so often, or the promise was hardly put to the test.
const EACH_MIN: u64 = 50;

/// Lines of the end that say why a target failed.
const LINES_SHOWN: usize = 40;

/// What a target did.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    is_success: bool,
    /// Inputs that were tried.
    runs: u64,
    /// Edges of the program that were reached.
    edges: u64,
    /// How often each answer came, by powers of two.
    allowed: u64,
    refused: u64,
    /// The file of the input that it failed on.
    pub(super) input: Option<String>,
    /// Its last lines.
    end: String,
}

impl Outcome {
    /// Reads the log of a target that ended with `status`.
    pub(super) fn read(status: ExitStatus, log: &str) -> Self {
        let mut outcome = Self { is_success: status.success(), ..Self::default() };
        let mut lines = Vec::new();
        for line in log.lines() {
            let number = |word: &str| {
                let rest = line.split_once(word)?.1.trim_start();
                rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
            };
            if let Some(counts) = line.strip_prefix("counted: ") {
                let mut counts = counts.split(' ').filter_map(|word| word.parse().ok());
                outcome.allowed = counts.next().unwrap_or_default();
                outcome.refused = counts.next().unwrap_or_default();
                continue;
            }
            outcome.edges = number(" cov: ").unwrap_or(outcome.edges);
            outcome.runs = number("stat::number_of_executed_units:").unwrap_or(outcome.runs);
            if let Some((_, path)) = line.split_once("Test unit written to ") {
                outcome.input = Some(path.to_owned());
            }
            lines.push(line);
        }
        outcome.end = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
        outcome
    }

    /// Why it failed, when it did.
    pub(super) fn failure(&self) -> Option<String> {
        let (allowed, refused) = (self.allowed, self.refused);
        if !self.is_success {
            return Some(self.end.clone());
        }
        (allowed < EACH_MIN || refused < EACH_MIN)
            .then(|| format!("it proves nothing: {allowed} were allowed and {refused} refused"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failure().is_none() { "ok" } else { "FAILED" };
        let Self { runs, edges, allowed, refused, .. } = self;
        write!(
            f,
            "{verdict:<8} {runs:>10} inputs {edges:>7} edges {allowed:>9} allowed {refused:>9} refused"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const GOOD: &str = "#2 INITED cov: 12 ft: 12 corp: 1/1b\ncounted: 128 allowed, 256 refused\n\
                        #9 NEW    cov: 40 ft: 50\nstat::number_of_executed_units: 900\n";

    #[test]
    fn a_target_is_good_that_ended_well_and_gave_each_answer_often() {
        let ended = ExitStatus::from_raw;
        let good = Outcome::read(ended(0), GOOD);
        assert_eq!((good.runs, good.edges, good.allowed, good.refused), (900, 40, 128, 256));
        assert_eq!(good.failure(), None);
        let crashed =
            format!("{GOOD}panicked\nartifact_prefix='x/'; Test unit written to x/crash-1\n");
        let crashed = Outcome::read(ended(77 << 8), &crashed);
        assert_eq!(crashed.input.as_deref(), Some("x/crash-1"));
        assert!(crashed.failure().is_some_and(|said| said.contains("panicked")));
        for one_sided in
            ["", "counted: 1 allowed, 256 refused\n", "counted: 512 allowed, 32 refused\n"]
        {
            assert!(Outcome::read(ended(0), one_sided).failure().is_some(), "{one_sided}");
        }
    }
}
