-- Undoes it. What is signed in another form cannot be sent without it.
DELETE FROM webhook_endpoints WHERE form <> 'standard';
DROP INDEX webhook_endpoints_of_plannr;
ALTER TABLE webhook_endpoints DROP COLUMN last_attempt_at;
ALTER TABLE webhook_endpoints DROP COLUMN events;
ALTER TABLE webhook_endpoints DROP COLUMN form;
