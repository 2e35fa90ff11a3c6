//! Every way that is known to pass a token that should not pass (RFC 8725, and the CVEs of a decade of
//! libraries), as rows against the honest token.

#![allow(clippy::too_many_lines, reason = "a table of attacks is one test")]

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::forge::{self, Draft, NOW};
use super::{IdentityError, Minter};

/// The control and the attack go through the same function.
fn check(what: &str, token: &str, now_unix_s: u64, expected: Option<&str>) {
    let found = forge::verifier().verify(token, now_unix_s);
    let kind = found.as_ref().err().map(|error| match error {
        IdentityError::Form(_) => "form",
        IdentityError::Header(_) => "header",
        IdentityError::UnknownKey { .. } => "key",
        IdentityError::Signature { .. } => "signature",
        IdentityError::Claims(_) => "claims",
        IdentityError::Time(_) => "time",
        IdentityError::KeySet(_) | IdentityError::Key(_) => "keys",
    });
    assert_eq!(kind, expected, "{what}: {found:?}");
}

fn rows(now_unix_s: u64, rows: impl IntoIterator<Item = (&'static str, String, &'static str)>) {
    check("the control", &Draft::honest().signed(), NOW, None);
    for (what, token, kind) in rows {
        check(what, &token, now_unix_s, Some(kind));
    }
}

#[test]
fn a_header_that_is_not_ours_is_refused() {
    let head = |name: &str, value: Value| Draft::honest().head(name, value).signed();
    let raw = |header: &str| Draft { header: header.to_owned(), ..Draft::honest() }.signed();
    let kid = forge::minter().kid();
    let twice = format!(r#"{{"alg":"RS256","alg":"RS256","typ":"atf-agent+jwt","kid":"{kid}"}}"#);
    rows(
        NOW,
        [
            ("alg none", head("/alg", json!("none")), "header"),
            ("alg None", head("/alg", json!("None")), "header"),
            ("alg rs256", head("/alg", json!("rs256")), "header"),
            ("alg RS384", head("/alg", json!("RS384")), "header"),
            ("alg PS256", head("/alg", json!("PS256")), "header"),
            ("alg missing", head("/alg", Value::Null), "header"),
            ("typ missing", head("/typ", Value::Null), "header"),
            ("typ JWT", head("/typ", json!("JWT")), "header"),
            ("typ at+jwt", head("/typ", json!("at+jwt")), "header"),
            ("typ in upper case", head("/typ", json!("ATF-AGENT+JWT")), "header"),
            ("kid missing", head("/kid", Value::Null), "header"),
            ("kid a path", head("/kid", json!("../../../dev/null")), "header"),
            ("kid SQL", head("/kid", json!("' UNION SELECT 'key' -- ")), "header"),
            ("kid a number", head("/kid", json!(1)), "header"),
            ("kid unknown", head("/kid", json!("A".repeat(43))), "key"),
            ("crit", head("/crit", json!(["exp"])), "header"),
            ("b64 false", head("/b64", json!(false)), "header"),
            ("jku", head("/jku", json!("https://evil.test/jwks")), "header"),
            ("jwk", head("/jwk", json!({"kty": "oct", "k": "AA"})), "header"),
            ("x5u", head("/x5u", json!("https://evil.test/x")), "header"),
            ("x5c", head("/x5c", json!(["AA"])), "header"),
            ("zip", head("/zip", json!("DEF")), "header"),
            ("cty", head("/cty", json!("JWT")), "header"),
            ("enc", head("/enc", json!("A128GCM")), "header"),
            ("anything else", head("/x", json!(1)), "header"),
            ("alg twice", raw(&twice), "header"),
            ("an array", raw(&format!(r#"["RS256","atf-agent+jwt","{kid}"]"#)), "header"),
            ("trailing bytes", raw(&format!("{}{{}}", Draft::honest().header)), "header"),
            ("no JSON", raw("alg=RS256"), "header"),
        ],
    );
}

#[test]
fn a_signature_of_another_kind_is_refused() {
    let draft = Draft::honest();
    let hs256 = Draft::honest().head("/alg", json!("HS256"));
    let mac = |secret: Vec<u8>| {
        hs256.with(|bytes| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            hmac::sign(&key, bytes).as_ref().to_vec()
        })
    };
    let same_header_mac = draft.with(|bytes| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, forge::minter().jwks().as_bytes());
        hmac::sign(&key, bytes).as_ref().to_vec()
    });
    let jwks: Value = serde_json::from_str(&forge::minter().jwks()).unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["n"].as_str().unwrap()).unwrap();
    let other = Minter::generate().unwrap();
    let good = draft.signed();
    let mut flipped = good.clone().into_bytes();
    let at = flipped.len() - 20;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let body = good.rsplit_once('.').unwrap().0;
    rows(
        NOW,
        [
            ("HS256 with the JWK set", mac(forge::minter().jwks().into_bytes()), "header"),
            ("HS256 with the JWK", mac(jwks["keys"][0].to_string().into_bytes()), "header"),
            ("HS256 with the modulus", mac(modulus.clone()), "header"),
            ("HS256 with an empty secret", mac(Vec::new()), "header"),
            ("a MAC under an RS256 header", same_header_mac, "signature"),
            ("another key's signature", draft.signed_by(&other), "signature"),
            ("zeros", draft.with(|_| vec![0; 256]), "signature"),
            ("the modulus", draft.with(|_| modulus.clone()), "signature"),
            ("one byte", draft.with(|_| vec![1]), "signature"),
            ("a changed byte", String::from_utf8(flipped).unwrap(), "signature"),
            ("no signature", format!("{body}."), "form"),
            (
                "an honest signature over another payload",
                format!(
                    "{}.{}",
                    Draft::honest()
                        .claim("/sub", json!("agent:root"))
                        .signed()
                        .rsplit_once('.')
                        .unwrap()
                        .0,
                    good.rsplit_once('.').unwrap().1
                ),
                "signature",
            ),
        ],
    );
}

#[test]
fn a_form_that_is_not_compact_and_canonical_is_refused() {
    let good = Draft::honest().signed();
    let parts: Vec<&str> = good.split('.').collect();
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let padded = format!("{}.{}.{}", parts[0], parts[1], URL_SAFE.encode(bytes(parts[2])));
    let standard = format!("{}.{}.{}", parts[0], parts[1], STANDARD.encode(bytes(parts[2])));
    // 256 bytes leave two bits in the last character that must be zero.
    let (head, last) = good.split_at(good.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.find(last).unwrap() + 1;
    let loose = format!("{head}{}", &alphabet[next..=next]);
    let long = Draft::honest().before(&format!("\"x\":\"{}\",", "x".repeat(9_000))).signed();
    let deep = Draft::honest().before(&format!("\"x\":{}1{},", "[".repeat(900), "]".repeat(900)));
    rows(
        NOW,
        [
            ("empty", String::new(), "form"),
            ("two dots alone", "..".to_owned(), "form"),
            ("two parts", format!("{}.{}", parts[0], parts[1]), "form"),
            ("four parts", format!("{good}.AA"), "form"),
            ("five parts", format!("{good}.AA.AA"), "form"),
            ("padded", padded, "form"),
            ("standard alphabet, padded", standard, "form"),
            ("bits left over", loose, "form"),
            ("a space before", format!(" {good}"), "form"),
            ("a newline after", format!("{good}\n"), "form"),
            ("a newline within", good.replacen('.', "\n.", 1), "form"),
            ("a NUL", format!("{good}\0"), "form"),
            ("not ASCII", format!("é{good}"), "form"),
            (
                "JSON serialization",
                format!(r#"{{"payload":"{}","signatures":[]}}"#, parts[1]),
                "form",
            ),
            ("detached", format!("{}..{}", parts[0], parts[2]), "form"),
            ("longer than 8 KiB", long, "form"),
            ("4 MiB", "A".repeat(4 << 20), "form"),
            ("deeply nested", deep.signed(), "claims"),
        ],
    );
}

#[test]
fn a_claim_that_is_not_of_the_profile_is_refused() {
    let claim = |name: &str, value: Value| Draft::honest().claim(name, value).signed();
    let many: Vec<String> = (0..65).map(|i| format!("t{i}")).collect();
    let act = |i: u32| json!({"sub": "agent:a", "jti": format!("task-run:{i:032x}")});
    let with = |mut outer: Value, inner: Value| {
        outer["act"] = inner;
        outer
    };
    let four = (2..=4).fold(act(1), |deep, i| with(act(i), deep));
    check("the control", &claim("/act", four), NOW, None);
    let names = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "context", "entitlements"];
    let missing = names
        .iter()
        .chain(&["prompt_integrity_hash"])
        .map(|name| ("a claim is missing", claim(&format!("/{name}"), Value::Null), "claims"));
    let wrong = [
        ("act empty", claim("/act", json!({})), "claims"),
        ("act an array", claim("/act", json!(["agent:a", act(1)["jti"]])), "claims"),
        ("act a string", claim("/act", json!("agent:a")), "claims"),
        ("act null", Draft::honest().before("\"act\":null,").signed(), "claims"),
        (
            "act with more",
            claim("/act", json!({"sub": "agent:a", "jti": act(1)["jti"], "iss": "x"})),
            "claims",
        ),
        ("act without a run", claim("/act", json!({"sub": "agent:a"})), "claims"),
        ("act with another act null", claim("/act", with(act(1), Value::Null)), "claims"),
        ("a run twice in act", claim("/act", with(act(1), act(1))), "claims"),
        (
            "act five deep",
            claim("/act", (2..=5).fold(act(1), |deep, i| with(act(i), deep))),
            "claims",
        ),
        ("iss of another", claim("/iss", json!("https://evil.test")), "claims"),
        ("iss with a slash more", claim("/iss", json!("https://atf.test/")), "claims"),
        ("iss a list", claim("/iss", json!(["https://evil.test", forge::ISSUER])), "claims"),
        ("iss a number", claim("/iss", json!(1)), "claims"),
        ("aud of another", claim("/aud", json!("other.test")), "claims"),
        ("aud a list with us", claim("/aud", json!([forge::AUDIENCE])), "claims"),
        ("aud in upper case", claim("/aud", json!("GATEWAY.TEST")), "claims"),
        ("aud null", Draft::honest().text("\"gateway.test\"", "null").signed(), "claims"),
        ("sub without its word", claim("/sub", json!("ledger-agent")), "claims"),
        ("sub of another kind", claim("/sub", json!("user:alice")), "claims"),
        ("sub with a look-alike", claim("/sub", json!("agent:lеdger")), "claims"),
        ("sub too long", claim("/sub", json!(format!("agent:{}", "x".repeat(65)))), "claims"),
        ("jti without its word", claim("/jti", json!("0".repeat(32))), "claims"),
        (
            "jti in upper case",
            claim("/jti", json!(format!("task-run:{}", "A".repeat(32)))),
            "claims",
        ),
        ("jti a path", claim("/jti", json!("task-run:../../x")), "claims"),
        ("exp a string", claim("/exp", json!((NOW + 300).to_string())), "claims"),
        ("exp a float", claim("/exp", json!(NOW as f64 + 299.5)), "claims"),
        ("exp a whole float", claim("/exp", json!(NOW as f64 + 300.0)), "claims"),
        (
            "exp with an exponent",
            Draft::honest().text("1800000300", "18000003e2").signed(),
            "claims",
        ),
        ("exp negative", claim("/exp", json!(-1)), "claims"),
        ("exp in ten years", claim("/exp", json!(NOW + 315_360_000)), "claims"),
        ("exp 301 s after iat", claim("/exp", json!(NOW + 301)), "claims"),
        (
            "exp beyond u64",
            Draft::honest().text("1800000300", "99999999999999999999").signed(),
            "claims",
        ),
        ("iat a string", claim("/iat", json!("1800000000")), "claims"),
        ("iat after exp", claim("/iat", json!(NOW + 400)), "claims"),
        ("nbf after exp", claim("/nbf", json!(NOW + 400)), "claims"),
        ("user empty", claim("/context/parent_user", json!("")), "claims"),
        ("user too long", claim("/context/parent_user", json!("x".repeat(257))), "claims"),
        ("user a number", claim("/context/parent_user", json!(7)), "claims"),
        ("context with more", claim("/context/role", json!("admin")), "claims"),
        ("context an array", claim("/context", json!(["alice", "task-1"])), "claims"),
        ("entitlements an array", claim("/entitlements", json!([["ledger.query"]])), "claims"),
        ("tools a string", claim("/entitlements/allowed_tools", json!("ledger.query")), "claims"),
        ("a tool pattern", claim("/entitlements/allowed_tools", json!(["ledger.*"])), "claims"),
        ("a tool twice", claim("/entitlements/allowed_tools", json!(["a", "a"])), "claims"),
        (
            "a tool narrowed that is not named",
            claim("/entitlements/narrowing", json!({"shell.run": [{"type": "object"}]})),
            "claims",
        ),
        (
            "a narrowing that says nothing",
            claim("/entitlements/narrowing", json!({"ledger.query": [{}]})),
            "claims",
        ),
        ("a narrowing without fragments", claim("/entitlements/narrowing", json!([])), "claims"),
        ("65 tools", claim("/entitlements/allowed_tools", json!(many)), "claims"),
        ("a claim more", claim("/admin", json!(true)), "claims"),
        ("prompt hash bare", claim("/prompt_integrity_hash", json!("0".repeat(64))), "claims"),
        ("prompt hash of another kind", claim("/prompt_integrity_hash", json!("md5:00")), "claims"),
        ("aud twice", Draft::honest().before("\"aud\":\"gateway.test\",").signed(), "claims"),
        (
            "aud twice by escape",
            Draft::honest().before("\"a\\u0075d\":\"gateway.test\",").signed(),
            "claims",
        ),
        (
            "nested claim twice",
            Draft::honest()
                .text("\"parent_user\":", "\"parent_user\":\"bob\",\"parent_user\":")
                .signed(),
            "claims",
        ),
        (
            "tools twice",
            Draft::honest()
                .text("\"allowed_tools\":", "\"allowed_tools\":[],\"allowed_tools\":")
                .signed(),
            "claims",
        ),
        ("a lone surrogate", Draft::honest().text("alice", "\\ud800").signed(), "claims"),
        ("an array", Draft { payload: "[]".to_owned(), ..Draft::honest() }.signed(), "claims"),
        (
            "trailing bytes",
            Draft { payload: format!("{} x", Draft::honest().payload), ..Draft::honest() }.signed(),
            "claims",
        ),
        (
            "a byte order mark",
            Draft { payload: format!("\u{feff}{}", Draft::honest().payload), ..Draft::honest() }
                .signed(),
            "claims",
        ),
    ];
    rows(NOW, missing.chain(wrong));
}

#[test]
fn a_token_is_valid_in_its_time_and_five_seconds_around() {
    let good = Draft::honest().signed();
    for (now, expected) in [
        (NOW - 6, Some("time")),
        (NOW - 5, None),
        (NOW, None),
        (NOW + 304, None),
        (NOW + 305, Some("time")),
        (0, Some("time")),
        (u64::MAX, Some("time")),
    ] {
        check("the clock", &good, now, expected);
    }
    let nbf_later = Draft::honest().claim("/nbf", json!(NOW + 60)).signed();
    check("nbf in a minute", &nbf_later, NOW, Some("time"));
    check("a minute later", &nbf_later, NOW + 60, None);
}

#[test]
fn the_order_and_spacing_of_members_do_not_matter() {
    let value: Value = serde_json::from_str(&Draft::honest().payload).unwrap();
    let payload = serde_json::to_string_pretty(&value).unwrap();
    let token = Draft { payload, ..Draft::honest() }.signed();
    check("sorted and indented", &token, NOW, None);
}
