//! Random messages, and changed ones, held against the promise of the reader.

use proptest::prelude::*;

use super::promises::messages::{CALL, Messages};

/// A change of one place: bytes that matter to a parser put over, into or out of a message.
fn mutated(mut bytes: Vec<u8>, changes: &[(usize, usize, u8)]) -> Vec<u8> {
    const PIECES: [&[u8]; 24] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u0061",
        b"\\ud800",
        b"null",
        b"1.0",
        b"1e400",
        b"-0",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\"id\":2,",
        b"\"ID\":2,",
        b"\"method\":\"ping\",",
        b"\"name\":\"y\",",
        b" ",
        b"\n",
        b"\0",
        b"9007199254740993",
    ];
    for &(at, what, kind) in changes {
        let at = at % (bytes.len() + 1);
        let piece = PIECES[what % PIECES.len()];
        match kind % 3 {
            0 => drop(bytes.splice(at..at, piece.iter().copied())),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let end = (at + piece.len()).min(bytes.len());
                drop(bytes.splice(at..end, piece.iter().copied()));
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        Messages::alone().keep(&bytes);
    }

    #[test]
    fn random_json_like_text_never_panics(text in "[\\[\\]{}\",:\\\\u0-9a-f.eE+ -]{0,80}") {
        Messages::alone().keep(text.as_bytes());
    }

    #[test]
    fn a_mutated_message_is_refused_or_read_as_others_read_it(
        arguments in "[a-z0-9 ]{0,12}",
        changes in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<u8>()), 0..4),
    ) {
        let json = CALL.replacen("SELECT 1", &arguments, 1);
        Messages::alone().keep(&mutated(json.into_bytes(), &changes));
    }
}
