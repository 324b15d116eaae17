//! Both ends of the tests' calls with rustls: "server" prints its port and echoes, "client" reads calls as JSON lines
//! (tests/e2e/calls.py) from standard input. Each logs every exchange as it saw it (tests/e2e/observations.py).
//! Threads that block (`blocking`), or tasks on two threads of tokio (`tasks`).

mod blocking;
mod facts;
mod pinned;
mod tasks;

use std::io::BufRead;
use std::sync::Arc;

use facts::Journal;
use pinned::Pinned;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as ciphers;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as ciphers;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

static OLDER: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
static NEWER: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// What was asked for on the command line.
pub struct Options {
    pub log: Arc<Journal>,
    pub port: u16,
    pub is_h2: bool,
    pub has_tickets: bool,
    arguments: Vec<String>,
}

impl Options {
    fn has(&self, name: &str) -> bool {
        self.arguments.iter().any(|one| one == name)
    }

    fn value(&self, name: &str) -> &str {
        let at = self.arguments.iter().position(|one| one == name);
        at.and_then(|at| self.arguments.get(at + 1))
            .map_or("", String::as_str)
    }

    fn versions(&self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        if self.has("-tls12") {
            OLDER
        } else {
            NEWER
        }
    }

    fn protocols(&self) -> Vec<Vec<u8>> {
        vec![if self.is_h2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }]
    }

    fn certificates(&self, name: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(self.value(name))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    pub fn server(&self) -> Arc<rustls::ServerConfig> {
        let key = PrivateKeyDer::from_pem_file(self.value("-key")).unwrap();
        let mut made = rustls::ServerConfig::builder_with_protocol_versions(self.versions())
            .with_no_client_auth()
            .with_single_cert(self.certificates("-cert"), key)
            .unwrap();
        made.alpn_protocols = self.protocols();
        if !self.has_tickets {
            made.send_tls13_tickets = 0;
        }
        Arc::new(made)
    }

    /// The ciphers that a client offers: AES-GCM first, or ChaCha20-Poly1305 alone.
    fn provider(&self) -> Arc<CryptoProvider> {
        let mut made = ciphers::default_provider();
        if self.has("-chacha") {
            made.cipher_suites
                .retain(|one| format!("{:?}", one.suite()).contains("CHACHA20"));
        }
        Arc::new(made)
    }

    pub fn client(&self) -> Arc<rustls::ClientConfig> {
        let provider = self.provider();
        let certificate = self.certificates("-ca").remove(0);
        let mut made = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions())
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned {
                certificate,
                provider,
            }))
            .with_no_client_auth();
        made.alpn_protocols = self.protocols();
        Arc::new(made)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut options = Options {
        log: Journal::closed(),
        port: 0,
        is_h2: false,
        has_tickets: true,
        arguments,
    };
    options.log = Journal::open(options.value("-log"));
    options.port = options.value("-port").parse().unwrap_or(0);
    options.is_h2 = options.has("-h2");
    options.has_tickets = !options.has("-no-tickets");
    let is_server = options.arguments[0] == "server";
    match (options.has("-tokio"), is_server) {
        (true, true) => tasks::serve(options),
        (true, false) => tasks::call(options),
        (false, true) => blocking::serve(options),
        (false, false) => blocking::call(options),
    }
}

/// Passes each call of standard input, with the number of its connection.
pub fn each_call(mut pass: impl FnMut(u64, facts::Call)) {
    for line in std::io::stdin().lock().lines() {
        let call = facts::Call::of(&line.unwrap());
        pass(call.connection, call);
    }
}
