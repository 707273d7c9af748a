//! An issuer of OAuth 2.0 tokens of the test's own: a token endpoint that rotates refresh tokens (RFC 6749, section 6) and
//! an introspection endpoint for Dovecot (RFC 7662). It counts, and fails in the way that a test asks for.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use poem::{
    EndpointExt, IntoEndpoint, Response, Route, Server, handler,
    http::StatusCode,
    listener::TcpAcceptor,
    post,
    web::{Data, Form},
};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockWriteGuard};
use uuid::Uuid;

/// How the token endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// With tokens.
    Grants,
    /// With tokens that introspection does not know.
    GrantsUseless,
    /// That the refresh token is not valid.
    Refuses,
    /// 503, come back in a second.
    IsDown,
    /// 400 with an error that will pass.
    SlowsDown,
    /// By pointing to another of its addresses.
    Redirects,
    /// With something else than a token.
    Babbles,
    /// With more than anybody needs.
    Floods,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    refresh: String,
    active: HashSet<String>,
    /// Each access token that was ever introspected.
    shown: Vec<String>,
    /// Every secret that was ever given out.
    issued: Vec<String>,
    asked: usize,
    strays: usize,
}

/// A running issuer; it ends with the test's process.
#[derive(Clone)]
pub(crate) struct Issuer {
    port: u16,
    state: Arc<Mutex<State>>,
    gate: Arc<RwLock<()>>,
}

/// A new token or client secret.
pub(crate) fn unique(word: &str) -> String {
    format!("{word}-{}", Uuid::new_v4().simple())
}

impl Issuer {
    const CLIENT: &str = "desk";

    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let first = unique("refresh");
        let state = State {
            mood: Mood::Grants,
            active: HashSet::new(),
            shown: Vec::new(),
            issued: vec![first.clone(), unique("client secret of")],
            refresh: first,
            asked: 0,
            strays: 0,
        };
        let issuer = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(Mutex::new(state)),
            gate: Arc::default(),
        };
        let routes = Route::new()
            .at("/token", post(token))
            .at("/elsewhere", post(elsewhere))
            .at("/introspect", post(introspect))
            .data(issuer.clone());
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(routes.into_endpoint()));
        issuer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// `oauth2` of a request, with the refresh token that is valid now, without an access token.
    pub(crate) fn oauth2(&self) -> Value {
        let state = self.lock();
        json!({
            "token_url": self.url("token"),
            "client_id": Self::CLIENT,
            "client_secret": state.issued[1],
            "refresh_token": state.refresh,
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// How often the token endpoint was asked.
    pub(crate) fn asked(&self) -> usize {
        self.lock().asked
    }

    /// How often somebody followed the redirect.
    pub(crate) fn strays(&self) -> usize {
        self.lock().strays
    }

    /// The access tokens that the mail server was shown, in their order.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.lock().shown.clone()
    }

    /// The refresh token that is valid now.
    pub(crate) fn refresh_token(&self) -> String {
        self.lock().refresh.clone()
    }

    /// Every secret that was given out.
    pub(crate) fn issued(&self) -> Vec<String> {
        self.lock().issued.clone()
    }

    /// A new access token that introspection knows.
    pub(crate) fn access_token(&self) -> String {
        let mut state = self.lock();
        let access = unique("access");
        state.active.insert(access.clone());
        state.issued.push(access.clone());
        access
    }

    /// Introspection knows none of the access tokens any more.
    pub(crate) fn revoke(&self) {
        self.lock().active.clear();
    }

    /// A refresh token that nobody got from this endpoint takes the place of the present one, as after a new consent.
    pub(crate) fn consent(&self) {
        let mut state = self.lock();
        state.refresh = unique("refresh");
        let refresh = state.refresh.clone();
        state.issued.push(refresh);
    }

    /// No answer to a token request until the guard is dropped.
    pub(crate) async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Answers a request with valid credentials.
    fn answer(&self, form: &HashMap<String, String>) -> Response {
        let mut state = self.lock();
        let valid = form.get("refresh_token") == Some(&state.refresh);
        match state.mood {
            Mood::Grants | Mood::GrantsUseless if valid => {
                let (access, refresh) = (unique("access"), unique("refresh"));
                if state.mood == Mood::Grants {
                    state.active.insert(access.clone());
                }
                state.issued.extend([access.clone(), refresh.clone()]);
                state.refresh.clone_from(&refresh);
                let granted = json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh});
                respond(StatusCode::OK, &granted)
            }
            Mood::Grants | Mood::GrantsUseless | Mood::Refuses => {
                let told = form.get("refresh_token").map_or("", String::as_str);
                let description = format!("Unknown: {told}");
                respond(
                    StatusCode::BAD_REQUEST,
                    &json!({"error": "invalid_grant", "error_description": description}),
                )
            }
            Mood::IsDown => Response::builder()
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .header("retry-after", "1")
                .body("down"),
            Mood::SlowsDown => respond(StatusCode::BAD_REQUEST, &json!({"error": "slow_down"})),
            Mood::Redirects => Response::builder()
                .status(StatusCode::TEMPORARY_REDIRECT)
                .header("location", self.url("elsewhere"))
                .finish(),
            Mood::Babbles => respond(StatusCode::OK, &json!({"hello": form})),
            Mood::Floods => Response::builder()
                .content_type("application/json")
                .body(" ".repeat(65 * 1024)),
        }
    }
}

fn respond(status: StatusCode, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/json")
        .body(body.to_string())
}

#[handler]
async fn token(
    request: &poem::Request,
    Data(issuer): Data<&Issuer>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    issuer.lock().asked += 1;
    let _open = issuer.gate.read().await;
    let secret = issuer.lock().issued[1].replace(' ', "+");
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{}:{secret}", Issuer::CLIENT),
    );
    let known = request.header("authorization") == Some(format!("Basic {basic}").as_str());
    if !known || form.get("grant_type").is_none_or(|kind| kind != "refresh_token") {
        return respond(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    issuer.answer(&form)
}

#[handler]
fn elsewhere(Data(issuer): Data<&Issuer>) -> Response {
    issuer.lock().strays += 1;
    respond(
        StatusCode::OK,
        &json!({"access_token": "stray", "token_type": "Bearer"}),
    )
}

#[handler]
fn introspect(Data(issuer): Data<&Issuer>, Form(form): Form<HashMap<String, String>>) -> Response {
    let mut state = issuer.lock();
    let asked_for = form.get("token").cloned().unwrap_or_default();
    let active = state.active.contains(&asked_for);
    state.shown.push(asked_for);
    let answer = if active {
        json!({"active": true, "username": "anna"})
    } else {
        json!({"active": false})
    };
    respond(StatusCode::OK, &answer)
}
