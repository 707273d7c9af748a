-- Tenants and who may act in them.
CREATE TABLE tenants (
    id uuid NOT NULL PRIMARY KEY,
    name text NOT NULL,
    profile text NOT NULL,
    data_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX tenants_by_time ON tenants (created_at DESC, id DESC);

CREATE TABLE members (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    email text NOT NULL,
    email_key text NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email_key)
);
CREATE INDEX members_by_time ON members (tenant_id, created_at DESC, id DESC);

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    lookup text NOT NULL UNIQUE,
    hash bytea NOT NULL,
    name text NOT NULL,
    scopes text NOT NULL,
    member_id uuid,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX api_keys_by_time ON api_keys (tenant_id, created_at DESC, id DESC);
CREATE INDEX api_keys_by_member ON api_keys (tenant_id, member_id);

-- Agents and teams: one shape, told apart by kind.
CREATE TABLE agents (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('agent', 'team')),
    name text NOT NULL,
    active_revision_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agents_by_revision ON agents (tenant_id, active_revision_id);
CREATE INDEX agents_by_time ON agents (tenant_id, kind, created_at DESC, id DESC);

CREATE TABLE agent_revisions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    agent_id uuid NOT NULL,
    number bigint NOT NULL,
    description text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, agent_id, number),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id) ON DELETE CASCADE
);
-- Deferred: an agent and its first revision name each other.
ALTER TABLE agents ADD FOREIGN KEY (tenant_id, active_revision_id) REFERENCES agent_revisions (tenant_id, id)
    DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX agent_revisions_by_time ON agent_revisions (tenant_id, agent_id, created_at DESC, id DESC);

-- Mailboxes. A retired one keeps its row; its address may be connected again.
CREATE TABLE mailboxes (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    address text NOT NULL,
    address_key text NOT NULL,
    name text,
    provider text NOT NULL,
    enabled boolean NOT NULL,
    has_credentials boolean NOT NULL,
    phase text NOT NULL,
    connected_before boolean NOT NULL,
    halted boolean NOT NULL,
    message_count bigint NOT NULL,
    created_by uuid,
    agent_id uuid,
    agent_revision_id uuid,
    team_id uuid,
    team_revision_id uuid,
    default_signature_html text,
    capabilities text NOT NULL,
    external_account_id text,
    error_code text,
    error_message text,
    error_since timestamptz,
    last_synced_at timestamptz,
    sync_folder text,
    sync_done bigint NOT NULL,
    sync_total bigint NOT NULL,
    retired_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (agent_id IS NULL OR team_id IS NULL),
    FOREIGN KEY (tenant_id, created_by) REFERENCES members (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_revision_id) REFERENCES agent_revisions (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES agents (tenant_id, id),
    FOREIGN KEY (tenant_id, team_revision_id) REFERENCES agent_revisions (tenant_id, id)
);
CREATE UNIQUE INDEX mailboxes_by_address ON mailboxes (tenant_id, address_key) WHERE retired_at IS NULL;
CREATE INDEX mailboxes_by_time ON mailboxes (tenant_id, created_at DESC, id DESC);
CREATE INDEX mailboxes_by_member ON mailboxes (tenant_id, created_by);
CREATE INDEX mailboxes_by_agent ON mailboxes (tenant_id, agent_id);
CREATE INDEX mailboxes_by_agent_revision ON mailboxes (tenant_id, agent_revision_id);
CREATE INDEX mailboxes_by_team ON mailboxes (tenant_id, team_id);
CREATE INDEX mailboxes_by_team_revision ON mailboxes (tenant_id, team_revision_id);

CREATE TABLE mailbox_credentials (
    tenant_id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    service text NOT NULL CHECK (service IN ('imap', 'smtp')),
    host text NOT NULL,
    port integer NOT NULL,
    security text NOT NULL,
    username text NOT NULL,
    secret bytea NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id, service),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
);

-- Who syncs a mailbox. The epoch is the fence: every write of a sync names the one it was given.
CREATE TABLE mailbox_leases (
    tenant_id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    owner text,
    epoch bigint NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX mailbox_leases_by_owner ON mailbox_leases (owner, until);
CREATE INDEX mailbox_leases_by_time ON mailbox_leases (until);

CREATE TABLE folders (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    raw_name bytea NOT NULL,
    name text NOT NULL,
    delimiter text,
    role text,
    object_id text,
    uid_validity bigint NOT NULL,
    last_uid bigint NOT NULL,
    backfill_low bigint NOT NULL,
    highest_modseq bigint NOT NULL,
    message_count bigint NOT NULL,
    missing integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mailbox_id, raw_name),
    UNIQUE (tenant_id, mailbox_id, id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
);

-- Threads. A thread that was merged into another keeps its row, so that its id still resolves.
CREATE TABLE threads (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    subject text,
    message_count bigint NOT NULL,
    last_message_at timestamptz NOT NULL,
    merged_into uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, merged_into) REFERENCES threads (tenant_id, id)
);
CREATE INDEX threads_by_time ON threads (tenant_id, last_message_at DESC, id DESC) WHERE message_count > 0;
CREATE INDEX threads_by_mailbox ON threads (tenant_id, mailbox_id, last_message_at DESC, id DESC);
CREATE INDEX threads_merged ON threads (tenant_id, merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE thread_refs (
    tenant_id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    ref_hash bytea NOT NULL,
    thread_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id, ref_hash),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, thread_id) REFERENCES threads (tenant_id, id)
);
CREATE INDEX thread_refs_by_thread ON thread_refs (tenant_id, thread_id);

-- Messages. A deleted one is a tombstone until its days are over.
CREATE TABLE messages (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    dedupe_key bytea NOT NULL,
    message_id text,
    in_reply_to text,
    refs text NOT NULL,
    subject text,
    participants text NOT NULL,
    sent_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    snippet text NOT NULL,
    incoming boolean NOT NULL,
    unread boolean NOT NULL,
    flags text NOT NULL,
    folder_ids text NOT NULL,
    size bigint NOT NULL,
    truncated boolean NOT NULL,
    has_attachments boolean NOT NULL,
    sha256 bytea NOT NULL,
    in_blobs boolean NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mailbox_id, dedupe_key),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, thread_id) REFERENCES threads (tenant_id, id)
);
CREATE INDEX messages_by_time ON messages (tenant_id, received_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX messages_by_mailbox ON messages (tenant_id, mailbox_id, received_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX messages_by_thread ON messages (tenant_id, thread_id, sent_at, id);
CREATE INDEX messages_by_message_id ON messages (tenant_id, mailbox_id, message_id);
CREATE INDEX messages_deleted ON messages (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE message_bodies (
    tenant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    text text,
    html text,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);

-- The raw bytes of small messages, compressed with zstd; larger ones lie in the object store.
CREATE TABLE message_raws (
    tenant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);

-- Finds messages by the address of an author or a recipient.
CREATE TABLE message_addresses (
    tenant_id uuid NOT NULL,
    address_key text NOT NULL,
    kind text NOT NULL,
    message_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, address_key, kind, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX message_addresses_by_message ON message_addresses (tenant_id, message_id);

CREATE TABLE attachments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    message_id uuid NOT NULL,
    position integer NOT NULL,
    name text,
    content_type text NOT NULL,
    size bigint NOT NULL,
    inline boolean NOT NULL,
    content_id text,
    sha256 bytea NOT NULL,
    span_offset bigint NOT NULL,
    span_length bigint NOT NULL,
    encoding text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX attachments_by_mailbox ON attachments (tenant_id, mailbox_id);
CREATE INDEX attachments_by_message ON attachments (tenant_id, message_id, position);

-- Where a message lies on the server.
CREATE TABLE placements (
    tenant_id uuid NOT NULL,
    folder_id uuid NOT NULL,
    uid_validity bigint NOT NULL,
    uid bigint NOT NULL,
    mailbox_id uuid NOT NULL,
    message_id uuid NOT NULL,
    flags text NOT NULL,
    PRIMARY KEY (tenant_id, folder_id, uid_validity, uid),
    FOREIGN KEY (tenant_id, mailbox_id, folder_id) REFERENCES folders (tenant_id, mailbox_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX placements_by_message ON placements (tenant_id, message_id);

-- Messages that could not be stored, set aside so that they block nothing.
CREATE TABLE quarantine (
    tenant_id uuid NOT NULL,
    folder_id uuid NOT NULL,
    uid_validity bigint NOT NULL,
    uid bigint NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, folder_id, uid_validity, uid),
    FOREIGN KEY (tenant_id, folder_id) REFERENCES folders (tenant_id, id) ON DELETE CASCADE
);

-- Messages whose words are still to be indexed, written in the message's own transaction.
CREATE TABLE search_queue (
    tenant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    queued_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX search_queue_by_time ON search_queue (queued_at, tenant_id, message_id);

CREATE TABLE search_documents (
    tenant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX search_documents_words ON search_documents USING gin (words);
