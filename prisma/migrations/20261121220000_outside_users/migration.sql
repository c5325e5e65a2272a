-- AlterTable
ALTER TABLE "sessions" ADD COLUMN     "outside_key" BYTEA;

-- CreateTable
CREATE TABLE "outside_identities" (
    "issuer" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "user_id" UUID NOT NULL,
    "username_claim" TEXT,
    "name_claim" TEXT,
    "picture_claim" TEXT,
    "email" TEXT NOT NULL DEFAULT '',
    "claims_at" TIMESTAMPTZ(3),
    "input_hash" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "outside_identities_pkey" PRIMARY KEY ("issuer","subject")
);

-- CreateIndex
CREATE INDEX "outside_identities_user_id_idx" ON "outside_identities"("user_id");

-- AddForeignKey
ALTER TABLE "outside_identities" ADD CONSTRAINT "outside_identities_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Of a session elsewhere one session here at a time: two first requests at once make one. Prisma knows no index on some
-- of the rows.
CREATE UNIQUE INDEX "sessions_outside_key_alive_idx" ON "sessions" ("outside_key")
WHERE outside_key IS NOT NULL AND ended_at IS NULL;
