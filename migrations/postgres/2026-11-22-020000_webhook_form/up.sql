-- In which form an endpoint is sent events, `standard` or `plannr`; of the latter the events as its subscriber wrote them, a
-- JSON list of names; and when a request was last sent to it. The default is only for the rows that are there.
ALTER TABLE webhook_endpoints ADD COLUMN form text NOT NULL DEFAULT 'standard';
ALTER TABLE webhook_endpoints ALTER COLUMN form DROP DEFAULT;
ALTER TABLE webhook_endpoints ADD COLUMN events text;
ALTER TABLE webhook_endpoints ADD COLUMN last_attempt_at timestamptz;
CREATE INDEX webhook_endpoints_of_plannr ON webhook_endpoints (tenant_id, created_at DESC, id DESC) WHERE form = 'plannr';
