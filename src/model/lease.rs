//! A lease: which node syncs a mailbox, and the epoch that fences off one that lost it; and what nodes know of one another.

use uuid::Uuid;

use super::id::TenantId;

/// A mailbox that this node syncs, and the epoch under which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The mailbox's tenant.
    pub tenant: TenantId,
    /// The mailbox.
    pub mailbox: Uuid,
    /// The epoch that every write must name.
    pub epoch: i64,
}

/// What a write of a sync must name.
pub type Fence = Lease;

/// A process that shares the database with others, and said of late that it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, which no other living one has.
    pub name: String,
    /// Whether it syncs mailboxes.
    pub worker: bool,
    /// How many mailboxes it holds leases of, as it said last.
    pub held: i64,
}

/// How many mailboxes a node holds where all hold the same, rounded up. One that holds more gives some back.
pub fn share(nodes: &[Node]) -> i64 {
    let workers: Vec<&Node> = nodes.iter().filter(|node| node.worker).collect();
    let held: u64 = workers.iter().map(|node| node.held.max(0).unsigned_abs()).sum();
    let count = u64::try_from(workers.len()).unwrap_or(u64::MAX);
    let share = held
        .checked_next_multiple_of(count)
        .and_then(|held| held.checked_div(count));
    share
        .and_then(|share| i64::try_from(share).ok())
        .unwrap_or(i64::MAX)
}

/// Whether the node of this name may take what is free: it holds less than its share, or no other holds less. There is always
/// one that may, so nothing stays free; and what one gives back is not taken by another that holds enough.
pub fn may_take(nodes: &[Node], name: &str) -> bool {
    let mine = nodes
        .iter()
        .find(|node| node.name == name)
        .map_or(0, |node| node.held);
    let fewer = |node: &Node| node.worker && node.name != name && node.held < mine;
    mine < share(nodes) || !nodes.iter().any(fewer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_goes_to_a_node_that_holds_less() {
        let nodes = |held: &[i64]| -> Vec<Node> {
            let named = held.iter().zip(["a", "b", "c"]);
            let node = |(held, name): (&i64, &str)| Node {
                name: name.to_owned(),
                worker: true,
                held: *held,
            };
            named.map(node).collect()
        };
        let takers = |held: &[i64]| {
            let nodes = nodes(held);
            let takers = nodes.iter().filter(|node| may_take(&nodes, &node.name));
            takers.map(|node| node.name.clone()).collect::<Vec<_>>().concat()
        };
        // One was given back by a node of three.
        assert_eq!(takers(&[2, 2, 1]), "c");
        assert_eq!(takers(&[3, 2, 0]), "c");
        assert_eq!(takers(&[2, 2, 2]), "abc");
        assert_eq!(takers(&[5, 3, 1]), "c");
        assert_eq!(takers(&[9]), "a");
        assert!(may_take(&nodes(&[1]), "new"));
    }

    fn shared(held: &[i64]) -> i64 {
        let node = |held: &i64| Node {
            name: String::new(),
            worker: true,
            held: *held,
        };
        let mut nodes: Vec<Node> = held.iter().map(node).collect();
        nodes.push(Node {
            name: String::new(),
            worker: false,
            held: 0,
        });
        share(&nodes)
    }

    #[test]
    fn a_share_is_rounded_up_and_some_node_has_no_more() {
        assert_eq!(shared(&[]), i64::MAX);
        assert_eq!(shared(&[7]), 7);
        assert_eq!(shared(&[7, 0]), 4);
        assert_eq!(shared(&[4, 3]), 4);
        assert_eq!(shared(&[1, 1, 1]), 1);
        for held in [[5, 0, 0], [3, 3, 1], [200, 199, 2]] {
            assert!(held.iter().min() <= Some(&shared(&held)));
        }
    }
}
