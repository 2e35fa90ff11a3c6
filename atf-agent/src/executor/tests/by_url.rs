//! Permits that reach servers by URL: what such a server hears, and what becomes of a call when it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::chown;

use super::*;
use crate::state::files;

const CREDENTIAL: &str = "Bearer of-the-executor";

/// Serves HTTP on loopback, a request a connection; the port, and all that was heard, byte for byte.
fn served() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let hears = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|l| l.lines().next());
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            hears.lock().unwrap().push(format!("{head}{body}"));
            let asked: Value = serde_json::from_str(&body).unwrap_or_default();
            let result = match asked["method"].as_str().unwrap_or_default() {
                "initialize" => {
                    json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}})
                }
                "tools/list" => json!({"tools": [{"name": "echo"}, {"name": "die"}]}),
                "tools/call" if asked["params"]["name"] == "die" => continue,
                "tools/call" => json!({"content": [], "structuredContent": {"who": "far"}}),
                _ => {
                    let said = "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    stream.get_mut().write_all(said.as_bytes()).unwrap();
                    continue;
                }
            };
            let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string();
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).unwrap();
        }
    });
    (port, heard)
}

fn world(port: u16) -> (World, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authorization");
    files::keep_secret(&path, CREDENTIAL.as_bytes()).unwrap();
    chown(&path, Some(Ids::default().executor), None).unwrap();
    let text = format!(
        "url = \"http://127.0.0.1:{port}/mcp\"\n[header_files]\nAuthorization = {:?}\n",
        path.display().to_string()
    );
    let world = World::with(&[("far", &text)]);
    for own in ["echo", "die"] {
        world.pin(
            &format!("far.{own}"),
            &Digest::of(format!(r#"{{"name":"{own}"}}"#).as_bytes()).to_string(),
        );
    }
    (world, dir)
}

#[test]
fn a_server_by_url_hears_the_executors_credential_and_nothing_of_the_runs() {
    let (port, heard) = served();
    let (world, _dir) = world(port);
    assert_eq!(world.told("far.echo"), json!({"who": "far"}));
    let heard = heard.lock().unwrap();
    assert!(heard.len() >= 4, "the handshake, the list and the call");
    for request in heard.iter() {
        assert!(request.contains(CREDENTIAL), "{request}");
        // A token of a run begins so.
        assert!(!request.contains("eyJ"), "{request}");
        let names = request.split("\r\n\r\n").next().unwrap().lines().skip(1);
        let names: Vec<String> = names
            .map(|line| line.split(':').next().unwrap().to_ascii_lowercase())
            .filter(|name| name != "content-length")
            .collect();
        let ours = [
            "host",
            "accept",
            "accept-encoding",
            "user-agent",
            "content-type",
            "mcp-protocol-version",
            "authorization",
        ];
        assert!(names.iter().all(|name| ours.contains(&name.as_str())), "{names:?}");
    }
}

#[test]
fn what_a_permit_has_to_be_it_has_to_be_for_a_server_by_url_too() {
    let (port, heard) = served();
    let (world, _dir) = world(port);
    assert_eq!(world.told("far.echo")["who"], "far", "the control");
    let before = heard.lock().unwrap().len();
    for (change, why) in [
        (&(|d: &mut Draft| d.permit_key = foreign()) as &dyn Fn(&mut Draft), "permit's code"),
        (&|d| d.receipt_key = foreign(), "receipt's code"),
        (&|d| d.permit.arguments = Digest::of(b"{}"), "arguments"),
        (&|d| d.claims.entitlements.allowed_tools.truncate(1), "does not name far.echo"),
    ] {
        let mut draft = world.of_server("far.echo");
        change(&mut draft);
        let found = world.refused(draft);
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
    }
    assert_eq!(heard.lock().unwrap().len(), before, "it heard of none of them");
}

#[test]
fn a_server_by_url_that_dies_leaves_its_call_unknown_and_no_other_tool() {
    let (port, _heard) = served();
    let (world, _dir) = world(port);
    assert_eq!(world.told("far.echo")["who"], "far", "the control");
    match world.execute(world.of_server("far.die")) {
        ExecutorReply::Unknown { why } => assert!(why.raw().contains("no answer"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.result(world.query())["isError"], false, "the built-in tools go on");
    assert_eq!(world.told("far.echo")["who"], "far", "it is asked again");
}

/// The executor has the host's network for servers over IP, and for nothing else.
#[test]
fn an_executor_keeps_a_network_for_servers_over_ip_alone() {
    let child = "command = \"/bin/cat\"\nuid = 1900000101\n";
    let unix = "url = \"http://localhost/mcp\"\nunix = \"/run/mcp/mcp.sock\"\n";
    let over_ip = "url = \"http://127.0.0.1:1/mcp\"\n";
    for (files, needs) in
        [(vec![child, unix], false), (Vec::new(), false), (vec![unix, over_ip], true)]
    {
        let dir = tempfile::tempdir().unwrap();
        for (number, text) in files.iter().enumerate() {
            let path = dir.path().join(format!("s{number}.toml"));
            files::keep_secret(&path, text.as_bytes()).unwrap();
        }
        let places = Places { servers_dir: dir.path().to_owned(), ..Places::default() };
        let prepared = Prepared::fork(&places, &Ids::default(), None).unwrap();
        assert_eq!(prepared.need_network(), needs, "{files:?}");
    }
}

/// The attack: a credential that other users of the host can read.
#[test]
fn an_executor_does_not_start_with_a_credential_that_others_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authorization");
    let places = Places { servers_dir: dir.path().join("servers"), ..Places::default() };
    std::fs::create_dir_all(&places.servers_dir).unwrap();
    let text = format!(
        "url = \"https://mcp.example.com/\"\nca_file = {:?}\n[header_files]\nAuthorization = {:?}\n",
        dir.path().join("ca.pem").display().to_string(),
        path.display().to_string()
    );
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    std::fs::write(dir.path().join("ca.pem"), pem).unwrap();
    std::fs::write(places.servers_dir.join("far.toml"), text).unwrap();
    let ids = Ids::default();
    for (owner, mode, fine) in
        [(ids.executor, 0o600, true), (ids.executor, 0o640, false), (ids.gateway, 0o600, false)]
    {
        files::keep_secret(&path, CREDENTIAL.as_bytes()).unwrap();
        chown(&path, Some(owner), None).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&path, mode).unwrap();
        let found = Prepared::fork(&places, &ids, None).map(drop);
        assert_eq!(found.is_ok(), fine, "{owner}: {found:?}");
    }
}
