//! Marks of the texts of one origin, in their order, up to a bound.

use crate::call::{BREAK, Mark};

/// Marks in the order of their words.
#[derive(Debug)]
pub(super) struct Sequence {
    marks: Vec<Mark>,
    most: usize,
}

impl Sequence {
    /// An empty one, for at most `most` marks.
    pub(super) fn new(most: usize) -> Self {
        Self { marks: Vec::new(), most }
    }

    /// One that begins with `marks`.
    pub(super) fn of(marks: &[Mark], most: usize) -> Self {
        let kept = marks.len().min(most);
        Self { marks: marks[..kept].to_vec(), most }
    }

    /// Whether nothing more is kept. What comes after is in no sequence, and so is vouched for by none.
    pub(super) fn is_full(&self) -> bool {
        self.marks.len() >= self.most
    }

    /// Adds a mark, unless it is full.
    pub(super) fn push(&mut self, mark: Mark) {
        if !self.is_full() {
            self.marks.push(mark);
        }
    }

    /// Ends a text.
    pub(super) fn end_text(&mut self) {
        if self.marks.last().is_some_and(|last| *last != BREAK) {
            self.push(BREAK);
        }
    }

    /// Whether `value` stands in it, whole and within one text.
    pub(super) fn has(&self, value: &[Mark]) -> bool {
        has(&self.marks, value)
    }

    /// What follows any of `values`, each time that one of them stands in it. Values of few marks: each is held against
    /// each place where its first one stands.
    pub(super) fn after_any<'s>(
        &'s self,
        values: &'s [Vec<Mark>],
    ) -> impl Iterator<Item = &'s [Mark]> {
        let mut firsts: Vec<Mark> =
            values.iter().filter_map(|value| value.first().copied()).collect();
        firsts.sort_unstable();
        firsts.dedup();
        let begun = (0..self.marks.len()).filter(move |at| firsts.contains(&self.marks[*at]));
        begun.flat_map(|at| {
            let left = &self.marks[at..];
            values.iter().filter_map(|value| left.strip_prefix(value.as_slice()))
        })
    }

    /// How many marks are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }
}

/// Whether `value`, which is not empty, stands in `text`. A run chooses both, so the time is bounded by their lengths and not
/// by the product of them, however much of `value` repeats itself (Knuth, Morris and Pratt, SIAM J. Comput. 6, 1977).
fn has<T: PartialEq>(text: &[T], value: &[T]) -> bool {
    if value.is_empty() {
        return false;
    }
    let borders = borders(value);
    let mut matched = 0;
    text.iter().any(|mark| {
        matched = extended(value, &borders, matched, mark);
        matched == value.len()
    })
}

/// For each beginning of `value`, how long a shorter one it ends in.
fn borders<T: PartialEq>(value: &[T]) -> Vec<usize> {
    let mut borders = Vec::with_capacity(value.len());
    let mut matched = 0;
    for (at, mark) in value.iter().enumerate() {
        if at > 0 {
            matched = extended(value, &borders, matched, mark);
        }
        borders.push(matched);
    }
    borders
}

/// How much of `value` ends with `mark`, when `matched` of it, less than all, ended before.
fn extended<T: PartialEq>(value: &[T], borders: &[usize], mut matched: usize, mark: &T) -> usize {
    while value[matched] != *mark {
        match matched {
            0 => return 0,
            longer => matched = borders[longer - 1],
        }
    }
    matched + 1
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A word whose comparisons are counted.
    struct Counted(u8);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    fn counted(words: &[u8]) -> Vec<Counted> {
        words.iter().copied().map(Counted).collect()
    }

    /// The attack: `a a a ...`, in which `a a a ... b` is looked for.
    #[test]
    fn what_repeats_itself_is_not_compared_over_and_over() {
        let text = counted(&[b'a'; 32_768]);
        let value = counted(&[[b'a'; 1_999].as_slice(), b"b"].concat());
        COMPARED.set(0);
        assert!(!has(&text, &value));
        let most = 2 * (text.len() + value.len());
        assert!(COMPARED.get() <= most, "{} comparisons", COMPARED.get());
        // The control: place by place.
        COMPARED.set(0);
        assert!(!text.windows(value.len()).any(|window| window == value));
        assert!(COMPARED.get() > 100 * most);
    }

    proptest! {
        #[test]
        fn it_finds_what_is_there_and_nothing_else(
            text in prop::collection::vec(0_u8..3, 0..40),
            value in prop::collection::vec(0_u8..3, 0..6),
        ) {
            let there = !value.is_empty() && text.windows(value.len()).any(|window| window == value);
            prop_assert_eq!(has(&text, &value), there);
        }
    }
}
