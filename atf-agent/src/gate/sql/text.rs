//! R0, the raw text, before anything reads it.

use super::refusal::{Position, Rule, SqlRefusal};

/// Longest statement, in bytes. The parser's time and depth grow with the text: 65 kB of `1+1+1`
/// end a 2 MiB stack, and 8 KiB are judged in well under a millisecond.
pub(super) const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Refuses a text that no honest client sends: empty, too long, with control characters or a
/// byte-order mark. Letters outside ASCII are the scanner's to judge, which knows the literals.
pub(super) fn guard(text: &str) -> Result<(), SqlRefusal> {
    let no = |at, found: String, allowed: &str| Err(SqlRefusal::new(Rule::R0, at, found, allowed));
    if text.len() > TEXT_BYTES_MAX {
        let allowed = format!("{TEXT_BYTES_MAX} bytes at most");
        return no(None, format!("{} bytes", text.len()), &allowed);
    }
    // Most texts have nothing to look for.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')) {
        return Ok(());
    }
    let mut at = Position { line: 1, column: 1 };
    for c in text.chars() {
        let refused = match c {
            '\t' | '\n' | '\r' => false,
            '\u{feff}' => at == (Position { line: 1, column: 1 }),
            c => c.is_control(),
        };
        if refused {
            let found = format!("the character {}", c.escape_unicode());
            return no(Some(at), found, "text, tabs and line ends");
        }
        if c == '\n' {
            at = Position { line: at.line + 1, column: 1 };
        } else {
            at.column += 1;
        }
    }
    Ok(())
}
