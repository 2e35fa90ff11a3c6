//! What was refused since a version was taken: a note beside the versions, for who lists them.

use std::{fs, io};

use super::files;
use super::versions::{VersionError, Versions, failed};

impl Versions {
    /// Notes, beside the versions, what was refused last; `None` when something was taken since.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_refused(&self, what: Option<&str>) -> Result<(), VersionError> {
        let path = self.kept.join("refused");
        match what {
            Some(what) => {
                fs::create_dir_all(&self.kept).map_err(failed("make the directory", &self.kept))?;
                Ok(files::publish(&path, what.as_bytes())?)
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(failed("remove", &path)(error))
                }
                _ => Ok(()),
            },
        }
    }

    /// What was refused since something was taken.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn refused(&self) -> Result<Option<String>, VersionError> {
        let noted = files::read_public(&self.kept.join("refused"))?;
        Ok(noted.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }
}
