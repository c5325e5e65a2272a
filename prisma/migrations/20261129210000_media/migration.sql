CREATE TYPE "AttachmentKind" AS ENUM ('IMAGE', 'VIDEO', 'AUDIO', 'VOICE', 'FILE');
CREATE TYPE "AttachmentState" AS ENUM ('UPLOADING', 'PROCESSING', 'READY', 'REJECTED');

CREATE TABLE "attachments" (
    "id" UUID NOT NULL,
    "uploader_id" UUID NOT NULL,
    "client_upload_id" TEXT NOT NULL,
    "input_hash" BYTEA NOT NULL,
    "kind" "AttachmentKind" NOT NULL,
    "state" "AttachmentState" NOT NULL DEFAULT 'UPLOADING',
    "filename" TEXT NOT NULL,
    "content_type" TEXT NOT NULL,
    "byte_size" INTEGER NOT NULL,
    "sha256" BYTEA,
    "part_bytes" INTEGER NOT NULL,
    "store_key" TEXT NOT NULL,
    "width" INTEGER,
    "height" INTEGER,
    "duration_ms" INTEGER,
    "thumb_hash" TEXT,
    "waveform" INTEGER[] DEFAULT ARRAY[]::INTEGER[],
    "alt_text" TEXT,
    "variants" JSONB NOT NULL DEFAULT '[]',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "expires_at" TIMESTAMPTZ(3),
    "message_id" UUID,
    "conversation_id" UUID,
    "seq" INTEGER,
    "position" INTEGER NOT NULL DEFAULT 0,
    "claimed_until" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    "tries" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "attachments_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "attachments_store_key_key" ON "attachments"("store_key");
CREATE UNIQUE INDEX "attachments_uploader_id_client_upload_id_key" ON "attachments"("uploader_id", "client_upload_id");
CREATE INDEX "attachments_message_id_idx" ON "attachments"("message_id");
CREATE INDEX "attachments_conversation_id_seq_idx" ON "attachments"("conversation_id", "seq");
CREATE INDEX "attachments_expires_at_idx" ON "attachments"("expires_at");
-- For the few attachments that are being processed.
CREATE INDEX "attachments_processing_idx" ON "attachments"("claimed_until") WHERE "state" = 'PROCESSING';

CREATE TABLE "attachment_parts" (
    "attachment_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "tag" TEXT NOT NULL DEFAULT '',

    CONSTRAINT "attachment_parts_pkey" PRIMARY KEY ("attachment_id", "number")
);
ALTER TABLE "attachment_parts" ADD CONSTRAINT "attachment_parts_attachment_id_fkey"
  FOREIGN KEY ("attachment_id") REFERENCES "attachments"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "media_deletions" (
    "store_key" TEXT NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "tries" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "media_deletions_pkey" PRIMARY KEY ("store_key")
);
CREATE INDEX "media_deletions_due_at_idx" ON "media_deletions"("due_at");

-- Rows are deleted in many ways, also by nodes and operators that do not know of the store. In each of them, the order to
-- delete the bytes is committed with the deletion of the row.
CREATE FUNCTION order_media_deletion() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO media_deletions (store_key) VALUES (OLD.store_key) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER order_media_deletion AFTER DELETE ON "attachments" FOR EACH ROW
  EXECUTE FUNCTION order_media_deletion();
