//! Where statements run: SQLite answers on the thread that asks.

use std::{
    error::Error,
    future::{self, Future},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use diesel_async::sync_connection_wrapper::SpawnBlocking;
use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};
use tokio::task::{JoinError, JoinHandle, block_in_place};

/// Where the statements of a connection run.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// On a thread of its own, so that many that read get along with few threads.
    Aside,
    /// On the thread that asks, which gives its other tasks away before: to reach another thread and to come back takes
    /// longer than most statements of a transaction do. See [`here`].
    Here,
}

impl SpawnBlocking for Place {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        match self {
            Self::Aside => Aside(tokio::task::spawn_blocking(task))
                .map_err(Box::from)
                .boxed(),
            Self::Here => futures_util::future::lazy(|_| Ok(block_in_place(task))).boxed(),
        }
    }

    fn get_runtime() -> Self {
        Self::Aside
    }
}

/// A statement on another thread. Dropped before its end, it waits for it: the connection must not be used by two.
struct Aside<R>(JoinHandle<R>);

impl<R> Future for Aside<R> {
    type Output = Result<R, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<R> Drop for Aside<R> {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            let statement = Pin::new(&mut self.0);
            // Whatever it answers, nobody waits for it any more.
            drop(block_in_place(|| {
                tokio::runtime::Handle::current().block_on(statement)
            }));
        }
    }
}

/// Runs work whose statements run [`Place::Here`]: the thread's other tasks are given away once for all of them.
pub(in crate::store) async fn here<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    future::poll_fn(|context| block_in_place(|| work.as_mut().poll(context))).await
}
