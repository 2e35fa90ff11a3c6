//! The system call filter of a run, seccomp(2). Programs of which the strictest answer counts: what is
//! allowed at all, and what does not exist. What is not allowed is answered by the run's keeper, which
//! records it ([`refusals`](super::refusals)) and can only choose the error; where a listener cannot be
//! had, by the kernel alone.

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

/// The programs of a run. Each kills on a foreign architecture (`int 0x80` on x86-64), where the numbers
/// mean other calls.
pub(super) struct Filters {
    /// Installed first, whatever follows.
    pub(super) missing: BpfProgram,
    /// What is not allowed waits for the keeper's answer.
    pub(super) listening: BpfProgram,
    /// In its place where there can be no listener, in this order: the errors are the same.
    pub(super) silent: Vec<BpfProgram>,
}

/// Compiles the programs.
pub(super) fn compile() -> Result<Filters, RunError> {
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

/// What a refused call answers.
pub(super) fn error_for(call: i64) -> i32 {
    match call {
        libc::SYS_socket | libc::SYS_socketpair => libc::EAFNOSUPPORT,
        call if missing::is_recorded(call) => libc::ENOSYS,
        _ => libc::EPERM,
    }
}

fn all() -> Result<Filters, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let program = |rules: Rules, otherwise: SeccompAction, matching: SeccompAction| {
        SeccompFilter::new(rules, otherwise, matching, arch)?.try_into()
    };
    let deny = |errno: i32| SeccompAction::Errno(errno.cast_unsigned());
    // An errno is stricter than a question to the keeper. When two programs answer with an errno, the one
    // installed last is heard, so the calls that are missing are also allowed.
    Ok(Filters {
        missing: program(missing::rules(), SeccompAction::Allow, deny(libc::ENOSYS))?,
        listening: listening(program(allowed::rules()?, PLACE, SeccompAction::Allow)?),
        silent: vec![
            program(allowed::rules()?, deny(libc::EPERM), SeccompAction::Allow)?,
            program(missing::recorded_rules(), SeccompAction::Allow, deny(libc::ENOSYS))?,
            program(sockets::refused()?, SeccompAction::Allow, deny(libc::EAFNOSUPPORT))?,
        ],
    })
}

/// Stands for the answer that the compiler has no name for. No rule says it.
const PLACE: SeccompAction = SeccompAction::Trace(0);

/// The program with each [`PLACE`] asking the listener.
fn listening(mut program: BpfProgram) -> BpfProgram {
    let returns = (libc::BPF_RET | libc::BPF_K) as u16;
    for instruction in &mut program {
        if instruction.code == returns && instruction.k == u32::from(PLACE) {
            instruction.k = libc::SECCOMP_RET_USER_NOTIF;
        }
    }
    program
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
