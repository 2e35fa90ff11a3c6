//! Which canaries a storm must not reach: those to which every way is closed.

use atf_agent::kernel::matrix;

use crate::attempts::ATTEMPTS;
use crate::demo::installation::Doctor;

/// What is open all the same.
pub(super) struct Held {
    open: Vec<&'static str>,
}

impl Held {
    /// By the whole cage: all but what the doctor lists.
    pub(super) fn by_all(doctor: &Doctor) -> Self {
        Self::but(true, |id| doctor.not_covered.iter().any(|listed| listed == id))
    }

    /// By one layer, around a run with a bridge or one without: all that the matrix says it closes alone.
    pub(super) fn by(layer: char, is_bridged: bool) -> Self {
        let rows = matrix::rows();
        Self::but(is_bridged, |id| {
            let row = rows.iter().find(|row| row.id == id);
            !row.is_some_and(|row| row.closed_by.iter().any(|by| by.starts_with(layer)))
        })
    }

    /// A canary is open when one attempt that reaches it is.
    fn but(is_bridged: bool, is_open: impl Fn(&str) -> bool) -> Self {
        let open = ATTEMPTS.iter().filter(|attempt| attempt.bridged.is_none() || is_bridged);
        let open = open.filter(|attempt| is_open(attempt.id));
        Self { open: open.map(|attempt| attempt.canary).collect() }
    }

    /// Of the canaries that were reached, those that must not be.
    pub(super) fn of(&self, reached: &[(&'static str, u64)]) -> Vec<&'static str> {
        let names = reached.iter().map(|(name, _)| *name);
        names.filter(|name| !self.open.contains(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_held_to_what_the_matrix_says_of_it() {
        let reached = ["tcp4", "loopback", "unix_path", "unix_visible", "foreign_fifo"];
        let reached = reached.map(|canary| (canary, 1));
        let listed = |ids: &[&str]| Doctor {
            posture: "CORE".to_owned(),
            not_covered: ids.iter().map(|id| (*id).to_owned()).collect(),
        };
        for (held, expected) in [
            (Held::by('A', false), vec!["tcp4", "loopback"]),
            // Whose loopback it is, is the launcher's to see to.
            (Held::by('A', true), vec!["tcp4"]),
            (Held::by('B', false), vec!["tcp4", "loopback", "unix_path", "unix_visible"]),
            (Held::by('C', false), vec!["tcp4", "loopback", "unix_path", "foreign_fifo"]),
            (Held::by('C', true), vec!["tcp4", "loopback", "unix_path", "foreign_fifo"]),
            (
                Held::by_all(&listed(&["unix_visible"])),
                vec!["tcp4", "loopback", "unix_path", "foreign_fifo"],
            ),
        ] {
            assert_eq!(held.of(&reached), expected);
        }
    }
}
