//! Threads: whole, and as lists show them.

use poem_openapi::{Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Time, example,
    message::{Address, MessageSummary},
};
use crate::model;

/// A thread without its messages, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(example)]
pub struct ThreadSummary {
    /// The thread's id.
    pub id: Uuid,
    /// The mailbox that it lies in.
    pub mailbox_id: Uuid,
    /// The subject of its first message.
    #[oai(nullable)]
    pub subject: Option<String>,
    /// How many messages it has.
    pub message_count: i64,
    /// Everybody named in its messages, each address once.
    pub participants: Vec<Address>,
    /// When its newest message was sent.
    pub last_message_at: Time,
}

/// A thread: the messages of one mailbox that answer one another.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(example)]
pub struct Thread {
    /// The thread's id.
    pub id: Uuid,
    /// The mailbox that it lies in.
    pub mailbox_id: Uuid,
    /// The subject of its first message.
    #[oai(nullable)]
    pub subject: Option<String>,
    /// How many messages it has.
    pub message_count: i64,
    /// Everybody named in its messages, each address once.
    pub participants: Vec<Address>,
    /// When its newest message was sent.
    pub last_message_at: Time,
    /// Its messages in time order, without text and HTML.
    pub messages: Vec<MessageSummary>,
}

impl From<model::message::Thread> for Thread {
    fn from(thread: model::message::Thread) -> Self {
        let model::message::Thread {
            id,
            mailbox_id,
            subject,
            message_count,
            participants,
            last_message_at,
            messages,
        } = thread;
        Self {
            id,
            mailbox_id,
            subject,
            message_count,
            participants: participants.into_iter().map(Into::into).collect(),
            last_message_at: last_message_at.into(),
            messages: messages.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Thread> for ThreadSummary {
    fn from(thread: Thread) -> Self {
        let Thread {
            id,
            mailbox_id,
            subject,
            message_count,
            participants,
            last_message_at,
            messages: _,
        } = thread;
        Self {
            id,
            mailbox_id,
            subject,
            message_count,
            participants,
            last_message_at,
        }
    }
}

impl From<model::message::Thread> for ThreadSummary {
    fn from(thread: model::message::Thread) -> Self {
        Thread::from(thread).into()
    }
}

impl Example for Thread {
    fn example() -> Self {
        let message = MessageSummary::example();
        let participants = message.from.iter().chain(&message.to).cloned().collect();
        Self {
            id: example::id(9),
            mailbox_id: example::id(4),
            subject: message.subject.clone(),
            message_count: 1,
            participants,
            last_message_at: example::at().into(),
            messages: vec![message],
        }
    }
}

impl Example for ThreadSummary {
    fn example() -> Self {
        Thread::example().into()
    }
}
