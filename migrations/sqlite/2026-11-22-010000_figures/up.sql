-- What an operator counts, of any tenant.
CREATE INDEX mailboxes_by_facts ON mailboxes (enabled, has_credentials, connected_before, phase) WHERE retired_at IS NULL;
CREATE INDEX webhook_endpoints_failing ON webhook_endpoints (failing_since) WHERE failing_since IS NOT NULL;
