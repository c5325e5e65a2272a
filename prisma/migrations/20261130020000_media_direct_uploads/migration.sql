ALTER TABLE "attachments" ADD COLUMN "store_upload_id" TEXT;
-- No store has needed it.
ALTER TABLE "attachment_parts" DROP COLUMN "tag";

-- What is not served any more is deleted with orders as well: all bytes of a rejected file, and what the client has sent
-- if a file without metadata has replaced it. A crash of the node cannot lose such an order.
CREATE FUNCTION order_media_cleanup() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'REJECTED' THEN
    INSERT INTO media_deletions (store_key) VALUES (NEW.store_key) ON CONFLICT DO NOTHING;
  ELSIF NEW.state = 'READY' AND NEW.kind <> 'FILE' THEN
    INSERT INTO media_deletions (store_key) VALUES (NEW.store_key || '/upload') ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER order_media_cleanup AFTER UPDATE OF "state" ON "attachments" FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION order_media_cleanup();
