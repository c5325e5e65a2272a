-- AlterTable
ALTER TABLE "conversations" ADD COLUMN     "search_words" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- Titles of before are found by their whole words, without regard to case; from their next change on like all others.
UPDATE "conversations" SET "search_words" = regexp_split_to_array(lower(btrim("title")), '\s+') WHERE "title" IS NOT NULL;

-- The list of public groups and the search in it. Prisma knows neither indexes on some of the rows nor on expressions.
CREATE INDEX "conversations_public_idx" ON "conversations" ("last_activity_at" DESC, "id" DESC) WHERE visibility = 'PUBLIC';
CREATE INDEX "conversations_search_words_idx" ON "conversations" USING GIN (array_to_tsvector("search_words"))
WHERE visibility = 'PUBLIC';
