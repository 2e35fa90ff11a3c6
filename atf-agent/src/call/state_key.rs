//! What a server gives a run to bring back, bound to the one call that it belongs to. A run can neither
//! make such a state nor bring another run's, nor one of another call.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};

use super::random::random;
use super::{Digest, RunId, Target};

/// Longest state of a server, in bytes: it keeps its own half of a talk in it.
pub const STATE_BYTES_MAX: usize = 8 << 10;

/// Hexadecimal characters of the tag in front of the state, and the dot between them.
const TAG_CHARS: usize = 64;

const KEY_BYTES: usize = 32;

/// A key of one start of the gateway: states of an earlier start are void.
pub struct StateKey(hmac::Key);

/// The call that a state belongs to.
#[derive(Debug, Clone, Copy)]
pub struct StateOf<'a> {
    /// Whose it is.
    pub run: RunId,
    /// What it reaches.
    pub target: &'a Target,
    /// The digest of its arguments.
    pub arguments: Digest,
}

impl StateKey {
    /// A key that nobody else has.
    ///
    /// # Panics
    /// When the kernel gives no random bytes.
    pub fn random() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &random::<KEY_BYTES>()))
    }

    /// `state` as a run gets it.
    pub fn bind(&self, of: StateOf<'_>, state: &str) -> String {
        format!("{}.{state}", self.tag(of, state))
    }

    /// The server's state in what a run brings; `None` when it was not given for this call.
    pub fn unbind<'s>(&self, of: StateOf<'_>, brought: &'s str) -> Option<&'s str> {
        let (tag, rest) = brought.split_at_checked(TAG_CHARS)?;
        let state = rest.strip_prefix('.')?;
        let expected = self.tag(of, state);
        constant_time::verify_slices_are_equal(tag.as_bytes(), expected.as_bytes()).ok()?;
        Some(state)
    }

    /// HMAC-SHA256 over run, digest of the arguments, target and state. The first two have a fixed length
    /// and a target has no line end, so that no two calls give the same text.
    fn tag(&self, of: StateOf<'_>, state: &str) -> String {
        let StateOf { run, target, arguments } = of;
        let kind = match target {
            Target::Tool(_) => "tool",
            Target::Prompt(_) => "prompt",
            Target::Resource(_) => "resource",
            Target::Subscription(_) => "subscription",
            Target::PromptArgument(_) => "prompt argument",
            Target::TemplateArgument(_) => "template argument",
            Target::Deferred(_) => "deferred",
        };
        let text = format!("atf-state-v1\n{run}\n{arguments}\n{kind}\n{target}\n{state}");
        let tag = hmac::sign(&self.0, text.as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attacks: a state that was changed, made, or given to another run or for another call.
    #[test]
    fn a_state_is_of_one_call_of_one_run() {
        let key = StateKey::random();
        let run = |byte: u8| format!("{byte:032x}").parse::<RunId>().unwrap();
        let (tool, other) = ["f.a", "f.b"].map(|name| Target::Tool(name.parse().unwrap())).into();
        let prompt = Target::Prompt("f.a".parse().unwrap());
        let (arguments, others) = (Digest::of(b"{}"), Digest::of(b"{ }"));
        let of = |run, target, arguments| StateOf { run, target, arguments };
        let mine = of(run(1), &tool, arguments);
        for state in ["", "s", "line\nend", "\u{e9}.x"] {
            let bound = key.bind(mine, state);
            assert_eq!(key.unbind(mine, &bound), Some(state), "the control");
            for thief in [
                of(run(2), &tool, arguments),
                of(run(1), &other, arguments),
                of(run(1), &prompt, arguments),
                of(run(1), &tool, others),
            ] {
                assert_eq!(key.unbind(thief, &bound), None, "{thief:?}");
            }
            assert_eq!(StateKey::random().unbind(mine, &bound), None, "another start");
            for bad in [
                format!("{bound}x"),
                state.to_owned(),
                format!(".{state}"),
                format!("{}.{state}", "0".repeat(TAG_CHARS)),
                bound.replacen('.', "", 1),
                bound.to_uppercase().replacen(&state.to_uppercase(), state, 1),
            ] {
                let same = bad == bound;
                assert_eq!(key.unbind(mine, &bad).is_some(), same, "{bad}");
            }
        }
    }
}
