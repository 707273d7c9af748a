DROP INDEX messages_by_thread;
CREATE INDEX messages_by_thread ON messages (tenant_id, thread_id, sent_at, id);
