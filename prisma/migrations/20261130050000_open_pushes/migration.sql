-- Up to which message the notifier has added pushes, in each conversation. A push that is open ends there, so that a further
-- message changes one row per conversation instead of one per device.
CREATE TABLE "push_positions" (
    "conversation_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,

    CONSTRAINT "push_positions_pkey" PRIMARY KEY ("conversation_id")
);

ALTER TABLE "push_jobs" ADD COLUMN "is_open" BOOLEAN NOT NULL DEFAULT false, DROP COLUMN "version";
CREATE INDEX "push_jobs_conversation_id_idx" ON "push_jobs"("conversation_id");
-- A job whose subscription was deleted at the same time is dropped when it is due.
ALTER TABLE "push_jobs" DROP CONSTRAINT "push_jobs_subscription_id_fkey";

-- Contains the id, so that the devices of the members of a group are found in the index alone.
CREATE INDEX "push_subscriptions_user_id_id_idx" ON "push_subscriptions"("user_id", "id");
DROP INDEX "push_subscriptions_user_id_idx";

CREATE OR REPLACE FUNCTION record_pushes_of_removed_device() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  WITH removed AS (
    DELETE FROM push_jobs WHERE subscription_id = OLD.id RETURNING *
  )
  INSERT INTO push_records (user_id, subscription_id, kind, conversation_id, from_seq, to_seq, result, tries, waits, queued_at)
  SELECT OLD.user_id, OLD.id, OLD.kind, job.conversation_id, job.from_seq,
         CASE WHEN job.is_open THEN greatest(job.to_seq, position.seq) ELSE job.to_seq END,
         'DEVICE_REMOVED', job.tries, job.waits, job.created_at
  FROM removed job
  LEFT JOIN push_positions position ON position.conversation_id = job.conversation_id
  WHERE EXISTS (SELECT FROM users WHERE users.id = OLD.user_id AND deleted_at IS NULL);
  RETURN OLD;
END $$;
