-- The outcomes of pushes, for `notificationTrace`. The rows have no foreign keys, because what they refer to can be deleted before
-- them. They are deleted with the account and after NOTIFICATION_TRACE_RETENTION.
CREATE TABLE "push_records" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "user_id" UUID NOT NULL,
    "subscription_id" UUID NOT NULL,
    "kind" "PushKind" NOT NULL,
    "conversation_id" UUID NOT NULL,
    "from_seq" INTEGER NOT NULL,
    "to_seq" INTEGER NOT NULL,
    "result" TEXT NOT NULL,
    "seqs" INTEGER[] NOT NULL DEFAULT '{}',
    "read_seq" INTEGER,
    "tries" INTEGER NOT NULL,
    "waits" TEXT[] NOT NULL,
    "queued_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "push_records_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "push_records_user_id_conversation_id_to_seq_idx" ON "push_records"("user_id", "conversation_id", "to_seq");
CREATE INDEX "push_records_ended_at_idx" ON "push_records"("ended_at");

ALTER TABLE "push_jobs" ADD COLUMN "waits" TEXT[] NOT NULL DEFAULT '{}';
