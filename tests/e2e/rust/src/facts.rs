//! Calls, and what an end logs of each.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

pub const ID: &str = "x-spectap-test";

pub type Headers = Vec<(String, Vec<u8>)>;

pub struct Call {
    pub id: String,
    pub method: String,
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub connection: u64,
}

fn bytes_of(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap_or("")).unwrap()
}

fn text_of(value: &Value) -> String {
    String::from_utf8(bytes_of(value)).unwrap()
}

impl Call {
    pub fn of(line: &str) -> Call {
        let fact: Value = serde_json::from_str(line).unwrap();
        let headers = fact["headers"].as_array().unwrap();
        Call {
            id: fact["id"].as_str().unwrap().to_owned(),
            method: fact["method"].as_str().unwrap().to_owned(),
            target: text_of(&fact["target"]),
            headers: headers
                .iter()
                .map(|pair| (text_of(&pair[0]), bytes_of(&pair[1])))
                .collect(),
            body: bytes_of(&fact["body"]),
            connection: fact["connection"].as_u64().unwrap(),
        }
    }
}

/// One exchange, as an end saw it.
pub struct Seen {
    pub end: &'static str,
    pub id: String,
    pub method: String,
    pub target: String,
    pub status: u16,
    pub request_headers: Headers,
    pub request: Vec<u8>,
    pub response_headers: Headers,
    pub response: Vec<u8>,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub start_ns: u64,
}

pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn text(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn payload(bytes: &[u8]) -> Value {
    let digest: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({"size": bytes.len(), "sha256": digest, "data": text(bytes)})
}

fn pairs(headers: &Headers) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!([text(name.as_bytes()), text(value)]))
        .collect()
}

pub struct Journal(Option<Mutex<File>>);

impl Journal {
    pub fn closed() -> Arc<Journal> {
        Arc::new(Journal(None))
    }

    pub fn open(path: &str) -> Arc<Journal> {
        let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        Arc::new(Journal(Some(Mutex::new(file))))
    }

    pub fn write(&self, seen: &Seen) {
        let line = json!({
            "end": seen.end, "id": seen.id, "method": seen.method, "target": text(seen.target.as_bytes()),
            "status": seen.status,
            "request_headers": pairs(&seen.request_headers), "request": payload(&seen.request),
            "response_headers": pairs(&seen.response_headers), "response": payload(&seen.response),
            "local": [seen.local.ip().to_string(), seen.local.port()],
            "peer": [seen.peer.ip().to_string(), seen.peer.port()],
            "start_ns": seen.start_ns, "end_ns": now_ns(), "pid": std::process::id(),
        });
        if let Some(file) = &self.0 {
            file.lock()
                .unwrap()
                .write_all(format!("{line}\n").as_bytes())
                .unwrap();
        }
    }
}

/// The answer's body: the request's, or what the path asks for (/bytes/N).
pub fn answer(target: &str, id: &str, body: &[u8]) -> Vec<u8> {
    let parts: Vec<&str> = target.split('/').collect();
    if parts[1] == "bytes" {
        let size: usize = parts[2].parse().unwrap();
        let filler = "a long answer ".repeat(size / 14 + 1);
        return format!("[\"{}\"]", &filler[..size - 4]).into_bytes();
    }
    if body.is_empty() {
        return json!({"id": id}).to_string().into_bytes();
    }
    body.to_vec()
}

pub fn answer_headers(id: &str, size: usize) -> Headers {
    vec![
        ("x-spectap-test".to_owned(), id.as_bytes().to_vec()),
        ("content-type".to_owned(), b"application/json".to_vec()),
        ("content-length".to_owned(), size.to_string().into_bytes()),
    ]
}

pub fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(one, _)| one.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

pub fn id_of(headers: &Headers) -> String {
    String::from_utf8(value(headers, ID).unwrap_or(b"").to_vec()).unwrap()
}
