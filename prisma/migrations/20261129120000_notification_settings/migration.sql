CREATE TYPE "NotificationLevel" AS ENUM ('ALL', 'MENTIONS', 'NONE');
CREATE TYPE "PushPreview" AS ENUM ('FULL', 'SENDER', 'NOTHING');

CREATE TABLE "notification_settings" (
    "user_id" UUID NOT NULL,
    "default_level" "NotificationLevel",
    "do_not_disturb_until" TIMESTAMPTZ(3),
    "quiet_from" TEXT,
    "quiet_to" TEXT,
    "quiet_time_zone" TEXT,
    "push_preview" "PushPreview",
    "email_digest" BOOLEAN,

    CONSTRAINT "notification_settings_pkey" PRIMARY KEY ("user_id"),
    CONSTRAINT "notification_settings_quiet_hours" CHECK (num_nulls("quiet_from", "quiet_to", "quiet_time_zone") IN (0, 3))
);
ALTER TABLE "notification_settings" ADD CONSTRAINT "notification_settings_user_id_fkey"
  FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Nodes of version 0.1.0 do not know these settings: during a rolling upgrade, this trigger deletes them with the account. It
-- can be dropped when the upgrade from 0.1.0 is no longer supported.
CREATE FUNCTION delete_notification_settings_of_account() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM notification_settings WHERE user_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER delete_notification_settings_of_account AFTER UPDATE OF deleted_at ON "users" FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
  EXECUTE FUNCTION delete_notification_settings_of_account();
