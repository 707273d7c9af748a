//! Sets of UIDs, kept as ranges, written and read as IMAP sequence sets (RFC 9051, section 9).

use std::fmt;

/// A set of UIDs: sorted ranges that neither overlap nor touch. UID 0 does not exist and is never in it.
///
/// A server can name four thousand million UIDs in a few bytes: intersect what it sends with what is known before
/// walking through it with [`UidSet::iter`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The UIDs from `low` to `high`, both included; empty when `low` is above `high`.
    pub fn range(low: u32, high: u32) -> Self {
        let low = low.max(1);
        Self {
            ranges: if low <= high {
                vec![(low, high)]
            } else {
                Vec::new()
            },
        }
    }

    /// The set of these ranges, in any order, overlapping or not.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut sorted: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b).max(1), a.max(b)))
            .filter(|(_, high)| *high > 0)
            .collect();
        sorted.sort_unstable();
        sorted.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
        Self { ranges: sorted }
    }

    /// Reads a sequence set; `*` is read as the largest UID. `None` when the bytes are not a sequence set.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        parse_ranges(bytes).map(Self::from_ranges)
    }

    /// True when there is no UID in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many UIDs are in it.
    pub fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(low, high)| u64::from(high - low) + 1)
            .sum()
    }

    /// True when this UID is in it.
    pub fn contains(&self, uid: u32) -> bool {
        let after = self.ranges.partition_point(|(low, _)| *low <= uid);
        after
            .checked_sub(1)
            .and_then(|at| self.ranges.get(at))
            .is_some_and(|(_, high)| uid <= *high)
    }

    /// Adds one UID.
    pub fn insert(&mut self, uid: u32) {
        if uid == 0 || self.contains(uid) {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(uid) => last.1 = uid,
            Some(last) if uid < last.1 => {
                let ranges = std::mem::take(&mut self.ranges);
                *self = Self::from_ranges(ranges.into_iter().chain([(uid, uid)]));
            }
            _ => self.ranges.push((uid, uid)),
        }
    }

    /// The smallest UID.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|(low, _)| *low)
    }

    /// The largest UID.
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|(_, high)| *high)
    }

    /// The ranges, in order, both ends included.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Every UID, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|&(low, high)| low..=high)
    }

    /// The UIDs that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut mine, mut theirs) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let (low, high) = (a.0.max(b.0), a.1.min(b.1));
            if low <= high {
                both.push((low, high));
            }
            if a.1 < b.1 {
                mine.next();
            } else {
                theirs.next();
            }
        }
        Self { ranges: both }
    }

    /// The UIDs that are in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut gaps = Vec::with_capacity(other.ranges.len() + 1);
        let mut next = Some(1);
        for &(low, high) in &other.ranges {
            if let Some(from) = next
                && from < low
            {
                gaps.push((from, low - 1));
            }
            next = high.checked_add(1);
        }
        gaps.extend(next.map(|from| (from, u32::MAX)));
        self.intersection(&Self { ranges: gaps })
    }

    /// The first `count` UIDs, and the others.
    #[must_use]
    pub fn split(&self, count: u64) -> (Self, Self) {
        let (mut first, mut rest, mut left) = (Self::new(), Self::new(), count);
        for &(low, high) in &self.ranges {
            let length = u64::from(high - low) + 1;
            match u32::try_from(left) {
                Ok(0) => rest.ranges.push((low, high)),
                Ok(some) if left < length => {
                    first.ranges.push((low, low + some - 1));
                    rest.ranges.push((low + some, high));
                }
                Ok(_) | Err(_) => first.ranges.push((low, high)),
            }
            left = left.saturating_sub(length);
        }
        (first, rest)
    }

    /// The last `count` UIDs, which are the newest messages, and the others.
    #[must_use]
    pub fn split_last(&self, count: u64) -> (Self, Self) {
        let (rest, last) = self.split(self.len().saturating_sub(count));
        (last, rest)
    }

    /// Cuts the set into parts whose text has at most `bytes` bytes (but at least one range), in order.
    pub(super) fn parts(&self, bytes: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut part = Self::new();
        let mut length = 0;
        for &range in &self.ranges {
            let text = 1 + range_text(range).len();
            if length + text > bytes && !part.is_empty() {
                parts.push(std::mem::take(&mut part));
                length = 0;
            }
            part.ranges.push(range);
            length += text;
        }
        if !part.is_empty() {
            parts.push(part);
        }
        parts
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        Self::from_ranges(uids.into_iter().map(|uid| (uid, uid)))
    }
}

impl Extend<u32> for UidSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, uids: I) {
        let ranges = std::mem::take(&mut self.ranges);
        *self = Self::from_ranges(ranges.into_iter().chain(uids.into_iter().map(|uid| (uid, uid))));
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &range) in self.ranges.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(&range_text(range))?;
        }
        Ok(())
    }
}

fn range_text((low, high): (u32, u32)) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("{low}:{high}")
    }
}

/// The ranges of a sequence set in the order in which they are written, each from its first to its second number.
pub(super) fn parse_ranges(bytes: &[u8]) -> Option<Vec<(u32, u32)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number = |text: &str| match text {
        "*" => Some(u32::MAX),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    text.split(',')
        .map(|range| match range.split_once(':') {
            Some((first, second)) => Some((number(first)?, number(second)?)),
            None => number(range).map(|uid| (uid, uid)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets_are_read_and_written() {
        for (text, written) in [
            ("1", "1"),
            ("5:3,1", "1,3:5"),
            ("1,2,3,7", "1:3,7"),
            ("4294967295,4294967294", "4294967294:4294967295"),
            ("7:*", "7:4294967295"),
            ("0:2", "1:2"),
        ] {
            assert_eq!(UidSet::parse(text.as_bytes()).unwrap().to_string(), written);
        }
        for text in ["", ",", "1,", "a", "1:", "-1", "+1", "4294967296", "1:2:3", " 1"] {
            assert_eq!(UidSet::parse(text.as_bytes()), None, "{text}");
        }
        assert!(UidSet::parse(b"0").unwrap().is_empty());
        assert!(UidSet::range(5, 4).is_empty());
    }

    #[test]
    fn parts_are_short_and_lose_nothing() {
        let set: UidSet = (1..2_000).step_by(2).collect();
        let parts = set.parts(100);
        assert!(parts.iter().all(|part| part.to_string().len() <= 100));
        assert_eq!(parts.iter().flat_map(UidSet::iter).collect::<UidSet>(), set);
        assert_eq!(parts.iter().map(UidSet::len).sum::<u64>(), 1_000);
    }

    fn small() -> impl Strategy<Value = BTreeSet<u32>> {
        proptest::collection::btree_set(prop_oneof![1_u32..60, (u32::MAX - 5)..=u32::MAX], 0..30)
    }

    proptest! {
        #[test]
        fn sets_agree_with_a_plain_set(a in small(), b in small(), uid in 1_u32..60) {
            let (x, y): (UidSet, UidSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert!(x.iter().eq(a.iter().copied()));
            prop_assert_eq!(x.len(), a.len() as u64);
            prop_assert_eq!(x.contains(uid), a.contains(&uid));
            prop_assert_eq!((x.first(), x.last()), (a.first().copied(), a.last().copied()));
            prop_assert!(x.intersection(&y).iter().eq(a.intersection(&b).copied()));
            prop_assert!(x.difference(&y).iter().eq(a.difference(&b).copied()));
            let (first, rest) = x.split(u64::from(uid));
            prop_assert!(first.iter().eq(a.iter().copied().take(uid as usize)));
            prop_assert!(rest.iter().eq(a.iter().copied().skip(uid as usize)));
            let (last, rest) = x.split_last(u64::from(uid));
            prop_assert!(last.iter().rev().eq(a.iter().rev().copied().take(uid as usize)));
            prop_assert_eq!(rest.len() + last.len(), x.len());
            let mut one_by_one = UidSet::new();
            for uid in a.iter().rev() {
                one_by_one.insert(*uid);
            }
            prop_assert_eq!(&one_by_one, &x);
            if !x.is_empty() {
                prop_assert_eq!(UidSet::parse(x.to_string().as_bytes()), Some(x));
            }
        }
    }
}
