CREATE TYPE "StatusAudienceMode" AS ENUM ('CONTACTS', 'CONTACTS_EXCEPT', 'ONLY');

ALTER TABLE "attachments" ADD COLUMN "status_id" UUID;

CREATE TABLE "statuses" (
    "id" UUID NOT NULL,
    "author_id" UUID NOT NULL,
    "client_status_id" TEXT NOT NULL,
    "input_hash" BYTEA NOT NULL,
    "text" TEXT,
    "style" TEXT,
    "audience" "StatusAudienceMode" NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "statuses_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "status_listed" (
    "status_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,

    CONSTRAINT "status_listed_pkey" PRIMARY KEY ("status_id","user_id")
);

CREATE TABLE "status_audiences" (
    "user_id" UUID NOT NULL,
    "mode" "StatusAudienceMode" NOT NULL,
    "listed_ids" UUID[],

    CONSTRAINT "status_audiences_pkey" PRIMARY KEY ("user_id")
);

CREATE TABLE "status_views_hidden" (
    "user_id" UUID NOT NULL,

    CONSTRAINT "status_views_hidden_pkey" PRIMARY KEY ("user_id")
);

CREATE TABLE "status_views" (
    "status_id" UUID NOT NULL,
    "viewer_id" UUID NOT NULL,
    "viewed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "is_reported" BOOLEAN NOT NULL,

    CONSTRAINT "status_views_pkey" PRIMARY KEY ("status_id","viewer_id")
);

CREATE TABLE "status_mutes" (
    "owner_id" UUID NOT NULL,
    "author_id" UUID NOT NULL,
    "muted_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "status_mutes_pkey" PRIMARY KEY ("owner_id","author_id")
);

CREATE INDEX "statuses_author_id_expires_at_idx" ON "statuses"("author_id", "expires_at");

CREATE INDEX "statuses_expires_at_idx" ON "statuses"("expires_at");

CREATE UNIQUE INDEX "statuses_author_id_client_status_id_key" ON "statuses"("author_id", "client_status_id");

CREATE INDEX "status_views_status_id_viewed_at_viewer_id_idx" ON "status_views"("status_id", "viewed_at", "viewer_id");

CREATE INDEX "status_views_viewer_id_idx" ON "status_views"("viewer_id");

CREATE INDEX "status_mutes_owner_id_muted_at_author_id_idx" ON "status_mutes"("owner_id", "muted_at", "author_id");

CREATE UNIQUE INDEX "attachments_status_id_key" ON "attachments"("status_id");

ALTER TABLE "attachments" ADD CONSTRAINT "attachments_status_id_fkey" FOREIGN KEY ("status_id") REFERENCES "statuses"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "status_listed" ADD CONSTRAINT "status_listed_status_id_fkey" FOREIGN KEY ("status_id") REFERENCES "statuses"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "status_views" ADD CONSTRAINT "status_views_status_id_fkey" FOREIGN KEY ("status_id") REFERENCES "statuses"("id") ON DELETE CASCADE ON UPDATE CASCADE;
