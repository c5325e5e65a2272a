ALTER TABLE "attachments" ADD CONSTRAINT "attachments_message_id_fkey"
  FOREIGN KEY ("message_id") REFERENCES "messages"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A message can be deleted by a node of an older release, which does not know of attachments.
CREATE FUNCTION delete_attachments_of_message() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM attachments WHERE message_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER delete_attachments_of_message AFTER UPDATE OF deleted_at ON "messages" FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION delete_attachments_of_message();
