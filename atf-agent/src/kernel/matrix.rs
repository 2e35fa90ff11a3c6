//! The matrix: every way out that is tried in the lab, what closes it, and what of the kernel that
//! takes. What a host does not close follows from its features and is never written by hand.

use serde::{Deserialize, Serialize};

use super::probe::Feature;

const MATRIX: &str = include_str!("matrix.toml");

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Short stable name, the same in the lab and in reports.
    pub id: String,
    /// What is tried.
    pub vector: String,
    /// Each control that closes it alone: `A sock_create`, `B socket_create`, `C netns`.
    pub closed_by: Vec<String>,
    /// The features without which it is not closed.
    pub needs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    attempt: Vec<Row>,
}

/// Every row.
///
/// # Panics
/// Never: the text is part of the binary and read by a test.
pub fn rows() -> Vec<Row> {
    let matrix: Matrix = toml::from_str(MATRIX).expect("the matrix in the binary is valid");
    matrix.attempt
}

/// The rows that a host with these features does not close.
pub fn not_covered(features: &[Feature]) -> Vec<Row> {
    let present =
        |need: &String| features.iter().any(|feature| feature.name == *need && feature.present);
    let mut rows = rows();
    rows.retain(|row| !row.needs.iter().all(present));
    rows
}

#[cfg(test)]
mod tests {
    use super::super::probe::{BPF_LSM, LANDLOCK};
    use super::super::programs::{Kind, PROGRAMS};
    use super::*;

    /// What is open without BPF LSM.
    const CORE: [&str; 4] =
        ["unix_visible", "unix_datagram_visible", "passed_fd", "bridge_passed_fd"];

    fn features(has: impl Fn(Kind) -> bool, lsm: bool, landlock: bool) -> Vec<Feature> {
        let programs = PROGRAMS.iter().map(|program| (program.name, has(program.kind)));
        let all = programs.chain([(BPF_LSM, lsm), (LANDLOCK, landlock)]);
        all.map(|(name, present)| Feature { name: name.to_owned(), present, why: String::new() })
            .collect()
    }

    #[test]
    fn what_is_not_covered_follows_from_the_features() {
        for (found, expected) in [
            (features(|_| true, true, true), vec![]),
            (features(|_| true, true, false), vec!["foreign_fifo"]),
            (features(|kind| kind != Kind::Lsm, false, true), CORE.to_vec()),
            (features(|kind| kind == Kind::Inet, false, true), CORE.to_vec()),
        ] {
            let ids: Vec<String> = not_covered(&found).into_iter().map(|row| row.id).collect();
            assert_eq!(ids, expected);
        }
        assert!(not_covered(&features(|_| false, false, false)).len() > 8);
    }

    #[test]
    fn every_need_and_program_of_a_row_exists() {
        let features = features(|_| true, true, true);
        let program = |name: &str| PROGRAMS.iter().any(|program| program.name == name);
        for row in rows() {
            let known = |need: &String| features.iter().any(|feature| feature.name == *need);
            assert!(row.needs.iter().all(known), "{row:?}");
            assert!(!row.closed_by.is_empty(), "{row:?}");
            for control in &row.closed_by {
                match control.split_once(' ') {
                    Some(("A" | "B", name)) => assert!(program(name), "{row:?}"),
                    found => assert!(matches!(found, Some(("C", _))), "{row:?}"),
                }
            }
        }
    }
}
