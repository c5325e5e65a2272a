ALTER TABLE "sessions" ADD COLUMN "tokens_issued_until" TIMESTAMPTZ(3);
