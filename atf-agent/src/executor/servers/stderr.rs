//! What a server writes to its standard error: lines of the operator's log, bounded in length and
//! number, and escaped.

use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::Instant;

use super::framing::{Line, Lines};
use crate::call::Untrusted;

/// Longest line that is logged; a longer one is several.
const LINE_BYTES_MAX: usize = 2_048;

/// Most lines in one period; a server that prints without end does not fill the operator's disk.
const LINES_MAX: u32 = 200;
/// See [`LINES_MAX`].
const PERIOD: Duration = Duration::from_secs(10);

/// Logs the lines of `from` until it ends.
pub(super) async fn log(server: String, from: impl AsyncRead + Unpin) {
    let mut lines = Lines::new(from, LINE_BYTES_MAX);
    let mut meter = Meter { since: Instant::now(), logged: 0, left_out: 0 };
    while let Ok(Some(Line::Whole(line) | Line::Cut(line))) = lines.next().await {
        if !meter.admits(&server, Instant::now()) {
            continue;
        }
        let line = Untrusted::new(String::from_utf8_lossy(&line));
        tracing::info!(%server, %line, "a tool server's standard error");
    }
    meter.tell(&server);
}

/// Counts the lines of a period.
struct Meter {
    since: Instant,
    logged: u32,
    left_out: u64,
}

impl Meter {
    fn admits(&mut self, server: &str, now: Instant) -> bool {
        if now.duration_since(self.since) >= PERIOD {
            self.tell(server);
            *self = Self { since: now, logged: 0, left_out: 0 };
        }
        let admits = self.logged < LINES_MAX;
        match admits {
            true => self.logged += 1,
            false => self.left_out += 1,
        }
        admits
    }

    fn tell(&self, server: &str) {
        if self.left_out > 0 {
            let left_out = self.left_out;
            tracing::warn!(server, left_out, "lines of a tool server's standard error");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_prints_without_end_is_logged_a_little() {
        let now = Instant::now();
        let mut meter = Meter { since: now, logged: 0, left_out: 0 };
        let logged = (0..10_000).filter(|_| meter.admits("s", now)).count();
        assert_eq!((logged, meter.left_out), (200, 9_800));
        assert!(meter.admits("s", now + PERIOD), "the next period");
    }
}
