//! Conversations in other languages, in the character sets that mail in them still comes in.

use super::{
    super::{files, mail::Transfer},
    PROJECT_FOLDER,
    letter::{AVERY, Note, Person, Thread},
};

const JUERGEN: Person = Person {
    name: "Jürgen Weiß",
    address: "juergen.weiss@bauplan.example",
};
const HEIKE: Person = Person {
    name: "Heike Größmann",
    address: "heike@bauplan.example",
};
const ELODIE: Person = Person {
    name: "Élodie Lefèvre",
    address: "elodie.lefevre@atelier.example",
};
const TANAKA: Person = Person {
    name: "田中 健一",
    address: "tanaka@sakura.example",
};
const LAYLA: Person = Person {
    name: "ليلى حداد",
    address: "layla@almashreq.example",
};
const NOA: Person = Person {
    name: "נועה לוי",
    address: "noa@galil.example",
};
const IVAN: Person = Person {
    name: "Иван Петров",
    address: "ivan.petrov@sever.example",
};
const OLGA: Person = Person {
    name: "Ольга Смирнова",
    address: "olga@sever.example",
};
const LI: Person = Person {
    name: "李明",
    address: "li.ming@huaxia.example",
};
const CHEN: Person = Person {
    name: "陳美玲",
    address: "chen@formosa.example",
};
const KIM: Person = Person {
    name: "김서연",
    address: "seoyeon@hangang.example",
};
const ZOFIA: Person = Person {
    name: "Zofia Wiśniewska",
    address: "zofia@wisla.example",
};
const EMAIL_JA: &str = "{date}、{name}:";

pub(super) fn threads() -> Vec<Thread> {
    vec![
        german(),
        french(),
        japanese(),
        arabic(),
        hebrew(),
        russian_koi8(),
        russian_windows(),
        chinese_simplified(),
        chinese_traditional(),
        korean(),
        polish(),
    ]
}

fn german() -> Thread {
    let plan = files::pdf(&["Bauzeitenplan", "Rohbau: bis Mai", "Ausbau: bis September"]);
    Thread::new("bauplan", 30, "Bauzeitenplan und Übersicht für das Bürogebäude")
        .written_in("ISO-8859-1", Transfer::QuotedPrintable)
        .attribution("Am {date} schrieb {name}:")
        .note(
            Note::new(
                JUERGEN,
                0,
                "Sehr geehrte Frau Stone,\n\nanbei die Übersicht über die nächsten Schritte. Der Rohbau läuft bis Mai, die \
                 Fenster kommen später als geplant (Größe 1,20 m × 1,40 m, 3.800 € netto je Stück: das ist zu viel).\n\n\
                 Mit freundlichen Grüßen\nJürgen Weiß\n"
                    .replace('€', "EUR"),
            )
            .file("application/pdf", "Übersicht Bauzeitenplan März–September.pdf", &plan)
            .folder(PROJECT_FOLDER),
        )
        .note(
            Note::new(AVERY, 4, "Hallo Herr Weiß,\n\nvielen Dank. Können wir die Fenster früher bekommen?\n\nGrüße\nAvery Stone\n")
                .quoting(),
        )
        .note(
            Note::new(
                HEIKE,
                26,
                "Guten Morgen,\n\nich übernehme für Jürgen diese Woche. Der Händler in Köln hätte passende Fenster für \
                 übernächste Woche.\n\nSchöne Grüße\nHeike Größmann\n",
            )
            .cc(&[JUERGEN])
            .folder(PROJECT_FOLDER),
        )
        .note(Note::new(AVERY, 28, "Sehr gut, bitte bestellen.\n\nAvery Stone\n").to(&[HEIKE, JUERGEN]))
        .note(
            Note::new(HEIKE, 31, "Ist bestellt, Lieferung in zwölf Tagen.\n\nHeike Größmann\n")
                .quoting()
                .folder(PROJECT_FOLDER),
        )
}

fn french() -> Thread {
    Thread::new("atelier", 22, "Devis pour la rénovation de l’atelier")
        .attribution("Le {date}, {name} a écrit :")
        .note(
            Note::new(
                ELODIE,
                0,
                "Bonjour Avery,\n\nvoici notre devis pour la rénovation : 12 450 € TTC, délai de six semaines. L’isolation est \
                 déjà comprise.\n\nBien cordialement,\nÉlodie Lefèvre\n",
            )
            .html(
                "<html><body><p>Bonjour Avery,</p><p>voici notre devis pour la rénovation : <b>12 450 € TTC</b>, délai de \
                 six semaines. L’isolation est déjà comprise.</p><p>Bien cordialement,<br>Élodie Lefèvre</p></body></html>",
            )
            .file("application/pdf", "Devis n° 118 – rénovation.pdf", &files::pdf(&["Devis 118", "12 450 EUR TTC"])),
        )
        .note(Note::new(AVERY, 6, "Bonjour Élodie,\n\nmerci ! Pourriez-vous commencer dès le début du mois ?\n\nAvery\n").quoting())
        .note(Note::new(ELODIE, 25, "Oui, sans problème. À bientôt !\n\nÉlodie\n").quoting())
}

fn japanese() -> Thread {
    Thread::new("uchiawase", 12, "来週の打ち合わせについて")
        .written_in("ISO-2022-JP", Transfer::SevenBit)
        .attribution(EMAIL_JA)
        .note(
            Note::new(
                TANAKA,
                0,
                "ストーン様\n\nお世話になっております。田中です。\n来週の打ち合わせは、火曜日の午後三時でいかがでしょうか。\n\
                 資料を添付いたします。\n\nよろしくお願いいたします。\n田中 健一\n",
            )
            .file("application/pdf", "打ち合わせ資料・第二版.pdf", &files::pdf(&["Uchiawase", "Tuesday 15:00"])),
        )
        .note(Note::new(AVERY, 8, "田中様\n\nありがとうございます。火曜日の三時で大丈夫です。\n\nストーン\n").quoting())
        .note(Note::new(TANAKA, 10, "承知いたしました。当日はよろしくお願いいたします。\n\n田中\n").quoting())
}

fn arabic() -> Thread {
    Thread::new("mashreq", 16, "عرض الأسعار للشحنة القادمة")
        .written_in("UTF-8", Transfer::Base64)
        .attribution("كتب {name} في {date}:")
        .note(
            Note::new(
                LAYLA,
                0,
                "السيدة ستون المحترمة،\n\nنرفق لكم عرض الأسعار للشحنة القادمة. السعر 4,200 دولار شاملاً النقل.\n\nمع أطيب \
                 التحيات،\nليلى حداد\n",
            )
            .html(
                "<div dir=\"rtl\"><p>السيدة ستون المحترمة،</p><p>نرفق لكم عرض الأسعار للشحنة القادمة. السعر 4,200 دولار \
                 شاملاً النقل.</p><p>مع أطيب التحيات،<br>ليلى حداد</p></div>",
            ),
        )
        .note(Note::new(AVERY, 5, "شكراً جزيلاً، نوافق على العرض.\n\nإيفري ستون\n").quoting())
}

fn hebrew() -> Thread {
    Thread::new("galil", 20, "אישור הזמנה מספר 5521")
        .written_in("UTF-8", Transfer::Base64)
        .note(
            Note::new(
                NOA,
                0,
                "שלום אייברי,\n\nההזמנה שלך התקבלה ותישלח ביום ראשון.\n\nבברכה,\nנועה לוי\n",
            )
            .folder("Archive"),
        )
}

fn russian_koi8() -> Thread {
    Thread::new("dogovor", 27, "Договор поставки: замечания")
        .written_in("KOI8-R", Transfer::Base64)
        .attribution("{date}, {name} пишет:")
        .note(Note::new(
            IVAN,
            0,
            "Здравствуйте, Эйвери!\n\nМы прочитали договор. Просим изменить срок оплаты: тридцать дней вместо \
             четырнадцати.\n\nС уважением,\nИван Петров\n",
        ))
        .note(Note::new(AVERY, 9, "Здравствуйте, Иван!\n\nСогласны. Пришлём новую версию завтра.\n\nЭйвери Стоун\n").quoting())
        .note(Note::new(IVAN, 30, "Большое спасибо, получили.\n\nИван\n").quoting())
}

fn russian_windows() -> Thread {
    Thread::new("vystavka", 7, "Приглашение на выставку «Север»")
        .written_in("windows-1251", Transfer::EightBit)
        .note(Note::new(
            OLGA,
            0,
            "Добрый день!\n\nПриглашаем вас на выставку «Север» — 14 мая, павильон № 3.\n\nОльга Смирнова\n",
        ))
}

fn chinese_simplified() -> Thread {
    Thread::new("hetong", 11, "合同已经寄出")
        .written_in("GB18030", Transfer::Base64)
        .note(Note::new(
            LI,
            0,
            "艾弗里女士，您好：\n\n合同已经用快递寄出，预计三天以后到达。请查收。\n\n李明\n",
        ))
        .note(Note::new(AVERY, 7, "李先生，您好：\n\n谢谢，收到后告诉您。\n\n艾弗里\n").quoting())
}

fn chinese_traditional() -> Thread {
    Thread::new("yangpin", 5, "樣品與報價單")
        .written_in("Big5", Transfer::Base64)
        .note(Note::new(
            CHEN,
            0,
            "您好：\n\n樣品今天寄出，報價單請見下週的郵件。\n\n陳美玲\n",
        ))
}

fn korean() -> Thread {
    Thread::new("hangang", 6, "견적서 요청드립니다")
        .written_in("EUC-KR", Transfer::Base64)
        .note(Note::new(
            KIM,
            0,
            "안녕하세요, 스톤 님.\n\n브로슈어 500부의 견적서를 부탁드립니다.\n\n감사합니다.\n김서연 드림\n",
        ))
}

fn polish() -> Thread {
    Thread::new("wisla", 8, "Zażółć gęślą jaźń: próbny wydruk")
        .written_in("ISO-8859-2", Transfer::QuotedPrintable)
        .note(
            Note::new(
                ZOFIA,
                0,
                "Dzień dobry,\n\npróbny wydruk jest gotowy. Proszę sprawdzić polskie znaki: ąćęłńóśźż.\n\nZofia Wiśniewska\n",
            )
            .flag("\\Flagged"),
        )
}
