//! SQLite: the full-text index, which finds documents by their numbers.

use std::collections::HashSet;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, SqliteConnection,
    dsl::sql,
    sql_types::{BigInt, Bool, Text},
};
use uuid::Uuid;

use super::Connection;
use crate::{
    model::Result,
    store::{
        search::{IndexJob, Words},
        statement::Prepared,
        types::{At, Id},
    },
};

/// Documents that are no further apart are looked up in one range: to begin a look-up takes as long as to pass over so many.
const NEAR: i64 = 256;

/// What joins two queries that must both hold.
pub(crate) const BOTH: &str = " AND ";

/// How the words of a query are written for this database.
pub(crate) fn render(query: &crate::model::search::Query, subject_only: bool) -> String {
    if subject_only {
        query.fts5(Some("subject"))
    } else {
        format!("{{subject participants body}} : ({})", query.fts5(None))
    }
}

diesel::table! {
    /// The full-text table, which is SQLite's own.
    search_words (rowid) {
        rowid -> BigInt,
        tenant -> Text,
        subject -> Text,
        participants -> Text,
        body -> Text,
    }
}

/// The words that are sought, in the documents of one tenant.
pub(crate) fn of_tenant(tenant: Uuid, words: &str) -> String {
    format!("tenant : \"{}\" AND ({words})", tenant.simple())
}

/// Messages with their documents, if they have one.
type Documents = Vec<(At, Id, Option<i64>)>;

/// Of each message whether its document has the words: looked up in ranges, since a look-up costs more than what it passes
/// over, and messages of about one time were mostly indexed at about one time.
pub(crate) fn with_matches(
    conn: &mut SqliteConnection,
    words: &str,
    messages: Documents,
) -> QueryResult<Vec<(At, Id, bool)>> {
    let mut documents: Vec<i64> = messages.iter().filter_map(|(_, _, document)| *document).collect();
    documents.sort_unstable();
    let mut found = HashSet::new();
    for near in documents.chunk_by(|one, next| next - one <= NEAR) {
        if let Some((first, last)) = near.first().zip(near.last()) {
            let matching = search_words::table
                .filter(sql::<Bool>("search_words MATCH ").bind::<Text, _>(words))
                .filter(search_words::rowid.between(first, last))
                .select(search_words::rowid);
            found.extend(Prepared(matching).load::<i64>(conn)?);
        }
    }
    let matches = |document: Option<i64>| document.is_some_and(|document| found.contains(&document));
    let looked = messages.into_iter();
    Ok(looked
        .map(|(at, id, document)| (at, id, matches(document)))
        .collect())
}

/// Puts messages' words into the index in place of those that were there, and ends the jobs; a message that is gone has
/// none. A row of the full-text table is never changed: it keeps no text of its own, so the old one goes (by a trigger)
/// and a new one comes.
pub(crate) async fn write_words(conn: &mut Connection, work: Vec<(IndexJob, Option<Words>)>) -> Result<()> {
    conn.spawn_blocking(move |conn| {
        for (job, words) in work {
            write_words_of(conn, &job, words)?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

fn write_words_of(conn: &mut SqliteConnection, job: &IndexJob, words: Option<Words>) -> QueryResult<()> {
    use crate::store::schema::{messages, search_documents, search_queue};
    let (tenant, message) = (Id(job.tenant.0), Id(job.message));
    let document = search_documents::table.find((tenant, message));
    diesel::delete(document).execute(conn)?;
    let live = messages::table.find((tenant, message)).select(messages::id);
    if let Some(words) = words
        && live.get_result::<Id>(conn).optional()?.is_some()
    {
        let document = diesel::insert_into(search_documents::table)
            .values((
                search_documents::tenant_id.eq(tenant),
                search_documents::message_id.eq(message),
            ))
            .returning(sql::<BigInt>("docid"));
        let docid: i64 = Prepared(document).get_result(conn)?;
        diesel::insert_into(search_words::table)
            .values((
                search_words::rowid.eq(docid),
                search_words::tenant.eq(job.tenant.0.simple().to_string()),
                search_words::subject.eq(words.subject),
                search_words::participants.eq(words.participants),
                search_words::body.eq(words.body),
            ))
            .execute(conn)?;
    }
    let queued = search_queue::table
        .find((tenant, message))
        .filter(search_queue::queued_at.eq(At(job.queued_at)));
    diesel::delete(queued).execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use diesel::{Connection as _, connection::SimpleConnection as _};

    use super::*;

    /// Documents beside each other and far apart, some that no message has, and a message that has none.
    #[test]
    fn documents_are_found_in_ranges_however_far_apart() {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        let table = "CREATE VIRTUAL TABLE search_words USING fts5 (tenant, subject, participants, body, \
            content = '', contentless_delete = 1, tokenize = 'ascii')";
        conn.batch_execute(table).unwrap();
        let tenant = Uuid::from_u128(1);
        let mut insert = |document: i64, tenant: Uuid, body: &str| {
            diesel::insert_into(search_words::table)
                .values((
                    search_words::rowid.eq(document),
                    search_words::tenant.eq(tenant.simple().to_string()),
                    search_words::subject.eq(""),
                    search_words::participants.eq(""),
                    search_words::body.eq(body),
                ))
                .execute(&mut conn)
                .unwrap();
        };
        for document in [1, 2, 3, 256, 257, 600, 5_000, 900_000] {
            insert(document, tenant, "blue house");
        }
        for document in [4, 258, 5_001] {
            insert(document, tenant, "green house");
        }
        insert(5_002, Uuid::from_u128(2), "blue house");
        let asked = [
            Some(900_000),
            Some(5_002),
            Some(5_001),
            Some(5_000),
            None,
            Some(257),
            Some(4),
            Some(1),
        ];
        let at = At(DateTime::UNIX_EPOCH);
        let messages = (0..)
            .zip(asked)
            .map(|(id, document)| (at, Id(Uuid::from_u128(id)), document));
        let words = of_tenant(tenant, "{subject participants body} : (\"blue\")");
        let found = with_matches(&mut conn, &words, messages.collect()).unwrap();
        let found: Vec<bool> = found.into_iter().map(|(_, _, matches)| matches).collect();
        assert_eq!(found, [true, false, false, true, false, true, false, true]);
    }
}
