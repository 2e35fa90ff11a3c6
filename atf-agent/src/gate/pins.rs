//! The tools' pins: what each tool is, as an operator approved it, and not as its server says today.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use jsonschema::{Draft, PatternOptions, Validator};
use serde::Deserialize;
use serde_json::Value;

use super::conditions;
use super::lint;
use super::narrow::Fragments;
use super::provenance::{Asked, Results, Sensitive};
use super::references::written_out;
use super::sql::SqlProfile;
use crate::call::{Defers, Digest, NameError, ToolName, Untrusted};
use crate::state::PolicyFiles;

/// Longest pin in bytes and most pins; a longer one is a mistake or an attack on who reads it.
const PIN_BYTES_MAX: u64 = 256 << 10;
const PINS_MAX: usize = 1_000;

/// Deepest nesting of a pin.
const PIN_DEPTH_MAX: usize = 32;

/// All approved tools.
#[derive(Debug, Default)]
pub struct Pins {
    pins: BTreeMap<ToolName, Arc<Pin>>,
    /// Compiled against these pins, and gone with them.
    fragments: Fragments,
}

/// One approved tool.
#[derive(Debug)]
pub struct Pin {
    name: ToolName,
    listing: Value,
    digest: Digest,
    server: Option<Digest>,
    /// Its schema without references and conditions.
    bounds: Value,
    validator: Validator,
    /// Bounds and conditions, of a pin with conditions.
    conditions: Option<Validator>,
    sql: Vec<(String, SqlProfile)>,
    sensitive: Vec<Sensitive>,
    results: Results,
    sink: bool,
    defers: Defers,
}

/// Why pins are not taken. One bad pin refuses all: half a tool set is a surprise.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The directory or a file cannot be read.
    #[error("cannot read the pins at {path}: {error}")]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is no pin.
    #[error("the pin {path} is refused: {what}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What was found, what was expected.
        what: String,
    },
}

/// A pin's file: a tool as MCP lists it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    title: Option<String>,
    description: Option<String>,
    #[serde(rename = "inputSchema")]
    input_schema: Value,
    annotations: Option<Value>,
    #[serde(default)]
    execution: Execution,
    /// The digest of what its server said of it when it was approved.
    #[serde(default, rename = "x-atf-server")]
    server: Option<Digest>,
    #[serde(default, rename = "x-atf-results")]
    results: Results,
    /// Whether what it is given leaves for others to read.
    #[serde(default, rename = "x-atf-sink")]
    sink: bool,
}

/// How a tool is called.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Execution {
    #[serde(rename = "taskSupport")]
    defers: Defers,
}

impl Pins {
    /// Reads every `*.json` in `dir`, the `tools` directory of a policy.
    ///
    /// # Errors
    /// When the directory or a file cannot be read, or a pin is malformed, lax or double.
    pub fn read(dir: &Path) -> Result<Self, PinError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| PinError::Read { path, error }
        };
        let mut pins = Self::default();
        for entry in fs::read_dir(dir).map_err(failed(dir))? {
            let path = entry.map_err(failed(dir))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let length = fs::metadata(&path).map_err(failed(&path))?.len();
            let refused = |what: String| PinError::Refused { path: path.clone(), what };
            if length > PIN_BYTES_MAX || pins.pins.len() >= PINS_MAX {
                return Err(refused(format!(
                    "{length} bytes, {} pins before it; at most {PIN_BYTES_MAX} and {PINS_MAX}",
                    pins.pins.len()
                )));
            }
            let bytes = fs::read(&path).map_err(failed(&path))?;
            pins.add_file(&path, &bytes).map_err(refused)?;
        }
        Ok(pins)
    }

    /// The pins among a policy's `files`, which were read in `policy_dir`.
    ///
    /// # Errors
    /// As [`Pins::read`].
    pub fn from_files(policy_dir: &Path, files: &PolicyFiles) -> Result<Self, PinError> {
        let mut pins = Self::default();
        for (name, bytes) in files {
            if name.parent() == Some(Path::new("tools")) {
                let refused = |what| PinError::Refused { path: policy_dir.join(name), what };
                if bytes.len() as u64 > PIN_BYTES_MAX || pins.pins.len() >= PINS_MAX {
                    return Err(refused(format!(
                        "more than {PIN_BYTES_MAX} bytes or {PINS_MAX} pins"
                    )));
                }
                pins.add_file(name, bytes).map_err(refused)?;
            }
        }
        Ok(pins)
    }

    /// The pin of `tool`.
    pub fn get(&self, tool: &ToolName) -> Option<&Arc<Pin>> {
        self.pins.get(tool)
    }

    /// All pins, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Pin> {
        self.pins.values().map(Arc::as_ref)
    }

    /// Whether it matters what a run has seen.
    pub fn trace(&self) -> bool {
        self.iter().any(Pin::asks)
    }

    /// What tokens say beyond the pins.
    pub(super) fn fragments(&self) -> &Fragments {
        &self.fragments
    }

    /// Adds the pin that the file at `path` is, which has the tool's name: who looks for a tool's pin finds it.
    fn add_file(&mut self, path: &Path, bytes: &[u8]) -> Result<(), String> {
        let pin = Pin::read(bytes)?;
        if path.file_stem().is_none_or(|stem| stem != pin.name.as_str()) {
            return Err(format!("it is of {}, so that its name is {0}.json", pin.name));
        }
        self.insert(pin)
    }

    /// Adds the pin that `bytes` are.
    #[cfg(test)]
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.insert(Pin::read(bytes)?)
    }

    fn insert(&mut self, pin: Pin) -> Result<(), String> {
        match self.pins.insert(pin.name.clone(), Arc::new(pin)) {
            None => Ok(()),
            Some(other) => Err(format!("a second pin of {}", other.name)),
        }
    }
}

impl Pin {
    /// The tool's name.
    pub fn name(&self) -> &ToolName {
        &self.name
    }

    /// The tool as `tools/list` tells of it. Members for the gate alone (`x-…`) are left out.
    pub fn listing(&self) -> &Value {
        &self.listing
    }

    /// The digest of the pin: SHA-256 over the file in JCS form (RFC 8785).
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bounds of its arguments: its schema without references and conditions.
    pub(super) fn bounds(&self) -> &Value {
        &self.bounds
    }

    /// The digest of what the tool's server said of it when it was approved; none for a built-in tool.
    pub fn server(&self) -> Option<Digest> {
        self.server
    }

    /// Whether the arguments are what it says. **Invariant:** a condition is asked of what the bounds allow, so that it
    /// can only take away, and looks at bounded values alone.
    ///
    /// # Errors
    /// Where they are not, and what the pin says of it, for the log: no value of the arguments.
    pub(super) fn check(&self, arguments: &Value) -> Result<(), String> {
        for validator in std::iter::once(&self.validator).chain(&self.conditions) {
            if let Err(error) = validator.validate(arguments) {
                // A condition is said as it stands in the pin, however long.
                let said = Untrusted::begin_of(&error.masked().to_string());
                return Err(format!("at {:?}: {}", error.instance_path().as_str(), said.raw()));
            }
        }
        Ok(())
    }

    /// The arguments that are SQL, each with what it may be.
    pub(super) fn sql(&self) -> &[(String, SqlProfile)] {
        &self.sql
    }

    /// Whether its calls depend on what the run has seen: it is a sink, or has a marked argument.
    pub fn asks(&self) -> bool {
        !self.sensitive.is_empty() || self.sink
    }

    /// The arguments of which it matters where their values come from.
    pub(super) fn sensitive(&self) -> &[Sensitive] {
        &self.sensitive
    }

    /// What its results are.
    pub(super) fn results(&self) -> &Results {
        &self.results
    }

    /// Whether what it is given leaves for others to read.
    pub(super) fn is_sink(&self) -> bool {
        self.sink
    }

    /// Whether its calls may be deferred.
    pub fn defers(&self) -> Defers {
        self.defers
    }

    /// Reads the file of one pin.
    ///
    /// # Errors
    /// What is wrong with it: it is malformed, leaves something open, or has a text that is not seen.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = super::json::scan(bytes, PIN_DEPTH_MAX, usize::MAX)
            .map_err(|fault| fault.to_string())?;
        let file: File = super::envelope::object(text)?;
        let whole: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let name = file.name.parse().map_err(|e: NameError| e.to_string())?;
        let schema = written_out(&file.input_schema)?;
        lint::check(&schema)?;
        if let Some(hidden) = lint::hidden_text(&whole) {
            return Err(hidden);
        }
        let canonical = serde_json_canonicalizer::to_vec(&whole).map_err(|e| e.to_string())?;
        let mut listing = whole;
        strip(&mut listing);
        let _ = (file.title, file.description, file.annotations);
        let compiled =
            |schema: &Value| compile(schema).map_err(|error| format!("{}: {error}", lint::TOP));
        let bounds = conditions::without(&schema);
        Ok(Self {
            name,
            listing,
            digest: Digest::of(&canonical),
            server: file.server,
            validator: compiled(&bounds)?,
            conditions: (bounds != schema).then(|| compiled(&schema)).transpose()?,
            sql: sql_arguments(&bounds)?,
            sensitive: sensitive_arguments(&bounds),
            bounds,
            results: file.results,
            sink: file.sink,
            defers: file.execution.defers,
        })
    }
}

/// Draft 2020-12, formats asserted, nothing fetched, patterns that take linear time.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::regex())
        .offline()
        .build(schema)
        .map_err(|error| error.to_string())
}

/// The marked arguments; the lint has seen to the marks.
fn sensitive_arguments(schema: &Value) -> Vec<Sensitive> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let marked = properties.into_iter().flatten().filter_map(|(name, property)| {
        let asked = Asked::read(property.get(lint::PROVENANCE_MARK)?)?;
        Some(Sensitive::new(name, asked))
    });
    marked.collect()
}

fn sql_arguments(schema: &Value) -> Result<Vec<(String, SqlProfile)>, String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let marked = properties.into_iter().flatten().filter_map(|(name, property)| {
        let profile = property.get(lint::SQL_MARK)?;
        Some((name, profile))
    });
    marked
        .map(|(name, profile)| {
            let profile = SqlProfile::deserialize(profile)
                .map_err(|error| format!("{name}: {}: {error}", lint::SQL_MARK))?;
            profile.check().map_err(|error| format!("{name}: {}: {error}", lint::SQL_MARK))?;
            Ok((name.clone(), profile))
        })
        .collect()
}

/// Removes members that start with `x-`: which tables a statement may touch is the gate's business.
fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !name.starts_with("x-"));
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = include_bytes!("../../../policies/tools/ledger.query.json");

    /// Who looks at `tools/ledger.query.json` has to see all that there is of that tool.
    #[test]
    fn a_pins_file_has_its_tools_name() {
        for (name, taken) in [("ledger.query", true), ("other", false)] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("tools")).unwrap();
            let file = PathBuf::from("tools").join(format!("{name}.json"));
            fs::write(dir.path().join(&file), QUERY).unwrap();
            let read = Pins::read(&dir.path().join("tools"));
            let published = Pins::from_files(dir.path(), &vec![(file, QUERY.to_vec())]);
            for pins in [read, published] {
                match pins {
                    Ok(pins) => assert!(taken && pins.iter().count() == 1, "{name}"),
                    Err(error) => {
                        assert!(!taken && error.to_string().contains("it is of ledger.query"));
                    }
                }
            }
        }
    }
}
