//! Numbers that nobody can guess and everybody can repeat: SplitMix64.

/// A stream of them.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The stream of one part of a whole: the same for the same numbers, and unlike any other.
    pub(crate) fn of(seed: u64, part: u64, piece: u64) -> Self {
        let whole = Self(seed).next();
        let part = Self(whole ^ part).next();
        Self(part.rotate_left(32) ^ piece)
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `end`, which is small beside 2^64.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    ///
    /// # Panics
    /// When there are none.
    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_deals_the_same_and_another_does_not() {
        let dealt = |mut random: Random| [0; 16].map(|_| random.below(1_000));
        assert_eq!(dealt(Random(7)), dealt(Random(7)));
        assert_ne!(dealt(Random(7)), dealt(Random(8)));
        assert!(dealt(Random(7)).iter().any(|number| *number > 500));
        assert!(dealt(Random(7)).iter().any(|number| *number < 500));
        let all = [(7, 0, 0), (8, 0, 0), (7, 1, 0), (7, 0, 1), (7, 1, 1)];
        for (one, a) in all.iter().enumerate() {
            for (two, b) in all.iter().enumerate() {
                let same = dealt(Random::of(a.0, a.1, a.2)) == dealt(Random::of(b.0, b.1, b.2));
                assert_eq!(same, one == two, "{a:?} {b:?}");
            }
        }
    }
}
