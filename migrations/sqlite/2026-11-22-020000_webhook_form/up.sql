-- In which form an endpoint is sent events, `standard` or `plannr`; of the latter the events as its subscriber wrote them, a
-- JSON list of names; and when a request was last sent to it. The default is only for the rows that are there: SQLite adds no
-- column without one, and making the table anew would erase the deliveries that hang on it.
ALTER TABLE webhook_endpoints ADD COLUMN form TEXT NOT NULL DEFAULT 'standard';
ALTER TABLE webhook_endpoints ADD COLUMN events TEXT;
ALTER TABLE webhook_endpoints ADD COLUMN last_attempt_at INTEGER;
CREATE INDEX webhook_endpoints_of_plannr ON webhook_endpoints (tenant_id, created_at DESC, id DESC) WHERE form = 'plannr';
