DROP TABLE events;
DROP TABLE event_counters;
ALTER TABLE mailboxes DROP COLUMN backfilled_at;
ALTER TABLE mailboxes DROP COLUMN event_sequence;
