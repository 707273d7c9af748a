//! The mail that comes while the demo runs.

use chrono::{DateTime, SubsecRound, Utc};

use super::{
    super::mail::{self, Charset, Part, Transfer},
    ADDRESS, OWNER,
    letter::Person,
    work::{CONTRACT_ID, MARIA, SUPPORT, TICKET_ID},
};

/// One kind of message that comes again and again.
struct Kind {
    from: Person,
    subject: &'static str,
    text: &'static str,
    charset: Charset,
    transfer: Transfer,
    /// The message of the story that it answers.
    answers: Option<&'static str>,
}

const fn kind(from: Person, subject: &'static str, text: &'static str) -> Kind {
    Kind {
        from,
        subject,
        text,
        charset: Charset::UTF_8,
        transfer: Transfer::QuotedPrintable,
        answers: None,
    }
}

const KINDS: [Kind; 8] = [
    Kind {
        answers: Some(CONTRACT_ID),
        ..kind(
            MARIA,
            "Re: Supply agreement 2026: first draft",
            "Hi Avery,\n\none more thing: who receives the quarterly forecast?\n\nMaria\n",
        )
    },
    kind(
        Person {
            name: "Nina Stone 🌿",
            address: "nina@stonefamily.example",
        },
        "Are you coming? 🌊",
        "We are at the pier. Hurry up!\n\nNina\n",
    ),
    Kind {
        charset: Charset("ISO-8859-1"),
        ..kind(
            Person {
                name: "Jürgen Weiß",
                address: "juergen.weiss@bauplan.example",
            },
            "Rückfrage zu den Fenstern",
            "Guten Tag,\n\nwürde Ihnen Donnerstag für die Übergabe passen?\n\nJürgen Weiß\n",
        )
    },
    Kind {
        answers: Some(TICKET_ID),
        ..kind(
            SUPPORT,
            "[#48213] Export stops at 10,000 rows",
            "Hi Avery,\n\nthe limit is gone for everybody now. Thank you for asking.\n\nNoor, Harbour Support\n",
        )
    },
    Kind {
        charset: Charset("ISO-2022-JP"),
        transfer: Transfer::SevenBit,
        ..kind(
            Person {
                name: "田中 健一",
                address: "tanaka@sakura.example",
            },
            "資料をお送りします",
            "ストーン様\n\n資料をお送りします。ご確認ください。\n\n田中\n",
        )
    },
    kind(
        Person {
            name: "Parcel Post",
            address: "noreply@parcel.example",
        },
        "Your parcel is here",
        "Your parcel waits for you at the reception.\n",
    ),
    Kind {
        charset: Charset("KOI8-R"),
        transfer: Transfer::Base64,
        ..kind(
            Person {
                name: "Иван Петров",
                address: "ivan.petrov@sever.example",
            },
            "Вопрос о поставке",
            "Здравствуйте!\n\nКогда можно ждать поставку?\n\nИван Петров\n",
        )
    },
    kind(
        Person {
            name: "Status Monitor",
            address: "monitor@status.example",
        },
        "[UP] shop.sandbox.example",
        "All places answer. Response time 180 ms.\n",
    ),
];

/// The `n`th message that comes while the demo runs: the folder to append it to, and the message, dated `now`.
///
/// The kinds follow each other in a circle; some answer the story. Message-IDs differ by `n` and by the second.
pub fn next_message(n: u64, now: DateTime<Utc>) -> (&'static str, Vec<u8>) {
    let now = now.trunc_subsecs(0);
    let [first, ..] = &KINDS;
    let place = usize::try_from(n % 8).unwrap_or(0);
    let kind = KINDS.get(place).unwrap_or(first);
    let host = kind.from.address.split('@').nth(1).unwrap_or("sandbox.example");
    let id = format!("live.{n}.{}", now.timestamp());
    let mut headers = vec![
        (
            "From",
            mail::mailbox(kind.from.name, kind.from.address, kind.charset),
        ),
        ("To", mail::mailbox(OWNER, ADDRESS, Charset::UTF_8)),
        ("Date", now.to_rfc2822()),
        ("Message-ID", format!("<{id}@{host}>")),
        ("Subject", mail::words(kind.subject, kind.charset)),
    ];
    if let Some(answered) = kind.answers {
        headers.push(("In-Reply-To", answered.to_owned()));
        headers.push(("References", answered.to_owned()));
    }
    let body = Part::text("text/plain", kind.text, kind.charset, kind.transfer);
    ("INBOX", mail::write(&headers, &body, &id))
}
