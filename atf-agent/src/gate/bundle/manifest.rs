//! `.manifest`: what a bundle says of itself, and which parts of the documents it may fill.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BundleError, MANIFEST, SIGNATURES, hashed, wrong};
use crate::call::Untrusted;
use crate::state::PolicyFiles;

/// The members of OPA's manifest that mean something here. One that is not known refuses the bundle: it would
/// mean something elsewhere.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What its author calls it. The log names a policy by its digest.
    #[serde(default)]
    pub revision: Untrusted,
    /// The packages and members of the data that are in the bundle, with slashes; the empty one is all.
    #[serde(default = "all")]
    pub roots: Vec<String>,
    /// The version of the language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rego_version: Option<u8>,
    /// Anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

fn all() -> Vec<String> {
    vec![String::new()]
}

impl Manifest {
    /// That of `files`, when they have one and it is true of them.
    ///
    /// # Errors
    /// When it is not understood, its roots overlap, or a package or the data is outside of them.
    pub fn of(files: &PolicyFiles) -> Result<Option<Self>, BundleError> {
        let path = Path::new(MANIFEST);
        let Some((_, contents)) = files.iter().find(|(name, _)| name == path) else {
            return Ok(None);
        };
        let text = hashed::json(path, contents)?;
        let mut manifest: Self =
            super::super::envelope::object(text).map_err(|error| wrong(path, error))?;
        if manifest.rego_version.is_some_and(|version| version != 1) {
            return Err(wrong(path, "expected rego_version 1"));
        }
        for root in &mut manifest.roots {
            *root = root.trim_matches('/').to_owned();
        }
        for (i, root) in manifest.roots.iter().enumerate() {
            if manifest.roots[i + 1..]
                .iter()
                .any(|other| within(root, other) || within(other, root))
            {
                return Err(wrong(path, format!("the roots overlap at {root:?}")));
            }
        }
        manifest.check(files)?;
        Ok(Some(manifest))
    }

    fn check(&self, files: &PolicyFiles) -> Result<(), BundleError> {
        let has = |path: &str| self.roots.iter().any(|root| within(path, root));
        for (name, package) in packages(files)? {
            if !has(&package) {
                return Err(wrong(&name, format!("package {package} is outside of the roots")));
            }
        }
        let Some((name, data)) = data(files)? else { return Ok(()) };
        match outside(&data, "", &self.roots) {
            None => Ok(()),
            Some(path) => Err(wrong(name, format!("{path} is outside of the roots"))),
        }
    }
}

/// Adds the manifest of `files` to them; an older one goes, and so does the signature, which is none of it.
///
/// # Errors
/// When a file is not understood.
pub fn add_manifest(files: &mut PolicyFiles, revision: &str) -> Result<(), BundleError> {
    files.retain(|(name, _)| ![MANIFEST, SIGNATURES].iter().any(|file| name == Path::new(file)));
    let manifest = manifest_for(files, revision)?;
    let text = serde_json::to_vec(&manifest).map_err(|error| wrong(Path::new(MANIFEST), error))?;
    files.push((MANIFEST.into(), text));
    files.sort();
    Ok(())
}

/// The manifest of `files`: each package and each member of the data is a root.
///
/// # Errors
/// When a file is not understood.
fn manifest_for(files: &PolicyFiles, revision: &str) -> Result<Manifest, BundleError> {
    let mut roots: Vec<String> = packages(files)?.into_iter().map(|(_, package)| package).collect();
    if let Some((_, Value::Object(members))) = data(files)? {
        roots.extend(members.into_iter().map(|(name, _)| name));
    }
    roots.sort();
    roots.dedup();
    let all = roots.clone();
    roots.retain(|root| !all.iter().any(|other| other != root && within(root, other)));
    Ok(Manifest { revision: revision.into(), roots, rego_version: Some(1), metadata: None })
}

/// Whether `path` is `root` or below it.
fn within(path: &str, root: &str) -> bool {
    root.is_empty()
        || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The package of each module, with slashes.
fn packages(files: &PolicyFiles) -> Result<Vec<(std::path::PathBuf, String)>, BundleError> {
    let modules = files.iter().filter(|(name, _)| name.extension().is_some_and(|e| e == "rego"));
    modules
        .map(|(name, contents)| {
            let text = std::str::from_utf8(contents).map_err(|error| wrong(name, error))?;
            let package = super::super::rego::package(text).map_err(|error| wrong(name, error))?;
            Ok((name.clone(), package.join("/")))
        })
        .collect()
}

fn data(files: &PolicyFiles) -> Result<Option<(&Path, Value)>, BundleError> {
    let Some((name, contents)) = files.iter().find(|(name, _)| name == Path::new("data.json"))
    else {
        return Ok(None);
    };
    let text = hashed::json(name, contents)?;
    let data = serde_json::from_str(text).map_err(|error| wrong(name, error))?;
    Ok(Some((name, data)))
}

/// The first part of `data` that no root has.
fn outside(data: &Value, path: &str, roots: &[String]) -> Option<String> {
    if roots.iter().any(|root| within(path, root)) {
        return None;
    }
    match data {
        Value::Object(members) if roots.iter().any(|root| within(root, path)) => {
            let below = |name: &String| match path {
                "" => name.clone(),
                path => format!("{path}/{name}"),
            };
            members.iter().find_map(|(name, value)| outside(value, &below(name), roots))
        }
        _ => Some(format!("/{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(manifest: &str, package: &str, data: &str) -> PolicyFiles {
        [(MANIFEST, manifest), ("p.rego", package), ("data.json", data)]
            .map(|(name, text)| (name.into(), text.as_bytes().to_vec()))
            .into()
    }

    #[test]
    fn a_manifest_that_is_not_true_of_its_bundle_is_refused() {
        let (package, data) = ("package atf.gate", r#"{"limits":{"a":1},"tools":{}}"#);
        for (manifest, good) in [
            ("{}", true),
            (r#"{"revision":"r","roots":["atf/gate","limits","tools"]}"#, true),
            (r#"{"roots":["/atf/","limits/a","tools"],"rego_version":1,"metadata":{}}"#, true),
            (r#"{"roots":["atf/other","limits","tools"]}"#, false),
            (r#"{"roots":["atf","limits"]}"#, false),
            (r#"{"roots":["atf","limits/b","tools"]}"#, false),
            (r#"{"roots":["atf","limit","tools"]}"#, false),
            (r#"{"roots":["atf","","tools"]}"#, false),
            (r#"{"roots":["atf","atf/gate","limits","tools"]}"#, false),
            (r#"{"roots":[]}"#, false),
            (r#"{"rego_version":0}"#, false),
            (r#"{"file_rego_versions":{"p.rego":0}}"#, false),
            (r#"{"wasm":[]}"#, false),
            (r#"{"revision":"a","revision":"b"}"#, false),
            ("[]", false),
            ("", false),
        ] {
            let read = Manifest::of(&files(manifest, package, data));
            assert_eq!(read.is_ok(), good, "{manifest}: {read:?}");
        }
    }

    #[test]
    fn a_manifest_that_is_made_names_what_is_there() {
        let files =
            files("", "package atf.gate # x\nimport rego.v1", r#"{"tools":{},"limits":{}}"#);
        let made = manifest_for(&files, "r1").unwrap();
        assert_eq!(made.roots, ["atf/gate", "limits", "tools"]);
        made.check(&files).unwrap();
    }
}
