//! The parsers that a call may meet, each in a process of its own that answers line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Prints, for each line of base64, what it reads of the message, or `null` when it refuses it.
const PYTHON: &str = r#"
import base64, json, sys
for line in sys.stdin:
    try:
        m = json.loads(base64.b64decode(line))
    except Exception:
        print("null", flush=True)
        continue
    p = m.get("params") if isinstance(m, dict) else None
    p = p if isinstance(p, dict) else {}
    said = [m.get("method"), m.get("id"), p.get("name"), p.get("arguments")] if isinstance(m, dict) else [m]
    try:
        print(json.dumps(said), flush=True)
    except RecursionError:
        print("[]", flush=True)
"#;
const JAVASCRIPT: &str = r#"
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  let said = null;
  try {
    const m = JSON.parse(Buffer.from(line, "base64").toString("utf8"));
    const p = (m && m.params) || {};
    said = Array.isArray(m) || m === null || typeof m !== "object" ? [m] : [m.method, m.id, p.name, p.arguments];
  } catch {}
  process.stdout.write(JSON.stringify(said) + "\n");
});
"#;

const PROGRAMS: [(&str, [&str; 2]); 2] =
    [("python3", ["-c", PYTHON]), ("node", ["-e", JAVASCRIPT])];

/// One of them.
pub(in crate::gate) struct Peer {
    name: &'static str,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Those that are here. The comparison with one that is missing proves nothing: that is said, and
    /// fails in CI.
    pub(in crate::gate) fn all() -> Vec<Self> {
        let start = |(name, arguments): (&'static str, [&str; 2])| {
            let mut command = Command::new(name);
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
            let Ok(mut child) = command.spawn() else {
                eprintln!("{name} is missing: what it reads was not compared");
                assert!(std::env::var_os("CI").is_none(), "{name} is missing in CI");
                return None;
            };
            let (to, from) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
            Some(Self { name, child, to, from })
        };
        PROGRAMS.into_iter().filter_map(start).collect()
    }

    pub(in crate::gate) fn name(&self) -> &'static str {
        self.name
    }

    /// Reads a message as one in which this was said.
    ///
    /// # Errors
    /// What it reads, when that is something else.
    pub(in crate::gate) fn agrees(&mut self, said: &Value, message: &[u8]) -> Result<(), Value> {
        let found = self.reads(message);
        if alike_to(said, &found, self.name == "node") { Ok(()) } else { Err(found) }
    }

    /// What it makes of a message: method, id, name and arguments, or null when it refuses it.
    pub(in crate::gate) fn reads(&mut self, message: &[u8]) -> Value {
        let line = STANDARD.encode(message) + "\n";
        self.to.write_all(line.as_bytes()).expect("it reads");
        let mut said = String::new();
        self.from.read_line(&mut said).expect("it answers");
        // What JSON has no word for, as a lone surrogate, stays the text that it is.
        serde_json::from_str(&said).unwrap_or(Value::String(said))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The same value to everybody: numbers by what they are, not by how they are kept.
#[cfg(test)]
pub(in crate::gate) fn alike(a: &Value, b: &Value) -> bool {
    alike_to(a, b, false)
}

/// The same value; `of_doubles` to one to whom every number is a double. Such a one prints the shortest digits
/// that lead back to the double, which are others than those of the whole number that it is.
fn alike_to(a: &Value, b: &Value, of_doubles: bool) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) if !of_doubles => a == b,
            // A whole number that no double is was read as another one.
            (Some(whole), _) if of_doubles => {
                let double = whole as f64;
                double as i128 == i128::from(whole) && b.as_f64() == Some(double)
            }
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike_to(a, b, of_doubles))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(name, a)| b.get(name).is_some_and(|b| alike_to(a, b, of_doubles));
            a.len() == b.len() && a.iter().all(has)
        }
        _ => a == b,
    }
}
