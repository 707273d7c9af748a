-- A login has a password or the tokens of OAuth 2.0. The default is only for the rows that are there.
ALTER TABLE mailbox_credentials
    ADD COLUMN auth text NOT NULL DEFAULT 'password' CHECK (auth IN ('password', 'oauth2'));
ALTER TABLE mailbox_credentials ALTER COLUMN auth DROP DEFAULT;
