//! Built-in functions whose errors end the evaluation.
//!
//! The register machine takes the error of a function inside a rule for "undefined", so that `not` of that
//! rule is true. An error of one of its limits it lets through. Each function is therefore called through one
//! of ours, which gives it strict arguments and turns its error into such a one; the words of the error wait
//! beside it.

use std::cell::RefCell;
use std::sync::LazyLock;

use anyhow::Result;
use regorus::unstable::{BUILTINS, BuiltinFcn, Expr, Ref, Span};
use regorus::{LimitError, Value};

/// A built-in function, as the library calls it.
type Function = fn(&Span, &[Ref<Expr>], &[Value], bool) -> Result<Value>;

/// The functions that there are, by name; a function's guard has its place here.
static FUNCTIONS: LazyLock<Vec<(&'static str, BuiltinFcn)>> = LazyLock::new(|| {
    let mut all: Vec<_> = BUILTINS.iter().map(|(name, function)| (*name, *function)).collect();
    all.sort_unstable_by_key(|(name, _)| *name);
    all
});

thread_local! {
    static FAILED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The function `name` under guard; `None` when there is no such function, or no guard for it.
pub(super) fn guarded(name: &str) -> Option<BuiltinFcn> {
    let place = FUNCTIONS.binary_search_by_key(&name, |(name, _)| name).ok()?;
    let (_, (_, arity)) = FUNCTIONS.get(place)?;
    Some((*GUARDS.get(place)?, *arity))
}

/// Why the last evaluation on this thread was ended by a function; told once.
pub(super) fn failure() -> Option<String> {
    FAILED.take()
}

/// The guard of the function at `PLACE`.
fn guard<const PLACE: usize>(
    span: &Span,
    expressions: &[Ref<Expr>],
    arguments: &[Value],
    _strict: bool,
) -> Result<Value> {
    let called = match FUNCTIONS.get(PLACE) {
        Some((_, (function, _))) => function(span, expressions, arguments, true),
        None => Err(anyhow::anyhow!("no built-in function has number {PLACE}")),
    };
    called.map_err(|error| {
        FAILED.set(Some(error.to_string()));
        // Any of the errors that are let through: this one is of no clock and of no memory.
        LimitError::RegexSizeLimitExceeded { limit: 0 }.into()
    })
}

macro_rules! guards {
    ($($tens:literal)*) => {
        [$(
            guard::<{ $tens * 10 }>, guard::<{ $tens * 10 + 1 }>, guard::<{ $tens * 10 + 2 }>,
            guard::<{ $tens * 10 + 3 }>, guard::<{ $tens * 10 + 4 }>, guard::<{ $tens * 10 + 5 }>,
            guard::<{ $tens * 10 + 6 }>, guard::<{ $tens * 10 + 7 }>, guard::<{ $tens * 10 + 8 }>,
            guard::<{ $tens * 10 + 9 }>,
        )*]
    };
}

/// One for each function, and some to spare.
const GUARDS: [Function; 250] =
    guards!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_guard() {
        for (name, (_, arity)) in BUILTINS.iter() {
            assert_eq!(guarded(name).map(|(_, arity)| arity), Some(*arity), "{name}");
        }
        assert!(guarded("no.function").is_none());
    }
}
