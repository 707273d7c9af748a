//! A receiver of webhooks: keeps what it gets, and answers as the test says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

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
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    pub(crate) fn kind(&self) -> String {
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
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    gate: Arc<RwLock<()>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same on this address.
    pub(super) async fn start_on(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
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

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, status: u16, headers: &[(&'static str, &str)], body: &str) {
        let mut state = self.lock();
        state.status = status;
        state.headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        body.clone_into(&mut state.body);
    }

    /// What it got, in its order.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.lock().got.clone()
    }

    /// What it got since this was asked last.
    pub(crate) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.lock().got)
    }

    /// Waits until it has so many.
    pub(crate) async fn has(&self, count: usize) -> Vec<Got> {
        let found = eventually(async || Some(self.got()).filter(|got| got.len() >= count)).await;
        found.unwrap_or_else(|| panic!("{} requests came", self.got().len()))
    }

    /// No answer until the guard is dropped.
    pub(crate) async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }
}
