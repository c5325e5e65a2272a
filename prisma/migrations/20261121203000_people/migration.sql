-- CreateEnum
CREATE TYPE "ServiceRole" AS ENUM ('USER', 'MODERATOR', 'ADMIN');

-- CreateEnum
CREATE TYPE "HistoryVisibility" AS ENUM ('ALL', 'SINCE_JOINED');

-- AlterEnum
ALTER TYPE "MessageKind" ADD VALUE 'SYSTEM';

-- AlterTable
ALTER TABLE "users" ADD COLUMN "service_role" "ServiceRole" NOT NULL DEFAULT 'USER',
ADD COLUMN "suspended_at" TIMESTAMPTZ(3);

-- Few have a role or are suspended: these two lists need no reading of all people. Prisma knows no index on some of the rows.
CREATE INDEX "users_service_role_idx" ON "users" ("service_role") WHERE service_role <> 'USER';
CREATE INDEX "users_suspended_at_idx" ON "users" ("suspended_at", "id") WHERE suspended_at IS NOT NULL;

-- AlterTable
ALTER TABLE "messages" ADD COLUMN "system_event" JSONB;

-- AlterTable
ALTER TABLE "conversations" ADD COLUMN "history_visibility" "HistoryVisibility" NOT NULL DEFAULT 'ALL';

-- AlterTable
ALTER TABLE "memberships" ADD COLUMN "hidden_to_seq" INTEGER NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "blocks" (
    "blocker_id" UUID NOT NULL,
    "blocked_id" UUID NOT NULL,
    "blocked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "blocks_pkey" PRIMARY KEY ("blocker_id","blocked_id")
);

-- CreateIndex
CREATE INDEX "blocks_blocker_id_blocked_at_blocked_id_idx" ON "blocks"("blocker_id", "blocked_at", "blocked_id");

-- CreateIndex
CREATE INDEX "blocks_blocked_id_idx" ON "blocks"("blocked_id");

-- AddForeignKey
ALTER TABLE "blocks" ADD CONSTRAINT "blocks_blocker_id_fkey" FOREIGN KEY ("blocker_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "blocks" ADD CONSTRAINT "blocks_blocked_id_fkey" FOREIGN KEY ("blocked_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
