-- What tenants hear of: a row for each change, written in the transaction of the change itself.
-- The last number that an event of the mailbox got (NULL: none yet), and when the first backfill was done: what is found
-- later is announced.
ALTER TABLE mailboxes ADD COLUMN event_sequence INTEGER;
ALTER TABLE mailboxes ADD COLUMN backfilled_at INTEGER;
UPDATE mailboxes SET backfilled_at = last_synced_at WHERE sync_folder IS NULL;

-- The last position of a tenant's log. Its row is locked from the last statement of a transaction to its commit, so
-- positions are in the order of the commits, and a reader never passes over one.
CREATE TABLE event_counters (
    tenant_id BLOB NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Ids and what cannot be read later; the rest is read from the message and the mailbox when an event is shown, so that
-- what is erased there is not kept here. An event outlives its message, and the agent or team that the mailbox was bound
-- to: these two ids are under no foreign key.
CREATE TABLE events (
    tenant_id BLOB NOT NULL REFERENCES event_counters (tenant_id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    mailbox_id BLOB,
    sequence INTEGER,
    message_id BLOB,
    agent_id BLOB,
    detail TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, position),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_mailbox ON events (tenant_id, mailbox_id, position) WHERE mailbox_id IS NOT NULL;
-- A message is announced once.
CREATE UNIQUE INDEX events_received ON events (tenant_id, message_id) WHERE type = 'message.received';
