-- The processes that share the database, of which an embedded one has one: each says that it lives when it renews its
-- leases. A row that ran out is nobody.
CREATE TABLE nodes (
    name TEXT NOT NULL PRIMARY KEY,
    -- Whether it syncs mailboxes, and so many it holds.
    worker INTEGER NOT NULL,
    held INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX nodes_by_time ON nodes (until);
