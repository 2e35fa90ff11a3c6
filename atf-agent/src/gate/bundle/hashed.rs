//! The digest by which a signature names a file. Of `data.json` and the manifest, OPA takes it over what they
//! mean: names in order, no space; of all else, over the bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::value::RawValue;

use super::{BundleError, MANIFEST, wrong};
use crate::call::Digest;

/// Deepest nesting of a JSON file, as of the policy's data.
const DEPTH_MAX: usize = 32;

/// The digest of the file `name`.
///
/// # Errors
/// When it has to be JSON and is not, or has a name twice.
pub(super) fn digest(name: &Path, contents: &[u8]) -> Result<Digest, BundleError> {
    if !is_structured(name) {
        return Ok(Digest::of(contents));
    }
    let text = json(name, contents)?;
    let mut plain = String::new();
    write(text, &mut plain).map_err(|error| wrong(name, error))?;
    Ok(Digest::of(plain.as_bytes()))
}

/// The text of a JSON file that means the same to every reader.
pub(super) fn json<'a>(name: &Path, contents: &'a [u8]) -> Result<&'a str, BundleError> {
    super::super::json::scan(contents, DEPTH_MAX, usize::MAX).map_err(|fault| wrong(name, fault))
}

/// The files that OPA reads as data, by the last part of their names.
fn is_structured(name: &Path) -> bool {
    name.file_name().is_some_and(|last| last == "data.json" || last == MANIFEST)
}

/// Numbers, like words, as they are spelled; strings by the shortest escapes.
fn write(json: &str, to: &mut String) -> Result<(), serde_json::Error> {
    let json = json.trim_ascii();
    match json.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(json)?;
            to.push('{');
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    to.push(',');
                }
                string(name, to)?;
                to.push(':');
                write(value.get(), to)?;
            }
            to.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            to.push('[');
            for (i, value) in items.iter().enumerate() {
                if i > 0 {
                    to.push(',');
                }
                write(value.get(), to)?;
            }
            to.push(']');
        }
        Some(b'"') => string(&serde_json::from_str::<String>(json)?, to)?,
        _ => to.push_str(json),
    }
    Ok(())
}

/// As Go writes a string, which escapes two line ends that JSON lets stand.
fn string(text: &str, to: &mut String) -> Result<(), serde_json::Error> {
    let written = serde_json::to_string(text)?;
    to.push_str(&written.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_digested_by_what_it_means_and_all_else_by_its_bytes() {
        for (name, contents, plain) in [
            (
                "data.json",
                "{ \"b\" : [1, 2.50, 1e2 ],\n\"a\":\"x<y\" }",
                "{\"a\":\"x<y\",\"b\":[1,2.50,1e2]}",
            ),
            (
                "data.json",
                "{\"é\": null, \"z\": \"\\u2028\\u00e9\\n\"}",
                "{\"z\":\"\\u2028é\\n\",\"é\":null}",
            ),
            (".manifest", " { } ", "{}"),
            ("tools/a.b.json", "{ }", "{ }"),
            ("p.rego", "package p ", "package p "),
        ] {
            let found = digest(Path::new(name), contents.as_bytes()).unwrap();
            assert_eq!(found, Digest::of(plain.as_bytes()), "{name} {contents}");
        }
        for bad in ["{\"a\":1,\"a\":2}", "{", "{} {}", "\u{feff}{}"] {
            assert!(digest(Path::new("data.json"), bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
