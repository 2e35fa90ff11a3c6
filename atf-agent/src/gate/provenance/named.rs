//! What a task and a prompt name, made by the launcher, which alone reads them.

use super::sequence::Sequence;
use super::words::words;
use crate::call::{BREAK, MarkKey, NAMED_MARKS_MAX, Named};

/// The words of `texts` as marks under a new key, the first text first: what has no room any more is
/// named by nothing.
pub fn name(texts: &[&str]) -> Named {
    let key = MarkKey::random();
    let mut marks = Vec::new();
    for text in texts {
        marks.extend(words(text).take(NAMED_MARKS_MAX - marks.len()).map(|word| word.mark(&key)));
        if marks.len() < NAMED_MARKS_MAX {
            marks.push(BREAK);
        }
    }
    Named::new(key, marks)
}

/// Whether the task of a run, the first text that was named, has `words` in it, one after the other.
pub fn task_says(named: &Named, words: &str) -> bool {
    let task = named.marks().split(|mark| *mark == BREAK).next().unwrap_or_default();
    let sought: Vec<_> = super::words::words(words).map(|word| word.mark(named.key())).collect();
    Sequence::of(task, NAMED_MARKS_MAX).has(&sought)
}
