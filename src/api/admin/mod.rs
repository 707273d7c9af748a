//! The operator's page: how everything is, and how it was in the last hour. Plain HTML made here, without a script.
//!
//! It is shown to the platform admin key alone, which a browser asks for as the password of any user name. No figure is
//! worked out here, and nothing is changed by it.

mod chart;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, StatusCode, header},
};

use self::chart::{chart, most, number};
use super::{context::RequestContext, pages};
use crate::{
    model::{
        Error,
        lease::Node,
        page::{Page, PageRequest},
        state::State,
        tenant::Tenant,
        webhook::Failing,
    },
    service::{
        App,
        auth::{self, Presented},
        figures::{self, Figures, Overview, Sample},
    },
};

/// States of mailboxes that do not work.
const TROUBLED: [State; 2] = [State::AuthenticationError, State::ConnectError];
/// States in the order of the tenants' table.
const COLUMNS: [(State, &str); 5] = [
    (State::Connected, "connected"),
    (State::Syncing, "syncing"),
    (State::AuthenticationError, "credentials refused"),
    (State::ConnectError, "unreachable"),
    (State::Disconnected, "disabled"),
];

/// `GET /admin`.
pub(super) struct Admin;

impl Endpoint for Admin {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let shown = async {
            let app = request
                .data::<App>()
                .ok_or_else(|| Error::internal("the request has no app"))?;
            let credential = credential(&request);
            let presented = Presented {
                credential: credential.as_deref(),
                act_as: None,
                address: request.data::<RequestContext>().and_then(RequestContext::address),
            };
            let identity = auth::authenticate(app, &presented).await.1?;
            let cursor = request.params::<Asked>().ok().and_then(|asked| asked.cursor);
            let page = PageRequest::parse(None, cursor.as_deref())?;
            let overview = figures::overview(app, &identity, page).await?;
            Ok::<_, Error>(page_of(app, &overview).into_string())
        };
        Ok(match shown.await {
            Ok(html) => pages::page(StatusCode::OK, html),
            Err(error) => refused(&error),
        })
    }
}

#[derive(serde::Deserialize)]
struct Asked {
    cursor: Option<String>,
}

/// The key: as the API takes it, or the password of HTTP's Basic scheme (RFC 7617).
fn credential(request: &Request) -> Option<String> {
    if let Some(key) = request.header("x-api-key") {
        return Some(key.to_owned());
    }
    let (scheme, rest) = request.header("authorization")?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

/// What a browser is asked for, or told.
fn refused(error: &Error) -> Response {
    let (status, heading, detail) = match error {
        Error::Unauthenticated(_) | Error::Forbidden(_) => (
            StatusCode::UNAUTHORIZED,
            "This page is the operator's",
            "Any user name will do; the password is the platform admin key, which lies in admin.key in the data dir.",
        ),
        Error::RateLimited { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many requests",
            "Wait a minute, and load the page again.",
        ),
        Error::Invalid(_) => (
            StatusCode::BAD_REQUEST,
            "There is no such page",
            "Begin again at /admin.",
        ),
        error => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "the operator's page failed"
            );
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "The figures cannot be read",
                "The database does not answer; what is wrong is in the log.",
            )
        }
    };
    let mut response = pages::page(
        status,
        framed(&html! {
            header { h1 { (heading) } }
            p class="note" { (detail) }
        })
        .into_string(),
    );
    if status == StatusCode::UNAUTHORIZED {
        let ask = HeaderValue::from_static("Basic realm=\"postroom\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
    }
    response
}

fn framed(content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "postroom: how it is" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main { (content) } }
        }
    }
}

fn page_of(app: &App, overview: &Overview) -> Markup {
    let Overview {
        now,
        hour,
        nodes,
        failing,
        tenants,
    } = overview;
    let database = if app.store.is_embedded() {
        "SQLite"
    } else {
        "PostgreSQL"
    };
    framed(&html! {
        header {
            h1 { "postroom" }
            p { "Version " (env!("CARGO_PKG_VERSION")) " on " (database) ", " (stamp(now.at)) }
        }
        (tiles(now, hour))
        @if !nodes.is_empty() { (table_of_nodes(nodes)) }
        @if !failing.is_empty() { (table_of_failing(failing)) }
        (table_of_tenants(tenants))
        p class="note" {
            "Charts show the last hour of this process, a point a minute. The same figures are at "
            a href="/metrics" { "/metrics" } " for Prometheus."
        }
    })
}

fn table_of_nodes(nodes: &[Node]) -> Markup {
    html! {
        h2 { "Nodes" }
        div class="scroll" { table {
            thead { tr { th { "name" } th { "role" } th class="count" { "mailboxes" } } }
            tbody { @for node in nodes {
                tr {
                    td { (node.name) }
                    td { (if node.worker { "syncs" } else { "serves the API" }) }
                    td class="count" { (node.held) }
                }
            } }
        } }
    }
}

fn table_of_failing(failing: &[Failing]) -> Markup {
    html! {
        h2 { "Webhook endpoints that fail" }
        div class="scroll" { table {
            thead { tr {
                th { "host" } th { "endpoint" } th { "tenant" } th class="count" { "failures" } th { "since" } th { "now" }
            } }
            tbody { @for one in failing {
                tr {
                    td { (one.host()) }
                    td { code { (one.endpoint) } }
                    td { code { (one.tenant) } }
                    td class="count" { (one.failures) }
                    td { (stamp(one.since)) }
                    td { (if one.enabled { "tried again" } else { "disabled" }) }
                }
            } }
        } }
    }
}

fn table_of_tenants(tenants: &Page<(Tenant, BTreeMap<&'static str, i64>)>) -> Markup {
    html! {
        h2 { "Tenants" }
        div class="scroll" { table {
            thead { tr {
                th { "name" } th { "id" }
                @for (_, name) in COLUMNS { th class="count" { (name) } }
                th class="count" { "mailboxes" }
            } }
            tbody {
                @for (tenant, counts) in &tenants.data {
                    tr {
                        td { (tenant.name) }
                        td { code { (tenant.id) } }
                        @for (state, _) in COLUMNS {
                            @let count = counts.get(state.as_str()).copied().unwrap_or(0);
                            td class={ "count" @if count > 0 && TROUBLED.contains(&state) { " bad" } } { (count) }
                        }
                        td class="count" { (counts.values().sum::<i64>()) }
                    }
                }
                @if tenants.data.is_empty() {
                    tr { td colspan=(COLUMNS.len() + 3) { "There is no tenant yet." } }
                }
            }
        } }
        @if let Some(next) = tenants.next {
            p { a href={ "/admin?cursor=" (next.to_cursor()) } { "Further tenants" } }
        }
    }
}

/// The figures now, each with its last hour.
fn tiles(now: &Figures, hour: &[Sample]) -> Markup {
    let series = |of: &dyn Fn(&Sample) -> Option<f64>| hour.iter().map(of).collect::<Vec<_>>();
    let figure = |of: fn(&Figures) -> i64| series(&move |sample| Some(drawn(of(&sample.figures))));
    let connected = |figures: &Figures| figures.count(&[State::Connected, State::Syncing]);
    let troubled = |figures: &Figures| figures.count(&TROUBLED);
    let all: i64 = now.mailboxes.iter().map(|(_, count)| count).sum();
    let delay = hour.iter().rev().find_map(|sample| sample.delay);
    let requests = hour.last().map_or(0.0, |sample| sample.requests);
    html! {
        dl class="tiles" {
            (tile("Mailboxes in sync", &html! { (connected(now)) small { " of " (all) } }, false, &figure(connected)))
            (tile("Mailboxes in trouble", &html! { (troubled(now)) }, troubled(now) > 0, &figure(troubled)))
            (tile(
                "New mail waits until it is stored",
                &delay.map_or_else(|| html! { "–" }, |delay| html! { (number(delay)) small { " s" } }),
                false,
                &series(&|sample| sample.delay),
            ))
            (tile(
                "Webhook deliveries waiting",
                &html! { (now.undelivered) },
                false,
                &figure(|figures| figures.undelivered),
            ))
            (tile(
                "Webhook endpoints failing",
                &html! { (now.failing) },
                now.failing > 0,
                &figure(|figures| figures.failing),
            ))
            (tile(
                "Messages waiting for the index",
                &html! { (now.unindexed) },
                false,
                &figure(|figures| figures.unindexed),
            ))
            (tile(
                "Requests",
                &html! { (number(requests)) small { " a second" } },
                false,
                &series(&|sample| Some(sample.requests)),
            ))
        }
    }
}

fn tile(name: &str, value: &Markup, bad: bool, hour: &[Option<f64>]) -> Markup {
    html! {
        div class="tile" {
            dt { (name) }
            dd class={ "value" @if bad { " bad" } } { (value) }
            dd { (chart(name, hour)) }
            dd class="most" { "last hour, at most " (number(most(hour))) }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is drawn")]
const fn drawn(count: i64) -> f64 {
    count as f64
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}
