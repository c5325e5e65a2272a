ALTER TABLE "account_keys" ADD COLUMN "device_list" BYTEA,
ADD COLUMN "device_list_version" INTEGER NOT NULL DEFAULT 0;
