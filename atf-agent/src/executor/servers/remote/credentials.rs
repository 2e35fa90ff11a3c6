//! What a server by URL is shown of us, and by whom we know it: headers from files that the executor alone may
//! read, and those who sign for it.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::address::Scheme;
use super::settings::Remote;
use crate::state::files;

/// Longest credential in bytes: a token of some kilobytes is long already.
const CREDENTIAL_BYTES_MAX: usize = 8 << 10;

/// Variables by which whoever starts this process could have it trust others.
const TRUST_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

impl Remote {
    /// The headers with credentials, read anew for each life, so that one that was replaced is used.
    ///
    /// # Errors
    /// When a file is not there, is another's, or holds no value of a header.
    pub(super) fn credentials(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, path) in &self.header_files {
            let found =
                files::read_secret_of(path, self.owner).map_err(|error| error.to_string())?;
            let bytes = found.ok_or_else(|| format!("{} is not there", path.display()))?;
            let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let is_plain = (1..=CREDENTIAL_BYTES_MAX).contains(&value.len())
                && value.iter().all(|b| (0x20..0x7f).contains(b))
                && value.trim_ascii() == value;
            // Not one byte of it is told.
            let refused = || {
                format!("{} has no value of a header: one line of graphic ASCII", path.display())
            };
            if !is_plain {
                return Err(refused());
            }
            let mut value = HeaderValue::from_bytes(value).map_err(|_| refused())?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }

    /// How it is known, where that is by TLS.
    ///
    /// # Errors
    /// When nobody is there who could sign for it.
    pub(super) fn tls(&self) -> Result<Option<Arc<ClientConfig>>, String> {
        if self.url.scheme == Scheme::Http {
            return Ok(None);
        }
        let roots = match &self.ca_file {
            Some(path) => {
                let read =
                    files::read_trusted(path, self.owner).map_err(|error| error.to_string())?;
                let pem = read.ok_or_else(|| format!("{} is not there", path.display()))?;
                let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
                let found = found.map_err(|error| format!("{}: {error}", path.display()))?;
                trusted(found).map_err(|why| format!("{}: {why}", path.display()))?
            }
            None => of_the_system(|name| std::env::var_os(name).is_some())?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

/// The store of the system, wherever it is. What the environment says is not asked.
fn of_the_system(is_set: impl Fn(&str) -> bool) -> Result<RootCertStore, String> {
    if let Some(name) = TRUST_VARIABLES.into_iter().find(|name| is_set(name)) {
        return Err(format!("{name} is set: who is trusted is said by ca_file, not by a variable"));
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system is not read");
    }
    trusted(found.certs).map_err(|why| format!("the system's store: {why}; say ca_file"))
}

fn trusted(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (added, left_out) = roots.add_parsable_certificates(certificates);
    tracing::debug!(added, left_out, "those who may sign for a tool server");
    if added == 0 { Err("no certificate of an authority".to_owned()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::settings::{quoted, read_one};
    use super::*;

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn a_credential_is_the_executors_alone_and_one_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let text = format!(
            "url = \"https://mcp.example.com/\"\n[header_files]\nAuthorization = {}\n",
            quoted(&path)
        );
        let remote = read_one(&text, me()).unwrap();
        for (value, fine) in [
            ("Bearer s3cret", true),
            ("Bearer s3cret\n", true),
            ("Bearer s3cret\r\n", false),
            ("Bearer s3cret\nX-Other: 1\n", false),
            ("Bearer s3cret\0", false),
            ("Bearer s3cr\u{e9}t", false),
            (" Bearer s3cret", false),
            ("\n", false),
            ("", false),
        ] {
            files::keep_secret(&path, value.as_bytes()).unwrap();
            let found = remote.credentials();
            assert_eq!(found.is_ok(), fine, "{value:?}");
            let said = format!("{found:?}");
            assert!(!said.contains("s3cr"), "{value:?}: {said}");
        }
        files::keep_secret(&path, b"Bearer s3cret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(remote.credentials().unwrap_err().contains("nobody else may read"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(remote.credentials().is_ok(), "the control");
        let others = read_one(&text, me() + 1).unwrap();
        assert!(others.credentials().unwrap_err().contains("must be a file of uid"));
        std::fs::remove_file(&path).unwrap();
        assert!(remote.credentials().unwrap_err().contains("is not there"));
    }

    #[test]
    fn who_is_trusted_is_said_by_the_file_and_by_no_variable() {
        let found = of_the_system(|name| name == "SSL_CERT_FILE").unwrap_err();
        assert!(found.contains("SSL_CERT_FILE is set"), "{found}");

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let text = format!("url = \"https://mcp.example.com/\"\nca_file = {}\n", quoted(&path));
        let remote = read_one(&text, me()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let good = parameters.self_signed(&key).unwrap().pem();
        for (pem, fine) in
            [(good.as_str(), true), ("", false), ("-----BEGIN CERTIFICATE-----\n", false)]
        {
            std::fs::write(&path, pem).unwrap();
            assert_eq!(remote.tls().is_ok(), fine, "{pem}");
        }
        std::fs::write(&path, &good).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(
            remote.tls().unwrap_err().contains("nobody else may write"),
            "others could write it"
        );
    }
}
