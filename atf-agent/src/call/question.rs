//! What a server may ask of a run while it works on one of the run's calls.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One kind of question, by its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Question {
    /// The user fills in a form.
    #[serde(rename = "elicitation/create")]
    Elicitation,
    /// The run's model says something.
    #[serde(rename = "sampling/createMessage")]
    Sampling,
    /// The folders that the run works on.
    #[serde(rename = "roots/list")]
    Roots,
}

/// Several kinds; none by default.
pub type Questions = BTreeSet<Question>;

impl Question {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Elicitation, Self::Sampling, Self::Roots];

    /// The method by which it is asked.
    pub fn method(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation/create",
            Self::Sampling => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    /// The capability by which a client says that it answers it.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Sampling => "sampling",
            Self::Roots => "roots",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_written_as_its_method() {
        for question in Question::ALL {
            let written = serde_json::to_value(question).unwrap();
            assert_eq!(written, question.method());
            assert!(question.method().starts_with(question.capability()));
        }
        assert!(serde_json::from_str::<Question>("\"tools/call\"").is_err());
    }
}
