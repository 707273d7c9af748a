//! Calls every method of the store, with every filter that makes sense.

use postroom::{
    model::{
        agent::AgentKind,
        caller::Visibility,
        event::{Draft, EventFilter, EventOrder, EventPosition, EventType},
        folder::FlagUpdate,
        id::{self, TenantId},
        mailbox::{Labels, MailboxFilter, Service, SyncProgress},
        message::MessageFilter,
        page::{PageRequest, Position},
        patch::Patch,
        provider::Provider,
        search::Query,
    },
    store::{Conn, EventSpan, IndexJob, SearchCaps, Words},
};

use super::{nodes, webhooks};
use crate::fixture::{Filled, Fixture, at, folder, login, member};

/// Runs everything; the rows that are asked for need not be there.
pub(super) async fn run(fixture: &Fixture) {
    let filled = fixture.fill("acme").await;
    relabel(fixture, filled).await;
    let work = fixture.store.transaction(|tx| {
        Box::pin(async move {
            for seen in [Visibility::All, Visibility::CreatedBy(filled.member)] {
                for after in [
                    None,
                    Some(Position {
                        at: at(9),
                        id: filled.message,
                    }),
                ] {
                    lists(tx, filled, seen, PageRequest { limit: 10, after }).await?;
                }
                rows(tx, filled, seen).await?;
            }
            sync(tx, filled).await?;
            events(tx, filled).await?;
            webhooks::run(tx, filled).await?;
            nodes::run(tx, filled).await?;
            changes(tx, filled).await?;
            sweep(tx, filled).await?;
            let tenant = tx.get_tenant(filled.owner.tenant).await?.unwrap();
            tx.update_tenant(&tenant).await?;
            tx.delete_tenant(filled.owner.tenant).await
        })
    });
    assert!(
        work.await.unwrap_or_else(|error| panic!("{error:?}")),
        "the tenant was there"
    );
}

/// A transaction of its own.
async fn relabel(fixture: &Fixture, filled: Filled) {
    let (tenant, mailbox) = (filled.owner.tenant, filled.owner.mailbox);
    for seen in [Visibility::All, Visibility::CreatedBy(filled.member)] {
        let labels = Labels {
            name: Patch::Null,
            default_signature_html: Patch::Value("<p>Ann</p>".to_owned()),
        };
        let event = Draft {
            id: id::new(),
            kind: EventType::MailboxUpdated,
            message: None,
            transition: None,
            endpoint: None,
        };
        let changed = fixture.store.statement(|conn| {
            Box::pin(async move {
                conn.relabel_mailbox(tenant, seen, mailbox, labels, (&event, at(1)))
                    .await
            })
        });
        let (_, changed) = changed.await.unwrap().expect("the member created it");
        assert_eq!(
            changed,
            seen == Visibility::All,
            "the second time nothing changes"
        );
    }
}

pub(super) type Done = postroom::model::Result<()>;

async fn lists(tx: &mut Conn, filled: Filled, seen: Visibility, page: PageRequest) -> Done {
    let tenant = filled.owner.tenant;
    for filter in mailbox_filters(filled) {
        tx.list_mailboxes(tenant, seen, &filter, page).await?;
    }
    let words = Query::parse("offer").unwrap();
    for mailbox_id in [None, Some(filled.owner.mailbox)] {
        tx.list_threads(tenant, seen, mailbox_id, page).await?;
        for filter in message_filters(filled) {
            let filter = MessageFilter { mailbox_id, ..filter };
            tx.list_messages(tenant, seen, &filter, (None, None), page)
                .await?;
        }
        let filter = MessageFilter {
            mailbox_id,
            ..MessageFilter::default()
        };
        tx.list_messages(tenant, seen, &filter, (Some(&words), None), page)
            .await?;
        tx.list_messages(tenant, seen, &filter, (None, Some(&words)), page)
            .await?;
        let caps = SearchCaps { hits: 0, walk: 1 };
        tx.search_messages(tenant, seen, &filter, (Some(&words), Some(&words)), (page, caps))
            .await?;
    }
    tx.list_members(tenant, page).await?;
    tx.list_keys(tenant, page).await?;
    tx.list_agents(tenant, AgentKind::Team, page).await?;
    tx.list_revisions(tenant, filled.agent, page).await?;
    tx.list_tenants(page).await?;
    Ok(())
}

fn mailbox_filters(filled: Filled) -> Vec<MailboxFilter> {
    let none = MailboxFilter::default;
    vec![
        none(),
        MailboxFilter {
            include_retired: true,
            ..none()
        },
        MailboxFilter {
            address: Some("first@acme.test".to_owned()),
            ..none()
        },
        MailboxFilter {
            provider: Some(Provider::Imap),
            ..none()
        },
        MailboxFilter {
            enabled: Some(true),
            ..none()
        },
        MailboxFilter {
            agent_id: Some(filled.agent),
            ..none()
        },
        MailboxFilter {
            team_id: Some(filled.team),
            ..none()
        },
    ]
}

fn message_filters(filled: Filled) -> Vec<MessageFilter> {
    let none = MessageFilter::default;
    vec![
        none(),
        MessageFilter {
            thread_id: Some(filled.thread),
            ..none()
        },
        MessageFilter {
            folder_id: Some(filled.owner.folder),
            ..none()
        },
        MessageFilter {
            from: Some("arne@example.test".to_owned()),
            ..none()
        },
        MessageFilter {
            to: Some("arne@example.test".to_owned()),
            ..none()
        },
        MessageFilter {
            unread: Some(true),
            ..none()
        },
        MessageFilter {
            incoming: Some(true),
            ..none()
        },
        MessageFilter {
            has_attachments: Some(true),
            ..none()
        },
        MessageFilter {
            received_after: Some(at(0)),
            received_before: Some(at(99)),
            ..none()
        },
        MessageFilter {
            received_after: Some(at(0)),
            unread: Some(true),
            incoming: Some(true),
            ..none()
        },
    ]
}

async fn rows(tx: &mut Conn, filled: Filled, seen: Visibility) -> Done {
    let tenant = filled.owner.tenant;
    assert!(
        tx.get_mailbox(tenant, seen, filled.owner.mailbox)
            .await?
            .is_some()
    );
    tx.lock_mailbox(tenant, seen, filled.owner.mailbox).await?;
    tx.find_mailbox(tenant, "first@acme.test").await?;
    assert!(tx.get_message(tenant, seen, filled.message).await?.is_some());
    assert!(tx.get_raw(tenant, seen, filled.message).await?.is_some());
    assert!(
        tx.get_attachment(tenant, seen, filled.attachment)
            .await?
            .is_some()
    );
    assert!(tx.get_thread(tenant, seen, filled.thread).await?.is_some());
    assert!(
        tx.get_thread_with_newest(tenant, seen, filled.thread, 9)
            .await?
            .is_some()
    );
    tx.get_messages(tenant, &[filled.message], true).await?;
    tx.attachments_of(tenant, &[filled.message]).await?;
    tx.thread_nodes(tenant, filled.thread, (at(0), at(9)), 10).await?;
    tx.thread_time_at(tenant, filled.thread, 1).await?;
    tx.count_sent_before(tenant, filled.thread, at(9)).await?;
    tx.count_sent_after(tenant, filled.thread, at(9)).await?;
    tx.newest_of_thread(tenant, filled.thread, 10).await?;
    tx.thread_participants(tenant, &[filled.thread]).await?;
    tx.last_sent_in_thread(tenant, filled.thread).await?;
    tx.get_tenant(tenant).await?;
    tx.get_data_key(tenant).await?;
    tx.get_member(tenant, filled.member).await?;
    tx.find_member(tenant, "ann@acme.test").await?;
    tx.count_owners(tenant).await?;
    tx.find_key("lookup-acme").await?;
    tx.get_credential(tenant, filled.key).await?;
    tx.get_key(tenant, filled.key).await?;
    tx.get_agent(tenant, AgentKind::Agent, filled.agent).await?;
    tx.lock_agent(tenant, AgentKind::Agent, filled.agent).await?;
    tx.find_bound(tenant, filled.agent).await?;
    tx.get_revision(tenant, filled.agent, filled.revision).await?;
    tx.last_revision_number(tenant, filled.agent).await?;
    tx.get_login(tenant, filled.owner.mailbox, Service::Imap).await?;
    Ok(())
}

async fn moves(tx: &mut Conn, filled: Filled) -> Done {
    let (tenant, mailbox, message) = (filled.owner.tenant, filled.owner.mailbox, filled.message);
    tx.begin_move(tenant, mailbox, message, at(4)).await?;
    assert_eq!(tx.moving(tenant, &[message], at(3)).await?.len(), 1);
    assert!(tx.moving(tenant, &[message], at(4)).await?.is_empty());
    assert_eq!(tx.end_overdue_moves(tenant, mailbox, at(4)).await?, [message]);
    tx.end_move(tenant, message).await
}

async fn sync(tx: &mut Conn, filled: Filled) -> Done {
    let (tenant, owner) = (filled.owner.tenant, filled.owner);
    let stored = tx.get_folder(tenant, owner.folder).await?.unwrap();
    tx.list_folders(tenant, owner.mailbox).await?;
    tx.update_folder(tenant, &stored, 1).await?;
    tx.add_folder_count(tenant, owner.folder, -1).await?;
    tx.find_messages(tenant, owner.mailbox, &[vec![1], vec![2]])
        .await?;
    tx.find_earlier_generation(tenant, owner.folder, 2, &["1@example.test".to_owned()])
        .await?;
    let locked = tx.lock_messages(tenant, &[filled.message]).await?;
    tx.update_presence(tenant, &locked[0].0, false).await?;
    let placed = tx.placements_of(tenant, &[filled.message]).await?;
    assert!(
        tx.create_placements(tenant, owner.mailbox, &placed)
            .await?
            .is_empty()
    );
    tx.placements_in(tenant, owner.folder, 1, (1, 100)).await?;
    tx.count_placements(tenant, owner.folder, 1).await?;
    tx.retire_placements(tenant, owner.folder, 3, 10).await?;
    let update = FlagUpdate {
        uid: 1,
        flags: Vec::new(),
        label_folders: None,
    };
    tx.update_flags(tenant, owner.folder, 1, &[update]).await?;
    moves(tx, filled).await?;
    tx.has_stale_placements(tenant, owner.folder, 2).await?;
    tx.quarantine(tenant, &stored, 98, "unreadable", at(1)).await?;
    tx.list_aside(tenant, &[owner.folder]).await?;
    tx.try_aside(tenant, &stored, 98, at(2)).await?;
    tx.hasten_aside(tenant, &[owner.folder]).await?;
    tx.release_aside(tenant, &stored, &[98]).await?;
    tx.release_stale_aside(tenant, &stored).await?;
    tx.delete_placements(tenant, owner.folder, 1, &[1]).await?;
    assert_eq!(
        tx.delete_stale_placements(tenant, owner.folder, 2, 10)
            .await?
            .len(),
        1
    );
    let threads = tx.lock_threads(tenant, &[filled.thread]).await?;
    tx.save_threads(tenant, &threads, stored.updated_at).await?;
    tx.find_known(tenant, owner.mailbox, (&[vec![1]], &[vec![1; 16]]))
        .await?;
    tx.plan_anew().await?;
    tx.merge_thread(tenant, id::new(), filled.thread).await?;
    let jobs = tx.list_index_jobs(10).await?;
    tx.list_indexed(tenant, &[filled.message]).await?;
    let gone = |job: &IndexJob| (job.clone(), None);
    tx.index_messages(jobs.iter().map(gone).collect()).await?;
    let there = |job: &IndexJob| (job.clone(), Some(Words::default()));
    tx.index_messages(jobs.iter().map(there).collect()).await?;
    Ok(())
}

async fn events(tx: &mut Conn, filled: Filled) -> Done {
    let (tenant, mailbox) = (filled.owner.tenant, filled.owner.mailbox);
    let draft = |message| Draft {
        id: id::new(),
        kind: EventType::MessageUpdated,
        message,
        transition: None,
        endpoint: None,
    };
    let last = tx.last_event(tenant).await?;
    let drafts = [draft(Some(filled.message)), draft(None)];
    let whose = (Some(mailbox), Some(filled.agent));
    tx.append_events(tenant, whose, &drafts, at(1)).await?;
    tx.append_events(tenant, (None, None), &drafts[1..], at(1))
        .await?;
    assert_eq!(tx.last_event(tenant).await?, EventPosition(last.0 + 3));
    for order in [EventOrder::Ascending, EventOrder::Descending] {
        for place in [None, Some(EventPosition(1))] {
            let span = EventSpan {
                order,
                after: place,
                until: place,
                limit: 10,
            };
            for mailbox_id in [None, Some(mailbox)] {
                tx.event_after(tenant, mailbox_id, span, 10).await?;
                for kinds in [vec![], vec![EventType::MessageUpdated]] {
                    for seen in [Visibility::All, Visibility::CreatedBy(filled.member)] {
                        let filter = EventFilter {
                            mailbox_id,
                            kinds: kinds.clone(),
                        };
                        tx.list_events(tenant, seen, &filter, span).await?;
                    }
                }
            }
        }
    }
    assert!(tx.erase_events(tenant, at(4), 1).await? > 0);
    tx.end_backfill(tenant, mailbox, at(1)).await
}

async fn changes(tx: &mut Conn, filled: Filled) -> Done {
    let tenant: TenantId = filled.owner.tenant;
    let mailbox = filled.owner.mailbox;
    let row = tx.get_mailbox(tenant, Visibility::All, mailbox).await?.unwrap();
    tx.update_mailbox(tenant, &row).await?;
    tx.add_message_count(tenant, mailbox, 1).await?;
    let progress = SyncProgress {
        folder: "INBOX".to_owned(),
        done: 1,
        total: 2,
    };
    tx.set_progress(tenant, mailbox, Some(&progress)).await?;
    tx.set_last_synced(tenant, mailbox, at(5)).await?;
    tx.set_login(tenant, mailbox, Service::Smtp, &login()).await?;
    tx.swap_tokens(tenant, mailbox, Service::Smtp, &[1, 2, 3], &[4])
        .await?;
    tx.delete_login(tenant, mailbox, Service::Smtp).await?;
    let other = folder(mailbox);
    let other = postroom::model::folder::Folder {
        raw_name: b"Other".to_vec(),
        ..other
    };
    tx.create_folder(tenant, &other).await?;
    tx.delete_folder(tenant, other.id).await?;
    tx.rotate_key(tenant, filled.key, "lookup-again", &[1; 32])
        .await?;
    tx.revoke_key(tenant, filled.key, at(5)).await?;
    tx.delete_messages_of(tenant, mailbox, at(6)).await?;
    tx.retire_mailbox(tenant, mailbox, at(7)).await?;
    let agent = tx
        .get_agent(tenant, AgentKind::Agent, filled.agent)
        .await?
        .unwrap();
    tx.update_agent(tenant, &agent).await?;
    assert!(tx.delete_agent(tenant, filled.agent).await?);
    let one = tx.get_member(tenant, filled.member).await?.unwrap();
    tx.update_member(tenant, &one).await?;
    assert!(
        !tx.create_member(tenant, &member("acme")).await?,
        "the address is taken"
    );
    assert!(tx.delete_member(tenant, filled.member).await?);
    Ok(())
}

/// What was deleted a little ago, by [`changes`].
async fn sweep(tx: &mut Conn, filled: Filled) -> Done {
    let (tenant, mailbox) = (filled.owner.tenant, filled.owner.mailbox);
    assert!(tx.lock_sweep().await?, "nobody else sweeps");
    tx.lock_blobs(tenant, true).await?;
    tx.lock_blobs(tenant, false).await?;
    assert!(tx.named_blobs(tenant, &[[7; 32], [8; 32]]).await?.is_empty());
    let expired = tx.list_expired(tenant, at(7), 10).await?;
    let messages: Vec<_> = expired.iter().map(|one| one.message).collect();
    assert!(messages.contains(&filled.message));
    tx.lock_mailboxes(tenant, &[mailbox]).await?;
    assert_eq!(tx.erase_messages(tenant, &messages, at(7)).await?, messages.len());
    assert_eq!(tx.erase_threads(tenant, &[filled.thread]).await?, 1);
    assert_eq!(tx.find_retired(tenant, at(8)).await?, Some(mailbox));
    assert!(tx.erase_folders(tenant, mailbox).await? > 0);
    Ok(())
}

/// A method that nobody calls here would not be looked at.
#[test]
fn every_method_of_the_store_is_called() {
    let store = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let sources = [
        include_str!("workload.rs"),
        include_str!("nodes.rs"),
        include_str!("webhooks.rs"),
        include_str!("../fixture/mod.rs"),
        include_str!("../fixture/rows.rs"),
    ];
    let called = sources.concat();
    let (mut count, mut missing) = (0, Vec::new());
    for entry in std::fs::read_dir(store).unwrap() {
        let path = entry.unwrap().path();
        let other = path.is_dir() || ["mod.rs", "blobs.rs"].iter().any(|name| path.ends_with(name));
        if other {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let Some(rest) = line.trim().strip_prefix("pub async fn ") else {
                continue;
            };
            let name = rest.split('(').next().unwrap();
            count += 1;
            if !called.contains(&format!(".{name}(")) {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(count > 60, "{count} methods");
    assert!(missing.is_empty(), "{missing:?}");
}
