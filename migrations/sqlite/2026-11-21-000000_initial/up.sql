-- Tenants and who may act in them.
CREATE TABLE tenants (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    profile TEXT NOT NULL,
    data_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tenants_by_time ON tenants (created_at DESC, id DESC);

CREATE TABLE members (
    tenant_id BLOB NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email_key)
) STRICT;
CREATE INDEX members_by_time ON members (tenant_id, created_at DESC, id DESC);

CREATE TABLE api_keys (
    tenant_id BLOB NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    lookup TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    member_id BLOB,
    expires_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX api_keys_by_time ON api_keys (tenant_id, created_at DESC, id DESC);
CREATE INDEX api_keys_by_member ON api_keys (tenant_id, member_id);

-- Agents and teams: one shape, told apart by kind.
CREATE TABLE agents (
    tenant_id BLOB NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('agent', 'team')),
    name TEXT NOT NULL,
    active_revision_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    -- Deferred: an agent and its first revision name each other.
    FOREIGN KEY (tenant_id, active_revision_id) REFERENCES agent_revisions (tenant_id, id)
        DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE INDEX agents_by_revision ON agents (tenant_id, active_revision_id);
CREATE INDEX agents_by_time ON agents (tenant_id, kind, created_at DESC, id DESC);

CREATE TABLE agent_revisions (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    agent_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, agent_id, number),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX agent_revisions_by_time ON agent_revisions (tenant_id, agent_id, created_at DESC, id DESC);

-- Mailboxes. A retired one keeps its row; its address may be connected again.
CREATE TABLE mailboxes (
    tenant_id BLOB NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL,
    name TEXT,
    provider TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    has_credentials INTEGER NOT NULL,
    phase TEXT NOT NULL,
    connected_before INTEGER NOT NULL,
    halted INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    created_by BLOB,
    agent_id BLOB,
    agent_revision_id BLOB,
    team_id BLOB,
    team_revision_id BLOB,
    default_signature_html TEXT,
    capabilities TEXT NOT NULL,
    external_account_id TEXT,
    error_code TEXT,
    error_message TEXT,
    error_since INTEGER,
    last_synced_at INTEGER,
    sync_folder TEXT,
    sync_done INTEGER NOT NULL,
    sync_total INTEGER NOT NULL,
    retired_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (agent_id IS NULL OR team_id IS NULL),
    FOREIGN KEY (tenant_id, created_by) REFERENCES members (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id),
    FOREIGN KEY (tenant_id, agent_revision_id) REFERENCES agent_revisions (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES agents (tenant_id, id),
    FOREIGN KEY (tenant_id, team_revision_id) REFERENCES agent_revisions (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX mailboxes_by_address ON mailboxes (tenant_id, address_key) WHERE retired_at IS NULL;
CREATE INDEX mailboxes_by_time ON mailboxes (tenant_id, created_at DESC, id DESC);
CREATE INDEX mailboxes_by_member ON mailboxes (tenant_id, created_by);
CREATE INDEX mailboxes_by_agent ON mailboxes (tenant_id, agent_id);
CREATE INDEX mailboxes_by_agent_revision ON mailboxes (tenant_id, agent_revision_id);
CREATE INDEX mailboxes_by_team ON mailboxes (tenant_id, team_id);
CREATE INDEX mailboxes_by_team_revision ON mailboxes (tenant_id, team_revision_id);

CREATE TABLE mailbox_credentials (
    tenant_id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    service TEXT NOT NULL CHECK (service IN ('imap', 'smtp')),
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    security TEXT NOT NULL,
    username TEXT NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id, service),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- Who syncs a mailbox. The epoch is the fence: every write of a sync names the one it was given.
CREATE TABLE mailbox_leases (
    tenant_id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    owner TEXT,
    epoch INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX mailbox_leases_by_owner ON mailbox_leases (owner, until);
CREATE INDEX mailbox_leases_by_time ON mailbox_leases (until);

CREATE TABLE folders (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    raw_name BLOB NOT NULL,
    name TEXT NOT NULL,
    delimiter TEXT,
    role TEXT,
    object_id TEXT,
    uid_validity INTEGER NOT NULL,
    last_uid INTEGER NOT NULL,
    backfill_low INTEGER NOT NULL,
    highest_modseq INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mailbox_id, raw_name),
    UNIQUE (tenant_id, mailbox_id, id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- Threads. A thread that was merged into another keeps its row, so that its id still resolves.
CREATE TABLE threads (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    subject TEXT,
    message_count INTEGER NOT NULL,
    last_message_at INTEGER NOT NULL,
    merged_into BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, merged_into) REFERENCES threads (tenant_id, id)
) STRICT;
CREATE INDEX threads_by_time ON threads (tenant_id, last_message_at DESC, id DESC) WHERE message_count > 0;
CREATE INDEX threads_by_mailbox ON threads (tenant_id, mailbox_id, last_message_at DESC, id DESC);
CREATE INDEX threads_merged ON threads (tenant_id, merged_into) WHERE merged_into IS NOT NULL;

-- Rows of a few words lie in the tree of their key: a page less to write for each. Not where SQLite would then read all of a
-- tenant's rows instead of the index that it should.
CREATE TABLE thread_refs (
    tenant_id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    ref_hash BLOB NOT NULL,
    thread_id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id, ref_hash),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, thread_id) REFERENCES threads (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX thread_refs_by_thread ON thread_refs (tenant_id, thread_id);

-- Messages. A deleted one is a tombstone until its days are over.
CREATE TABLE messages (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    thread_id BLOB NOT NULL,
    dedupe_key BLOB NOT NULL,
    message_id TEXT,
    in_reply_to TEXT,
    refs TEXT NOT NULL,
    subject TEXT,
    participants TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    snippet TEXT NOT NULL,
    incoming INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    flags TEXT NOT NULL,
    folder_ids TEXT NOT NULL,
    size INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    has_attachments INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    in_blobs INTEGER NOT NULL,
    deleted_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mailbox_id, dedupe_key),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, thread_id) REFERENCES threads (tenant_id, id)
) STRICT;
CREATE INDEX messages_by_time ON messages (tenant_id, received_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX messages_by_mailbox ON messages (tenant_id, mailbox_id, received_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX messages_by_thread ON messages (tenant_id, thread_id, sent_at, id);
CREATE INDEX messages_by_message_id ON messages (tenant_id, mailbox_id, message_id);
CREATE INDEX messages_deleted ON messages (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE message_bodies (
    tenant_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    text TEXT,
    html TEXT,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- The raw bytes of small messages, compressed with zstd; larger ones lie in the object store.
CREATE TABLE message_raws (
    tenant_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- Finds messages by the address of an author or a recipient.
CREATE TABLE message_addresses (
    tenant_id BLOB NOT NULL,
    address_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    message_id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, address_key, kind, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX message_addresses_by_message ON message_addresses (tenant_id, message_id);

CREATE TABLE attachments (
    tenant_id BLOB NOT NULL,
    id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    name TEXT,
    content_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    inline INTEGER NOT NULL,
    content_id TEXT,
    sha256 BLOB NOT NULL,
    span_offset INTEGER NOT NULL,
    span_length INTEGER NOT NULL,
    encoding TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX attachments_by_mailbox ON attachments (tenant_id, mailbox_id);
CREATE INDEX attachments_by_message ON attachments (tenant_id, message_id, position);

-- Where a message lies on the server.
CREATE TABLE placements (
    tenant_id BLOB NOT NULL,
    folder_id BLOB NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    mailbox_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    flags TEXT NOT NULL,
    PRIMARY KEY (tenant_id, folder_id, uid_validity, uid),
    FOREIGN KEY (tenant_id, mailbox_id, folder_id) REFERENCES folders (tenant_id, mailbox_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX placements_by_message ON placements (tenant_id, message_id);

-- Messages that could not be stored, set aside so that they block nothing.
CREATE TABLE quarantine (
    tenant_id BLOB NOT NULL,
    folder_id BLOB NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, folder_id, uid_validity, uid),
    FOREIGN KEY (tenant_id, folder_id) REFERENCES folders (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Messages whose words are still to be indexed, written in the message's own transaction.
CREATE TABLE search_queue (
    tenant_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    queued_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX search_queue_by_time ON search_queue (queued_at, tenant_id, message_id);

-- The full-text table keeps no text of its own; `docid` ties its rows to messages. Every MATCH names the tenant.
CREATE TABLE search_documents (
    docid INTEGER NOT NULL PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    UNIQUE (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT;
CREATE VIRTUAL TABLE search_words USING fts5 (
    tenant, subject, participants, body,
    content = '', contentless_delete = 1, tokenize = 'ascii'
);
-- A virtual table has no foreign keys: this is its ON DELETE CASCADE.
CREATE TRIGGER search_documents_gone AFTER DELETE ON search_documents BEGIN
    DELETE FROM search_words WHERE rowid = old.docid;
END;
