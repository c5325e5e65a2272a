-- With it, the attachments of messages are only looked for where there are some.
ALTER TABLE "messages" ADD COLUMN "attachment_count" INTEGER NOT NULL DEFAULT 0;
UPDATE "messages" SET "attachment_count" = counted.count
FROM (SELECT message_id, count(*)::int AS count FROM attachments WHERE message_id IS NOT NULL GROUP BY message_id) counted
WHERE "messages"."id" = counted.message_id;

-- Summaries mention attachments. The deletion of a message without a text changes no text, which would remove it from them.
CREATE TRIGGER forget_summarized_attachments AFTER UPDATE OF deleted_at ON "messages" FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL AND OLD.text IS NULL AND OLD.attachment_count > 0)
  EXECUTE FUNCTION forget_summarized();
