-- CreateTable
CREATE TABLE "search_rebuilds" (
    "what" TEXT NOT NULL,
    "asked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "began_at" TIMESTAMPTZ(3),
    "done_to" UUID,
    "top" UUID,
    "before" UUID,

    CONSTRAINT "search_rebuilds_pkey" PRIMARY KEY ("what")
);

-- Texts are folded by other rules from here on. What is stored already is read again in the background, if there is any.
INSERT INTO "search_rebuilds" ("what") SELECT 'messages' WHERE EXISTS (SELECT FROM "messages");
INSERT INTO "search_rebuilds" ("what") SELECT 'people' WHERE EXISTS (SELECT FROM "users");
INSERT INTO "search_rebuilds" ("what") SELECT 'groups' WHERE EXISTS (SELECT FROM "conversations");
