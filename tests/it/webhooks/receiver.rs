//! A receiver of webhooks: keeps what it gets, and answers as the test says.

use std::sync::{Arc, Mutex, MutexGuard};

use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response, Route, Server, endpoint::make, http::StatusCode,
    listener::TcpAcceptor,
};
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::sync::{RwLock, RwLockWriteGuard};

use crate::support::gateway::eventually;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Got {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    pub(super) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

struct State {
    got: Vec<Got>,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// A running receiver; it ends with the test's process.
#[derive(Clone)]
pub(super) struct Receiver {
    port: u16,
    state: Arc<Mutex<State>>,
    gate: Arc<RwLock<()>>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(Mutex::new(State {
                got: Vec::new(),
                status: 200,
                headers: Vec::new(),
                body: "taken".to_owned(),
            })),
            gate: Arc::default(),
        };
        let routes = Route::new().nest("/", receiver.clone().endpoint().boxed());
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(routes.into_endpoint()));
        receiver
    }

    fn endpoint(self) -> impl Endpoint<Output = Response> {
        make(move |mut request: Request| {
            let receiver = self.clone();
            async move {
                let headers = request.headers().clone();
                let body = request.take_body().into_vec().await.unwrap();
                receiver.lock().got.push(Got { headers, body });
                let _open = receiver.gate.read().await;
                receiver.answer()
            }
        })
    }

    fn answer(&self) -> Response {
        let state = self.lock();
        let mut response = Response::builder().status(StatusCode::from_u16(state.status).unwrap());
        for (name, value) in &state.headers {
            response = response.header(*name, value);
        }
        response.body(state.body.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// From now on it answers so.
    pub(super) fn answers(&self, status: u16, headers: &[(&'static str, &str)], body: &str) {
        let mut state = self.lock();
        state.status = status;
        state.headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        body.clone_into(&mut state.body);
    }

    /// What it got, in its order.
    pub(super) fn got(&self) -> Vec<Got> {
        self.lock().got.clone()
    }

    /// What it got since this was asked last.
    pub(super) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.lock().got)
    }

    /// Waits until it has so many.
    pub(super) async fn has(&self, count: usize) -> Vec<Got> {
        let found = eventually(async || Some(self.got()).filter(|got| got.len() >= count)).await;
        found.unwrap_or_else(|| panic!("{} requests came", self.got().len()))
    }

    /// No answer until the guard is dropped.
    pub(super) async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }
}
