-- Messages on their way from one folder to another: until then, one without a copy is not taken for deleted.
CREATE TABLE moves (
    tenant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    mailbox_id uuid NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX moves_by_mailbox ON moves (tenant_id, mailbox_id, until);
