//! Full-text search: both databases find the same messages, for their own tenant only, and forget what is deleted.

use postroom::{
    model::{
        caller::Visibility,
        id::TenantId,
        message::MessageFilter,
        page::PageRequest,
        search::{self, Query},
    },
    store::{IndexJob, SearchCaps, Words},
};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, Owner, at},
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(
        queries_find_what_they_name,
        another_tenant_finds_nothing,
        deleted_messages_leave_the_index,
        a_message_of_many_words_is_indexed,
        a_search_that_is_cut_short_goes_on,
    );
}

/// Subject and text of the messages that are searched; a query names them by their places in this list.
const MAIL: &[(&str, &str)] = &[
    (
        "Contract for the new house",
        "Please sign the contract by Friday. Your e-mail arrived.",
    ),
    ("Signing", "The new contracts are ready, the old house is sold."),
    (
        "Grüße aus Zürich",
        "Wir treffen uns in der Straße am Café, naïve résumé.",
    ),
    ("会议安排", "明天下午三点在北京开会，请准时参加。"),
    ("打ち合わせ", "東京タワーで会いましょう"),
    (
        "Invoice 2024-0815",
        "Total: 1,234.56 EUR, order #ab12cd, 1e5 units, 3d print",
    ),
    ("हिन्दी पत्र", "नमस्ते दुनिया"),
    (
        "' OR 1=1 --",
        "tenant : subject NEAR( & | ! <-> '); DROP TABLE messages; --",
    ),
    ("Тема письма", "Привет, МИР! Ёлка"),
];

/// A query, whether it is of the subject alone, and the places of what it finds.
const QUERIES: &[(&str, bool, &[usize])] = &[
    ("contract", false, &[0]),
    ("CONTRACT", false, &[0]),
    ("contract*", false, &[0, 1]),
    ("new house", false, &[0, 1]),
    ("\"new house\"", false, &[0]),
    ("\"new hou\"*", false, &[0]),
    ("\"house new\"", false, &[]),
    ("\"house please\"", false, &[]),
    ("\"example test contract\"", false, &[]),
    ("sign", true, &[]),
    ("signing", true, &[1]),
    ("contract*", true, &[0]),
    ("e-mail", false, &[0]),
    ("\"mail e\"", false, &[]),
    ("grusse zurich", false, &[]),
    ("gruße ZÜRICH", false, &[2]),
    ("cafe resume", false, &[2]),
    ("zurich", true, &[2]),
    ("会议", false, &[3]),
    ("议会", false, &[]),
    ("北京开会", false, &[3]),
    ("東京", false, &[4]),
    ("京東", false, &[]),
    ("0815", false, &[5]),
    ("2024-0815", true, &[5]),
    ("1,234.56", false, &[5]),
    ("ab12cd", false, &[5]),
    ("1e5", false, &[5]),
    ("3d", false, &[5]),
    ("पत्र", false, &[6]),
    ("नमस्ते", false, &[6]),
    ("привет мир", false, &[8]),
    ("елка", false, &[8]),
    ("arne", false, &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ("ärne ase house", false, &[0, 1]),
    ("arne@example.test contract", false, &[0]),
    ("arne", true, &[]),
    ("' OR 1=1 --", false, &[7]),
    ("\") OR tenant : (\"a\"", false, &[]),
    ("tenant : subject", false, &[7]),
    ("* contract", false, &[0]),
    ("contract NOT house", false, &[]),
    ("a:*A & 'b'", false, &[]),
    ("\\'contract\\'", false, &[0]),
    ("{body} : drop table", false, &[]),
    ("drop table messages", false, &[7]),
];

async fn find(fixture: &Fixture, tenant: TenantId, query: &str, subject_only: bool) -> Vec<Uuid> {
    let query = Query::parse(query).unwrap();
    let words = if subject_only {
        (None, Some(&query))
    } else {
        (Some(&query), None)
    };
    let mut conn = fixture.store.read().await.unwrap();
    let filter = MessageFilter::default();
    let page = conn
        .list_messages(tenant, Visibility::All, &filter, words, PageRequest::first())
        .await;
    page.unwrap_or_else(|error| panic!("{query:?}: {error:?}"))
        .data
        .iter()
        .map(|message| message.id)
        .collect()
}

async fn filled(fixture: &Fixture, name: &str) -> (Owner, Vec<Uuid>) {
    let owner = fixture.owner(name).await;
    let mut ids = Vec::new();
    for (uid, texts) in (0..).zip(MAIL) {
        ids.push(fixture.message(owner, uid, at(-uid), *texts).await);
    }
    (owner, ids)
}

async fn queries_find_what_they_name(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let (owner, ids) = filled(&fixture, "acme").await;
    let mut wrong = Vec::new();
    for (query, subject_only, expected) in QUERIES {
        let found: Vec<usize> = find(&fixture, owner.tenant, query, *subject_only)
            .await
            .into_iter()
            .map(|found| ids.iter().position(|id| *id == found).unwrap())
            .collect();
        if found != *expected {
            wrong.push(format!(
                "{query} (subject only: {subject_only}) finds {found:?}, not {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// However little a page may cost: all pages together have what one query has, once and in order.
async fn a_search_that_is_cut_short_goes_on(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let (owner, ids) = filled(&fixture, "acme").await;
    let mut conn = fixture.store.read().await.unwrap();
    let filter = MessageFilter::default();
    for (query, subject_only, expected) in QUERIES {
        let parsed = Query::parse(query).unwrap();
        let words = if *subject_only {
            (None, Some(&parsed))
        } else {
            (Some(&parsed), None)
        };
        for (hits, walk, limit) in [(0, 1, 1), (0, 2, 1), (0, 4, 3), (1, 100, 2), (100, 1, 2)] {
            let caps = SearchCaps { hits, walk };
            let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let request = (PageRequest { limit, after }, caps);
                let page = conn
                    .search_messages(owner.tenant, Visibility::All, &filter, words, request)
                    .await
                    .unwrap();
                assert!(page.data.len() <= usize::from(limit));
                let places = page
                    .data
                    .iter()
                    .map(|message| ids.iter().position(|id| *id == message.id).unwrap());
                found.extend(places);
                pages += 1;
                assert!(pages <= 2 * ids.len(), "{query} has no end with {caps:?}");
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, *expected, "{query} with {caps:?}, {limit} a page");
        }
    }
}

async fn another_tenant_finds_nothing(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let (acme, _) = filled(&fixture, "acme").await;
    let other = fixture.owner("other").await;
    let own = fixture
        .message(other, 1, at(1), ("Contract", "of the other"))
        .await;
    assert_eq!(find(&fixture, other.tenant, "contract", false).await, [own]);
    let foreign = acme.tenant.0.simple().to_string();
    for query in ["house", "arne house", &format!("tenant : {foreign}"), &foreign] {
        let found = find(&fixture, other.tenant, query, false).await;
        assert!(found.is_empty(), "{query} finds {found:?}");
    }
    assert_eq!(find(&fixture, acme.tenant, "contract", false).await.len(), 1);
}

/// How many documents the full-text index holds.
async fn documents(fixture: &Fixture, backend: Backend) -> String {
    let table = if backend == Backend::Sqlite {
        "search_words_docsize"
    } else {
        "search_documents"
    };
    fixture.rows(&format!("SELECT count(*) FROM {table}")).await[0][0].clone()
}

async fn deleted_messages_leave_the_index(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let (acme, ids) = filled(&fixture, "acme").await;
    let other = fixture.owner("other").await;
    fixture
        .message(other, 1, at(1), ("Contract", "of the other"))
        .await;
    let all = ids.len();
    assert_eq!(documents(&fixture, backend).await, (all + 1).to_string());

    // Indexed again with other words, and then with none.
    let job = IndexJob {
        tenant: acme.tenant,
        message: ids[0],
        queued_at: at(0),
    };
    let words = Words {
        subject: search::words("Agreement"),
        ..Words::default()
    };
    let again = job.clone();
    fixture
        .store
        .transaction(|tx| Box::pin(async move { tx.index_messages(vec![(again, Some(words))]).await }))
        .await
        .unwrap();
    assert_eq!(find(&fixture, acme.tenant, "agreement", false).await, [ids[0]]);
    assert!(
        find(&fixture, acme.tenant, "contract", false).await.is_empty(),
        "the words before are gone"
    );
    assert_eq!(documents(&fixture, backend).await, (all + 1).to_string());
    fixture
        .store
        .transaction(|tx| Box::pin(async move { tx.index_messages(vec![(job, None)]).await }))
        .await
        .unwrap();
    assert_eq!(documents(&fixture, backend).await, all.to_string());

    // A mailbox that is deleted hides its messages at once, and queues each for the index.
    let queue = "SELECT count(*) FROM search_queue";
    assert_eq!(fixture.rows(queue).await[0][0], "0");
    let Owner { tenant, mailbox, .. } = acme;
    fixture
        .store
        .transaction(|tx| Box::pin(async move { tx.delete_messages_of(tenant, mailbox, at(9)).await }))
        .await
        .unwrap();
    assert!(find(&fixture, acme.tenant, "arne", false).await.is_empty());
    assert_eq!(fixture.rows(queue).await[0][0], all.to_string());

    // A tenant that is deleted takes its words along, and those of nobody else.
    fixture
        .store
        .transaction(|tx| Box::pin(async move { tx.delete_tenant(tenant).await }))
        .await
        .unwrap();
    assert_eq!(documents(&fixture, backend).await, "1");
    assert_eq!(fixture.rows(queue).await[0][0], "0");
    assert_eq!(find(&fixture, other.tenant, "contract", false).await.len(), 1);
}

/// As many different words as a hostile message can have: the index takes what it can hold, and refuses nothing.
async fn a_message_of_many_words_is_indexed(backend: Backend) {
    let fixture = Fixture::start(backend).await;
    let owner = fixture.owner("acme").await;
    let message = fixture.message(owner, 1, at(1), ("Short", "text")).await;
    let many = |letter: char| {
        let words: Vec<String> = (0..100_000).map(|number| format!("{letter}{number:x}")).collect();
        search::words(&words.join(" "))
    };
    let words = Words {
        subject: many('s'),
        participants: many('p'),
        body: many('b'),
    };
    let job = IndexJob {
        tenant: owner.tenant,
        message,
        queued_at: at(1),
    };
    let write = fixture
        .store
        .transaction(|tx| Box::pin(async move { tx.index_messages(vec![(job, Some(words))]).await }));
    write.await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(find(&fixture, owner.tenant, "s1", true).await, [message]);
    assert_eq!(find(&fixture, owner.tenant, "p1", false).await, [message]);
}
