//! The plain form against a canonicalizer that knows nothing of it.

use serde::Serialize;
use serde_json::{Value, json};

use super::plain::{NotPlain, write};

fn plain(value: &(impl Serialize + ?Sized)) -> Result<String, NotPlain> {
    let mut out = b"before ".to_vec();
    write(value, &mut out)?;
    let out = String::from_utf8(out).unwrap();
    Ok(out.strip_prefix("before ").unwrap().to_owned())
}

#[test]
fn it_is_the_canonical_form() {
    let nested =
        json!({"z": {"b": [], "a": {}}, "m": [{"y": 1, "x": [true, false, null]}], "a": -7});
    let texts: String = (0..0x250).filter_map(char::from_u32).collect();
    let keys = json!({"b": 1, "a_": 2, "a": 4, "aa": 5, "B": 6, "": 7, "~": 8, "a~": 9, "a ": 10});
    for value in
        [nested, json!(texts), json!("\u{2028}\u{ffff}\u{10ffff}"), keys, json!([]), json!({})]
    {
        let canonical = serde_json_canonicalizer::to_string(&value).unwrap();
        assert_eq!(plain(&value).unwrap(), canonical);
    }
}

#[test]
fn members_stand_in_their_order_however_they_are_declared() {
    #[derive(Serialize)]
    struct Inner {
        zulu: [u64; 2],
        alpha: Option<&'static str>,
    }
    #[derive(Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Outer {
        Of { last: (String, Inner), first: char },
    }
    let inner = Inner { zulu: [2, 1], alpha: None };
    let value = Outer::Of { last: ("x".to_owned(), inner), first: 'c' };
    let expected = r#"{"first":"c","kind":"of","last":["x",{"alpha":null,"zulu":[2,1]}]}"#;
    assert_eq!(plain(&value).unwrap(), expected);
}

#[test]
fn large_integers_and_long_texts_are_made_plain() {
    for (found, expected) in [
        (json!(9_007_199_254_740_991_u64), json!(9_007_199_254_740_991_u64)),
        (json!(9_007_199_254_740_992_u64), json!("9007199254740992")),
        (json!([{"a": u64::MAX}]), json!([{"a": "18446744073709551615"}])),
        (json!(-9_007_199_254_740_991_i64), json!(-9_007_199_254_740_991_i64)),
        (json!(-9_007_199_254_740_992_i64), json!("-9007199254740992")),
        (json!("x".repeat(2_048)), json!("x".repeat(2_048))),
    ] {
        assert_eq!(plain(&found).unwrap(), expected.to_string(), "{found}");
    }
    let long: Value = serde_json::from_str(&plain(&"é".repeat(4_000)).unwrap()).unwrap();
    let text = long.as_str().unwrap();
    assert!(text.len() < 2_200 && text.contains("[cut: 8000 bytes, sha256 "));
}

#[test]
fn what_has_no_plain_form_is_refused() {
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap as _;
            let mut map = to.serialize_map(None)?;
            for key in ["b", "a", "b"] {
                map.serialize_entry(key, &1)?;
            }
            map.end()
        }
    }
    assert!(matches!(plain(&Twice), Err(NotPlain::Key(key)) if key == "b"));
    for key in ["é", "a\"", "a\\", "a\u{1}", "a\u{7f}"] {
        assert!(matches!(plain(&json!({key: 1})), Err(NotPlain::Key(_))), "{key:?}");
    }
    assert!(matches!(plain(&json!([1.5])), Err(NotPlain::Kind(_))));
    assert!(matches!(plain(&f64::NAN), Err(NotPlain::Kind(_))));
}
