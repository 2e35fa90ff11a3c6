//! The decision. Each step takes what the step before made and gives what the next one needs, so that
//! none can be left out: `Received -> Authenticated -> WellFormed -> SqlChecked -> Traced -> Judged -> Permit`.
//! After its rules are loaded it does no I/O and reads no clock: it can fail only by saying no.

mod act;
mod approvers;
mod ask;
mod authenticate;
pub(crate) mod bundle;
mod conditions;
pub mod corpus;
mod decide;
mod deferral;
mod definitions;
mod demand;
mod envelope;
mod era;
mod explain;
mod facts;
mod hearing;
mod hours;
mod id;
mod json;
mod learn;
mod level;
mod limits;
mod lint;
mod lists;
mod method;
mod narrow;
mod params;
mod permit;
mod pins;
mod policy;
mod policy_source;
mod policy_tests;
mod profile;
mod provenance;
mod quotas;
mod receive;
mod references;
mod rego;
mod replay;
mod reply;
mod response;
mod revision;
mod schema;
pub mod sql;
mod statement;
mod talk;
mod tighten;
mod tool;
mod tool_call;
mod unread;
mod wants;

#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "what does not hold ends a test, and a target")]
mod attempt;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "what does not hold ends a test, and a target")]
pub mod promises;

#[cfg(test)]
mod approved;
#[cfg(test)]
mod ask_vectors;
#[cfg(test)]
mod differentials;
#[cfg(test)]
mod fuzzed;
#[cfg(test)]
mod line;
#[cfg(test)]
mod pin_attacks;
#[cfg(test)]
mod pin_random;
#[cfg(test)]
mod policy_rows;
#[cfg(test)]
mod receive_random;
#[cfg(test)]
mod receive_vectors;
#[cfg(test)]
mod stateless_vectors;
#[cfg(test)]
mod waived;

pub use act::{Act, Asked, Checked, check_ask};
pub use ask::Ask;
pub use authenticate::{Authenticated, authenticate};
pub use bundle::{
    BUNDLE_BYTES_MAX, BundleError, Manifest, PolicySettings, Signers, add_manifest, capabilities,
    pack, sign, unpack,
};
pub use decide::{Presented, Rules, decide};
pub use deferral::{Begun, Handle, TASKS, may_defer};
pub use demand::{Moment, demand, reserve};
pub(crate) use envelope::case_variant;
pub use era::{Era, STATELESS, Stated};
pub use explain::{Decider, Explained, ExplainedRule, Held, Place, explain};
pub use facts::{Counters, Facts, Obligations};
pub use hearing::{Answer, Hearing, HearingError};
pub use id::Id;
pub use json::value;
pub use learn::{Learnt, learn};
pub use lint::hidden_text;
pub use lists::Lists;
pub use method::{Method, Notification};
pub use narrow::{Fragments, lint_fragment, lint_fragment_of};
pub use permit::{PERMIT_TTL_S, Permit, Terms};
pub use pins::{Pin, PinError, Pins};
pub use policy::{Judged, Policy, PolicyError, judge};
pub use policy_tests::{Covered, PolicyTest, test_policy};
pub use provenance::{Known, Origin, Results, Traced, Trust, name, task_says, trace};
pub use receive::{Limits, Message, Received};
pub use replay::{Change, Difference, differences, replay};
pub use reply::{Code, Reply};
pub use response::{Continues, Response, is_answer};
pub use revision::Revision;
pub use schema::{WellFormed, check_schema};
pub use statement::{SqlChecked, check_sql};
pub use talk::Talk;
pub use tighten::tighten;
pub use tool::{ToolMode, UNENFORCED};
pub use tool_call::ToolCall;
pub use wants::Wants;
