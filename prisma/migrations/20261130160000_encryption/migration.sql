CREATE TABLE "devices" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "session_id" UUID,
    "name" TEXT,
    "signature_key" BYTEA NOT NULL,
    "certificate" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "devices_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "devices_signature_key_key" ON "devices"("signature_key");

CREATE INDEX "devices_user_id_idx" ON "devices"("user_id");

CREATE INDEX "devices_session_id_idx" ON "devices"("session_id");

CREATE TABLE "key_packages" (
    "device_id" UUID NOT NULL,
    "hash" BYTEA NOT NULL,
    "content" BYTEA,
    "last_resort" BOOLEAN NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "key_packages_pkey" PRIMARY KEY ("device_id","hash")
);

-- Those that can be given out, in the order in which they are.
CREATE INDEX "key_packages_available_idx" ON "key_packages"("device_id", "last_resort", "created_at", "hash") WHERE "content" IS NOT NULL;

CREATE INDEX "key_packages_created_at_idx" ON "key_packages"("created_at");

ALTER TABLE "key_packages" ADD CONSTRAINT "key_packages_device_id_fkey" FOREIGN KEY ("device_id") REFERENCES "devices"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "account_keys" (
    "user_id" UUID NOT NULL,
    "identity_key" BYTEA NOT NULL,
    "history_key" BYTEA NOT NULL,
    "signature" BYTEA NOT NULL,
    "vault" BYTEA NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "account_keys_pkey" PRIMARY KEY ("user_id")
);

CREATE TABLE "group_states" (
    "conversation_id" UUID NOT NULL,
    "group_info" BYTEA NOT NULL,

    CONSTRAINT "group_states_pkey" PRIMARY KEY ("conversation_id")
);

CREATE TABLE "group_commits" (
    "id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "generation" INTEGER NOT NULL,
    "epoch" INTEGER NOT NULL,
    "device_id" UUID NOT NULL,
    "commit" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "group_commits_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "group_commits_conversation_id_generation_epoch_key" ON "group_commits"("conversation_id", "generation", "epoch");

CREATE TABLE "group_devices" (
    "conversation_id" UUID NOT NULL,
    "device_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "since_epoch" INTEGER NOT NULL,
    "welcome" BYTEA,
    "leaving" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "group_devices_pkey" PRIMARY KEY ("conversation_id","device_id")
);

CREATE INDEX "group_devices_device_id_idx" ON "group_devices"("device_id");

-- The devices that a commit must remove before the next message. Every encrypted send looks for one.
CREATE INDEX "group_devices_leaving_idx" ON "group_devices"("conversation_id") WHERE "leaving";

CREATE TABLE "sealed_keys" (
    "user_id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "generation" INTEGER NOT NULL,
    "epoch" INTEGER NOT NULL,
    "sealed" BYTEA NOT NULL,

    CONSTRAINT "sealed_keys_pkey" PRIMARY KEY ("user_id","conversation_id","generation","epoch")
);

-- A device must leave its groups when it ends, in whichever way. One that is registered again stays in the groups that
-- have not removed it yet: no message was sent in them meanwhile.
CREATE FUNCTION mark_groups_of_device() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  UPDATE group_devices SET leaving = NEW.ended_at IS NOT NULL OR NOT EXISTS (
    SELECT FROM memberships
    WHERE memberships.conversation_id = group_devices.conversation_id AND memberships.user_id = group_devices.user_id
  )
  WHERE device_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER mark_groups_of_device AFTER UPDATE OF ended_at ON "devices" FOR EACH ROW
  WHEN ((OLD.ended_at IS NULL) <> (NEW.ended_at IS NULL)) EXECUTE FUNCTION mark_groups_of_device();
