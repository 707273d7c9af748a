//! Logins by OAuth 2.0 tokens against Dovecot: refreshed in time, stored before they are used, never spent twice.

use std::time::Duration;

use postroom::{
    mail::{
        egress::Guard,
        http::{HttpClient, HttpError},
        tls,
    },
    model::{
        credentials::{OAuth2, Secret},
        id::TenantId,
        mailbox::Service,
    },
    service::{logins, oauth, verify},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::{
        dovecot::Dovecot,
        gateway::{Backend, Gateway, Tenant, both, eventually},
        tokens::{Issuer, Mood},
    },
    world::id,
};

mod on {
    use super::both;
    both!(
        dovecot_takes_tokens_by_xoauth2_and_they_are_refreshed_before_they_end,
        dovecot_refuses_a_token_and_is_shown_a_new_one,
        dovecot_refuses_new_tokens_and_the_refresh_token_is_kept_all_the_same,
        dovecot_is_left_alone_once_the_grant_is_gone,
        dovecot_waits_for_a_token_endpoint_that_fails,
        dovecot_with_a_mailbox_disabled_during_a_refresh_loses_no_token,
        dovecot_is_not_reached_by_a_token_url_that_is_not_allowed,
        dovecot_with_tokens_that_another_node_refreshed,
    );
}

/// A mailbox's server that takes tokens alone, their issuer, and a gateway.
struct World {
    issuer: Issuer,
    server: Dovecot,
    gateway: Gateway,
    tenant: Tenant,
}

impl World {
    async fn start(backend: Backend, mechanism: &str) -> Self {
        Self::start_with(backend, mechanism, |_, _| Vec::new()).await
    }

    async fn start_with(
        backend: Backend,
        mechanism: &str,
        options: impl FnOnce(&Issuer, &Dovecot) -> Vec<String>,
    ) -> Self {
        let issuer = Issuer::start().await;
        let server = Dovecot::start_with_tokens(mechanism, &issuer.url("introspect"));
        server.user("anna");
        server.save("anna", "INBOX", b"Subject: one\r\n\r\ntext\r\n");
        let gateway = Gateway::start_with(backend, &options(&issuer, &server)).await;
        let tenant = gateway.tenant("Acme").await;
        Self {
            issuer,
            server,
            gateway,
            tenant,
        }
    }

    fn imap(&self, oauth2: &Value) -> Value {
        json!({"host": "127.0.0.1", "port": self.server.imap_port(), "security": "none", "username": "anna", "oauth2": oauth2})
    }

    async fn create(&self, oauth2: Value) -> Uuid {
        let body = json!({"address": "anna@example.org", "imap": self.imap(&oauth2)});
        let mailbox = self.gateway.make(&self.tenant.key, "/v1/mailboxes", body).await;
        id(&mailbox["id"])
    }

    async fn patch(&self, id: Uuid, body: Value) {
        let path = format!("/v1/mailboxes/{id}");
        self.gateway.change(&self.tenant.key, &path, body).await;
    }

    async fn wait(&self, id: Uuid, state: &str) -> Value {
        let path = format!("/v1/mailboxes/{id}");
        let mut last = Value::Null;
        let found = eventually(async || {
            last = self.gateway.get(&self.tenant.key, &path).await;
            (last["state"] == state).then(|| last.clone())
        });
        let found = found.await;
        found.unwrap_or_else(|| panic!("not {state}: {last:#}\n{}", self.server.log()))
    }

    /// Has the gateway dial again, and waits until it has caught up.
    async fn reconnect(&self, id: Uuid) {
        self.gateway.reconnect(&self.tenant, id).await;
    }

    /// The tokens that the database has.
    async fn stored(&self, id: Uuid) -> OAuth2 {
        let tenant = TenantId(self.tenant.id);
        let login = logins::open(&self.gateway.app, tenant, id, Service::Imap)
            .await
            .unwrap();
        match login.unwrap().secret {
            Secret::OAuth2(tokens) => *tokens,
            Secret::Password(_) => panic!("a password is stored"),
        }
    }
}

async fn dovecot_takes_tokens_by_xoauth2_and_they_are_refreshed_before_they_end(backend: Backend) {
    let world = World::start(backend, "xoauth2").await;
    let id = world.create(world.issuer.oauth2()).await;
    let mailbox = world.wait(id, "connected").await;
    assert_eq!(mailbox["message_count"], 1);
    assert_eq!((world.issuer.asked(), world.issuer.shown().len()), (1, 1));
    world.reconnect(id).await;
    assert_eq!(world.issuer.asked(), 1, "the access token lives for an hour");

    // One that has ended is not shown to the server at all.
    let mut ended = world.issuer.oauth2();
    ended["access_token"] = world.issuer.access_token().into();
    ended["expires_at"] = "2020-01-01T00:00:00Z".into();
    world.patch(id, json!({"imap": {"oauth2": ended}})).await;
    world.reconnect(id).await;
    assert_eq!(world.issuer.asked(), 2);
    assert!(
        !world
            .issuer
            .shown()
            .contains(&ended["access_token"].as_str().unwrap().to_owned())
    );
    let stored = world.stored(id).await;
    assert_eq!(stored.refresh_token.expose_secret(), world.issuer.refresh_token());

    // One that is given is used until it is refused.
    let mut given = world.issuer.oauth2();
    given["access_token"] = world.issuer.access_token().into();
    let body = json!({"imap": world.imap(&given)});
    let (status, verified) = world
        .gateway
        .call("POST", &world.tenant.key, "/v1/mailboxes/verify", Some(body))
        .await;
    assert_eq!((status, &verified["ok"]), (200, &Value::Bool(true)), "{verified}");
    world.patch(id, json!({"imap": {"oauth2": given}})).await;
    world.reconnect(id).await;
    assert_eq!(world.issuer.asked(), 2);
    world.gateway.stop().await;
}

async fn dovecot_refuses_a_token_and_is_shown_a_new_one(backend: Backend) {
    let world = World::start(backend, "oauthbearer").await;
    let mut given = world.issuer.oauth2();
    let first = world.issuer.access_token();
    given["access_token"] = first.clone().into();
    let id = world.create(given).await;
    world.wait(id, "connected").await;
    assert_eq!(world.issuer.asked(), 0);
    for round in 1..=2 {
        let before = world.issuer.shown().len();
        world.issuer.revoke();
        world.reconnect(id).await;
        assert_eq!(world.issuer.asked(), round, "one forced refresh");
        let shown = world.issuer.shown();
        assert_eq!(shown.len() - before, 2, "one refused, one taken: {shown:?}");
        assert_ne!(shown[before], shown[before + 1]);
    }
    assert_eq!(world.issuer.shown()[0], first);
    world.gateway.stop().await;
}

async fn dovecot_refuses_new_tokens_and_the_refresh_token_is_kept_all_the_same(backend: Backend) {
    let world = World::start(backend, "xoauth2").await;
    world.issuer.set(Mood::GrantsUseless);
    let id = world.create(world.issuer.oauth2()).await;
    let refused = world.wait(id, "authentication_error").await;
    assert_eq!(refused["error"]["code"], "credentials_refused");
    assert_eq!(world.issuer.asked(), 2, "one at first, and one that is forced");
    assert_eq!(world.issuer.shown().len(), 2);
    // What was rotated twice is stored, although no login with it worked: the second refresh was made with the first's.
    let stored = world.stored(id).await;
    assert_eq!(stored.refresh_token.expose_secret(), world.issuer.refresh_token());
    world.issuer.set(Mood::Grants);
    world.reconnect(id).await;
    world.gateway.stop().await;
}

async fn dovecot_is_left_alone_once_the_grant_is_gone(backend: Backend) {
    let world = World::start(backend, "xoauth2").await;
    let granted = world.issuer.oauth2();
    let id = world.create(granted.clone()).await;
    world.wait(id, "connected").await;
    world.issuer.set(Mood::Refuses);
    world.issuer.revoke();
    let (asked, shown) = (world.issuer.asked(), world.issuer.shown().len());
    let path = format!("/v1/mailboxes/{id}/reconnect");
    world.gateway.call("POST", &world.tenant.key, &path, None).await;
    let refused = world.wait(id, "authentication_error").await;
    assert_eq!(refused["error"]["code"], "credentials_refused");
    assert!(
        !refused.to_string().contains(&world.issuer.refresh_token()),
        "what the endpoint repeats is not shown: {refused}"
    );
    let told = refused["error"]["message"].as_str().unwrap();
    assert!(told.contains("token endpoint") && told.contains("***"), "{told}");
    assert_eq!(
        (world.issuer.asked() - asked, world.issuer.shown().len() - shown),
        (1, 1)
    );

    // New tokens revive it, and old ones do not.
    world.issuer.set(Mood::Grants);
    world.issuer.consent();
    world.patch(id, json!({"imap": {"oauth2": granted}})).await;
    let twice = eventually(async || (world.issuer.asked() - asked == 3).then_some(())).await;
    assert!(twice.is_some(), "{}", world.issuer.asked() - asked);
    world.wait(id, "authentication_error").await;
    assert_eq!(world.issuer.asked() - asked, 3, "twice, and then no more");
    world
        .patch(id, json!({"imap": {"oauth2": world.issuer.oauth2()}}))
        .await;
    let revived = world.wait(id, "connected").await;
    assert_eq!(revived["error"], Value::Null);
    world.gateway.stop().await;
}

async fn dovecot_waits_for_a_token_endpoint_that_fails(backend: Backend) {
    let world = World::start(backend, "xoauth2").await;
    world.issuer.set(Mood::IsDown);
    let id = world.create(world.issuer.oauth2()).await;
    for (mood, code) in [
        (Mood::IsDown, "token_endpoint_unavailable"),
        (Mood::SlowsDown, "token_endpoint_unavailable"),
        (Mood::Babbles, "token_endpoint_malformed"),
        (Mood::Floods, "token_endpoint_malformed"),
        (Mood::Redirects, "token_endpoint_malformed"),
    ] {
        world.issuer.set(mood);
        let asked = world.issuer.asked();
        let path = format!("/v1/mailboxes/{id}/reconnect");
        world.gateway.call("POST", &world.tenant.key, &path, None).await;
        let known = eventually(async || {
            let failed = world.wait(id, "connect_error").await;
            (world.issuer.asked() > asked && failed["error"]["code"] == code).then_some(failed)
        });
        let failed = known.await.unwrap_or_else(|| panic!("{mood:?} is not {code}"));
        assert!(
            !failed.to_string().contains(&world.issuer.refresh_token()),
            "{failed}"
        );
    }
    assert_eq!(world.issuer.strays(), 0, "no redirect is followed");
    assert_eq!(
        world.issuer.shown().len(),
        0,
        "the mail server is not asked without a token"
    );
    // It comes back by itself.
    world.issuer.set(Mood::Grants);
    world.wait(id, "connected").await;

    // A token that still lives is used as long as it does, when a new one cannot be had.
    world.issuer.set(Mood::IsDown);
    let mut late = world.issuer.oauth2();
    late["access_token"] = world.issuer.access_token().into();
    world.patch(id, json!({"imap": {"oauth2": late}})).await;
    let mut tokens = world.stored(id).await;
    let now = world.gateway.app.clock.now();
    tokens.refresh_at = Some(now);
    tokens.expires_at = Some(now + chrono::TimeDelta::hours(1));
    let (app, tenant) = (&world.gateway.app, TenantId(world.tenant.id));
    let mut login = logins::open(app, tenant, id, Service::Imap)
        .await
        .unwrap()
        .unwrap();
    login.secret = Secret::OAuth2(Box::new(tokens));
    let asked = world.issuer.asked();
    assert!(oauth::ready(app, tenant, id, login.clone(), false).await.is_ok());
    let refused = oauth::ready(app, tenant, id, login, true).await.err().unwrap();
    assert!(refused.to_string().contains("not available"), "{refused}");
    assert!(world.issuer.asked() > asked);
    world.gateway.stop().await;
}

async fn dovecot_with_a_mailbox_disabled_during_a_refresh_loses_no_token(backend: Backend) {
    let world = World::start(backend, "oauthbearer").await;
    let closed = world.issuer.hold().await;
    let id = world.create(world.issuer.oauth2()).await;
    let asked = eventually(async || (world.issuer.asked() == 1).then_some(()));
    assert!(asked.await.is_some());
    world.patch(id, json!({"enabled": false})).await;
    let before = world.issuer.refresh_token();
    drop(closed);
    // The endpoint has used up the old refresh token by now, or soon.
    let rotated = eventually(async || {
        let stored = world.stored(id).await.refresh_token.expose_secret().to_owned();
        (stored != before && stored == world.issuer.refresh_token()).then_some(())
    });
    assert!(rotated.await.is_some(), "the new refresh token is lost");
    world.patch(id, json!({"enabled": true})).await;
    world.wait(id, "connected").await;
    assert_eq!(world.issuer.asked(), 1);

    // Many that want a new token at once cause one refresh.
    let (app, tenant) = (&world.gateway.app, TenantId(world.tenant.id));
    let login = logins::open(app, tenant, id, Service::Imap)
        .await
        .unwrap()
        .unwrap();
    let all = (0..8).map(|_| oauth::ready(app, tenant, id, login.clone(), true));
    for ready in futures_util::future::join_all(all).await {
        assert!(ready.is_ok());
    }
    assert_eq!(world.issuer.asked(), 2);
    world.gateway.stop().await;
}

async fn dovecot_is_not_reached_by_a_token_url_that_is_not_allowed(backend: Backend) {
    // Tokens come before the dial, so that the mail server need not be allowed.
    let options = |_: &Issuer, _: &Dovecot| vec!["--egress-allow=127.9.9.9/32".to_owned()];
    let world = World::start_with(backend, "xoauth2", options).await;
    let mut oauth2 = world.issuer.oauth2();
    let port = url::Url::parse(oauth2["token_url"].as_str().unwrap())
        .unwrap()
        .port()
        .unwrap();
    let id = world.create(oauth2.clone()).await;
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "127.1",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ] {
        oauth2["token_url"] = format!("http://{host}:{port}/token").into();
        world.patch(id, json!({"imap": {"oauth2": oauth2}})).await;
        let failed = world.wait(id, "connect_error").await;
        assert_eq!(failed["error"]["code"], "token_endpoint_not_allowed", "{host}");
    }
    assert_eq!(world.issuer.asked(), 0);
    world.gateway.stop().await;
}

async fn dovecot_with_tokens_that_another_node_refreshed(backend: Backend) {
    let world = World::start(backend, "xoauth2").await;
    let id = world.create(world.issuer.oauth2()).await;
    world.wait(id, "connected").await;
    let (app, tenant) = (&world.gateway.app, TenantId(world.tenant.id));
    let login = logins::open(app, tenant, id, Service::Imap)
        .await
        .unwrap()
        .unwrap();
    let asked = world.issuer.asked();
    // While the endpoint makes up its mind, another node's refresh is stored: the refusal is not for the new tokens.
    world.issuer.set(Mood::Refuses);
    let closed = world.issuer.hold().await;
    let refresh = tokio::spawn({
        let (app, login) = (app.clone(), login.clone());
        async move { oauth::ready(&app, tenant, id, login, true).await }
    });
    let begun = eventually(async || (world.issuer.asked() > asked).then_some(()));
    assert!(begun.await.is_some());
    world.issuer.consent();
    let mut other = world.issuer.oauth2();
    other["access_token"] = world.issuer.access_token().into();
    world.patch(id, json!({"imap": {"oauth2": other}})).await;
    drop(closed);
    let ready = refresh.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
    let shown = match verify::credentials(&ready) {
        postroom::mail::imap::Credentials::OAuth { access_token, .. } => access_token,
        postroom::mail::imap::Credentials::Password { .. } => panic!("a password"),
    };
    assert_eq!(shown.expose_secret(), other["access_token"].as_str().unwrap());
    // The other way round: what this node was granted does not take the place of what was stored meanwhile.
    world.issuer.set(Mood::Grants);
    let closed = world.issuer.hold().await;
    let login = logins::open(app, tenant, id, Service::Imap)
        .await
        .unwrap()
        .unwrap();
    let asked = world.issuer.asked();
    let refresh = tokio::spawn({
        let app = app.clone();
        async move { oauth::ready(&app, tenant, id, login, true).await }
    });
    let begun = eventually(async || (world.issuer.asked() > asked).then_some(()));
    assert!(begun.await.is_some());
    let mut newest = other.clone();
    newest["refresh_token"] = "given-by-hand".into();
    world.patch(id, json!({"imap": {"oauth2": newest}})).await;
    drop(closed);
    assert!(refresh.await.unwrap().is_ok());
    assert_eq!(
        world.stored(id).await.refresh_token.expose_secret(),
        "given-by-hand"
    );
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_outside_request_is_of_https_except_to_addresses_that_are_allowed() {
    tls::install_provider();
    let issuer = Issuer::start().await;
    let ask = async |guard: &Guard, url: &str| {
        let client = HttpClient::new(guard.clone(), tls::client_config(None).unwrap())
            .with_deadline(Duration::from_millis(500));
        let request = http::Request::post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Vec::new())
            .unwrap();
        client.send(request).await
    };
    let loopback = Guard::new(["127.0.0.0/8".parse().unwrap()]);
    let answer = ask(&loopback, &issuer.url("elsewhere")).await.unwrap();
    assert_eq!((answer.status().as_u16(), issuer.strays()), (200, 1));
    let nobody = Guard::default();
    let refused = ask(&nobody, &issuer.url("elsewhere")).await;
    assert!(matches!(refused, Err(HttpError::Egress(_))), "{refused:?}");
    let plain = ask(&nobody, "http://1.1.1.1/token").await;
    assert!(matches!(plain, Err(HttpError::Insecure)), "{plain:?}");
    for url in ["ftp://127.0.0.1/", "https://me:secret@127.0.0.1/"] {
        let refused = ask(&loopback, url).await;
        assert!(matches!(refused, Err(HttpError::Url)), "{url}: {refused:?}");
    }
    let plain_server = ask(&loopback, &issuer.url("elsewhere").replace("http:", "https:")).await;
    assert!(
        matches!(plain_server, Err(HttpError::Failed(_))),
        "{plain_server:?}"
    );
    let _closed = issuer.hold().await;
    let slow = ask(&loopback, &issuer.url("token")).await;
    assert!(
        matches!(slow, Err(HttpError::Timeout | HttpError::Failed(_))),
        "{slow:?}"
    );
}
