-- Where tenants are told of events by webhooks, and what became of each event there.
-- An endpoint reads the log of its tenant by position: `position` is the last event that was looked at for it. `due_at` is
-- when it has something to do again (NULL: when an event comes). `filter` is JSON: the ids in it may outlive what they name,
-- as those of events do. `member_id` is the employee of whose mailboxes alone it hears.
CREATE TABLE webhook_endpoints (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    member_id uuid,
    url text NOT NULL,
    description text,
    filter text NOT NULL,
    enabled boolean NOT NULL,
    disabled_at timestamptz,
    disabled_reason text,
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_until timestamptz,
    position bigint NOT NULL,
    due_at timestamptz,
    failures integer NOT NULL,
    failing_since timestamptz,
    open_until timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_endpoints_by_time ON webhook_endpoints (tenant_id, created_at DESC, id DESC);
CREATE INDEX webhook_endpoints_by_member ON webhook_endpoints (tenant_id, member_id, created_at DESC, id DESC) WHERE member_id IS NOT NULL;
CREATE INDEX webhook_endpoints_due ON webhook_endpoints (due_at) WHERE due_at IS NOT NULL;

-- `due_at` is when it is tried next, and while it is being sent, when that has taken too long (NULL: never, or not before
-- its mailbox is enabled). `claim` rises each time that it is taken to be sent: only whoever has the last one may mark it.
-- `mailbox_id` is that of an event of a message alone, which waits while its mailbox is disabled.
CREATE TABLE webhook_deliveries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    position bigint NOT NULL,
    mailbox_id uuid,
    status text NOT NULL,
    attempts integer NOT NULL,
    claim bigint NOT NULL,
    due_at timestamptz,
    attempted_at timestamptz,
    duration_ms bigint,
    response_status integer,
    response_body text,
    error text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, position) REFERENCES events (tenant_id, position) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
);
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
