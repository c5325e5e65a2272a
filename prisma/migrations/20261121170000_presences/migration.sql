-- CreateEnum
CREATE TYPE "Availability" AS ENUM ('ONLINE', 'AWAY', 'BUSY', 'INVISIBLE');

-- CreateTable
CREATE TABLE "presences" (
    "user_id" UUID NOT NULL,
    "availability" "Availability" NOT NULL DEFAULT 'ONLINE',
    "availability_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "last_seen_at" TIMESTAMPTZ(3),

    CONSTRAINT "presences_pkey" PRIMARY KEY ("user_id")
);

-- CreateIndex
CREATE INDEX "presences_availability_at_idx" ON "presences"("availability_at");

-- AddForeignKey
ALTER TABLE "presences" ADD CONSTRAINT "presences_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
