-- Undoes it. What logs in by tokens cannot log in without them.
DELETE FROM mailbox_credentials WHERE auth <> 'password';
ALTER TABLE mailbox_credentials DROP COLUMN auth;
