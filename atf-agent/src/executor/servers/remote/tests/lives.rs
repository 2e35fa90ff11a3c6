//! How a life by URL begins, what is said in it, and how it ends: sessions that are forgotten, servers that go
//! and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use super::super::settings::quoted;
use super::lab::{Lab, Play, Played, Request, answer, honest, remote, word};
use super::tls::Authority;
use crate::gate::Era;
use crate::state::files;

fn calls(played: &Played) -> Vec<Request> {
    played.heard().into_iter().filter(|request| request.method() == "tools/call").collect()
}

#[tokio::test]
async fn each_era_says_what_it_has_to_beside_its_messages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    files::keep_secret(&path, b"Bearer of-the-executor\n").unwrap();
    for era in [Era::Handshake, Era::Stateless] {
        let played = Played::new(|request| honest(request, "s-1"));
        let (port, _serving) = played.on_loopback().await;
        let text = format!(
            "url = \"http://127.0.0.1:{port}/mcp?a=b\"\n[header_files]\nAuthorization = {}\n",
            quoted(&path)
        );
        let lab = Lab::keep(remote(&text), era, 5_000);
        assert_eq!(lab.echo("x").await, "x");
        lab.end().await;
        let heard = played.heard();
        for request in &heard {
            assert_eq!(request.header("authorization"), Some("Bearer of-the-executor"));
            assert_eq!(request.header("host"), Some(format!("127.0.0.1:{port}").as_str()));
            assert!(request.head.contains(" /mcp?a=b HTTP/1.1"), "{}", request.head);
        }
        let call = heard.iter().find(|request| request.method() == "tools/call").unwrap();
        let opening = &heard[0];
        let [revision, session, method, name] =
            ["mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"];
        match era {
            Era::Handshake => {
                assert_eq!(opening.method(), "initialize");
                assert_eq!((opening.header(revision), opening.header(session)), (None, None));
                assert_eq!(call.header(revision), Some("2025-06-18"));
                assert_eq!(call.header(session), Some("s-1"));
                assert_eq!((call.header(method), call.header(name)), (None, None));
                let second = &heard[1];
                assert_eq!(second.method(), "notifications/initialized", "before all else");
                let bye = heard.last().unwrap();
                assert!(bye.head.starts_with("DELETE "), "{}", bye.head);
                assert_eq!(bye.header(session), Some("s-1"));
            }
            Era::Stateless => {
                assert_eq!(opening.method(), "server/discover");
                assert!(heard.iter().all(|request| request.header(session).is_none()));
                assert_eq!(call.header(revision), Some("2026-07-28"));
                assert_eq!(call.header(method), Some("tools/call"));
                assert_eq!(call.header(name), Some("echo"));
                assert!(heard.iter().all(|request| request.head.starts_with("POST ")));
            }
        }
    }
}

/// The call is made once more in a session of its own, in which the tools are read again; not twice.
#[tokio::test]
async fn a_session_that_the_server_ends_is_begun_anew_once() {
    // How many calls a session lasts, and how many sessions there are.
    for (lasts, sessions_max, expected, is_heard) in [
        (1, usize::MAX, "second", 3),
        (0, usize::MAX, "unknown: the server far ended the session again", 2),
    ] {
        let begun = Arc::new(AtomicUsize::new(0));
        let served = Arc::new(AtomicUsize::new(0));
        let (begins, serves) = (Arc::clone(&begun), Arc::clone(&served));
        let played = Played::new(move |request| {
            if request.method() == "initialize" {
                serves.store(0, Ordering::SeqCst);
                let number = begins.fetch_add(1, Ordering::SeqCst);
                assert!(number < sessions_max);
                return honest(request, &format!("s{number}"));
            }
            let now = format!("s{}", begins.load(Ordering::SeqCst) - 1);
            let is_over = request.header("mcp-session-id") != Some(now.as_str());
            if is_over
                || (request.method() == "tools/call"
                    && serves.fetch_add(1, Ordering::SeqCst) >= lasts)
            {
                return Play::Say(answer("404 Not Found", "", b""));
            }
            honest(request, &now)
        });
        let (port, _serving) = played.on_loopback().await;
        let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n");
        let mut lab = Lab::keep(remote(&text), Era::Handshake, 5_000);
        lab.offers(|tools| !tools.is_empty()).await;
        if lasts == 1 {
            assert_eq!(lab.echo("first").await, "first", "the control");
        }
        let found = lab.echo("second").await;
        assert!(found.starts_with(expected), "{found}");
        assert_eq!(calls(&played).len(), is_heard);
        let listed = played.heard().iter().filter(|r| r.method() == "tools/list").count();
        assert_eq!(begun.load(Ordering::SeqCst), listed, "each session reads the tools");
    }
}

/// The attack: the session is ended so that the tools of the next one are others, and the call is made of them.
#[tokio::test]
async fn a_call_that_is_made_once_more_is_of_what_was_approved() {
    let begun = Arc::new(AtomicUsize::new(0));
    let begins = Arc::clone(&begun);
    let played = Played::new(move |request| match request.method() {
        "initialize" => {
            let number = begins.fetch_add(1, Ordering::SeqCst);
            honest(request, &format!("s{number}"))
        }
        "tools/call" if begins.load(Ordering::SeqCst) == 1 => {
            Play::Say(answer("404 Not Found", "", b""))
        }
        "tools/list" if begins.load(Ordering::SeqCst) > 1 => {
            let tools = json!({"tools": [{"name": "echo", "description": "another one"}]});
            Play::Say(super::lab::json_answer(&request.answer(&tools)))
        }
        _ => honest(request, "s0"),
    });
    let (port, _serving) = played.on_loopback().await;
    let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n");
    let mut lab = Lab::keep(remote(&text), Era::Handshake, 5_000);
    lab.offers(|tools| !tools.is_empty()).await;
    let found = lab.echo("x").await;
    let expected = "unknown: its server ended the session, and then: the tool far.echo is withheld";
    assert!(found.starts_with(expected), "{found}");
    assert_eq!(calls(&played).len(), 1);
}

/// What a server tells while nobody listens is told to nobody: its lists are read again.
#[tokio::test]
async fn a_stream_of_notices_that_ended_is_opened_again_and_the_lists_are_read_then() {
    for (what, first_ends) in [("the control", false), ("it ends", true)] {
        let opened = Arc::new(AtomicUsize::new(0));
        let opens = Arc::clone(&opened);
        let played = Played::new(move |request| {
            if !request.is_get() {
                return honest(request, "s1");
            }
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hi\n\n";
            match opens.fetch_add(1, Ordering::SeqCst) {
                0 if first_ends => Play::Close(head.to_vec()),
                _ => Play::Hang(head.to_vec()),
            }
        });
        let (port, _serving) = played.on_loopback().await;
        let text = format!("url = \"http://127.0.0.1:{port}/mcp\"\n");
        let lab = Lab::keep(remote(&text), Era::Handshake, 5_000);
        assert_eq!(lab.echo("x").await, "x");
        // It is opened again after a second.
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        assert_eq!(lab.echo("y").await, "y", "{what}");
        let lists = played.heard().iter().filter(|r| r.method() == "tools/list").count();
        let found = (opened.load(Ordering::SeqCst), lists);
        assert_eq!(found, if first_ends { (2, 2) } else { (1, 1) }, "{what}");
        let opening = played.heard().into_iter().find(Request::is_get).unwrap();
        assert_eq!(opening.header("mcp-session-id"), Some("s1"));
        assert_eq!(opening.header("accept"), Some("text/event-stream"));
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_not_asked_and_is_there_again_when_it_is_back() {
    let played = Played::new(|request| honest(request, "s1"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let serving = played.on(listener);
    let lab = Lab::keep(remote(&format!("url = \"http://{at}/mcp\"\n")), Era::Handshake, 5_000);
    assert_eq!(lab.echo("control").await, "control");
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    let heard = calls(&played).len();
    let found = lab.echo("away").await;
    assert!(found.starts_with("refused: the tool server far is away"), "{found}");
    assert_eq!(calls(&played).len(), heard, "it heard nothing");

    let _serving = played.on(TcpListener::bind(at).await.unwrap());
    let until = std::time::Instant::now() + super::lab::PATIENCE;
    while lab.echo("back").await != "back" {
        assert!(std::time::Instant::now() < until, "it does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The attack: a server takes its time to be connected to, and meanwhile the run is sealed.
#[tokio::test]
async fn a_run_that_is_sealed_while_its_server_is_connected_to_is_not_acted_for() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, authority.certificate.pem()).unwrap();
    let acceptor = authority.acceptor("mcp.test", 2020, 2200);
    // Each request has a connection of its own, and each connection takes a while.
    let played = Played::new(|request| match honest(request, "s1") {
        Play::Say(bytes) => Play::Close(bytes),
        other => other,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = played.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (served, acceptor) = (served.clone(), acceptor.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(400)).await;
                if let Ok(stream) = acceptor.accept(stream).await {
                    served.serve(stream).await;
                }
            });
        }
    });
    let text = format!(
        "url = \"https://mcp.test:{port}/mcp\"\naddresses = [\"127.0.0.1\"]\nca_file = {}\n",
        quoted(&ca_file)
    );
    let mut lab = Lab::keep(remote(&text), Era::Stateless, 5_000);
    lab.offers(|tools| !tools.is_empty()).await;
    for (seals, expected) in [(false, "x"), (true, "refused: the run is sealed"), (false, "x")] {
        let before = calls(&played).len();
        let given = lab.begin("echo", &json!({"text": "x"})).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        lab.sealed.store(seals, Ordering::SeqCst);
        let found = word(given.await.unwrap());
        assert!(found.starts_with(expected), "{found}");
        assert_eq!(calls(&played).len() > before, !seals, "whether it was sent");
        lab.sealed.store(false, Ordering::SeqCst);
    }
}

/// The attack: each notice has a list asked for, by a connection of its own, and no list comes.
#[tokio::test]
async fn notices_of_changes_do_not_open_connections_without_end() {
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let played = Played::new(move |request| match request.method() {
        "initialize" => {
            let has = json!({"tools": {}, "prompts": {}});
            let result = json!({"protocolVersion": "2025-06-18", "capabilities": has});
            Play::Say(super::lab::json_answer(&request.answer(&result)))
        }
        "prompts/list" => Play::Hang(Vec::new()),
        _ if request.is_get() => {
            let told = r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_owned();
            Play::Hang((head + &format!("data: {told}\n\n").repeat(3_000)).into_bytes())
        }
        _ => honest(request, "s1"),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (counts, peaks, served) = (Arc::clone(&open), Arc::clone(&most), played.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (counts, served) = (Arc::clone(&counts), served.clone());
            peaks.fetch_max(counts.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::spawn(async move {
                served.serve(stream).await;
                counts.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let lab = Lab::keep(remote(&format!("url = \"http://{at}/mcp\"\n")), Era::Handshake, 5_000);
    assert_eq!(lab.echo("x").await, "x");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(lab.echo("y").await, "y");
    let lists = played.heard().iter().filter(|r| r.method() == "prompts/list").count();
    let most = most.load(Ordering::SeqCst);
    assert!(lists > 1 && most < 40, "{lists} lists, {most} connections at once");
}

#[tokio::test]
async fn who_may_listen_at_a_unix_socket_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mcp.sock");
    let played = Played::new(|request| honest(request, "s1"));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let served = played.clone();
    let _serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(served.clone().serve(stream));
        }
    });
    let me = rustix::process::geteuid().as_raw();
    for (uid, expected) in [(me, "x"), (me + 1, "refused: the tool server far is away")] {
        let text =
            format!("url = \"http://localhost/mcp\"\nunix = {}\nunix_uid = {uid}\n", quoted(&path));
        let before = played.heard().len();
        let lab = Lab::keep(remote(&text), Era::Stateless, 5_000);
        let found = lab.echo("x").await;
        assert!(found.starts_with(expected), "{uid}: {found}");
        assert_eq!(played.heard().len() == before, uid != me, "another one is told nothing");
    }
}

/// A name is not led to the host itself by who answers for it; an address that the file names is.
#[tokio::test]
async fn a_name_that_leads_to_the_host_itself_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, Authority::new().certificate.pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (more, expected, is_asked) in
        [("", "which no name may", false), ("addresses = [\"127.0.0.1\"]\n", "is away", true)]
    {
        let ca_file = quoted(&ca_file);
        let text = format!("url = \"https://localhost:{port}/mcp\"\nca_file = {ca_file}\n{more}");
        let lab = Lab::keep(remote(&text), Era::Stateless, 5_000);
        let asked = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await;
        assert_eq!(asked.is_ok(), is_asked, "{more:?}");
        drop(asked);
        let found = lab.echo("x").await;
        assert!(found.contains(expected), "{found}");
    }
}

/// The attack: a run makes so many calls at once that its server's queue is full, and the server counts as away for
/// all runs. The control is one that nobody serves.
#[tokio::test]
async fn a_unix_socket_whose_queue_is_full_is_not_away() {
    let dir = tempfile::tempdir().unwrap();
    for (serves, expected) in [(true, "x"), (false, "refused: the tool server far is away")] {
        let path = dir.path().join(format!("{serves}.sock"));
        let played = Played::new(|request| honest(request, "s1"));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let _queued = std::os::unix::net::UnixStream::connect(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let _serving = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            while let (true, Ok((stream, _))) = (serves, listener.accept().await) {
                tokio::spawn(played.clone().serve(stream));
            }
        });
        let path = quoted(&path);
        let text =
            format!("url = \"http://localhost/\"\nunix = {path}\nconnect_timeout_ms = 2000\n");
        let lab = Lab::keep(remote(&text), Era::Stateless, 5_000);
        let found = lab.echo("x").await;
        assert!(found.starts_with(expected), "{serves}: {found}");
    }
}
