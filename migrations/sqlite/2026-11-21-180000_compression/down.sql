-- SQLite compresses nothing itself: this is for PostgreSQL alone.
SELECT 1;
