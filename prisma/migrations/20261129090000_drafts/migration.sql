-- A draft is private to a member: the change log only has, in the log of the person, that one was saved or deleted.
CREATE TABLE "drafts" (
    "membership_id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "text" TEXT NOT NULL,
    "reply_to_seq" INTEGER,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "drafts_pkey" PRIMARY KEY ("membership_id")
);
CREATE INDEX "drafts_user_id_idx" ON "drafts"("user_id");
ALTER TABLE "drafts" ADD CONSTRAINT "drafts_membership_id_fkey"
  FOREIGN KEY ("membership_id") REFERENCES "memberships"("id") ON DELETE CASCADE ON UPDATE CASCADE;
