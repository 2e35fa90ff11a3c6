//! What a server says that it offers besides tools: prompts, resources, and resources of a kind. It is
//! read once and whenever the server says that it changed, so that a run's list reaches no server.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::message::Body;
use super::request;
use crate::call::Untrusted;
use crate::gate::Era;
use crate::wire::{Catalogue, Offer};

/// Most items of one list, and most of its pages.
const ITEMS_MAX: usize = 1_000;
/// See [`ITEMS_MAX`].
const PAGES_MAX: usize = 100;

/// Longest list in bytes of what is kept of it: all servers' lists travel in one frame.
const LIST_BYTES_MAX: usize = 256 << 10;

/// Longest capability in bytes that is looked into.
const CAPABILITY_BYTES_MAX: usize = 4 << 10;

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    Templates,
}

/// What of a server's capabilities says that there is something to be listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Capabilities {
    tools: Option<IgnoredAny>,
    prompts: Option<IgnoredAny>,
    resources: Option<IgnoredAny>,
    tasks: Option<Box<RawValue>>,
}

impl Capabilities {
    /// The lists that there are besides the tools.
    pub(super) fn lists(&self) -> Vec<List> {
        let prompts = self.prompts.is_some().then_some(List::Prompts);
        let resources = self.resources.is_some().then_some([List::Resources, List::Templates]);
        prompts.into_iter().chain(resources.into_iter().flatten()).collect()
    }

    /// Whether calls of its tools can be deferred as 2025-11-25 has it.
    pub(super) fn defers(&self) -> bool {
        let tasks = self.tasks.as_deref().map_or("null", RawValue::get);
        let tasks = (tasks.len() <= CAPABILITY_BYTES_MAX).then_some(tasks);
        let tasks: Option<Value> = tasks.and_then(|tasks| serde_json::from_str(tasks).ok());
        tasks.is_some_and(|all| all.pointer("/requests/tools/call").is_some_and(Value::is_object))
    }

    /// Whether it can be asked for tools: one that declares other things alone has none.
    pub(super) fn has_tools(&self) -> bool {
        self.tools.is_some() || self.lists().is_empty()
    }
}

impl List {
    fn method(self) -> &'static str {
        match self {
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the answer that it is in, the member that names an item, and what else of an item
    /// a run is told. The rest (icons, `_meta`) is never passed on.
    fn members(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Prompts => ("prompts", "name", &["title", "description", "arguments"]),
            Self::Resources => (
                "resources",
                "uri",
                &["name", "title", "description", "mimeType", "size", "annotations"],
            ),
            Self::Templates => (
                "resourceTemplates",
                "uriTemplate",
                &["name", "title", "description", "mimeType", "annotations"],
            ),
        }
    }
}

/// The lists that are being read, one after the other.
#[derive(Debug)]
pub(super) struct Reading {
    /// The number of the request that is under way.
    pub(super) id: u64,
    server: String,
    list: List,
    left: Vec<List>,
    items: Vec<(String, Value)>,
    bytes: usize,
    pages: usize,
    found: Catalogue,
}

/// What comes after an answer.
pub(super) enum Then {
    /// Another request, with this cursor.
    Ask(Box<Reading>, Option<String>),
    /// Nothing: this is all.
    Whole(Catalogue),
}

/// An answer by the names of its members.
type Page<'a> = std::collections::BTreeMap<String, &'a RawValue>;

impl Reading {
    /// Begins with the first of `lists`, which request `id` will ask for; `None` when there is none.
    pub(super) fn begin(server: &str, mut lists: Vec<List>, id: u64) -> Option<Box<Self>> {
        lists.reverse();
        let list = lists.pop()?;
        let server = server.to_owned();
        let found = Catalogue::default();
        let items = Vec::new();
        Some(Box::new(Self { id, server, list, left: lists, items, bytes: 0, pages: 0, found }))
    }

    /// The method of the request that is under way.
    pub(super) fn method(&self) -> &'static str {
        self.list.method()
    }

    /// The request that is under way.
    pub(super) fn request(&self, era: Era, cursor: Option<&str>) -> String {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        request::request(era, self.id, self.list.method(), params)
    }

    /// Takes an answer. A list that is none is empty: what cannot be read is not offered.
    pub(super) fn take(mut self: Box<Self>, body: &Body) -> Then {
        match self.page(body) {
            Ok(Some(cursor)) => return Then::Ask(self, Some(cursor)),
            Ok(None) => self.keep(),
            Err(why) => {
                let (server, list) = (&self.server, self.list.method());
                let why = Untrusted::begin_of(&why);
                tracing::warn!(server, list, %why, "a tool server's list is not taken");
            }
        }
        (self.items, self.bytes, self.pages) = (Vec::new(), 0, 0);
        match self.left.pop() {
            Some(list) => {
                self.list = list;
                Then::Ask(self, None)
            }
            None => Then::Whole(self.found),
        }
    }

    /// Reads a page; the cursor of the next one, when there is one.
    fn page(&mut self, body: &Body) -> Result<Option<String>, String> {
        let Body::Result(result) = body else { return Err(format!("found {body:?}")) };
        let page: Page<'_> = serde_json::from_str(result.get()).map_err(|e| e.to_string())?;
        let (member, named, others) = self.list.members();
        let items = page.get(member).map_or("null", |items| items.get());
        let items: Vec<&RawValue> =
            serde_json::from_str(items).map_err(|error| format!("{member}: {error}"))?;
        self.pages += 1;
        if self.pages > PAGES_MAX || self.items.len() + items.len() > ITEMS_MAX {
            return Err(format!("more than {ITEMS_MAX} items or {PAGES_MAX} pages"));
        }
        for item in items {
            // With what is not kept of it: read, it takes up to a hundred times the room.
            if item.get().len() > LIST_BYTES_MAX {
                return Err(format!("an item of more than {LIST_BYTES_MAX} bytes"));
            }
            let mut item: Map<String, Value> =
                serde_json::from_str(item.get()).map_err(|error| format!("{member}: {error}"))?;
            let Some(Value::String(name)) = item.remove(named) else {
                return Err(format!("an item without {named}"));
            };
            item.retain(|member, _| others.contains(&member.as_str()));
            let item = Value::Object(item);
            self.bytes += name.len() + item.to_string().len();
            if self.bytes > LIST_BYTES_MAX {
                return Err(format!("more than {LIST_BYTES_MAX} bytes"));
            }
            self.items.push((name, item));
        }
        match page.get("nextCursor").map(|cursor| serde_json::from_str(cursor.get())) {
            None => Ok(None),
            Some(Ok(cursor)) => Ok(cursor),
            Some(Err(error)) => Err(format!("nextCursor: {error}")),
        }
    }

    /// Names each item of the list as a run does. What no run could name is left out.
    fn keep(&mut self) {
        let server = &self.server;
        let (_, named, _) = self.list.members();
        let (mut nameless, mut first) = (0, None);
        for (own, mut item) in std::mem::take(&mut self.items) {
            let whole = match self.list {
                List::Prompts => format!("{server}.{own}"),
                List::Resources | List::Templates => format!("{server}+{own}"),
            };
            item[named] = json!(whole);
            let kept = match self.list {
                List::Prompts => whole.parse().map_err(|error| format!("{error}")).map(|name| {
                    self.found.prompts.push(Offer { name, listing: item });
                }),
                List::Resources => whole.parse().map_err(|error| format!("{error}")).map(|name| {
                    self.found.resources.push(Offer { name, listing: item });
                }),
                List::Templates => whole.parse().map_err(|error| format!("{error}")).map(|name| {
                    self.found.templates.push(Offer { name, listing: item });
                }),
            };
            if let Err(why) = kept {
                nameless += 1;
                first.get_or_insert(why);
            }
        }
        if let Some(why) = first {
            let why = Untrusted::begin_of(&why);
            tracing::warn!(server, nameless, %why, "what a tool server offers cannot be named");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(json: &str) -> Capabilities {
        serde_json::from_str(json).unwrap()
    }

    /// Reads the lists whose pages these are.
    fn read(pages: &[&str]) -> Catalogue {
        let lists = capabilities(r#"{"prompts":{},"resources":{}}"#).lists();
        let mut reading = Reading::begin("fix", lists, 1).unwrap();
        for page in pages {
            let body = match page.strip_prefix("error") {
                Some(message) => Body::Error {
                    code: -1,
                    message: message.to_owned(),
                    missing: Default::default(),
                },
                None => Body::Result(RawValue::from_string((*page).to_owned()).unwrap()),
            };
            match reading.take(&body) {
                Then::Ask(next, _) => reading = next,
                Then::Whole(found) => return found,
            }
        }
        panic!("{reading:?} goes on");
    }

    #[test]
    fn what_is_offered_is_named_by_its_server_and_told_in_part() {
        let found = read(&[
            r#"{"prompts":[{"name":"a","description":"d","_meta":{"x":1}}],"nextCursor":"2"}"#,
            r#"{"prompts":[{"name":"not a name"},{"name":"b","icons":[]}]}"#,
            r#"{"resources":[{"uri":"file:///x","name":"x"},{"uri":"file:///../y","name":"y"}]}"#,
            r#"{"resourceTemplates":[{"uriTemplate":"file:///{z}","name":"z"}]}"#,
        ]);
        let listings = |all: &[Value]| Value::Array(all.to_vec());
        let prompts: Vec<_> = found.prompts.iter().map(|offer| offer.listing.clone()).collect();
        let named = json!([{"name": "fix.a", "description": "d"}, {"name": "fix.b"}]);
        assert_eq!(listings(&prompts), named);
        assert_eq!(found.resources.len(), 1);
        assert_eq!(found.resources[0].listing, json!({"uri": "fix+file:///x", "name": "x"}));
        assert_eq!(found.templates[0].name.as_str(), "fix+file:///{z}");
    }

    #[test]
    fn a_list_that_is_none_is_empty_and_the_next_is_read() {
        let good = r#"{"resources":[{"uri":"memo:a","name":"a"}]}"#;
        let many: Vec<Value> = (0..=ITEMS_MAX).map(|n| json!({"name": format!("p{n}")})).collect();
        let many = json!({ "prompts": many }).to_string();
        let long = json!({"prompts": [{"name": "p", "description": "x".repeat(LIST_BYTES_MAX)}]});
        let dropped = json!({"prompts": [{"name": "p", "icons": ["x".repeat(LIST_BYTES_MAX)]}]});
        for bad in [
            "error no such method",
            r#"{"prompts":{}}"#,
            r#"{"prompts":[{"title":"no name"}]}"#,
            r#"{"prompts":[["a"]]}"#,
            r#"{"prompts":[],"nextCursor":1}"#,
            "[]",
            &many,
            &long.to_string(),
            &dropped.to_string(),
        ] {
            let found = read(&[bad, good, r#"{"resourceTemplates":[]}"#]);
            assert!(found.prompts.is_empty(), "{bad}");
            assert_eq!(found.resources.len(), 1, "the control {bad}");
        }
        let endless = vec![r#"{"prompts":[],"nextCursor":"again"}"#; PAGES_MAX + 1];
        let found = read(&[&endless[..], &[good, r#"{"resourceTemplates":[]}"#]].concat());
        assert_eq!(found.resources.len(), 1);
    }

    #[test]
    fn what_is_not_declared_is_not_asked_for() {
        for (json, lists, has_tools) in [
            ("{}", 0, true),
            (r#"{"tools":{}}"#, 0, true),
            (r#"{"prompts":{}}"#, 1, false),
            (r#"{"resources":{},"tools":{"listChanged":true}}"#, 2, true),
            (r#"{"resources":null,"tools":null,"prompts":[]}"#, 1, false),
        ] {
            let found = capabilities(json);
            assert_eq!((found.lists().len(), found.has_tools()), (lists, has_tools), "{json}");
        }
    }

    /// The attack: a capability that takes a hundred times its length when it is read.
    #[test]
    fn a_capability_that_is_long_is_not_looked_into() {
        let defers = |more: usize| {
            let filled = vec![r#"{"":0}"#; more].join(",");
            let call = format!(r#"{{"requests":{{"tools":{{"call":{{}}}}}},"x":[{filled}]}}"#);
            capabilities(&format!(r#"{{"tasks":{call}}}"#)).defers()
        };
        assert!(defers(0), "the control");
        assert!(!defers(1_000));
        assert!(!capabilities(r#"{"tasks":null}"#).defers());
    }
}
