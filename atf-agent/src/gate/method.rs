//! What a message may ask for: an exact list for each era. Whatever is not in it is refused, with an id
//! or without.

use super::era::Era;
use crate::call::Deferral;

/// The methods that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `initialize`.
    Initialize,
    /// `server/discover`.
    Discover,
    /// `subscriptions/listen`.
    Listen,
    /// `ping`.
    Ping,
    /// `logging/setLevel`.
    SetLevel,
    /// `tools/list`.
    ToolsList,
    /// `tools/call`.
    ToolsCall,
    /// `prompts/list`.
    PromptsList,
    /// `prompts/get`.
    PromptsGet,
    /// `resources/list`.
    ResourcesList,
    /// `resources/templates/list`.
    TemplatesList,
    /// `resources/read`.
    ResourcesRead,
    /// `resources/subscribe`.
    Subscribe,
    /// `resources/unsubscribe`.
    Unsubscribe,
    /// `completion/complete`.
    Complete,
    /// `tasks/get`.
    TasksGet,
    /// `tasks/result`.
    TasksResult,
    /// `tasks/list`.
    TasksList,
    /// `tasks/cancel`.
    TasksCancel,
    /// `tasks/update`.
    TasksUpdate,
}

/// What both eras have.
const SHARED: [Method; 10] = [
    Method::ToolsList,
    Method::ToolsCall,
    Method::PromptsList,
    Method::PromptsGet,
    Method::ResourcesList,
    Method::TemplatesList,
    Method::ResourcesRead,
    Method::Complete,
    Method::TasksGet,
    Method::TasksCancel,
];

impl Method {
    /// What a request of `era` may ask for beside what both have.
    fn own(era: Era) -> &'static [Self] {
        match era {
            Era::Handshake => &[
                Self::Initialize,
                Self::Ping,
                Self::SetLevel,
                Self::Subscribe,
                Self::Unsubscribe,
                Self::TasksResult,
                Self::TasksList,
            ],
            Era::Stateless => &[Self::Discover, Self::Listen, Self::TasksUpdate],
        }
    }

    /// As it is written in a message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Discover => "server/discover",
            Self::Listen => "subscriptions/listen",
            Self::Ping => "ping",
            Self::ToolsList => "tools/list",
            Self::ToolsCall => "tools/call",
            Self::SetLevel => "logging/setLevel",
            Self::PromptsList => "prompts/list",
            Self::PromptsGet => "prompts/get",
            Self::ResourcesList => "resources/list",
            Self::TemplatesList => "resources/templates/list",
            Self::ResourcesRead => "resources/read",
            Self::Subscribe => "resources/subscribe",
            Self::Unsubscribe => "resources/unsubscribe",
            Self::Complete => "completion/complete",
            Self::TasksGet => Deferral::Get.method(),
            Self::TasksResult => Deferral::Result.method(),
            Self::TasksList => "tasks/list",
            Self::TasksCancel => Deferral::Cancel.method(),
            Self::TasksUpdate => Deferral::Update.method(),
        }
    }

    /// What it asks of a deferred call; none when it is about none.
    pub(super) fn deferral(self) -> Option<Deferral> {
        let all = [
            (Self::TasksGet, Deferral::Get),
            (Self::TasksResult, Deferral::Result),
            (Self::TasksCancel, Deferral::Cancel),
            (Self::TasksUpdate, Deferral::Update),
        ];
        all.into_iter().find(|(method, _)| *method == self).map(|(_, asks)| asks)
    }

    pub(super) fn read(text: &str, era: Era) -> Option<Self> {
        let mut all = SHARED.iter().chain(Self::own(era)).copied();
        all.find(|method| method.as_str() == text)
    }
}

/// The notifications that are known. None has an effect on a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// `notifications/initialized`.
    Initialized,
    /// `notifications/cancelled`.
    Cancelled,
    /// `notifications/progress`: of a request that nobody made; honest clients send it.
    Progress,
    /// `notifications/roots/list_changed`: ATF asks for no roots; honest clients send it.
    RootsListChanged,
}

impl Notification {
    /// What a notification of `era` may tell.
    fn all(era: Era) -> &'static [Self] {
        match era {
            Era::Handshake => {
                &[Self::Initialized, Self::Cancelled, Self::Progress, Self::RootsListChanged]
            }
            Era::Stateless => &[Self::Cancelled],
        }
    }

    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initialized => "notifications/initialized",
            Self::Cancelled => "notifications/cancelled",
            Self::Progress => "notifications/progress",
            Self::RootsListChanged => "notifications/roots/list_changed",
        }
    }

    pub(super) fn read(text: &str, era: Era) -> Option<Self> {
        Self::all(era).iter().copied().find(|known| known.as_str() == text)
    }
}
