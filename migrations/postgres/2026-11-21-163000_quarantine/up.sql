-- When a message that was set aside was last tried; NULL is due at once.
ALTER TABLE quarantine ADD COLUMN tried_at timestamptz;
