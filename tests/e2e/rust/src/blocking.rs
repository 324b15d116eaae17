//! HTTP/1.1 over rustls' own streams, a thread for each connection.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{mpsc, Arc};
use std::thread;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::facts::{answer, answer_headers, id_of, now_ns, value, Call, Headers, Seen};
use crate::{each_call, Options};

struct Message {
    first: Vec<String>,
    headers: Headers,
    body: Vec<u8>,
}

/// The next message; None where the connection is over.
fn read(stream: &mut impl BufRead) -> Option<Message> {
    let mut first = String::new();
    if stream.read_line(&mut first).unwrap_or(0) == 0 {
        return None;
    }
    let mut headers = Headers::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }
    let length = value(&headers, "content-length").unwrap_or(b"0");
    let mut body = vec![0; String::from_utf8_lossy(length).parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    let words = first.split_whitespace().map(str::to_owned).collect();
    Some(Message {
        first: words,
        headers,
        body,
    })
}

fn write(stream: &mut impl Write, first: &str, headers: &Headers, body: &[u8]) {
    let mut message = format!("{first}\r\n").into_bytes();
    for (name, value) in headers {
        message.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    message.extend(b"\r\n");
    message.extend(body);
    stream.write_all(&message).unwrap();
    stream.flush().unwrap();
}

pub fn serve(options: Options) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let config = options.server();
    let options = Arc::new(options);
    for socket in listener.incoming() {
        let tls = ServerConnection::new(config.clone()).unwrap();
        let (options, socket) = (options.clone(), socket.unwrap());
        thread::spawn(move || echo(&options, StreamOwned::new(tls, socket)));
    }
}

fn echo(options: &Options, stream: StreamOwned<ServerConnection, TcpStream>) {
    let (local, peer) = (
        stream.sock.local_addr().unwrap(),
        stream.sock.peer_addr().unwrap(),
    );
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream) {
        let start_ns = now_ns();
        let id = id_of(&asked.headers);
        let response = answer(&asked.first[1], &id, &asked.body);
        let response_headers = answer_headers(&id, response.len());
        write(stream.get_mut(), "HTTP/1.1 200 OK", &response_headers, &response);
        let (method, target) = (asked.first[0].clone(), asked.first[1].clone());
        let (request_headers, request) = (asked.headers, asked.body);
        options.log.write(&Seen {
            end: "server",
            id,
            method,
            target,
            status: 200,
            request_headers,
            request,
            response_headers,
            response,
            local,
            peer,
            start_ns,
        });
    }
}

pub fn call(options: Options) {
    let options = Arc::new(options);
    let mut connections = HashMap::new();
    let mut threads = Vec::new();
    each_call(|number, call| {
        let sender = connections.entry(number).or_insert_with(|| {
            let (sender, calls) = mpsc::channel();
            let options = options.clone();
            threads.push(thread::spawn(move || make(&options, calls)));
            sender
        });
        sender.send(call).unwrap();
    });
    drop(connections);
    threads.into_iter().for_each(|one| one.join().unwrap());
}

fn make(options: &Options, calls: mpsc::Receiver<Call>) {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let socket = TcpStream::connect(("127.0.0.1", options.port)).unwrap();
    let (local, peer) = (socket.local_addr().unwrap(), socket.peer_addr().unwrap());
    let tls = ClientConnection::new(options.client(), name).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(tls, socket));
    for call in calls {
        let start_ns = now_ns();
        let mut request_headers = call.headers;
        request_headers.push(("host".to_owned(), peer.to_string().into_bytes()));
        request_headers.push((
            "content-length".to_owned(),
            call.body.len().to_string().into_bytes(),
        ));
        let first = format!("{} {} HTTP/1.1", call.method, call.target);
        write(stream.get_mut(), &first, &request_headers, &call.body);
        let answered = read(&mut stream).unwrap();
        let status = answered.first[1].parse().unwrap();
        let (id, method, target, request) = (call.id, call.method, call.target, call.body);
        let (response_headers, response) = (answered.headers, answered.body);
        options.log.write(&Seen {
            end: "client",
            id,
            method,
            target,
            status,
            request_headers,
            request,
            response_headers,
            response,
            local,
            peer,
            start_ns,
        });
    }
}
