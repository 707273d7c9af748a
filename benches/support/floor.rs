//! Floors of the API: the same accept loop with a bare endpoint, which runs one statement on a connection of the same pool,
//! drops the rows undecoded, and answers the headers and the body that it was given.

use std::sync::Arc;

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Binary, Untyped, Uuid as SqlUuid},
    sqlite::Sqlite,
};
use diesel_async::AsyncConnectionCore;
use futures_util::TryStreamExt;
use poem::{Endpoint, Request, Response, http::HeaderMap};
use postroom::{
    service::App,
    store::{Conn, Store},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A statement with ids for its `?`, prepared once on each connection.
#[derive(Clone)]
pub(crate) struct Bare {
    pub(crate) sql: &'static str,
    pub(crate) ids: Vec<Uuid>,
}

impl Query for Bare {
    type SqlType = Untyped;
}

impl QueryId for Bare {
    type QueryId = ();

    // Found in the cache of prepared statements by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Bare {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut ids = self.ids.iter();
        for part in self.sql.split_inclusive('?') {
            out.push_sql(part.trim_end_matches('?'));
            if part.ends_with('?') {
                out.push_bind_param::<SqlUuid, _>(ids.next().unwrap())?;
            }
        }
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Bare {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut ids = self.ids.iter();
        for part in self.sql.split_inclusive('?') {
            out.push_sql(part.trim_end_matches('?'));
            if part.ends_with('?') {
                out.push_bind_param::<Binary, [u8]>(ids.next().unwrap().as_bytes())?;
            }
        }
        Ok(())
    }
}

impl Bare {
    /// Asks for its rows, and answers how many there are.
    pub(crate) async fn rows(self, store: &Store) -> usize {
        match &mut store.read().await.unwrap() {
            Conn::Pg(conn) => conn
                .load(self)
                .await
                .unwrap()
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
                .len(),
            Conn::Sqlite(conn) => conn
                .load(self)
                .await
                .unwrap()
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
                .len(),
        }
    }
}

/// A server that answers every request with the same bytes after `work`; stopped when it is dropped.
pub(crate) struct Floor {
    pub(crate) url: String,
    stop: CancellationToken,
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Answering<W> {
    work: W,
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl<W: Fn() -> F + Send + Sync, F: Future<Output = ()> + Send> Endpoint for Answering<W> {
    type Output = Response;

    async fn call(&self, _: Request) -> poem::Result<Response> {
        (self.work)().await;
        let mut response = Response::default();
        response.headers_mut().clone_from(&self.headers);
        response.set_body(self.body.clone());
        Ok(response)
    }
}

impl Floor {
    /// With the rows of one statement, of which there have to be `expected`.
    pub(crate) async fn reading(
        app: &App,
        query: Bare,
        expected: usize,
        answer: (HeaderMap, Vec<u8>),
    ) -> Self {
        assert_eq!(query.clone().rows(&app.store).await, expected, "{}", query.sql);
        let (app, query) = (app.clone(), Arc::new(query));
        Self::serve(answer, move || {
            let (app, query) = (app.clone(), query.as_ref().clone());
            async move {
                query.rows(&app.store).await;
            }
        })
        .await
    }

    /// With any work.
    pub(crate) async fn serve<W, F>((headers, body): (HeaderMap, Vec<u8>), work: W) -> Self
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let endpoint = Answering {
            work,
            headers,
            body: body.into(),
        };
        tokio::spawn(postroom::api::server::serve(listener, endpoint, stop.clone()));
        Self { url, stop }
    }
}
