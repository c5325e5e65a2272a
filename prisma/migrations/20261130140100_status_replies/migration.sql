ALTER TABLE "messages" ADD COLUMN "status_reply" BOOLEAN NOT NULL DEFAULT false;

CREATE TABLE "status_replies" (
    "message_id" UUID NOT NULL,
    "status_id" UUID NOT NULL,
    "excerpt" TEXT,

    CONSTRAINT "status_replies_pkey" PRIMARY KEY ("message_id")
);

ALTER TABLE "status_replies" ADD CONSTRAINT "status_replies_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "messages"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The row belongs to what is deleted with a message. Nodes of older releases do not know it.
CREATE FUNCTION delete_status_reply() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM status_replies WHERE message_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER delete_status_reply AFTER UPDATE OF deleted_at ON "messages" FOR EACH ROW
  WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL AND OLD.status_reply)
  EXECUTE FUNCTION delete_status_reply();
