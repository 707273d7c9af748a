//! Real messages, and some made to hurt, on their way from a mail server through the sync to every answer of the API.

mod bombs;
mod generated;

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use futures_util::{StreamExt, stream};
use jsonschema::Validator;
use postroom::{api, model::mailbox::Mailbox};
use reqwest::header;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    dovecot_sync::account::{USER, World, log_in},
    sandbox::connected,
    support::{
        dovecot::Dovecot,
        gateway::{Backend, Gateway, both},
        soak,
    },
};

mod on {
    use super::both;
    both!(
        dovecot_serves_real_messages_and_none_is_lost,
        bombs_neither_block_a_folder_nor_are_lost
    );
}

mod loops {
    use super::both;
    both!(generated_messages_are_read_as_they_were_written);
}

/// How many messages come with the source of the parsing library.
const REAL: usize = 107;

/// How many messages CPython's tests have at least.
const PYTHON: usize = 40;

/// The messages beside the library's source, wherever cargo keeps it.
fn real_messages() -> Vec<Vec<u8>> {
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is not set")).join(".cargo"),
        PathBuf::from,
    );
    let registries = std::fs::read_dir(home.join("registry/src")).expect("cargo keeps no sources");
    let is_parser = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("mail-parser-0.11.")
    };
    let source = registries
        .flat_map(|registry| std::fs::read_dir(registry.unwrap().path()).unwrap())
        .map(|package| package.unwrap().path())
        .find(is_parser)
        .expect("the library's source is not there");
    let mut messages = Vec::new();
    collect(&source.join("resources/eml"), &mut messages);
    messages
}

/// The messages of CPython's own tests, which `tests/setup.sh` fetches.
fn python_messages() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tooling/python-messages");
    let files = std::fs::read_dir(&folder).unwrap_or_else(|_| {
        panic!(
            "{} is missing: run `make test`, which sets it up",
            folder.display()
        )
    });
    files
        .map(|file| carried(&std::fs::read(file.unwrap().path()).unwrap()))
        .collect()
}

fn collect(folder: &Path, messages: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, messages);
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            messages.push(carried(&std::fs::read(&path).unwrap()));
        }
    }
}

/// As IMAP carries it: lines end with CRLF, and there is no NUL. A server that keeps lines without their CR gives one back,
/// however many there were.
fn carried(raw: &[u8]) -> Vec<u8> {
    let lines = raw.split(|&byte| byte == b'\n').map(|mut line| {
        while let Some(rest) = line.strip_suffix(b"\r") {
            line = rest;
        }
        line
    });
    let mut raw = lines.collect::<Vec<_>>().join(&b"\r\n"[..]);
    raw.iter_mut()
        .filter(|byte| **byte == 0)
        .for_each(|byte| *byte = b' ');
    raw
}

/// Messages that a database or an index could stumble over.
fn hostile_messages() -> Vec<Vec<u8>> {
    let long = "x".repeat(5_000);
    // Encoded NULs: AABh is two of them and an `a`.
    let nuls = "Subject: =?utf-8?B?AABh?=\r\nFrom: =?utf-8?B?AABh?= <\"a\"@example.net>\r\n\
        Message-ID: <nul@example.net>\r\nContent-Type: text/plain; charset=utf-8; name*=utf-8''%00a\r\n\
        Content-Disposition: attachment; filename*=utf-8''%00%00a.txt\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nAABhAABhAABh\r\n";
    let body = "Subject: a body of NULs\r\nFrom: a@example.net\r\nContent-Type: text/html; charset=utf-16\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nAABhAABhAABh\r\n";
    let parts = "Content-Type: text/plain\r\n\r\npart\r\n--b\r\n".repeat(300);
    vec![
        nuls.into(),
        body.into(),
        format!(
            "From: <{long}@example.net>\r\nTo: {long} <{long}@{long}>\r\nMessage-ID: <{long}@x>\r\n\r\n1\r\n"
        )
        .into(),
        format!(
            "Subject: {}\r\nReferences: {}\r\n\r\n2\r\n",
            long.repeat(20),
            "<a@b> <c@d> ".repeat(500)
        )
        .into(),
        format!("Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{parts}").into(),
        "Subject: dates\r\nDate: Mon, 99 Foo 99999 99:99:99 +9999\r\n\r\n3\r\n".into(),
        "Subject: far away\r\nDate: Fri, 31 Dec 9999 23:59:59 +0000\r\n\r\n4\r\n".into(),
        "Subject: long ago\r\nDate: Mon, 1 Jan 0001 00:00:00 +0000\r\n\r\n5\r\n".into(),
        "\r\n\r\n".into(),
        b"Subject: raw \xff\xfe bytes\r\nFrom: \xe4\xf6 <\xfc@example.net>\r\n\r\n\xff\xfe\xfd\r\n".to_vec(),
    ]
}

/// Checks answers against the schema that the document gives for an operation's 200.
fn schema(document: &api::docs::Document, path: &str) -> Validator {
    let document = document.value();
    let answer = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    let mut whole = answer
        .as_object()
        .unwrap_or_else(|| panic!("{path} has no schema"))
        .clone();
    whole.insert("components".to_owned(), document["components"].clone());
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    options.build(&Value::Object(whole)).unwrap()
}

fn assert_valid(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value:#}");
}

struct Schemas {
    message: Validator,
    thread: Validator,
    attachment: Validator,
    plannr: Validator,
}

impl Schemas {
    fn load() -> Self {
        let documents = api::documents().unwrap();
        Self {
            message: schema(&documents.unified, "/v1/messages/{message_id}"),
            thread: schema(&documents.unified, "/v1/threads/{thread_id}"),
            attachment: schema(&documents.unified, "/v1/attachments/{attachment_id}"),
            plannr: schema(&documents.plannr, "/api/v1/mailboxes/message/{uuid}"),
        }
    }
}

async fn dovecot_serves_real_messages_and_none_is_lost(backend: Backend) {
    let mut world = World::start(backend).await;
    let real = real_messages();
    assert_eq!(real.len(), REAL);
    let python = python_messages();
    assert!(python.len() >= PYTHON, "{}", python.len());
    let mut appended = HashSet::new();
    for raw in real.into_iter().chain(python).chain(hostile_messages()) {
        world.append("INBOX", &[], &raw).await;
        appended.insert(raw);
    }
    let mailbox = world.connect().await;
    let ready = |mailbox: &_| connected(mailbox);
    let count = world
        .gateway
        .wait_for(&world.tenant, mailbox.id, "connected", ready)
        .await;
    assert_eq!(usize::try_from(count).unwrap(), appended.len());

    let listed = world.messages().await;
    let raws = world.raws(&listed).await;
    for (message, raw) in listed.iter().zip(&raws) {
        assert_eq!(message["truncated"], false, "{message:#}");
        assert!(appended.remove(raw), "not what was appended: {message:#}");
    }
    assert!(appended.is_empty(), "{} messages were lost", appended.len());

    let schemas = Schemas::load();
    let mut attachments = 0;
    for message in &listed {
        attachments += check(&world, &schemas, message).await;
    }
    assert!(attachments > 100, "only {attachments} attachments were found");
    world.gateway.stop().await;
}

async fn generated_messages_are_read_as_they_were_written(backend: Backend) {
    let name = "generated messages, whole and broken, in 13 charsets";
    let (rounds, seed) = (soak::rounds(250, 5_000), soak::seed(name));
    let mut world = World::start(backend).await;
    let mut texts = HashMap::new();
    for message in generated::messages(rounds, seed) {
        world.append("INBOX", &[], &message.raw).await;
        texts.insert(message.raw, message.text);
    }
    let mailbox = world.connect().await;
    let count = world.wait(mailbox.id, "connected", connected).await;
    assert_eq!(usize::try_from(count).unwrap(), texts.len());

    let listed = world.messages().await;
    let (schemas, mut whole) = (Schemas::load(), 0);
    for (message, raw) in listed.iter().zip(world.raws(&listed).await) {
        let text = texts.remove(&raw);
        let Some(text) = text.unwrap_or_else(|| panic!("not what was appended: {message:#}")) else {
            continue;
        };
        let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());
        let body = world.get(&path).await["text"].clone();
        assert_eq!(
            body.as_str().map(str::trim_end),
            Some(text.as_str()),
            "{message:#}"
        );
        assert_eq!(message["subject"], text);
        whole += 1;
    }
    assert!(texts.is_empty(), "{} messages were lost", texts.len());
    check_all(&world, &schemas, &listed).await;
    soak::record(
        name,
        rounds,
        seed,
        format!("{whole} whole ones read as written, none lost"),
    );
    world.gateway.stop().await;
}

async fn bombs_neither_block_a_folder_nor_are_lost(backend: Backend) {
    let server = Dovecot::start();
    server.user(USER);
    let session = log_in(&server, USER).await;
    let gateway = Gateway::start_with(backend, &["--max-message=8MiB".to_owned()]).await;
    let tenant = gateway.tenant("Acme").await;
    let mut world = World {
        server,
        gateway,
        tenant,
        session,
    };
    let mut messages = bombs::messages(100_000);
    let line = format!("{}\r\n", "x".repeat(98));
    let large = format!("Subject: too large\r\n\r\n{}", line.repeat(100_000));
    messages.push(("too large", large.into()));
    messages.push(("the last one", b"Subject: the last one\r\n\r\nx\r\n".to_vec()));
    for (_, raw) in &messages {
        world.append("INBOX", &[], raw).await;
    }
    let mailbox = world.connect().await;
    let all = |mailbox: &Mailbox| connected(mailbox).filter(|count| *count == 11);
    world.wait(mailbox.id, "connected with all messages", all).await;

    let listed = world.messages().await;
    for (subject, raw) in messages {
        let message = listed.iter().find(|message| message["subject"] == subject);
        let message = message.unwrap_or_else(|| panic!("{subject} was lost: {listed:#?}"));
        let stored = world.raw(message["id"].as_str().unwrap()).await;
        let is_cut = subject == "too large";
        assert_eq!(message["truncated"], is_cut, "{subject}");
        assert_eq!(message["size"], raw.len(), "{subject}");
        assert!(stored == raw || (is_cut && raw.starts_with(&stored)), "{subject}");
    }
    check_all(&world, &Schemas::load(), &listed).await;
    world.gateway.stop().await;
}

/// Asks for all that there is of each message.
async fn check_all(world: &World, schemas: &Schemas, listed: &[Value]) {
    stream::iter(listed)
        .for_each_concurrent(8, async |message| {
            check(world, schemas, message).await;
        })
        .await;
}

/// Asks for all that there is of a message; answers how many attachments it has.
async fn check(world: &World, schemas: &Schemas, listed: &Value) -> usize {
    let text = |field: &str| listed[field].as_str().unwrap();
    let id = text("id");
    let key = &world.tenant.key;
    let message = world.gateway.get(key, &format!("/v1/messages/{id}")).await;
    assert_valid(&schemas.message, &message, "a message");
    let thread = world
        .gateway
        .get(key, &format!("/v1/threads/{}", text("thread_id")))
        .await;
    assert_valid(&schemas.thread, &thread, "a thread");
    let has = |message: &Value| message["id"] == id;
    assert!(
        thread["messages"].as_array().unwrap().iter().any(has),
        "{thread:#}"
    );
    let plannr = world
        .gateway
        .get(key, &format!("/api/v1/mailboxes/message/{id}"))
        .await;
    assert_valid(&schemas.plannr, &plannr, "a Plannr message");
    let attachments = message["attachments"].as_array().unwrap();
    for attachment in attachments {
        let path = format!("/v1/attachments/{}", attachment["id"].as_str().unwrap());
        let alone = world.gateway.get(key, &path).await;
        assert_valid(&schemas.attachment, &alone, "an attachment");
        assert_eq!(&alone, attachment);
        check_content(world, &path, attachment).await;
    }
    attachments.len()
}

/// The content has its size and hash, whole and in a range.
async fn check_content(world: &World, path: &str, attachment: &Value) {
    let ask = |range: Option<String>| {
        let url = format!("{}{path}/content", world.gateway.url);
        let mut request = world.gateway.http.get(url).header("x-api-key", &world.tenant.key);
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        }
    };
    let (status, whole) = ask(None).await;
    assert_eq!(
        (status, json!(whole.len())),
        (200, attachment["size"].clone()),
        "{attachment:#}"
    );
    let mut sha256 = String::new();
    for byte in Sha256::digest(&whole) {
        write!(sha256, "{byte:02x}").unwrap();
    }
    assert_eq!(attachment["sha256"], sha256, "{attachment:#}");
    if whole.len() > 2 {
        let (from, to) = (whole.len() / 2, whole.len() - 2);
        let (status, part) = ask(Some(format!("bytes={from}-{to}"))).await;
        assert_eq!((status, &part[..]), (206, &whole[from..=to]), "{attachment:#}");
    }
}
