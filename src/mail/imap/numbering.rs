//! Which UIDs a folder has no room for, by its own numbering: sequence numbers follow the order of UIDs and have no gaps
//! (RFC 9051, section 2.3.1.2).

use std::collections::BTreeMap;

use super::{
    body::Spooler,
    command::Command,
    connection::Step,
    error::{Error, ProtocolError},
    response::Response,
    session::{Budget, Session},
    set::UidSet,
};

/// About how many bytes a row takes in memory.
const ROW: usize = 32;

/// What a folder's numbering says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbering {
    /// UIDs of the messages that the server gave rows of.
    pub present: UidSet,
    /// UIDs that no message can have: those between two rows with numbers that follow one another are such.
    pub vacant: UidSet,
}

impl Numbering {
    /// Of rows in the order of their UIDs, each with its sequence number. In a folder of `exists` messages nothing comes after
    /// the last of them. Rows that contradict themselves leave nothing vacant.
    fn of(rows: impl IntoIterator<Item = (u32, u32)>, exists: u32) -> Self {
        let mut present = Vec::new();
        let mut vacant = Vec::new();
        let (mut last, mut number) = (0, 0);
        for (uid, sequence) in rows {
            if sequence <= number || uid <= last {
                return Self::default();
            }
            if sequence == number + 1 && last + 1 < uid {
                vacant.push((last + 1, uid - 1));
            }
            present.push((uid, uid));
            (last, number) = (uid, sequence);
        }
        if number >= exists && last < u32::MAX {
            vacant.push((last + 1, u32::MAX));
        }
        Self {
            present: UidSet::from_ranges(present),
            vacant: UidSet::from_ranges(vacant),
        }
    }
}

impl Session {
    /// The numbering of the folder that is open, where EXISTS said that it has so many messages. `None`: some were expunged
    /// while it was told, by which the numbers have moved.
    ///
    /// The answer is kept in memory, up to 32 MiB: ask in a folder of at most some ten thousand messages.
    pub async fn numbering(&mut self, exists: u32) -> Result<Option<Numbering>, Error> {
        let connection = &mut self.connection;
        let command = Command::new("UID FETCH").word("1:* (UID)");
        let mut rows = BTreeMap::new();
        let mut budget = Budget::new("UID FETCH");
        connection.grow_buffer();
        let deadline = connection.transfer_deadline();
        let exchange = connection.begin(command, deadline).await?;
        loop {
            match connection.step(&exchange, &mut Spooler::none()).await? {
                Step::Done(_) => break,
                Step::Continue => return Err(ProtocolError::Continuation.into()),
                Step::Data(Response::Fetch(raw)) if raw.row.uid > 0 => {
                    budget.take(ROW)?;
                    rows.insert(raw.row.uid, raw.sequence);
                    // Nobody asked for flags: they have changed.
                    connection.pending.flags |= raw.row.flags.is_some();
                }
                Step::Data(response) => connection.pending.note(&response),
            }
        }
        Ok((!connection.pending.expunged).then(|| Numbering::of(rows, exists)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> UidSet {
        UidSet::parse(text.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn what_lies_between_numbers_that_follow_one_another_is_vacant() {
        let whole = Numbering::of([(2, 1), (3, 2), (7, 3)], 3);
        assert_eq!(whole.present, set("2:3,7"));
        assert_eq!(whole.vacant, set("1,4:6,8:4294967295"));
        // One of four is not told of: it has room between the second and the third only, or behind the last.
        assert_eq!(
            Numbering::of([(2, 1), (3, 2), (7, 4)], 4).vacant,
            set("1,8:4294967295")
        );
        assert_eq!(Numbering::of([(2, 1), (3, 2), (7, 3)], 4).vacant, set("1,4:6"));
        assert_eq!(Numbering::of([(2, 2), (3, 3)], 3).vacant, set("4:4294967295"));
    }

    #[test]
    fn no_rows_prove_nothing_unless_there_are_no_messages() {
        assert_eq!(Numbering::of([], 3), Numbering::default());
        assert_eq!(Numbering::of([], 0).vacant, set("1:4294967295"));
        assert!(Numbering::of([(u32::MAX, 1)], 1).vacant.contains(1));
    }

    #[test]
    fn rows_that_contradict_themselves_prove_nothing() {
        assert_eq!(Numbering::of([(2, 2), (3, 1)], 2), Numbering::default());
        assert_eq!(Numbering::of([(2, 1), (3, 1)], 2), Numbering::default());
        assert_eq!(Numbering::of([(2, 0), (3, 1)], 2), Numbering::default());
    }
}
