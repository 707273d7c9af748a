//! Work: a contract, an invoice, a meeting, figures, an incident.

use chrono::{DateTime, Duration, TimeDelta, Utc};

use super::{
    super::{files, mail::Part},
    letter::{AVERY, Note, Person, Thread},
};

pub(super) const MARIA: Person = Person {
    name: "Maria Keller",
    address: "maria.keller@northwind.example",
};
const TOM: Person = Person {
    name: "Okafor, Tom",
    address: "tom.okafor@northwind.example",
};
const LEGAL: Person = Person {
    name: "Priya Raman",
    address: "priya.raman@sandbox.example",
};
const JONAS: Person = Person {
    name: "Jonas Lind",
    address: "jonas@sandbox.example",
};
pub(super) const SUPPORT: Person = Person {
    name: "Harbour Support",
    address: "support@harbour.example",
};
const BILLING: Person = Person {
    name: "Acorn Print Billing",
    address: "billing@acornprint.example",
};
const ACORN: Person = Person {
    name: "Lena Brandt",
    address: "lena@acornprint.example",
};
const MONITOR: Person = Person {
    name: "Status Monitor",
    address: "monitor@status.example",
};
const DAEMON: Person = Person {
    name: "Mail Delivery System",
    address: "mailer-daemon@sandbox.example",
};

const PDF: &str = "application/pdf";

pub(super) fn threads(now: DateTime<Utc>) -> Vec<Thread> {
    vec![
        contract(),
        invoice(),
        ticket(),
        meeting(now),
        figures(),
        incident(),
        bounce(),
        hiring(),
        draft(),
        notes(),
    ]
}

/// The first message's id of the contract, which later mail answers.
pub(super) const CONTRACT_ID: &str = "<contract.0@northwind.example>";
/// The first message's id of the ticket.
pub(super) const TICKET_ID: &str = "<ticket.0@sandbox.example>";

fn contract() -> Thread {
    let draft = files::pdf(&[
        "Supply agreement",
        "Northwind Ltd. and Stone & Partners",
        "Draft 1",
        "Term: 24 months",
    ]);
    let redline = files::pdf(&[
        "Supply agreement",
        "Draft 2",
        "Term: 12 months, then monthly",
        "Liability: see 7.2",
    ]);
    let signed = files::pdf(&["Supply agreement", "Final", "Signed by both parties"]);
    let thread = Thread::new("contract", 41, "Supply agreement 2026: first draft")
        .note(
            Note::new(
                MARIA,
                0,
                "Hi Avery,\n\nas discussed, here is our first draft of the supply agreement. The open points are the \
                 term (we suggest 24 months) and the liability cap in section 7.\n\nCould you let me have your comments \
                 by the end of next week?\n\nBest,\nMaria\n\n-- \nMaria Keller\nNorthwind Ltd.\n",
            )
            .cc(&[TOM])
            .file(PDF, "Supply agreement draft 1.pdf", &draft),
        )
        .note(
            Note::new(
                AVERY,
                5,
                "Hi Maria,\n\nthank you, received. 24 months is long for us; would 12 months with a monthly renewal \
                 work? I am asking Priya about section 7.\n\nAvery\n",
            )
            .cc(&[TOM])
            .quoting(),
        );
    contract_answers(contract_review(thread, &draft, &redline), &redline, &signed)
}

fn contract_review(thread: Thread, draft: &[u8], redline: &[u8]) -> Thread {
    thread
        .note(
            Note::new(
                AVERY,
                6,
                "Priya,\n\ncould you look at section 7 (liability)? They cap it at the yearly fees.\n\nThanks\nAvery\n",
            )
            .to(&[LEGAL])
            .subject("Fwd: Supply agreement 2026: first draft")
            .answers(0)
            .file(PDF, "Supply agreement draft 1.pdf", draft),
        )
        .note(
            Note::new(
                LEGAL,
                52,
                "Avery,\n\nthe cap is acceptable, but it must not cover gross negligence. See my change in 7.2.\n\nPriya\n",
            )
            .file(PDF, "Supply agreement draft 2 (redline).pdf", redline)
            .flag("\\Flagged"),
        )
        .note(
            Note::new(
                TOM,
                60,
                "Hello both,\n\n12 months is fine for operations if we get the forecast a quarter ahead.\n\nTom\n",
            )
            .to(&[MARIA, AVERY])
            .answers(1),
        )
}

fn contract_answers(thread: Thread, redline: &[u8], signed: &[u8]) -> Thread {
    thread
        .note(
            Note::new(
                AVERY,
                76,
                "Maria, Tom,\n\nattached is our redline: 12 months, forecast a quarter ahead, and one sentence in 7.2. \
                 Everything else is fine.\n\nAvery\n",
            )
            .to(&[MARIA, TOM])
            .answers(4)
            .quoting()
            .file(PDF, "Supply agreement draft 2 (redline).pdf", redline),
        )
        .note(
            Note::new(MARIA, 168, "Hi Avery,\n\nagreed on all three. I will send the final for signature.\n\nMaria\n")
                .cc(&[TOM])
                .quoting(),
        )
        .note(
            Note::new(MARIA, 312, "Signed by our side. Please countersign and send one back.\n\nMaria\n")
                .answers(6)
                .file(PDF, "Supply agreement final.pdf", signed),
        )
        .note(Note::new(AVERY, 330, "Countersigned, attached. Glad to work with you.\n\nAvery\n").file(
            PDF,
            "Supply agreement final signed.pdf",
            signed,
        ))
}

fn invoice() -> Thread {
    let invoice = files::pdf(&[
        "Acorn Print GmbH",
        "Invoice 2026-0417",
        "2,000 brochures",
        "Total: 1,184.05 EUR",
    ]);
    let corrected = files::pdf(&[
        "Acorn Print GmbH",
        "Invoice 2026-0417-A",
        "1,500 brochures",
        "Total: 903.12 EUR",
    ]);
    Thread::new("invoice", 18, "Your invoice 2026-0417")
        .note(
            Note::new(
                BILLING,
                0,
                "Dear Avery Stone,\n\nplease find attached invoice 2026-0417 over EUR 1,184.05, payable within 14 days.\n\n\
                 Acorn Print\n",
            )
            .html(
                "<p>Dear Avery Stone,</p><p>please find attached invoice <b>2026-0417</b>.</p>\
                 <table><tr><td>2,000 brochures</td><td align=\"right\">EUR 995.00</td></tr>\
                 <tr><td>VAT 19 %</td><td align=\"right\">EUR 189.05</td></tr>\
                 <tr><th>Total</th><th align=\"right\">EUR 1,184.05</th></tr></table><p>Acorn Print</p>",
            )
            .file(PDF, "invoice-2026-0417.pdf", &invoice),
        )
        .note(Note::new(AVERY, 3, "Hello,\n\nwe ordered 1,500 brochures, not 2,000. Could you correct this?\n\nAvery Stone\n").quoting())
        .note(
            Note::new(
                ACORN,
                22,
                "Dear Avery,\n\nyou are right, I am sorry. The corrected invoice is attached; please ignore the first.\n\n\
                 Kind regards\nLena Brandt\n",
            )
            .quoting()
            .file(PDF, "invoice-2026-0417-A.pdf", &corrected),
        )
}

fn ticket() -> Thread {
    Thread::new("ticket", 9, "Export stops at 10,000 rows")
        .note(
            Note::new(
                AVERY,
                0,
                "Hello,\n\nthe CSV export of our account stops at 10,000 rows without an error. We have about 23,000.\n\
                 Is there a limit?\n\nAvery Stone\n",
            )
            .to(&[SUPPORT]),
        )
        .note(
            Note::new(
                SUPPORT,
                1,
                "We have received your request #48213 and will answer within one working day.\n\n\
                 This is an automatic answer.\n",
            )
            .subject("[#48213] Export stops at 10,000 rows"),
        )
        .note(
            Note::new(
                SUPPORT,
                20,
                "Hi Avery,\n\nthere is a limit in the browser export. The API has none; alternatively I can raise it for \
                 you. Which account is it?\n\nNoor, Harbour Support\n",
            )
            .subject("[#48213] Export stops at 10,000 rows")
            .answers(0),
        )
        .note(Note::new(AVERY, 23, "Thanks, Noor. It is stone-partners-eu. Please raise it.\n").quoting())
        .note(
            Note::new(SUPPORT, 27, "Done: 50,000 rows. Please tell me if it does not work.\n\nNoor\n")
                .subject("[#48213] Export stops at 10,000 rows")
                .quoting(),
        )
        .note(Note::new(AVERY, 46, "Works. You can close this.\n"))
}

fn meeting(now: DateTime<Utc>) -> Thread {
    let at = now + TimeDelta::days(6);
    let moved = at + Duration::hours(2);
    let uid = "kickoff-2026@sandbox.example";
    let ics = |method, at| {
        files::ics(
            method,
            uid,
            "Kick-off Northwind",
            at,
            JONAS.address,
            AVERY.address,
        )
    };
    Thread::new("meeting", 4, "Invitation: Kick-off Northwind")
        .note(
            Note::new(JONAS, 0, "Kick-off with Northwind. One hour, video.\n")
                .html("<p><b>Kick-off with Northwind.</b> One hour, video.</p>")
                .calendar(ics("REQUEST", at))
                .file(
                    "application/ics; name=\"invite.ics\"",
                    "invite.ics",
                    ics("REQUEST", at).as_bytes(),
                ),
        )
        .note(
            Note::new(AVERY, 2, "Avery Stone has accepted.\n")
                .subject("Accepted: Kick-off Northwind")
                .calendar(ics("REPLY", at)),
        )
        .note(
            Note::new(JONAS, 26, "Two hours later, Maria is on a train.\n")
                .subject("Updated invitation: Kick-off Northwind")
                .answers(0)
                .calendar(ics("REQUEST", moved)),
        )
}

fn figures() -> Thread {
    let csv =
        "Month;Orders;Revenue\r\nJanuary;118;20410.50\r\nFebruary;97;17200.00\r\nMarch;141;25905.75\r\n";
    Thread::new("figures", 25, "Figures for the first quarter")
        .note(
            Note::new(
                JONAS,
                0,
                "Hi,\n\nhere are the figures. February was weak, March the best month ever.\n\nJonas\n",
            )
            .file("text/csv; charset=utf-8", "Q1 figures.csv", csv.as_bytes())
            .cc(&[LEGAL]),
        )
        .note(Note::new(AVERY, 7, "Great. What happened in February?\n").quoting())
        .note(Note::new(
            JONAS,
            9,
            "Two large orders slipped into March. Together it evens out.\n\nJonas\n",
        ))
        .note(Note::new(AVERY, 10, "Understood, thanks.\n"))
}

fn incident() -> Thread {
    let alert = |hours, subject, text: &str| Note::new(MONITOR, hours, text).subject(subject);
    Thread::new("incident", 2, "[DOWN] shop.sandbox.example")
        .header("Auto-Submitted", "auto-generated")
        .note(alert(
            0,
            "[DOWN] shop.sandbox.example",
            "HTTP 502 from 3 of 5 places since 02:14 UTC.\n",
        ))
        .note(alert(
            1,
            "[DOWN] shop.sandbox.example (still)",
            "HTTP 502 from 5 of 5 places.\n",
        ))
        .note(
            alert(
                2,
                "[UP] shop.sandbox.example",
                "All places answer again. Down for 47 minutes.\n",
            )
            .answers(0),
        )
}

fn bounce() -> Thread {
    let report = "Reporting-MTA: dns; mx.sandbox.example\r\n\r\nFinal-Recipient: rfc822; j.oldname@northwind.example\r\n\
                  Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\r\n";
    let original = b"From: Avery Stone <avery@sandbox.example>\r\nTo: j.oldname@northwind.example\r\n\
                     Subject: Hello again\r\nMessage-ID: <bounced.0@sandbox.example>\r\n\r\nHello J.,\r\n\r\nare you still there?\r\n";
    let ascii = |kind: &str, text: &str| {
        Part::text(
            kind,
            text,
            super::super::mail::Charset("us-ascii"),
            super::super::mail::Transfer::SevenBit,
        )
    };
    let parts = vec![
        ascii(
            "text/plain",
            "Your message could not be delivered to j.oldname@northwind.example: user unknown.\n",
        ),
        ascii("message/delivery-status", report),
        Part::message(original),
    ];
    Thread::new("bounce", 33, "Undelivered Mail Returned to Sender")
        .header("Auto-Submitted", "auto-replied")
        .note(Note::new(DAEMON, 0, "").whole(Part::multipart("report; report-type=delivery-status", parts)))
}

fn hiring() -> Thread {
    let forwarded = b"From: Sam Doe <sam.doe@applicant.example>\r\nTo: jobs@sandbox.example\r\n\
                      Subject: Application: Backend engineer\r\nMessage-ID: <apply.1@applicant.example>\r\n\
                      Date: Mon, 06 Oct 2025 09:00:00 +0000\r\n\r\nDear team,\r\n\r\nI would like to apply.\r\n\r\nSam Doe\r\n";
    Thread::new("hiring", 14, "Fwd: Application: Backend engineer")
        .note(
            Note::new(LEGAL, 0, "What do you think?\n\nPriya\n")
                .part(Part::message(forwarded))
                .folder("Archive"),
        )
        .note(Note::new(AVERY, 4, "Looks good. Let us invite Sam.\n"))
        .note(Note::new(LEGAL, 29, "Invited for Thursday 10:00. Will you join?\n").quoting())
}

fn draft() -> Thread {
    Thread::new("draft", 1, "Forecast format").note(
        Note::new(AVERY, 5, "Hi Tom,\n\nbefore the kick-off: could you")
            .to(&[TOM])
            .folder("Drafts"),
    )
}

fn notes() -> Thread {
    Thread::new("notes", 2, "Notes for the kick-off")
        .note(Note::new(AVERY, 0, "- forecast a quarter ahead\n- who signs orders?\n- \n").folder("Drafts"))
}
