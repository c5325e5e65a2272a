-- The change log holds a second scope: each person's own changes (their contacts and blocks, later their settings and
-- drafts), under the person's id in place of a conversation's. Each person's changes are numbered by a row of this
-- table, whose lock makes the order of numbers the order of commits.
-- Dropping a foreign key locks both of its tables. They are locked in the order in which sends use them, so that the two
-- cannot wait for each other; both locks last only until this migration has ended.
LOCK TABLE "conversations", "changes" IN ACCESS EXCLUSIVE MODE;
ALTER TABLE "changes" DROP CONSTRAINT "changes_conversation_id_fkey";

CREATE TABLE "personal_logs" (
    "user_id" UUID NOT NULL,
    "change_seq" INTEGER NOT NULL,

    CONSTRAINT "personal_logs_pkey" PRIMARY KEY ("user_id")
);

-- Nodes of the previous release read and write `standing_changes`. What they write is copied into the change log by
-- this trigger; what newer nodes write they copy themselves, marked as a copy.
ALTER TABLE "standing_changes" ADD COLUMN "is_copy" BOOLEAN NOT NULL DEFAULT false;

CREATE FUNCTION log_standing_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  number int;
BEGIN
  INSERT INTO personal_logs AS log (user_id, change_seq) VALUES (NEW.user_id, 1)
  ON CONFLICT (user_id) DO UPDATE SET change_seq = log.change_seq + 1
  RETURNING change_seq INTO number;
  INSERT INTO changes (conversation_id, change_seq, type, subject_id, actor_id)
  VALUES (NEW.user_id, number, coalesce(NEW.type, 'RELATIONSHIP_CHANGED'), NEW.about_id,
          CASE WHEN NEW.type IS NULL THEN NULL ELSE NEW.user_id END);
  RETURN NULL;
END $$;
CREATE TRIGGER log_standing_change AFTER INSERT ON "standing_changes" FOR EACH ROW
  WHEN (NOT NEW.is_copy) EXECUTE FUNCTION log_standing_change();
