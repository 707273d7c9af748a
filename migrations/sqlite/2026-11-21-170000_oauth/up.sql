-- A login has a password or the tokens of OAuth 2.0. SQLite adds no column without a default: the table is made anew.
CREATE TABLE new_credentials (
    tenant_id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    service TEXT NOT NULL CHECK (service IN ('imap', 'smtp')),
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    security TEXT NOT NULL,
    username TEXT NOT NULL,
    auth TEXT NOT NULL CHECK (auth IN ('password', 'oauth2')),
    secret BLOB NOT NULL,
    PRIMARY KEY (tenant_id, mailbox_id, service),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailboxes (tenant_id, id) ON DELETE CASCADE
) STRICT;
INSERT INTO new_credentials
SELECT tenant_id, mailbox_id, service, host, port, security, username, 'password', secret FROM mailbox_credentials;
DROP TABLE mailbox_credentials;
ALTER TABLE new_credentials RENAME TO mailbox_credentials;
