CREATE TABLE "notifier_steps" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "message_ids" UUID[] NOT NULL,

    CONSTRAINT "notifier_steps_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "notifier_steps_at_idx" ON "notifier_steps"("at");

CREATE TABLE "past_notification_levels" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "user_id" UUID NOT NULL,
    "conversation_id" UUID,
    "level" "NotificationLevel",
    "muted_until" TIMESTAMPTZ(3),
    "until" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "past_notification_levels_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "past_notification_levels_user_id_until_idx" ON "past_notification_levels"("user_id", "until");
CREATE INDEX "past_notification_levels_until_idx" ON "past_notification_levels"("until");

-- For nodes of version 0.1.0: see the migration of the notification settings.
CREATE OR REPLACE FUNCTION delete_notification_settings_of_account() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM notification_settings WHERE user_id = NEW.id;
  DELETE FROM notification_occurrences WHERE user_id = NEW.id;
  DELETE FROM notifications WHERE user_id = NEW.id;
  DELETE FROM push_records WHERE user_id = NEW.id;
  DELETE FROM past_notification_levels WHERE user_id = NEW.id;
  RETURN NULL;
END $$;
