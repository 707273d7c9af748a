//! Mail that machines send: newsletters, a mailing list, orders, junk.

use super::{
    super::{files, mail::Transfer},
    letter::{Note, Person, Thread},
};

const LETTER: Person = Person {
    name: "The Tide Weekly",
    address: "weekly@tide.example",
};
const SHOP: Person = Person {
    name: "Lantern Books",
    address: "orders@lanternbooks.example",
};
const PARCEL: Person = Person {
    name: "Parcel Post",
    address: "noreply@parcel.example",
};
const LIST: Person = Person {
    name: "gardeners",
    address: "gardeners@lists.example",
};
const ANNA: Person = Person {
    name: "Anna Berg",
    address: "anna@berg.example",
};
const RAVI: Person = Person {
    name: "Ravi Menon",
    address: "ravi@menon.example",
};
const SPAM: Person = Person {
    name: "Prize Centre",
    address: "win@prizes.example",
};
const PHISH: Person = Person {
    name: "Account Team",
    address: "security@account-verify.example",
};
const BANK: Person = Person {
    name: "Harbour Bank",
    address: "statements@harbourbank.example",
};

pub(super) fn threads() -> Vec<Thread> {
    let mut threads = newsletters();
    threads.extend([list(), order(), parcel()]);
    threads.extend(statements());
    threads.extend(junk());
    threads
}

fn newsletters() -> Vec<Thread> {
    let issues = [
        (
            "tide-1",
            45,
            "The Tide Weekly: where the herring went",
            "Where the herring went",
        ),
        (
            "tide-2",
            31,
            "The Tide Weekly: lighthouses for sale",
            "Lighthouses for sale",
        ),
        (
            "tide-3",
            17,
            "The Tide Weekly: a map of the winds",
            "A map of the winds",
        ),
        (
            "tide-4",
            3,
            "The Tide Weekly: five harbours in one day",
            "Five harbours in one day",
        ),
    ];
    issues
        .map(|(key, days, subject, title)| issue(key, days, subject, title))
        .into()
}

fn issue(key: &'static str, days: i64, subject: &'static str, title: &str) -> Thread {
    let html = format!(
        "<!DOCTYPE html><html><head><style>body{{font-family:sans-serif}} .lead{{color:#246}}</style></head><body>\
         <img src=\"cid:logo@tide.example\" width=\"48\" height=\"48\" alt=\"The Tide\">\
         <h1>{title}</h1><p class=\"lead\">Every week a story from the sea.</p>\
         <p>This week: tides, winds and people &mdash; with <a href=\"https://tide.example/read?issue={key}\">the whole \
         story online</a>.</p><img src=\"https://tide.example/open.gif?{key}\" width=\"1\" height=\"1\">\
         <hr><p><small><a href=\"https://tide.example/unsubscribe\">Unsubscribe</a></small></p></body></html>"
    );
    let text = format!(
        "{title}\n\nEvery week a story from the sea.\nRead it: https://tide.example/read?issue={key}\n"
    );
    Thread::new(key, days, subject)
        .header("List-Id", "The Tide Weekly <weekly.tide.example>")
        .header("List-Unsubscribe", "<https://tide.example/unsubscribe>")
        .header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
        .header("Precedence", "bulk")
        .note(Note::new(LETTER, 0, text).html(html).picture(
            "image/png",
            "logo.png",
            "logo@tide.example",
            &files::png(48, [20, 70, 120]),
        ))
}

fn list() -> Thread {
    let note = |from, hours, text: &str| Note::new(from, hours, text).to(&[LIST]);
    Thread::new("gardeners", 10, "[gardeners] Tomatoes: too early?")
        .header("List-Id", "<gardeners.lists.example>")
        .header("List-Post", "<mailto:gardeners@lists.example>")
        .note(note(
            ANNA,
            0,
            "Is it too early to plant tomatoes outside?\n\nAnna\n",
        ))
        .note(
            note(
                RAVI,
                2,
                "Here in the south: no. What are your nights like?\n\nRavi\n",
            )
            .quoting(),
        )
        .note(note(ANNA, 3, "About 6 °C.\n").quoting())
        .note(note(RAVI, 4, "Then wait two weeks more.\n").quoting())
        .note(note(ANNA, 30, "Another question: which soil?\n").answers(0))
        .note(note(RAVI, 200, "Now is the time, by the way.\n").answers(3))
}

fn order() -> Thread {
    let html = |title: &str, text: &str| {
        format!("<html><body><h2>{title}</h2><p>{text}</p><p>Lantern Books</p></body></html>")
    };
    Thread::new("order", 15, "Your order 7731 at Lantern Books")
        .note(Note::new(SHOP, 0, "").html(html(
            "Thank you!",
            "We have received your order 7731: 2 books, &pound;31.40.",
        )))
        .note(
            Note::new(SHOP, 28, "")
                .html(html("On its way", "Your order 7731 has left our shop today."))
                .subject("Your order 7731 has been sent"),
        )
}

fn parcel() -> Thread {
    Thread::new("parcel", 12, "Your parcel arrives today")
        .written_in("us-ascii", Transfer::SevenBit)
        .note(Note::new(
            PARCEL,
            0,
            "Parcel 00340434 arrives today between 14:00 and 16:00.\n",
        ))
}

fn statements() -> Vec<Thread> {
    let months = [
        ("statement-1", 58, "Your statement: first month"),
        ("statement-2", 28, "Your statement: second month"),
    ];
    let statement = |(key, days, subject): (&'static str, i64, &'static str)| {
        let pdf = files::pdf(&[
            "Harbour Bank",
            subject,
            "Opening balance 2,310.00",
            "Closing balance 2,904.17",
        ]);
        let note = Note::new(BANK, 0, "Your statement is attached.\n").file(
            "application/pdf",
            "statement.pdf",
            &pdf,
        );
        Thread::new(key, days, subject).note(note.folder("Archive"))
    };
    months.map(statement).into()
}

fn junk() -> Vec<Thread> {
    let note = |from, text: &str| Note::new(from, 0, text).folder("Junk");
    vec![
        Thread::new("junk-1", 21, "YOU HAVE WON!!!")
            .written_in("us-ascii", Transfer::SevenBit)
            .note(note(SPAM, "Claim your prize now. Send us a small fee.\n")),
        Thread::new("junk-2", 14, "Your account will be closed").note(
            note(PHISH, "Verify your account within 24 hours.\n").html(
                "<p>Dear customer, <a href=\"https://account-verify.example/login\" onclick=\"steal()\">verify</a> your \
                 account.</p><script>document.title='x'</script>",
            ),
        ),
        Thread::new("junk-3", 6, "💊 Best prices 💊").note(note(SPAM, "Cheap. Fast. No questions.\n")),
        Thread::new("junk-4", 2, "Re: your invoice").note(
            note(PHISH, "Open the attached file.\n").file("application/octet-stream", "invoice.pdf.exe", b"MZ not a program"),
        ),
    ]
}
