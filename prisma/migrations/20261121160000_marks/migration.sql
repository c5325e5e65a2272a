-- CreateTable
CREATE TABLE "marks" (
    "conversation_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "start_seq" INTEGER NOT NULL DEFAULT 0,
    "delivered_seq" INTEGER NOT NULL DEFAULT 0,
    "read_seq" INTEGER NOT NULL DEFAULT 0,
    "delivered_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "read_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "xid" xid8 NOT NULL DEFAULT '0'::xid8,

    CONSTRAINT "marks_pkey" PRIMARY KEY ("conversation_id","user_id")
);

-- Whoever is in a conversation already has read it.
INSERT INTO "marks" ("conversation_id", "user_id", "delivered_seq", "read_seq")
SELECT m."conversation_id", m."user_id", c."latest_seq", c."latest_seq"
FROM "memberships" m JOIN "conversations" c ON c."id" = m."conversation_id";

-- CreateIndex
CREATE INDEX "marks_xid_idx" ON "marks"("xid");

-- One's own messages are not unread.
-- CreateIndex
CREATE INDEX "messages_conversation_id_sender_id_seq_idx" ON "messages"("conversation_id", "sender_id", "seq");

-- Nor are deleted ones, nor what no person wrote. Prisma knows no index on some of the rows.
CREATE INDEX "messages_uncounted_idx" ON "messages" ("conversation_id", "seq")
WHERE deleted_at IS NOT NULL OR kind <> 'USER';

-- AddForeignKey
ALTER TABLE "marks" ADD CONSTRAINT "marks_conversation_id_user_id_fkey" FOREIGN KEY ("conversation_id", "user_id") REFERENCES "memberships"("conversation_id", "user_id") ON DELETE CASCADE ON UPDATE CASCADE;
