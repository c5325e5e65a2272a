-- All of it is quick, for it locks out readers: what takes longer is in the next migration.
-- AlterTable
ALTER TABLE "messages" ADD COLUMN     "pinned_at" TIMESTAMPTZ(3),
ADD COLUMN     "reply_to_seq" INTEGER;

-- CreateTable
CREATE TABLE "message_versions" (
    "message_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "written_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "message_versions_pkey" PRIMARY KEY ("message_id","number")
);

-- CreateTable
CREATE TABLE "reaction_groups" (
    "message_id" UUID NOT NULL,
    "emoji" TEXT NOT NULL,
    "count" INTEGER NOT NULL,
    "since_change_seq" INTEGER NOT NULL,

    CONSTRAINT "reaction_groups_pkey" PRIMARY KEY ("message_id","emoji")
);

-- CreateTable
CREATE TABLE "reactions" (
    "message_id" UUID NOT NULL,
    "emoji" TEXT NOT NULL,
    "user_id" UUID NOT NULL,
    "change_seq" INTEGER NOT NULL,

    CONSTRAINT "reactions_pkey" PRIMARY KEY ("user_id","message_id","emoji")
);

-- CreateIndex
CREATE INDEX "reactions_message_id_emoji_change_seq_idx" ON "reactions"("message_id", "emoji", "change_seq");

-- AddForeignKey
ALTER TABLE "message_versions" ADD CONSTRAINT "message_versions_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "messages"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "reaction_groups" ADD CONSTRAINT "reaction_groups_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "messages"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "reactions" ADD CONSTRAINT "reactions_message_id_emoji_fkey" FOREIGN KEY ("message_id", "emoji") REFERENCES "reaction_groups"("message_id", "emoji") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "reactions" ADD CONSTRAINT "reactions_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
