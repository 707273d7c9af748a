//! A receiver of webhooks that notes when each came and takes them all.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use poem::{EndpointExt, IntoEndpoint, Request, Route, Server, endpoint::make, listener::TcpAcceptor};
use tokio::sync::watch;

/// What came: when, and how many bytes it had.
#[derive(Clone, Copy)]
pub(super) struct Came {
    pub(super) at: Instant,
    pub(super) bytes: usize,
}

/// A running receiver; it ends with the process.
pub(super) struct Receiver {
    pub(super) url: String,
    came: Arc<Mutex<Vec<Came>>>,
    count: watch::Receiver<usize>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let came = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let (kept, counted) = (came.clone(), Arc::new(counted));
        let endpoint = make(move |mut request: Request| {
            let (kept, counted) = (kept.clone(), counted.clone());
            async move {
                let bytes = request.take_body().into_vec().await.unwrap().len();
                let at = Instant::now();
                kept.lock().unwrap().push(Came { at, bytes });
                counted.send_modify(|count| *count += 1);
                "taken"
            }
        });
        let routes = Route::new().nest("/", endpoint.boxed());
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(routes.into_endpoint()));
        Self { url, came, count }
    }

    /// Waits until so many came in all, and answers those that came since this was asked last.
    pub(super) async fn take(&mut self, expected: usize) -> Vec<Came> {
        let enough = self.count.wait_for(|count| *count >= expected);
        tokio::time::timeout(super::PATIENCE, enough)
            .await
            .unwrap_or_else(|_| panic!("{} of {expected} came", self.came.lock().unwrap().len()))
            .unwrap();
        std::mem::take(&mut *self.came.lock().unwrap())
    }
}
