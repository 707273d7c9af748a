-- What PostgreSQL itself compresses: texts and words with LZ4, which costs a fraction of its older way, where the server
-- was built with it and knows it (14); raw bytes are compressed already. It holds for what is written from now on.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE message_bodies ALTER COLUMN text SET COMPRESSION lz4, ALTER COLUMN html SET COMPRESSION lz4';
    EXECUTE 'ALTER TABLE search_documents ALTER COLUMN words SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    RAISE NOTICE 'this server has no LZ4';
END
$$;
ALTER TABLE message_raws ALTER COLUMN data SET STORAGE EXTERNAL;
