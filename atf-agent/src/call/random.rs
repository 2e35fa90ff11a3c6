//! Random bytes, of the kernel itself. A library of cryptography gathers noise of its own before the first
//! ones, some forty milliseconds of a processor in each process: of a launcher, most of its work.

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

/// Bytes that the kernel gives at once, or not at all (getrandom(2)).
const AT_ONCE_MAX: usize = 256;

/// `N` bytes that nobody guesses.
///
/// # Panics
/// When the kernel gives none; nothing can be decided then.
pub(super) fn random<const N: usize>() -> [u8; N] {
    const { assert!(N <= AT_ONCE_MAX) };
    let mut bytes = [0; N];
    let found = retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()));
    assert_eq!(found, Ok(N), "the kernel gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_are_random() {
        let all: Vec<[u8; 32]> = (0..64).map(|_| random()).collect();
        for at in 0..32 {
            assert!(
                all.iter().any(|bytes| bytes[at] != all[0][at]),
                "byte {at} is always the same"
            );
        }
    }
}
