-- Undoes it. What logs in by tokens cannot log in without them.
DELETE FROM mailbox_credentials WHERE auth <> 'password';
CREATE TABLE old_credentials (
    tenant_id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    service TEXT NOT NULL CHECK (service IN ('imap', 'smtp')),
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    security TEXT NOT NULL,
    username TEXT NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id, service),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
) STRICT;
INSERT INTO old_credentials
SELECT tenant_id, mailbox_id, service, host, port, security, username, secret FROM mailbox_credentials;
DROP TABLE mailbox_credentials;
ALTER TABLE old_credentials RENAME TO mailbox_credentials;
