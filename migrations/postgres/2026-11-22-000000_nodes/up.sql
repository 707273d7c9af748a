-- The processes that share the database: each says that it lives when it renews its leases. A row that ran out is nobody.
CREATE TABLE nodes (
    name text NOT NULL PRIMARY KEY,
    -- Whether it syncs mailboxes, and so many it holds.
    worker boolean NOT NULL,
    held bigint NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX nodes_by_time ON nodes (until);
