//! Private mail: photos, a journey, friends.

use super::{
    super::files,
    letter::{AVERY, Note, Person, Thread},
};

const NINA: Person = Person {
    name: "Nina Stone 🌿",
    address: "nina@stonefamily.example",
};
const MARCO: Person = Person {
    name: "Marco Bellini",
    address: "marco@bellini.example",
};
const RAIL: Person = Person {
    name: "Coastline Rail",
    address: "tickets@coastline.example",
};
const HOTEL: Person = Person {
    name: "Hotel Miramar",
    address: "reservas@miramar.example",
};

pub(super) fn threads() -> Vec<Thread> {
    vec![photos(), journey(), hotel(), dinner(), book()]
}

fn photos() -> Thread {
    let (sea, dune, boat) = (
        files::jpeg(24),
        files::png(64, [200, 150, 60]),
        files::png(48, [30, 80, 150]),
    );
    Thread::new("photos", 13, "Photos from the coast 🏖️")
        .note(
            Note::new(
                NINA,
                0,
                "Hi you,\n\nhere are the best three. The grey one is fog, really!\n\nNina\n",
            )
            .file("image/jpeg", "DSC_0142.jpg", &sea)
            .file("image/png", "Düne bei Ebbe.png", &dune)
            .file("image/png", "boat.png", &boat)
            .flag("\\Flagged"),
        )
        .note(Note::new(AVERY, 3, "Beautiful! May I print the dune? 😍\n"))
        .note(Note::new(NINA, 4, "Of course. Here it is larger.\n").file(
            "image/png",
            "Düne groß.png",
            &files::png(96, [200, 150, 60]),
        ))
        .note(Note::new(AVERY, 5, "Thank you!\n"))
}

fn journey() -> Thread {
    let ticket = files::pdf(&[
        "Coastline Rail",
        "Harbour - Northgate",
        "Coach 7, seat 42",
        "Ticket K7Q2M",
    ]);
    Thread::new("journey", 19, "Your ticket to Northgate")
        .note(
            Note::new(RAIL, 0, "Your ticket is attached.\n\nHarbour 08:12 - Northgate 11:47, coach 7, seat 42.\n")
                .html(
                    "<table width=\"100%\"><tr><td bgcolor=\"#003355\"><font color=\"#ffffff\">Coastline Rail</font></td>\
                     </tr><tr><td>Harbour <b>08:12</b> &rarr; Northgate <b>11:47</b></td></tr></table>",
                )
                .file("application/pdf", "ticket-K7Q2M.pdf", &ticket),
        )
        .note(Note::new(RAIL, 40, "Your train leaves 15 minutes later today.\n").subject("Delay: Harbour 08:12"))
}

fn hotel() -> Thread {
    Thread::new("miramar", 17, "Confirmación de su reserva – habitación doble")
        .attribution("El {date}, {name} escribió:")
        .note(Note::new(
            HOTEL,
            0,
            "Estimada señora Stone:\n\nconfirmamos su reserva de una habitación doble, tres noches, con desayuno. ¡Hasta \
             pronto!\n\nHotel Miramar\n",
        ))
        .note(Note::new(AVERY, 2, "Muchas gracias. ¿Hay aparcamiento?\n").quoting())
        .note(Note::new(HOTEL, 5, "Sí, es gratuito.\n").quoting())
}

fn dinner() -> Thread {
    Thread::new("dinner", 1, "Dinner on Saturday?")
        .note(
            Note::new(
                MARCO,
                0,
                "Ciao Avery,\n\nare you and Nina free on Saturday? I am cooking.\n\nMarco\n",
            )
            .to(&[AVERY, NINA]),
        )
        .note(Note::new(NINA, 2, "Yes!! What shall we bring?\n").to(&[MARCO, AVERY]))
        .note(Note::new(MARCO, 4, "Perché no: a good appetite, and a dessert.\n").to(&[NINA, AVERY]))
        .note(
            Note::new(AVERY, 9, "I am in. I will bring the dessert.\n")
                .to(&[MARCO, NINA])
                .answers(0),
        )
}

fn book() -> Thread {
    Thread::new("book", 52, "The book you lent me")
        .note(
            Note::new(
                MARCO,
                0,
                "Finished it in two days. I will bring it back on Friday.\n",
            )
            .folder("Archive"),
        )
        .note(Note::new(
            AVERY,
            12,
            "Keep it. Tell me how you liked the ending!\n",
        ))
        .note(Note::new(MARCO, 30, "I did not see it coming at all.\n").folder("Archive"))
}
