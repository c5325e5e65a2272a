-- AlterTable
ALTER TABLE "messages" ADD COLUMN "mentioned_ids" UUID[] NOT NULL DEFAULT ARRAY[]::UUID[],
ADD COLUMN "mentions_everyone" BOOLEAN NOT NULL DEFAULT false;

-- Those that name everyone need no row for each member. Prisma knows no index on some of the rows. None of them does so
-- yet, but to find that out all messages are read, and until then nobody can send.
CREATE INDEX "messages_to_everyone_idx" ON "messages" ("conversation_id", "seq") WHERE mentions_everyone;

-- CreateTable
CREATE TABLE "mentions" (
    "conversation_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "user_id" UUID NOT NULL,

    CONSTRAINT "mentions_pkey" PRIMARY KEY ("conversation_id","seq","user_id")
);

-- CreateIndex
CREATE INDEX "mentions_user_id_conversation_id_seq_idx" ON "mentions"("user_id", "conversation_id", "seq");

-- AddForeignKey
ALTER TABLE "mentions" ADD CONSTRAINT "mentions_conversation_id_seq_fkey" FOREIGN KEY ("conversation_id", "seq") REFERENCES "messages"("conversation_id", "seq") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "mentions" ADD CONSTRAINT "mentions_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
