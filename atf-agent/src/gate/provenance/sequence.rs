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
        self.after(value).next().is_some()
    }

    /// What follows `value`, each time that it stands in it.
    pub(super) fn after<'s>(&'s self, value: &[Mark]) -> impl Iterator<Item = &'s [Mark]> {
        let (first, rest) = value.split_first().map_or((None, &[][..]), |(f, r)| (Some(f), r));
        let mut left = &self.marks[..];
        std::iter::from_fn(move || {
            loop {
                let found = left.iter().position(|mark| Some(mark) == first)?;
                left = &left[found + 1..];
                if let Some(after) = left.strip_prefix(rest) {
                    return Some(after);
                }
            }
        })
    }

    /// How many marks are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }
}
