-- What has still to be put into the index.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "messages_unindexed_idx" ON "messages" ("id") WHERE search IS NULL AND text IS NOT NULL;
