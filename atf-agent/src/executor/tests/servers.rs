//! Permits that reach tool servers: real processes behind the whole executor.

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::*;
use crate::audit::Event;
use crate::call::Question;
use crate::wire::{Exchange, RecorderReply, RecorderRequest};

/// A small MCP server. It tells what it is and whether what it heard has a token in it.
const SERVER: &str = r#"
while read -r line; do
    id=${line#*\"id\":}
    id=${id%%[,\}]*}
    leaked=false
    case $line in *eyJ*) leaked=true ;; esac
    case $line in
        *'"method":"initialize"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{}}}}' ;;
        *'"method":"prompts/list"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"prompts":[{"name":"review"},{"name":"hid","description":"a\u200bb"}]}}' ;;
        *'"method":"resources/list"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"resources":[{"uri":"memo:a","name":"a"}]}}' ;;
        *'"method":"resources/templates/list"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"resourceTemplates":[]}}' ;;
        *'"uri":"memo:gone"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32002,"message":"gone"}}' ;;
        *'"method":"resources/read"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"contents":[],"leaked":'$leaked',"who":"'$WHO'"}}' ;;
        *'"method":"prompts/get"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"messages":[],"who":"'$WHO'"}}' ;;
        *'"method":"tools/list"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"echo"},{"name":"die"},{"name":"slow"}]}}' ;;
        *'"name":"die"'*) exit 1 ;;
        *'"name":"slow"'*) ;;
        *'"method":"tools/call"'*)
            echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[],"structuredContent":{"uid":'$(id -u)',"leaked":'$leaked',"who":"'$WHO'"}}}' ;;
    esac
done
"#;

pub(super) fn file(uid: u32, who: &str) -> String {
    format!(
        "command = \"/bin/sh\"\narguments = [\"-c\", '''{SERVER}''']\nuid = {uid}\n\
         private_tmp = false\ncall_timeout_ms = 1500\n[environment]\nWHO = \"{who}\"\n"
    )
}

/// Uids of no other test.
pub(super) fn uids() -> [u32; 2] {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(2, Ordering::SeqCst);
    let first = 1_920_000_000 + std::process::id() % 100_000 * 16 + number as u32;
    [first, first + 1]
}

impl World {
    fn with_two_servers() -> (Self, [u32; 2]) {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let uids = uids();
        let [one, two] = [file(uids[0], "one"), file(uids[1], "two")];
        let world = Self::with(&[("one", &one), ("two", &two)]);
        for tool in ["one.echo", "one.die", "one.slow", "two.echo"] {
            let (_, own) = tool.split_once('.').unwrap();
            world.pin(tool, &Digest::of(format!(r#"{{"name":"{own}"}}"#).as_bytes()).to_string());
        }
        (world, uids)
    }

    /// Pins a tool; `approved` is the digest of what its server said.
    pub(super) fn pin(&self, tool: &str, approved: &str) {
        let pin =
            json!({"name": tool, "inputSchema": {"type": "object"}, "x-atf-server": approved});
        let path = self.places.policy_dir.join(format!("tools/{tool}.json"));
        std::fs::write(path, pin.to_string()).unwrap();
    }

    /// An honest draft of a server's tool.
    pub(super) fn of_server(&self, tool: &str) -> Draft {
        let mut draft = self.draft(tool, &json!({"text": "a\nb"}));
        let path = self.places.policy_dir.join(format!("tools/{tool}.json"));
        if let Ok(pin) = std::fs::read(path) {
            let pin: Value = serde_json::from_slice(&pin).unwrap();
            draft.permit.pin = Some(Digest::of(&serde_json_canonicalizer::to_vec(&pin).unwrap()));
        }
        draft.claims.entitlements.allowed_tools.push(tool.parse().unwrap());
        draft
    }

    /// An honest draft of what is no tool.
    fn asking(&self, target: Target) -> Draft {
        let mut draft = self.draft("ledger.query", &json!({}));
        let reach = r#"{"prompts":["one.review"],"resources":["one+memo:*"],
            "questions":{"one":["elicitation/create"]}}"#;
        draft.claims.entitlements.reach = serde_json::from_str(reach).unwrap();
        (draft.permit.target, draft.permit.pin) = (target, None);
        draft
    }

    /// Hands a draft over, and waits for nothing.
    pub(super) fn send(&self, draft: Draft) -> Receiver<ExecutorReply> {
        self.asked(self.sign(draft))
    }

    fn asked(&self, request: ExecutorRequest) -> Receiver<ExecutorReply> {
        let (give, given) = channel();
        let reply = outcome::Reply::new(move |reply| drop(give.send(reply)));
        self.executor.answer(request, reply);
        given
    }

    /// What the server tells of itself, once it is there.
    pub(super) fn told(&self, tool: &str) -> Value {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match self.execute(self.of_server(tool)) {
                ExecutorReply::Result { result } => {
                    let result: Value = serde_json::from_str(result.get()).unwrap();
                    return result["structuredContent"].clone();
                }
                ExecutorReply::Refused { why } if why.raw().contains("is away") => {
                    assert!(Instant::now() < until, "{tool} does not come back: {why}");
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => panic!("{tool}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_permitted_call_reaches_its_server_and_the_token_does_not() {
    let (world, uids) = World::with_two_servers();
    for (tool, uid, who) in [("one.echo", uids[0], "one"), ("two.echo", uids[1], "two")] {
        assert_eq!(world.told(tool), json!({"uid": uid, "leaked": false, "who": who}));
    }
    // The checks stand before every act, as for the built-in tools.
    for (change, why) in [
        (&(|d: &mut Draft| d.permit_key = foreign()) as &dyn Fn(&mut Draft), "permit's code"),
        (&|d| d.receipt_key = foreign(), "receipt's code"),
        (&|d| d.permit.arguments = Digest::of(b"{}"), "arguments"),
        (&|d| d.permit.pin = Some(Digest::of(b"pin")), "pin"),
        (&|d| d.claims.entitlements.allowed_tools.truncate(1), "does not name one.echo"),
        (&|d| d.permit.nonce = Digest::of(b"before"), "nonce"),
    ] {
        let mut draft = world.of_server("one.echo");
        change(&mut draft);
        let found = world.refused(draft);
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
    }
    world.seals(&[1]);
    assert!(world.refused(world.of_server("one.echo")).contains("kernel says so"));
    // Sealed while it waited for its server.
    world.seals(&[0, 1]);
    assert!(world.refused(world.of_server("one.echo")).contains("kernel says so"));
    world.seals(&[]);
    assert_eq!(world.told("one.echo")["who"], "one", "the control");
    let mut other = world.of_server("three.echo");
    other.permit.pin = Some(Digest::of(b"x"));
    assert!(world.refused(other).contains("cannot trust"));
}

#[test]
fn a_permit_for_what_is_no_tool_reaches_its_server_and_no_further_than_the_token() {
    let (world, _) = World::with_two_servers();
    assert_eq!(world.told("one.echo")["who"], "one", "it is there");
    let prompt = |name: &str| Target::Prompt(name.parse().unwrap());
    let resource = |uri: &str| Target::Resource(uri.parse().unwrap());
    let read = world.result(world.asking(resource("one+memo:a")));
    assert_eq!((&read["who"], &read["leaked"]), (&json!("one"), &json!(false)));
    assert_eq!(world.result(world.asking(prompt("one.review")))["who"], "one");
    let gone = world.execute(world.asking(resource("one+memo:gone")));
    assert!(matches!(gone, ExecutorReply::Erred { code: -32002, .. }), "{gone:?}");
    let same = |_: &mut Draft| {};
    for (target, change, why) in [
        (prompt("one.other"), &same as &dyn Fn(&mut Draft), "does not name one.other"),
        (resource("two+memo:a"), &same, "does not name two+memo:a"),
        (resource("one+file:///a"), &same, "does not name one+file:///a"),
        // A prompt of the same name as a tool is not that tool.
        (Target::Tool("one.review".parse().unwrap()), &same, "does not name one.review"),
        (prompt("one.review"), &|d| d.permit.pin = Some(Digest::of(b"pin")), "the pin has digest"),
        (prompt("one.review"), &|d| d.receipt_key = foreign(), "receipt's code"),
        (
            prompt("three.review"),
            &|d| d.claims.entitlements.reach.prompts = vec!["three.review".parse().unwrap()],
            "is not one of this executor's",
        ),
    ] {
        let mut draft = world.asking(target);
        change(&mut draft);
        let found = world.refused(draft);
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
    }
}

/// The attacks of a gateway that fell: it lets a server ask what the token does not name, or answers what was
/// not judged.
#[test]
fn a_server_asks_what_the_token_names_and_is_told_the_answers_that_were_judged() {
    let (world, _) = World::with_two_servers();
    assert_eq!(world.told("one.echo")["who"], "one", "it is there");
    let answers = |state: &str| Answers { responses: None, state: Some(state.to_owned()) };
    let asking = |questions: &[Question], judged: Option<&str>, said: Option<&str>| {
        let mut draft = world.asking(Target::Prompt("one.review".parse().unwrap()));
        let judged = judged.map(|state| answers(state).digest());
        let questions = questions.iter().copied().collect();
        draft.permit.exchange = Some(Exchange { questions, answers: judged, by_request: false });
        draft.answers = said.map(|state| Box::new(answers(state)));
        draft
    };
    let form = [Question::Elicitation];
    assert_eq!(world.result(asking(&form, None, None))["who"], "one", "the control");
    for (draft, why) in [
        (asking(&[Question::Elicitation, Question::Roots], None, None), "does not let one ask"),
        (asking(&form, None, Some("s")), "the answers are not those"),
        (asking(&form, Some("s"), None), "the answers are not those"),
        (asking(&form, Some("s"), Some("t")), "the answers are not those"),
        (Draft { permit_key: foreign(), ..asking(&form, None, None) }, "permit's code"),
        // All parties agree; the server is of another era.
        (asking(&form, Some("s"), Some("s")), "takes no answers"),
    ] {
        let found = world.refused(draft);
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
    }
}

#[test]
fn what_servers_offer_is_told_but_for_what_is_not_seen() {
    let (world, _) = World::with_two_servers();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let ExecutorReply::Catalogue { offered } = world.ask(ExecutorRequest::Catalogue) else {
            panic!("no catalogue");
        };
        let prompts: Vec<_> = offered.prompts.iter().map(|one| one.name.as_str()).collect();
        let resources: Vec<_> = offered.resources.iter().map(|one| one.name.as_str()).collect();
        if (&prompts[..], &resources[..])
            == (&["one.review", "two.review"], &["one+memo:a", "two+memo:a"])
        {
            return;
        }
        assert!(Instant::now() < until, "{prompts:?} {resources:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The number of a state of what is offered, and how many prompts are.
fn offering(reply: ExecutorReply) -> (u64, usize) {
    match reply {
        ExecutorReply::Offering { number, offered, .. } => (number, offered.prompts.len()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_waits_is_told_when_what_servers_offer_is_another() {
    let (world, _) = World::with_two_servers();
    let patience = Duration::from_secs(20);
    let mut seen = 0;
    // Each comes up by itself; what was missed is told at once.
    loop {
        let given = world.asked(ExecutorRequest::Watch { seen });
        let (number, prompts) = offering(given.recv_timeout(patience).unwrap());
        assert_ne!(number, seen);
        seen = number;
        if prompts == 2 {
            break;
        }
    }
    let waiting = world.asked(ExecutorRequest::Watch { seen });
    let late = world.asked(ExecutorRequest::Watch { seen: seen - 1 });
    assert_eq!(offering(late.recv_timeout(patience).unwrap()), (seen, 2));
    std::thread::sleep(Duration::from_millis(300));
    assert!(waiting.try_recv().is_err(), "nothing is another");
    // It is started again, and says anew what it offers.
    let died = world.execute(world.of_server("one.die"));
    assert!(matches!(died, ExecutorReply::Unknown { .. }), "{died:?}");
    assert!(offering(waiting.recv_timeout(patience).unwrap()).0 > seen);
    assert_eq!(world.told("two.echo")["who"], "two", "the control");
}

#[test]
fn a_server_that_dies_leaves_its_call_unknown_and_disturbs_no_other() {
    let (world, _) = World::with_two_servers();
    assert_eq!(world.told("one.echo")["who"], "one", "the control");
    assert_eq!(world.told("two.echo")["who"], "two", "the control");
    match world.execute(world.of_server("one.die")) {
        ExecutorReply::Unknown { why } => assert!(why.raw().contains("ended before"), "{why}"),
        other => panic!("{other:?}"),
    }
    // Not told(): the other server does not even pause.
    let result = world.result(world.of_server("two.echo"));
    assert_eq!(result["structuredContent"]["who"], "two");
    assert_eq!(world.told("one.echo")["who"], "one", "it is started again");
}

#[test]
fn a_slow_server_holds_nobody_up() {
    let (world, _) = World::with_two_servers();
    assert_eq!(world.told("one.echo")["who"], "one", "the control");
    assert_eq!(world.told("two.echo")["who"], "two", "the control");
    let slow: Vec<_> = (0..20).map(|_| world.send(world.of_server("one.slow"))).collect();
    assert_eq!(world.result(world.query())["isError"], false);
    assert_eq!(world.result(world.of_server("two.echo"))["structuredContent"]["who"], "two");
    assert_eq!(world.result(world.of_server("one.echo"))["structuredContent"]["who"], "one");
    assert!(slow.iter().all(|given| given.try_recv().is_err()), "the control: all under way");
    for given in slow {
        match given.recv_timeout(Duration::from_secs(20)).unwrap() {
            ExecutorReply::Unknown { why } => {
                assert!(why.raw().contains("did not answer"), "{why}")
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The attack: the server says something else of a tool than what an operator approved.
#[test]
fn a_tool_that_is_not_what_was_approved_is_withheld_and_the_log_is_told() {
    let (world, _) = World::with_two_servers();
    let listener = std::os::unix::net::UnixListener::bind(world.places.recorder_socket()).unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        crate::wire::serve(
            &listener,
            |_| true,
            move |mut server| {
                while let Ok(Some((number, RecorderRequest::Append { event, .. }))) = server.hear()
                {
                    tell.send(*event).unwrap();
                    let reply = RecorderReply::Recorded { receipt: None };
                    server.answer(number, &reply).unwrap();
                }
            },
        )
    });
    assert_eq!(world.told("one.echo")["who"], "one", "the control");
    let withheld = || match world.ask(ExecutorRequest::Withheld) {
        ExecutorReply::Withheld { tools } => tools,
        other => panic!("{other:?}"),
    };
    assert!(withheld().is_empty(), "the control");

    // As if the server had changed: what was approved is another digest. It is noticed at its next start.
    world.pin("one.echo", &Digest::of(b"as it was").to_string());
    let ExecutorReply::Changed { why } = world.execute(world.of_server("one.echo")) else {
        panic!("the tool is not withheld");
    };
    assert!(why.raw().contains("changed it after it was approved"), "{why}");
    let died = world.execute(world.of_server("one.die"));
    assert!(matches!(died, ExecutorReply::Unknown { .. }), "{died:?}");
    let until = Instant::now() + Duration::from_secs(20);
    while withheld() != ["one.echo".parse().unwrap()] {
        assert!(Instant::now() < until, "{:?}", withheld());
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut found = Vec::new();
    while !found.iter().any(|(name, _)| name == "tool.changed") {
        match told.recv_timeout(Duration::from_secs(20)).unwrap() {
            Event::Finding { name, detail, .. } => found.push((name, detail.raw().to_owned())),
            other => panic!("{other:?}"),
        }
    }
    let of = |name: &str| found.iter().filter(|(found, _)| found == name).collect::<Vec<_>>();
    assert!(of("tool.changed")[0].1.starts_with("one.echo: approved is "), "{found:?}");
    // The second server's tools but one are pinned by nobody.
    assert!(of("tool.not_approved").iter().any(|(_, detail)| detail.contains("two: 2 tools")));
}
