DROP INDEX mailboxes_by_facts;
DROP INDEX webhook_endpoints_failing;
