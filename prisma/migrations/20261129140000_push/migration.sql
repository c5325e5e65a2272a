CREATE TYPE "PushKind" AS ENUM ('WEB', 'GATEWAY');

CREATE TABLE "push_subscriptions" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "kind" "PushKind" NOT NULL,
    "app_id" TEXT NOT NULL DEFAULT '',
    "endpoint" TEXT NOT NULL,
    "p256dh" BYTEA,
    "auth" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "last_succeeded_at" TIMESTAMPTZ(3),
    "failures" INTEGER NOT NULL DEFAULT 0,
    "paused_until" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity'::timestamp with time zone,

    CONSTRAINT "push_subscriptions_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "push_subscriptions_app_id_endpoint_key" ON "push_subscriptions"("app_id", "endpoint");
CREATE INDEX "push_subscriptions_user_id_idx" ON "push_subscriptions"("user_id");
CREATE INDEX "push_subscriptions_session_id_idx" ON "push_subscriptions"("session_id");

CREATE TABLE "push_jobs" (
    "subscription_id" UUID NOT NULL,
    "collapse_key" TEXT NOT NULL,
    "conversation_id" UUID NOT NULL,
    "from_seq" INTEGER NOT NULL,
    "to_seq" INTEGER NOT NULL,
    "is_mention" BOOLEAN NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "tries" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "due_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "claimed_until" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity'::timestamp with time zone,

    CONSTRAINT "push_jobs_pkey" PRIMARY KEY ("subscription_id", "collapse_key")
);
CREATE INDEX "push_jobs_due_at_idx" ON "push_jobs"("due_at");
ALTER TABLE "push_jobs" ADD CONSTRAINT "push_jobs_subscription_id_fkey"
  FOREIGN KEY ("subscription_id") REFERENCES "push_subscriptions"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "server_keys" (
    "name" TEXT NOT NULL,
    "value" JSONB NOT NULL,

    CONSTRAINT "server_keys_pkey" PRIMARY KEY ("name")
);
