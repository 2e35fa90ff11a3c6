//! The words of ATF, one meaning each: run, caller, call, step, refusal. Plain values; nothing here
//! does I/O, decides, or knows a library of a higher floor.

mod approval;
mod approvers;
mod deferred;
mod delegation;
mod digest;
mod mac;
mod named;
mod names;
mod narrowing;
mod notice;
mod question;
mod random;
mod reach;
mod refusal;
mod state_key;
mod target;
mod untrusted;

pub use approval::{APPROVAL_ARGUMENTS_BYTES_MAX, Approvable, Approval, Approver, Standing};
pub use approvers::{MayGrant, MayNotGrant};
pub use deferred::{Deferral, Deferred, DeferredStatus, Defers};
pub use delegation::{Chain, DELEGATIONS_MAX, Delegator};
pub use digest::{Digest, DigestError};
pub use mac::Mac;
pub use named::{BREAK, Mark, MarkKey, NAMED_MARKS_MAX, Named, NamedError};
pub use names::{
    AgentName, CgroupId, DecisionId, DeferredId, NameError, PromptName, RunId, ToolName,
};
pub use narrowing::{NARROWING_BYTES_MAX, Narrowing};
pub use notice::{Level, Notice, Notices};
pub use question::{Question, Questions};
pub use reach::{REACH_BYTES_MAX, Reach, ResourceScope, ScopeError};
pub use refusal::{Reason, Refusal, Step};
pub use state_key::{STATE_BYTES_MAX, StateKey, StateOf};
pub use target::{AddressError, ResourceUri, Target, UriTemplate};
pub use untrusted::Untrusted;

/// Who the kernel says is on a connection. There is no "nobody" variant: a connection without a
/// proven caller is closed before it becomes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The run whose listening socket was reached.
    pub run: RunId,
    /// The cgroup that the kernel attests for the process that connected.
    pub cgroup: CgroupId,
}
