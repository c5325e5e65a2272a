-- AlterTable
ALTER TABLE "sessions" ADD COLUMN     "by_key_hash" BYTEA;
