//! Rows for each rule, the corpora, a real SQLite, hostile depth and random soup.

mod corpora;
