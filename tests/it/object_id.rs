//! OBJECTID (RFC 8474) on the sandbox server: a folder is followed through a rename, and a message is known wherever it is.

use postroom::sandbox::Offer;

use crate::{
    gmail::site::{BELA, Site, USER, letter},
    support::gateway::{Backend, both},
};

mod on {
    use super::both;
    both!(
        object_ids_follow_a_renamed_folder_and_a_moved_message_without_a_body_fetched,
        object_ids_tell_two_messages_of_the_same_bytes_apart,
    );
}

const OBJECT_ID: Offer = Offer {
    gmail: false,
    object_id: true,
};

async fn object_ids_follow_a_renamed_folder_and_a_moved_message_without_a_body_fetched(backend: Backend) {
    let mut site = Site::start(backend, OBJECT_ID).await;
    site.sandbox.create_folder(USER, "Projekte").unwrap();
    for number in 0..4 {
        site.deliver("INBOX", number, BELA);
        site.deliver("Projekte", 10 + number, BELA);
    }
    assert_eq!(site.connect().await, 8);
    assert_eq!(site.sandbox.bodies_sent(), 8);
    let (before, folder) = (site.ids().await, site.folders().await["Projekte"]["id"].clone());

    site.sandbox
        .rename_folder(USER, "Projekte", "Vorhaben/Größe")
        .unwrap();
    site.reconnect().await;
    let folders = site.folders().await;
    assert_eq!(folders["Vorhaben/Größe"]["id"], folder, "the folder keeps its id");
    assert!(!folders.contains_key("Projekte"), "and is not listed twice");
    assert_eq!(site.ids().await, before);

    site.sandbox.move_message(USER, "INBOX", 1, "Archive").unwrap();
    site.reconnect().await;
    site.placed("Letter 0", &["Archive"]).await;
    site.sandbox.bump_uid_validity(USER, "INBOX").unwrap();
    site.reconnect().await;
    assert_eq!(site.ids().await, before);
    site.counts_agree().await;
    assert_eq!(
        site.sandbox.bodies_sent(),
        8,
        "what is known is not fetched again"
    );
    site.deliver("INBOX", 20, BELA);
    site.placed("Letter 20", &["INBOX"]).await;
    assert_eq!(site.sandbox.bodies_sent(), 9);
    site.end().await;
}

async fn object_ids_tell_two_messages_of_the_same_bytes_apart(backend: Backend) {
    let mut site = Site::start(backend, OBJECT_ID).await;
    let at = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    for folder in ["INBOX", "INBOX", "Archive"] {
        site.sandbox
            .append(USER, folder, &[], at, &letter(1, BELA))
            .unwrap();
    }
    assert_eq!(site.connect().await, 3, "the server says that they are three");
    site.counts_agree().await;
    site.end().await;
}
