ALTER TABLE "notification_settings" ADD COLUMN "locale" TEXT;
