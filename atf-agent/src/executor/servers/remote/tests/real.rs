//! The fixture that rmcp serves, in both eras, on a unix socket and behind TLS.

use atf_fixture::OverHttp;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener};

use super::super::settings::{Remote, quoted};
use super::lab::{Lab, remote};
use super::tls::Authority;
use crate::executor::servers::offer::Offered;
use crate::gate::Era;
use crate::wire::{ExecutorReply, MayTell, Told};

/// The fixture on a unix socket, and behind TLS on loopback; the folder holds what both need.
async fn served() -> (tempfile::TempDir, [Remote; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let (path, ca_file) = (dir.path().join("mcp.sock"), dir.path().join("ca.pem"));
    let fixture = OverHttp::default();
    let listener = UnixListener::bind(&path).unwrap();
    let on_unix = fixture.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let fixture = on_unix.clone();
            tokio::spawn(async move { fixture.serve(stream).await });
        }
    });
    let authority = Authority::new();
    std::fs::write(&ca_file, authority.certificate.pem()).unwrap();
    let acceptor = authority.acceptor("localhost", 2020, 2200);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (fixture, acceptor) = (fixture.clone(), acceptor.clone());
            tokio::spawn(
                async move { fixture.serve(acceptor.accept(stream).await.unwrap()).await },
            );
        }
    });
    let unix = format!("url = \"http://localhost/mcp\"\nunix = {}\n", quoted(&path));
    let tls = format!(
        "url = \"https://localhost:{port}/mcp\"\naddresses = [\"127.0.0.1\"]\nca_file = {}\n",
        quoted(&ca_file)
    );
    (dir, [remote(&unix), remote(&tls)])
}

fn text(reply: ExecutorReply) -> String {
    let ExecutorReply::Result { result } = reply else { panic!("{reply:?}") };
    let result: Value = serde_json::from_str(result.get()).unwrap();
    result["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_spoken_with_in_both_eras_on_both_ways() {
    let (_dir, both) = served().await;
    for remote in both {
        for era in [Era::Handshake, Era::Stateless] {
            let mut lab = Lab::keep(remote.clone(), era, 10_000);
            let tools = lab.offers(|tools| !tools.is_empty()).await;
            assert!(tools.iter().any(|tool| tool.tool == "test_simple_text"));
            for _ in 0..3 {
                let found = text(lab.call("test_simple_text", &json!({})).await);
                assert!(found.contains("simple text"), "{found}");
            }
            lab.may_tell = MayTell { progress: true, ..MayTell::default() };
            assert_eq!(text(lab.call("test_tool_with_progress", &json!({})).await), "done");
            let told: Vec<Told> = std::mem::take(&mut *lab.told.lock().unwrap());
            assert_eq!(told.len(), 3, "{era:?}: {told:?}");
            let failed = lab.call("test_error_handling", &json!({})).await;
            let ExecutorReply::Result { result } = failed else { panic!("{failed:?}") };
            assert!(result.get().contains("\"isError\":true"));
            lab.end().await;
        }
    }
}

/// A server by URL that changes a tool is heard of it, and the call of what was approved is not made.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_changes_is_withheld() {
    let (_dir, [unix, tls]) = served().await;
    for (remote, era) in [(unix, Era::Stateless), (tls, Era::Handshake)] {
        let mut lab = Lab::keep(remote, era, 10_000);
        let of = |tools: &[Offered]| {
            tools.iter().find(|tool| tool.tool == "test_changing").map(|tool| tool.digest)
        };
        let before = of(&lab.offers(|tools| of(tools).is_some()).await);
        // Until it listens, nobody is told.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(text(lab.call("test_trigger_tool_change", &json!({})).await), "changed");
        let after = of(&lab.offers(|tools| of(tools) != before).await);
        assert!(after.is_some() && after != before, "{era:?}");
        lab.end().await;
    }
}
