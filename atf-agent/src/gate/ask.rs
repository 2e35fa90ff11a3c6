//! What a request asks of a server beside its tools: a prompt, a resource, a completion. It is read
//! strictly and by name; what is not read here reaches no server.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::deferral::{Begun, Handle};
use super::envelope::{self, present};
use super::method::Method;
use super::talk::{Said, Talk};
use crate::audit::Call;
use crate::call::{Deferred, Digest, Reason, Refusal, ResourceUri, Step, Target};

/// A prompt, a resource or a completion that a request names, and the arguments as they came.
#[derive(Debug)]
pub struct Ask {
    target: Target,
    arguments: Box<RawValue>,
    digest: Digest,
    talk: Talk,
    begun: Option<Begun>,
}

/// What both of these methods may have; another member would not reach the server, so that the caller
/// would not get what it asked for: it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnyParams, which every method shares")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "task", deserialize_with = "present")]
    #[expect(
        dead_code,
        reason = "calls of tools alone are deferred, and the standard has it passed over here"
    )]
    later: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "inputResponses", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnswerParams, which several methods share")]
    responses: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "requestState", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnswerParams, which several methods share")]
    state: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceParams<'a> {
    #[serde(borrow)]
    uri: Cow<'a, str>,
    #[serde(borrow, default, rename = "_meta", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnyParams, which every method shares")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "task", deserialize_with = "present")]
    #[expect(
        dead_code,
        reason = "calls of tools alone are deferred, and the standard has it passed over here"
    )]
    later: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "inputResponses", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnswerParams, which several methods share")]
    responses: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "requestState", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnswerParams, which several methods share")]
    state: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionParams<'a> {
    #[serde(borrow)]
    uri: Cow<'a, str>,
    #[serde(borrow, default, rename = "_meta", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnyParams, which every method shares")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "task", deserialize_with = "present")]
    #[expect(
        dead_code,
        reason = "calls of tools alone are deferred, and the standard has it passed over here"
    )]
    later: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompletionParams<'a> {
    #[serde(borrow, rename = "ref")]
    of: &'a RawValue,
    #[serde(borrow)]
    argument: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    context: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta", deserialize_with = "present")]
    #[expect(dead_code, reason = "read by AnyParams, which every method shares")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "task", deserialize_with = "present")]
    #[expect(
        dead_code,
        reason = "calls of tools alone are deferred, and the standard has it passed over here"
    )]
    later: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum Ref {
    #[serde(rename = "ref/prompt")]
    Prompt {
        name: String,
        #[serde(default, rename = "title")]
        _title: Option<String>,
    },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only has to be of this form")]
struct Argument<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Context<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
}

impl Ask {
    /// Reads the parameters of `method`; `None` for a method that asks nothing of a server.
    pub(super) fn read(
        method: Method,
        params: Option<&RawValue>,
        said: Said<'_>,
    ) -> Result<Option<Self>, Refusal> {
        let raw = params;
        let params = params.map_or("null", RawValue::get);
        let whole = |target: Target, arguments: String| {
            let arguments =
                RawValue::from_string(arguments).map_err(|error| invalid(error.to_string()))?;
            let talk = match target {
                Target::Prompt(_) | Target::Resource(_) => {
                    raw.map(|raw| Talk::read(said, raw)).transpose()?
                }
                Target::Tool(_)
                | Target::Subscription(_)
                | Target::PromptArgument(_)
                | Target::TemplateArgument(_)
                | Target::Deferred(_) => None,
            };
            let (digest, talk) = (Digest::of(arguments.get().as_bytes()), talk.unwrap_or_default());
            Ok(Some(Self { target, digest, arguments, talk, begun: None }))
        };
        match method {
            Method::PromptsGet => {
                let asked: PromptParams<'_> = object(params)?;
                let name = asked.name.parse().map_err(|error| invalid(format!("{error}")))?;
                whole(Target::Prompt(name), texts(asked.arguments)?.to_owned())
            }
            Method::ResourcesRead => {
                let asked: ResourceParams<'_> = object(params)?;
                let uri = asked.uri.parse().map_err(|error| invalid(format!("{error}")))?;
                whole(Target::Resource(uri), NONE.to_owned())
            }
            Method::Subscribe => whole(Target::Subscription(subscription(raw)?), NONE.to_owned()),
            Method::Complete => {
                let asked: CompletionParams<'_> = object(params)?;
                let _is_one: Argument<'_> = object(asked.argument.get())?;
                let mut arguments = format!(r#"{{"argument":{}"#, asked.argument.get());
                if let Some(context) = asked.context {
                    let read: Context<'_> = object(context.get())?;
                    texts(read.arguments)?;
                    arguments.push_str(&format!(r#","context":{}"#, context.get()));
                }
                arguments.push('}');
                whole(referred(asked.of)?, arguments)
            }
            Method::Initialize
            | Method::Discover
            | Method::Listen
            | Method::Ping
            | Method::SetLevel
            | Method::Unsubscribe
            | Method::ToolsList
            | Method::ToolsCall
            | Method::PromptsList
            | Method::ResourcesList
            | Method::TemplatesList
            | Method::TasksGet
            | Method::TasksResult
            | Method::TasksList
            | Method::TasksCancel
            | Method::TasksUpdate => Ok(None),
        }
    }

    /// What `handle` asks of the deferred call that it stands for.
    ///
    /// # Errors
    /// When the server's name for it cannot be written.
    pub(super) fn of_deferred(handle: Handle, begun: Begun) -> Result<Self, Refusal> {
        let arguments = RawValue::from_string(begun.arguments());
        let arguments = arguments.map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            target: Target::Deferred(Deferred { tool: begun.tool.clone(), asks: handle.asks }),
            digest: Digest::of(arguments.get().as_bytes()),
            arguments,
            talk: handle.talk,
            begun: Some(begun),
        })
    }

    /// The deferred call that it is about.
    pub(super) fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// What it names.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What it says besides: a prompt's arguments as they came; of a completion its `argument` and its
    /// `context`, as they came, in one object; `{}` for a resource.
    pub fn arguments(&self) -> &RawValue {
        &self.arguments
    }

    /// The digest of the arguments' bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What may go to and fro while the server works on it.
    pub(super) fn talk(&self) -> &Talk {
        &self.talk
    }

    pub(super) fn talk_mut(&mut self) -> (&mut Talk, &Target, Digest) {
        (&mut self.talk, &self.target, self.digest)
    }

    pub(super) fn describe(&self, call: &mut Call) {
        call.target = Some(self.target.as_str().into());
        call.arguments = Some(self.digest);
        call.answers = self.talk.digest();
        call.began = self.begun.as_ref().map(|begun| begun.decision);
    }
}

/// No arguments.
const NONE: &str = "{}";

fn referred(of: &RawValue) -> Result<Target, Refusal> {
    match object(of.get())? {
        Ref::Prompt { name, _title: _ } => {
            let name = name.parse().map_err(|error| invalid(format!("{error}")))?;
            Ok(Target::PromptArgument(name))
        }
        Ref::Resource { uri } => {
            let template = uri.parse().map_err(|error| invalid(format!("{error}")))?;
            Ok(Target::TemplateArgument(template))
        }
    }
}

/// The resource to which somebody subscribes, or does not any more.
pub(super) fn subscription(params: Option<&RawValue>) -> Result<ResourceUri, Refusal> {
    let asked: SubscriptionParams<'_> = object(params.map_or("null", RawValue::get))?;
    asked.uri.parse().map_err(|error| invalid(format!("{error}")))
}

/// An object of texts alone, byte for byte.
fn texts(raw: Option<&RawValue>) -> Result<&str, Refusal> {
    let text = raw.map_or(NONE, RawValue::get);
    let _are_texts: BTreeMap<Cow<'_, str>, Cow<'_, str>> = object(text)?;
    Ok(text)
}

fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
    envelope::object(text).map_err(|error| invalid(format!("params: {error}")))
}

fn invalid(detail: String) -> Refusal {
    Refusal::new(Step::Receive, Reason::MessageInvalid, detail)
}
