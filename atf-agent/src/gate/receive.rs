//! Step 1: the bytes of a message become a call, strictly. What is read once here is never read again
//! by other rules: the arguments go on byte for byte, the rest is built anew.

use serde_json::value::RawValue;

use super::ask::{self, Ask};
use super::deferral::{Begun, Handle};
use super::envelope::{self, Envelope};
use super::era::{Disagreement, Era, Stated};
use super::id::Id;
use super::json;
use super::level;
use super::lists::Lists;
use super::method::{Method, Notification};
use super::params::{can, cancelled, meta, offered, prompt_digest};
use super::reply::{Code, Reply, Unread};
use super::response::{self, Continues, Response};
use super::revision::Revision;
use super::talk::Said;
use super::tool_call::ToolCall;
use super::wants::Wants;
use crate::audit::Call;
use crate::call::{
    Caller, Digest, Level, Questions, Reason, Refusal, ResourceUri, StateKey, StateOf, Step, Target,
};

/// Deepest nesting. MCP's own messages need 6, and a parser that recurses is safe at 64.
const DEPTH_MAX: usize = 64;

/// Most JSON values in one message. Each costs about a microsecond in several passes, before the run is
/// charged with anything: this holds a message under the lease's patience by far, and the largest
/// arguments that a pinned schema takes have some hundred.
const VALUES_MAX: usize = 20_000;

/// Longest message in bytes that is no `tools/call`. Of those ATF acts on a name or two; an
/// `initialize` with all capabilities has 1 KiB.
const PLAIN_BYTES_MAX: usize = 16 << 10;

/// Longest method name that is told apart from any other unknown one, in bytes.
const METHOD_BYTES_MAX: usize = 128;

/// Limits of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest message in bytes.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes_max: 256 << 10 }
    }
}

/// What a message is.
#[must_use = "a message that was read has to be judged"]
#[derive(Debug)]
pub enum Message {
    /// It wants an answer.
    Request(Received),
    /// It answers a question of a server.
    Response(Response),
    /// It wants none. A `notifications/cancelled` names the request for which nobody waits.
    Notification(Notification, Option<Id>),
}

/// A request that was read. Only [`Received::read`] makes one.
#[derive(Debug)]
pub struct Received {
    id: Id,
    era: Era,
    method: Method,
    params: Option<Box<RawValue>>,
    tool: Option<Box<ToolCall>>,
    ask: Option<Box<Ask>>,
    offered: Option<Revision>,
    can: Questions,
    level: Option<Level>,
    listens: Option<Lists>,
    unsubscribes: Option<ResourceUri>,
    handle: Option<Box<Handle>>,
    prompt: Option<Digest>,
}

impl Received {
    /// Reads one message, of which the transport has `stated` something.
    ///
    /// # Errors
    /// When it is not JSON that all parsers read alike, not one JSON-RPC message, of a revision or a
    /// method that is not known, or not what was stated. [`Received::reply`] says how to answer it.
    pub fn read(bytes: &[u8], limits: &Limits, stated: &Stated) -> Result<Message, Refusal> {
        read(bytes, limits, stated).map_err(|unread| unread.refusal)
    }

    /// How to answer a message that [`Received::read`] refused; nothing for one that it takes.
    pub fn reply(bytes: &[u8], limits: &Limits, stated: &Stated) -> Option<Reply> {
        read(bytes, limits, stated).err().map(|unread| unread.reply)
    }

    /// The same request with the prompt digest that a header claims, when there is one.
    ///
    /// # Errors
    /// When the header is no digest, or not the one that the message itself claims.
    pub fn with_prompt_header(mut self, header: Option<&str>) -> Result<Self, Refusal> {
        let Some(header) = header else {
            return Ok(self);
        };
        let claimed = prompt_digest(header)?;
        if self.prompt.is_some_and(|prompt| prompt != claimed) {
            return Err(Refusal::new(
                Step::Receive,
                Reason::PromptDigest,
                "the header and _meta claim different prompt digests",
            ));
        }
        self.prompt = Some(claimed);
        Ok(self)
    }

    /// The request's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// The way in which it is to be answered.
    pub fn era(&self) -> Era {
        self.era
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The parameters as they came, an object.
    pub fn params(&self) -> Option<&RawValue> {
        self.params.as_deref()
    }

    /// The tool call, when the method is `tools/call`.
    pub fn tool_call(&self) -> Option<&ToolCall> {
        self.tool.as_deref()
    }

    /// What is asked of a server beside its tools, when the method does so.
    pub fn ask(&self) -> Option<&Ask> {
        self.ask.as_deref()
    }

    /// The level that a `logging/setLevel` asks for.
    pub fn level(&self) -> Option<Level> {
        self.level
    }

    /// What a `subscriptions/listen` wants to hear of.
    pub fn listens(&self) -> Option<&Lists> {
        self.listens.as_ref()
    }

    /// The resource of whose changes a `resources/unsubscribe` wants to hear no more.
    pub fn unsubscribes(&self) -> Option<&ResourceUri> {
        self.unsubscribes.as_ref()
    }

    /// The deferred call that it names, while nobody has said what it stands for.
    pub fn handle(&self) -> Option<&Handle> {
        self.handle.as_deref()
    }

    /// The same request of the call that its handle stands for. One that stands for none stays as it is, and is
    /// refused by [`super::authenticate`].
    ///
    /// # Errors
    /// When its client does not declare that it knows of deferred calls.
    pub fn of_deferred(
        mut self,
        find: impl FnOnce(&Handle) -> Option<Begun>,
    ) -> Result<Self, Refusal> {
        let Some(handle) = self.handle.take() else { return Ok(self) };
        handle.check()?;
        match find(&handle) {
            Some(begun) => self.ask = Some(Box::new(Ask::of_deferred(*handle, begun)?)),
            None => self.handle = Some(handle),
        }
        Ok(self)
    }

    /// The revision that an `initialize` is answered with.
    pub fn offered(&self) -> Option<Revision> {
        self.offered
    }

    /// What the client of an `initialize` says that it can answer.
    pub fn can(&self) -> &Questions {
        &self.can
    }

    /// The question of a call under way that it answers.
    pub fn continues(&self) -> Option<&Continues> {
        self.tool.as_ref().and_then(|tool| tool.talk().continues())
    }

    /// The digest of the system prompt that the caller claims to follow.
    pub fn prompt(&self) -> Option<Digest> {
        self.prompt
    }

    pub(super) fn tool_mut(&mut self) -> Option<&mut ToolCall> {
        self.tool.as_deref_mut()
    }

    pub(super) fn into_tool_call(self) -> Option<ToolCall> {
        self.tool.map(|tool| *tool)
    }

    pub(super) fn into_ask(self) -> Option<Box<Ask>> {
        self.ask
    }

    /// Takes the state of a server out of what `caller` brings, before anything is judged by it.
    pub(super) fn open(&mut self, key: &StateKey, caller: Caller) -> Result<(), Refusal> {
        let run = caller.run;
        if let Some(tool) = &mut self.tool {
            let target = Target::Tool(tool.name.clone());
            let of = StateOf { run, target: &target, arguments: tool.digest };
            tool.talk.open(key, of)?;
        }
        if let Some(ask) = &mut self.ask {
            let (talk, target, arguments) = ask.talk_mut();
            talk.open(key, StateOf { run, target, arguments })?;
        }
        Ok(())
    }

    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut Call) {
        call.method = Some(self.method.as_str().into());
        call.prompt = self.prompt;
        if let Some(tool) = &self.tool {
            tool.describe(call);
        }
        if let Some(ask) = &self.ask {
            ask.describe(call);
        }
    }
}

fn read(bytes: &[u8], limits: &Limits, stated: &Stated) -> Result<Message, Unread> {
    let guess = Era::guess(stated);
    let unread = |code: Code, id: Option<Id>, detail: String| Unread::new(code, guess, id, detail);
    if bytes.len() > limits.body_bytes_max {
        let detail = format!("{} bytes, at most {} are read", bytes.len(), limits.body_bytes_max);
        return Err(unread(Code::Request, None, detail));
    }
    let text = json::scan(bytes, DEPTH_MAX, VALUES_MAX)
        .map_err(|fault| unread(Code::Parse, None, fault.to_string()))?;
    let message: Envelope<'_> =
        envelope::object(text).map_err(|error| unread(Code::Request, None, error))?;
    let id = message.id.and_then(Id::read);
    let invalid = |detail: &str| unread(Code::Request, id.clone(), detail.to_owned());
    let bytes_max = match message.method.as_deref() {
        Some(method) if method == Method::ToolsCall.as_str() => limits.body_bytes_max,
        Some(_) => PLAIN_BYTES_MAX,
        None => response::BYTES_MAX,
    };
    if bytes.len() > bytes_max {
        let found = bytes.len();
        return Err(invalid(&format!(
            "{found} bytes, at most {bytes_max} are read of what is no tools/call"
        )));
    }
    if message.jsonrpc != "2.0" {
        return Err(invalid("jsonrpc is not \"2.0\""));
    }
    if message.id.is_some() && id.is_none() {
        return Err(invalid("the id is no string of at most 128 bytes and no integer within 2^53"));
    }
    let Some(method) = message.method else { return response::read(id, &message, stated) };
    if message.result.is_some() || message.error.is_some() {
        return Err(invalid("a method and a result or error"));
    }
    match id {
        Some(id) => request(id, &method, message.params, stated),
        None => notification(&method, message.params, stated),
    }
}

fn notification(
    method: &str,
    params: Option<&RawValue>,
    stated: &Stated,
) -> Result<Message, Unread> {
    let guess = Era::guess(stated);
    let invalid = |detail: String| Unread::new(Code::Request, guess, None, detail);
    if params.is_some_and(|params| !params.get().starts_with('{')) {
        return Err(invalid("the parameters are no object".to_owned()));
    }
    let meta = meta(params).map_err(|no| Unread::params(no, guess, None))?;
    let disagrees = |no| Unread::of(no, guess, None);
    let era = Era::of(stated, meta.revision.as_deref()).map_err(disagrees)?;
    stated.method_is(method, false).map_err(disagrees)?;
    let cancels = |kind| match kind {
        Notification::Cancelled => params.and_then(cancelled),
        _ => None,
    };
    let told = |kind| Message::Notification(kind, cancels(kind));
    Notification::read(method, era).map(told).ok_or_else(|| {
        let named: String = method.chars().take(METHOD_BYTES_MAX).collect();
        invalid(format!("no id, and {named:?} is no notification that is known"))
    })
}

fn request(
    id: Id,
    method: &str,
    params: Option<&RawValue>,
    stated: &Stated,
) -> Result<Message, Unread> {
    let guess = Era::guess(stated);
    let meta = meta(params).map_err(|no| Unread::params(no, guess, Some(id.clone())))?;
    let era = Era::of(stated, meta.revision.as_deref())
        .map_err(|no| Unread::of(no, guess, Some(id.clone())))?;
    let disagrees = |no: Disagreement| Unread::of(no, era, Some(id.clone()));
    let refused = |no: Refusal| Unread::params(no, era, Some(id.clone()));
    let is_stateless = era == Era::Stateless;
    stated.method_is(method, is_stateless).map_err(disagrees)?;
    let Some(method) = Method::read(method, era) else {
        let named: String = method.chars().take(METHOD_BYTES_MAX).collect();
        let detail = format!("the method {named:?} is not known");
        return Err(Unread::new(Code::Method, era, Some(id), detail));
    };
    if is_stateless {
        meta.is_whole().map_err(|detail| refused(invalid(detail)))?;
    }
    let wants = Wants::read(&meta, era, stated).map_err(|detail| refused(invalid(detail)))?;
    let said = Said { era, capabilities: meta.capabilities, wants: &wants, can: &stated.can };
    let ask = Ask::read(method, params, said).map_err(refused)?.map(Box::new);
    let handle = Handle::read(method, params, said).map_err(refused)?.map(Box::new);
    let is = |one: Method| (method == one).then_some(params);
    let tool = is(Method::ToolsCall).map(|params| ToolCall::read(params, said)).transpose();
    let tool = tool.map_err(refused)?.map(Box::new);
    let offered = is(Method::Initialize).map(offered).transpose().map_err(refused)?;
    let level = is(Method::SetLevel).map(level::read).transpose();
    let level = level.map_err(|error| refused(invalid(format!("params: {error}"))))?;
    let listens = is(Method::Listen).map(Lists::read).transpose();
    let listens = listens.map_err(|error| refused(invalid(format!("params: {error}"))))?;
    let unsubscribes = is(Method::Unsubscribe).map(ask::subscription).transpose();
    let unsubscribes = unsubscribes.map_err(refused)?;
    let tool_name = tool.as_ref().map(|tool| tool.name.as_str());
    let handle_name = handle.as_ref().map(|handle| handle.name.as_str());
    if let Some(name) = tool_name.or(ask.as_deref().and_then(named)).or(handle_name) {
        stated.name_is(name, is_stateless).map_err(disagrees)?;
    }
    Ok(Message::Request(Received {
        prompt: meta.prompt.as_deref().map(prompt_digest).transpose().map_err(refused)?,
        id,
        era,
        method,
        // A tool call's parameters live in `tool`; a second copy could come to differ.
        params: params.filter(|_| tool.is_none() && ask.is_none()).map(RawValue::to_owned),
        tool,
        ask,
        offered,
        can: if method == Method::Initialize { can(params) } else { Questions::new() },
        level,
        listens,
        unsubscribes,
        handle,
    }))
}

/// The name that `Mcp-Name` has to say. A completion names none.
fn named(ask: &Ask) -> Option<&str> {
    match ask.target() {
        Target::Tool(_) | Target::Prompt(_) | Target::Resource(_) => Some(ask.target().as_str()),
        Target::Subscription(_)
        | Target::PromptArgument(_)
        | Target::TemplateArgument(_)
        | Target::Deferred(_) => None,
    }
}

pub(super) fn invalid(detail: String) -> Refusal {
    Refusal::new(Step::Receive, Reason::MessageInvalid, detail)
}
