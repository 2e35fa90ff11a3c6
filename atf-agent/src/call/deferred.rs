//! Calls whose results are fetched later. MCP calls them tasks; here a task is what a run is for.

use serde::{Deserialize, Serialize};

use super::names::ToolName;

/// What is asked of a deferred call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deferral {
    /// `tasks/get`: how far it is; in 2026-07-28 its result too.
    Get,
    /// `tasks/result`, up to 2025-11-25.
    Result,
    /// `tasks/cancel`.
    Cancel,
    /// `tasks/update`, in 2026-07-28: what the run answers to its questions.
    Update,
}

impl Deferral {
    /// The method that asks it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Get => "tasks/get",
            Self::Result => "tasks/result",
            Self::Cancel => "tasks/cancel",
            Self::Update => "tasks/update",
        }
    }
}

/// How far a deferred call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferredStatus {
    /// The server works on it.
    Working,
    /// The server waits for answers.
    InputRequired,
    /// There is a result.
    Completed,
    /// There is an error.
    Failed,
    /// There will be nothing.
    Cancelled,
}

/// A deferred call, by the tool that was called, and what is asked of it. Which one it is, the arguments say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deferred {
    /// The tool.
    pub tool: ToolName,
    /// What is asked.
    pub asks: Deferral,
}

/// Whether the calls of a tool may be deferred, by its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Defers {
    /// None.
    #[default]
    Forbidden,
    /// Those that want to be.
    Optional,
    /// Every one: others are refused.
    Required,
}
