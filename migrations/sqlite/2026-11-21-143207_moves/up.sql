-- Messages on their way from one folder to another: until then, one without a copy is not taken for deleted.
CREATE TABLE moves (
    tenant_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX moves_by_mailbox ON moves (tenant_id, mailbox_id, until);
