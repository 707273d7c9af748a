//! Tests of the partition and of the reply order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000 + second, 0).unwrap()
}

fn node(number: u128, second: i64, in_reply_to: Option<&str>, references: &[&str]) -> Node {
    Node {
        id: Uuid::from_u128(number),
        message_id: Some(format!("m{number}@x")),
        in_reply_to: in_reply_to.map(ToOwned::to_owned),
        references: references.iter().map(|id| (*id).to_owned()).collect(),
        sent_at: time(second),
    }
}

fn numbers(order: &[Uuid]) -> Vec<u128> {
    order.iter().map(Uuid::as_u128).collect()
}

/// A store as the database keeps it: hashes lead to threads, merged threads lead to the one they are in.
#[derive(Default)]
struct Store {
    refs: HashMap<RefHash, StoredThread>,
    /// The thread of each message that has been stored.
    messages: BTreeMap<usize, Uuid>,
    made: i64,
}

impl Store {
    fn add(&mut self, number: usize, node: &Node) {
        let refs = refs(
            node.message_id.as_deref(),
            node.in_reply_to.as_deref(),
            &node.references,
        );
        let found: Vec<_> = refs
            .iter()
            .filter_map(|hash| self.refs.get(hash))
            .copied()
            .collect();
        let placement = place(refs, found.iter().copied());
        self.made += 1;
        let thread = match placement.join {
            Some(id) => *found.iter().find(|thread| thread.id == id).unwrap(),
            None => StoredThread {
                created_at: time(self.made),
                id: Uuid::from_u128(self.made.unsigned_abs().into()),
            },
        };
        assert!(found.iter().all(|other| thread <= *other), "the oldest wins");
        for merged in &placement.merge {
            self.refs
                .values_mut()
                .filter(|one| one.id == *merged)
                .for_each(|one| *one = thread);
            self.messages
                .values_mut()
                .filter(|one| *one == merged)
                .for_each(|one| *one = thread.id);
        }
        self.refs
            .extend(placement.refs.into_iter().map(|hash| (hash, thread)));
        self.messages.insert(number, thread.id);
    }

    /// The messages of each thread, without the names of the threads.
    fn partition(&self) -> BTreeSet<BTreeSet<usize>> {
        let mut threads: BTreeMap<Uuid, BTreeSet<usize>> = BTreeMap::new();
        for (number, thread) in &self.messages {
            threads.entry(*thread).or_default().insert(*number);
        }
        threads.into_values().collect()
    }
}

/// The same partition by the plainest means: whoever shares an id is together, until nothing changes.
fn expected(nodes: &[Node]) -> BTreeSet<BTreeSet<usize>> {
    let ids: Vec<BTreeSet<&String>> = nodes
        .iter()
        .map(|node| {
            node.message_id
                .iter()
                .chain(&node.in_reply_to)
                .chain(&node.references)
                .collect()
        })
        .collect();
    let mut label: Vec<usize> = (0..nodes.len()).collect();
    loop {
        let before = label.clone();
        for left in 0..nodes.len() {
            for right in 0..nodes.len() {
                if !ids[left].is_disjoint(&ids[right]) {
                    let least = label[left].min(label[right]);
                    (label[left], label[right]) = (least, least);
                }
            }
        }
        if label == before {
            break;
        }
    }
    let mut threads: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (number, label) in label.into_iter().enumerate() {
        threads.entry(label).or_default().insert(number);
    }
    threads.into_values().collect()
}

#[test]
fn ids_are_compared_without_brackets_and_folds() {
    assert_eq!(ref_hash("<a@b>"), ref_hash(" a@\r\n b "));
    assert_ne!(ref_hash("a@b"), ref_hash("A@b"));
    assert_eq!(ref_hash("<>"), None);
    assert_eq!(ref_hash(&"x".repeat(MAX_ID + 1)), None);
}

#[test]
fn a_message_without_ids_is_alone() {
    assert_eq!(place(refs(None, None, &[]), []), Placement::default());
}

#[test]
fn a_late_parent_merges_into_the_oldest() {
    let [old, young] = [1, 2].map(|at| StoredThread {
        created_at: time(at),
        id: Uuid::from_u128(at.unsigned_abs().into()),
    });
    let placement = place(
        refs(Some("p@x"), None, &["a@x".to_owned(), "p@x".to_owned()]),
        [young, old, young],
    );
    assert_eq!(placement.join, Some(old.id));
    assert_eq!(placement.merge, [young.id]);
    assert_eq!(
        placement.refs,
        [ref_hash("p@x").unwrap(), ref_hash("a@x").unwrap()]
    );
}

#[test]
fn other_times_are_ordered_by_time_whatever_answers_what() {
    let messages = [
        node(1, 3, None, &[]),
        node(2, 2, Some("m1@x"), &["m1@x"]),
        node(3, 1, Some("m2@x"), &["m1@x", "m2@x"]),
    ];
    assert_eq!(numbers(&in_order(&messages)), [3, 2, 1]);
}

#[test]
fn equal_times_are_ordered_by_the_nearest_reference_and_forged_loops_are_cut() {
    let messages = [
        node(1, 1, Some("m2@x"), &[]),
        node(2, 1, Some("lost@x"), &["m3@x", "lost@x"]),
        node(3, 1, Some("m1@x"), &["m9@x"]),
        node(4, 0, Some("m1@x"), &[]),
        node(9, 2, None, &[]),
    ];
    assert_eq!(numbers(&in_order(&messages)), [4, 3, 2, 1, 9]);
}

#[test]
fn a_long_chain_of_one_second_takes_linear_time() {
    let chain: Vec<Node> = (0..20_000_u32)
        .map(|number| node(u128::from(number), 1, Some(&format!("m{}@x", number + 1)), &[]))
        .collect();
    let expected: Vec<u128> = (0..20_000).rev().collect();
    assert_eq!(numbers(&in_order(&chain)), expected);
}

prop_compose! {
    /// Messages with few ids, so that they meet: lost parents, missing own ids, repeated ids and loops.
    fn mail()(nodes in prop::collection::vec(
        (prop::option::of(0..12_u8), prop::option::of(0..16_u8), prop::collection::vec(0..16_u8, 0..4), 0..4_i64), 1..14,
    )) -> Vec<Node> {
        let id = |number: u8| format!("i{number}@x");
        nodes.into_iter().enumerate().map(|(index, (own, reply, references, second))| Node {
            id: Uuid::from_u128(index as u128),
            message_id: own.map(id),
            in_reply_to: reply.map(id),
            references: references.into_iter().map(id).collect(),
            sent_at: time(second),
        }).collect()
    }
}

proptest! {
    #[test]
    fn the_partition_does_not_depend_on_the_order(
        (nodes, order) in mail().prop_flat_map(|nodes| {
            let order: Vec<usize> = (0..nodes.len()).collect();
            (Just(nodes), Just(order).prop_shuffle())
        }),
    ) {
        let mut store = Store::default();
        for index in order {
            store.add(index, &nodes[index]);
        }
        prop_assert_eq!(store.partition(), expected(&nodes));
    }

    #[test]
    fn the_order_is_complete_follows_time_and_does_not_depend_on_the_order(
        (nodes, shuffled) in mail().prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle())),
    ) {
        let order = in_order(&nodes);
        prop_assert_eq!(&order, &in_order(&shuffled));
        let all: BTreeSet<Uuid> = order.iter().copied().collect();
        prop_assert_eq!((all.len(), order.len()), (nodes.len(), nodes.len()));
        let sent = |id: &Uuid| nodes.iter().find(|node| node.id == *id).unwrap().sent_at;
        for pair in order.windows(2) {
            prop_assert!(sent(&pair[0]) <= sent(&pair[1]));
        }
    }

    #[test]
    fn a_part_that_cuts_no_time_is_in_the_order_of_the_whole(nodes in mail(), from in 0..4_i64, to in 0..4_i64) {
        let within = |node: &Node| (time(from)..=time(to)).contains(&node.sent_at);
        let part: Vec<Node> = nodes.iter().filter(|node| within(node)).cloned().collect();
        let mut expected = in_order(&nodes);
        expected.retain(|id| part.iter().any(|node| node.id == *id));
        prop_assert_eq!(in_order(&part), expected);
    }
}
