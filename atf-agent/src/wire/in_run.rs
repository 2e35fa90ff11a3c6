//! Where a run finds what is its. It is the same in every run, so that a program to which nobody passes
//! the run's environment on, as hosts of MCP do with the servers that they start, finds it too.

/// The gateway's directory, as the run sees it.
pub const GATEWAY: &str = "/run/atf/gateway";

/// The gateway's door for HTTP.
pub const SOCKET: &str = "/run/atf/gateway/mcp.sock";

/// The gateway's door for lines.
pub const LINES_SOCKET: &str = "/run/atf/gateway/lines.sock";

/// The identity directory, as the run sees it.
pub const IDENTITY: &str = "/run/atf/identity";

/// The run's token.
pub const TOKEN: &str = "/run/atf/identity/token";

/// The digest of the run's system prompt.
pub const PROMPT: &str = "/run/atf/identity/prompt_sha256";
