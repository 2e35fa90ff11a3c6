//! The suite has fixed names, ATF has the server's in front of each: what a client does that knows so.

use serde_json::Value;

/// The fixture's name among the servers.
pub(super) const SERVER: &str = "conf";

/// A message of the suite with the names that ATF knows. What is no such message stays as it is.
pub(super) fn lengthen(body: &[u8]) -> Option<Vec<u8>> {
    let mut message: Value = serde_json::from_slice(body).ok()?;
    let method = message.get("method")?.as_str()?.to_owned();
    let params = message.get_mut("params")?;
    match method.as_str() {
        "tools/call" | "prompts/get" => name(params.get_mut("name")?, '.')?,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            name(params.get_mut("uri")?, '+')?;
        }
        "completion/complete" => {
            let of = params.get_mut("ref")?;
            match of.get_mut("name") {
                Some(prompt) => name(prompt, '.')?,
                None => name(of.get_mut("uri")?, '+')?,
            }
        }
        _ => return None,
    }
    serde_json::to_vec(&message).ok()
}

/// The value of `Mcp-Name` beside a message of `method`.
pub(super) fn header(method: &str, value: &str) -> String {
    match method {
        "tools/call" | "prompts/get" => format!("{SERVER}.{value}"),
        "resources/read" => format!("{SERVER}+{value}"),
        _ => value.to_owned(),
    }
}

fn name(value: &mut Value, sign: char) -> Option<()> {
    *value = Value::from(format!("{SERVER}{sign}{}", value.as_str()?));
    Some(())
}

/// What ATF says with the names that the suite knows.
pub(super) fn shorten(piece: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(piece);
    let plain = |sign: char| format!("\"{SERVER}{sign}");
    text.replace(&plain('.'), "\"").replace(&plain('+'), "\"").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lengthened_on_the_way_in_and_shortened_on_the_way_out() {
        let long = |body: &str| lengthen(body.as_bytes()).map(|b| String::from_utf8(b).unwrap());
        let body = r#"{"method":"tools/call","params":{"name":"echo"}}"#;
        assert_eq!(
            long(body).as_deref(),
            Some(r#"{"method":"tools/call","params":{"name":"conf.echo"}}"#)
        );
        let body = r#"{"method":"completion/complete","params":{"ref":{"uri":"a:{b}"}}}"#;
        assert!(long(body).unwrap().contains("conf+a:{b}"));
        for same in [r#"{"method":"ping"}"#, "[]", "x", r#"{"method":"tools/call","params":{}}"#] {
            assert_eq!(long(same), None, "{same}");
        }
        assert_eq!(
            shorten(br#"{"uri":"conf+a:b","name":"conf.x"}"#),
            br#"{"uri":"a:b","name":"x"}"#
        );
        assert_eq!(header("resources/read", "a:b"), "conf+a:b");
    }
}
