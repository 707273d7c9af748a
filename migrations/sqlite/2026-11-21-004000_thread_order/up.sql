-- Places in a thread are counted over the index alone: it tells tombstones apart, too.
DROP INDEX messages_by_thread;
CREATE INDEX messages_by_thread ON messages (tenant_id, thread_id, sent_at, id, deleted_at);
