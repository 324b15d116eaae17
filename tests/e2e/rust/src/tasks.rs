//! HTTP/1.1 and HTTP/2 by hyper, on two threads of tokio, between which tasks move.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{client, TlsAcceptor, TlsConnector};

use crate::facts::{answer, answer_headers, id_of, now_ns, Call, Headers, Seen};
use crate::{each_call, Options};

const THREADS: usize = 2;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .unwrap()
}

fn listed(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

pub fn serve(options: Options) {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let acceptor = TlsAcceptor::from(options.server());
        let options = Arc::new(options);
        loop {
            let (socket, peer) = listener.accept().await.unwrap();
            tokio::spawn(connection(options.clone(), acceptor.clone(), socket, peer));
        }
    })
}

async fn connection(options: Arc<Options>, acceptor: TlsAcceptor, socket: TcpStream, peer: SocketAddr) {
    let local = socket.local_addr().unwrap();
    let Ok(stream) = acceptor.accept(socket).await else {
        return;
    };
    let stream = TokioIo::new(stream);
    let is_h2 = options.is_h2;
    let service = service_fn(move |asked| echo(options.clone(), asked, local, peer));
    let _ = if is_h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(stream, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(stream, service)
            .await
    };
}

async fn echo(
    options: Arc<Options>,
    asked: Request<Incoming>,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let start_ns = now_ns();
    let (method, target) = (asked.method().to_string(), asked.uri().path().to_owned());
    let request_headers = listed(asked.headers());
    let request = asked.into_body().collect().await?.to_bytes().to_vec();
    let id = id_of(&request_headers);
    let response = answer(&target, &id, &request);
    let response_headers = answer_headers(&id, response.len());
    let mut made = Response::builder();
    for (name, value) in &response_headers {
        made = made.header(name, value.as_slice());
    }
    let body = Full::new(Bytes::from(response.clone()));
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
    Ok(made.body(body).unwrap())
}

pub fn call(options: Options) {
    let runtime = runtime();
    let options = Arc::new(options);
    let mut connections = HashMap::new();
    let mut tasks = Vec::new();
    each_call(|number, call| {
        let sender = connections.entry(number).or_insert_with(|| {
            let (sender, calls) = mpsc::unbounded_channel();
            tasks.push(runtime.spawn(make(options.clone(), calls)));
            sender
        });
        sender.send(call).unwrap();
    });
    drop(connections);
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

async fn sender(stream: client::TlsStream<TcpStream>, is_h2: bool) -> Sender {
    let stream = TokioIo::new(stream);
    if is_h2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        return Sender::H2(sender);
    }
    let (sender, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    Sender::H1(sender)
}

async fn make(options: Arc<Options>, mut calls: mpsc::UnboundedReceiver<Call>) {
    let socket = TcpStream::connect(("127.0.0.1", options.port)).await.unwrap();
    let (local, peer) = (socket.local_addr().unwrap(), socket.peer_addr().unwrap());
    let connector = TlsConnector::from(options.client());
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut sender = sender(connector.connect(name, socket).await.unwrap(), options.is_h2).await;
    while let Some(call) = calls.recv().await {
        let start_ns = now_ns();
        let authority = if options.is_h2 {
            format!("https://{peer}")
        } else {
            String::new()
        };
        let mut made = Request::builder()
            .method(call.method.as_str())
            .uri(authority + &call.target);
        for (name, value) in &call.headers {
            made = made.header(name, value.as_slice());
        }
        if !options.is_h2 {
            made = made.header("host", peer.to_string());
        }
        let made = made.body(Full::new(Bytes::from(call.body.clone()))).unwrap();
        let answered = match &mut sender {
            Sender::H1(one) => one.send_request(made).await.unwrap(),
            Sender::H2(one) => one.send_request(made).await.unwrap(),
        };
        let (status, response_headers) = (answered.status().as_u16(), listed(answered.headers()));
        let response = answered.into_body().collect().await.unwrap().to_bytes().to_vec();
        options.log.write(&Seen {
            end: "client",
            id: call.id,
            method: call.method,
            target: call.target,
            status,
            request_headers: call.headers,
            request: call.body,
            response_headers,
            response,
            local,
            peer,
            start_ns,
        });
    }
}
