//! A mailbox that is disabled and enabled while mail flows.

mod loops;
