-- Where tenants are told of events by webhooks, and what became of each event there.
-- An endpoint reads the log of its tenant by position: `position` is the last event that was looked at for it. `due_at` is
-- when it has something to do again (NULL: when an event comes). `filter` is JSON: the ids in it may outlive what they name,
-- as those of events do. `member_id` is the employee of whose mailboxes alone it hears.
CREATE TABLE webhook_endpoints (
    tenant_id BLOB NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    member_id BLOB,
    url TEXT NOT NULL,
    description TEXT,
    filter TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    disabled_at INTEGER,
    disabled_reason TEXT,
    secret BLOB NOT NULL,
    old_secret BLOB,
    old_secret_until INTEGER,
    position INTEGER NOT NULL,
    due_at INTEGER,
    failures INTEGER NOT NULL,
    failing_since INTEGER,
    open_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX webhook_endpoints_by_time ON webhook_endpoints (tenant_id, created_at DESC, id DESC);
CREATE INDEX webhook_endpoints_by_member ON webhook_endpoints (tenant_id, member_id, created_at DESC, id DESC) WHERE member_id IS NOT NULL;
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (due_at) WHERE due_at IS NOT NULL;

-- `due_at` is when it is tried next, and while it is being sent, when that has taken too long (NULL: never, or not before
-- its mailbox is enabled). `claim` rises each time that it is taken to be sent: only whoever has the last one may mark it.
-- `mailbox_id` is that of an event of a message alone, which waits while its mailbox is disabled.
CREATE TABLE webhook_deliveries (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    endpoint_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    mailbox_id BLOB,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    claim INTEGER NOT NULL,
    due_at INTEGER,
    attempted_at INTEGER,
    duration_ms INTEGER,
    response_status INTEGER,
    response_body TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, position) REFERENCES events (tenant_id, position) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
) STRICT;
-- An event is delivered to an endpoint once.
CREATE UNIQUE INDEX webhook_deliveries_by_event ON webhook_deliveries (tenant_id, position, endpoint_id);
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (tenant_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (tenant_id, endpoint_id, created_at DESC, id DESC);
-- Most succeed, and those are found by their time; the others are few among them.
CREATE INDEX webhook_deliveries_by_status ON webhook_deliveries (tenant_id, status, created_at DESC, id DESC) WHERE status <> 'succeeded';
CREATE INDEX webhook_deliveries_by_endpoint_status ON webhook_deliveries (tenant_id, endpoint_id, status, created_at DESC, id DESC) WHERE status <> 'succeeded';
CREATE INDEX webhook_deliveries_by_mailbox ON webhook_deliveries (tenant_id, mailbox_id, status) WHERE mailbox_id IS NOT NULL;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (tenant_id, endpoint_id, due_at, position) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_sending ON webhook_deliveries (tenant_id, endpoint_id) WHERE status = 'sending';
