//! The accept loop: HTTP/1.1 with limits on what a client may hold open, and a shutdown that finishes what has begun.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, http::uri::Scheme};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Sleep,
};
use tokio_util::sync::CancellationToken;

/// At most this many connections are open; further ones wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 4_096;
/// How long the head of a request may take; a connection that is kept alive is closed after as long without one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take none of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests in flight may take once the server is to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before accepting again when the process has run out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The head of a request has at most this many bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Serves until `stop` is cancelled; then accepts no more, finishes the requests in flight, for 20 s at most, and
/// returns.
///
/// # Errors
/// When the listener has no address any more. A connection that fails ends alone.
pub async fn serve<E>(listener: TcpListener, app: E, stop: CancellationToken) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let app = Arc::new(app.boxed());
    let local = poem::web::LocalAddr(poem::Addr::SocketAddr(listener.local_addr()?));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Some((stream, slot)) = accept(&listener, &slots, &mut connections, &stop).await {
        let (app, local, stop) = (app.clone(), local.clone(), stop.clone());
        connections.spawn(async move {
            let _slot: OwnedSemaphorePermit = slot;
            if let Err(error) = connection(stream, app, local, stop).await {
                tracing::debug!(error = %error, "a connection ended early");
            }
        });
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN_TIMEOUT, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "connections were cut off at the end of the drain time"
        );
    }
    connections.shutdown().await;
    Ok(())
}

/// The next connection and its slot; `None` when the server is to stop.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            Ok::<_, io::Error>((stream, slot))
        };
        tokio::select! {
            () = stop.cancelled() => return None,
            // What has ended is forgotten as it ends, so that the set does not grow.
            Some(_) = connections.join_next() => {}
            accepted = next => match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(
    stream: TcpStream,
    app: Arc<poem::endpoint::BoxEndpoint<'static>>,
    local: poem::web::LocalAddr,
    stop: CancellationToken,
) -> Result<(), hyper::Error> {
    let Ok(remote) = stream.peer_addr() else {
        return Ok(());
    };
    let remote = poem::web::RemoteAddr(poem::Addr::SocketAddr(remote));
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (app, local, remote) = (app.clone(), local.clone(), remote.clone());
        async move {
            let request = Request::from((request, local, remote, Scheme::HTTP));
            let response = app.call(request).await.unwrap_or_else(poem::Error::into_response);
            Ok::<_, Infallible>(hyper::Response::from(response.into_response()))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// A stream whose writes fail when the other side takes nothing for too long.
struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Runs while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    const fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            deadline: None,
        }
    }

    /// Passes on what a write said, and starts, keeps or drops the deadline accordingly.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let patience = self.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
    };

    use super::*;

    #[tokio::test]
    async fn stopping_finishes_what_has_begun_and_accepts_no_more() {
        let (begun, go, stop) = (
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
            CancellationToken::new(),
        );
        let (inside, gate) = (begun.clone(), go.clone());
        let app = make(move |_| {
            let (inside, gate) = (inside.clone(), gate.clone());
            async move {
                inside.notify_one();
                gate.notified().await;
                Response::builder().body("done")
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, app, stop.clone());
        let client = async {
            let mut busy = TcpStream::connect(address).await.unwrap();
            let mut idle = TcpStream::connect(address).await.unwrap();
            busy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            begun.notified().await;
            stop.cancel();
            let mut rest = Vec::new();
            idle.read_to_end(&mut rest).await.unwrap();
            assert!(rest.is_empty(), "a connection without a request is closed");
            go.notify_one();
            busy.read_to_end(&mut rest).await.unwrap();
            String::from_utf8(rest).unwrap()
        };
        let (ended, answer) = tokio::join!(server, client);
        ended.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"),
            "{answer}"
        );
        assert!(TcpStream::connect(address).await.is_err(), "the listener is gone");
    }

    #[tokio::test]
    async fn a_write_that_nobody_takes_ends() {
        let (ours, theirs) = tokio::io::duplex(8);
        let mut patient = Patient::new(ours, Duration::from_millis(10));
        let error = patient.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn a_write_that_is_taken_slowly_goes_on() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut patient = Patient::new(ours, WRITE_TIMEOUT);
        let taken = async {
            let mut bytes = [0; 64];
            theirs.read_exact(&mut bytes).await.unwrap();
        };
        let (written, ()) = tokio::join!(patient.write_all(&[0; 64]), taken);
        written.unwrap();
        assert!(patient.deadline.is_none());
    }
}
