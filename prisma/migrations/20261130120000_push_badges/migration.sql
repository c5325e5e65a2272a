-- The number on the icon of an app becomes smaller when its user reads on another device.
ALTER TABLE "push_subscriptions" ADD COLUMN "badge" INTEGER NOT NULL DEFAULT 0;

CREATE TABLE "push_badge_jobs" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "user_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "due_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "push_badge_jobs_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "push_badge_jobs_due_at_idx" ON "push_badge_jobs"("due_at");
