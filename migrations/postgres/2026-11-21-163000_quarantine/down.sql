ALTER TABLE quarantine DROP COLUMN tried_at;
