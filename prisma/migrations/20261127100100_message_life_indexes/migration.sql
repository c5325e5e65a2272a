-- Each of these reads a whole table. Until they are done nobody can send, and everyone can read.
-- Few messages are answers or pinned, few members do not see all. Prisma knows no index on some of the rows.
CREATE INDEX "messages_replies_idx" ON "messages" ("conversation_id", "reply_to_seq", "seq", "deleted_at")
WHERE reply_to_seq IS NOT NULL;
CREATE INDEX "messages_pinned_idx" ON "messages" ("conversation_id", "pinned_at") WHERE pinned_at IS NOT NULL;
CREATE INDEX "memberships_hidden_idx" ON "memberships" ("conversation_id", "hidden_to_seq") WHERE hidden_to_seq > 0;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_conversation_id_reply_to_seq_fkey" FOREIGN KEY ("conversation_id", "reply_to_seq") REFERENCES "messages"("conversation_id", "seq") ON DELETE NO ACTION ON UPDATE NO ACTION;
