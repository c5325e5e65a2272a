-- The rows only have ids of messages and conversations, without foreign keys: the notifier removes what refers to something that
-- no longer exists, and a send must not wait for it.
CREATE TYPE "NotificationKind" AS ENUM ('MENTION', 'REPLY', 'REACTION', 'ADDED_TO_GROUP', 'MISSED_CALL');

CREATE TABLE "notifications" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "kind" "NotificationKind" NOT NULL,
    "collapse_id" UUID NOT NULL,
    "conversation_id" UUID,
    "seq" INTEGER,
    "actor_ids" UUID[] NOT NULL,
    "count" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "read_at" TIMESTAMPTZ(3),

    CONSTRAINT "notifications_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "notifications_user_id_kind_collapse_id_key" ON "notifications"("user_id", "kind", "collapse_id");
CREATE INDEX "notifications_user_id_created_at_id_idx" ON "notifications"("user_id", "created_at", "id");
CREATE INDEX "notifications_created_at_idx" ON "notifications"("created_at");
CREATE INDEX "notifications_unread_idx" ON "notifications"("user_id", "conversation_id") WHERE "read_at" IS NULL;

CREATE TABLE "notification_occurrences" (
    "subject_id" UUID NOT NULL,
    "kind" "NotificationKind" NOT NULL,
    "user_id" UUID NOT NULL,
    "actor_id" UUID NOT NULL,
    "collapse_id" UUID NOT NULL,
    "conversation_id" UUID,
    "seq" INTEGER,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "notification_occurrences_pkey" PRIMARY KEY ("subject_id", "kind", "user_id", "actor_id")
);
CREATE INDEX "notification_occurrences_user_id_kind_collapse_id_at_idx"
  ON "notification_occurrences"("user_id", "kind", "collapse_id", "at");

CREATE TABLE "notifier_state" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "generation" TEXT,
    "seen" TEXT,
    "target" TEXT,
    "after_xid" TEXT,
    "after_log_id" UUID,
    "after_change_seq" INTEGER,
    "claimed_by" TEXT,
    "claimed_until" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity',

    CONSTRAINT "notifier_state_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "notifier_state_one_row" CHECK (id = 1)
);
INSERT INTO "notifier_state" DEFAULT VALUES;

-- For nodes of version 0.1.0: see the migration of the notification settings.
CREATE OR REPLACE FUNCTION delete_notification_settings_of_account() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM notification_settings WHERE user_id = NEW.id;
  DELETE FROM notification_occurrences WHERE user_id = NEW.id;
  DELETE FROM notifications WHERE user_id = NEW.id;
  RETURN NULL;
END $$;
