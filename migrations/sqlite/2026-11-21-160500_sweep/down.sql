DROP INDEX mailboxes_retired;
DROP INDEX messages_by_blob;
