//! Where requests go: to the address that was vetted for them, over connections that may have served before.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use postroom::{
    mail::{
        egress::{EgressError, Guard, Names},
        http::{HttpClient, HttpError},
        tls,
    },
    model::event::EventType,
    worker::deliver::Dispatcher,
};

use super::{drain, endpoint, only, receiver::Receiver};
use crate::{
    failures::Counter,
    support::gateway::{Backend, both},
    sweep::world::{World, letter},
};

mod on {
    use super::both;
    both!(requests_to_one_host_share_its_connections);
}

/// What every name leads to, which the test changes between two look-ups.
#[derive(Clone, Default)]
struct Zone {
    leads_to: Arc<Mutex<Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Zone {
    fn names(&self) -> Names {
        let zone = self.clone();
        Names::new(move |_, port| {
            zone.asked.fetch_add(1, Ordering::SeqCst);
            let found = zone.leads_to.lock().unwrap().clone();
            let found = found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
            Box::pin(std::future::ready(Ok(found)))
        })
    }

    fn set(&self, addresses: &[[u8; 4]]) {
        *self.leads_to.lock().unwrap() = addresses.iter().map(|ip| Ipv4Addr::from(*ip).into()).collect();
    }
}

async fn send(client: &HttpClient, url: &str) -> Result<u16, HttpError> {
    let request = http::Request::post(url).body(b"{}".to_vec()).unwrap();
    let sent = client
        .send_cut(request, 100, std::future::ready(true))
        .await?
        .unwrap();
    Ok(sent.status().as_u16())
}

fn refused(result: &Result<u16, HttpError>) -> bool {
    matches!(result, Err(HttpError::Egress(EgressError::Forbidden)))
}

#[tokio::test]
async fn promise_10_a_name_that_leads_to_loopback_the_next_time_is_not_followed() {
    tls::install_provider();
    let first = Receiver::start().await;
    let port = first.address().port();
    let on = |last| SocketAddr::from(([127, 0, 0, last], port));
    let (second, inside) = (Receiver::start_on(on(2)).await, Receiver::start_on(on(3)).await);
    let zone = Zone::default();
    let guard = Guard::default()
        .with_addresses([first.address(), second.address()])
        .with_names(zone.names());
    let client = HttpClient::new(guard, tls::client_config(None).unwrap());

    // When the endpoint is made its name is public, and when something is sent there it is not.
    zone.set(&[[8, 8, 8, 8]]);
    let secure = format!("https://rebound.example.com:{port}/");
    client.check(&secure).await.unwrap();
    zone.set(&[[127, 0, 0, 3]]);
    let result = send(&client, &secure).await;
    assert!(refused(&result), "{result:?}");

    // Nor does an open connection serve a name that leads elsewhere now, and each request asks once where it leads.
    let url = format!("http://rebound.example.com:{port}/");
    let asked = zone.asked.load(Ordering::SeqCst);
    zone.set(&[[127, 0, 0, 1]]);
    assert_eq!(send(&client, &url).await.unwrap(), 200);
    assert_eq!(first.take().len(), 1);
    for elsewhere in [
        &[[127, 0, 0, 3]][..],
        &[[127, 0, 0, 1], [127, 0, 0, 3]],
        &[[10, 0, 0, 1]],
    ] {
        zone.set(elsewhere);
        let result = send(&client, &url).await;
        assert!(refused(&result), "{elsewhere:?}: {result:?}");
    }
    zone.set(&[[127, 0, 0, 2]]);
    assert_eq!(send(&client, &url).await.unwrap(), 200);
    assert_eq!((first.got().len(), second.got().len()), (0, 1));
    assert_eq!(zone.asked.load(Ordering::SeqCst) - asked, 5);
    assert_eq!(inside.got().len(), 0);
}

#[tokio::test]
async fn what_may_not_be_sent_any_more_when_the_address_is_found_is_not() {
    tls::install_provider();
    let receiver = Receiver::start().await;
    let guard = Guard::default().with_addresses([receiver.address()]);
    let client = HttpClient::new(guard, tls::client_config(None).unwrap());
    let request = http::Request::post(receiver.url()).body(Vec::new()).unwrap();
    let sent = client.send_cut(request, 100, std::future::ready(false)).await;
    assert!(sent.unwrap().is_none());
    // The look-up and the question count into the deadline.
    let client = client.with_deadline(Duration::from_millis(50));
    let request = http::Request::post(receiver.url()).body(Vec::new()).unwrap();
    let sent = client.send_cut(request, 100, std::future::pending()).await;
    assert!(matches!(sent, Err(HttpError::Timeout)), "{sent:?}");
    assert_eq!(receiver.got().len(), 0);
}

async fn requests_to_one_host_share_its_connections(backend: Backend) {
    let world = World::start(backend).await;
    let mut owner = world.owner("acme").await;
    let receiver = Receiver::start().await;
    let (counter, port) = Counter::before(receiver.address().port()).await;
    let url = format!("http://127.0.0.1:{port}/hook");
    endpoint(&world, &owner.caller, &url, only(&[EventType::MessageReceived])).await;
    let mut dispatcher = Dispatcher::new(world.app.clone());
    for uid in 1..=40 {
        owner
            .store(&world, uid, &letter(usize::try_from(uid).unwrap(), &[]))
            .await;
    }
    drain(&mut dispatcher).await;
    assert_eq!(receiver.got().len(), 40);
    // Four at once, and one that was not yet given back when the next began.
    assert!(counter.dials() <= 8, "{} connections", counter.dials());
}
