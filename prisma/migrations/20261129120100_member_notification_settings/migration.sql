-- Deleted with the membership: whoever joins again begins with the defaults.
CREATE TABLE "member_notification_settings" (
    "membership_id" UUID NOT NULL,
    "level" "NotificationLevel",
    "muted_until" TIMESTAMPTZ(3),

    CONSTRAINT "member_notification_settings_pkey" PRIMARY KEY ("membership_id")
);
ALTER TABLE "member_notification_settings" ADD CONSTRAINT "member_notification_settings_membership_id_fkey"
  FOREIGN KEY ("membership_id") REFERENCES "memberships"("id") ON DELETE CASCADE ON UPDATE CASCADE;
