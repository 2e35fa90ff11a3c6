//! The value of a text, as every parser has it. `serde_json`'s own `Value` makes something else of an object whose
//! first name is one of its private ones: what the text under that name says.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How the private names of `serde_json`, and of libraries that came from it, begin.
pub(in crate::gate) const PRIVATE: &str = "$serde_json::private::";

/// What `text` says.
///
/// # Errors
/// When it is no JSON, or nested more than 128 deep.
pub fn value(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).map(|Read(value)| value)
}

struct Read(Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, said: bool) -> Result<Value, E> {
        Ok(said.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Read(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((name, Read(value))) = members.next_entry()? {
            all.insert(name, value);
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_serde_json_reads_where_no_name_is_private() {
        for json in [
            "null",
            "[true,false,[],{}]",
            r#"{"a":{"b":[1,-2,18446744073709551615,0.5,1e300]},"c":"\u00e9\n","a\u0000":""}"#,
            r#"{"a":1,"a":2}"#,
            "99999999999999999999",
        ] {
            assert_eq!(
                value(json).unwrap(),
                serde_json::from_str::<Value>(json).unwrap(),
                "{json}"
            );
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for json in ["", "{", "[1,]", "1 2", "NaN", r#"{"a":"#, &deep] {
            assert!(value(json).is_err(), "{json}");
        }
    }

    /// The attack: an object that is read as another one, which the judge likes better.
    #[test]
    fn a_private_name_is_a_name_like_others() {
        let inner = r#"{"a":1}"#;
        for name in ["RawValue", "Number"] {
            let name = format!("{PRIVATE}{name}");
            let object = Value::from(Map::from_iter([(name.clone(), inner.into())]));
            assert_eq!(value(&object.to_string()).unwrap(), object);
            let nested = Value::from(vec![object]);
            assert_eq!(value(&nested.to_string()).unwrap(), nested);
        }
        let wrapped = format!(r#"{{"{PRIVATE}RawValue":"{{\"a\":1}}"}}"#);
        let theirs: Value = serde_json::from_str(&wrapped).unwrap();
        assert_eq!(theirs.to_string(), inner, "the control: this is what it is for");
    }
}
