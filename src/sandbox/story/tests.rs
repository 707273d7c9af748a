//! The story, read back with the parser that the gateway uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders, PartType};

use super::*;
use crate::{model::clock::Clock, sandbox::Account};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 123_456_789).unwrap()
}

fn parse(raw: &[u8]) -> Message<'_> {
    MessageParser::default()
        .parse(raw)
        .expect("a message that parses")
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![id.to_string()],
        HeaderValue::TextList(list) => list.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn body_of(letters: &[Letter], id: &str) -> String {
    let found = letters
        .iter()
        .find(|l| parse(&l.raw).message_id() == Some(id))
        .expect(id);
    parse(&found.raw).body_text(0).expect(id).into_owned()
}

#[test]
fn every_message_is_whole() {
    let letters = letters(now());
    assert!((60..=100).contains(&letters.len()), "{}", letters.len());
    let mut seen = BTreeSet::new();
    for letter in &letters {
        let message = parse(&letter.raw);
        let id = message.message_id().expect("a Message-ID").to_owned();
        assert!(
            message
                .subject()
                .is_some_and(|s| !s.is_empty() && !s.contains('\u{FFFD}')),
            "{id}"
        );
        assert!(
            message
                .from()
                .is_some_and(|f| f.first().is_some_and(|a| a.address.is_some())),
            "{id}"
        );
        assert_eq!(
            message.date().map(mail_parser::DateTime::to_timestamp),
            Some(letter.date.timestamp()),
            "{id}"
        );
        assert!(
            letter.date <= now() && letter.date > now() - chrono::TimeDelta::days(61),
            "{id}"
        );
        assert!(message.parts.iter().all(|p| !p.is_encoding_problem), "{id}");
        let texts: Vec<_> = message.text_bodies().chain(message.html_bodies()).collect();
        assert!(!texts.is_empty(), "{id}");
        for text in texts {
            let (PartType::Text(text) | PartType::Html(text)) = &text.body else {
                continue;
            };
            assert!(!text.contains("\u{FFFD}"), "{id}: {text}");
        }
        assert!(!letter.raw.contains(&0), "{id}");
        assert!(
            letter
                .raw
                .split(|b| *b == b'\n')
                .all(|l| l.len() <= 998 && (l.is_empty() || l.ends_with(b"\r"))),
            "{id}"
        );
        assert!(seen.insert(id.clone()), "{id} twice");
    }
    let dates: Vec<_> = letters.iter().map(|l| l.date).collect();
    assert!(dates.is_sorted());
}

#[test]
fn the_same_time_gives_the_same_bytes() {
    let (a, b) = (letters(now()), letters(now()));
    assert!(a.iter().map(|l| &l.raw).eq(b.iter().map(|l| &l.raw)));
}

#[test]
fn references_resolve_and_threads_hold_together() {
    let letters = letters(now());
    let known: BTreeMap<String, DateTime<Utc>> = letters
        .iter()
        .map(|l| (parse(&l.raw).message_id().unwrap().to_owned(), l.date))
        .collect();
    let mut sizes: HashMap<String, usize> = HashMap::new();
    let mut sent_answers = 0;
    for letter in &letters {
        let message = parse(&letter.raw);
        let own = message.message_id().unwrap();
        let references = ids(message.references());
        for id in references.iter().chain(&ids(message.in_reply_to())) {
            assert!(
                known.get(id).is_some_and(|date| *date < letter.date),
                "{own} answers {id}"
            );
        }
        assert_eq!(ids(message.in_reply_to()).first(), references.last(), "{own}");
        sent_answers += usize::from(letter.folder == "Sent" && !references.is_empty());
        let root = references.first().cloned().unwrap_or_else(|| own.to_owned());
        *sizes.entry(root).or_default() += 1;
    }
    assert_eq!(sizes.get("contract.0@northwind.example"), Some(&9));
    assert_eq!(sizes.get("ticket.0@sandbox.example"), Some(&6));
    assert!(sent_answers > 15, "{sent_answers}");
}

#[test]
fn languages_decode() {
    let letters = letters(now());
    for (id, text) in [
        (
            "bauplan.0@bauplan.example",
            "Sehr geehrte Frau Stone,\r\n\r\nanbei die Übersicht",
        ),
        (
            "atelier.0@atelier.example",
            "12 450 € TTC, délai de six semaines. L’isolation",
        ),
        ("uchiawase.0@sakura.example", "火曜日の午後三時でいかがでしょうか"),
        ("mashreq.0@almashreq.example", "نرفق لكم عرض الأسعار"),
        ("galil.0@galil.example", "ההזמנה שלך התקבלה"),
        ("dogovor.0@sever.example", "Мы прочитали договор."),
        ("vystavka.0@sever.example", "«Север» — 14 мая, павильон № 3"),
        ("hetong.0@huaxia.example", "合同已经用快递寄出"),
        ("yangpin.0@formosa.example", "樣品今天寄出"),
        ("hangang.0@hangang.example", "견적서를 부탁드립니다"),
        ("wisla.0@wisla.example", "ąćęłńóśźż"),
    ] {
        assert!(body_of(&letters, id).contains(text), "{id}");
    }
    let subjects: Vec<String> = letters
        .iter()
        .filter_map(|l| Some(parse(&l.raw).subject()?.to_owned()))
        .collect();
    for subject in [
        "来週の打ち合わせについて",
        "合同已经寄出",
        "Приглашение на выставку «Север»",
        "💊 Best prices 💊",
    ] {
        assert!(subjects.iter().any(|s| s == subject), "{subject}");
    }
}

#[test]
fn files_and_forms_are_there() {
    let letters = letters(now());
    let mut names = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for letter in &letters {
        let message = parse(&letter.raw);
        names.extend(
            message
                .attachments()
                .filter_map(|a| a.attachment_name().map(str::to_owned)),
        );
        for part in &message.parts {
            let kind = part
                .content_type()
                .map(|t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()));
            kinds.extend(kind);
        }
    }
    for name in [
        "Übersicht Bauzeitenplan März–September.pdf",
        "打ち合わせ資料・第二版.pdf",
        "Q1 figures.csv",
        "invite.ics",
    ] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    for kind in [
        "application/pdf",
        "image/jpeg",
        "image/png",
        "message/delivery-status",
        "message/rfc822",
        "multipart/alternative",
        "multipart/mixed",
        "multipart/related",
        "multipart/report",
        "text/calendar",
        "text/csv",
    ] {
        assert!(kinds.contains(kind), "{kind} in {kinds:?}");
    }
    let newsletter = letters
        .iter()
        .find(|l| parse(&l.raw).message_id() == Some("tide-4.0@tide.example"))
        .unwrap();
    let message = parse(&newsletter.raw);
    assert!(message.body_html(0).unwrap().contains("cid:logo@tide.example"));
    assert!(
        message
            .parts
            .iter()
            .any(|p| p.content_id() == Some("logo@tide.example"))
    );
}

#[test]
fn fills_an_account_by_folder() {
    let sandbox = Sandbox::new(Clock::from_fn(now));
    assert_eq!(populate(&sandbox, "demo", now()), Err(Error::NoAccount));
    sandbox.add_account(Account {
        username: "demo".to_owned(),
        password: "demo".to_owned().into(),
    });
    let count = populate(&sandbox, "demo", now()).unwrap();
    let folders = ["INBOX", "Sent", "Archive", "Drafts", "Junk", PROJECT_FOLDER];
    let held: Vec<usize> = folders
        .iter()
        .map(|f| sandbox.uids("demo", f).unwrap().len())
        .collect();
    assert_eq!(held.iter().sum::<usize>(), count);
    assert!(
        held.iter()
            .zip([40, 15, 4, 2, 4, 3])
            .all(|(held, least)| *held >= least),
        "{held:?}"
    );
    assert_eq!(populate(&sandbox, "demo", now()), Ok(count));
}

#[test]
fn new_messages_come_in_a_circle_and_answer_the_story() {
    let story: BTreeSet<String> = letters(now())
        .iter()
        .map(|l| parse(&l.raw).message_id().unwrap().to_owned())
        .collect();
    let mut seen = BTreeSet::new();
    let mut answers = 0;
    for n in 0..20 {
        let (folder, raw) = next_message(n, now());
        assert_eq!(folder, "INBOX");
        let message = parse(&raw);
        assert!(seen.insert(message.message_id().unwrap().to_owned()));
        assert_eq!(message.date().unwrap().to_timestamp(), now().timestamp());
        assert!(!message.body_text(0).unwrap().contains('\u{FFFD}'));
        for id in ids(message.references()) {
            assert!(story.contains(&id), "{id}");
            answers += 1;
        }
    }
    assert!(answers >= 4);
    assert_eq!(
        parse(&next_message(4, now()).1).subject(),
        Some("資料をお送りします")
    );
}
