ALTER TABLE "push_jobs" ADD COLUMN "subject_id" UUID, ADD COLUMN "subject_type" TEXT;
