//! The system call filter of a run, seccomp(2). Three programs, of which the strictest answer counts:
//! what is allowed at all, what does not exist, and which sockets may be made.

mod allowed;
mod calls;
mod missing;
mod sockets;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::RunError;

/// System calls by number, each with the rules of which one must match; none means always.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Compiles the programs, to be installed in this order. Each kills on a foreign architecture
/// (`int 0x80` on x86-64), where the numbers mean other calls.
pub(super) fn compile() -> Result<Vec<BpfProgram>, RunError> {
    all().map_err(|error| RunError::Os {
        doing: "compile the system call filter".to_owned(),
        error: std::io::Error::other(error),
    })
}

/// The numbers of the calls that a run may make, some of them with some arguments alone. For whatever
/// stands around a run and must leave these to it: a service manager's filter.
pub fn allowed_calls() -> Vec<i64> {
    // Rules that do not compile allow nothing.
    allowed::rules().map(|rules| rules.into_keys().collect()).unwrap_or_default()
}

fn all() -> Result<Vec<BpfProgram>, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let program = |rules: Rules, otherwise: SeccompAction, matching: SeccompAction| {
        SeccompFilter::new(rules, otherwise, matching, arch)?.try_into()
    };
    let deny = |errno: i32| SeccompAction::Errno(errno.cast_unsigned());
    // When two programs answer with an errno, the one installed last is heard, so the calls of the
    // second and third are also in the first.
    Ok(vec![
        program(allowed::rules()?, deny(libc::EPERM), SeccompAction::Allow)?,
        program(missing::rules(), SeccompAction::Allow, deny(libc::ENOSYS))?,
        program(sockets::rules()?, SeccompAction::Allow, deny(libc::EAFNOSUPPORT))?,
    ])
}

/// All of `conditions` together. The kernel looks at the low 32 bits of these arguments, so only
/// those are compared: the others are whatever the caller left there.
fn rule(conditions: &[(u8, SeccompCmpOp, u32)]) -> Result<SeccompRule, BackendError> {
    let conditions: Result<Vec<_>, _> = conditions
        .iter()
        .map(|(argument, is, value)| {
            let low = SeccompCmpArgLen::Dword;
            SeccompCondition::new(*argument, low, is.clone(), u64::from(*value))
        })
        .collect();
    SeccompRule::new(conditions?)
}
