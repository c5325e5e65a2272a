ALTER TABLE "calls" ADD COLUMN "sfu_room" TEXT;

CREATE TABLE "call_sfu_tasks" (
    "id" UUID NOT NULL,
    "room" TEXT NOT NULL,
    "party_id" UUID,
    "tokens_until" TIMESTAMPTZ(3) NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "failures" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "call_sfu_tasks_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "call_sfu_tasks_due_at_idx" ON "call_sfu_tasks"("due_at");
