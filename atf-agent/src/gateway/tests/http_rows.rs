//! Rows of requests that are no calls: each is turned away by its own status, and nothing is judged.

use std::time::{Duration, Instant};

use super::super::http::Patience;
use super::client::{Client, post, raw, request};
use super::lab::{Lab, Wanted};
use serde_json::json;

/// Long enough for an answer on this host.
const PATIENCE: Duration = Duration::from_secs(5);

fn head(method: &str, path: &str, more: &str) -> Vec<u8> {
    let body = request("ping", &json!({}));
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n{more}\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_gets_the_status_that_says_why() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[]);
    let bearer = format!("authorization: Bearer {}\r\n", run.token);
    for (name, method, path, more, status) in [
        ("the control", "POST", "/mcp", bearer.as_str(), "200"),
        ("no token", "POST", "/mcp", "", "401"),
        ("GET opens no stream", "GET", "/mcp", "", "405"),
        ("another method", "PUT", "/mcp", "", "405"),
        ("DELETE without a session", "DELETE", "/mcp", "", "404"),
        ("DELETE of no session", "DELETE", "/mcp", "mcp-session-id: x\r\n", "404"),
        ("a call in no session", "POST", "/mcp", "mcp-session-id: x\r\n", "404"),
        ("another path", "POST", "/", "", "404"),
        ("an origin of the web", "POST", "/mcp", "origin: http://example.org\r\n", "403"),
        ("an unknown revision", "POST", "/mcp", "mcp-protocol-version: 2030-01-01\r\n", "400"),
        ("no JSON wanted", "POST", "/mcp", "accept: text/html\r\n", "406"),
        ("two hosts", "POST", "/mcp", "host: example.org\r\n", "403"),
    ] {
        let got = raw(&run.socket, head(method, path, more), PATIENCE).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {got}");
        if status == "405" {
            assert!(got.contains("allow: POST, DELETE\r\n"), "{name}: {got}");
        }
        if status == "401" {
            let challenge = "www-authenticate: Bearer resource_metadata=\"http://atf/.well-known/";
            assert!(got.contains(challenge), "{name}: {got}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_of_the_resource_is_there_for_the_asking_and_nothing_else_is() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[]);
    let whole = "/.well-known/oauth-protected-resource/mcp";
    for (name, method, path, more, status) in [
        ("the control", "GET", whole, "", "200"),
        ("where older clients look", "GET", "/.well-known/oauth-protected-resource", "", "200"),
        ("another method", "POST", whole, "", "405"),
        ("another origin", "GET", whole, "origin: http://example.org\r\n", "403"),
        ("another document", "GET", "/.well-known/openid-configuration", "", "404"),
    ] {
        let got = raw(&run.socket, head(method, path, more), PATIENCE).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {got}");
        assert_eq!(got.contains("allow: GET\r\n"), status == "405", "{name}: {got}");
        if status == "200" {
            let told: serde_json::Value =
                serde_json::from_str(got.split("\r\n\r\n").nth(1).unwrap()).unwrap();
            assert_eq!(told["resource"], "http://atf/mcp", "{name}");
            assert_eq!(told["authorization_servers"], json!([super::lab::ISSUER]), "{name}");
            assert_eq!(told["bearer_methods_supported"], json!(["header"]), "{name}");
        }
    }
    assert!(lab.events().is_empty(), "it tells nothing of the run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_past_the_limit_is_not_read() {
    let mut wanted = Wanted::default();
    wanted.settings.body_bytes_max = 2_000;
    let lab = Lab::start(wanted).await;
    let run = lab.run(&[]);
    for (bytes, status) in [(1_000, 200), (3_000, 413)] {
        let body = request("ping", &json!({"pad": "x".repeat(bytes)}));
        assert_eq!(post(&run, &body).await.status, status, "{bytes}");
    }
    // The same without a stated length.
    let chunk = format!("bb8\r\n{}\r\n0\r\n\r\n", "x".repeat(3_000));
    let bytes = format!(
        "POST /mcp HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{chunk}"
    );
    let got = raw(&run.socket, bytes.into_bytes(), Duration::from_millis(500)).await;
    assert!(got.starts_with("HTTP/1.1 413 "), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_64_kib_or_without_end_are_cut_off() {
    let lab = Lab::start(Wanted::default()).await;
    let run = lab.run(&[]);
    let bearer = format!("authorization: Bearer {}\r\n", run.token);
    let large = format!("{bearer}x-pad: {}\r\n", "x".repeat(64 << 10));
    let many = bearer.clone() + &"x-pad: 1\r\n".repeat(200);
    for (more, status) in [(&bearer, "200"), (&large, "431"), (&many, "431")] {
        let got = raw(&run.socket, head("POST", "/mcp", more), PATIENCE).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sender_is_cut_off_and_holds_nobody_else() {
    let short = Duration::from_millis(300);
    let patience = Patience { head: short, body: short, ..Patience::default() };
    let lab = Lab::start(Wanted { patience, ..Wanted::default() }).await;
    let (slow, other) = (lab.run(&[]), lab.run(&[]));
    let half_head = b"POST /mcp HTTP/1.1\r\nhost: a".to_vec();
    let half_body = b"POST /mcp HTTP/1.1\r\nhost: atf\r\ncontent-type: application/json\r\n\
                      content-length: 50\r\n\r\n{"
        .to_vec();
    for (bytes, status) in [(half_head, ""), (half_body, "HTTP/1.1 408 ")] {
        let (started, body) = (Instant::now(), request("ping", &json!({})));
        let (got, ping) = tokio::join!(raw(&slow.socket, bytes, PATIENCE), post(&other, &body),);
        assert!(got.starts_with(status), "{got}");
        assert!(started.elapsed() < PATIENCE, "the connection was not closed");
        assert_eq!(ping.status, 200, "the other run");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fills_its_connections_fills_only_its_own() {
    let mut wanted = Wanted::default();
    wanted.settings.connections_per_run_max = 4;
    let lab = Lab::start(wanted).await;
    let (flood, other) = (lab.run(&[]), lab.run(&[]));
    let mut held = Vec::new();
    // The slots, and then the backlog until the kernel says that it is full.
    while held.len() < 1_000 {
        match tokio::net::UnixStream::connect(&flood.socket).await {
            Ok(stream) => held.push(stream),
            Err(_) => break,
        }
    }
    assert!((5..1_000).contains(&held.len()), "{}", held.len());
    let ping = request("ping", &json!({}));
    assert_eq!(post(&other, &ping).await.status, 200);
    drop(held);
    lab.until("the flooded run is served again", |_| {
        std::os::unix::net::UnixStream::connect(&flood.socket).ok()
    })
    .await;
    assert_eq!(post(&flood, &ping).await.status, 200);
    let _unused = Client::connect(&other.socket).await;
}
