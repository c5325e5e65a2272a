-- By itself, for it runs in no transaction: while it is made, messages are sent. Without a list of what is pending, which
-- every search would have to read, and some sends to clear.
CREATE INDEX CONCURRENTLY IF NOT EXISTS "messages_search_idx" ON "messages" USING GIN ("search") WITH (fastupdate = off)
WHERE search IS NOT NULL;
