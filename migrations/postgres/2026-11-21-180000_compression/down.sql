ALTER TABLE message_raws ALTER COLUMN data SET STORAGE EXTENDED;
DO $$
BEGIN
    EXECUTE 'ALTER TABLE search_documents ALTER COLUMN words SET COMPRESSION default';
    EXECUTE 'ALTER TABLE message_bodies ALTER COLUMN text SET COMPRESSION default, ALTER COLUMN html SET COMPRESSION default';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    NULL;
END
$$;
