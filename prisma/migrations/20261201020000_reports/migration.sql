CREATE TYPE "ReportReason" AS ENUM ('SPAM', 'HARASSMENT', 'HATE', 'VIOLENCE', 'SEXUAL_CONTENT', 'SELF_HARM', 'ILLEGAL', 'OTHER');

CREATE TYPE "ReportResolution" AS ENUM ('DISMISSED', 'ACTION_TAKEN');

CREATE TYPE "ReportProof" AS ENUM ('STORED', 'VERIFIED', 'SIGNED');

CREATE TABLE "reports" (
    "id" UUID NOT NULL,
    "reporter_id" UUID,
    "reason" "ReportReason" NOT NULL,
    "comment" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "message_id" UUID NOT NULL,
    "open_for_message_id" UUID,
    "conversation_id" UUID NOT NULL,
    "reported_user_id" UUID NOT NULL,
    "text" TEXT,
    "earlier_texts" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "files" JSONB NOT NULL DEFAULT '[]',
    "proof" "ReportProof" NOT NULL,
    "sent_at" TIMESTAMPTZ(3) NOT NULL,
    "edited_at" TIMESTAMPTZ(3),
    "deleted_at" TIMESTAMPTZ(3),
    "resolved_at" TIMESTAMPTZ(3),
    "resolved_by_id" UUID,
    "resolution" "ReportResolution",

    CONSTRAINT "reports_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "former_certificates" (
    "device_id" UUID NOT NULL,
    "hash" BYTEA NOT NULL,
    "certificate" BYTEA NOT NULL,
    "replaced_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "former_certificates_pkey" PRIMARY KEY ("device_id","hash")
);

CREATE INDEX "reports_reporter_id_message_id_idx" ON "reports"("reporter_id", "message_id");

CREATE INDEX "reports_created_at_id_idx" ON "reports"("created_at", "id");

CREATE INDEX "reports_resolved_at_created_at_id_idx" ON "reports"("resolved_at", "created_at", "id");

CREATE UNIQUE INDEX "reports_reporter_id_open_for_message_id_key" ON "reports"("reporter_id", "open_for_message_id");

-- A trigger, because nodes of an older release replace certificates as well.
CREATE FUNCTION keep_former_certificate() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO former_certificates (device_id, hash, certificate)
  VALUES (OLD.id, sha256(OLD.certificate), OLD.certificate)
  ON CONFLICT (device_id, hash) DO UPDATE SET replaced_at = clock_timestamp();
  RETURN NULL;
END $$;
CREATE TRIGGER keep_former_certificate AFTER UPDATE OF certificate ON "devices" FOR EACH ROW
  WHEN (OLD.certificate IS DISTINCT FROM NEW.certificate) EXECUTE FUNCTION keep_former_certificate();
