-- What the sweep asks: which blobs a row names still, and which mailboxes were retired long ago.
CREATE INDEX messages_by_blob ON messages (tenant_id, sha256) WHERE in_blobs;
CREATE INDEX mailboxes_retired ON mailboxes (tenant_id, retired_at) WHERE retired_at IS NOT NULL;
