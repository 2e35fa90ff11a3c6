//! Who a server is, by its certificate. In each row that is refused, one thing differs from the one that is not.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::settings::quoted;
use super::lab::{Lab, Played, honest, remote};
use crate::gate::Era;

/// One who signs.
pub(super) struct Authority {
    pub(super) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// A server's end of TLS, for this name, in these years.
    pub(super) fn acceptor(&self, name: &str, from_year: i32, to_year: i32) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(from_year, 1, 1);
        parameters.not_after = date_time_ymd(to_year, 1, 1);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        acceptor(certificate.der().clone(), &key)
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_who_its_certificate_says_or_is_told_nothing() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, ours.certificate.pem()).unwrap();
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["mcp.test".to_owned()]).unwrap();
        acceptor(parameters.self_signed(&key).unwrap().der().clone(), &key)
    };
    for (what, acceptor, expected) in [
        ("the control", Some(ours.acceptor("mcp.test", 2020, 2200)), "x"),
        (
            "another authority",
            Some(theirs.acceptor("mcp.test", 2020, 2200)),
            "invalid peer certificate",
        ),
        ("another name", Some(ours.acceptor("other.test", 2020, 2200)), "not valid for name"),
        ("it has ended", Some(ours.acceptor("mcp.test", 2020, 2021)), "expired"),
        ("it has not begun", Some(ours.acceptor("mcp.test", 2199, 2200)), "not valid yet"),
        ("signed by itself", Some(self_signed), "invalid peer certificate"),
        ("not hidden", None, "TLS"),
    ] {
        let played = Played::new(|request| honest(request, "s1"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = played.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, acceptor) = (served.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => served.serve(stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                served.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        let text = format!(
            "url = \"https://mcp.test:{port}/mcp\"\naddresses = [\"127.0.0.1\"]\nca_file = {}\n",
            quoted(&ca_file)
        );
        let lab = Lab::keep(remote(&text), Era::Handshake, 5_000);
        let found = lab.echo("x").await;
        assert!(found.contains(expected), "{what}: {found}");
        let is_told = !played.heard().is_empty();
        assert_eq!(is_told, what == "the control", "{what}");
        assert_eq!(found.starts_with("refused"), what != "the control", "{what}: {found}");
        serving.abort();
    }
}
